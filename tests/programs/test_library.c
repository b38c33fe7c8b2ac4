/* The library through its public headers alone: what a C program does with it gives the numbers of
 * the program condlora, to the bit, and PyTorch's of the golden cases. */
#include <condlora/condlora.h>
#include <math.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "tests/programs/program.h"

static void expect_ok(cdl_status status)
{
  ck_assert_msg(status == CDL_STATUS_OK, "%s: %s", cdl_status_name(status), cdl_error_message());
}

static void expect_failure(cdl_status status, cdl_status expected, const char *named)
{
  ck_assert_msg(status == expected, "%s instead of %s: %s", cdl_status_name(status),
                cdl_status_name(expected), status == CDL_STATUS_OK ? "" : cdl_error_message());
  ck_assert_msg(strstr(cdl_error_message(), named) != NULL, "no '%s' in: %s", named,
                cdl_error_message());
  ck_assert_ptr_null(strchr(cdl_error_message(), '\n'));
}

/* ---- A golden case ---- */

enum { TEXTS_MOST = 64, LABELS_MOST = 8 };

typedef struct {
  const char *name;
  json_t *settings;
  char *texts[2][TEXTS_MOST];
  size_t count;
  bool pair;
} golden;

static char *copy_of(const char *text, size_t bytes)
{
  char *copy = strndup(text, bytes);
  ck_assert_ptr_nonnull(copy);
  return copy;
}

static golden open_case(const char *name)
{
  golden g = {.name = name, .settings = parsed(read_text(case_file(name, "case.json")))};
  json_t *columns = json_object_get(g.settings, "text_columns");
  cdl_dataset_source source = {.size = sizeof source, .path = case_file(name, "train.tsv")};
  source.text_column[0] = json_string_value(json_array_get(columns, 0));
  source.text_column[1] = json_string_value(json_array_get(columns, 1));
  g.pair = source.text_column[1] != NULL;
  cdl_dataset *dataset;
  expect_ok(cdl_dataset_read_file(&source, &dataset));
  g.count = cdl_dataset_count(dataset);
  ck_assert_uint_le(g.count, TEXTS_MOST);
  for (size_t i = 0; i < g.count; i++) {
    const cdl_example e = cdl_dataset_get(dataset, i);
    for (int t = 0; t < 1 + g.pair; t++)
      g.texts[t][i] = copy_of(e.text[t], e.bytes[t]);
  }
  cdl_dataset_close(dataset);
  return g;
}

static void close_case(golden *g)
{
  for (int t = 0; t < 2; t++)
    for (size_t i = 0; i < g->count; i++)
      free(g->texts[t][i]);
}

static cdl_model *open_model(const char *path, const char *base)
{
  cdl_model_options options = cdl_model_options_init();
  options.base = base;
  options.backend = "cpu";
  options.threads = 1;
  options.max_length = 48;
  cdl_model *model;
  expect_ok(cdl_model_open(path, &options, &model));
  return model;
}

/* [count, labels] */
static void classify(cdl_model *model, const golden *g, float *logits)
{
  ck_assert_uint_le(cdl_model_label_count(model), LABELS_MOST);
  expect_ok(cdl_model_classify(model, (const char *const *)g->texts[0],
                               g->pair ? (const char *const *)g->texts[1] : NULL, g->count,
                               logits));
}

/* Against tensor `key` of expected.safetensors, [rows, labels]. */
static void expect_golden(const golden *g, const char *key, const float *logits, double bound)
{
  cdl_safetensors *file;
  expect_ok(cdl_safetensors_open(case_file(g->name, "expected.safetensors"), &file));
  const cdl_stored_tensor *t = cdl_safetensors_find(file, key);
  ck_assert_msg(t != NULL, "%s: no %s", g->name, key);
  const float *truth = t->data;
  for (int64_t i = 0; i < t->shape[0] * t->shape[1]; i++)
    ck_assert_msg(fabs((double)logits[i] - (double)truth[i]) <=
                      bound * fmax(1, fabs((double)truth[i])),
                  "%s: %s %d is %.9g, PyTorch's %.9g", g->name, key, (int)i, (double)logits[i],
                  (double)truth[i]);
  cdl_safetensors_close(file);
}

