#include "bench/products.h"

#include <stdlib.h>
#include <string.h>

static void add(bench_product_list *list, cdl_op op, bench_product p)
{
  if (list->status != CDL_STATUS_OK)
    return;
  if (list->count == list->capacity) {
    const size_t capacity = list->capacity > 0 ? 2 * list->capacity : 256;
    bench_product *item = realloc(list->item, capacity * sizeof *item);
    if (item == NULL) {
      list->status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: a list of %zu products", capacity);
      return;
    }
    list->item = item;
    list->capacity = capacity;
  }
  const cdl_tensor out = p.args.out;
  const int64_t k = p.args.transpose_a ? p.args.a.size[2] : p.args.a.size[3];
  list->operations += 2.0 * (double)cdl_tensor_elements(out) * (double)k;
  p.args.size = sizeof p.args;
  p.op = op;
  list->item[list->count++] = p;
}

/* ---- The products of each op ---- */

/* Makes matrices in the list's scratch, whose buffer is created later. */
static cdl_tensor scratch(bench_product_list *list, int64_t batch, int64_t rows, int64_t columns)
{
  const int64_t elements = batch * rows * columns;
  list->scratch_elements = elements > list->scratch_elements ? elements : list->scratch_elements;
  return cdl_tensor_3d(NULL, CDL_DTYPE_F32, 0, batch, rows, columns);
}

static void add_linear(bench_product_list *list, const cdl_linear_args *a)
{
  const cdl_tensor out = cdl_tensor_present(a->pre) ? a->pre : a->out;
  add(list, CDL_OP_linear,
      (bench_product){.args = {.out = out, .a = a->x, .transpose_b = true, .alpha = 1},
                      .weight = a->weight});
}

static void add_linear_grad(bench_product_list *list, const cdl_linear_grad_args *a)
{
  add(list, CDL_OP_linear_grad,
      (bench_product){
          .args = {.out = a->d_x, .a = a->d_out, .alpha = 1, .beta = a->accumulate ? 1 : 0},
          .weight = a->weight});
}

static void add_low_rank_term(bench_product_list *list, const cdl_low_rank_args *a)
{
  add(list, CDL_OP_low_rank,
      (bench_product){
          .args = {.out = a->hidden, .a = a->x, .b = a->a, .transpose_b = true, .alpha = 1}});
  add(list, CDL_OP_low_rank,
      (bench_product){.args = {.out = a->out,
                               .a = a->hidden,
                               .b = a->b,
                               .transpose_b = true,
                               .alpha = a->scale,
                               .beta = 1}});
}

static void add_low_rank(bench_product_list *list, const cdl_low_rank_args *a)
{
  for (int i = 0; i < cdl_low_rank_terms(a); i++) {
    const cdl_low_rank_args one = cdl_low_rank_alone(a, i);
    add_low_rank_term(list, &one);
  }
}

static void add_low_rank_grad_term(bench_product_list *list, const cdl_low_rank_grad_args *a)
{
  const cdl_op op = CDL_OP_low_rank_grad;
  const cdl_tensor du = scratch(list, 1, a->d_out.size[2], a->b.size[3]);
  if (cdl_tensor_present(a->d_b))
    add(list, op,
        (bench_product){.args = {.out = a->d_b,
                                 .a = a->d_out,
                                 .b = a->hidden,
                                 .transpose_a = true,
                                 .alpha = a->scale,
                                 .beta = 1}});
  if (cdl_tensor_present(a->d_a) || cdl_tensor_present(a->d_x))
    add(list, op,
        (bench_product){.args = {.out = du, .a = a->d_out, .b = a->b, .alpha = a->scale},
                        .scratch_out = true});
  if (cdl_tensor_present(a->d_a))
    add(list, op,
        (bench_product){
            .args = {.out = a->d_a, .a = du, .b = a->x, .transpose_a = true, .alpha = 1, .beta = 1},
            .scratch_a = true});
  if (cdl_tensor_present(a->d_x))
    add(list, op,
        (bench_product){.args = {.out = a->d_x, .a = du, .b = a->a, .alpha = 1, .beta = 1},
                        .scratch_a = true});
}

static void add_low_rank_grad(bench_product_list *list, const cdl_low_rank_grad_args *a)
{
  for (int i = 0; i < cdl_low_rank_grad_terms(a); i++) {
    const cdl_low_rank_grad_args one = cdl_low_rank_grad_alone(a, i);
    add_low_rank_grad_term(list, &one);
  }
}

static void add_map_weights(bench_product_list *list, const cdl_map_weights_args *a)
{
  add(list, CDL_OP_map_weights,
      (bench_product){.args = {.out = a->a,
                               .a = a->theta_a,
                               .b = a->weight,
                               .transpose_b = a->transposed,
                               .alpha = 1,
                               .beta = a->accumulate ? 1 : 0}});
  add(list, CDL_OP_map_weights,
      (bench_product){
          .args = {.out = a->b, .a = a->weight, .b = a->theta_b, .transpose_b = true, .alpha = 1}});
}

