/* AdaLoRA (Zhang et al. 2023) as in PEFT 0.17. The update of each adapted layer is P diag(Λ) Q, and
 * training moves ranks to the layers where they matter most. In PEFT's names lora_B is P, lora_E is
 * Λ and lora_A is Q. */
#include <stdlib.h>
#include <string.h>

#include "model/adapter/methods/triplets.h"
#include "model/encoder/layout.h"

/* The method's state. Parameters are in batches: P of all layers of a batch, then their Λ, then
 * their Q. */
typedef struct {
  triplets triplets;
  cdl_tensor *scaled, *d_scaled; /* [count, rank, in] per batch: A_l = diag(Λ) Q */
  size_t *first_parameter;       /* of each batch */
} adalora;

/* ---- Parameters ---- */

static int64_t stored_rank(const model_adapter *a, const triplets *t, size_t module)
{
  const int64_t initial = a->per_module[module].rank;
  int64_t rank = 0;
  for (int64_t k = 0; k < initial; k++)
    rank += t->stored[(int64_t)module * initial + k];
  return rank;
}

static bool same_shape(const model_adapter *a, size_t x, size_t y)
{
  const cdl_tensor u = a->modules[x]->weight, v = a->modules[y]->weight;
  return u.size[2] == v.size[2] && u.size[3] == v.size[3] &&
         a->per_module[x].rank == a->per_module[y].rank;
}

