#include "tools/reports/comparison.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"

static const char predictions_name[] = "predictions.tsv",
                  predictions_head[] = "index\tlabel\tprediction";

size_t report_baseline(const report_comparison *c)
{
  for (size_t m = 0; m < c->method_count; m++)
    if (strcmp(c->methods[m]->name, "lora") == 0)
      return m;
  return 0;
}

char *report_compared_run_folder(const report_comparison *c, size_t task, size_t method,
                                 size_t seed)
{
  char *path;
  return asprintf(&path, "%s/runs/%s/%s/seed%" PRId64, c->folder, c->tasks[task]->name,
                  c->methods[method]->name, c->seeds[seed]) < 0
             ? NULL
             : path;
}

static cdl_status no_memory(const char *path)
{
  return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

/* ---- Predictions ---- */

bool report_compared_run_finished(const char *run_folder)
{
  char *path = base_path_join(run_folder, predictions_name);
  const bool finished = path != NULL && base_file_exists(path);
  free(path);
  return finished;
}

cdl_status report_predictions_write(const char *run_folder, const cdl_dataset *dataset,
                                    const float *logits, int labels)
{
  char *path = base_path_join(run_folder, predictions_name);
  if (path == NULL)
    return no_memory(run_folder);
  base_output *output;
  const cdl_status status = base_output_begin(path, &output);
  free(path);
  CDL_TRY(status);
  base_output_printf(output, "%s\n", predictions_head);
  for (size_t i = 0; i < cdl_dataset_count(dataset); i++) {
    const cdl_example example = cdl_dataset_get(dataset, i);
    const float *y = logits + i * (size_t)labels;
    if (cdl_dataset_is_regression(dataset))
      base_output_printf(output, "%zu\t%.9g\t%.9g\n", i, example.target, (double)y[0]);
    else
      base_output_printf(output, "%zu\t%s\t%s\n", i, cdl_dataset_label_name(dataset, example.label),
                         cdl_dataset_label_name(dataset, inference_argmax(y, labels)));
  }
  return base_output_commit(output);
}

/* How often each class is the right one in dev. */
enum { CLASSES_MOST = 8, CLASS_BYTES = 64 }; /* GLUE's tasks have at most three */
typedef struct {
  char name[CLASSES_MOST][CLASS_BYTES];
  size_t count[CLASSES_MOST];
} class_counts;

static void count_class(class_counts *counts, const char *label)
{
  int c = 0;
  while (c < CLASSES_MOST - 1 && counts->count[c] > 0 && strcmp(counts->name[c], label) != 0)
    c++;
  snprintf(counts->name[c], CLASS_BYTES, "%s", label);
  counts->count[c]++;
}

static cdl_status take_prediction(char *line, bool regression, class_counts *counts, double *score)
{
  char *label = strchr(line, '\t'), *prediction = label != NULL ? strchr(label + 1, '\t') : NULL;
  if (prediction == NULL)
    return cdl_fail(CDL_STATUS_DATA, "expected an index, a label and a prediction");
  *label++ = *prediction++ = '\0';
  if (!regression) {
    count_class(counts, label);
    *score = strcmp(label, prediction) == 0 ? 1 : 0;
    return CDL_STATUS_OK;
  }
  char *ends[2];
  const double difference = strtod(label, &ends[0]) - strtod(prediction, &ends[1]);
  if (ends[0] == label || *ends[0] != '\0' || ends[1] == prediction || *ends[1] != '\0')
    return cdl_fail(CDL_STATUS_DATA, "expected two numbers behind the index");
  *score = -difference * difference;
  return CDL_STATUS_OK;
}

/* ---- Lines of a file ---- */

typedef cdl_status on_line(void *user, char *line);

static cdl_status each_line(const char *path, on_line *take, void *user)
{
  FILE *file = fopen(path, "r");
  if (file == NULL)
    return cdl_fail(CDL_STATUS_ABSENT, "%s: cannot be read", path);
  char *line = NULL;
  size_t space = 0, number = 0;
  cdl_status status = CDL_STATUS_OK;
  for (ssize_t length; status == CDL_STATUS_OK && (length = getline(&line, &space, file)) > 0;) {
    number++;
    if (line[length - 1] == '\n')
      line[length - 1] = '\0';
    status = cdl_context(take(user, line), "%s, line %zu", path, number);
  }
  free(line);
  fclose(file);
  return status;
}

typedef struct {
  report_compared_run *run;
  bool regression, has_head;
  size_t space;
  class_counts classes;
} reader;

static cdl_status grow(double **values, size_t space)
{
  double *larger = realloc(*values, space * sizeof **values);
  if (larger == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu numbers", space);
  *values = larger;
  return CDL_STATUS_OK;
}

static cdl_status on_prediction(void *user, char *line)
{
  reader *r = user;
  if (!r->has_head) {
    r->has_head = true;
    return strcmp(line, predictions_head) == 0
               ? CDL_STATUS_OK
               : cdl_fail(CDL_STATUS_DATA, "expected the columns index, label, prediction");
  }
  if (r->run->examples == r->space)
    CDL_TRY(grow(&r->run->score, r->space = 2 * r->space + 64));
  return take_prediction(line, r->regression, &r->classes, &r->run->score[r->run->examples++]);
}

static double number_of(const json_t *object, const char *key)
{
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static cdl_status on_step(void *user, char *line)
{
  reader *r = user;
  report_compared_run *run = r->run;
  json_t *object;
  CDL_TRY(base_json_parse("the step", line, strlen(line), &object));
  cdl_status status = CDL_STATUS_OK;
  if (run->points == r->space) {
    double **const columns[] = {&run->step, &run->epoch, &run->loss, &run->rate};
    r->space = 2 * r->space + 256;
    for (size_t i = 0; status == CDL_STATUS_OK && i < sizeof columns / sizeof columns[0]; i++)
      status = grow(columns[i], r->space);
  }
  if (status == CDL_STATUS_OK) {
    run->step[run->points] = number_of(object, "step");
    run->epoch[run->points] = number_of(object, "epoch");
    run->loss[run->points] = number_of(object, "loss");
    run->rate[run->points++] = number_of(object, "lr");
  }
  json_decref(object);
  return status;
}

/* ---- metrics.json and run.json ---- */

static bool read_result(const json_t *metrics, const char *split, train_result *result)
{
  const json_t *entry = json_object_get(metrics, split);
  *result = (train_result){.loss = number_of(entry, "loss"),
                           .examples = (size_t)fmax(number_of(entry, "examples"), 0)};
  for (int m = 0; m < CDL_METRIC_COUNT; m++)
    result->scores.value[m] = number_of(entry, cdl_metric_name((cdl_metric)m));
  return json_is_object(entry);
}

static cdl_status take_metrics(const char *path, const json_t *metrics, const cdl_task *task,
                               report_compared_run *run)
{
  const json_t *parameters = json_object_get(metrics, "parameters"),
               *kept = json_object_get(metrics, "kept"),
               *evaluations = json_object_get(metrics, "evaluations");
  (void)read_result(metrics, "valid", &run->valid);
  if (!read_result(metrics, "dev", &run->dev) || !json_is_object(parameters) ||
      !json_is_object(kept) || !json_is_array(evaluations))
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: expected \"dev\", \"parameters\", \"kept\" and \"evaluations\", as a "
                    "finished run writes them",
                    path);
  run->adapter_numbers = (int64_t)number_of(parameters, "adapter");
  run->head_numbers = (int64_t)number_of(parameters, "head");
  run->steps = (int64_t)number_of(metrics, "steps");
  run->kept_step = (int64_t)number_of(kept, "step");
  run->kept_epoch = number_of(kept, "epoch");
  run->examples_per_s = number_of(json_object_get(metrics, "timing"), "examples_per_s");
  run->evaluations = json_array_size(evaluations);
  CDL_TRY(grow(&run->evaluated_at, run->evaluations + 1));
  CDL_TRY(grow(&run->evaluated, run->evaluations + 1));
  for (size_t i = 0; i < run->evaluations; i++) {
    const json_t *entry = json_array_get(evaluations, i);
    run->evaluated_at[i] = number_of(entry, "epoch");
    run->evaluated[i] = number_of(entry, cdl_metric_name(task->metrics[0]));
  }
  return CDL_STATUS_OK;
}

/* Returns the settings that change results. Paths are left out, because a run's folder may be
 * moved. */
static json_t *settings_of(const json_t *run)
{
  json_t *settings = json_object();
  base_json_update(&settings, json_incref(json_object_get(run, "settings")));
  static const char *const places[] = {
      "model",        "data",        "output",   "resume",
      "trace",        "threads",     "dry_run",  "checkpoint_every",
      "cache_frozen", "cache_limit", "cache_dir"};
  for (size_t i = 0; settings != NULL && i < sizeof places / sizeof places[0]; i++)
    (void)json_object_del(settings, places[i]);
  return settings;
}

/* Returns one rate, or a text with all three if they differ. */
static json_t *dropout_of(const json_t *run)
{
  const json_t *rates = json_object_get(run, "dropout");
  const double hidden = number_of(rates, "hidden"), attention = number_of(rates, "attention"),
               classifier = number_of(rates, "classifier");
  if (hidden == attention && hidden == classifier)
    return json_real(hidden);
  return isnan(hidden + attention + classifier)
             ? json_null()
             : json_sprintf("%g hidden, %g attention, %g classifier", hidden, attention,
                            classifier);
}

static json_t *used_of(const json_t *run)
{
  json_t *used = json_object(), *length = json_object_get(run, "max_length");
  base_json_set(&used, "dropout", dropout_of(run));
  if (json_is_integer(length))
    base_json_set(&used, "max_length", json_incref(length));
  return used;
}

static cdl_status read_json(const char *folder, const cdl_task *task, report_compared_run *run)
{
  char *paths[] = {base_path_join(folder, "metrics.json"), base_path_join(folder, "run.json")};
  json_t *object = NULL;
  cdl_status status =
      paths[0] != NULL && paths[1] != NULL ? base_json_read(paths[0], &object) : no_memory(folder);
  if (status == CDL_STATUS_OK) {
    status = take_metrics(paths[0], object, task, run);
    json_decref(object);
  }
  if (status == CDL_STATUS_OK)
    status = base_json_read(paths[1], &object);
  if (status == CDL_STATUS_OK) {
    run->settings = settings_of(object);
    run->used = used_of(object);
    json_decref(object);
    if (run->used == NULL)
      status = no_memory(paths[1]);
    else if (run->settings == NULL)
      status = cdl_fail(CDL_STATUS_DATA, "%s: expected \"settings\"", paths[1]);
  }
  free(paths[0]);
  free(paths[1]);
  return status;
}

cdl_status report_steps_read(const char *path, report_compared_run *run)
{
  reader steps = {.run = run};
  return each_line(path, on_step, &steps);
}

static cdl_status read_run(const char *folder, const cdl_task *task, report_compared_run *run)
{
  CDL_TRY(read_json(folder, task, run));
  char *paths[] = {base_path_join(folder, predictions_name), base_path_join(folder, "train.jsonl")};
  reader predictions = {.run = run, .regression = cdl_task_is_regression(task)};
  cdl_status status = paths[0] != NULL && paths[1] != NULL
                          ? each_line(paths[0], on_prediction, &predictions)
                          : no_memory(folder);
  size_t most = 0;
  for (int c = 0; c < CLASSES_MOST; c++)
    most = predictions.classes.count[c] > most ? predictions.classes.count[c] : most;
  run->commonest = most > 0 ? (double)most / (double)run->examples : NAN;
  if (status == CDL_STATUS_OK)
    status = report_steps_read(paths[1], run);
  free(paths[0]);
  free(paths[1]);
  return status;
}

cdl_status report_comparison_read(report_comparison *c)
{
  const size_t count = c->task_count * c->method_count * c->seed_count;
  c->runs = calloc(count + 1, sizeof *c->runs);
  cdl_status status = c->runs != NULL ? CDL_STATUS_OK : no_memory(c->folder);
  for (size_t t = 0; t < c->task_count; t++)
    for (size_t m = 0; m < c->method_count; m++)
      for (size_t s = 0; status == CDL_STATUS_OK && s < c->seed_count; s++) {
        char *folder = report_compared_run_folder(c, t, m, s);
        status = folder != NULL ? read_run(folder, c->tasks[t], report_compared_run_at(c, t, m, s))
                                : no_memory(c->folder);
        free(folder);
      }
  if (status != CDL_STATUS_OK)
    report_comparison_release(c);
  return status;
}

void report_compared_run_release(report_compared_run *run)
{
  json_decref(run->settings);
  json_decref(run->used);
  double *const arrays[] = {run->score, run->step,         run->epoch,    run->loss,
                            run->rate,  run->evaluated_at, run->evaluated};
  for (size_t k = 0; k < sizeof arrays / sizeof arrays[0]; k++)
    free(arrays[k]);
  *run = (report_compared_run){0};
}

void report_comparison_release(report_comparison *c)
{
  const size_t count = c->runs != NULL ? c->task_count * c->method_count * c->seed_count : 0;
  for (size_t i = 0; i < count; i++)
    report_compared_run_release(&c->runs[i]);
  free(c->runs);
  c->runs = NULL;
}
