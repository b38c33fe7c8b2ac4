#include "train/run_files.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/path.h"
#include "base/temporary.h"
#include "condlora/log.h"
#include "train/run_facts.h"
#include "train/step_text.h"
#include "train/trainer.h"

static cdl_status check_empty(const char *folder)
{
  bool empty;
  CDL_TRY(base_folder_is_empty(folder, &empty));
  if (empty)
    return CDL_STATUS_OK;
  return cdl_fail(
      CDL_STATUS_USAGE,
      "%s is not empty; --resume goes on with the run in it, another --output starts one", folder);
}

/* The folder is checked before and after locking, so that a folder that is not for a new run is not
 * changed. */
static cdl_status take_folder(const char *folder, bool resume, base_lock **lock)
{
  CDL_TRY(base_lock_check(folder));
  if (!resume)
    CDL_TRY(check_empty(folder));
  CDL_TRY(base_lock_take(folder, lock));
  return resume ? CDL_STATUS_OK : check_empty(folder);
}

cdl_status train_run_files_open(train_run_files *f, const char *folder, bool resume, bool writes)
{
  *f = (train_run_files){.writes = writes};
  const cdl_status taken = writes ? take_folder(folder, resume, &f->lock) : CDL_STATUS_OK;
  if (taken != CDL_STATUS_OK) {
    train_run_files_close(f);
    return taken;
  }
  const struct {
    char **path;
    const char *name;
  } paths[] = {{&f->adapter, "adapter"},       {&f->model, "model"},
               {&f->checkpoint, "checkpoint"}, {&f->log_path, "train.jsonl"},
               {&f->metrics, "metrics.json"},  {&f->run, "run.json"}};
  bool complete = (f->folder = strdup(folder)) != NULL;
  for (size_t i = 0; complete && i < sizeof paths / sizeof paths[0]; i++)
    complete = (*paths[i].path = base_path_join(folder, paths[i].name)) != NULL;
  if (!complete) {
    train_run_files_close(f);
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  }
  cdl_status status = writes ? base_folder_make(f->checkpoint) : CDL_STATUS_OK;
  if (status == CDL_STATUS_OK) {
    const char *const folders[] = {f->folder, f->adapter, f->model, f->checkpoint};
    for (size_t i = 0; resume && writes && i < sizeof folders / sizeof folders[0]; i++)
      base_folder_sweep(folders[i]);
    char *state = base_path_join(f->checkpoint, "state.safetensors");
    free(f->checkpoint);
    f->checkpoint = state;
    if (state == NULL)
      status = cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  }
  if (status != CDL_STATUS_OK)
    train_run_files_close(f);
  return status;
}

void train_run_files_close(train_run_files *f)
{
  if (f->log != NULL)
    fclose(f->log);
  free(f->folder);
  free(f->adapter);
  free(f->model);
  free(f->checkpoint);
  free(f->log_path);
  free(f->metrics);
  free(f->run);
  base_lock_release(f->lock);
  *f = (train_run_files){0};
}

static cdl_status log_failed(const train_run_files *f)
{
  return cdl_fail(CDL_STATUS_IO, "%s: %s", f->log_path, strerror(errno));
}

cdl_status train_run_log_open(train_run_files *f, int64_t bytes)
{
  if (!f->writes)
    return CDL_STATUS_OK;
  f->log = fopen(f->log_path, bytes > 0 ? "r+" : "a");
  if (f->log == NULL || fseeko(f->log, 0, SEEK_END) != 0)
    return log_failed(f);
  const int64_t present = (int64_t)ftello(f->log);
  if (present < bytes)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: %lld bytes, fewer than the %lld it had when the checkpoint was written",
                    f->log_path, (long long)present, (long long)bytes);
  if (ftruncate(fileno(f->log), (off_t)bytes) != 0 || fseeko(f->log, 0, SEEK_END) != 0)
    return log_failed(f);
  return CDL_STATUS_OK;
}

