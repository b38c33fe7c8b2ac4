/* DoRA (Liu et al. 2024): the rows of W + s B A get trained lengths m:
 *   y = g ∘ (x Wᵀ + s (x Aᵀ) Bᵀ) + b,   g = m / n,   n_i = ‖(W + s B A)_i‖
 * n is constant in the gradient (section 4.3 of the paper): dm = dg / n. */
#include <stdlib.h>

#include "model/adapter/methods/low_rank.h"
#include "model/encoder/layout.h"

/* Vectors of all modules are end to end: [Σ out]. */
typedef struct dora_state {
  cdl_buffer *buffer;
  size_t first; /* index of the first magnitude among the parameters */
  cdl_tensor base_squares, norms, gains;
  cdl_tensor least; /* [1] lower bound of squared norms, so that a row of zeros stays zero */
  cdl_tensor products, gram; /* scratch: [out · rank] and [rank · rank] of the largest module */
  bool base_known;
} dora_state;

bool dora_is_on(const model_adapter *a)
{
  return adapter_option_value(a, OPTION_USE_DORA) != 0;
}

cdl_status dora_parameters(model_adapter *a)
{
  if (!dora_is_on(a))
    return CDL_STATUS_OK;
  a->dora = calloc(1, sizeof *a->dora);
  if (a->dora == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: DoRA");
  a->dora->first = a->own_count;
  for (size_t i = 0; i < a->module_count; i++)
    CDL_TRY(adapter_add_vector(a, ENCODER_ROLE_WEIGHT, a->modules[i]->weight.size[2],
                               "%s.lora_magnitude_vector", a->modules[i]->path));
  return CDL_STATUS_OK;
}

bool dora_owns(const model_adapter *a, size_t index)
{
  return a->dora != NULL && index >= a->dora->first;
}

static const encoder_parameter *magnitude(const model_adapter *a, size_t module)
{
  return &a->own_parameters[a->dora->first + module];
}

static cdl_tensor take(cdl_buffer *buffer, int64_t *used, int64_t count)
{
  const cdl_tensor t = cdl_tensor_1d(buffer, CDL_DTYPE_F32, *used, count);
  *used += encoder_aligned(count);
  return t;
}

static int64_t lay_out(const model_adapter *a, dora_state *d)
{
  int64_t outputs = 0, products = 0, gram = 0, used = 0;
  for (size_t i = 0; i < a->module_count; i++) {
    const int64_t out = a->modules[i]->weight.size[2], rank = a->per_module[i].rank;
    outputs += out;
    products = out * rank > products ? out * rank : products;
    gram = rank * rank > gram ? rank * rank : gram;
  }
  d->base_squares = take(d->buffer, &used, outputs);
  d->norms = take(d->buffer, &used, outputs);
  d->gains = take(d->buffer, &used, outputs);
  d->least = take(d->buffer, &used, 1);
  d->products = take(d->buffer, &used, products);
  d->gram = take(d->buffer, &used, gram);
  return used;
}

/* Returns the module's part of vectors that are end to end, and advances `offset`. */
static cdl_tensor part_of(cdl_tensor vectors, int64_t offset, const encoder_module *module)
{
  return cdl_tensor_columns(vectors, offset, module->weight.size[2]);
}

static cdl_tensor as_column(cdl_tensor t)
{
  return cdl_tensor_2d(t.buffer, CDL_DTYPE_F32, t.offset, t.size[3], 1);
}

cdl_status dora_attach(model_adapter *a, cdl_queue *q)
{
  dora_state *d = a->dora;
  if (d == NULL)
    return CDL_STATUS_OK;
  const int64_t elements = lay_out(a, d);
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(q), (size_t)elements * sizeof(float), &d->buffer));
  lay_out(a, d);
  cdl_fill(q, CDL_ARGS(fill, .out = d->least, .value = 1e-30));
  int64_t offset = 0;
  for (size_t i = 0; i < a->module_count; i++) {
    /* The gradient is that of the gain until dora_pull_back divides it. */
    a->modules[i]->delta.gain = (encoder_gain_term){
        .value = part_of(d->gains, offset, a->modules[i]), .gradient = magnitude(a, i)->gradient};
    offset += a->modules[i]->weight.size[2];
  }
  return CDL_STATUS_OK;
}

