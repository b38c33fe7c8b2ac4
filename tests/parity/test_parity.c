/* The numbers of PyTorch: every golden case named on the command line, on one backend. README.md
 * says what a case holds and where the bounds come from. */
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "condlora/safetensors.h"
#include "model/adapter/io.h"
#include "model/adapter/methods/triplets.h"
#include "model/files/family.h"
#include "tests/required.h"
#include "train/examples.h"
#include "train/step.h"
#include "train/trainer.h"

enum { STEPS_MOST = 1000 };

typedef struct {
  char folder[4096], scratch[4096];
  json_t *json;
  cdl_safetensors *expected;
  train_settings settings;
  train_session session;
  double losses[STEPS_MOST], norms[STEPS_MOST], rates[STEPS_MOST];
  int64_t steps;
  const char *precision;
  double limit_factor; /* 1 on the CPU; other devices sum in another order */
  double worst;        /* error / bound over all that was compared */
  int failures;
} parity_case;

/* ---- Comparing ---- */

/* The unit roundoff of what is multiplied, over float32's, which is 2⁻²⁴. */
static double roundoff_ratio(const char *precision)
{
  if (strcmp(precision, "bf16") == 0)
    return 0x1p15;
  return strcmp(precision, "tf32") == 0 ? 0x1p13 : 1;
}

/* The bound of a kind of number, in case.json. In BF16 and TF32: how far PyTorch's float32 strays
 * from the truth, or four unit roundoffs if it strayed less by luck, times the ratio of the unit
 * roundoffs. */
static double bound_of(const parity_case *c, const char *kind)
{
  const double ratio = roundoff_ratio(c->precision);
  const json_t *list = json_object_get(c->json, ratio > 1 ? "pytorch_float32_strays" : "bounds");
  const double bound = json_number_value(json_object_get(list, kind));
  return ratio > 1 ? fmax(bound, 0x1p-22) * ratio : bound;
}

static void judge(parity_case *c, const char *what, double error, double bound)
{
  const double share = error / (bound * c->limit_factor);
  if (!(share <= c->worst))
    c->worst = share;
  if (getenv("CDL_PARITY_VERBOSE") != NULL)
    printf("  %6.3f %s\n", share, what);
  if (!(share <= 1)) {
    c->failures++;
    printf("  FAIL %s: error %.3g, bound %.3g\n", what, error, bound * c->limit_factor);
  }
}

static const cdl_stored_tensor *find(parity_case *c, const char *name)
{
  const cdl_stored_tensor *t = cdl_safetensors_find(c->expected, name);
  if (t == NULL) {
    printf("  FAIL expected.safetensors has no %s\n", name);
    c->failures++;
  }
  return t;
}

static double element(const cdl_stored_tensor *t, size_t i)
{
  if (t->type == CDL_STORED_F64) {
    double v;
    memcpy(&v, (const char *)t->data + i * sizeof v, sizeof v);
    return v;
  }
  float v;
  memcpy(&v, (const char *)t->data + i * sizeof v, sizeof v);
  return (double)v;
}

static size_t elements(const cdl_stored_tensor *t)
{
  return t->bytes / cdl_stored_type_bytes(t->type);
}

/* |Δ| ≤ bound · max(floor, |y|), element by element. */
static void compare_each(parity_case *c, const char *what, const cdl_stored_tensor *truth,
                         const float *values, size_t count, double bound)
{
  if (truth == NULL)
    return;
  if (elements(truth) != count) {
    printf("  FAIL %s: %zu values, expected %zu\n", what, count, elements(truth));
    c->failures++;
    return;
  }
  double worst_error = 0, worst_bound = bound;
  for (size_t i = 0; i < count; i++) {
    const double y = element(truth, i), error = fabs((double)values[i] - y),
                 allowed = bound * fmax(1, fabs(y));
    if (!(error / allowed <= worst_error / worst_bound)) {
      worst_error = error;
      worst_bound = allowed;
    }
  }
  judge(c, what, worst_error, worst_bound);
}

static bool zero_in_exact_arithmetic(const parity_case *c, const char *name)
{
  size_t i;
  json_t *item;
  json_array_foreach(json_object_get(json_object_get(c->json, "zero_gradients"), "tensors"), i,
                     item) if (strcmp(json_string_value(item), name) == 0) return true;
  return false;
}