cdl_status train_run_log_step(train_run_files *f, const train_step_report *r)
{
  if (!f->writes)
    return CDL_STATUS_OK;
  const train_step_text t = train_step_text_of(r);
  /* What differs between runs has a fixed width, because checkpoints hold the length of the log. */
  const int written = fprintf(f->log,
                              "{\"step\": %s, \"epoch\": %s, \"loss\": %s, \"lr\": %s, "
                              "\"grad_norm\": %s, \"examples_per_s\": %12s, "
                              "\"waiting\": %s, \"slowest_rank\": %4d}\n",
                              t.step, t.epoch, t.loss, t.lr, t.grad_norm, t.examples_per_s,
                              t.waiting, r->slowest_rank);
  return written < 0 || fflush(f->log) != 0 ? log_failed(f) : CDL_STATUS_OK;
}

cdl_status train_run_log_sync(train_run_files *f, int64_t *bytes)
{
  if (fflush(f->log) != 0 || base_sync_file(fileno(f->log)) != 0)
    return log_failed(f);
  *bytes = (int64_t)ftello(f->log);
  return CDL_STATUS_OK;
}

json_t *train_result_json(const inference_model *model, const train_result *result)
{
  json_t *object = json_object();
  base_json_set(&object, "examples", json_integer((json_int_t)result->examples));
  base_json_set(&object, "loss", base_json_number(result->loss));
  for (int m = 0; m < CDL_METRIC_COUNT; m++) {
    if (m != CDL_METRIC_LOSS &&
        cdl_metric_applies((cdl_metric)m, model->problem, (size_t)model->labels))
      base_json_set(&object, cdl_metric_name((cdl_metric)m),
                    base_json_number(result->scores.value[m]));
  }
  return object;
}

static double number_of(const json_t *object, const char *key)
{
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Returns 0 for a value that is not a count. */
static size_t count_of(const json_t *object, const char *key)
{
  const json_t *value = json_object_get(object, key);
  return json_is_integer(value) && json_integer_value(value) > 0 ? (size_t)json_integer_value(value)
                                                                 : 0;
}

static bool read_result(const json_t *metrics, const char *split, train_result *result)
{
  const json_t *entry = json_object_get(metrics, split);
  if (entry == NULL)
    return false;
  *result =
      (train_result){.loss = number_of(entry, "loss"), .examples = count_of(entry, "examples")};
  for (int m = 0; m < CDL_METRIC_COUNT; m++)
    result->scores.value[m] = number_of(entry, cdl_metric_name((cdl_metric)m));
  return true;
}

cdl_status train_metrics_read(const train_run_files *f, const train_session *session,
                              train_summary *s)
{
  json_t *metrics;
  CDL_TRY(base_json_read(f->metrics, &metrics));
  const json_t *kept = json_object_get(metrics, "kept"),
               *timing = json_object_get(metrics, "timing");
  const char *method = json_string_value(json_object_get(metrics, "method"));
  if (method == NULL || !json_is_object(kept) || !json_is_object(timing)) {
    json_decref(metrics);
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: expected \"method\", \"kept\" and \"timing\", as a finished run writes "
                    "them; without the file --resume measures again",
                    f->metrics);
  }
  *s = (train_summary){.steps = (int64_t)count_of(metrics, "steps"),
                       .best_step = (int64_t)count_of(kept, "step"),
                       .best_epoch = number_of(kept, "epoch"),
                       .examples_per_s = number_of(timing, "examples_per_s"),
                       .peak_bytes = count_of(timing, "peak_bytes")};
  adapter_trainable_parameters(session->model.adapter, &s->adapter_numbers, &s->head_numbers);
  s->has_valid = read_result(metrics, "valid", &s->valid);
  s->has_dev = read_result(metrics, "dev", &s->dev);
  const bool whole = adapter_is_whole_model(method);
  snprintf(s->adapter_path, sizeof s->adapter_path, "%s", whole ? f->model : f->adapter);
  json_decref(metrics);
  return CDL_STATUS_OK;
}