static double bound_of(const golden *g, const char *what)
{
  return number_at(json_object_get(g->settings, "bounds"), what);
}

/* ---- Classifying ---- */

/* The program's lines have the same bits. */
static void expect_programs(const cdl_model *model, const golden *g, const char *const *arguments,
                            const float *logits)
{
  const outcome o = program_run(NULL, arguments);
  check_done(o);
  const size_t labels = cdl_model_label_count(model);
  const char *line = o.out;
  for (size_t i = 0; i < g->count; i++) {
    const char *end = strchr(line, '\n');
    ck_assert_ptr_nonnull(end);
    json_t *answer = parsed(text_of("%.*s", (int)(end - line), line));
    const json_t *row = json_object_get(answer, "logits");
    double probabilities[LABELS_MOST];
    ck_assert_uint_eq(json_array_size(row), labels);
    for (size_t c = 0; c < labels; c++)
      ck_assert_msg((float)json_real_value(json_array_get(row, c)) == logits[i * labels + c],
                    "%s: text %zu: %.9g, the program's %.9g", g->name, i,
                    (double)logits[i * labels + c], json_real_value(json_array_get(row, c)));
    cdl_model_probabilities(model, logits + i * labels, probabilities);
    if (!cdl_model_is_regression(model)) {
      const size_t best = cdl_model_best(model, logits + i * labels);
      ck_assert_str_eq(json_string_value(json_object_get(answer, "prediction")),
                       cdl_model_label_name(model, best));
      ck_assert((float)json_real_value(json_array_get(json_object_get(answer, "probabilities"),
                                                      best)) == (float)probabilities[best]);
    } else
      ck_assert_ptr_null(cdl_model_label_name(model, 0));
    line = end + 1;
  }
}

static const char *const cases[] = {"bert-lora",
                                    "bert-condlora-paper",
                                    "bert-lora-pissa",
                                    "bert-bitfit",
                                    "bert-condlora-fresh-pooler",
                                    "distilbert-condlora-reference",
                                    "electra-condlora-paper",
                                    "mpnet-condlora-reference",
                                    "roberta-condlora-type2",
                                    "roberta-lora-dora",
                                    "xlm-roberta-condlora-regression"};

START_TEST(classifies_as_the_program_and_as_pytorch)
{
  golden g = open_case(cases[_i]);
  const char *base = case_file(g.name, "model"), *adapter = case_file(g.name, "adapter");
  cdl_model *model = open_model(adapter, base);
  float logits[TEXTS_MOST * LABELS_MOST];
  classify(model, &g, logits);
  expect_golden(&g, "logits", logits, bound_of(&g, "logits"));
  json_t *columns = json_object_get(g.settings, "text_columns");
  const char *names = json_string_value(json_array_get(columns, 0));
  if (g.pair)
    names = text_of("%s,%s", names, json_string_value(json_array_get(columns, 1)));
  const char *const arguments[] = {"predict",
                                   "--model",
                                   base,
                                   "--adapter",
                                   adapter,
                                   "--input",
                                   case_file(g.name, "train.tsv"),
                                   "--text-columns",
                                   names,
                                   "--max-length",
                                   "48",
                                   "--backend",
                                   "cpu",
                                   NULL};
  expect_programs(model, &g, arguments, logits);

  /* One by one they are the same but for rounding, and again the same bits. */
  const size_t labels = cdl_model_label_count(model);
  float one[LABELS_MOST], again[TEXTS_MOST * LABELS_MOST];
  for (size_t i = 0; i < g.count; i++) {
    const char *first = g.texts[0][i], *second = g.texts[1][i];
    expect_ok(cdl_model_classify(model, &first, g.pair ? &second : NULL, 1, one));
    for (size_t c = 0; c < labels; c++)
      ck_assert(fabs((double)one[c] - (double)logits[i * labels + c]) <
                1e-5 * fmax(1, fabs((double)one[c])));
  }
  classify(model, &g, again);
  ck_assert_mem_eq(again, logits, g.count * labels * sizeof *logits);
  expect_ok(cdl_model_classify(model, NULL, NULL, 0, NULL));
  ck_assert_str_eq(cdl_backend_name(cdl_model_backend(model)), "cpu");
  ck_assert_uint_eq(cdl_model_max_length(model), 48);
  cdl_model_close(model);
  close_case(&g);
}
END_TEST