/* A parameter's name in the adapter's file; for `full` the model's own. */
static void file_name(const parity_case *c, const encoder_parameter *p, char *name, size_t bytes)
{
  if (adapter_is_whole_model(train_method_name(&c->settings)))
    snprintf(name, bytes, "%s", p->name);
  else
    adapter_name_in_file(c->session.model.adapter, p, name, bytes);
}

/* ---- The parts of a case ---- */

static void compare_ids(parity_case *c)
{
  const cdl_stored_tensor *ids = find(c, "data.input_ids"), *offsets = find(c, "data.offsets");
  const cdl_stored_tensor *types = find(c, "data.token_type_ids");
  const cdl_tokens tokens = cdl_dataset_tokens(c->session.train);
  if (ids == NULL || offsets == NULL || types == NULL)
    return;
  bool same =
      elements(offsets) == tokens.count + 1 && elements(ids) == tokens.offsets[tokens.count];
  for (size_t i = 0; same && i <= tokens.count; i++) {
    int32_t offset;
    memcpy(&offset, (const char *)offsets->data + i * 4, 4);
    same = (uint64_t)offset == tokens.offsets[i];
  }
  for (size_t i = 0; same && i < elements(ids); i++) {
    int32_t id, type;
    memcpy(&id, (const char *)ids->data + i * 4, 4);
    memcpy(&type, (const char *)types->data + i * 4, 4);
    same = id == tokens.ids[i] && type == tokens.type_ids[i];
  }
  judge(c, "ids", same ? 0 : INFINITY, 1);
}

