#include "tools/study/verdict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/path.h"
#include "base/process.h"
#include "tools/reports/halving.h"
#include "tools/reports/verdict_write.h"
#include "tools/study/reproduce_manifest.h"
#include "tools/study/verdict_run.h"

enum { RATES_MOST = 32, SEARCH_SEED = 1000 };
static const char default_rates[] = "2e-4:2e-2:6";

/* ---- Rates ---- */

/* Three digits: a rate is a name, too, of folders and in tables. */
static double rounded(double rate)
{
  char text[32];
  snprintf(text, sizeof text, "%.3g", rate);
  return strtod(text, NULL);
}

/* "LOW:HIGH:COUNT", evenly spaced in the logarithm. */
static cdl_status read_rates(const char *text, double rates[RATES_MOST], size_t *count)
{
  double low = 0, high = 0;
  long number = 0;
  char rest = 0;
  if (sscanf(text, "%lf:%lf:%ld%c", &low, &high, &number, &rest) != 3 || !(low > 0) ||
      !(high >= low) || !isfinite(high) || number < 1 || number > RATES_MOST ||
      (number == 1) != (low == high))
    return cdl_fail(
        CDL_STATUS_USAGE,
        "--rates wants LOW:HIGH:COUNT, as in 1e-4:1e-2:6, of at most %d rates; not '%s'",
        RATES_MOST, text);
  *count = (size_t)number;
  for (size_t i = 0; i < *count; i++) {
    const double part = *count > 1 ? (double)i / (double)(*count - 1) : 0;
    rates[i] = rounded(low * pow(high / low, part));
  }
  return CDL_STATUS_OK;
}

/* ---- What is left ---- */

/* Seconds that an epoch of a task takes, by the records of this machine's kernels; NAN without any.
 */
static double epoch_seconds(const study_verdict *v, size_t task)
{
  double seconds = 0, epochs = 0;
  for (size_t i = 0; i < v->records.count; i++) {
    const report_record *r = &v->records.item[i];
    if (r->task != v->r->comparison.tasks[task] || r->model_hash != v->model_hash ||
        r->evaluation_count == 0)
      continue;
    seconds += r->seconds;
    epochs += r->evaluations[r->evaluation_count - 1].epoch;
  }
  return epochs > 0 ? seconds / epochs : NAN;
}

typedef struct {
  study_verdict *v;
  double rates[RATES_MOST];
  size_t rate_count;
  int64_t epochs;
  size_t number, of;   /* runs begun, and all that are missing */
  double *epochs_left; /* [tasks]; owned */
  bool counting;       /* what is missing is counted, and nothing is run */
} plan;

static double seconds_left(const plan *p)
{
  double seconds = 0;
  for (size_t t = 0; t < p->v->r->comparison.task_count; t++)
    if (p->epochs_left[t] > 0)
      seconds += p->epochs_left[t] * epoch_seconds(p->v, t);
  return seconds;
}

/* ---- Runs ---- */

/* Trains a part unless its record is there. */
static cdl_status ensure(plan *p, const study_verdict_part *part, double epochs)
{
  study_verdict *v = p->v;
  const study_reproduce_events *to = &v->r->events;
  const report_comparison *c = &v->r->comparison;
  const report_record *found;
  CDL_TRY(study_verdict_find(v, part, &found));
  if (found != NULL)
    return CDL_STATUS_OK;
  if (p->counting) {
    p->of++;
    p->epochs_left[part->task] += epochs;
    return CDL_STATUS_OK;
  }
  if (to->run_began != NULL)
    to->run_began(to->user, &(study_run_begin){.task = c->tasks[part->task]->name,
                                               .method = c->methods[part->method]->name,
                                               .rate = part->rate,
                                               .seed = part->seed,
                                               .search = part->role == REPORT_ROLE_SEARCH,
                                               .number = ++p->number,
                                               .of = p->of,
                                               .seconds_left = seconds_left(p)});
  CDL_TRY(study_verdict_train(v, part));
  p->epochs_left[part->task] = fmax(p->epochs_left[part->task] - epochs, 0);
  return CDL_STATUS_OK;
}