START_TEST(many_texts_are_cut_into_windows)
{
  enum { MANY = 1300 };
  golden g = open_case("bert-lora");
  cdl_model *model = open_model(case_file(g.name, "adapter"), case_file(g.name, "model"));
  static const char *texts[MANY];
  static float logits[MANY * 2];
  float first[TEXTS_MOST * LABELS_MOST];
  for (size_t i = 0; i < MANY; i++)
    texts[i] = g.texts[0][i % g.count];
  expect_ok(cdl_model_classify(model, texts, NULL, MANY, logits));
  classify(model, &g, first);
  for (size_t i = 0; i < MANY; i++)
    for (size_t c = 0; c < 2; c++)
      ck_assert(fabs((double)logits[2 * i + c] - (double)first[2 * (i % g.count) + c]) < 1e-5);
  texts[1000] = NULL;
  expect_failure(cdl_model_classify(model, texts, NULL, MANY, logits), CDL_STATUS_ARGUMENT,
                 "text 1000");
  classify(model, &g, logits); /* as before */
  ck_assert_mem_eq(logits, first, g.count * 2 * sizeof *logits);
  cdl_model_close(model);
  close_case(&g);
}
END_TEST

/* ---- Training ---- */

static void set(cdl_settings *s, const char *name, const char *value)
{
  expect_ok(cdl_settings_set(s, name, value));
}

/* Those of the case, without its initial adapter; a method other than the case's may have none of
 * the settings of low-rank methods. */
static cdl_settings *settings_for(const golden *g, const char *output, bool low_rank)
{
  static const char *const names[][2] = {{"rank", "rank"},
                                         {"alpha", "alpha"},
                                         {"method", "method"},
                                         {"label_column", "label_column"},
                                         {"max_length", "max_length"},
                                         {"batch_size", "batch_size"},
                                         {"epochs", "epochs"},
                                         {"max_steps", "max_steps"},
                                         {"lr", "lr"},
                                         {"schedule", "schedule"},
                                         {"warmup_ratio", "warmup_ratio"}};
  cdl_settings *s;
  expect_ok(cdl_settings_create(&s));
  for (size_t i = low_rank ? 0 : 2; i < sizeof names / sizeof names[0]; i++) {
    const json_t *value = json_object_get(g->settings, names[i][0]);
    if (json_is_null(value))
      continue;
    const char *text = json_is_string(value) ? json_string_value(value)
                       : json_is_integer(value)
                           ? text_of("%lld", (long long)json_integer_value(value))
                           : text_of("%.17g", json_real_value(value));
    set(s, names[i][1], text);
  }
  expect_ok(cdl_settings_parse(s, "{\"text_columns\": [\"sentence1\"], \"dropout\": 0, "
                                  "\"dev_fraction\": 0, \"eval_every\": \"0\", \"backend\": "
                                  "\"cpu\", \"no_shuffle\": true}"));
  set(s, "labels", "no,yes");
  set(s, "model", case_file(g->name, "model"));
  set(s, "train", case_file(g->name, "train.tsv"));
  set(s, "output", output);
  return s;
}

static cdl_settings *settings_of(const golden *g, const char *output)
{
  return settings_for(g, output, true);
}

typedef struct {
  double losses[64];
  int steps, evaluations;
  int stop_at; /* 0: never */
  int stop;
} told;

static void on_step(void *user, const cdl_train_step *step)
{
  told *t = user;
  ck_assert_uint_eq(step->size, sizeof *step);
  ck_assert_int_lt(t->steps, 64);
  t->losses[t->steps++] = step->loss;
  t->stop = t->stop_at != 0 && step->step >= t->stop_at;
}

static void on_evaluation(void *user, const cdl_train_evaluation *evaluation)
{
  told *t = user;
  ck_assert_str_eq(evaluation->split, "valid");
  ck_assert(isfinite(evaluation->scores->metric[CDL_METRIC_ACCURACY]));
  ck_assert(isnan(evaluation->scores->metric[CDL_METRIC_PEARSON]));
  ck_assert(isnan(evaluation->scores->metric[CDL_TRAIN_METRICS - 1]));
  t->evaluations++;
}

