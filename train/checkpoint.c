#include "train/checkpoint.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "condlora/safetensors.h"

#define FORMAT "condlora-checkpoint-1"

void train_run_state_release(train_run_state *s)
{
  json_decref(s->evaluations);
  json_decref(s->settings);
  free(s->kernels);
  *s = (train_run_state){0};
}

/* FNV-1a over eight bytes at a time, which is fast enough for whole checkpoints. It detects torn
 * and decayed files. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t count)
{
  const unsigned char *p = bytes;
  for (; count >= 8; p += 8, count -= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    hash = (hash ^ word) * BASE_FNV_PRIME;
    hash ^= hash >> 32;
  }
  for (; count > 0; p++, count--)
    hash = (hash ^ *p) * BASE_FNV_PRIME;
  return hash;
}

static uint64_t checksum(const char *state_text, const train_run_tensors *t)
{
  const size_t bytes = t->values->count * sizeof(float),
               state_bytes = t->values->state_count * sizeof(float);
  uint64_t hash = BASE_FNV_START;
  hash = mix(hash, state_text, strlen(state_text));
  hash = mix(hash, t->values->values, bytes);
  hash = mix(hash, t->best->values, bytes);
  hash = mix(hash, t->moments, 2 * bytes);
  hash = mix(hash, t->values->state, state_bytes);
  return mix(hash, t->best->state, state_bytes);
}

static json_t *state_json(const train_run_state *s)
{
  return json_pack("{sI sI sI so sI sI sb sO sO ss}", "step", (json_int_t)s->step, "evaluated_step",
                   (json_int_t)s->evaluated_step, "best_step", (json_int_t)s->best_step,
                   "best_value", base_json_number(s->best_value), "since_best",
                   (json_int_t)s->since_best, "log_bytes", (json_int_t)s->log_bytes, "finished",
                   (int)s->finished, "evaluations", s->evaluations, "settings", s->settings,
                   "kernels", s->kernels);
}

static cdl_stored_tensor vector(const char *name, const float *values, int64_t count)
{
  return (cdl_stored_tensor){
      .name = name, .type = CDL_STORED_F32, .rank = 1, .shape = {count}, .data = values};
}

cdl_status train_checkpoint_write(const char *path, const train_run_state *state,
                                  const train_run_tensors *t)
{
  json_t *object = state_json(state);
  char *text = base_json_line(object);
  json_decref(object);
  if (text == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
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
    return cdl_fail(CDL_STATUS_DATA, "%s: the checkpoint has no %s", path, name);
  const int64_t shape[2] = {rows, count};
  return cdl_context(
      cdl_safetensors_read(file, tensor, rank, rank == 2 ? shape : shape + 1, values),
      "the checkpoint is of another run");
}

/* ---- Reading the state: the file can hold anything, because anyone can compute the checksum ----
 */

static cdl_status fail_field(const char *path, const char *key, const char *expected)
{
  return cdl_fail(CDL_STATUS_DATA, "%s: the checkpoint's state: \"%s\": expected %s", path, key,
                  expected);
}

static cdl_status read_whole(const char *path, const json_t *object, const char *key, int64_t high,
                             int64_t *value)
{
  *value = -1;
  CDL_TRY(
      cdl_context(base_json_integer(path, object, key, 0, high, value), "the checkpoint's state"));
  return *value >= 0 ? CDL_STATUS_OK : fail_field(path, key, "a whole number");
}

static bool is_plain(const char *text)
{
  for (; *text != '\0'; text++)
    if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
      return false;
  return true;
}

/* {"step": 20, "epoch": 2.0, "split": "valid", "loss": 0.5, …}, as train/trainer.c writes it. */
static cdl_status check_evaluation(const char *path, const json_t *entry, int64_t after,
                                   int64_t last)
{
  const json_t *step = json_object_get(entry, "step");
  const char *split = json_string_value(json_object_get(entry, "split")), *key;
  json_t *value;
  if (!json_is_integer(step) || json_integer_value(step) <= after ||
      json_integer_value(step) > last)
    return fail_field(path, "evaluations", "steps in ascending order, up to \"evaluated_step\"");
  if (split == NULL || (strcmp(split, "valid") != 0 && strcmp(split, "dev") != 0))
    return fail_field(path, "evaluations", "the split valid or dev in each");
  if (!json_is_number(json_object_get(entry, "epoch")))
    return fail_field(path, "evaluations", "an epoch in each");
  json_object_foreach((json_t *)(uintptr_t)entry, key, value)
  {
    if (strcmp(key, "split") != 0 && !json_is_number(value) && !json_is_null(value))
      return fail_field(path, "evaluations", "numbers");
  }
  return CDL_STATUS_OK;
}

