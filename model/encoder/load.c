/* Loads an encoder from a Hugging Face folder: reads stored tensors and draws missing heads. */
#include <stdlib.h>
#include <string.h>

#include "condlora/random.h"
#include "model/encoder/state.h"
#include "model/files/checkpoint.h"

static cdl_status read_parameter(const model_checkpoint *checkpoint, model_encoder *e, cdl_queue *q,
                                 const encoder_parameter *p, float *staging)
{
  const int64_t matrix[2] = {p->value.size[2], p->value.size[3]};
  const char *name = encoder_canonical_name(e, p);
  const void *values;
  CDL_TRY(model_checkpoint_view(checkpoint, name, (uint32_t)p->dimensions,
                                p->dimensions == 2 ? matrix : matrix + 1, staging, &values));
  cdl_queue_upload(q, p->value, values, (size_t)cdl_tensor_elements(p->value) * sizeof *staging);
  model_checkpoint_discard(checkpoint, name);
  return cdl_queue_status(q);
}

static void draw_parameter(const model_encoder *e, cdl_queue *q, const encoder_parameter *p,
                           uint64_t seed, float *staging)
{
  /* differs from the layer numbers of adapters, which count from 0 */
  enum { MODEL_VALUES = 0x800000 };
  const int64_t count = cdl_tensor_elements(p->value);
  cdl_random random = cdl_random_start(seed, CDL_RANDOM_INITIAL_VALUES,
                                       (uint32_t)(MODEL_VALUES + (p - e->parameters)), 0);
  for (int64_t i = 0; i < count; i++)
    staging[i] = p->role == ENCODER_ROLE_WEIGHT
                     ? (float)(e->config.initializer_range * cdl_random_normal(&random))
                     : 0;
  cdl_queue_upload(q, p->value, staging, (size_t)count * sizeof *staging);
}

static bool is_pooler(const model_encoder *e, const encoder_parameter *p)
{
  return strncmp(encoder_canonical_name(e, p), "pooler.", strlen("pooler.")) == 0;
}

static bool is_adapted_weight(const model_encoder *e, const encoder_parameter *p)
{
  for (size_t i = 0; i < e->module_count; i++)
    if (cdl_tensor_present(e->modules[i].delta.low_rank.a) &&
        e->modules[i].weight.buffer == p->value.buffer &&
        e->modules[i].weight.offset == p->value.offset)
      return true;
  return false;
}

static cdl_status fill_parameters(const model_checkpoint *checkpoint, model_encoder *e,
                                  cdl_queue *q, uint64_t seed, const encoder_load_report *report,
                                  encoder_load_part part)
{
  int64_t largest = 0;
  for (size_t i = 0; i < e->parameter_count; i++)
    if (cdl_tensor_elements(e->parameters[i].value) > largest)
      largest = cdl_tensor_elements(e->parameters[i].value);
  float *staging = malloc((size_t)(largest + 1) * sizeof *staging);
  if (staging == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a tensor of %lld elements",
                    (long long)largest);
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; status == CDL_STATUS_OK && i < e->parameter_count; i++) {
    const encoder_parameter *p = &e->parameters[i];
    const bool head = model_checkpoint_is_head(p->name), pooler = is_pooler(e, p);
    if (parameter_in_file(p))
      continue;
    if (p == e->tables[EMBEDDING_WORD] &&
        e->config.vocabulary_size != model_checkpoint_config(checkpoint)->vocabulary_size)
      continue;
    if (part == ENCODER_LOAD_HEAD ? !head && !pooler
                                  : part == ENCODER_LOAD_ADAPTED && !is_adapted_weight(e, p))
      continue;
    if ((head && report->fresh_head) || (pooler && report->fresh_pooler))
      draw_parameter(e, q, p, seed, staging);
    else
      status = read_parameter(checkpoint, e, q, p, staging);
  }
  free(staging);
  encoder_weights_changed(e, q, false);
  return status != CDL_STATUS_OK ? status : cdl_queue_status(q);
}