/* Lists every adapted layer with its rank, alpha and scale. */
static json_t *modules_json(const model_adapter *adapter)
{
  json_t *array = json_array();
  for (size_t i = 0; i < adapter_module_count(adapter); i++) {
    const adapter_module m = adapter_module_at(adapter, i);
    base_json_append(&array, json_pack("{ss sI sf sf}", "path", m.path, "rank", (json_int_t)m.rank,
                                       "alpha", m.alpha, "scale", m.scale));
  }
  return array;
}

/* Returns the shortest decimal number that rounds to the float: 0.1, not 0.10000000149. */
static double decimal(float rate)
{
  return round((double)rate * 1e6) / 1e6;
}

/* Returns the processes of a resumed run, and the new one at the end. */
static json_t *processes_json(const train_run_files *f, bool resumed, json_t *process)
{
  json_t *before = NULL, *list = NULL;
  if (resumed && base_json_read(f->run, &before) == CDL_STATUS_OK)
    list = json_incref(json_object_get(before, "processes"));
  json_decref(before);
  if (!json_is_array(list)) {
    json_decref(list);
    list = json_array();
  }
  base_json_append(&list, process);
  return list;
}

static json_t *dropout_json(const train_session *session, const train_settings *settings)
{
  const encoder_dropout_rates rates = train_run_dropout(session, settings);
  return json_pack("{so so so}", "hidden", base_json_number(decimal(rates.hidden)), "attention",
                   base_json_number(decimal(rates.attention)), "classifier",
                   base_json_number(decimal(rates.classifier)));
}

static json_t *seeds_json(const train_settings *s)
{
  return json_pack("{sI sI sI}", "init", (json_int_t)train_settings_seed(s, s->seed_init), "data",
                   (json_int_t)train_settings_seed(s, s->seed_data), "dropout",
                   (json_int_t)train_settings_seed(s, s->seed_dropout));
}

cdl_status train_run_json_write(const train_run_files *f, const train_session *session,
                                const train_settings *settings, json_t *process)
{
  json_t *object = json_object(), *inputs;
  const cdl_status hashed = train_inputs_json(session, &inputs);
  if (hashed != CDL_STATUS_OK) {
    json_decref(object);
    json_decref(process);
    return hashed;
  }
  base_json_set(&object, "condlora", json_string(cdl_version()));
  base_json_set(&object, "settings", train_settings_json(settings, false));
  base_json_set_text(&object, "backend", cdl_backend_name(session->model.backend));
  base_json_set_text(&object, "device", cdl_backend_description(session->model.backend));
  char *kernels = train_kernel_set(session->model.backend);
  base_json_set(&object, "kernels", kernels != NULL ? base_json_string_of(kernels) : NULL);
  free(kernels);
  base_json_set_text(&object, "metric", cdl_metric_name(session->metric));
  base_json_set(&object, "seeds", seeds_json(settings));
  base_json_set(&object, "dropout", dropout_json(session, settings));
  base_json_set(&object, "max_length", json_integer((json_int_t)session->model.max_length));
  base_json_set_text(&object, "model_commit", cdl_hub_source_commit(session->model.base_source));
  base_json_set(&object, "inputs", inputs);
  base_json_set(&object, "processes", processes_json(f, settings->resume, process));
  base_json_set(&object, "census", data_census_json(&session->census));
  base_json_set(&object, "modules", modules_json(session->model.adapter));
  if (object == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", f->run);
  const cdl_status status = base_json_write(f->run, object);
  json_decref(object);
  return status;
}

void train_run_json_fail(const train_run_files *f, const char *message)
{
  json_t *run = NULL;
  if (!f->writes || base_json_read(f->run, &run) != CDL_STATUS_OK)
    return;
  json_t *processes = json_object_get(run, "processes"),
         *last = json_array_get(processes, json_array_size(processes) - 1);
  if (json_object_set_new(last, "error", base_json_string_of(message)) == 0)
    (void)!base_json_write(f->run, run);
  json_decref(run);
}