/* A product for each of the matrices, in scratch. */
static void add_map_gradient(bench_product_list *list, const cdl_tensor *out,
                             const cdl_gemm_args *product)
{
  const int64_t count = product->b.size[1];
  bench_product p = {.args = *product, .scratch_out = true};
  scratch(list, out->size[0] * count, out->size[2], out->size[3]);
  p.args.out =
      cdl_tensor_4d(NULL, CDL_DTYPE_F32, 0, out->size[0], count, out->size[2], out->size[3]);
  p.args.alpha = 1;
  add(list, CDL_OP_map_weights_grad, p);
}

static void add_map_weights_grad(bench_product_list *list, const cdl_map_weights_grad_args *a)
{
  if (cdl_tensor_present(a->d_theta_a))
    add_map_gradient(list, &a->d_theta_a,
                     &(cdl_gemm_args){.a = a->d_a, .b = a->weight, .transpose_b = !a->transposed});
  add_map_gradient(list, &a->d_theta_b,
                   &(cdl_gemm_args){.a = a->d_b, .b = a->weight, .transpose_a = true});
}

/* Returns the heads of a sequence's rows as a batch of matrices: columns [part · heads · d, …) of
 * x. */
static cdl_tensor heads_of(cdl_tensor x, int part, int32_t heads, int64_t first, int64_t length)
{
  const int64_t parts = part < 0 ? 1 : 3, d = x.size[3] / parts / heads, stride = x.stride[2];
  return (cdl_tensor){x.buffer,
                      x.offset + first * stride + (part < 0 ? 0 : part) * heads * d,
                      {1, heads, length, d},
                      {0, d, stride, 1},
                      x.dtype};
}

static void add_attention(bench_product_list *list, const cdl_attention_args *a)
{
  const cdl_op op = CDL_OP_attention;
  for (int32_t s = 0; s < a->packing->sequences; s++) {
    const int64_t first = a->packing->host_offsets[s],
                  length = a->packing->host_offsets[s + 1] - first;
    const cdl_tensor p = scratch(list, a->heads, length, length);
    add(list, op,
        (bench_product){.args = {.out = p,
                                 .a = heads_of(a->qkv, 0, a->heads, first, length),
                                 .b = heads_of(a->qkv, 1, a->heads, first, length),
                                 .transpose_b = true,
                                 .alpha = a->scale},
                        .scratch_out = true});
    add(list, op,
        (bench_product){.args = {.out = heads_of(a->out, -1, a->heads, first, length),
                                 .a = p,
                                 .b = heads_of(a->qkv, 2, a->heads, first, length),
                                 .alpha = 1},
                        .scratch_a = true});
  }
}

/* Adds the products of P again, dP = dO Vᵀ, dV = Pᵀ dO, dQ = dS K and dK = dSᵀ Q. */
static void add_attention_grad(bench_product_list *list, const cdl_attention_grad_args *a)
{
  const cdl_op op = CDL_OP_attention_grad;
  for (int32_t s = 0; s < a->packing->sequences; s++) {
    const int64_t first = a->packing->host_offsets[s],
                  length = a->packing->host_offsets[s + 1] - first;
    cdl_tensor x[3], d_x[3];
    for (int part = 0; part < 3; part++) {
      x[part] = heads_of(a->qkv, part, a->heads, first, length);
      d_x[part] = heads_of(a->d_qkv, part, a->heads, first, length);
    }
    const cdl_tensor d_out = heads_of(a->d_out, -1, a->heads, first, length);
    const cdl_tensor p = scratch(list, a->heads, length, length);
    add(list, op,
        (bench_product){
            .args = {.out = p, .a = x[0], .b = x[1], .transpose_b = true, .alpha = a->scale},
            .scratch_out = true});
    add(list, op,
        (bench_product){.args = {.out = p, .a = d_out, .b = x[2], .transpose_b = true, .alpha = 1},
                        .scratch_out = true});
    add(list, op,
        (bench_product){
            .args = {.out = d_x[2], .a = p, .b = d_out, .transpose_a = true, .alpha = 1},
            .scratch_a = true});
    add(list, op,
        (bench_product){.args = {.out = d_x[0], .a = p, .b = x[1], .alpha = 1}, .scratch_a = true});
    add(list, op,
        (bench_product){.args = {.out = d_x[1], .a = p, .b = x[0], .transpose_a = true, .alpha = 1},
                        .scratch_a = true});
  }
}

void bench_products_of_call(bench_product_list *list, cdl_op op, const void *args)
{
  switch (op) {
  case CDL_OP_gemm:
    add(list, op, (bench_product){.args = *(const cdl_gemm_args *)args});
    break;
  case CDL_OP_linear:
    add_linear(list, args);
    break;
  case CDL_OP_linear_grad:
    add_linear_grad(list, args);
    break;
  case CDL_OP_low_rank:
    add_low_rank(list, args);
    break;
  case CDL_OP_low_rank_grad:
    add_low_rank_grad(list, args);
    break;
  case CDL_OP_map_weights:
    add_map_weights(list, args);
    break;
  case CDL_OP_map_weights_grad:
    add_map_weights_grad(list, args);
    break;
  case CDL_OP_attention:
    add_attention(list, args);
    break;
  case CDL_OP_attention_grad:
    add_attention_grad(list, args);
    break;
  default:
    break; /* no product */
  }
}

