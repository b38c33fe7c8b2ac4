#include "model/adapter/methods/condition.h"

#include <stdlib.h>

#include "base/json.h"
#include "model/encoder/layout.h"
#include "model/files/family.h"

const char condition_seed_key[] = "condition_seed";

/* Runs of one group stand one after the other. */
static size_t runs_of_group(const model_adapter *a, size_t first)
{
  size_t end = first;
  while (end < a->run_count && a->runs[end].group == a->runs[first].group)
    end++;
  return end - first;
}

static cdl_status take_memory(condition *c, model_adapter *a, cdl_queue *q)
{
  int64_t used = 0;
  for (size_t r = 0; r < a->run_count; r++)
    used += encoder_aligned(cdl_tensor_elements(a->runs[r].weights));
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(q), (size_t)used * sizeof(float), &c->buffer));
  used = 0;
  for (size_t r = 0; r < a->run_count; r++) {
    layer_batch *run = &a->runs[r];
    run->weights = cdl_tensor_3d(c->buffer, CDL_DTYPE_F32, used, run->count, run->weights.size[2],
                                 run->weights.size[3]);
    used += encoder_aligned(cdl_tensor_elements(run->weights));
  }
  return CDL_STATUS_OK;
}

/* ---- Another layer's ---- */

static void permute_group(cdl_queue *q, const layer_batch *runs, size_t run_count)
{
  int count = 0, at = 0;
  for (size_t r = 0; r < run_count; r++)
    count += runs[r].count;
  for (size_t r = 0; r < run_count; r++)
    for (int i = 0; i < runs[r].count; i++, at++) {
      int other = (at + count / 2) % count;
      const layer_batch *from = runs;
      while (other >= from->count)
        other -= (from++)->count;
      cdl_copy(q, CDL_ARGS(copy, .out = adapter_of_layer(runs[r].weights, i),
                           .x = from->modules[other]->weight));
    }
}

static cdl_status permute(const model_adapter *a, cdl_queue *q)
{
  for (size_t r = 0; r < a->run_count; r += runs_of_group(a, r))
    permute_group(q, &a->runs[r], runs_of_group(a, r));
  return cdl_queue_status(q);
}

/* ---- Random ones ---- */

/* Memory for two orthogonal matrices and a product. */
typedef struct {
  cdl_buffer *doubles, *floats;
  cdl_tensor normal, q, r; /* F64, as large as the largest matrix */
  double *host;            /* likewise */
  float *rounded;
} workshop;

static void close_workshop(workshop *w)
{
  cdl_buffer_destroy(w->doubles);
  cdl_buffer_destroy(w->floats);
  free(w->host);
  free(w->rounded);
}

static cdl_status open_workshop(const model_adapter *a, cdl_queue *q, workshop *w)
{
  int64_t largest = 0;
  for (size_t r = 0; r < a->run_count; r++)
    for (int d = 2; d < 4; d++)
      largest = a->runs[r].weights.size[d] > largest ? a->runs[r].weights.size[d] : largest;
  const size_t elements = (size_t)(largest * largest);
  *w = (workshop){.host = malloc(2 * elements * sizeof(double)),
                  .rounded = malloc(elements * sizeof(float))};
  cdl_status status = w->host != NULL && w->rounded != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: a random matrix");
  if (status == CDL_STATUS_OK)
    status = cdl_buffer_create(cdl_queue_backend(q), 3 * elements * sizeof(double), &w->doubles);
  if (status == CDL_STATUS_OK)
    status = cdl_buffer_create(cdl_queue_backend(q), 3 * elements * sizeof(float), &w->floats);
  if (status != CDL_STATUS_OK)
    close_workshop(w);
  return status;
}

/* Q of G = Q R, G's elements standard normal and R's diagonal positive: uniform over the orthogonal
 * matrices (Mezzadri 2007). In double, because Q's last columns are ill-conditioned. */
static cdl_status draw_orthogonal(const workshop *w, cdl_queue *queue, cdl_random random,
                                  cdl_tensor out)
{
  const int64_t n = out.size[2], elements = n * n;
  const size_t bytes = (size_t)elements * sizeof(double);
  const cdl_tensor g = cdl_tensor_2d(w->doubles, CDL_DTYPE_F64, 0, n, n),
                   q = cdl_tensor_2d(w->doubles, CDL_DTYPE_F64, elements, n, n),
                   r = cdl_tensor_2d(w->doubles, CDL_DTYPE_F64, 2 * elements, n, n);
  double *const host_q = w->host, *const host_r = w->host + elements;
  for (int64_t i = 0; i < elements; i++)
    host_q[i] = cdl_random_normal(&random);
  cdl_queue_upload(queue, g, host_q, bytes);
  cdl_qr(queue, CDL_ARGS(qr, .q = q, .r = r, .a = g));
  cdl_queue_download(queue, host_q, q, bytes);
  cdl_queue_download(queue, host_r, r, bytes);
  CDL_TRY(cdl_queue_sync(queue));
  for (int64_t i = 0; i < elements; i++)
    w->rounded[i] = (float)(host_r[i % n * (n + 1)] < 0 ? -host_q[i] : host_q[i]);
  cdl_queue_upload(queue, out, w->rounded, (size_t)elements * sizeof(float));
  return cdl_queue_sync(queue);
}

