#include "tools/reports/run_list.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/path.h"
#include "condlora/safetensors.h"
#include "condlora/task.h"

static cdl_status no_memory(const char *path)
{
  return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

static double number_of(const json_t *object, const char *key)
{
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

const char *report_run_state_word(report_run_state state)
{
  static const char *const words[] = {"finished", "running", "stopped", "failed"};
  return words[state];
}

const char *report_run_fact(const report_listed_run *run, const char *key)
{
  const size_t count = json_array_size(run->processes);
  return count > 0
             ? json_string_value(json_object_get(json_array_get(run->processes, count - 1), key))
             : NULL;
}

const char *report_run_method(const report_listed_run *run)
{
  const char *method = json_string_value(json_object_get(run->settings, "method"));
  return method != NULL ? method : "";
}

/* ---- Scores ---- */

/* Returns whether `a` comes before `b`; a number comes before NaN. */
static bool is_better(double a, double b, cdl_metric metric)
{
  return cdl_metric_improves(metric, a, b);
}

/* The metric that chose a run's best checkpoint; older runs do not record it. */
static cdl_metric metric_of(const json_t *record)
{
  const json_t *settings = json_object_get(record, "settings");
  const char *names[] = {json_string_value(json_object_get(record, "metric")),
                         json_string_value(json_object_get(settings, "metric"))},
             *task_name = json_string_value(json_object_get(settings, "task"));
  const cdl_task *task;
  cdl_metric metric;
  for (size_t i = 0; i < 2; i++)
    if (names[i] != NULL && cdl_metric_find(names[i], &metric) == CDL_STATUS_OK)
      return metric;
  if (task_name != NULL && cdl_task_find(task_name, &task) == CDL_STATUS_OK)
    return task->metrics[0];
  return json_is_true(json_object_get(settings, "regression")) ? CDL_METRIC_PEARSON
                                                               : CDL_METRIC_ACCURACY;
}

static double best_evaluation(const json_t *evaluations, const char *split, cdl_metric metric)
{
  double best = NAN;
  for (size_t i = 0; i < json_array_size(evaluations); i++) {
    const json_t *entry = json_array_get(evaluations, i);
    const char *of = json_string_value(json_object_get(entry, "split"));
    const double value = number_of(entry, cdl_metric_name(metric));
    if (of != NULL && strcmp(of, split) == 0 && is_better(value, best, metric))
      best = value;
  }
  return best;
}

/* ---- Files of a run ---- */

/* Reads a JSON file of a run; a run that was killed early lacks some. */
static cdl_status read_if_there(const char *folder, const char *name, json_t **object)
{
  char *path = base_path_join(folder, name);
  *object = NULL;
  if (path == NULL)
    return no_memory(folder);
  const cdl_status status = base_json_read(path, object);
  free(path);
  return status == CDL_STATUS_ABSENT ? CDL_STATUS_OK : status;
}

/* Takes step and evaluations from the checkpoint of a run that is not finished. */
static cdl_status read_checkpoint(report_listed_run *run)
{
  cdl_safetensors *file;
  base_json_fault fault;
  char *path = base_path_join(run->folder, "checkpoint/state.safetensors");
  if (path == NULL)
    return no_memory(run->folder);
  const bool opened = base_file_exists(path) && cdl_safetensors_open(path, &file) == CDL_STATUS_OK;
  free(path);
  if (!opened)
    return CDL_STATUS_OK;
  const char *text = cdl_safetensors_metadata(file, "state");
  json_t *state = text != NULL ? base_json_load(text, strlen(text), &fault) : NULL;
  run->evaluations = json_incref(json_object_get(state, "evaluations"));
  json_decref(state);
  cdl_safetensors_close(file);
  return CDL_STATUS_OK;
}

/* Returns the number of the last whole line of train.jsonl, 0 without one. */
static int64_t last_step(const char *folder)
{
  char *path = base_path_join(folder, "train.jsonl");
  base_mapping log;
  base_json_fault fault;
  const bool there =
      path != NULL && base_file_exists(path) && base_file_map(path, &log) == CDL_STATUS_OK;
  free(path);
  if (!there)
    return 0;
  const char *text = (const char *)log.data;
  size_t end = log.size;
  while (end > 0 && text[end - 1] != '\n')
    end--;
  size_t begin = end > 0 ? end - 1 : 0;
  while (begin > 0 && text[begin - 1] != '\n')
    begin--;
  json_t *line = end > begin ? base_json_load(text + begin, end - begin, &fault) : NULL;
  const int64_t step = (int64_t)json_integer_value(json_object_get(line, "step"));
  json_decref(line);
  base_file_unmap(&log);
  return step;
}

/* The lock's message, if another process has it, is no error here. */
static cdl_status find_state(report_listed_run *run, const json_t *metrics)
{
  const cdl_status lock = base_lock_check(run->folder);
  if (lock == CDL_STATUS_MEMORY)
    return lock;
  run->state = lock != CDL_STATUS_OK                   ? REPORT_RUN_RUNNING
               : report_run_fact(run, "error") != NULL ? REPORT_RUN_FAILED
               : metrics != NULL                       ? REPORT_RUN_FINISHED
                                                       : REPORT_RUN_STOPPED;
  return CDL_STATUS_OK;
}

static cdl_status take_results(report_listed_run *run, const json_t *metrics)
{
  const json_t *timing = json_object_get(metrics, "timing");
  const char *name = cdl_metric_name(run->metric);
  if (run->state == REPORT_RUN_FINISHED) {
    run->evaluations = json_incref(json_object_get(metrics, "evaluations"));
    run->step = (int64_t)json_integer_value(json_object_get(metrics, "steps"));
    run->valid = number_of(json_object_get(metrics, "valid"), name);
    run->dev = number_of(json_object_get(metrics, "dev"), name);
    run->examples_per_s = number_of(timing, "examples_per_s");
    run->train_seconds = number_of(timing, "train_seconds");
    return CDL_STATUS_OK;
  }
  CDL_TRY(read_checkpoint(run));
  run->step = last_step(run->folder);
  run->valid = best_evaluation(run->evaluations, "valid", run->metric);
  run->dev = best_evaluation(run->evaluations, "dev", run->metric);
  return CDL_STATUS_OK;
}

/* `record` is run.json. */
static cdl_status take_run(report_run_list *list, const char *folder, const char *name,
                           const json_t *record, const cdl_metric *metric)
{
  report_listed_run *larger = realloc(list->item, (list->count + 1) * sizeof *larger);
  if (larger == NULL)
    return no_memory(folder);
  list->item = larger;
  report_listed_run *run = &larger[list->count++];
  *run = (report_listed_run){.folder = strdup(folder),
                             .name = strdup(name),
                             .settings = json_incref(json_object_get(record, "settings")),
                             .processes = json_incref(json_object_get(record, "processes")),
                             .valid = NAN,
                             .dev = NAN,
                             .examples_per_s = NAN,
                             .train_seconds = NAN};
  if (run->folder == NULL || run->name == NULL)
    return no_memory(folder);
  json_t *metrics;
  CDL_TRY(read_if_there(folder, "metrics.json", &metrics));
  run->metric = metric != NULL ? *metric : metric_of(record);
  cdl_status status = find_state(run, metrics);
  if (status == CDL_STATUS_OK)
    status = take_results(run, metrics);
  json_decref(metrics);
  return status;
}

/* ---- Folders ---- */

enum { DEEPEST = 12 };

static cdl_status search_folder(report_run_list *list, const char *folder, const char *name,
                                const cdl_metric *metric, int depth);

static int is_no_hidden_name(const struct dirent *entry)
{
  return entry->d_name[0] != '.';
}

static cdl_status search_below(report_run_list *list, const char *folder, const char *name,
                               const cdl_metric *metric, int depth)
{
  struct dirent **entries;
  const int count = scandir(folder, &entries, is_no_hidden_name, alphasort);
  if (count < 0)
    return cdl_fail(errno == ENOENT ? CDL_STATUS_ABSENT : CDL_STATUS_IO, "%s: %s", folder,
                    strerror(errno));
  cdl_status status = CDL_STATUS_OK;
  for (int i = 0; i < count; i++) {
    struct stat facts;
    char *path = base_path_join(folder, entries[i]->d_name),
         *below = name[0] != '\0' ? base_path_join(name, entries[i]->d_name)
                                  : strdup(entries[i]->d_name);
    if (path == NULL || below == NULL)
      status = status == CDL_STATUS_OK ? no_memory(folder) : status;
    /* A link could lead back. */
    else if (status == CDL_STATUS_OK && lstat(path, &facts) == 0 && S_ISDIR(facts.st_mode))
      status = search_folder(list, path, below, metric, depth + 1);
    free(path);
    free(below);
    free(entries[i]);
  }
  free(entries);
  return status;
}

static cdl_status search_folder(report_run_list *list, const char *folder, const char *name,
                                const cdl_metric *metric, int depth)
{
  json_t *record;
  CDL_TRY(read_if_there(folder, "run.json", &record));
  if (json_is_object(json_object_get(record, "settings"))) {
    char *last = name[0] == '\0' ? base_path_last(folder) : strdup(name);
    const cdl_status status =
        last != NULL ? take_run(list, folder, last, record, metric) : no_memory(folder);
    free(last);
    json_decref(record);
    return status;
  }
  json_decref(record);
  return depth < DEEPEST ? search_below(list, folder, name, metric, depth) : CDL_STATUS_OK;
}

cdl_status report_run_list_read(const char *const *folders, size_t count, const cdl_metric *metric,
                                report_run_list *list)
{
  *list = (report_run_list){0};
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; status == CDL_STATUS_OK && i < count; i++)
    status = search_folder(list, folders[i], count > 1 ? folders[i] : "", metric, 0);
  if (status == CDL_STATUS_OK && list->count == 0)
    status = cdl_fail(CDL_STATUS_DATA, "%s: no run in it: no folder has a run.json", folders[0]);
  if (status != CDL_STATUS_OK)
    report_run_list_release(list);
  return status;
}

void report_run_list_release(report_run_list *list)
{
  for (size_t i = 0; i < list->count; i++) {
    report_listed_run *run = &list->item[i];
    free(run->folder);
    free(run->name);
    json_decref(run->settings);
    json_decref(run->processes);
    json_decref(run->evaluations);
    report_compared_run_release(&run->curves);
  }
  free(list->item);
  *list = (report_run_list){0};
}

/* ---- Orders ---- */

/* Below 0 if `a` comes first. */
static int by_order(const report_listed_run *a, const report_listed_run *b, report_run_order order)
{
  const char *x = report_run_fact(a, "started"), *y = report_run_fact(b, "started");
  const double scores[2][2] = {{a->valid, b->valid}, {a->dev, b->dev}};
  const double *pair = scores[order == REPORT_RUN_BY_DEV];
  switch (order) {
  case REPORT_RUN_BY_VALID:
  case REPORT_RUN_BY_DEV:
    return is_better(pair[1], pair[0], a->metric) - is_better(pair[0], pair[1], a->metric);
  case REPORT_RUN_BY_TIME:
    return is_better(b->train_seconds, a->train_seconds, CDL_METRIC_LOSS) -
           is_better(a->train_seconds, b->train_seconds, CDL_METRIC_LOSS);
  case REPORT_RUN_BY_START:
    return strcmp(x != NULL ? x : "", y != NULL ? y : "");
  case REPORT_RUN_BY_NAME:
    break;
  }
  return 0;
}

/* By insertion, which keeps the order of equals: lists are short. */
void report_run_list_sort(report_run_list *list, report_run_order order)
{
  for (size_t i = 1; i < list->count; i++) {
    const report_listed_run run = list->item[i];
    size_t place = i;
    for (; place > 0 && by_order(&run, &list->item[place - 1], order) < 0; place--)
      list->item[place] = list->item[place - 1];
    list->item[place] = run;
  }
}

/* ---- Curves ---- */

cdl_status report_run_read_curves(report_listed_run *run)
{
  report_compared_run *curves = &run->curves;
  const size_t count = json_array_size(run->evaluations);
  char *path = base_path_join(run->folder, "train.jsonl");
  curves->evaluated_at = calloc(count + 1, sizeof *curves->evaluated_at);
  curves->evaluated = calloc(count + 1, sizeof *curves->evaluated);
  if (path == NULL || curves->evaluated_at == NULL || curves->evaluated == NULL) {
    free(path);
    return no_memory(run->folder);
  }
  for (size_t i = 0; i < count; i++) {
    const json_t *entry = json_array_get(run->evaluations, i);
    curves->evaluated_at[i] = number_of(entry, "epoch");
    curves->evaluated[i] = number_of(entry, cdl_metric_name(run->metric));
  }
  curves->evaluations = count;
  const cdl_status status = report_steps_read(path, curves);
  free(path);
  /* The last line of a run at work, or of one that was killed, may be cut. */
  return status == CDL_STATUS_OK || run->state != REPORT_RUN_FINISHED ? CDL_STATUS_OK : status;
}