static cdl_train_callbacks callbacks_to(told *t)
{
  cdl_train_callbacks callbacks = cdl_train_callbacks_init();
  callbacks.user = t;
  callbacks.step = on_step;
  callbacks.evaluation = on_evaluation;
  callbacks.stop = &t->stop;
  return callbacks;
}

START_TEST(trains_as_pytorch_does)
{
  golden g = open_case("bert-lora");
  cdl_settings *s = settings_of(&g, scratch("out"));
  set(s, "init_adapter", case_file(g.name, "adapter"));
  told t = {0};
  const cdl_train_callbacks callbacks = callbacks_to(&t);
  cdl_train_result result = cdl_train_result_init();
  expect_ok(cdl_train(s, &callbacks, &result));
  ck_assert_int_eq(t.steps, 20);
  ck_assert_int_eq((int)result.steps, 20);
  ck_assert(!result.has_valid && !result.has_dev);
  ck_assert_int_gt((int)result.adapter_parameters, 0);

  cdl_safetensors *file;
  expect_ok(cdl_safetensors_open(case_file(g.name, "expected.safetensors"), &file));
  const double *losses = cdl_safetensors_find(file, "losses")->data;
  for (int i = 0; i < t.steps; i++)
    ck_assert_msg(fabs(t.losses[i] - losses[i]) <= 1e-5 * fmax(1, losses[i]),
                  "step %d: %.9g, PyTorch's %.9g", i, t.losses[i], losses[i]);
  cdl_safetensors_close(file);

  /* The run's folder and the adapter's are the same model, whose base the adapter knows. */
  float logits[TEXTS_MOST * LABELS_MOST], of_run[TEXTS_MOST * LABELS_MOST];
  cdl_model *model = open_model(result.adapter, NULL), *run = open_model(scratch("out"), NULL);
  classify(model, &g, logits);
  classify(run, &g, of_run);
  expect_golden(&g, "final_logits", logits, bound_of(&g, "final_logits"));
  ck_assert_mem_eq(of_run, logits, g.count * 2 * sizeof *logits);
  ck_assert_str_eq(cdl_model_label_name(model, 1), "yes");
  ck_assert(!cdl_model_is_pair(model));
  const char *json;
  expect_ok(cdl_model_adapter_config(model, &json));
  ck_assert_int_eq((int)number_at(parsed(json), "r"), 3);
  cdl_model_close(run);
  cdl_model_close(model);
  cdl_settings_destroy(s);
  close_case(&g);
}
END_TEST

static void expect_same_file(const char *left, const char *right)
{
  const char *bytes[2];
  const size_t count = read_bytes(left, &bytes[0]);
  ck_assert_uint_eq(read_bytes(right, &bytes[1]), count);
  ck_assert_msg(memcmp(bytes[0], bytes[1], count) == 0, "%s and %s differ", left, right);
}

/* The program's run, the library's, and the library's in two parts: the same bytes. */
START_TEST(trains_and_resumes_as_the_program_does)
{
  golden g = open_case("bert-condlora-paper");
  const char *file = "out/adapter/adapter_model.safetensors";
  cdl_settings *s = settings_of(&g, scratch("library"));
  set(s, "dev_fraction", "0.2");
  set(s, "eval_every", "4");
  set(s, "no_shuffle", "false");
  const char *json;
  expect_ok(cdl_settings_json(s, &json));
  json_t *config = parsed(json);
  json_object_set_new(config, "output", json_string(scratch("out")));
  ck_assert_int_eq(json_dump_file(config, scratch("config.json"), 0), 0);
  check_done(RUN("train", "--config", scratch("config.json")));

  told t = {0};
  cdl_train_callbacks callbacks = callbacks_to(&t);
  cdl_train_result result = cdl_train_result_init(), again = cdl_train_result_init();
  expect_ok(cdl_train(s, &callbacks, &result));
  ck_assert_int_gt(t.evaluations, 1);
  expect_same_file(scratch(file), text_of("%s/adapter_model.safetensors", result.adapter));
  ck_assert(result.has_valid && !result.has_dev);
  ck_assert_uint_eq(result.valid.examples, 8);
  ck_assert_int_eq(result.main_metric, CDL_METRIC_ACCURACY);

  set(s, "output", scratch("parts"));
  t = (told){.stop_at = 7};
  expect_failure(cdl_train(s, &callbacks, &again), CDL_STATUS_CANCELLED, "");
  ck_assert_int_eq(t.steps, 7);
  t = (told){0};
  expect_ok(cdl_train_resume(scratch("parts"), NULL, &callbacks, &again));
  expect_same_file(scratch(file), text_of("%s/adapter_model.safetensors", again.adapter));
  ck_assert_double_eq(again.valid.loss, result.valid.loss);
  again = cdl_train_result_init();
  expect_ok(cdl_train_resume(scratch("parts"), NULL, NULL, &again)); /* finished */
  ck_assert_double_eq(again.valid.loss, result.valid.loss);

  cdl_settings *longer;
  expect_ok(cdl_settings_create(&longer));
  set(longer, "rank", "5");
  expect_failure(cdl_train_resume(scratch("parts"), longer, NULL, NULL), CDL_STATUS_USAGE, "rank");
  expect_failure(cdl_train_resume(scratch("none"), NULL, NULL, NULL), CDL_STATUS_USAGE, "run.json");
  cdl_settings_destroy(longer);
  cdl_settings_destroy(s);
  close_case(&g);
}
END_TEST