cdl_status encoder_draw_fresh(model_encoder *e, cdl_queue *q, uint64_t seed)
{
  for (size_t i = e->head_parameter; i < e->parameter_count; i++) {
    const encoder_parameter *p = &e->parameters[i];
    if (!(is_pooler(e, p) ? e->fresh_pooler : e->fresh_head))
      continue;
    float *staging = malloc((size_t)cdl_tensor_elements(p->value) * sizeof *staging);
    if (staging == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: initial values of %s", p->name);
    draw_parameter(e, q, p, seed, staging);
    free(staging);
  }
  return cdl_queue_status(q);
}

static encoder_load_report report_of(const model_checkpoint *checkpoint,
                                     const encoder_load_options *options)
{
  return (encoder_load_report){
      .fresh_head = options->fresh_head || model_checkpoint_head_labels(checkpoint) == 0,
      .fresh_pooler = model_family_of(model_checkpoint_config(checkpoint)->family)->pooler &&
                      !model_checkpoint_has_pooler(checkpoint),
      .fingerprint = model_checkpoint_fingerprint(checkpoint)};
}

static cdl_status check_room(const model_encoder *e, const encoder_load_options *options)
{
  const encoder_batch_limits training = options->training, evaluation = options->evaluation;
  if (training.tokens > 0)
    CDL_TRY(encoder_check_room(e, encoder_reached_bytes(e, training), training, true));
  return evaluation.tokens > 0
             ? encoder_check_room(e, encoder_activation_bytes(e, evaluation, false), evaluation,
                                  false)
             : CDL_STATUS_OK;
}

/* *opened becomes NULL if the encoder keeps the checkpoint. */
static cdl_status load(model_checkpoint **opened, cdl_queue *q, const char *folder,
                       const encoder_load_options *options, model_encoder **encoder,
                       encoder_load_report *report)
{
  const model_checkpoint *checkpoint = *opened;
  model_config config = *model_checkpoint_config(checkpoint);
  config.vocabulary_size = options->vocabulary > 0 ? options->vocabulary : config.vocabulary_size;
  const int64_t stored = model_checkpoint_head_labels(checkpoint);
  if (!options->fresh_head)
    CDL_TRY(model_checkpoint_check_head(checkpoint, options->labels));
  if (options->labels == 0 && stored == 0)
    return cdl_fail(
        CDL_STATUS_DATA,
        "%s: the model has no classification head, and no adapter or labels say how large one is",
        folder);
  const int labels = options->labels != 0 ? options->labels : (int)stored;
  *report = report_of(checkpoint, options);
  CDL_TRY(encoder_create_over(q, &config, labels, opened, encoder));
  (*encoder)->fresh_head = report->fresh_head;
  (*encoder)->fresh_pooler = report->fresh_pooler;
  cdl_status status = check_room(*encoder, options);
  if (status == CDL_STATUS_OK)
    status = fill_parameters(checkpoint, *encoder, q, options->seed, report, options->part);
  if (status != CDL_STATUS_OK) {
    encoder_destroy(*encoder);
    *encoder = NULL;
  }
  return status;
}

cdl_status encoder_load(cdl_queue *queue, const char *folder, const encoder_load_options *options,
                        model_encoder **encoder, encoder_load_report *report)
{
  *encoder = NULL;
  model_checkpoint *checkpoint;
  CDL_TRY(model_checkpoint_open(folder, options->config, &checkpoint));
  model_checkpoint *const opened = checkpoint;
  const cdl_status status = load(&checkpoint, queue, folder, options, encoder, report);
  if (status == CDL_STATUS_OK)
    model_checkpoint_note_left_out(opened);
  model_checkpoint_close(checkpoint);
  return status;
}

cdl_status encoder_reload(model_encoder *encoder, cdl_queue *queue, const char *folder,
                          const encoder_load_options *options, uint64_t fingerprint)
{
  model_checkpoint *checkpoint;
  CDL_TRY(model_checkpoint_open(folder, options->config, &checkpoint));
  const encoder_load_report report = report_of(checkpoint, options);
  const cdl_status status =
      report.fingerprint == fingerprint
          ? fill_parameters(checkpoint, encoder, queue, options->seed, &report, options->part)
          : cdl_fail(CDL_STATUS_DATA, "%s: the model has changed since it was loaded", folder);
  model_checkpoint_close(checkpoint);
  return status;
}