/* One rung of a search; then `rates` begins with the better ones. While runs are counted the order
 * stays: how many there are does not depend on it. */
static cdl_status run_rung(plan *p, study_verdict_part part, double *rates, int rung)
{
  const size_t size = report_rung_size(p->rate_count, rung);
  const report_record *records[RATES_MOST];
  const int64_t before = rung > 0 ? report_rung_epochs(p->epochs, rung - 1) : 0;
  bool complete = true;
  part.epochs = report_rung_epochs(p->epochs, rung);
  for (size_t i = 0; i < size; i++) {
    part.rate = rates[i];
    CDL_TRY(ensure(p, &part, (double)(part.epochs - before)));
  }
  for (size_t i = 0; i < size; i++) { /* anew: each run moves the records */
    part.rate = rates[i];
    CDL_TRY(study_verdict_find(p->v, &part, &records[i]));
    complete = complete && records[i] != NULL;
  }
  if (!complete)
    return CDL_STATUS_OK;
  report_rank(records, size, p->epochs, rung);
  for (size_t i = 0; i < size; i++)
    rates[i] = report_record_number(records[i], "lr", NAN);
  return CDL_STATUS_OK;
}

/* Searches the rate of a task and method. */
static cdl_status search(plan *p, size_t task, size_t method, double *rate)
{
  double rates[RATES_MOST];
  memcpy(rates, p->rates, sizeof rates);
  const study_verdict_part part = {
      .task = task, .method = method, .role = REPORT_ROLE_SEARCH, .seed = SEARCH_SEED};
  for (int rung = 0; rung < REPORT_RUNGS; rung++)
    CDL_TRY(run_rung(p, part, rates, rung));
  *rate = rates[0];
  return CDL_STATUS_OK;
}

/* Measures the adapters of the report's first seed. */
static cdl_status measure_task(plan *p, size_t task, const double *rates)
{
  const report_comparison *c = &p->v->r->comparison;
  study_verdict_part baseline = {
      .task = task, .role = REPORT_ROLE_REPORT, .seed = c->seeds[0], .epochs = p->epochs};
  while (baseline.method < c->method_count &&
         strcmp(c->methods[baseline.method]->name, "lora") != 0)
    baseline.method++;
  if (baseline.method == c->method_count || p->counting)
    return CDL_STATUS_OK;
  baseline.rate = rates[baseline.method];
  for (size_t m = 0; m < c->method_count; m++) {
    study_verdict_part part = baseline;
    part.method = m;
    part.rate = rates[m];
    if (study_verdict_has_matrices(c->methods[m]))
      CDL_TRY(study_verdict_measure(p->v, &part, &baseline));
  }
  return CDL_STATUS_OK;
}

/* The searches of a task, then its seeds, one after another for all methods: differences are paired
 * by seed. */
static cdl_status run_task(plan *p, size_t task)
{
  const report_comparison *c = &p->v->r->comparison;
  double *rates = calloc(c->method_count + 1, sizeof *rates);
  cdl_status status =
      rates != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: rates");
  for (size_t m = 0; status == CDL_STATUS_OK && m < c->method_count; m++)
    status = search(p, task, m, &rates[m]);
  for (size_t s = 0; status == CDL_STATUS_OK && s < c->seed_count; s++) {
    for (size_t m = 0; status == CDL_STATUS_OK && m < c->method_count; m++) {
      const study_verdict_part part = {.task = task,
                                       .method = m,
                                       .role = REPORT_ROLE_REPORT,
                                       .rate = rates[m],
                                       .seed = c->seeds[s],
                                       .epochs = p->epochs};
      status = ensure(p, &part, (double)p->epochs);
    }
    if (status == CDL_STATUS_OK && s == 0)
      status = measure_task(p, task, rates);
  }
  free(rates);
  return status;
}

static cdl_status run_tasks(plan *p)
{
  for (size_t t = 0; t < p->v->r->comparison.task_count; t++)
    CDL_TRY(run_task(p, t));
  return CDL_STATUS_OK;
}

/* ---- The whole ---- */

