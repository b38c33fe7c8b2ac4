/* A step, and the run around it; trainer_state.h lists the parts in order. */
#include "train/trainer_state.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"
#include "base/process.h"
#include "condlora/log.h"
#include "train/peak.h"
#include "train/run_facts.h"
#include "train/run_record.h"
#include "train/schedule.h"

enum { CHECKPOINT_SECONDS = 30 };

static bool own_stop_requested(const train_trainer *t)
{
  return t->events->stop != NULL && *t->events->stop != 0;
}

static bool stop_requested(const train_trainer *t)
{
  /* all ranks stop after the same step */
  return t->session->model.job != NULL ? t->ranks.stop : own_stop_requested(t);
}

/* ---- Preparing ---- */

static cdl_status plan_schedule(train_trainer *t)
{
  const train_settings *s = t->settings;
  const int64_t examples = (int64_t)t->session->split.train_count,
                window = s->batch_size * s->accumulate;
  t->steps_per_epoch = (examples + window - 1) / window;
  const int64_t total = s->max_steps > 0 ? s->max_steps : t->steps_per_epoch * s->epochs;
  t->schedule = train_schedule_make((train_schedule_kind)s->schedule, s->lr, (uint64_t)total,
                                    train_schedule_warmup_steps(s->warmup_ratio, (uint64_t)total));
  if (s->num_cycles > 0)
    t->schedule.cycles = s->num_cycles;
  t->schedule.power = s->power;
  t->schedule.end_rate = s->end_lr;
  CDL_TRY(train_schedule_check(&t->schedule));
  return train_eval_every(s, t->steps_per_epoch, &t->eval_every);
}

encoder_dropout_rates train_run_dropout(const train_session *session,
                                        const train_settings *settings)
{
  const model_config *c = encoder_config(session->model.encoder);
  const double set = settings->dropout;
  return (encoder_dropout_rates){.hidden = (float)(set >= 0 ? set : c->hidden_dropout),
                                 .attention = (float)(set >= 0 ? set : c->attention_dropout),
                                 .classifier = (float)(set >= 0 ? set : c->classifier_dropout),
                                 .from_block = train_first_dropping_block(session, settings)};
}

/* The best checkpoint is chosen on `valid`, or on `dev` if nothing is held out. */
static cdl_status plan_evaluation(train_trainer *t)
{
  train_session *session = t->session;
  const bool on_valid = session->split.valid_count > 0;
  if (t->eval_every == 0)
    return CDL_STATUS_OK;
  if (!on_valid && session->dev == NULL)
    return cdl_fail(
        CDL_STATUS_USAGE,
        "there is nothing to measure on: give --dev, a --dev-fraction above 0, or --eval-every 0");
  const cdl_dataset *dataset = on_valid ? session->train : session->dev;
  const cdl_tokens tokens = cdl_dataset_tokens(dataset);
  t->evaluated = dataset;
  t->evaluated_split = on_valid ? "valid" : "dev";
  t->evaluated_rows = on_valid ? session->split.valid : session->dev_rows;
  t->evaluated_count = on_valid ? session->split.valid_count : cdl_dataset_count(dataset);
  CDL_TRY(inference_evaluation_create(&t->evaluation, &session->model, &tokens, t->evaluated_rows,
                                      t->evaluated_count));
  t->logits =
      calloc(cdl_dataset_count(dataset) * (size_t)session->model.labels + 1, sizeof *t->logits);
  return t->logits != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_MEMORY, "out of memory: the logits of %s", t->evaluated_split);
}