START_TEST(settings_are_set_by_name_and_as_json)
{
  cdl_settings *s;
  const char *value;
  expect_ok(cdl_settings_create(&s));
  set(s, "batch-size", "32");
  expect_ok(cdl_settings_get(s, "batch_size", &value));
  ck_assert_str_eq(value, "32");
  expect_ok(cdl_settings_get(s, "method", &value));
  ck_assert_str_eq(value, "condlora");
  expect_ok(cdl_settings_get(s, "model", &value));
  ck_assert_str_eq(value, "");
  expect_failure(cdl_settings_set(s, "batchsize", "2"), CDL_STATUS_USAGE, "batchsize");
  expect_failure(cdl_settings_set(s, "lr", "fast"), CDL_STATUS_USAGE, "fast");
  expect_failure(cdl_settings_get(s, "rate", &value), CDL_STATUS_USAGE, "rate");
  /* All of it, or nothing. */
  expect_failure(cdl_settings_parse(s, "{\"batch_size\": 64, \"lr\": true}"), CDL_STATUS_USAGE,
                 "lr");
  expect_failure(cdl_settings_parse(s, "[]"), CDL_STATUS_DATA, "settings");
  expect_failure(cdl_settings_read(s, scratch("none.json")), CDL_STATUS_ABSENT, "none.json");
  expect_ok(cdl_settings_get(s, "batch_size", &value));
  ck_assert_str_eq(value, "32");
  expect_failure(cdl_train(s, NULL, NULL), CDL_STATUS_USAGE, "model");
  cdl_train_callbacks none = {0};
  expect_failure(cdl_train(s, &none, NULL), CDL_STATUS_ARGUMENT, "cdl_train_callbacks");
  cdl_settings_destroy(s);
  cdl_settings_destroy(NULL);
}
END_TEST

/* ---- Adapters ---- */

static void train_into(const golden *g, const char *folder, const char *method, const char *seed)
{
  cdl_settings *s = settings_for(g, folder, strcmp(method, "bitfit") != 0);
  set(s, "method", method);
  set(s, "seed", seed);
  set(s, "epochs", "1");
  set(s, "max_steps", "0");
  expect_ok(cdl_train(s, NULL, NULL));
  cdl_settings_destroy(s);
}

static void expect_logits(cdl_model *model, const golden *g, const float *expected)
{
  float logits[TEXTS_MOST * LABELS_MOST];
  classify(model, g, logits);
  ck_assert_mem_eq(logits, expected, g->count * 2 * sizeof *logits);
}