static cdl_status check_seeds(const report_comparison *c)
{
  for (size_t i = 0; i < c->seed_count; i++)
    if (c->seeds[i] == SEARCH_SEED)
      return cdl_fail(CDL_STATUS_USAGE,
                      "--seeds: %d is the seed of the search; a seed of the report is another",
                      SEARCH_SEED);
  return CDL_STATUS_OK;
}

/* All runs have as many epochs. */
static cdl_status read_epochs(const study_reproduction *r, int64_t *epochs)
{
  train_settings settings;
  char folder[] = "run"; /* nothing is written */
  const study_run run = {.seed = r->comparison.seeds[0], .rate = NAN, .folder = folder};
  CDL_TRY(study_reproduce_settings(r, &run, &settings));
  *epochs = settings.epochs;
  const bool unusable = settings.max_steps > 0 || settings.dev_fraction == 0 ||
                        strcmp(settings.eval_every, "epoch") != 0 || settings.early_stopping > 0;
  train_settings_release(&settings);
  return unusable ? cdl_fail(CDL_STATUS_USAGE,
                             "verdict counts in epochs and chooses on the held-out part of train: "
                             "max_steps, eval_every, early_stopping and dev_fraction 0 are not "
                             "for it")
                  : CDL_STATUS_OK;
}

static cdl_status read_plan(const study_reproduction *r, plan *p)
{
  CDL_TRY(check_seeds(&r->comparison));
  CDL_TRY(read_epochs(r, &p->epochs));
  return read_rates(r->asked.rates != NULL ? r->asked.rates : default_rates, p->rates,
                    &p->rate_count);
}

cdl_status study_verdict_check(const study_reproduction *r)
{
  plan p = {0};
  return read_plan(r, &p);
}

static cdl_status run_plan(plan *p)
{
  const study_reproduction *r = p->v->r;
  CDL_TRY(read_plan(r, p));
  CDL_TRY(study_hash_model(cdl_hub_source_folder(r->model), &p->v->model_hash));
  for (size_t t = 0; t < r->comparison.task_count; t++)
    CDL_TRY(study_hash_task(r->comparison.tasks[t], r->asked.data, &p->v->data_hash[t]));
  p->counting = true;
  CDL_TRY(run_tasks(p));
  p->counting = false;
  return run_tasks(p);
}

/* The folder of records: what was asked for, or OUTPUT/records. To be freed; NULL if memory is out.
 */
static char *records_folder(const study_reproduction *r)
{
  return r->asked.records != NULL ? strdup(r->asked.records)
                                  : base_path_join(r->asked.output, "records");
}

static cdl_status open_records(const study_reproduction *r, study_verdict *v)
{
  *v = (study_verdict){.r = r, .folder = records_folder(r)};
  v->data_hash = calloc(r->comparison.task_count + 1, sizeof *v->data_hash);
  if (v->folder == NULL || v->data_hash == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: records");
  CDL_TRY(report_records_read(v->folder, &v->records));
  return report_matrices_read(v->folder, &v->matrices);
}

static void close_records(study_verdict *v)
{
  report_records_release(&v->records);
  report_matrices_list_release(&v->matrices);
  free(v->folder);
  free(v->data_hash);
}

cdl_status study_verdict_run(const study_reproduction *r)
{
  study_verdict v;
  plan p = {.v = &v, .epochs_left = calloc(r->comparison.task_count + 1, sizeof *p.epochs_left)};
  cdl_status status = open_records(r, &v);
  if (status == CDL_STATUS_OK && p.epochs_left == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: the plan");
  if (status == CDL_STATUS_OK)
    status = run_plan(&p);
  if (status == CDL_STATUS_OK)
    status = report_verdict_write(r->asked.output, &v.records, &v.matrices);
  free(p.epochs_left);
  close_records(&v);
  return status;
}

cdl_status study_verdict_report(const study_reproduction *r)
{
  study_verdict v;
  cdl_status status = open_records(r, &v);
  if (status == CDL_STATUS_OK && v.records.count == 0)
    status = cdl_fail(CDL_STATUS_ABSENT,
                      "%s: no records; with --model and --data the runs are made", v.folder);
  if (status == CDL_STATUS_OK)
    status = report_verdict_write(r->asked.output, &v.records, &v.matrices);
  close_records(&v);
  return status;
}