/* Layers of the same shape and rank form a batch, wherever they are. */
static cdl_status make_batches(model_adapter *a, triplets *t)
{
  bool *done = calloc(a->module_count + 1, sizeof *done);
  if (done == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu layers", a->module_count);
  size_t used = 0;
  for (size_t i = 0; i < a->module_count; i++) {
    if (done[i])
      continue;
    triplet_batch *b = &t->batches[t->batch_count++];
    *b = (triplet_batch){.modules = t->batch_modules + used, .rank = a->per_module[i].rank};
    for (size_t j = i; j < a->module_count; j++)
      if (!done[j] && same_shape(a, i, j)) {
        done[j] = true;
        t->batch_modules[used++] = j;
        b->count++;
      }
  }
  free(done);
  return CDL_STATUS_OK;
}

static cdl_status list_batch(model_adapter *a, triplet_batch *b)
{
  const cdl_tensor weight = a->modules[b->modules[0]]->weight;
  const struct {
    const char *ending;
    int64_t rows, columns;
  } parts[TRIPLET_PARTS] = {[TRIPLET_P] = {"lora_B", weight.size[2], b->rank},
                            [TRIPLET_LAMBDA] = {"lora_E", b->rank, 1},
                            [TRIPLET_Q] = {"lora_A", b->rank, weight.size[3]}};
  for (triplet_part p = TRIPLET_P; p < TRIPLET_PARTS; p++)
    for (int i = 0; i < b->count; i++)
      CDL_TRY(adapter_add_parameter(a, ENCODER_ROLE_WEIGHT, parts[p].rows, parts[p].columns,
                                    "%s.%s", a->modules[b->modules[i]]->path, parts[p].ending));
  return CDL_STATUS_OK;
}

/* Lays out a tensor for each batch from `used` on, and returns where they end. */
static int64_t lay_out(cdl_tensor *scaled, const model_adapter *a, cdl_buffer *buffer, int64_t used)
{
  const triplets *t = &((const adalora *)a->own_state)->triplets;
  for (size_t i = 0; i < t->batch_count; i++) {
    const triplet_batch *b = &t->batches[i];
    scaled[i] = cdl_tensor_3d(buffer, CDL_DTYPE_F32, used, b->count, b->rank,
                              a->modules[b->modules[0]]->weight.size[3]);
    used += encoder_aligned(cdl_tensor_elements(scaled[i]));
  }
  return used;
}

static cdl_status parameters(model_adapter *a)
{
  adalora *own = calloc(1, sizeof *own);
  if (own == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter");
  a->own_state = own;
  triplets *t = &own->triplets;
  t->pattern_ending = ".lora_E";
  CDL_TRY(triplets_prepare(a, t));
  for (size_t i = 0; i < a->module_count; i++)
    a->per_module[i].rank = stored_rank(a, t, i);
  CDL_TRY(make_batches(a, t));
  own->scaled = calloc(2 * t->batch_count + 1, sizeof *own->scaled);
  own->first_parameter = calloc(t->batch_count + 1, sizeof *own->first_parameter);
  if (own->scaled == NULL || own->first_parameter == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter");
  own->d_scaled = own->scaled + t->batch_count;
  a->d_derived_count = lay_out(own->d_scaled, a, NULL, 0);
  int64_t values = 0;
  for (size_t i = 0; i < t->batch_count; i++) {
    triplet_batch *b = &t->batches[i];
    own->first_parameter[i] = a->own_count;
    CDL_TRY(list_batch(a, b));
    for (size_t p = own->first_parameter[i]; p < a->own_count; p++) {
      if (p == own->first_parameter[i] + (size_t)b->count)
        b->stored_lambda = values;
      values += cdl_tensor_elements(a->own_parameters[p].value);
    }
  }
  return CDL_STATUS_OK;
}

static void release(model_adapter *a)
{
  adalora *own = a->own_state;
  if (own == NULL)
    return;
  triplets_release(&own->triplets);
  free(own->scaled);
  free(own->first_parameter);
  free(own);
}

/* Returns which part of a batch a parameter is. */
static triplet_part part_of(const adalora *own, size_t index, size_t *batch, int *layer)
{
  *batch = own->triplets.batch_count - 1;
  while (index < own->first_parameter[*batch])
    --*batch;
  const size_t place = index - own->first_parameter[*batch],
               count = (size_t)own->triplets.batches[*batch].count;
  *layer = (int)(place % count);
  return (triplet_part)(place / count);
}

/* P and Q from N(0, 0.02²), Λ zero; the reference draws Λ too. */
static void initialize(const model_adapter *a, size_t index, cdl_random *random, float *values,
                       int64_t count)
{
  size_t batch;
  int layer;
  const bool zero =
      part_of(a->own_state, index, &batch, &layer) == TRIPLET_LAMBDA && !a->reference_compat;
  for (int64_t i = 0; i < count; i++)
    values[i] = zero ? 0 : (float)(cdl_random_normal(random) * 0.02);
}

/* ---- Deltas ---- */

/* Returns `count` parameters of the same shape, which are equally spaced, as a batch. */
static cdl_tensor joined(cdl_tensor first, int count)
{
  first.size[1] = count;
  first.stride[1] = encoder_aligned(cdl_tensor_elements(first) / count);
  first.stride[0] = count * first.stride[1];
  return first;
}

static cdl_status allocate_scaled(model_adapter *a, cdl_queue *q, adalora *own)
{
  if (a->d_derived_count == 0)
    return CDL_STATUS_OK;
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(q), (size_t)a->d_derived_count * sizeof(float),
                            &a->derived_buffer));
  lay_out(own->scaled, a, a->derived_buffer, 0);
  lay_out(own->d_scaled, a, a->d_derived.buffer, a->d_derived.offset);
  return CDL_STATUS_OK;
}

static cdl_status attach(model_adapter *a, cdl_queue *q)
{
  adalora *own = a->own_state;
  triplets *t = &own->triplets;
  CDL_TRY(triplets_allocate(a, q, t));
  CDL_TRY(allocate_scaled(a, q, own));
  for (size_t i = 0; i < t->batch_count; i++) {
    triplet_batch *b = &t->batches[i];
    for (triplet_part p = TRIPLET_P; p < TRIPLET_PARTS && b->rank > 0; p++) {
      const encoder_parameter *first =
          &a->own_parameters[own->first_parameter[i] + (size_t)p * (size_t)b->count];
      b->value[p] = joined(first->value, b->count);
      b->gradient[p] = joined(first->gradient, b->count);
    }
    for (int layer = 0; layer < b->count && b->rank > 0; layer++) {
      const size_t module = b->modules[layer];
      a->modules[module]->delta =
          (encoder_delta){.dropout = a->dropout,
                          .low_rank = {.a = adapter_of_layer(own->scaled[i], layer),
                                       .b = adapter_of_layer(b->value[TRIPLET_P], layer),
                                       .d_a = adapter_of_layer(own->d_scaled[i], layer),
                                       .d_b = adapter_of_layer(b->gradient[TRIPLET_P], layer),
                                       .scale = a->per_module[module].scale}};
    }
  }
  return cdl_queue_status(q);
}

/* A_l = diag(Λ) Q */
static void materialize(model_adapter *a, cdl_queue *q)
{
  const adalora *own = a->own_state;
  const triplets *t = &own->triplets;
  for (size_t i = 0; i < t->batch_count; i++)
    if (t->batches[i].rank > 0)
      triplets_scale_rows(t, q, own->scaled[i], t->batches[i].value[TRIPLET_Q],
                          t->batches[i].value[TRIPLET_LAMBDA], false);
}

/* dΛ_i += ⟨dA_i, Q_i⟩,  dQ += diag(Λ) dA */
static void pull_back(model_adapter *a, cdl_queue *q)
{
  const adalora *own = a->own_state;
  const triplets *t = &own->triplets;
  for (size_t i = 0; i < t->batch_count; i++) {
    const triplet_batch *b = &t->batches[i];
    if (b->rank == 0)
      continue;
    triplets_row_dots(t, q, b->gradient[TRIPLET_LAMBDA], own->d_scaled[i], b->value[TRIPLET_Q],
                      true);
    triplets_scale_rows(t, q, b->gradient[TRIPLET_Q], own->d_scaled[i], b->value[TRIPLET_LAMBDA],
                        true);
  }
}

static void extra_loss(model_adapter *a, cdl_queue *q, cdl_tensor loss)
{
  adalora *own = a->own_state;
  triplets_penalty(a, &own->triplets, q, loss, true);
}

/* Triplets that are not chosen lose only their Λ, which may grow again until the next choice. */
static cdl_status after_step(model_adapter *a, cdl_queue *q, int64_t step, cdl_tensor factor)
{
  adalora *own = a->own_state;
  triplets *t = &own->triplets;
  bool masked;
  CDL_TRY(triplets_after_step(a, t, q, step, factor, &masked));
  for (size_t i = 0; i < t->batch_count && masked; i++)
    if (t->batches[i].rank > 0) {
      const cdl_tensor lambda = t->batches[i].value[TRIPLET_LAMBDA];
      cdl_binary(q, CDL_ARGS(binary, .out = lambda, .x = lambda, .y = t->batches[i].mask,
                             .function = CDL_BINARY_MULTIPLY));
    }
  return cdl_queue_status(q);
}

/* ---- Files ---- */

/* Stores rows of Λ and Q, and columns of P, of the triplets that were kept. */
static cdl_status store(const model_adapter *a, const adapter_snapshot *snapshot, size_t index,
                        stored_values *stored)
{
  const adalora *own = a->own_state;
  const triplets *t = &own->triplets;
  size_t batch;
  int layer;
  const triplet_part part = part_of(own, index, &batch, &layer);
  const triplet_batch *b = &t->batches[batch];
  int64_t kept = 0, next = 0;
  for (int64_t k = 0; k < b->rank; k++)
    kept += triplets_kept(t, snapshot, b, layer, k);
  if (!triplets_chosen(t, snapshot) || kept == b->rank)
    return CDL_STATUS_OK;
  const float *values = snapshot->values;
  for (size_t i = 0; i < index; i++)
    values += cdl_tensor_elements(a->own_parameters[i].value);
  const bool columns = part == TRIPLET_P;
  const int64_t length = cdl_tensor_elements(a->own_parameters[index].value) / b->rank;
  *stored = (stored_values){.rows = columns ? length : kept,
                            .columns = columns ? kept : length,
                            .values = malloc((size_t)(kept * length + 1) * sizeof(float))};
  if (stored->values == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", a->own_parameters[index].name);
  for (int64_t k = 0; k < b->rank; k++)
    if (triplets_kept(t, snapshot, b, layer, k)) {
      for (int64_t i = 0; i < length; i++)
        if (columns)
          stored->values[i * kept + next] = values[i * b->rank + k];
        else
          stored->values[next * length + i] = values[k * length + i];
      next++;
    }
  return CDL_STATUS_OK;
}

/* True for P, which PEFT calls lora_B. */
static bool takes_ratio(const model_adapter *a, size_t index)
{
  size_t batch;
  int layer;
  return part_of(a->own_state, index, &batch, &layer) == TRIPLET_P;
}

/* Settings of LoRA that PEFT accepts in a config of AdaLoRA but ignores in its layers: the scale
 * follows lora_alpha, and initial values are AdaLoRA's. */
static const char *const void_keys[] = {"alpha_pattern", "init_lora_weights", "lora_bias",
                                        "use_rslora", NULL};

static const adapter_update_names update_names = {.down = ".lora_A",
                                                  .up = ".lora_B",
                                                  .table_down = ".lora_embedding_A",
                                                  .table_up = ".lora_embedding_B",
                                                  .middle = ".lora_E"};

const adapter_method adapter_method_adalora = {.name = "adalora",
                                               .peft_type = "ADALORA",
                                               .has = ADAPTER_HAS_ALPHA | ADAPTER_HAS_DROPOUT,
                                               .lack_reason = triplet_lack_reason,
                                               .keys = &triplet_keys,
                                               .void_keys = void_keys,
                                               .update_names = &update_names,
                                               .module_ending = ".lora_A",
                                               .scale = triplets_scale,
                                               .takes_ratio = takes_ratio,
                                               .options = triplet_options,
                                               .config_extra_keys = triplet_extra_keys,
                                               .reference_targets = "query,key,value,dense",
                                               .parameters = parameters,
                                               .initialize = initialize,
                                               .attach = attach,
                                               .release = release,
                                               .materialize = materialize,
                                               .pull_back = pull_back,
                                               .begin_run = triplets_begin_run,
                                               .extra_loss = extra_loss,
                                               .after_step = after_step,
                                               .state = triplets_state,
                                               .store = store,
                                               .config_extra = triplets_extra};