START_TEST(several_adapters_share_one_model)
{
  enum { ADAPTERS = 3 };
  static const char *const names[ADAPTERS] = {"default", "conditional", "second"};
  static const char *const methods[ADAPTERS] = {"lora", "condlora", "lora"};
  static float logits[ADAPTERS][TEXTS_MOST * LABELS_MOST];
  golden g = open_case("bert-lora");
  for (int a = 0; a < ADAPTERS; a++) {
    train_into(&g, scratch(names[a]), methods[a], text_of("%d", a + 1));
    cdl_model *alone = open_model(scratch(names[a]), NULL);
    classify(alone, &g, logits[a]);
    cdl_model_close(alone);
  }
  ck_assert(memcmp(logits[0], logits[2], g.count * 2 * sizeof(float)) != 0);

  cdl_model *model = open_model(scratch("default"), NULL);
  expect_logits(model, &g, logits[0]);
  for (int a = 1; a < ADAPTERS; a++)
    expect_ok(cdl_model_load_adapter(model, scratch(names[a]), names[a]));
  ck_assert_uint_eq(cdl_model_adapter_count(model), ADAPTERS);
  ck_assert_str_eq(cdl_model_get_adapter(model, 1), "conditional");
  ck_assert_str_eq(cdl_model_active_adapter(model), "default");
  expect_logits(model, &g, logits[0]);
  static const int order[] = {2, 1, 0, 1, 2, 2, 0};
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
    expect_ok(cdl_model_set_adapter(model, names[order[i]]));
    expect_logits(model, &g, logits[order[i]]);
  }
  expect_failure(cdl_model_load_adapter(model, scratch("second"), "second"), CDL_STATUS_ARGUMENT,
                 "second");
  expect_failure(cdl_model_set_adapter(model, "third"), CDL_STATUS_ARGUMENT, "conditional");
  expect_failure(cdl_model_delete_adapter(model, "default"), CDL_STATUS_ARGUMENT, "active");
  expect_ok(cdl_model_delete_adapter(model, "second"));
  expect_ok(cdl_model_set_adapter(model, "conditional"));
  expect_ok(cdl_model_delete_adapter(model, "default"));
  ck_assert_uint_eq(cdl_model_adapter_count(model), 1);
  expect_logits(model, &g, logits[1]);

  /* What is saved is what was read. */
  expect_ok(cdl_model_save_adapter(model, "conditional", scratch("saved")));
  expect_same_file(scratch("saved/adapter_model.safetensors"),
                   scratch("conditional/adapter/adapter_model.safetensors"));
  expect_logits(model, &g, logits[1]);
  cdl_model_close(model);
  model = open_model(scratch("saved"), NULL);
  expect_logits(model, &g, logits[1]);
  cdl_model_close(model);
  close_case(&g);
}
END_TEST

START_TEST(an_adapter_that_changes_the_base_stays_alone)
{
  golden g = open_case("bert-lora"), alone = open_case("bert-bitfit");
  train_into(&g, scratch("lora"), "lora", "1");
  train_into(&g, scratch("bitfit"), "bitfit", "1");
  cdl_model *model = open_model(scratch("lora"), NULL);
  expect_failure(cdl_model_load_adapter(model, scratch("bitfit"), "b"), CDL_STATUS_UNSUPPORTED,
                 "opened alone");
  ck_assert_uint_eq(cdl_model_adapter_count(model), 1);
  /* The adapter's head is all that knows the labels of a base that was not trained for them. */
  cdl_model_close(model);
  model = open_model(scratch("bitfit"), NULL);
  expect_failure(cdl_model_load_adapter(model, scratch("lora"), "l"), CDL_STATUS_UNSUPPORTED,
                 "bitfit");
  expect_failure(cdl_model_set_adapter(model, NULL), CDL_STATUS_UNSUPPORTED, "bitfit");
  float logits[TEXTS_MOST * LABELS_MOST];
  classify(model, &g, logits);
  cdl_model_close(model);
  close_case(&alone);
  close_case(&g);
}
END_TEST