static cdl_status plan_memory(train_trainer *t, train_plan *plan)
{
  train_session *session = t->session;
  const cdl_tokens tokens = cdl_dataset_tokens(session->train);
  encoder_batch_bound bound;
  CDL_TRY(encoder_batch_bound_of(&tokens, session->split.train, session->split.train_count,
                                 (size_t)t->settings->batch_size, &bound));
  t->training_limits = (encoder_batch_limits){.tokens = (int32_t)bound.tokens,
                                              .sequences = (int32_t)bound.examples,
                                              .longest = (int32_t)bound.longest};
  if (t->eval_every != 0)
    t->evaluation_limits = inference_evaluation_limits(&t->evaluation);
  plan->longest_tokens = bound.longest;
  plan->batch_tokens = bound.tokens;
  plan->activation_bytes =
      encoder_planned_bytes(session->model.encoder, t->training_limits, t->evaluation_limits);
  CDL_TRY(
      encoder_check_room(session->model.encoder, plan->activation_bytes, t->training_limits, true));
  plan->activation_type = encoder_activation_dtype(session->model.encoder);
  cdl_memory_info memory = {.size = sizeof memory};
  CDL_TRY(cdl_backend_memory(session->model.backend, &memory));
  plan->model_bytes = memory.used_bytes;
  plan->mapped_bytes = memory.mapped_bytes;
  CDL_TRY(train_step_create(&t->step, session, t->settings, bound));
  if (session->model.job != NULL)
    CDL_TRY(train_rank_shards_create(&t->ranks, session, t->settings, &t->step.shards));
  if (t->settings->dry_run)
    return CDL_STATUS_OK;
  const bool classes = session->model.problem == CDL_PROBLEM_SINGLE_LABEL;
  if (!data_batch_allocate(&t->batch, bound, classes ? 0 : (size_t)session->model.labels))
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a batch of %zu tokens", bound.tokens);
  return CDL_STATUS_OK;
}

/* Notes the inputs' contents: a path may lead to other contents when the run is resumed. */
static bool note_inputs(const train_trainer *t, json_t *settings)
{
  const train_session *session = t->session;
  uint64_t examples;
  if (train_session_examples_hash(session, &examples) != CDL_STATUS_OK)
    return false;
  const struct {
    const char *name;
    uint64_t hash;
  } inputs[] = {{"base model", session->model.loaded.fingerprint}, {"set of examples", examples}};
  for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
    char digits[20];
    snprintf(digits, sizeof digits, "%016" PRIx64, inputs[i].hash);
    if (json_object_set_new(settings, inputs[i].name, json_string(digits)) != 0)
      return false;
  }
  return true;
}

