#include "bench/model_measured.h"

#include <math.h>
#include <string.h>

#include "bench/compare.h"
#include "bench/model_times.h"

static const char *text_of(const json_t *object, const char *key)
{
  const char *text = json_string_value(json_object_get(object, key));
  return text != NULL ? text : "";
}

static double number_of(const json_t *row, const char *key)
{
  const json_t *number = json_object_get(row, key);
  return json_is_number(number) ? json_number_value(number) : NAN;
}

/* Finds a row of the backend cuda by a text in it. `title` is a part of the table's, or NULL. */
static const json_t *find_row(const bench_measured *m, const char *table_name, const char *title,
                              const char *key, const char *text)
{
  size_t i, k;
  const json_t *table, *row;
  json_array_foreach(json_object_get(m->report, "tables"), i, table)
  {
    if (strcmp(text_of(table, "name"), table_name) != 0 ||
        (title != NULL && strstr(text_of(table, "title"), title) == NULL))
      continue;
    json_array_foreach(json_object_get(table, "rows"), k, row)
    {
      const char *backend = text_of(row, "backend");
      if (strcmp(text_of(row, key), text) == 0 &&
          (backend[0] == '\0' || strncmp(backend, "cuda", 4) == 0))
        return row;
    }
  }
  return NULL;
}

static const json_t *step_row(const bench_measured *m, const char *method)
{
  return find_row(m, "train", NULL, "name",
                  strcmp(method, "lora") == 0 ? "lora step" : "condlora step");
}

cdl_status bench_measured_read(const char *path, const char *precision, bench_measured *measured)
{
  *measured = (bench_measured){.path = path};
  CDL_TRY(cdl_context(bench_report_read(path, &measured->report), "--measured"));
  const char *theirs = text_of(measured->report, "precision");
  if (step_row(measured, "lora") == NULL || step_row(measured, "condlora") == NULL)
    return cdl_fail(CDL_STATUS_DATA,
                    "--measured: %s has no steps of the backend cuda: it should come from "
                    "bench-condlora train --backend cuda --ops --format json",
                    path);
  if (strcmp(theirs, precision) != 0)
    return cdl_fail(CDL_STATUS_DATA, "--measured: %s was measured with precision %s, not %s", path,
                    theirs, precision);
  return CDL_STATUS_OK;
}

void bench_measured_release(bench_measured *measured)
{
  json_decref(measured->report);
  measured->report = NULL;
}

int bench_measured_device(const bench_measured *measured)
{
  size_t i, k;
  const json_t *table, *row;
  json_array_foreach(json_object_get(measured->report, "tables"), i, table)
  {
    json_array_foreach(json_object_get(table, "rows"), k, row)
    {
      for (int d = 0; d < BENCH_MODEL_DEVICES; d++)
        if (strcmp(text_of(table, "name"), "backends") == 0 &&
            strncmp(text_of(row, "name"), "cuda", 4) == 0 &&
            strcasestr(text_of(row, "device"), bench_model_devices[d]) != NULL)
          return d;
    }
  }
  return -1;
}

double bench_measured_step(const bench_measured *measured, const char *method)
{
  return 1e3 * number_of(step_row(measured, method), "median_s");
}

double bench_measured_op(const bench_measured *measured, const char *method, const char *label)
{
  const char *title = strcmp(method, "lora") == 0 ? " LoRA " : " CondLoRA ";
  return 1e3 * number_of(find_row(measured, "train-ops", title, "op", label), "seconds");
}

double bench_measured_tokens(const bench_measured *measured)
{
  const json_t *row = step_row(measured, "lora");
  return number_of(row, "median_s") * number_of(row, "tokens_per_s");
}