static void find_base_squares(const model_adapter *a, cdl_queue *q)
{
  int64_t offset = 0;
  for (size_t i = 0; i < a->module_count; i++) {
    const encoder_module *module = a->modules[i];
    cdl_reduce(q, CDL_ARGS(reduce, .out = as_column(part_of(a->dora->base_squares, offset, module)),
                           .x = module->weight, .function = CDL_REDUCE_SUM_SQUARES, .axis = 3));
    offset += module->weight.size[2];
  }
  a->dora->base_known = true;
}

/* ‖W_i + s (B A)_i‖² = ‖W_i‖² + ⟨B_i, 2 s (W Aᵀ)_i + s² (B A Aᵀ)_i⟩. Adds the second term; it costs
 * a product of W with `rank` columns. */
static void add_cross_terms(const dora_state *d, cdl_queue *q, const encoder_module *module,
                            cdl_tensor squares)
{
  const encoder_low_rank_term *t = &module->delta.low_rank;
  const int64_t out = module->weight.size[2], rank = t->a.size[2];
  const cdl_tensor products =
      cdl_tensor_2d(d->products.buffer, CDL_DTYPE_F32, d->products.offset, out, rank);
  const cdl_tensor gram = cdl_tensor_2d(d->gram.buffer, CDL_DTYPE_F32, d->gram.offset, rank, rank);
  const float s = t->scale;
  cdl_gemm(q,
           CDL_ARGS(gemm, .out = gram, .a = t->a, .b = t->a, .transpose_b = true, .alpha = s * s));
  cdl_gemm(q, CDL_ARGS(gemm, .out = products, .a = module->weight, .b = t->a, .transpose_b = true,
                       .alpha = 2 * s));
  cdl_gemm(q, CDL_ARGS(gemm, .out = products, .a = t->b, .b = gram, .alpha = 1, .beta = 1));
  cdl_binary(q, CDL_ARGS(binary, .out = products, .x = products, .y = t->b,
                         .function = CDL_BINARY_MULTIPLY));
  cdl_reduce(q, CDL_ARGS(reduce, .out = as_column(squares), .x = products,
                         .function = CDL_REDUCE_SUM, .axis = 3, .accumulate = true));
}

void dora_materialize(model_adapter *a, cdl_queue *q)
{
  dora_state *d = a->dora;
  if (d == NULL)
    return;
  if (!d->base_known)
    find_base_squares(a, q);
  cdl_copy(q, CDL_ARGS(copy, .out = d->norms, .x = d->base_squares));
  int64_t offset = 0;
  for (size_t i = 0; i < a->module_count; i++) {
    add_cross_terms(d, q, a->modules[i], part_of(d->norms, offset, a->modules[i]));
    offset += a->modules[i]->weight.size[2];
  }
  cdl_binary(q, CDL_ARGS(binary, .out = d->norms, .x = d->norms, .y = d->least,
                         .function = CDL_BINARY_MAXIMUM));
  cdl_unary(q, CDL_ARGS(unary, .out = d->norms, .x = d->norms, .function = CDL_UNARY_SQUARE_ROOT));
  offset = 0;
  for (size_t i = 0; i < a->module_count; i++) {
    const encoder_module *module = a->modules[i];
    cdl_binary(q, CDL_ARGS(binary, .out = part_of(d->gains, offset, module),
                           .x = magnitude(a, i)->value, .y = part_of(d->norms, offset, module),
                           .function = CDL_BINARY_DIVIDE));
    offset += module->weight.size[2];
  }
}

void dora_initialize(model_adapter *a, cdl_queue *q)
{
  if (a->dora == NULL)
    return;
  a->dora->base_known = false; /* initial values may have been subtracted from the weights */
  a->method->materialize(a, q);
  int64_t offset = 0;
  for (size_t i = 0; i < a->module_count; i++) {
    cdl_copy(q, CDL_ARGS(copy, .out = magnitude(a, i)->value,
                         .x = part_of(a->dora->norms, offset, a->modules[i])));
    offset += a->modules[i]->weight.size[2];
  }
}

void dora_pull_back(model_adapter *a, cdl_queue *q)
{
  int64_t offset = 0;
  for (size_t i = 0; i < a->module_count && a->dora != NULL; i++) {
    const cdl_tensor gradient = magnitude(a, i)->gradient;
    cdl_binary(q, CDL_ARGS(binary, .out = gradient, .x = gradient,
                           .y = part_of(a->dora->norms, offset, a->modules[i]),
                           .function = CDL_BINARY_DIVIDE));
    offset += a->modules[i]->weight.size[2];
  }
}

void dora_release(model_adapter *a)
{
  if (a->dora != NULL)
    cdl_buffer_destroy(a->dora->buffer);
  free(a->dora);
  a->dora = NULL;
}
