#include "train/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/safetensors.h"
#include "model/hash.h"
#include "model/json.h"

#define FORMAT "condlora-checkpoint-1"

void cdl_run_state_release(cdl_run_state *s)
{
  json_decref(s->evaluations);
  json_decref(s->settings);
  free(s->kernels);
  *s = (cdl_run_state){0};
}

/* FNV-1a over eight bytes at a time, which is quick enough for whole checkpoints: it is there
 * against torn and decayed files. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t count)
{
  const unsigned char *p = bytes;
  for (; count >= 8; p += 8, count -= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    hash = (hash ^ word) * CDL_FNV_PRIME;
    hash ^= hash >> 32;
  }
  for (; count > 0; p++, count--)
    hash = (hash ^ *p) * CDL_FNV_PRIME;
  return hash;
}

static uint64_t checksum(const char *state_text, const cdl_run_tensors *t)
{
  const size_t bytes = t->values->count * sizeof(float),
               state_bytes = t->values->state_count * sizeof(float);
  uint64_t hash = CDL_FNV_START;
  hash = mix(hash, state_text, strlen(state_text));
  hash = mix(hash, t->values->values, bytes);
  hash = mix(hash, t->best->values, bytes);
  hash = mix(hash, t->moments, 2 * bytes);
  hash = mix(hash, t->values->state, state_bytes);
  return mix(hash, t->best->state, state_bytes);
}

static json_t *state_json(const cdl_run_state *s)
{
  return json_pack("{sI sI sI so sI sI sb sO sO ss}", "step", (json_int_t)s->step, "evaluated_step",
                   (json_int_t)s->evaluated_step, "best_step", (json_int_t)s->best_step,
                   "best_value", isnan(s->best_value) ? json_null() : json_real(s->best_value),
                   "since_best", (json_int_t)s->since_best, "log_bytes", (json_int_t)s->log_bytes,
                   "finished", (int)s->finished, "evaluations", s->evaluations, "settings",
                   s->settings, "kernels", s->kernels);
}

static cdl_stored_tensor vector(const char *name, const float *values, int64_t count)
{
  return (cdl_stored_tensor){
      .name = name, .type = CDL_STORED_F32, .rank = 1, .shape = {count}, .data = values};
}

cdl_status cdl_checkpoint_write(const char *path, const cdl_run_state *state,
                                const cdl_run_tensors *t)
{
  json_t *object = state_json(state);
  char *text = cdl_json_line(object);
  json_decref(object);
  if (text == NULL)
    return cdl_fail(CDL_MEMORY, "%s: out of memory", path);
  char sum[20];
  snprintf(sum, sizeof sum, "%016" PRIx64, checksum(text, t));

  const int64_t count = (int64_t)t->values->count, states = (int64_t)t->values->state_count;
  const cdl_stored_tensor tensors[] = {vector("values", t->values->values, count),
                                       vector("best", t->best->values, count),
                                       {.name = "moments",
                                        .type = CDL_STORED_F32,
                                        .rank = 2,
                                        .shape = {2, count},
                                        .data = t->moments},
                                       vector("state", t->values->state, states),
                                       vector("best state", t->best->state, states)};
  const cdl_metadata metadata[] = {{"format", FORMAT}, {"state", text}, {"checksum", sum}};
  const cdl_status status = cdl_safetensors_write(path, tensors, states > 0 ? 5 : 3, metadata, 3);
  free(text);
  return status;
}

static cdl_status read_tensor(const char *path, const cdl_safetensors *file, const char *name,
                              uint32_t rank, int64_t rows, int64_t count, float *values)
{
  const cdl_stored_tensor *tensor = cdl_safetensors_find(file, name);
  if (tensor == NULL)
    return cdl_fail(CDL_DATA, "%s: the checkpoint has no %s", path, name);
  const int64_t shape[2] = {rows, count};
  return cdl_context(
      cdl_safetensors_read(file, tensor, rank, rank == 2 ? shape : shape + 1, values),
      "the checkpoint is of another run");
}

static cdl_status parse_state(const char *path, const char *text, cdl_run_state *s)
{
  json_t *object = NULL;
  cdl_status status = cdl_json_parse(path, text, strlen(text), &object);
  json_int_t step, evaluated_step, best_step, since_best, log_bytes;
  int finished;
  json_t *best, *evaluations, *settings;
  const char *kernels;
  if (status != CDL_OK)
    return status;
  if (json_unpack(object, "{sI sI sI so sI sI sb so so ss}", "step", &step, "evaluated_step",
                  &evaluated_step, "best_step", &best_step, "best_value", &best, "since_best",
                  &since_best, "log_bytes", &log_bytes, "finished", &finished, "evaluations",
                  &evaluations, "settings", &settings, "kernels", &kernels) != 0)
    status = cdl_fail(CDL_DATA, "%s: the checkpoint's state cannot be read", path);
  else {
    *s = (cdl_run_state){.step = step,
                         .evaluated_step = evaluated_step,
                         .best_step = best_step,
                         .best_value = json_is_real(best) ? json_real_value(best) : NAN,
                         .since_best = since_best,
                         .log_bytes = log_bytes,
                         .finished = finished != 0,
                         .evaluations = json_incref(evaluations),
                         .settings = json_incref(settings),
                         .kernels = strdup(kernels)};
    if (s->kernels == NULL)
      status = cdl_fail(CDL_MEMORY, "%s: out of memory", path);
  }
  json_decref(object);
  return status;
}

static cdl_status load(const char *path, const cdl_safetensors *file, cdl_run_state *state,
                       const cdl_run_tensors *t)
{
  const char *format = cdl_safetensors_metadata(file, "format"),
             *text = cdl_safetensors_metadata(file, "state");
  const char *sum = cdl_safetensors_metadata(file, "checksum");
  if (format == NULL || strcmp(format, FORMAT) != 0 || text == NULL || sum == NULL)
    return cdl_fail(CDL_DATA, "%s: this is no checkpoint of this version (" FORMAT ")", path);
  const int64_t count = (int64_t)t->values->count;
  CDL_TRY(read_tensor(path, file, "values", 1, 0, count, t->values->values));
  CDL_TRY(read_tensor(path, file, "best", 1, 0, count, t->best->values));
  CDL_TRY(read_tensor(path, file, "moments", 2, 2, count, t->moments));
  const int64_t states = (int64_t)t->values->state_count;
  if (states > 0) {
    CDL_TRY(read_tensor(path, file, "state", 1, 0, states, t->values->state));
    CDL_TRY(read_tensor(path, file, "best state", 1, 0, states, t->best->state));
  }
  char present[20];
  snprintf(present, sizeof present, "%016" PRIx64, checksum(text, t));
  if (strcmp(present, sum) != 0)
    return cdl_fail(CDL_DATA, "%s: the checkpoint is damaged: its checksum is %s, its content's %s",
                    path, sum, present);
  return parse_state(path, text, state);
}

cdl_status cdl_checkpoint_load(const char *path, cdl_run_state *state,
                               const cdl_run_tensors *tensors)
{
  *state = (cdl_run_state){0};
  cdl_safetensors *file;
  CDL_TRY(cdl_safetensors_open(path, &file));
  const cdl_status status = load(path, file, state, tensors);
  cdl_safetensors_close(file);
  if (status != CDL_OK)
    cdl_run_state_release(state);
  return status;
}