/* B begins at zero: a fresh adapter is the model itself, and `none` trains its head alone. */
START_TEST(a_fresh_adapter_changes_nothing)
{
  golden g = open_case("bert-full");
  float logits[TEXTS_MOST * LABELS_MOST];
  cdl_model *model = open_model(case_file(g.name, "model"), NULL);
  ck_assert_ptr_null(cdl_model_active_adapter(model));
  classify(model, &g, logits);
  expect_golden(&g, "logits", logits, bound_of(&g, "logits"));
  const char *json;
  expect_ok(cdl_model_adapter_config(model, &json));
  ck_assert_str_eq(json, "{}");

  cdl_settings *s;
  expect_ok(cdl_settings_create(&s));
  set(s, "method", "lora");
  set(s, "rank", "2");
  expect_ok(cdl_model_create_adapter(model, s, "fresh"));
  expect_ok(cdl_model_set_adapter(model, "fresh"));
  const size_t labels = cdl_model_label_count(model);
  float same[TEXTS_MOST * LABELS_MOST];
  classify(model, &g, same);
  ck_assert_mem_eq(same, logits, g.count * labels * sizeof *logits);
  expect_ok(cdl_model_save_adapter(model, "fresh", scratch("fresh")));
  expect_ok(cdl_model_set_adapter(model, NULL));
  classify(model, &g, same);
  ck_assert_mem_eq(same, logits, g.count * labels * sizeof *logits);
  set(s, "method", "bitfit");
  expect_failure(cdl_model_create_adapter(model, s, "biases"), CDL_STATUS_USAGE, "--rank");
  cdl_settings_destroy(s);
  expect_ok(cdl_settings_create(&s));
  set(s, "method", "bitfit");
  expect_failure(cdl_model_create_adapter(model, s, "biases"), CDL_STATUS_USAGE, "base");
  set(s, "method", "lora");
  set(s, "targets", "quary");
  expect_failure(cdl_model_create_adapter(model, s, "none"), CDL_STATUS_USAGE, "quary");
  cdl_settings_destroy(s);
  cdl_model_close(model);

  model = open_model(scratch("fresh"), NULL);
  classify(model, &g, same);
  ck_assert_mem_eq(same, logits, g.count * labels * sizeof *logits);
  cdl_model_close(model);
  close_case(&g);
}
END_TEST

/* ---- For other programs ---- */

START_TEST(merges_and_exports_as_the_program_does)
{
  golden g = open_case("bert-condlora-paper");
  const char *base = case_file(g.name, "model"), *adapter = case_file(g.name, "adapter");
  float before[TEXTS_MOST * LABELS_MOST], logits[TEXTS_MOST * LABELS_MOST];
  double change = -1;
  cdl_model *model = open_model(adapter, base);
  classify(model, &g, before);
  expect_ok(cdl_model_merge(model, scratch("merged"), &change));
  ck_assert(change >= 0 && change < 1e-5);
  expect_logits(model, &g, before);
  cdl_export_options options = cdl_export_options_init();
  expect_ok(cdl_model_export(model, scratch("lora"), &options, &change));
  ck_assert_double_eq(change, 0);
  options.format = CDL_EXPORT_ONNX;
  expect_ok(cdl_model_export(model, scratch("onnx"), &options, NULL));
  expect_logits(model, &g, before);
  expect_failure(cdl_model_merge(model, scratch("merged/config.json"), NULL), CDL_STATUS_ARGUMENT,
                 "config.json");
  expect_logits(model, &g, before);
  cdl_model_close(model);

  check_done(RUN("merge", "--model", base, "--adapter", adapter, "--output", scratch("m"),
                 "--backend", "cpu", "--max-length", "48"));
  check_done(RUN("export", "--model", base, "--adapter", adapter, "--output", scratch("l"),
                 "--backend", "cpu"));
  check_done(RUN("export", "--model", base, "--adapter", adapter, "--output", scratch("o"),
                 "--backend", "cpu", "--format", "onnx"));
  expect_same_file(scratch("merged/model.safetensors"), scratch("m/model.safetensors"));
  expect_same_file(scratch("lora/adapter_model.safetensors"),
                   scratch("l/adapter_model.safetensors"));
  expect_same_file(scratch("onnx/model.onnx.data"), scratch("o/model.onnx.data"));

  static const char *const folders[] = {"merged", "lora"};
  for (int f = 0; f < 2; f++) {
    model = open_model(scratch(folders[f]), f == 0 ? NULL : base);
    classify(model, &g, logits);
    for (size_t i = 0; i < g.count * 2; i++)
      ck_assert(fabs((double)logits[i] - (double)before[i]) < 1e-5);
    if (f == 0)
      expect_failure(cdl_model_merge(model, scratch("again"), NULL), CDL_STATUS_USAGE, "adapter");
    cdl_model_close(model);
  }
  close_case(&g);
}
END_TEST

/* ---- Errors ---- */