/* Checks each evaluation, and the other fields against them. */
static cdl_status check_evaluations(const char *path, const train_run_state *s)
{
  int64_t latest = 0, since_best = 0;
  bool has_best = s->best_step == 0;
  size_t i;
  json_t *entry;
  json_array_foreach(s->evaluations, i, entry)
  {
    CDL_TRY(check_evaluation(path, entry, latest, s->evaluated_step));
    latest = json_integer_value(json_object_get(entry, "step"));
    has_best = has_best || latest == s->best_step;
    since_best += latest > s->best_step;
  }
  if (latest != s->evaluated_step)
    return fail_field(path, "evaluated_step", "the step of the last evaluation");
  if (!has_best)
    return fail_field(path, "best_step", "the step of an evaluation, or 0");
  if ((s->best_step > 0) != !isnan(s->best_value))
    return fail_field(path, "best_value", "a number where there is a best step, else null");
  if (since_best != s->since_best)
    return fail_field(path, "since_best", "the number of evaluations after the best");
  return CDL_STATUS_OK;
}

static cdl_status read_state(const char *path, const json_t *object, int64_t steps,
                             train_run_state *s)
{
  json_t *evaluations = json_object_get(object, "evaluations"),
         *settings = json_object_get(object, "settings");
  const json_t *best = json_object_get(object, "best_value"),
               *finished = json_object_get(object, "finished");
  const char *kernels = json_string_value(json_object_get(object, "kernels"));
  *s = (train_run_state){.best_value = json_is_number(best) ? json_number_value(best) : NAN,
                         .finished = json_is_true(finished)};
  CDL_TRY(read_whole(path, object, "step", steps, &s->step));
  CDL_TRY(read_whole(path, object, "evaluated_step", s->step, &s->evaluated_step));
  CDL_TRY(read_whole(path, object, "best_step", s->evaluated_step, &s->best_step));
  CDL_TRY(read_whole(path, object, "since_best", s->step, &s->since_best));
  CDL_TRY(read_whole(path, object, "log_bytes", INT64_MAX, &s->log_bytes));
  if (best == NULL || (!json_is_number(best) && !json_is_null(best)))
    return fail_field(path, "best_value", "a number or null");
  if (!json_is_boolean(finished) || (s->finished && s->step == 0))
    return fail_field(path, "finished", "true or false, and false before the first step");
  if (!json_is_array(evaluations))
    return fail_field(path, "evaluations", "an array");
  if (!json_is_object(settings))
    return fail_field(path, "settings", "an object");
  if (kernels == NULL || !is_plain(kernels))
    return fail_field(path, "kernels", "a line of text");
  s->evaluations = json_incref(evaluations);
  s->settings = json_incref(settings);
  s->kernels = strdup(kernels);
  if (s->kernels == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  return check_evaluations(path, s);
}

static cdl_status parse_state(const char *path, const char *text, int64_t steps, train_run_state *s)
{
  json_t *object;
  CDL_TRY(
      cdl_context(base_json_parse(path, text, strlen(text), &object), "the checkpoint's state"));
  const cdl_status status = read_state(path, object, steps, s);
  json_decref(object);
  return status;
}

/* Training never saves a value that is not finite, nor a second moment (a mean of squares) below
 * 0. */
static cdl_status check_tensor(const char *path, const char *name, const float *values,
                               size_t count, float low)
{
  for (size_t i = 0; i < count; i++)
    if (!(values[i] >= low && values[i] <= FLT_MAX))
      return cdl_fail(CDL_STATUS_DATA, "%s: the checkpoint's tensor \"%s\": number %zu is %g", path,
                      name, i, (double)values[i]);
  return CDL_STATUS_OK;
}

static cdl_status check_tensors(const char *path, const train_run_tensors *t)
{
  const size_t count = t->values->count, states = t->values->state_count;
  CDL_TRY(check_tensor(path, "values", t->values->values, count, -FLT_MAX));
  CDL_TRY(check_tensor(path, "best", t->best->values, count, -FLT_MAX));
  CDL_TRY(check_tensor(path, "moments", t->moments, count, -FLT_MAX));
  CDL_TRY(check_tensor(path, "moments", t->moments + count, count, 0));
  CDL_TRY(check_tensor(path, "state", t->values->state, states, -FLT_MAX));
  return check_tensor(path, "best state", t->best->state, states, -FLT_MAX);
}

static cdl_status load(const char *path, const cdl_safetensors *file, int64_t steps,
                       train_run_state *state, const train_run_tensors *t)
{
  const char *format = cdl_safetensors_metadata(file, "format"),
             *text = cdl_safetensors_metadata(file, "state");
  const char *sum = cdl_safetensors_metadata(file, "checksum");
  if (format == NULL || strcmp(format, FORMAT) != 0 || text == NULL || sum == NULL)
    return cdl_fail(CDL_STATUS_DATA, "%s: this is no checkpoint of this version (" FORMAT ")",
                    path);
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
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: the checkpoint is damaged: its checksum is %s, its content's %s", path,
                    sum, present);
  CDL_TRY(parse_state(path, text, steps, state));
  return check_tensors(path, t);
}

cdl_status train_checkpoint_load(const char *path, int64_t steps, train_run_state *state,
                                 const train_run_tensors *tensors)
{
  *state = (train_run_state){0};
  cdl_safetensors *file;
  CDL_TRY(cdl_safetensors_open(path, &file));
  const cdl_status status = load(path, file, steps, state, tensors);
  cdl_safetensors_close(file);
  if (status != CDL_STATUS_OK)
    train_run_state_release(state);
  return status;
}
