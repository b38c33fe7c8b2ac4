#include "tools/analysis/adapted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/log.h"
#include "model/files/family.h"

static bool ends_with_module(const char *path, const char *end)
{
  const size_t n = strlen(path), m = strlen(end);
  return m <= n && strcmp(path + n - m, end) == 0 && (m == n || path[n - m - 1] == '.');
}

static bool wants_target(const analysis_selection *s, const char *name)
{
  for (size_t i = 0; i < s->target_count; i++)
    if (ends_with_module(name, s->targets[i]))
      return true;
  return s->target_count == 0;
}

static bool wants_layer(const analysis_selection *s, int number)
{
  for (size_t i = 0; i < s->layer_count; i++)
    if (s->layers[i] == number)
      return true;
  return s->layer_count == 0;
}

/* Reports targets and layers of the selection that match nothing. */
static cdl_status check_found(const analysis_selection *s, const analysis_adapted *a)
{
  for (size_t i = 0; i < s->target_count; i++) {
    bool found = false;
    for (size_t t = 0; t < a->count; t++)
      found = found || ends_with_module(a->targets[t].name, s->targets[i]);
    if (!found)
      return cdl_fail(CDL_STATUS_USAGE, "--targets: no layer that can be looked at is called %s",
                      s->targets[i]);
  }
  for (size_t i = 0; i < s->layer_count; i++) {
    bool found = false;
    for (size_t t = 0; t < a->count; t++)
      for (int l = 0; l < a->targets[t].count; l++)
        found = found || a->targets[t].layers[l].number == s->layers[i];
    if (!found)
      return cdl_fail(CDL_STATUS_USAGE, "--layers: there is no layer %lld to look at",
                      (long long)s->layers[i]);
  }
  return CDL_STATUS_OK;
}

static cdl_status add_layer(analysis_adapted *a, const char *name, const encoder_module *module,
                            analysis_adapted_layer **layer)
{
  size_t t = 0;
  while (t < a->count && strcmp(a->targets[t].name, name) != 0)
    t++;
  if (t == a->count) {
    analysis_adapted_target *grown = realloc(a->targets, (t + 1) * sizeof *grown);
    if (grown == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu targets", t + 1);
    a->targets = grown;
    grown[t] = (analysis_adapted_target){.rows = module->weight.size[2],
                                         .columns = module->weight.size[3]};
    strncpy(grown[t].name, name, sizeof grown[t].name - 1);
    a->count++;
  }
  analysis_adapted_target *target = &a->targets[t];
  analysis_adapted_layer *grown =
      realloc(target->layers, (size_t)(target->count + 1) * sizeof *target->layers);
  if (grown == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d layers", target->count + 1);
  target->layers = grown;
  *layer = &grown[target->count++];
  **layer = (analysis_adapted_layer){.number = module->layer, .module = module};
  return CDL_STATUS_OK;
}

/* Collects the modules of the selection. With a queue, it takes adapted ones only and reads their A
 * and B. */
static cdl_status collect(model_encoder *encoder, cdl_queue *queue,
                          const analysis_selection *selection, analysis_adapted *a)
{
  const model_block_names *names = model_family_of(encoder_config(encoder)->family)->block;
  bool adapted = false, gain = false;
  for (size_t i = 0; i < encoder_module_count(encoder); i++) {
    const encoder_module *module = &encoder_modules(encoder)[i];
    if (module->layer < 0 || (queue != NULL && !cdl_tensor_present(module->delta.low_rank.a)))
      continue;
    adapted = true;
    if (!wants_target(selection, names->paths[module->kind]) ||
        !wants_layer(selection, module->layer))
      continue;
    analysis_adapted_layer *layer = NULL;
    CDL_TRY(add_layer(a, names->paths[module->kind], module, &layer));
    if (queue == NULL)
      continue;
    gain = gain || cdl_tensor_present(module->delta.gain.value);
    CDL_TRY(analysis_matrix_read(queue, module->delta.low_rank.a, &layer->a));
    CDL_TRY(analysis_matrix_read(queue, module->delta.low_rank.b, &layer->b));
  }
  if (!adapted)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "the adapter has no low-rank update of a layer inside the blocks");
  if (gain)
    cdl_log(CDL_LOG_NOTICE, "DoRA's gains are left out: B A is what is looked at");
  return check_found(selection, a);
}

static cdl_status freed_unless_ok(analysis_adapted *adapted, cdl_status status)
{
  if (status != CDL_STATUS_OK)
    analysis_adapted_free(adapted);
  return status;
}

cdl_status analysis_adapted_read(model_encoder *encoder, cdl_queue *queue,
                                 const analysis_selection *selection, analysis_adapted *adapted)
{
  *adapted = (analysis_adapted){0};
  return freed_unless_ok(adapted, collect(encoder, queue, selection, adapted));
}

cdl_status analysis_adapted_modules(model_encoder *encoder, const analysis_selection *selection,
                                    analysis_adapted *adapted)
{
  *adapted = (analysis_adapted){0};
  if (selection->target_count > 0)
    return freed_unless_ok(adapted, collect(encoder, NULL, selection, adapted));
  char usual[MODEL_NAME_BYTES];
  const char *names[MODEL_MODULES_PER_BLOCK];
  analysis_selection s = *selection;
  snprintf(usual, sizeof usual, "%s", model_family_of(encoder_config(encoder)->family)->targets);
  s.targets = names;
  char *rest = usual;
  for (char *name; (name = strsep(&rest, ",")) != NULL && s.target_count < MODEL_MODULES_PER_BLOCK;)
    names[s.target_count++] = name;
  return freed_unless_ok(adapted, collect(encoder, NULL, &s, adapted));
}

void analysis_adapted_free(analysis_adapted *adapted)
{
  for (size_t t = 0; t < adapted->count; t++) {
    for (int l = 0; l < adapted->targets[t].count; l++) {
      analysis_matrix_free(&adapted->targets[t].layers[l].a);
      analysis_matrix_free(&adapted->targets[t].layers[l].b);
    }
    free(adapted->targets[t].layers);
  }
  free(adapted->targets);
  *adapted = (analysis_adapted){0};
}

cdl_status analysis_each_target(const analysis_adapted *adapted, void *results, size_t result_bytes,
                                analysis_of_target *compute, void *work)
{
  if (results == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu targets", adapted->count);
  for (size_t t = 0; t < adapted->count; t++)
    CDL_TRY(compute(work, &adapted->targets[t], t, (char *)results + t * result_bytes));
  return CDL_STATUS_OK;
}

int *analysis_layer_numbers(const analysis_adapted_target *target)
{
  int *numbers = calloc((size_t)target->count + 1, sizeof *numbers);
  for (int l = 0; numbers != NULL && l < target->count; l++)
    numbers[l] = target->layers[l].number;
  return numbers;
}

cdl_status analysis_adapted_weight(cdl_queue *queue, const analysis_adapted_layer *layer,
                                   analysis_matrix *weight)
{
  return analysis_matrix_read(queue, layer->module->weight, weight);
}