/* ---- Recording ---- */

static void record(void *user, const cdl_observation *seen)
{
  if (seen->after)
    bench_products_of_call(user, seen->op, seen->args);
}

void bench_products_record_begin(bench_product_list *list, cdl_backend *backend)
{
  cdl_backend_observe(backend, record, list);
}

/* ---- Stand-ins ---- */

/* Makes float32 memory of this many numbers. */
static cdl_status make_memory(cdl_queue *queue, int64_t elements, cdl_buffer **buffer)
{
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(queue), (size_t)elements * sizeof(float), buffer));
  cdl_fill(queue, CDL_ARGS(fill, .out = cdl_tensor_1d(*buffer, CDL_DTYPE_F32, 0, elements),
                           .value = 1e-3));
  return CDL_STATUS_OK;
}

static int64_t extent_of(cdl_tensor t)
{
  int64_t last = 0;
  for (int i = 0; i < 4; i++)
    last += (t.size[i] - 1) * t.stride[i];
  return last + 1;
}

static cdl_tensor *operand(bench_product *p, int index)
{
  cdl_tensor *const operands[BENCH_OPERANDS] = {&p->args.out, &p->args.a, &p->args.b};
  return operands[index];
}

/* Gives each operand of BF16 its stand-in. Those of one product have memory of their own. */
static cdl_status widen(bench_product_list *list, cdl_queue *queue)
{
  for (int index = 0; index < BENCH_OPERANDS; index++) {
    int64_t elements = 0;
    for (size_t i = 0; i < list->count; i++) {
      const cdl_tensor *t = operand(&list->item[i], index);
      if (t->dtype == CDL_DTYPE_BF16 && extent_of(*t) > elements)
        elements = extent_of(*t);
    }
    if (elements == 0)
      continue;
    CDL_TRY(make_memory(queue, elements, &list->narrow[index]));
    for (size_t i = 0; i < list->count; i++) {
      cdl_tensor *t = operand(&list->item[i], index);
      if (t->dtype != CDL_DTYPE_BF16)
        continue;
      t->buffer = list->narrow[index];
      t->offset = 0;
      t->dtype = CDL_DTYPE_F32;
    }
  }
  return CDL_STATUS_OK;
}

static cdl_status copy_of(bench_product_weights *weights, cdl_queue *queue,
                          const cdl_weight *weight, cdl_buffer **buffer)
{
  for (size_t i = 0; i < weights->count; i++)
    if (weights->copy[i].weight == weight) {
      *buffer = weights->copy[i].buffer;
      return CDL_STATUS_OK;
    }
  void *copy = realloc(weights->copy, (weights->count + 1) * sizeof *weights->copy);
  if (copy == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu weights", weights->count + 1);
  weights->copy = copy;
  CDL_TRY(make_memory(queue, cdl_weight_rows(weight) * cdl_weight_columns(weight), buffer));
  weights->copy[weights->count].weight = weight;
  weights->copy[weights->count++].buffer = *buffer;
  return CDL_STATUS_OK;
}

void bench_product_weights_release(bench_product_weights *weights)
{
  for (size_t i = 0; i < weights->count; i++)
    cdl_buffer_destroy(weights->copy[i].buffer);
  free(weights->copy);
  *weights = (bench_product_weights){0};
}

cdl_status bench_products_record_end(bench_product_list *list, cdl_queue *queue,
                                     bench_product_weights *weights)
{
  cdl_backend_observe(cdl_queue_backend(queue), NULL, NULL);
  CDL_TRY(list->status);
  CDL_TRY(make_memory(queue, list->scratch_elements + 1, &list->scratch));
  CDL_TRY(widen(list, queue));
  for (size_t i = 0; i < list->count; i++) {
    bench_product *p = &list->item[i];
    if (p->weight != NULL) {
      cdl_buffer *buffer = NULL;
      CDL_TRY(copy_of(weights, queue, p->weight, &buffer));
      p->args.b = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, cdl_weight_rows(p->weight),
                                cdl_weight_columns(p->weight));
    }
    if (p->scratch_a)
      p->args.a.buffer = list->scratch;
    if (p->scratch_out)
      p->args.out.buffer = list->scratch;
  }
  return cdl_queue_sync(queue);
}

void bench_products_replay(const bench_product_list *list, cdl_queue *queue)
{
  for (size_t i = 0; i < list->count; i++)
    cdl_gemm(queue, &list->item[i].args);
}

void bench_products_release(bench_product_list *list)
{
  cdl_buffer_destroy(list->scratch);
  for (int index = 0; index < BENCH_OPERANDS; index++)
    cdl_buffer_destroy(list->narrow[index]);
  free(list->item);
  *list = (bench_product_list){0};
}
