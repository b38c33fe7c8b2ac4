#include "tools/reports/matrix_records.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"
#include "tools/reports/numbers.h"
#include "tools/reports/record_file.h"
#include "tools/reports/statistics.h"

enum { LAYERS_MOST = 1000, MEASURES_MOST = 10000 };

static const char *const kind_names[] = {[REPORT_MEASURE_SIMILARITY] = "similarity",
                                         [REPORT_MEASURE_CORRELATION] = "correlation",
                                         [REPORT_MEASURE_CONVERSION] = "conversion"};

static cdl_status no_memory(const char *path)
{
  return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

static cdl_status expected(const char *path, const char *what)
{
  return cdl_fail(CDL_STATUS_DATA, "%s: expected %s", path, what);
}

/* ---- Measures ---- */

size_t report_measure_values(report_measure_kind kind, size_t layers)
{
  return kind == REPORT_MEASURE_CONVERSION ? layers * layers : layers;
}

report_measure *report_measure_add(report_matrices *m, report_measure_kind kind, const char *name,
                                   const char *target, size_t layers)
{
  report_measure *larger = realloc(m->measures, (m->count + 1) * sizeof *larger);
  if (larger == NULL)
    return NULL;
  m->measures = larger;
  report_measure *added = &larger[m->count++];
  *added = (report_measure){
      .kind = kind,
      .count = layers,
      .layers = calloc(layers + 1, sizeof *added->layers),
      .values = calloc(report_measure_values(kind, layers) + 1, sizeof *added->values)};
  snprintf(added->name, sizeof added->name, "%s", name);
  snprintf(added->target, sizeof added->target, "%s", target);
  return added->layers != NULL && added->values != NULL ? added : NULL;
}

/* The mean above the diagonal, of the pairs of the layers from `first` on. */
static double mean_of_pairs(const report_measure *m, size_t first)
{
  double sum = 0;
  size_t pairs = 0;
  for (size_t i = first; i < m->count; i++)
    for (size_t k = i + 1; k < m->count; k++, pairs++)
      sum += m->values[i * m->count + k];
  return pairs > 0 ? sum / (double)pairs : NAN;
}

double report_measure_mean(const report_measure *m)
{
  return m->kind == REPORT_MEASURE_CONVERSION ? mean_of_pairs(m, 0)
                                              : report_mean(m->values, m->count);
}

double report_measure_deeper_mean(const report_measure *m)
{
  return mean_of_pairs(m, m->count / 2);
}

const report_matrices *report_matrices_find(const report_matrices_list *list, uint64_t run)
{
  for (size_t i = 0; i < list->count; i++)
    if (list->item[i].run == run)
      return &list->item[i];
  return NULL;
}

const report_measure *report_measure_find(const report_matrices *m, report_measure_kind kind,
                                          const char *name, const char *target)
{
  for (size_t i = 0; i < m->count; i++)
    if (m->measures[i].kind == kind && strcmp(m->measures[i].name, name) == 0 &&
        strcmp(m->measures[i].target, target) == 0)
      return &m->measures[i];
  return NULL;
}

void report_matrices_release(report_matrices *m)
{
  for (size_t i = 0; i < m->count; i++) {
    free(m->measures[i].layers);
    free(m->measures[i].values);
  }
  free(m->measures);
  *m = (report_matrices){0};
}

void report_matrices_list_release(report_matrices_list *list)
{
  for (size_t i = 0; i < list->count; i++)
    report_matrices_release(&list->item[i]);
  free(list->item);
  *list = (report_matrices_list){0};
}

/* ---- Writing ---- */

static double rounded(double value)
{
  return round(value * 1e4) / 1e4;
}

static cdl_status measure_json(const char *path, const report_measure *m, json_t **object)
{
  const size_t values = report_measure_values(m->kind, m->count);
  double *numbers = calloc(values + m->count + 1, sizeof *numbers);
  json_t *layers = NULL, *text = NULL;
  if (numbers == NULL)
    return no_memory(path);
  for (size_t i = 0; i < values; i++)
    numbers[i] = rounded(m->values[i]);
  for (size_t i = 0; i < m->count; i++)
    numbers[values + i] = m->layers[i];
  cdl_status status = report_numbers_join(path, numbers, values, &text);
  if (status == CDL_STATUS_OK)
    status = report_numbers_join(path, numbers + values, m->count, &layers);
  free(numbers);
  *object = json_pack("{ss ss ss so so so so}", "of", kind_names[m->kind], "name", m->name,
                      "target", m->target, "layers", layers, "values", text, "random",
                      base_json_number(rounded(m->random)), "expected",
                      base_json_number(rounded(m->expected)));
  return status;
}

/* "RECORDS/matrices". */
static char *folder_of(const char *records)
{
  return base_path_join(records, "matrices");
}

static cdl_status write_object(const char *records, const report_matrices *m, json_t *object)
{
  char *folder = folder_of(records), *path = NULL;
  if (folder != NULL && asprintf(&path, "%s/%s-%s-%016" PRIx64 ".json", folder, m->task->name,
                                 m->method->name, m->run) < 0)
    path = NULL;
  cdl_status status =
      path != NULL && object != NULL ? base_folder_make(folder) : no_memory(records);
  if (status == CDL_STATUS_OK)
    status = base_json_write(path, object);
  free(folder);
  free(path);
  return status;
}

cdl_status report_matrices_write(const char *records, const report_matrices *m)
{
  json_t *measures = json_array();
  for (size_t i = 0; i < m->count; i++) {
    json_t *object = NULL;
    const cdl_status status = measure_json(records, &m->measures[i], &object);
    base_json_append(&measures, object);
    if (status != CDL_STATUS_OK) {
      json_decref(measures);
      return status;
    }
  }
  json_t *object =
      json_pack("{si ss ss so sI so}", "semantics", REPORT_SEMANTICS, "task", m->task->name,
                "method", m->method->name, "run", json_sprintf("%016" PRIx64, m->run), "vectors",
                (json_int_t)m->vectors, "measures", measures);
  const cdl_status status = write_object(records, m, object);
  json_decref(object);
  return status;
}

/* ---- Reading ---- */

static cdl_status read_layers(const char *path, const json_t *object, report_measure *m)
{
  double *numbers = NULL;
  cdl_status status = report_numbers_split(path, object, "layers", &numbers, &m->count);
  if (status == CDL_STATUS_OK && (m->count == 0 || m->count > LAYERS_MOST))
    status = expected(path, "1 to 1000 numbers of layers");
  if (status == CDL_STATUS_OK && (m->layers = calloc(m->count + 1, sizeof *m->layers)) == NULL)
    status = no_memory(path);
  for (size_t i = 0; status == CDL_STATUS_OK && i < m->count; i++)
    if (numbers[i] < 0 || numbers[i] > INT32_MAX || numbers[i] != floor(numbers[i]))
      status = expected(path, "whole numbers of layers");
    else
      m->layers[i] = (int)numbers[i];
  free(numbers);
  return status;
}

static cdl_status read_measure(const char *path, const json_t *object, report_measure *m)
{
  const char *kind, *name, *target;
  size_t values;
  CDL_TRY(base_json_string(path, object, "of", false, &kind));
  CDL_TRY(base_json_string(path, object, "name", false, &name));
  CDL_TRY(base_json_string(path, object, "target", false, &target));
  while (m->kind < REPORT_MEASURE_KIND_COUNT && strcmp(kind, kind_names[m->kind]) != 0)
    m->kind++;
  if (m->kind == REPORT_MEASURE_KIND_COUNT)
    return expected(path, "\"of\" similarity, correlation or conversion");
  if (strlen(name) >= sizeof m->name || strlen(target) >= sizeof m->target)
    return expected(path, "shorter names");
  snprintf(m->name, sizeof m->name, "%s", name);
  snprintf(m->target, sizeof m->target, "%s", target);
  m->random = m->expected = NAN;
  CDL_TRY(base_json_real(path, object, "random", 0, 1, true, &m->random));
  CDL_TRY(base_json_real(path, object, "expected", 0, 1, true, &m->expected));
  CDL_TRY(read_layers(path, object, m));
  CDL_TRY(report_numbers_split(path, object, "values", &m->values, &values));
  return values == report_measure_values(m->kind, m->count)
             ? CDL_STATUS_OK
             : expected(path, "as many values as layers, or as pairs of layers");
}

static cdl_status read_matrices(const char *path, const json_t *object, report_matrices *m)
{
  const json_t *measures = json_object_get(object, "measures");
  CDL_TRY(report_record_semantics(path, object));
  CDL_TRY(report_record_task(path, object, &m->task));
  CDL_TRY(report_record_method(path, object, &m->method));
  CDL_TRY(report_record_hash(path, object, "run", &m->run));
  CDL_TRY(base_json_integer(path, object, "vectors", 1, INT32_MAX, &m->vectors));
  if (!json_is_array(measures) || json_array_size(measures) > MEASURES_MOST)
    return expected(path, "an array \"measures\"");
  m->measures = calloc(json_array_size(measures) + 1, sizeof *m->measures);
  if (m->measures == NULL)
    return no_memory(path);
  for (size_t i = 0; i < json_array_size(measures); i++)
    CDL_TRY(read_measure(path, json_array_get(measures, i), &m->measures[m->count++]));
  return CDL_STATUS_OK;
}

static cdl_status begin_list(void *user, size_t files)
{
  report_matrices_list *list = user;
  list->item = calloc(files + 1, sizeof *list->item);
  return list->item != NULL ? CDL_STATUS_OK : no_memory("matrices");
}

static cdl_status take_matrices(void *user, const char *path, const json_t *object)
{
  report_matrices_list *list = user;
  return read_matrices(path, object, &list->item[list->count++]);
}

cdl_status report_matrices_read(const char *records, report_matrices_list *list)
{
  static const report_record_reader reader = {begin_list, take_matrices};
  *list = (report_matrices_list){0};
  char *folder = folder_of(records);
  if (folder == NULL)
    return no_memory(records);
  const cdl_status status = report_record_files_read(folder, &reader, list);
  free(folder);
  return status;
}
