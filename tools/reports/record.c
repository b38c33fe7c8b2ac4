#include "tools/reports/record.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/path.h"
#include "tools/reports/numbers.h"
#include "tools/reports/record_file.h"

static const char *const role_names[] = {
    [REPORT_ROLE_SEARCH] = "search", [REPORT_ROLE_REPORT] = "report"};

static cdl_status no_memory(const char *path)
{
  return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

/* ---- Keys ---- */

static uint64_t hash_text(uint64_t hash, const char *text)
{
  return base_fnv(hash, text, strlen(text) + 1);
}

static int compare_names(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Hashes names and values in the order of the names: settings are a set. */
static uint64_t hash_settings(uint64_t hash, const json_t *settings)
{
  const size_t count = json_object_size(settings);
  const char **names = calloc(count + 1, sizeof *names);
  size_t used = 0;
  const char *name;
  json_t *value;
  if (names == NULL)
    return hash;
  json_object_foreach((json_t *)(uintptr_t)settings, name, value) names[used++] = name;
  qsort(names, used, sizeof *names, compare_names);
  for (size_t i = 0; i < used; i++) {
    char *text = base_json_line(json_object_get(settings, names[i]));
    hash = hash_text(hash_text(hash, names[i]), text != NULL ? text : "");
    free(text);
  }
  free(names);
  return hash;
}

uint64_t report_record_key(const report_record *r)
{
  const uint64_t numbers[] = {REPORT_SEMANTICS, (uint64_t)r->role, r->model_hash, r->data_hash};
  uint64_t hash = BASE_FNV_START;
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, numbers[i]);
    hash = hash_text(hash, text);
  }
  return hash_settings(hash_text(hash, r->task->name), r->settings);
}

double report_record_number(const report_record *r, const char *setting, double otherwise)
{
  const json_t *value = json_object_get(r->settings, setting);
  return json_is_number(value) ? json_number_value(value) : otherwise;
}

/* ---- A record's file ---- */

static json_t *hash_json(uint64_t hash)
{
  return json_sprintf("%016" PRIx64, hash);
}

static json_t *evaluations_json(const report_record *r)
{
  json_t *array = json_array();
  for (size_t i = 0; i < r->evaluation_count; i++) {
    const report_evaluation *e = &r->evaluations[i];
    base_json_append(&array,
                     json_pack("{sf so so}", "epoch", e->epoch, "score", base_json_number(e->score),
                               "loss", base_json_number(e->loss)));
  }
  return array;
}

static json_t *scores_json(const cdl_scores *scores)
{
  json_t *object = json_object();
  for (int m = 0; m < CDL_METRIC_COUNT; m++)
    if (!isnan(scores->value[m]))
      base_json_set(&object, cdl_metric_name((cdl_metric)m), json_real(scores->value[m]));
  return object;
}

/* "mrpc-condlora-report-0123456789abcdef.json" */
static char *record_path(const char *folder, const char *task, const char *method, const char *role,
                         uint64_t key)
{
  char *path;
  return asprintf(&path, "%s/%s-%s-%s-%016" PRIx64 ".json", folder, task, method, role, key) < 0
             ? NULL
             : path;
}

static cdl_status write_file(const char *folder, char *path, json_t *object)
{
  cdl_status status = path != NULL && object != NULL ? base_folder_make(folder) : no_memory(folder);
  if (status == CDL_STATUS_OK)
    status = base_json_write(path, object);
  free(path);
  json_decref(object);
  return status;
}

cdl_status report_record_write(const char *folder, const report_record *r)
{
  json_t *predictions = NULL;
  if (report_record_finished(r))
    CDL_TRY(report_numbers_join(folder, r->predictions, r->examples, &predictions));
  json_t *object = json_pack(
      "{si ss ss ss s{ss so} so so s{ss ss} s{sI sI} so so}", "semantics", REPORT_SEMANTICS, "role",
      role_names[r->role], "task", r->task->name, "method", r->method->name, "model", "name",
      r->model, "hash", hash_json(r->model_hash), "data", hash_json(r->data_hash), "settings",
      json_incref(r->settings), "made_by", "version", r->version, "kernels", r->kernels,
      "parameters", "adapter", (json_int_t)r->adapter_parameters, "head",
      (json_int_t)r->head_parameters, "seconds", json_real(round(r->seconds * 10) / 10),
      "evaluations", evaluations_json(r));
  if (report_record_finished(r)) {
    base_json_set(&object, "kept_epoch", json_real(r->kept_epoch));
    base_json_set(&object, "dev", scores_json(&r->dev));
    base_json_set(&object, "predictions", predictions);
  }
  return write_file(folder,
                    record_path(folder, r->task->name, r->method->name, role_names[r->role],
                                report_record_key(r)),
                    object);
}

cdl_status report_labels_write(const char *folder, const report_labels *labels)
{
  json_t *text = NULL;
  CDL_TRY(report_numbers_join(folder, labels->label, labels->count, &text));
  return write_file(
      folder, record_path(folder, labels->task->name, "dev", "labels", labels->data_hash),
      json_pack("{si ss so so}", "semantics", REPORT_SEMANTICS, "task", labels->task->name, "data",
                hash_json(labels->data_hash), "labels", text));
}

/* ---- Reading ---- */

static cdl_status expected(const char *path, const char *what)
{
  return cdl_fail(CDL_STATUS_DATA, "%s: expected %s", path, what);
}

static cdl_status read_copy(const char *path, const json_t *object, const char *key, char **copy)
{
  const char *text = "";
  CDL_TRY(base_json_string(path, object, key, false, &text));
  *copy = strdup(text);
  return *copy != NULL ? CDL_STATUS_OK : no_memory(path);
}