cdl_status trainer_prepare(train_trainer *t)
{
  const train_settings *s = t->settings;
  const size_t examples = t->session->split.train_count;
  CDL_TRY(plan_schedule(t));
  CDL_TRY(plan_evaluation(t));
  const encoder_dropout_rates dropout = train_run_dropout(t->session, s);
  train_frozen_choose(t->session, s, &dropout, (int64_t)t->schedule.total > t->steps_per_epoch,
                      &t->plan.frozen);
  encoder_begin_at(t->session->model.encoder, t->plan.frozen.block);
  if (t->session->model.frozen != NULL)
    t->cached = frozen_cache_count(t->session->model.frozen);
  t->seed_data = train_settings_seed(s, s->seed_data);
  t->seed_dropout = train_settings_seed(s, s->seed_dropout);
  t->order_epoch = -1;
  t->order = malloc((examples + 1) * sizeof *t->order);
  if (t->order == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the order of %zu examples", examples);
  CDL_TRY(plan_memory(t, &t->plan));
  t->step.dropout = dropout;
  return CDL_STATUS_OK;
}

char *train_kernel_set(cdl_backend *backend)
{
  const char *kernels = cdl_backend_kernels(backend),
             *decompositions = cdl_backend_decompositions(backend);
  char *line;
  if (decompositions == NULL)
    return strdup(kernels);
  return asprintf(&line, "%s, decompositions by %s", kernels, decompositions) >= 0 ? line : NULL;
}

/* Makes the state that a run carries from step to step and saves in its checkpoint. */
static cdl_status make_state(train_trainer *t)
{
  train_session *session = t->session;
  CDL_TRY(
      adapter_begin_run(session->model.adapter, session->model.queue, (int64_t)t->schedule.total));
  CDL_TRY(train_step_ring_create(&t->watch, session->model.queue));
  CDL_TRY(adapter_snapshot_create(session->model.adapter, &t->now));
  CDL_TRY(adapter_snapshot_create(session->model.adapter, &t->best));
  t->moments = calloc(2 * t->now.count + 1, sizeof *t->moments);
  t->state = (train_run_state){.best_value = NAN,
                               .evaluations = json_array(),
                               .settings = train_settings_json(t->settings, true),
                               .kernels = train_kernel_set(session->model.backend)};
  if (t->moments == NULL || t->state.evaluations == NULL || t->state.settings == NULL ||
      t->state.kernels == NULL || !note_inputs(t, t->state.settings))
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the state of the run");
  return CDL_STATUS_OK;
}

/* Counts the passes of a whole step. */
static void plan_passes(const train_trainer *t, train_plan *plan)
{
  const train_shards *shards = &t->step.shards;
  const size_t window = (size_t)(t->settings->batch_size * t->settings->accumulate),
               all = t->session->split.train_count, examples = all < window ? all : window;
  const int ranks = ranks_size(t->session->model.job);
  if (!shards->alone || shards->count == 1)
    return;
  plan->shards = shards->count;
  for (int r = 0; r < ranks; r++) {
    const int passes = train_shards_passes(shards, examples, shards->count * r / ranks,
                                           shards->count * (r + 1) / ranks);
    plan->step_passes += passes;
    plan->rank_passes = passes > plan->rank_passes ? passes : plan->rank_passes;
  }
}

/* Adds facts that plan_memory did not have. */
static void complete_plan(train_trainer *t)
{
  const train_session *session = t->session;
  train_plan *plan = &t->plan;
  plan->method = train_method_name(t->settings);
  plan->backend = cdl_backend_description(session->model.backend);
  plan->census = &session->census;
  plan->dropout = t->step.dropout;
  plan->steps = (int64_t)t->schedule.total;
  plan->steps_per_epoch = t->steps_per_epoch;
  plan->metric = session->metric;
  plan->best_value = NAN;
  plan_passes(t, plan);
  adapter_trainable_parameters(session->model.adapter, &plan->adapter_numbers, &plan->head_numbers);
}

void trainer_release(train_trainer *t)
{
  encoder_begin_at(t->session->model.encoder, 0);
  train_curves_close(&t->curves);
  train_run_files_close(&t->files);
  train_run_state_release(&t->state);
  adapter_snapshot_release(&t->now);
  adapter_snapshot_release(&t->best);
  inference_evaluation_release(&t->evaluation);
  train_step_ring_release(&t->watch);
  train_step_release(&t->step);
  train_rank_shards_release(&t->ranks);
  data_batch_free(&t->batch);
  free(t->moments);
  free(t->logits);
  free(t->order);
  *t = (train_trainer){0};
}

double trainer_epoch(const train_trainer *t, int64_t step)
{
  return (double)step / (double)t->steps_per_epoch;
}

/* ---- Finished steps ---- */

static void measure_pace(train_trainer *t, const train_pending_step *step,
                         train_step_report *report)
{
  const double now = base_process_seconds(), spent = now - t->clock;
  const int64_t done = report->step - t->first_step; /* in this process, with this step */
  const size_t slot = (size_t)(report->step % RATE_WINDOW);
  t->clock = now;
  t->window[slot] = spent;
  t->window_examples[slot] = step->examples;
  t->train_seconds += spent;
  t->waited_seconds += report->waiting * spent;
  t->trained_examples += (int64_t)step->examples;
  double seconds = 0, seen = 0;
  for (int64_t i = 0; i < (done < RATE_WINDOW ? done : RATE_WINDOW); i++) {
    const size_t past = (size_t)((report->step - i) % RATE_WINDOW);
    seconds += t->window[past];
    seen += (double)t->window_examples[past];
  }
  report->examples_per_s = seen / seconds;
  report->seconds_left = (double)(report->steps - report->step) * t->train_seconds / (double)done;
  /* the machine may have been busy during the measurement: a faster step replaces it */
  if (t->gemm_peak > 0) {
    t->gemm_peak = fmax(t->gemm_peak, step->operations / spent);
    report->gemm_share = step->operations / spent / t->gemm_peak;
  }
}

/* Waits for the oldest step in flight, and checks, logs and reports its numbers. */
static cdl_status finish_step(train_trainer *t)
{
  train_pending_step step;
  CDL_TRY(train_step_ring_take(&t->watch, &step));
  train_step_report *report = &step.report;
  if (!isfinite(report->loss) || !isfinite(report->gradient_norm)) {
    const cdl_status bad =
        cdl_fail(CDL_STATUS_NUMERIC,
                 "step %lld: the loss is %g, the gradient's norm %g; training stops, the last "
                 "checkpoint stands "
                 "(a lower --lr may help)",
                 (long long)report->step, report->loss, report->gradient_norm);
    return ranks_agree(t->session->model.job, bad, "a loss that is not finite");
  }
  measure_pace(t, &step, report);
  CDL_TRY(train_run_log_step(&t->files, report));
  CDL_TRY(train_curves_step(&t->curves, report));
  if (t->events->stepped != NULL)
    t->events->stepped(t->events->user, report);
  return CDL_STATUS_OK;
}

/* A state is evaluated, saved or reported only after all its steps were checked. */
static cdl_status finish_steps(train_trainer *t)
{
  while (!train_step_ring_empty(&t->watch))
    CDL_TRY(finish_step(t));
  return CDL_STATUS_OK;
}

/* ---- Checkpoints ---- */

cdl_status trainer_save(train_trainer *t)
{
  CDL_TRY(finish_steps(t));
  CDL_TRY(encoder_check_files(t->session->model.encoder));
  if (!t->files.writes)
    return CDL_STATUS_OK;
  CDL_TRY(train_run_log_sync(&t->files, &t->state.log_bytes));
  CDL_TRY(adapter_snapshot_take(&t->now, t->session->model.adapter, t->session->model.queue));
  cdl_queue_download(t->session->model.queue, t->moments, train_optimizer_state(&t->step.optimizer),
                     2 * t->now.count * sizeof(float));
  CDL_TRY(cdl_queue_sync(t->session->model.queue));
  t->last_checkpoint = base_process_seconds();
  const train_run_tensors tensors = {.values = &t->now, .best = &t->best, .moments = t->moments};
  return train_checkpoint_write(t->files.checkpoint, &t->state, &tensors);
}

/* Returns the name of a setting in which the run differs from its earlier part; NULL: none. A
 * setting that the checkpoint lacks is younger, and then had its default. */
static const char *other_setting(const train_trainer *t, const train_run_state *found,
                                 const json_t *defaults)
{
  const char *key;
  json_t *value;
  json_object_foreach(t->state.settings, key, value)
  {
    if (train_run_record_may_change(key))
      continue;
    const json_t *before = json_object_get(found->settings, key);
    if (before == NULL)
      before = json_object_get(defaults, key);
    if (before == NULL || !json_equal(value, before))
      return key;
  }
  return NULL;
}

/* A resumed run must agree with the earlier one in its settings. */
static cdl_status compare_settings(const train_trainer *t, const train_run_state *found)
{
  train_settings usual;
  CDL_TRY(train_settings_init(&usual));
  usual.method = t->settings->method; /* its options have defaults of their own */
  json_t *defaults = train_settings_json(&usual, true);
  train_settings_release(&usual);
  if (defaults == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", t->files.checkpoint);
  const char *other = other_setting(t, found, defaults);
  json_decref(defaults);
  if (other != NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "%s: the run was started with another %s; resume with the same",
                    t->files.checkpoint, other);
  if (strcmp(found->kernels, t->state.kernels) != 0)
    cdl_log(CDL_LOG_WARNING,
            "the run was started on %s, this is %s: results may differ in their last digits",
            found->kernels, t->state.kernels);
  return CDL_STATUS_OK;
}

/* Returns the number of steps of the earlier run, whose epochs have the same length. */
static int64_t total_of(const train_trainer *t, const json_t *settings)
{
  const json_int_t most = json_integer_value(json_object_get(settings, "max_steps")),
                   epochs = json_integer_value(json_object_get(settings, "epochs"));
  return most > 0 ? most : t->steps_per_epoch * epochs;
}

/* A run may be made longer; its schedule then has the new length. `t->state` is the state to
 * continue from. `now` holds the settings to continue with; this function takes it over. */
static cdl_status take_length(train_trainer *t, const json_t *before, json_t *now)
{
  const int64_t total = (int64_t)t->schedule.total, had = total_of(t, before);
  if (total < had) {
    json_decref(now);
    return cdl_fail(CDL_STATUS_USAGE,
                    "%s: the run is of %lld steps; --resume with --epochs or --max-steps makes it "
                    "longer, not %lld",
                    t->files.folder, (long long)had, (long long)total);
  }
  if (total > had) {
    cdl_log(CDL_LOG_NOTICE,
            "%s: the run was of %lld steps and is now of %lld: from step %lld on the learning rate "
            "follows a schedule of the new length",
            t->files.folder, (long long)had, (long long)total, (long long)t->state.step + 1);
    t->state.finished = false;
  }
  json_decref(t->state.settings);
  t->state.settings = now;
  return CDL_STATUS_OK;
}

static cdl_status load_checkpoint(train_trainer *t)
{
  const train_run_tensors tensors = {.values = &t->now, .best = &t->best, .moments = t->moments};
  train_run_state found;
  const cdl_status status =
      train_checkpoint_load(t->files.checkpoint, (int64_t)t->schedule.total, &found, &tensors);
  if (status == CDL_STATUS_ABSENT) {
    cdl_log(CDL_LOG_NOTICE, "%s holds no checkpoint: training starts afresh", t->files.folder);
    return CDL_STATUS_OK;
  }
  CDL_TRY(status);
  const cdl_status same = compare_settings(t, &found);
  if (same != CDL_STATUS_OK) {
    train_run_state_release(&found);
    return same;
  }
  json_t *before = json_incref(found.settings), *now = json_incref(t->state.settings);
  train_run_state_release(&t->state);
  t->state = found;
  const cdl_status taken = take_length(t, before, now);
  json_decref(before);
  CDL_TRY(taken);
  CDL_TRY(adapter_snapshot_restore(&t->now, t->session->model.adapter, t->session->model.queue));
  cdl_queue_upload(t->session->model.queue, train_optimizer_state(&t->step.optimizer), t->moments,
                   2 * t->now.count * sizeof(float));
  return cdl_queue_status(t->session->model.queue);
}

/* ---- Evaluating ---- */

/* Writes the adapter to disk as soon as it is the best. */
cdl_status trainer_write_adapter(train_trainer *t, const adapter_snapshot *values)
{
  if (!t->files.writes || adapter_is_whole_model(train_method_name(t->settings)))
    return CDL_STATUS_OK; /* a whole model is written once, at the end */
  return adapter_write(t->session->model.adapter, values, t->files.adapter,
                       &t->session->model.adapter_config);
}

cdl_status train_add_penalty(const train_session *session, train_result *result)
{
  double penalty;
  CDL_TRY(adapter_evaluation_penalty(session->model.adapter, session->model.queue, &penalty));
  result->loss += penalty;
  result->scores.value[CDL_METRIC_LOSS] = result->loss;
  return CDL_STATUS_OK;
}

cdl_status trainer_choose_thresholds(train_session *session, const cdl_dataset *dataset,
                                     const uint32_t *rows, size_t count, const float *logits)
{
  inference_model *model = &session->model;
  if (model->problem != CDL_PROBLEM_MULTI_LABEL)
    return CDL_STATUS_OK;
  double **thresholds = &model->adapter_config.thresholds;
  if (*thresholds == NULL)
    *thresholds = calloc((size_t)model->labels, sizeof **thresholds);
  if (*thresholds == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the thresholds of %d labels", model->labels);
  return train_choose_thresholds(model, dataset, rows, count, logits, *thresholds);
}

static cdl_status evaluate(train_trainer *t)
{
  train_session *session = t->session;
  CDL_TRY(finish_steps(t));
  adapter_materialize(session->model.adapter,
                      session->model.queue); /* the step has changed the parameters */
  CDL_TRY(inference_evaluation_run(&t->evaluation, session->model.encoder, session->model.queue,
                                   t->logits, t->events->stop));
  t->state.evaluated_step = t->state.step;
  train_result result;
  const uint32_t *rows = t->evaluated_rows;
  const size_t count = t->evaluated_count;
  CDL_TRY(trainer_choose_thresholds(session, t->evaluated, rows, count, t->logits));
  CDL_TRY(train_score(&session->model, t->evaluated, rows, count, t->logits, NULL, &result));
  CDL_TRY(train_add_penalty(session, &result));
  const double value = result.scores.value[session->metric];
  const bool is_best = cdl_metric_improves(session->metric, value, t->state.best_value);
  t->state.since_best = is_best ? 0 : t->state.since_best + 1;
  if (is_best) {
    t->state.best_value = value;
    t->state.best_step = t->state.step;
    CDL_TRY(adapter_snapshot_take(&t->best, session->model.adapter, session->model.queue));
    if (t->settings->keep == TRAIN_KEEP_BEST)
      CDL_TRY(trainer_write_adapter(t, &t->best));
  }
  json_t *entry = train_result_json(&session->model, &result);
  base_json_set(&entry, "step", json_integer((json_int_t)t->state.step));
  base_json_set(&entry, "epoch", json_real(trainer_epoch(t, t->state.step)));
  base_json_set(&entry, "split", json_string(t->evaluated_split));
  base_json_append(&t->state.evaluations, entry);
  if (t->state.evaluations == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: what was measured");

  const train_evaluation_report report = {.step = t->state.step,
                                          .epoch = trainer_epoch(t, t->state.step),
                                          .split = t->evaluated_split,
                                          .result = &result,
                                          .metric = session->metric,
                                          .is_best = is_best};
  CDL_TRY(train_curves_evaluation(&t->curves, &report));
  if (t->events->evaluated != NULL)
    t->events->evaluated(t->events->user, &report);
  return CDL_STATUS_OK;
}

/* ---- A step ---- */

static void order_epoch(train_trainer *t, int64_t epoch)
{
  if (t->order_epoch == epoch)
    return;
  memcpy(t->order, t->session->split.train, t->session->split.train_count * sizeof *t->order);
  if (!t->settings->no_shuffle)
    data_epoch_shuffle(t->order, t->session->split.train_count, t->seed_data, (uint32_t)epoch);
  t->order_epoch = epoch;
}

/* Chooses the next step's examples, and prepares what all its batches read. */
static cdl_status begin_step(train_trainer *t)
{
  const size_t examples = t->session->split.train_count;
  const size_t window = (size_t)(t->settings->batch_size * t->settings->accumulate);
  const int64_t number = t->state.step;
  order_epoch(t, number / t->steps_per_epoch);
  const size_t first = (size_t)(number % t->steps_per_epoch) * window;
  const size_t count = examples - first < window ? examples - first : window;
  if (train_step_ring_empty(&t->watch))
    t->clock = base_process_seconds();
  t->rows = t->order + first;
  t->rows_done = 0;
  t->under_way = (train_pending_step){
      .examples = count,
      .report = {.step = number + 1,
                 .steps = (int64_t)t->schedule.total,
                 .epoch = trainer_epoch(t, number + 1),
                 .learning_rate = train_schedule_rate(&t->schedule, (uint64_t)number)}};
  cdl_step_record record = {.loss_scale =
                                train_loss_scale(&t->step.loss, t->session->train, t->rows, count),
                            .step = (uint32_t)number,
                            .seed = {(uint32_t)t->seed_dropout, (uint32_t)(t->seed_dropout >> 32)}};
  train_optimizer_record(&t->step.optimizer, t->under_way.report.learning_rate, number + 1,
                         &record);
  train_shards_begin(&t->step.shards, count);
  const cdl_tokens tokens = cdl_dataset_tokens(t->session->train);
  for (size_t i = 0; i < count; i++) {
    const uint64_t *at = tokens.offsets + t->rows[i];
    train_shards_note(&t->step.shards, tokens.ids + at[0], (size_t)(at[1] - at[0]));
  }
  t->rows_end = count;
  if (t->session->model.job != NULL) {
    train_rank_shards_begin(&t->ranks, &t->step.shards);
    train_shards_rows(&t->step.shards, &t->rows_done, &t->rows_end);
  }
  return train_step_begin(&t->step, &record);
}

static cdl_status fill_batch(train_trainer *t)
{
  const train_session *session = t->session;
  t->batch.input.examples = 0;
  if (t->rows_done == t->rows_end) /* a small last batch has no example for this rank */
    return CDL_STATUS_OK;
  CDL_TRY(data_batch_fill(&t->batch, session->train, t->rows + t->rows_done,
                          train_shards_next(&t->step.shards), session->model.first_position));
  if (session->model.types_zero)
    memset(t->batch.input.type_ids, 0, t->batch.input.tokens * sizeof *t->batch.input.type_ids);
  if (encoder_first_block(session->model.encoder) > 0)
    CDL_TRY(frozen_cache_take(session->model.frozen, session->model.encoder, session->model.queue,
                              &t->batch.input));
  const encoder_token_batch view = encoder_host_batch_view(&t->batch.input);
  t->under_way.operations += encoder_gemm_operations(session->model.encoder, &view, true);
  return CDL_STATUS_OK;
}

cdl_status trainer_proceed(train_trainer *t)
{
  if (t->batch.input.examples > 0)
    train_shards_keep(&t->step.shards, t->session->model.queue, t->step.loss.loss);
  t->rows_done += t->batch.input.examples;
  if (t->rows_done < t->rows_end)
    return CDL_STATUS_OK;
  t->under_way.report.ranks = ranks_size(t->session->model.job);
  if (t->session->model.job != NULL) {
    CDL_TRY(train_rank_shards_sum(&t->ranks, &t->step.shards, t->session->model.queue,
                                  own_stop_requested(t), t->state.step + 1));
    t->under_way.report.waiting = t->ranks.waiting;
    t->under_way.report.slowest_rank = train_rank_shards_slowest(&t->ranks);
  }
  CDL_TRY(train_step_end(&t->step, t->state.step));
  train_step_ring_add(&t->watch, &t->under_way, t->step.loss.loss, t->step.loss.norm);
  CDL_TRY(cdl_queue_status(t->session->model.queue));
  t->under_way = (train_pending_step){0};
  t->rows_done = 0;
  t->state.step++;
  return train_step_ring_full(&t->watch) ? finish_step(t) : CDL_STATUS_OK;
}

static bool evaluation_due(const train_trainer *t)
{
  const int64_t step = t->state.step;
  return t->eval_every > 0 && step > t->state.evaluated_step &&
         (step % t->eval_every == 0 || step == (int64_t)t->schedule.total);
}

static bool checkpoint_due(const train_trainer *t, bool evaluated)
{
  const int64_t every = t->settings->checkpoint_every;
  return every > 0 ? t->state.step % every == 0
                   : evaluated || base_process_seconds() - t->last_checkpoint > CHECKPOINT_SECONDS;
}

static cdl_status stop(train_trainer *t)
{
  CDL_TRY(trainer_save(t));
  const cdl_status stopped = cdl_fail(
      CDL_STATUS_CANCELLED, "stopped after step %lld of %lld; --resume with --output %s goes on",
      (long long)t->state.step, (long long)t->schedule.total, t->files.folder);
  return ranks_agree(t->session->model.job, stopped, "the end of the job");
}

/* Exchanges the requests to stop between steps: the caller may end a run by what it is told of the
 * run's plan, or of an evaluation. */
static cdl_status share_stop(train_trainer *t)
{
  ranks_job *job = t->session->model.job;
  if (job == NULL)
    return CDL_STATUS_OK;
  const bool mine = own_stop_requested(t);
  bool *all = calloc((size_t)ranks_size(job), sizeof *all);
  if (all == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d ranks", ranks_size(job));
  const cdl_status status = ranks_gather(job, &mine, sizeof mine, all, "an evaluation");
  for (int i = 0; i < ranks_size(job); i++)
    t->ranks.stop = t->ranks.stop || all[i];
  free(all);
  return status;
}

/* An evaluation runs before the next step, so that a resumed run repeats one that was
 * interrupted. */
static cdl_status between_steps(train_trainer *t, bool *over)
{
  const int64_t patience = t->settings->early_stopping;
  const bool evaluates = evaluation_due(t);
  *over = false;
  if (evaluates) {
    const cdl_status status = evaluate(t);
    if (status == CDL_STATUS_CANCELLED)
      return stop(t);
    CDL_TRY(status);
  }
  if (evaluates || t->state.step == t->first_step)
    CDL_TRY(share_stop(t));
  *over = t->state.step >= (int64_t)t->schedule.total ||
          (patience > 0 && t->state.since_best >= patience);
  if (*over)
    return CDL_STATUS_OK;
  if (stop_requested(t))
    return stop(t);
  if (t->state.step > t->first_step && checkpoint_due(t, evaluates))
    return trainer_save(t);
  return CDL_STATUS_OK;
}

cdl_status trainer_next_batch(train_trainer *t, bool *over)
{
  *over = t->state.finished;
  if (*over)
    return CDL_STATUS_OK;
  if (t->under_way.examples == 0) {
    CDL_TRY(between_steps(t, over));
    if (*over)
      return CDL_STATUS_OK;
    CDL_TRY(begin_step(t));
  }
  return fill_batch(t);
}

/* ---- Start of a run ---- */

static cdl_status open_records(train_trainer *t)
{
  if (!t->files.writes)
    return CDL_STATUS_OK;
  CDL_TRY(train_run_log_open(&t->files, t->state.log_bytes));
  CDL_TRY(train_run_json_write(
      &t->files, t->session, t->settings,
      train_process_json(t->session->model.job, t->started.text, t->state.step)));
  t->recorded = true;
  return train_curves_open(&t->curves, t->settings, t->files.folder, t->state.step);
}

cdl_status trainer_begin(train_trainer *t, train_summary *summary, bool *ended)
{
  train_plan *plan = &t->plan;
  t->started = base_time_now();
  CDL_TRY(make_state(t));
  complete_plan(t);
  *ended = t->settings->dry_run;
  if (!*ended) {
    CDL_TRY(train_run_files_open(&t->files, t->settings->output, t->settings->resume,
                                 ranks_rank(t->session->model.job) == 0));
    if (t->settings->resume)
      CDL_TRY(load_checkpoint(t));
    plan->first_step = t->first_step = t->state.step;
    plan->evaluations = t->state.evaluations;
    plan->best_value = t->state.best_value;
    /* metrics.json is written last */
    plan->finished = t->state.finished && base_file_exists(t->files.metrics);
    *ended = plan->finished;
    if (plan->finished)
      CDL_TRY(train_metrics_read(&t->files, t->session, summary));
    else {
      CDL_TRY(open_records(t));
      if (t->events->measure_gemm && !t->state.finished)
        CDL_TRY(train_measure_gemm(t->session->model.queue, &t->gemm_peak));
    }
  }
  if (t->events->planned != NULL)
    t->events->planned(t->events->user, plan);
  t->last_checkpoint = base_process_seconds();
  return CDL_STATUS_OK;
}
