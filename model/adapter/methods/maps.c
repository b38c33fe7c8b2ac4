#include "model/adapter/methods/maps.h"

#include <stdlib.h>

#include "model/encoder/layout.h"

/* ---- Weights in BF16 ---- */

static bool is_trained(const model_adapter *a, cdl_tensor weight)
{
  for (size_t i = 0; i < a->trained_count; i++)
    if (a->trained[i]->value.buffer == weight.buffer &&
        a->trained[i]->value.offset == weight.offset)
      return true;
  return false;
}

/* Whether the backend has both ops for the run's weights in BF16, and these are never trained. */
static bool takes_narrow(const model_adapter *a, cdl_backend *backend, const layer_batch *run)
{
  const bool transposed = a->orientation == ADAPTER_ORIENTATION_REFERENCE;
  cdl_tensor weight = run->weights;
  weight.dtype = CDL_DTYPE_BF16;
  for (int i = 0; i < run->count; i++)
    if (is_trained(a, run->modules[i]->weight))
      return false;
  return cdl_op_path(backend, CDL_OP_map_weights,
                     CDL_ARGS(map_weights, .a = run->a, .b = run->b, .theta_a = run->a,
                              .theta_b = run->a, .weight = weight, .transposed = transposed)) ==
             CDL_PATH_NATIVE &&
         cdl_op_path(backend, CDL_OP_map_weights_grad,
                     CDL_ARGS(map_weights_grad, .d_theta_a = run->a, .d_theta_b = run->a,
                              .d_a = run->d_a, .d_b = run->d_b, .weight = weight,
                              .transposed = transposed)) == CDL_PATH_NATIVE;
}

