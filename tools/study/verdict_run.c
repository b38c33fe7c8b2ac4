#include "tools/study/verdict_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/process.h"
#include "condlora/backend.h"
#include "condlora/log.h"
#include "tools/reports/halving.h"
#include "tools/reports/matrices.h"
#include "tools/study/predict.h"
#include "tools/study/reproduce_ranks.h"

/* ---- What distinguishes a run ---- */

/* Settings in a record: those that change the result and are not at their default. A setting that a
 * later version adds, with a default that keeps results, so leaves records as they are. */
static json_t *changed_settings(const train_settings *settings, const train_settings *defaults)
{
  static const char *const elsewhere[] = {"model", "data", "task"};
  static const char *const always[] = {"method", "epochs", "lr", "seed"};
  json_t *changed = json_object(), *all = train_settings_json(settings, true),
         *others = train_settings_json(defaults, true);
  for (size_t i = 0; all != NULL && i < sizeof elsewhere / sizeof elsewhere[0]; i++)
    (void)json_object_del(all, elsewhere[i]);
  const char *name;
  json_t *value;
  json_object_foreach(all, name, value)
  {
    const json_t *other = json_object_get(others, name);
    bool kept = other == NULL || !json_equal(value, other);
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
      kept = kept || strcmp(name, always[i]) == 0;
    if (kept)
      base_json_set(&changed, name, json_incref(value));
  }
  if (all == NULL || others == NULL)
    base_json_set(&changed, "", NULL);
  json_decref(all);
  json_decref(others);
  return changed;
}

static cdl_status take_settings(const train_settings *settings, report_record *record)
{
  train_settings defaults;
  CDL_TRY(train_settings_init(&defaults));
  defaults.method = settings->method; /* its options have defaults of its own */
  record->settings = changed_settings(settings, &defaults);
  train_settings_release(&defaults);
  return record->settings != NULL ? CDL_STATUS_OK
                                  : cdl_fail(CDL_STATUS_MEMORY, "out of memory: a record");
}

/* "OUT/runs/RTE/lora/rate0.0005-seed0" */
static char *run_folder(const study_verdict *v, const study_verdict_part *part)
{
  const report_comparison *c = &v->r->comparison;
  char *path;
  return asprintf(&path, "%s/runs/%s/%s/rate%g-seed%" PRId64, v->r->asked.output,
                  c->tasks[part->task]->name, c->methods[part->method]->name, part->rate,
                  part->seed) < 0
             ? NULL
             : path;
}

/* Makes a run's settings, and a record of it without results; both are to be released. */
static cdl_status prepare(const study_verdict *v, const study_verdict_part *part,
                          train_settings *settings, report_record *record)
{
  const report_comparison *c = &v->r->comparison;
  const study_run run = {.task = part->task,
                         .method = part->method,
                         .seed = part->seed,
                         .rate = part->rate,
                         .folder = run_folder(v, part)};
  cdl_status status = study_reproduce_settings(v->r, &run, settings);
  free(run.folder);
  CDL_TRY(status);
  *record = (report_record){.role = part->role,
                            .task = c->tasks[part->task],
                            .method = c->methods[part->method],
                            .model_hash = v->model_hash,
                            .data_hash = v->data_hash[part->task],
                            .kept_epoch = NAN};
  status = take_settings(settings, record);
  if (status != CDL_STATUS_OK)
    train_settings_release(settings);
  return status;
}

cdl_status study_verdict_find(study_verdict *v, const study_verdict_part *part,
                              const report_record **record)
{
  train_settings settings;
  report_record wanted;
  CDL_TRY(prepare(v, part, &settings, &wanted));
  const report_record *found = report_records_find(&v->records, report_record_key(&wanted));
  const bool whole = part->epochs == settings.epochs;
  train_settings_release(&settings);
  report_record_release(&wanted);
  const bool enough = found != NULL && (whole ? report_record_finished(found)
                                              : report_reached(found, (double)part->epochs));
  *record = enough ? found : NULL;
  return CDL_STATUS_OK;
}

/* ---- Training, up to an epoch ---- */

typedef struct {
  const study_reproduce_events *to;
  report_record *record;
  cdl_metric metric;
  double pause_at; /* epoch; INFINITY: the end of the run */
  bool paused, failed;
  volatile int stop;
} running;

static void add_evaluation(running *run, double epoch, double score, double loss)
{
  report_record *record = run->record;
  report_evaluation *larger =
      realloc(record->evaluations, (record->evaluation_count + 1) * sizeof *larger);
  if (larger == NULL) {
    run->failed = true;
    return;
  }
  record->evaluations = larger;
  larger[record->evaluation_count++] =
      (report_evaluation){.epoch = epoch, .score = score, .loss = loss};
}

