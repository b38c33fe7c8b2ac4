#include "tools/reports/tables.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "tools/reports/aggregate.h"

/* Writes a field; NaN gives an empty one. */
static void field(base_output *to, double value)
{
  if (isnan(value))
    base_output_printf(to, ",");
  else
    base_output_printf(to, ",%.10g", value);
}

static cdl_status begin(const report_comparison *c, const char *name, base_output **output)
{
  char *path = base_path_join(c->folder, name);
  if (path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", c->folder);
  const cdl_status status = base_output_begin(path, output);
  free(path);
  return status;
}

/* Writes "RTE,condlora-reference,orientation reference". */
static void names(base_output *to, const report_comparison *c, size_t task, size_t method)
{
  const report_compared_method *m = c->methods[method];
  base_output_printf(to, "%s,%s,%s", c->tasks[task]->name, m->name, m->form != NULL ? m->form : "");
}

typedef struct {
  report_spread score;
  report_paired_test seed, example; /* against the baseline; n = 0 for the baseline itself */
} compared;

static cdl_status compare(const report_comparison *c, size_t task, size_t method, compared *result)
{
  const size_t base = report_baseline(c);
  const report_paired_test none = {.mean = NAN, .deviation = NAN, .t = NAN, .p = NAN};
  *result = (compared){.score = report_task_score(c, task, method), .seed = none, .example = none};
  if (method == base)
    return CDL_STATUS_OK;
  result->seed = report_test_by_seed(c, task, method, base);
  return report_test_by_example(c, task, method, base, &result->example);
}

static cdl_status write_table_csv(const report_comparison *c)
{
  base_output *to;
  cdl_status status = begin(c, "table.csv", &to);
  CDL_TRY(status);
  base_output_printf(to, "task,method,form,metric,seeds,mean,deviation,baseline,difference,t_seeds,"
                         "p_seeds,examples,difference_examples,t_examples,p_examples\n");
  for (size_t t = 0; t < c->task_count; t++)
    for (size_t m = 0; status == CDL_STATUS_OK && m < c->method_count; m++) {
      compared r;
      status = compare(c, t, m, &r);
      if (status != CDL_STATUS_OK)
        continue;
      names(to, c, t, m);
      base_output_printf(to, ",%s,%zu", cdl_metric_name(c->tasks[t]->metrics[0]), r.score.count);
      field(to, r.score.mean);
      field(to, r.score.deviation);
      base_output_printf(to, ",%s", c->methods[report_baseline(c)]->name);
      field(to, r.seed.mean);
      field(to, r.seed.t);
      field(to, r.seed.p);
      base_output_printf(to, ",%zu", c->runs[t * c->method_count * c->seed_count].examples);
      field(to, r.example.mean);
      field(to, r.example.t);
      field(to, r.example.p);
      base_output_printf(to, "\n");
    }
  if (status == CDL_STATUS_OK)
    return base_output_commit(to);
  base_output_abort(to);
  return status;
}

static json_t *test_json(const report_paired_test *test)
{
  return json_pack("{sI so so so so}", "pairs", (json_int_t)test->count, "mean_difference",
                   base_json_number(test->mean), "deviation", base_json_number(test->deviation),
                   "t", base_json_number(test->t), "p", base_json_number(test->p));
}

static cdl_status row_json(const report_source *source, size_t t, size_t m, json_t **row)
{
  const report_comparison *c = source->comparison;
  const report_compared_run *first = report_compared_run_at(c, t, m, 0);
  compared r;
  CDL_TRY(compare(c, t, m, &r));
  json_t *scores = json_array();
  for (size_t s = 0; s < c->seed_count; s++)
    base_json_append(&scores, base_json_number(report_run_score(c, t, m, s)));
  json_t *settings = json_object();
  base_json_update(&settings, json_incref(first->settings));
  (void)json_object_del(settings, "seed");
  base_json_update(&settings, json_incref(first->used));
  *row = json_pack("{ss ss ss? ss so so so s{sI sI} so}", "task", c->tasks[t]->name, "method",
                   c->methods[m]->name, "form", c->methods[m]->form, "metric",
                   cdl_metric_name(c->tasks[t]->metrics[0]), "scores", scores, "mean",
                   base_json_number(r.score.mean), "deviation", base_json_number(r.score.deviation),
                   "parameters", "adapter", (json_int_t)first->adapter_numbers, "head",
                   (json_int_t)first->head_numbers, "settings", settings);
  if (r.seed.count > 0) {
    base_json_set(row, "against", json_string(c->methods[report_baseline(c)]->name));
    base_json_set(row, "paired_by_seed", test_json(&r.seed));
    base_json_set(row, "paired_by_example", test_json(&r.example));
  }
  return *row != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", c->folder);
}

static cdl_status write_table_json(const report_source *source)
{
  const report_comparison *c = source->comparison;
  json_t *rows = json_array(), *seeds = json_array();
  cdl_status status = CDL_STATUS_OK;
  for (size_t s = 0; s < c->seed_count; s++)
    base_json_append(&seeds, json_integer((json_int_t)c->seeds[s]));
  for (size_t t = 0; t < c->task_count; t++)
    for (size_t m = 0; status == CDL_STATUS_OK && m < c->method_count; m++) {
      json_t *row;
      status = row_json(source, t, m, &row);
      if (status == CDL_STATUS_OK)
        base_json_append(&rows, row);
    }
  json_t *object =
      json_pack("{ss so so}", "report", source->kind->name, "seeds", seeds, "rows", rows);
  char *path = base_path_join(c->folder, "table.json");
  if (status == CDL_STATUS_OK)
    status = object != NULL && path != NULL
                 ? base_json_write(path, object)
                 : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", c->folder);
  free(path);
  json_decref(object);
  return status;
}

/* Writes one line for each run. */
static cdl_status write_runs(const report_comparison *c)
{
  base_output *to;
  CDL_TRY(begin(c, "runs.csv", &to));
  base_output_printf(to, "task,method,form,seed,adapter_numbers,head_numbers,steps,kept_step");
  for (int m = 0; m < CDL_METRIC_COUNT; m++)
    base_output_printf(to, ",valid_%s", cdl_metric_name((cdl_metric)m));
  for (int m = 0; m < CDL_METRIC_COUNT; m++)
    base_output_printf(to, ",dev_%s", cdl_metric_name((cdl_metric)m));
  base_output_printf(to, "\n");
  for (size_t t = 0; t < c->task_count; t++)
    for (size_t m = 0; m < c->method_count; m++)
      for (size_t s = 0; s < c->seed_count; s++) {
        const report_compared_run *run = report_compared_run_at(c, t, m, s);
        names(to, c, t, m);
        base_output_printf(to, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64,
                           c->seeds[s], run->adapter_numbers, run->head_numbers, run->steps,
                           run->kept_step);
        for (int k = 0; k < CDL_METRIC_COUNT; k++)
          field(to, run->valid.scores.value[k]);
        for (int k = 0; k < CDL_METRIC_COUNT; k++)
          field(to, run->dev.scores.value[k]);
        base_output_printf(to, "\n");
      }
  return base_output_commit(to);
}

/* Times have their own file, because they differ from run to run. */
static cdl_status write_times(const report_comparison *c)
{
  base_output *to;
  CDL_TRY(begin(c, "times.csv", &to));
  base_output_printf(to, "task,method,form,seed,examples_per_s\n");
  for (size_t t = 0; t < c->task_count; t++)
    for (size_t m = 0; m < c->method_count; m++)
      for (size_t s = 0; s < c->seed_count; s++) {
        names(to, c, t, m);
        base_output_printf(to, ",%" PRId64, c->seeds[s]);
        field(to, report_compared_run_at(c, t, m, s)->examples_per_s);
        base_output_printf(to, "\n");
      }
  return base_output_commit(to);
}

cdl_status report_write_tables(const report_source *source)
{
  CDL_TRY(write_table_csv(source->comparison));
  CDL_TRY(write_table_json(source));
  CDL_TRY(write_runs(source->comparison));
  return write_times(source->comparison);
}