static double number_of(const json_t *object, const char *key)
{
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static cdl_status read_evaluations(const char *path, const json_t *object, report_record *r)
{
  const json_t *array = json_object_get(object, "evaluations");
  if (!json_is_array(array))
    return expected(path, "an array \"evaluations\"");
  r->evaluation_count = json_array_size(array);
  r->evaluations = calloc(r->evaluation_count + 1, sizeof *r->evaluations);
  if (r->evaluations == NULL)
    return no_memory(path);
  for (size_t i = 0; i < r->evaluation_count; i++) {
    const json_t *entry = json_array_get(array, i);
    r->evaluations[i] = (report_evaluation){.epoch = number_of(entry, "epoch"),
                                            .score = number_of(entry, "score"),
                                            .loss = number_of(entry, "loss")};
    if (!(r->evaluations[i].epoch > (i > 0 ? r->evaluations[i - 1].epoch : 0)))
      return expected(path, "evaluations with ascending epochs above 0");
  }
  return CDL_STATUS_OK;
}

static cdl_status read_result(const char *path, const json_t *object, report_record *r)
{
  if (json_object_get(object, "predictions") == NULL)
    return CDL_STATUS_OK;
  const json_t *dev = json_object_get(object, "dev");
  r->kept_epoch = number_of(object, "kept_epoch");
  for (int m = 0; m < CDL_METRIC_COUNT; m++)
    r->dev.value[m] = number_of(dev, cdl_metric_name((cdl_metric)m));
  if (!(r->kept_epoch > 0) || !json_is_object(dev))
    return expected(path, "\"kept_epoch\" above 0 and \"dev\"");
  return report_numbers_split(path, object, "predictions", &r->predictions, &r->examples);
}

static cdl_status read_record(const char *path, const json_t *object, report_record *r)
{
  const char *role;
  const json_t *model = json_object_get(object, "model"),
               *maker = json_object_get(object, "made_by"),
               *parameters = json_object_get(object, "parameters");
  CDL_TRY(base_json_string(path, object, "role", false, &role));
  r->role =
      strcmp(role, role_names[REPORT_ROLE_SEARCH]) == 0 ? REPORT_ROLE_SEARCH : REPORT_ROLE_REPORT;
  if (strcmp(role, role_names[r->role]) != 0)
    return expected(path, "the role search or report");
  CDL_TRY(report_record_method(path, object, &r->method));
  CDL_TRY(read_copy(path, model, "name", &r->model));
  CDL_TRY(report_record_hash(path, model, "hash", &r->model_hash));
  r->settings = json_incref(json_object_get(object, "settings"));
  if (!json_is_object(r->settings))
    return expected(path, "an object \"settings\"");
  CDL_TRY(read_copy(path, maker, "version", &r->version));
  CDL_TRY(read_copy(path, maker, "kernels", &r->kernels));
  CDL_TRY(base_json_integer(path, parameters, "adapter", 0, INT64_MAX, &r->adapter_parameters));
  CDL_TRY(base_json_integer(path, parameters, "head", 0, INT64_MAX, &r->head_parameters));
  CDL_TRY(base_json_real(path, object, "seconds", 0, 1e9, false, &r->seconds));
  CDL_TRY(read_evaluations(path, object, r));
  return read_result(path, object, r);
}

static cdl_status read_labels(const char *path, const json_t *object, report_labels *labels)
{
  return report_numbers_split(path, object, "labels", &labels->label, &labels->count);
}

static cdl_status take_record(void *user, const char *path, const json_t *object)
{
  report_records *records = user;
  const cdl_task *task;
  uint64_t data_hash = 0;
  CDL_TRY(report_record_semantics(path, object));
  CDL_TRY(report_record_task(path, object, &task));
  CDL_TRY(report_record_hash(path, object, "data", &data_hash));
  if (json_object_get(object, "labels") != NULL) {
    report_labels *labels = &records->labels[records->label_count++];
    *labels = (report_labels){.task = task, .data_hash = data_hash};
    return read_labels(path, object, labels);
  }
  report_record *record = &records->item[records->count++];
  *record = (report_record){.task = task, .data_hash = data_hash};
  return read_record(path, object, record);
}

static cdl_status begin_records(void *user, size_t files)
{
  report_records *records = user;
  records->item = calloc(files + 1, sizeof *records->item);
  records->labels = calloc(files + 1, sizeof *records->labels);
  return records->item != NULL && records->labels != NULL ? CDL_STATUS_OK : no_memory("records");
}

cdl_status report_records_read(const char *folder, report_records *records)
{
  static const report_record_reader reader = {begin_records, take_record};
  *records = (report_records){0};
  return report_record_files_read(folder, &reader, records);
}

void report_record_release(report_record *r)
{
  json_decref(r->settings);
  free(r->model);
  free(r->version);
  free(r->kernels);
  free(r->evaluations);
  free(r->predictions);
  *r = (report_record){0};
}

void report_records_release(report_records *records)
{
  for (size_t i = 0; i < records->count; i++)
    report_record_release(&records->item[i]);
  for (size_t i = 0; i < records->label_count; i++)
    free(records->labels[i].label);
  free(records->item);
  free(records->labels);
  *records = (report_records){0};
}

const report_record *report_records_find(const report_records *records, uint64_t key)
{
  for (size_t i = 0; i < records->count; i++)
    if (report_record_key(&records->item[i]) == key)
      return &records->item[i];
  return NULL;
}

const report_labels *report_records_labels(const report_records *records, const cdl_task *task,
                                           uint64_t data_hash)
{
  for (size_t i = 0; i < records->label_count; i++)
    if (records->labels[i].task == task && records->labels[i].data_hash == data_hash)
      return &records->labels[i];
  return NULL;
}