static double number_of(const json_t *object, const char *key)
{
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static void pause_if_due(running *run, double epoch)
{
  if (epoch < run->pause_at - 1e-6)
    return;
  run->paused = true;
  run->stop = 1;
}

static void on_planned(void *user, const train_plan *plan)
{
  running *run = user;
  run->record->adapter_parameters = plan->adapter_numbers;
  run->record->head_parameters = plan->head_numbers;
  for (size_t i = 0; i < json_array_size(plan->evaluations); i++) {
    const json_t *entry = json_array_get(plan->evaluations, i);
    add_evaluation(run, number_of(entry, "epoch"), number_of(entry, cdl_metric_name(run->metric)),
                   number_of(entry, "loss"));
  }
  if (run->record->evaluation_count > 0)
    pause_if_due(run, run->record->evaluations[run->record->evaluation_count - 1].epoch);
}

static void pass_stop(running *run)
{
  if (run->to->stop != NULL && *run->to->stop != 0)
    run->stop = *run->to->stop;
}

static void on_stepped(void *user, const train_step_report *report)
{
  running *run = user;
  pass_stop(run);
  if (run->to->stepped != NULL)
    run->to->stepped(run->to->user, report);
}

static void on_evaluated(void *user, const train_evaluation_report *report)
{
  running *run = user;
  pass_stop(run);
  add_evaluation(run, report->epoch, report->result->scores.value[run->metric],
                 report->result->loss);
  pause_if_due(run, report->epoch);
  if (run->to->evaluated != NULL)
    run->to->evaluated(run->to->user, report);
}

static cdl_status keep_maker(report_record *record, cdl_backend *backend)
{
  record->version = strdup(cdl_version());
  record->kernels = train_kernel_set(backend);
  return record->version != NULL && record->kernels != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_MEMORY, "out of memory: a record");
}

/* `*finished`: the run is at its end, not paused. */
static cdl_status train(const study_verdict *v, const study_verdict_part *part,
                        train_settings *settings, report_record *record, bool *finished)
{
  static const bool given[TRAIN_SETTINGS_MAX];
  const study_reproduce_events *to = &v->r->events;
  running run = {.to = to,
                 .record = record,
                 .metric = record->task->metrics[0],
                 .pause_at = part->epochs < settings->epochs ? (double)part->epochs : INFINITY};
  const study_run described = {
      .task = part->task, .method = part->method, .seed = part->seed, .rate = part->rate};
  const train_events events = {.user = &run,
                               .planned = on_planned,
                               .stepped = on_stepped,
                               .evaluated = on_evaluated,
                               .stop = &run.stop};
  train_session session;
  train_summary summary;
  CDL_TRY(study_ranks_call(v->r, &described, settings));
  CDL_TRY(train_session_open_ranks(&session, settings, given, v->r->asked.job));
  const double start = base_process_seconds();
  pass_stop(&run);
  cdl_status status = train_run(&session, settings, &events, &summary);
  record->seconds += base_process_seconds() - start;
  if (to->run_trained != NULL)
    to->run_trained(to->user);
  *finished = status == CDL_STATUS_OK;
  if (*finished) {
    record->kept_epoch = summary.best_epoch;
    record->dev = summary.dev.scores;
  } else if (status == CDL_STATUS_CANCELLED && run.paused && (to->stop == NULL || *to->stop == 0))
    status = CDL_STATUS_OK;
  if (status == CDL_STATUS_OK || status == CDL_STATUS_CANCELLED) {
    const cdl_status kept = run.failed ? cdl_fail(CDL_STATUS_MEMORY, "out of memory: evaluations")
                                       : keep_maker(record, session.model.backend);
    status = kept == CDL_STATUS_OK ? status : kept;
  }
  train_session_close(&session);
  return status;
}

/* ---- Results on dev ---- */

typedef struct {
  study_verdict *v;
  report_record *record;
} taking;