START_TEST(what_cannot_be_opened_is_named)
{
  cdl_model *model;
  const char *adapter = case_file("bert-lora", "adapter"), *base = case_file("bert-lora", "model");
  cdl_model_options options = cdl_model_options_init();
  options.backend = "cpu";
  expect_failure(cdl_model_open(scratch("none"), &options, &model), CDL_STATUS_ABSENT, "none");
  ck_assert_ptr_null(model);
  expect_failure(cdl_model_open(adapter, &options, &model), CDL_STATUS_DATA,
                 "base_model_name_or_path");
  options.base = case_file("bert-bitfit", "adapter");
  expect_failure(cdl_model_open(adapter, &options, &model), CDL_STATUS_ABSENT, "config.json");
  options.base = base;
  expect_failure(cdl_model_open(base, &options, &model), CDL_STATUS_USAGE, "no adapter");
  options.max_length = 100000;
  expect_failure(cdl_model_open(adapter, &options, &model), CDL_STATUS_USAGE, "max-length");
  options.max_length = 0;
  options.backend = "abacus";
  expect_failure(cdl_model_open(adapter, &options, &model), CDL_STATUS_ABSENT, "abacus");
  options.backend = "cpu";
  options.size = 0;
  expect_failure(cdl_model_open(adapter, &options, &model), CDL_STATUS_ARGUMENT,
                 "cdl_model_options");
  /* A program of an older version knows but the first members. */
  options.size = offsetof(cdl_model_options, backend);
  options.backend = "abacus";
  expect_ok(cdl_model_open(adapter, &options, &model));
  cdl_model_close(model);
  cdl_model_close(NULL);
}
END_TEST

/* How often the file was opened since the last call. Closings are watched too, because equal events
 * one after another are told once. */
static size_t openings(int watch)
{
  struct inotify_event event; /* without a name: a file is watched, not a folder */
  char events[64 * sizeof event];
  const ssize_t bytes = read(watch, events, sizeof events);
  size_t count = 0;
  for (ssize_t at = 0; at < bytes; at += (ssize_t)sizeof event) {
    memcpy(&event, events + at, sizeof event);
    count += (event.mask & IN_OPEN) != 0;
  }
  return count;
}

START_TEST(config_json_is_read_once)
{
  const char *base = copied_folder(case_file("bert-lora", "model"), "model");
  const int watch = inotify_init1(IN_NONBLOCK);
  ck_assert_int_ge(watch, 0);
  ck_assert_int_ge(inotify_add_watch(watch, joined(base, "config.json"), IN_OPEN | IN_CLOSE), 0);
  ck_assert_uint_eq(openings(watch), 0);
  cdl_model *model = open_model(case_file("bert-lora", "adapter"), base);
  ck_assert_uint_eq(openings(watch), 1);
  cdl_model_close(model);
  close(watch);
}
END_TEST

START_TEST(pairs_want_pairs)
{
  golden g = open_case("bert-lora");
  train_into(&g, scratch("run"), "lora", "1");
  cdl_model *model = open_model(scratch("run"), NULL);
  float logits[4];
  const char *text = "the old harbour";
  expect_failure(cdl_model_classify(model, &text, &text, 1, logits), CDL_STATUS_DATA, "pairs");
  expect_ok(cdl_model_classify(model, &text, NULL, 1, logits));
  cdl_model_close(model);
  close_case(&g);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("library");
  TCase *all = tcase_create("cases");
  tcase_add_checked_fixture(all, program_setup, program_teardown);
  tcase_set_timeout(all, 120);
  tcase_add_loop_test(all, classifies_as_the_program_and_as_pytorch, 0,
                      sizeof cases / sizeof cases[0]);
  suite_add_tcase(suite, all);
  CASE(suite, many_texts_are_cut_into_windows);
  CASE(suite, trains_as_pytorch_does);
  CASE(suite, trains_and_resumes_as_the_program_does);
  CASE(suite, settings_are_set_by_name_and_as_json);
  CASE(suite, several_adapters_share_one_model);
  CASE(suite, an_adapter_that_changes_the_base_stays_alone);
  CASE(suite, a_fresh_adapter_changes_nothing);
  CASE(suite, merges_and_exports_as_the_program_does);
  CASE(suite, what_cannot_be_opened_is_named);
  CASE(suite, config_json_is_read_once);
  CASE(suite, pairs_want_pairs);
  return run_suite(suite);
}