static cdl_status download(train_session *session, cdl_tensor t, float **values)
{
  const size_t bytes = (size_t)cdl_tensor_elements(t) * sizeof(float);
  *values = malloc(bytes);
  if (*values == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory");
  cdl_queue_download(session->model.queue, *values, t, bytes);
  return cdl_queue_sync(session->model.queue);
}

/* Logits of the first batch; `merged` as evaluation computes them. */
static cdl_status compare_logits(parity_case *c, const char *what, bool merged)
{
  train_session *session = &c->session;
  const size_t count = (size_t)c->settings.batch_size;
  uint32_t *rows = train_all_rows(count);
  float *logits =
      calloc(cdl_dataset_count(session->train) * (size_t)session->model.labels, sizeof *logits);
  inference_evaluation evaluation;
  const cdl_tokens tokens = cdl_dataset_tokens(session->train);
  CDL_TRY(inference_evaluation_create(&evaluation, &session->model, &tokens, rows, count));
  CDL_TRY(encoder_plan(session->model.encoder, session->model.queue, (encoder_batch_limits){0},
                       inference_evaluation_limits(&evaluation)));
  adapter_materialize(session->model.adapter, session->model.queue);
  if (merged)
    CDL_TRY(inference_evaluation_run(&evaluation, session->model.encoder, session->model.queue,
                                     logits, NULL));
  else
    for (size_t b = 0; b < evaluation.plan.batches; b++) {
      static const encoder_dropout_rates none = {0};
      const size_t first = evaluation.plan.first[b], n = evaluation.plan.first[b + 1] - first;
      CDL_TRY(encoder_host_batch_fill(&evaluation.batch, &tokens, evaluation.plan.rows + first, n,
                                      session->model.first_position));
      const encoder_token_batch view = encoder_host_batch_view(&evaluation.batch);
      CDL_TRY(encoder_load_batch(session->model.encoder, session->model.queue, &view,
                                 ENCODER_EVALUATION));
      float *part;
      CDL_TRY(download(
          session,
          encoder_forward(session->model.encoder, session->model.queue, &none, (cdl_tensor){0}),
          &part));
      for (size_t i = 0; i < n; i++)
        memcpy(logits + evaluation.plan.rows[first + i] * (size_t)session->model.labels,
               part + i * (size_t)session->model.labels,
               (size_t)session->model.labels * sizeof *part);
      free(part);
    }
  char line[128];
  snprintf(line, sizeof line, "%s%s", what, merged ? " (merged)" : "");
  compare_each(c, line, find(c, what), logits, count * (size_t)session->model.labels,
               bound_of(c, what));
  inference_evaluation_release(&evaluation);
  free(logits);
  free(rows);
  return CDL_STATUS_OK;
}

/* ‖Δ‖ ≤ bound · max(‖g‖, 1e-6 · the norm of all gradients), tensor by tensor. */
static cdl_status compare_gradients(parity_case *c, double bound)
{
  train_session *session = &c->session;
  const size_t count = adapter_parameter_count(session->model.adapter);
  double all = 0;
  for (size_t i = 0; i < cdl_safetensors_count(c->expected); i++) {
    const cdl_stored_tensor *t = cdl_safetensors_get(c->expected, i);
    for (size_t j = 0; strncmp(t->name, "gradient/", 9) == 0 && j < elements(t); j++)
      all += element(t, j) * element(t, j);
  }
  for (size_t i = 0; i < count; i++) {
    const encoder_parameter *p = adapter_parameter(session->model.adapter, i);
    char name[256], key[300];
    file_name(c, p, name, sizeof name);
    snprintf(key, sizeof key, "gradient/%s", name);
    const cdl_stored_tensor *truth = find(c, key);
    if (truth == NULL || zero_in_exact_arithmetic(c, name))
      continue;
    float *values;
    CDL_TRY(download(session, p->gradient, &values));
    double error = 0, norm = 0;
    for (size_t j = 0; j < elements(truth); j++) {
      const double y = element(truth, j), d = (double)values[j] - y;
      error += d * d;
      norm += y * y;
    }
    judge(c, key, sqrt(error), bound * fmax(sqrt(norm), 1e-6 * sqrt(all)));
    free(values);
  }
  return CDL_STATUS_OK;
}

/* Loss and gradients of the first batch, by the same calls that a step makes. */
static cdl_status compare_first_batch(parity_case *c)
{
  train_session *session = &c->session;
  cdl_queue *q = session->model.queue;
  const size_t count = (size_t)c->settings.batch_size;
  const cdl_tokens tokens = cdl_dataset_tokens(session->train);
  uint32_t *rows = train_all_rows(count);
  encoder_batch_bound bound;
  data_batch batch;
  train_step step;
  CDL_TRY(encoder_batch_bound_of(&tokens, rows, count, count, &bound));
  const encoder_batch_limits limits = {.tokens = (int32_t)bound.tokens,
                                       .sequences = (int32_t)count,
                                       .longest = (int32_t)bound.longest};
  CDL_TRY(encoder_plan(session->model.encoder, q, limits, (encoder_batch_limits){0}));
  if (!data_batch_allocate(&batch, bound, (size_t)session->model.labels))
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory");
  CDL_TRY(train_step_create(&step, session, &c->settings, bound));
  CDL_TRY(data_batch_fill(&batch, session->train, rows, count, session->model.first_position));
  cdl_step_record record = {.loss_scale =
                                train_loss_scale(&step.loss, session->train, rows, count)};
  train_optimizer_record(&step.optimizer, 0, 1, &record); /* nothing moves */
  train_shards_begin(&step.shards, count);
  train_shards_note(&step.shards, batch.input.ids, batch.input.tokens);
  if (step.shards.count > 1 && c->settings.accumulate == 1)
    (void)train_shards_next(&step.shards);
  CDL_TRY(train_step_begin(&step, &record));
  CDL_TRY(train_step_batch(&step, &batch));
  CDL_TRY(train_step_end(&step, 0));
  float value;
  cdl_queue_download(q, &value, step.loss.loss, sizeof value);
  CDL_TRY(cdl_queue_sync(q));
  const cdl_stored_tensor *truth = find(c, "loss");
  if (truth != NULL)
    judge(c, "loss of the first batch", fabs((double)value - element(truth, 0)),
          bound_of(c, "losses") * fmax(1, fabs(element(truth, 0))));
  CDL_TRY(compare_gradients(c, bound_of(c, "gradients")));
  train_step_release(&step);
  data_batch_free(&batch);
  free(rows);
  return CDL_STATUS_OK;
}

/* How many triplets AdaLoRA's last choice left in each layer; -1: there was none yet. */
static cdl_status compare_ranks(parity_case *c, int64_t step)
{
  const model_adapter *a = c->session.model.adapter;
  if (a->method->options != triplet_options)
    return CDL_STATUS_OK;
  const triplets *t = a->own_state;
  cdl_tensor masks = t->state;
  masks.offset += t->first_mask;
  masks.size[3] = (int64_t)t->mask_count;
  float *kept;
  CDL_TRY(download(&c->session, masks, &kept));
  for (size_t i = 0; i < t->batch_count; i++)
    for (int layer = 0; layer < t->batches[i].count; layer++) {
      const triplet_batch *b = &t->batches[i];
      char name[256];
      snprintf(name, sizeof name, "ranks/%s", a->modules[b->modules[layer]]->path);
      const cdl_stored_tensor *truth = find(c, name);
      if (truth == NULL)
        continue;
      int32_t wanted, rank = 0;
      memcpy(&wanted, (const char *)truth->data + (step - 1) * 4, sizeof wanted);
      for (int64_t k = 0; k < b->rank; k++)
        rank += kept[b->first_mask + (size_t)(layer * b->rank + k)] != 0;
      char what[300];
      snprintf(what, sizeof what, "%s, step %lld", name, (long long)step);
      if (wanted >= 0)
        judge(c, what, fabs((double)(rank - wanted)), 0.5);
    }
  free(kept);
  return CDL_STATUS_OK;
}

static void remember_step(void *user, const train_step_report *report)
{
  parity_case *c = user;
  if (report->step > STEPS_MOST)
    return;
  c->losses[report->step - 1] = report->loss;
  c->norms[report->step - 1] = report->gradient_norm;
  c->rates[report->step - 1] = report->learning_rate;
  c->steps = report->step;
  /* Only a backend that does not work ahead is still at this step. */
  if (c->limit_factor == 1 && compare_ranks(c, report->step) != CDL_STATUS_OK)
    judge(c, cdl_error_message(), INFINITY, 1);
}

/* A gradient jumps where the input of RELU passes zero, and an input that is closer to zero than
 * BF16 or TF32 can tell is on either side. */
static bool gradients_may_jump(const parity_case *c)
{
  const model_family family = encoder_config(c->session.model.encoder)->family;
  return roundoff_ratio(c->precision) > 1 &&
         model_family_of(family)->head_activation == CDL_ACTIVATION_RELU;
}

static cdl_status compare_training(parity_case *c)
{
  const train_events events = {.user = c, .stepped = remember_step};
  train_summary summary;
  CDL_TRY(train_run(&c->session, &c->settings, &events, &summary));
  const cdl_stored_tensor *losses = find(c, "losses"), *norms = find(c, "gradient_norms"),
                          *rates = find(c, "rates");
  if (losses == NULL || norms == NULL || rates == NULL)
    return CDL_STATUS_OK;
  judge(c, "number of steps", fabs((double)c->steps - (double)elements(losses)), 0.5);
  for (int64_t s = 0; s < c->steps && (size_t)s < elements(losses); s++) {
    const double loss = element(losses, (size_t)s), norm = element(norms, (size_t)s),
                 rate = element(rates, (size_t)s);
    char what[64];
    snprintf(what, sizeof what, "loss of step %lld", (long long)s + 1);
    judge(c, what, fabs(c->losses[s] - loss), bound_of(c, "losses") * fmax(1, fabs(loss)));
    snprintf(what, sizeof what, "gradient norm of step %lld", (long long)s + 1);
    if (!gradients_may_jump(c))
      judge(c, what, fabs(c->norms[s] - norm),
            bound_of(c, "gradient_norms") * fmax(1e-3, fabs(norm)));
    snprintf(what, sizeof what, "learning rate of step %lld", (long long)s + 1);
    judge(c, what, fabs(c->rates[s] - rate), 1e-12 * fabs(rate) + 1e-300);
  }
  for (size_t i = 0; i < adapter_parameter_count(c->session.model.adapter); i++) {
    const encoder_parameter *p = adapter_parameter(c->session.model.adapter, i);
    char name[256], key[300];
    file_name(c, p, name, sizeof name);
    snprintf(key, sizeof key, "final/%s", name);
    if (zero_in_exact_arithmetic(c, name))
      continue;
    float *values;
    CDL_TRY(download(&c->session, p->value, &values));
    compare_each(c, key, find(c, key), values, (size_t)cdl_tensor_elements(p->value),
                 bound_of(c, "final_tensors"));
    free(values);
  }
  CDL_TRY(compare_logits(c, "final_logits", false));
  return compare_logits(c, "final_logits", true);
}

/* ---- Reading a case ---- */

static cdl_status set(parity_case *c, const char *field, const char *value)
{
  return train_settings_set(&c->settings, train_setting_find(field), value);
}

/* A key of case.json as a setting: numbers, strings and lists of either. */
static cdl_status set_from(parity_case *c, const char *key, const char *field)
{
  const json_t *value = json_object_get(c->json, key);
  char text[1024] = "";
  if (value == NULL || json_is_null(value))
    return CDL_STATUS_OK;
  const size_t count = json_is_array(value) ? json_array_size(value) : 1;
  for (size_t i = 0; i < count; i++) {
    const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
    const size_t used = strlen(text);
    const char *comma = i > 0 ? "," : "";
    if (json_is_string(item))
      snprintf(text + used, sizeof text - used, "%s%s", comma, json_string_value(item));
    else if (json_is_integer(item))
      snprintf(text + used, sizeof text - used, "%s%lld", comma,
               (long long)json_integer_value(item));
    else
      snprintf(text + used, sizeof text - used, "%s%.17g", comma, json_number_value(item));
  }
  return set(c, field, text);
}

static cdl_status set_path(parity_case *c, const char *field, const char *name)
{
  char path[4300];
  snprintf(path, sizeof path, "%s/%s", c->folder, name);
  return access(path, F_OK) == 0 ? set(c, field, path) : CDL_STATUS_OK;
}

static cdl_status read_settings(parity_case *c, const char *backend)
{
  static const char *const fields[][2] = {{"method", "method"},
                                          {"text_columns", "text_columns"},
                                          {"label_column", "label_column"},
                                          {"label_separator", "label_separator"},
                                          {"labels", "labels"},
                                          {"max_length", "max_length"},
                                          {"batch_size", "batch_size"},
                                          {"accumulate", "accumulate"},
                                          {"epochs", "epochs"},
                                          {"max_steps", "max_steps"},
                                          {"lr", "lr"},
                                          {"schedule", "schedule"},
                                          {"cycles", "num_cycles"},
                                          {"power", "power"},
                                          {"end_rate", "end_lr"},
                                          {"warmup_ratio", "warmup_ratio"},
                                          {"weight_decay", "weight_decay"},
                                          {"decay", "decay"},
                                          {"lora_plus_ratio", "lora_plus_ratio"},
                                          {"max_grad_norm", "max_grad_norm"},
                                          {"label_smoothing", "label_smoothing"},
                                          {"class_weights", "class_weights"}};
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    CDL_TRY(set_from(c, fields[i][0], fields[i][1]));
  CDL_TRY(set_path(c, "model", "model"));
  CDL_TRY(set_path(c, "init_adapter", "adapter"));
  CDL_TRY(set_path(c, "train", json_string_value(json_object_get(c->json, "train"))));
  CDL_TRY(set(c, "dropout", "0"));
  CDL_TRY(set(c, "dev_fraction", "0"));
  CDL_TRY(set(c, "eval_every", "0"));
  CDL_TRY(set(c, "no_shuffle", NULL));
  CDL_TRY(set(c, "backend", backend));
  CDL_TRY(set(c, "precision", c->precision));
  c->settings.regression =
      strcmp(json_string_value(json_object_get(c->json, "task")), "regression") == 0;
  c->settings.multi_label =
      strcmp(json_string_value(json_object_get(c->json, "task")), "multi-label") == 0;
  if (c->settings.regression) {
    free(c->settings.labels);
    c->settings.labels = NULL;
  }
  char output[4300];
  snprintf(output, sizeof output, "%s/out", c->scratch);
  return set(c, "output", output);
}

static cdl_status run_case(parity_case *c, const char *backend)
{
  char path[4300];
  json_error_t error;
  snprintf(path, sizeof path, "%s/case.json", c->folder);
  c->json = json_load_file(path, 0, &error);
  if (c->json == NULL)
    return cdl_fail(CDL_STATUS_DATA, "%s: %s", path, error.text);
  snprintf(path, sizeof path, "%s/expected.safetensors", c->folder);
  CDL_TRY(cdl_safetensors_open(path, &c->expected));
  CDL_TRY(read_settings(c, backend));
  CDL_TRY(train_settings_check(&c->settings));
  CDL_TRY(train_session_open(&c->session, &c->settings, NULL, NULL));
  compare_ids(c);
  CDL_TRY(compare_logits(c, "logits", false));
  CDL_TRY(compare_logits(c, "logits", true));
  CDL_TRY(compare_first_batch(c));
  return compare_training(c);
}

static bool passes(const char *folder, const char *backend, const char *precision)
{
  const bool exact = strcmp(backend, "cpu") == 0 && strcmp(precision, "fp32") == 0;
  parity_case c = {.precision = precision, .limit_factor = exact ? 1 : 4};
  snprintf(c.folder, sizeof c.folder, "%s", folder);
  snprintf(c.scratch, sizeof c.scratch, "%s/condlora-parity-XXXXXX",
           getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
  cdl_status status = mkdtemp(c.scratch) == NULL ? cdl_fail(CDL_STATUS_IO, "no temporary folder")
                                                 : train_settings_init(&c.settings);
  if (status == CDL_STATUS_OK)
    status = run_case(&c, backend);
  if (status != CDL_STATUS_OK) {
    printf("  FAIL %s\n", cdl_error_message());
    c.failures++;
  }
  printf("%s %-32s largest error / bound %.3f\n", c.failures == 0 ? "ok  " : "FAIL",
         strrchr(folder, '/') != NULL ? strrchr(folder, '/') + 1 : folder, c.worst);
  train_session_close(&c.session);
  train_settings_release(&c.settings);
  cdl_safetensors_close(c.expected);
  json_decref(c.json);
  char command[4400];
  snprintf(command, sizeof command, "rm -rf '%s'", c.scratch);
  if (system(command) != 0)
    printf("  %s was left\n", c.scratch);
  return c.failures == 0;
}

/* -1: the backend is there and named on standard output; otherwise the exit status, 77 to skip. */
static int without_backend(const char *name)
{
  cdl_backend *backend = NULL;
  const cdl_status status = cdl_backend_open(name, NULL, &backend);
  if (status == CDL_STATUS_OK) {
    printf("%s: %s\n", name, cdl_backend_description(backend));
    return cdl_backend_close(backend) == CDL_STATUS_OK ? -1 : 1;
  }
  const bool failed = status != CDL_STATUS_ABSENT || strcmp(name, "cpu") == 0 || is_required(name);
  printf("%s: parity on %s: %s\n", failed ? "FAIL" : "skipped", name, cdl_error_message());
  return failed ? 1 : 77;
}

/* test-parity [--backend NAME] [--precision fp32|tf32|bf16] CASE ...; a folder without case.json is
 * a folder of cases. */
int main(int argc, char **argv)
{
  const char *backend = "cpu", *precision = "fp32";
  int passed = 0, failed = 0;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--backend") == 0 && i + 1 < argc) {
      backend = argv[++i];
      const int stop = without_backend(backend);
      if (stop >= 0)
        return stop;
      continue;
    }
    if (strcmp(argv[i], "--precision") == 0 && i + 1 < argc) {
      precision = argv[++i];
      continue;
    }
    char path[4300];
    snprintf(path, sizeof path, "%s/case.json", argv[i]);
    if (access(path, F_OK) == 0) {
      *(passes(argv[i], backend, precision) ? &passed : &failed) += 1;
      continue;
    }
    struct dirent **entries;
    const int count = scandir(argv[i], &entries, NULL, alphasort);
    for (int e = 0; e < count; e++) {
      snprintf(path, sizeof path, "%s/%s/case.json", argv[i], entries[e]->d_name);
      if (entries[e]->d_name[0] != '.' && access(path, F_OK) == 0) {
        snprintf(path, sizeof path, "%s/%s", argv[i], entries[e]->d_name);
        *(passes(path, backend, precision) ? &passed : &failed) += 1;
      }
      free(entries[e]);
    }
    if (count >= 0)
      free(entries);
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 || passed == 0;
}