static cdl_status take_labels(study_verdict *v, const report_record *record,
                              const cdl_dataset *dataset)
{
  if (report_records_labels(&v->records, record->task, record->data_hash) != NULL)
    return CDL_STATUS_OK;
  report_labels labels = {
      .task = record->task, .data_hash = record->data_hash, .count = cdl_dataset_count(dataset)};
  labels.label = calloc(labels.count + 1, sizeof *labels.label);
  if (labels.label == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu labels", labels.count);
  for (size_t i = 0; i < labels.count; i++) {
    const cdl_example example = cdl_dataset_get(dataset, i);
    labels.label[i] = cdl_dataset_is_regression(dataset) ? example.target : example.label;
  }
  const cdl_status status = report_labels_write(v->folder, &labels);
  free(labels.label);
  return status;
}

static cdl_status take_logits(void *user, const cdl_dataset *dataset, const float *logits,
                              int labels)
{
  const taking *t = user;
  report_record *record = t->record;
  record->examples = cdl_dataset_count(dataset);
  record->predictions = calloc(record->examples + 1, sizeof *record->predictions);
  if (record->predictions == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu predictions", record->examples);
  for (size_t i = 0; i < record->examples; i++) {
    const float *row = logits + i * (size_t)labels;
    record->predictions[i] =
        cdl_dataset_is_regression(dataset) ? (double)row[0] : inference_argmax(row, labels);
  }
  return take_labels(t->v, record, dataset);
}

/* ---- The whole ---- */

static cdl_status run_part(study_verdict *v, const study_verdict_part *part,
                           train_settings *settings, report_record *record)
{
  const report_record *before = report_records_find(&v->records, report_record_key(record));
  record->model = base_path_last(v->r->asked.model);
  if (record->model == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a record");
  settings->resume = base_file_exists(settings->output);
  /* What a run that goes on has taken; one that begins anew counts anew. */
  record->seconds = settings->resume && before != NULL ? before->seconds : 0;
  bool finished;
  const cdl_status status = train(v, part, settings, record, &finished);
  if (status == CDL_STATUS_CANCELLED) {
    /* The seconds count when the run goes on. A record from elsewhere that got further stays. */
    if (before == NULL || before->evaluation_count <= record->evaluation_count)
      CDL_TRY(report_record_write(v->folder, record));
    return cdl_fail(status, "stopped");
  }
  CDL_TRY(status);
  if (finished) {
    taking t = {.v = v, .record = record};
    CDL_TRY(study_predict_dev(v->r, settings, record->task, take_logits, &t));
  }
  CDL_TRY(report_record_write(v->folder, record));
  report_records_release(&v->records);
  return report_records_read(v->folder, &v->records);
}

cdl_status study_verdict_train(study_verdict *v, const study_verdict_part *part)
{
  train_settings settings;
  report_record record;
  CDL_TRY(prepare(v, part, &settings, &record));
  cdl_status status = run_part(v, part, &settings, &record);
  if (status != CDL_STATUS_OK)
    status = status == CDL_STATUS_CANCELLED
                 ? cdl_fail(status, "stopped in %s; the same command goes on", settings.output)
                 : cdl_context(status, "%s, %s, rate %g, seed %" PRId64, record.task->name,
                               record.method->name, part->rate, part->seed);
  train_settings_release(&settings);
  report_record_release(&record);
  return status;
}

/* ---- Matrices ---- */

bool study_verdict_has_matrices(const report_compared_method *method)
{
  return strcmp(method->name, "lora") == 0 || strncmp(method->name, "condlora", 8) == 0;
}

/* Sets *path to the adapter of a finished run, which the caller frees, or to NULL if this machine
 * has none. */
static cdl_status find_adapter(const study_verdict *v, const study_verdict_part *part, char **path)
{
  char *folder = run_folder(v, part),
       *metrics = folder != NULL ? base_path_join(folder, "metrics.json") : NULL,
       *adapter = folder != NULL ? base_path_join(folder, "adapter") : NULL;
  const bool complete = metrics != NULL && adapter != NULL;
  const bool found = complete && base_file_exists(metrics) && base_file_exists(adapter);
  free(folder);
  free(metrics);
  if (!found) {
    free(adapter);
    adapter = NULL;
  }
  *path = adapter;
  return complete ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: a path");
}

static cdl_status measure(study_verdict *v, const study_verdict_part *part, const char *adapter,
                          const char *baseline, uint64_t run)
{
  const report_comparison *c = &v->r->comparison;
  const report_source source = {.model = v->r->asked.model,
                                .folder = cdl_hub_source_folder(v->r->model),
                                .backend = v->r->asked.backend,
                                .threads = (int)v->r->asked.threads,
                                .no_fallback = v->r->asked.no_fallback};
  report_matrices m = {
      .task = c->tasks[part->task], .method = c->methods[part->method], .run = run};
  cdl_status status = report_matrices_measure(&source, adapter, baseline, part->seed, &m);
  if (status == CDL_STATUS_NUMERIC) {
    cdl_log(CDL_LOG_WARNING, "%s: its matrices are left out of the records: %s", adapter,
            cdl_error_message());
    report_matrices_release(&m);
    return CDL_STATUS_OK;
  }
  if (status == CDL_STATUS_OK)
    status = report_matrices_write(v->folder, &m);
  report_matrices_release(&m);
  CDL_TRY(status);
  report_matrices_list_release(&v->matrices);
  return report_matrices_read(v->folder, &v->matrices);
}

cdl_status study_verdict_measure(study_verdict *v, const study_verdict_part *part,
                                 const study_verdict_part *baseline)
{
  const report_record *record;
  char *adapter, *beside = NULL;
  CDL_TRY(study_verdict_find(v, part, &record));
  if (record == NULL || report_matrices_find(&v->matrices, report_record_key(record)) != NULL)
    return CDL_STATUS_OK;
  const uint64_t run = report_record_key(record);
  const bool is_baseline = part->method == baseline->method;
  CDL_TRY(find_adapter(v, part, &adapter));
  cdl_status status = is_baseline ? CDL_STATUS_OK : find_adapter(v, baseline, &beside);
  if (status == CDL_STATUS_OK && adapter != NULL && (is_baseline || beside != NULL))
    status = measure(v, part, adapter, beside, run);
  free(adapter);
  free(beside);
  return status;
}