/* Q W Pᵀ has W's singular values, and its singular vectors are those of a random matrix. A layer's
 * numbers do not depend on what else is adapted. */
static cdl_status rotate(const workshop *w, cdl_queue *q, const encoder_module *module,
                         uint64_t seed, cdl_tensor out)
{
  const int64_t rows = out.size[2], columns = out.size[3];
  const cdl_tensor left = cdl_tensor_2d(w->floats, CDL_DTYPE_F32, 0, rows, rows),
                   right = cdl_tensor_2d(w->floats, CDL_DTYPE_F32, rows * rows, columns, columns),
                   half = cdl_tensor_2d(w->floats, CDL_DTYPE_F32, rows * rows + columns * columns,
                                        rows, columns);
  const uint32_t place =
      2 * ((uint32_t)module->layer * MODEL_MODULES_PER_BLOCK + (uint32_t)module->kind);
  CDL_TRY(draw_orthogonal(w, q, cdl_random_start(seed, CDL_RANDOM_CONDITION, place, 0), left));
  CDL_TRY(draw_orthogonal(w, q, cdl_random_start(seed, CDL_RANDOM_CONDITION, place + 1, 0), right));
  cdl_gemm(q, CDL_ARGS(gemm, .out = half, .a = module->weight, .b = right, .transpose_b = true,
                       .alpha = 1));
  cdl_gemm(q, CDL_ARGS(gemm, .out = out, .a = left, .b = half, .alpha = 1));
  return cdl_queue_status(q);
}

static cdl_status draw(const condition *c, model_adapter *a, cdl_queue *q)
{
  workshop w;
  CDL_TRY(open_workshop(a, q, &w));
  cdl_status status = CDL_STATUS_OK;
  for (size_t r = 0; r < a->run_count; r++)
    for (int i = 0; i < a->runs[r].count && status == CDL_STATUS_OK; i++)
      status =
          rotate(&w, q, a->runs[r].modules[i], c->seed, adapter_of_layer(a->runs[r].weights, i));
  close_workshop(&w);
  return status;
}

/* ---- Begin and end ---- */

static cdl_status check_groups(const model_adapter *a)
{
  for (size_t r = 0; r < a->run_count; r += runs_of_group(a, r))
    if (runs_of_group(a, r) == 1 && a->runs[r].count == 1)
      return cdl_fail(
          CDL_STATUS_USAGE,
          "condition permuted wants another layer, but %s is adapted in one alone",
          model_family_of(encoder_config(a->encoder)->family)->block->paths[a->runs[r].kind]);
  return CDL_STATUS_OK;
}

static cdl_status read_seed(condition *c, const model_adapter *a)
{
  const json_t *seed = json_object_get(a->config_extra, condition_seed_key);
  if (a->stored != NULL && !json_is_integer(seed))
    return cdl_fail(CDL_STATUS_USAGE,
                    "\"condition\" is \"random\": expected a whole number \"%s\", from which its "
                    "matrices were drawn",
                    condition_seed_key);
  c->seed = (uint64_t)json_integer_value(seed);
  return CDL_STATUS_OK;
}

cdl_status condition_create(condition *c, model_adapter *a, cdl_queue *q)
{
  if (c->kind == CONDITION_WEIGHT)
    return CDL_STATUS_OK;
  CDL_TRY(c->kind == CONDITION_PERMUTED ? check_groups(a) : read_seed(c, a));
  return take_memory(c, a, q);
}

cdl_status condition_begin(condition *c, model_adapter *a, cdl_queue *q)
{
  c->seed = a->seed;
  c->made = false;
  return condition_make(c, a, q);
}

cdl_status condition_make(condition *c, model_adapter *a, cdl_queue *q)
{
  if (c->kind == CONDITION_WEIGHT || c->made)
    return CDL_STATUS_OK;
  c->made = true;
  return c->kind == CONDITION_PERMUTED ? permute(a, q) : draw(c, a, q);
}

json_t *condition_extra(const condition *c)
{
  json_t *extra = json_object();
  if (c->kind == CONDITION_RANDOM)
    base_json_set(&extra, condition_seed_key, json_integer((json_int_t)c->seed));
  return extra;
}

void condition_release(condition *c)
{
  cdl_buffer_destroy(c->buffer);
}