cdl_status maps_create(maps *m, const model_adapter *a, cdl_queue *q)
{
  cdl_backend *backend = cdl_queue_backend(q);
  int64_t used = 0;
  m->parameters = calloc(a->run_count + 1, sizeof *m->parameters);
  if (m->parameters == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter's parameters");
  if (encoder_activation_dtype(a->encoder) != CDL_DTYPE_BF16)
    return CDL_STATUS_OK;
  for (size_t r = 0; r < a->run_count; r++) {
    if (!takes_narrow(a, backend, &a->runs[r]))
      return CDL_STATUS_OK;
    used += encoder_aligned(cdl_tensor_elements(a->runs[r].weights));
  }
  if (used == 0)
    return CDL_STATUS_OK;
  m->weights = calloc(a->run_count, sizeof *m->weights);
  if (m->weights == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter's weights");
  CDL_TRY(cdl_buffer_create(backend, (size_t)used * cdl_dtype_bytes(CDL_DTYPE_BF16), &m->buffer));
  used = 0;
  for (size_t r = 0; r < a->run_count; r++) {
    const layer_batch *run = &a->runs[r];
    m->weights[r] = cdl_tensor_3d(m->buffer, CDL_DTYPE_BF16, used, run->count, run->weights.size[2],
                                  run->weights.size[3]);
    used += encoder_aligned(cdl_tensor_elements(run->weights));
  }
  return CDL_STATUS_OK;
}

void maps_release(maps *m)
{
  cdl_buffer_destroy(m->buffer);
  free(m->weights);
  free(m->parameters);
  *m = (maps){0};
}

/* The first call converts them, because the weights may be set after the adapter is attached. */
static void make_weights(maps *m, const model_adapter *a, cdl_queue *q)
{
  for (size_t r = 0; !m->made && m->weights != NULL && r < a->run_count; r++)
    cdl_cast(q, CDL_ARGS(cast, .out = m->weights[r], .x = a->runs[r].weights));
  m->made = true;
}

/* ---- Runs in one call ---- */

enum { TENSORS = 9 };

/* All tensors of a run that a call or its gradient takes. Absent ones are equal. */
typedef struct {
  cdl_tensor weight, a, b, d_a, d_b, theta_a, theta_b, gradient_a, gradient_b;
} run_tensors;

static run_tensors tensors_of(const maps *m, const model_adapter *a, size_t r)
{
  const layer_batch *run = &a->runs[r];
  const map_parameters *p = &m->parameters[r];
  return (run_tensors){.weight = m->weights != NULL ? m->weights[r] : run->weights,
                       .a = run->a,
                       .b = run->b,
                       .d_a = run->d_a,
                       .d_b = run->d_b,
                       .theta_a =
                           p->a.size[1] == run->count ? p->a : adapter_repeated(p->a, run->count),
                       .theta_b = adapter_repeated(p->b, run->count),
                       .gradient_a = p->gradient_a,
                       .gradient_b = p->gradient_b};
}

static void list_tensors(run_tensors *t, cdl_tensor *list[TENSORS])
{
  cdl_tensor *const all[TENSORS] = {&t->weight,  &t->a,          &t->b,
                                    &t->d_a,     &t->d_b,        &t->theta_a,
                                    &t->theta_b, &t->gradient_a, &t->gradient_b};
  for (int i = 0; i < TENSORS; i++)
    list[i] = all[i];
}

/* Makes `next` matrix `joined` of the batch's first dimension, if its tensors lie as far from the
 * last ones as these from those before. */
static bool join(run_tensors *batch, run_tensors *next, int64_t joined)
{
  cdl_tensor *to[TENSORS], *from[TENSORS];
  list_tensors(batch, to);
  list_tensors(next, from);
  for (int i = 0; i < TENSORS; i++) {
    const int64_t distance = from[i]->offset - to[i]->offset;
    bool fits = from[i]->buffer == to[i]->buffer && (distance > 0 || !cdl_tensor_present(*to[i])) &&
                (joined == 1 || distance == joined * to[i]->stride[0]);
    for (int d = 1; d < 4; d++)
      fits = fits && from[i]->size[d] == to[i]->size[d] && from[i]->stride[d] == to[i]->stride[d];
    if (!fits)
      return false;
  }
  for (int i = 0; i < TENSORS; i++) {
    to[i]->stride[0] = (from[i]->offset - to[i]->offset) / joined;
    to[i]->size[0] = joined + 1;
  }
  return true;
}

/* Gives the tensors of run *r and of as many after it as one call takes, and moves *r past them. */
static run_tensors next_batch(const maps *m, const model_adapter *a, size_t *r)
{
  run_tensors batch = tensors_of(m, a, (*r)++);
  for (int64_t joined = 1; *r < a->run_count; joined++, (*r)++) {
    run_tensors next = tensors_of(m, a, *r);
    if (!join(&batch, &next, joined))
      break;
  }
  return batch;
}

/* ---- The passes ---- */

void maps_forward(maps *m, const model_adapter *a, cdl_queue *q, bool accumulate)
{
  make_weights(m, a, q);
  for (size_t r = 0; r < a->run_count;) {
    const run_tensors t = next_batch(m, a, &r);
    cdl_map_weights(q, CDL_ARGS(map_weights, .a = t.a, .b = t.b, .theta_a = t.theta_a,
                                .theta_b = t.theta_b, .weight = t.weight,
                                .transposed = a->orientation == ADAPTER_ORIENTATION_REFERENCE,
                                .accumulate = accumulate));
  }
}

void maps_backward(const maps *m, const model_adapter *a, cdl_queue *q)
{
  for (size_t r = 0; r < a->run_count;) {
    const run_tensors t = next_batch(m, a, &r);
    cdl_map_weights_grad(
        q, CDL_ARGS(map_weights_grad, .d_theta_a = t.gradient_a, .d_theta_b = t.gradient_b,
                    .d_a = t.d_a, .d_b = t.d_b, .weight = t.weight,
                    .transposed = a->orientation == ADAPTER_ORIENTATION_REFERENCE));
  }
}
