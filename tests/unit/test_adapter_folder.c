/* Adapters' folders: what PEFT writes is read, what is written reads back, and whatever is wrong
 * is named. */
#include <math.h>

#include "model/adapter/folder.h"
#include "model/adapter/io.h"
#include "tests/unit/scratch.h"

static const char *config_path(void)
{
  return scratch_path("adapter_config.json");
}

static const char *tensors_path(void)
{
  return scratch_path("adapter_model.safetensors");
}

static size_t make_tensors(cdl_stored_tensor *tensors)
{
  static const float values[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  static const char *const names[] = {
      "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight",
      "base_model.model.bert.encoder.layer.0.attention.self.query.lora_B.weight",
      "base_model.model.classifier.bias"};
  const int64_t shapes[][2] = {{2, 4}, {3, 2}, {3, 0}};
  for (size_t i = 0; i < 3; i++)
    tensors[i] = (cdl_stored_tensor){.name = names[i],
                                     .type = CDL_STORED_F32,
                                     .rank = i == 2 ? 1 : 2,
                                     .shape = {shapes[i][0], shapes[i][1]},
                                     .data = values + i};
  return 3;
}

static base_list names_of(char **list)
{
  base_list names = {.item = list};
  while (list[names.count] != NULL)
    names.count++;
  return names;
}

static void expect_names(const base_list *names, char **wanted)
{
  size_t count = 0;
  for (; wanted[count] != NULL; count++) {
    ck_assert_uint_lt(count, names->count);
    ck_assert_str_eq(names->item[count], wanted[count]);
  }
  ck_assert_uint_eq(names->count, count);
}

static char *targets[] = {(char[]){"query"}, (char[]){"value"}, NULL};
static char *heads[] = {(char[]){"classifier"}, NULL};
static char *labels[] = {(char[]){"no"}, (char[]){"yes"}, NULL};
static char *columns[] = {(char[]){"first, text"}, (char[]){"#2 String"}, NULL};
static char *nothing[] = {NULL};

static adapter_config sample(void)
{
  return (adapter_config){.settings = {.method = "lora",
                                       .rank = 2,
                                       .alpha = 16,
                                       .targets = names_of(targets),
                                       .modules_to_save = names_of(heads)}};
}

static void write_sample(void)
{
  cdl_stored_tensor tensors[3];
  const adapter_config config = sample();
  expect_ok(adapter_folder_write(scratch_folder, &config, tensors, make_tensors(tensors)));
}

static cdl_status open_text(const char *text, adapter_config *config)
{
  cdl_safetensors *tensors;
  scratch_put_text(config_path(), text);
  const cdl_status status = adapter_folder_open(scratch_folder, config, &tensors);
  ck_assert((status == CDL_STATUS_OK) == (tensors != NULL));
  cdl_safetensors_close(tensors);
  return status;
}

/* What PEFT 0.17 writes for a model with a classification head. */
#define PEFT_CONFIG                                                                                \
  "{\"alpha_pattern\": {}, \"auto_mapping\": null, \"base_model_name_or_path\": \"base\", "        \
  "\"bias\": \"none\", "                                                                           \
  "\"corda_config\": null, \"eva_config\": null, \"exclude_modules\": null, \"fan_in_fan_out\": "  \
  "false, "                                                                                        \
  "\"inference_mode\": true, \"init_lora_weights\": true, \"layer_replication\": null, "           \
  "\"layers_pattern\": null, "                                                                     \
  "\"layers_to_transform\": null, \"loftq_config\": {}, \"lora_alpha\": 6, \"lora_bias\": false, " \
  "\"lora_dropout\": 0.5, "                                                                        \
  "\"megatron_config\": null, \"megatron_core\": \"megatron.core\", \"modules_to_save\": "         \
  "[\"classifier\", \"score\"], "                                                                  \
  "\"peft_type\": \"LORA\", \"qalora_group_size\": 16, \"r\": 4, \"rank_pattern\": {}, "           \
  "\"revision\": null, "                                                                           \
  "\"target_modules\": [\"value\", \"query\"], \"target_parameters\": null, \"task_type\": "       \
  "\"SEQ_CLS\", "                                                                                  \
  "\"trainable_token_indices\": null, \"use_dora\": false, \"use_qalora\": false, "                \
  "\"use_rslora\": false}"

START_TEST(reads_what_peft_writes)
{
  write_sample();
  adapter_config config;
  expect_ok(open_text(PEFT_CONFIG, &config));
  ck_assert_str_eq(config.settings.method, "lora");
  ck_assert_int_eq(config.settings.rank, 4);
  ck_assert(config.settings.alpha == 6 && config.settings.dropout == 0.5);
  expect_names(&config.settings.targets, (char *[]){(char[]){"value"}, (char[]){"query"}, NULL});
  expect_names(&config.settings.modules_to_save,
               (char *[]){(char[]){"classifier"}, (char[]){"score"}, NULL});
  ck_assert_str_eq(config.base_model, "base");
  ck_assert_ptr_null(config.settings.target_pattern);
  ck_assert_ptr_null(config.task);
  ck_assert_ptr_null(config.fingerprint);
  ck_assert_uint_eq(config.labels.count, 0);
  ck_assert_int_eq(config.problem, CDL_PROBLEM_SINGLE_LABEL);
  adapter_config_free(&config);
  adapter_config_free(&config);
}
END_TEST

START_TEST(writes_what_it_reads)
{
  char pattern[] = ".*\\.(query|key)", task[] = "RTE", base[] = "a/b \xc3\xa9",
       fingerprint[] = "0123456789abcdef", label_column[] = "kind, \xc3\xa9", separator[] = ";";
  char *label_columns[] = {label_column, NULL};
  double thresholds[] = {0.25, 1e-9 + 1.0 / 3};
  const adapter_config cases[] = {
      sample(),
      {.settings =
           {.method = "lora", .rank = 3, .alpha = 0.1, .dropout = 0.05, .target_pattern = pattern},
       .base_model = base},
      {.settings = {.method = "condlora",
                    .rank = 8,
                    .alpha = 8,
                    .targets = names_of(targets),
                    .orientation = ADAPTER_ORIENTATION_PAPER},
       .task = task,
       .labels = names_of(labels),
       .text_columns = names_of(columns),
       .label_columns = names_of(label_columns),
       .label_separator = separator,
       .problem = CDL_PROBLEM_MULTI_LABEL,
       .thresholds = thresholds,
       .fingerprint = fingerprint},
      {.settings = {.method = "condlora",
                    .rank = 8,
                    .alpha = 8,
                    .targets = names_of(targets),
                    .orientation = ADAPTER_ORIENTATION_REFERENCE},
       .labels = names_of(labels),
       .label_columns = names_of(labels),
       .problem = CDL_PROBLEM_REGRESSION},
      {.settings = {.method = "bitfit", .modules_to_save = names_of(heads)}},
      {.settings = {.method = "none"}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const adapter_config *given = &cases[i];
    cdl_stored_tensor tensors[3];
    const size_t count = make_tensors(tensors);
    expect_ok(adapter_folder_write(scratch_folder, given, tensors, count));
    adapter_config read;
    cdl_safetensors *file;
    expect_ok(adapter_folder_open(scratch_folder, &read, &file));
    ck_assert_str_eq(read.settings.method, given->settings.method);
    ck_assert_int_eq(read.settings.rank, given->settings.rank);
    ck_assert(read.settings.alpha == given->settings.alpha &&
              read.settings.dropout == given->settings.dropout);
    expect_names(&read.settings.targets, given->settings.targets.count > 0 ? targets : nothing);
    expect_names(&read.settings.modules_to_save,
                 given->settings.modules_to_save.count > 0 ? heads : nothing);
    expect_names(&read.labels, given->labels.count > 0 ? labels : nothing);
    expect_names(&read.text_columns, given->text_columns.count > 0 ? columns : nothing);
    ck_assert_uint_eq(read.label_columns.count, given->label_columns.count);
    for (size_t k = 0; k < read.label_columns.count; k++)
      ck_assert_str_eq(read.label_columns.item[k], given->label_columns.item[k]);
    ck_assert_pstr_eq(read.label_separator, given->label_separator);
    ck_assert_int_eq(read.thresholds != NULL, given->thresholds != NULL);
    for (size_t k = 0; read.thresholds != NULL && k < read.labels.count; k++)
      ck_assert(read.thresholds[k] == given->thresholds[k]);
    ck_assert_pstr_eq(read.settings.target_pattern, given->settings.target_pattern);
    ck_assert_int_eq(read.settings.orientation, given->settings.orientation);
    ck_assert_pstr_eq(read.base_model, given->base_model);
    ck_assert_pstr_eq(read.task, given->task);
    ck_assert_pstr_eq(read.fingerprint, given->fingerprint);
    ck_assert_int_eq(read.problem, given->problem);
    ck_assert_str_eq(cdl_safetensors_metadata(file, "format"), "pt");
    ck_assert_uint_eq(cdl_safetensors_count(file), count);
    float values[8];
    expect_ok(cdl_safetensors_read(file, cdl_safetensors_find(file, tensors[1].name), 2,
                                   tensors[1].shape, values));
    ck_assert_mem_eq(values, tensors[1].data, 6 * sizeof(float));
    cdl_safetensors_close(file);
    adapter_config_free(&read);
  }
  ck_assert_uint_eq(scratch_count_entries(), 2);
}
END_TEST

START_TEST(the_same_arguments_give_the_same_bytes)
{
  write_sample();
  size_t config_size, tensors_size;
  uint8_t *config = scratch_get(config_path(), &config_size),
          *tensors = scratch_get(tensors_path(), &tensors_size);
  write_sample();
  expect_content(config_path(), config, config_size);
  expect_content(tensors_path(), tensors, tensors_size);
  free(config);
  free(tensors);
}
END_TEST

/* PEFT's settings of which layers, how large and how scaled; every way of writing them. */
START_TEST(reads_and_writes_settings_of_low_rank_methods)
{
  write_sample();
  adapter_config config;
  expect_ok(open_text("{\"peft_type\": \"LORA\", \"target_modules\": [\"query\"], \"r\": 4, "
                      "\"use_rslora\": true, \"rank_pattern\": {\"query\": 2, \"a\": 3}, "
                      "\"alpha_pattern\": {\"z$\": 0.5}, \"layers_to_transform\": 1, "
                      "\"layers_pattern\": \"layer\", \"exclude_modules\": \".*key\", "
                      "\"bias\": \"lora_only\", \"init_lora_weights\": \"olora\"}",
                      &config));
  for (int round = 0; round < 2; round++) { /* as read, then as written and read again */
    ck_assert(config.settings.rslora && config.settings.bias == ADAPTER_BIAS_ADAPTED &&
              config.settings.init == ADAPTER_INIT_OLORA);
    ck_assert_uint_eq(config.settings.rank_pattern.count, 2);
    ck_assert_str_eq(config.settings.rank_pattern.item[0].pattern,
                     "query"); /* their order decides */
    ck_assert(config.settings.rank_pattern.item[0].value == 2 &&
              config.settings.rank_pattern.item[1].value == 3);
    ck_assert_uint_eq(config.settings.alpha_pattern.count, 1);
    ck_assert(config.settings.alpha_pattern.item[0].value == 0.5);
    ck_assert(config.settings.layer_count == 1 && config.settings.layers[0] == 1);
    ck_assert_uint_eq(config.settings.layers_pattern.count, 1);
    ck_assert_str_eq(config.settings.excluded_pattern, ".*key");
    if (round == 0) {
      cdl_stored_tensor tensors[3];
      const size_t count = make_tensors(tensors);
      expect_ok(adapter_folder_write(scratch_folder, &config, tensors, count));
      adapter_config_free(&config);
      cdl_safetensors *file;
      expect_ok(adapter_folder_open(scratch_folder, &config, &file));
      cdl_safetensors_close(file);
    }
  }
  /* Scale 8 / √4 with r 4; the same with twice the rank. */
  adapter_config_converted(&config);
  ck_assert_int_eq(config.settings.rank, 8);
  ck_assert(fabs(config.settings.alpha / sqrt(8) - 8 / sqrt(4)) < 1e-12);
  ck_assert(config.settings.rank_pattern.item[1].value == 6 &&
            config.settings.init == ADAPTER_INIT_KAIMING);
  ck_assert(fabs(config.settings.alpha_pattern.item[0].value - 0.5 * sqrt(2)) < 1e-12);
  adapter_config_free(&config);
}
END_TEST

/* Of two different adapters, one file each: what a crash between the two renames can leave at
 * worst. */
START_TEST(a_mixed_pair_is_found)
{
  write_sample();
  size_t size;
  uint8_t *old_config = scratch_get(config_path(), &size);
  adapter_config config = sample();
  config.settings.method = "condlora";
  cdl_stored_tensor tensors[3];
  const size_t count = make_tensors(tensors);
  expect_ok(adapter_folder_write(scratch_folder, &config, tensors, count));
  scratch_put(config_path(), old_config, size);
  free(old_config);
  cdl_safetensors *file;
  adapter_config read;
  expect_failure(adapter_folder_open(scratch_folder, &read, &file), CDL_STATUS_DATA,
                 "adapter_model.safetensors");
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "another adapter"));

  /* Other tensors under the same settings are another adapter too. */
  expect_ok(adapter_folder_write(scratch_folder, &config, tensors, count));
  old_config = scratch_get(config_path(), &size);
  tensors[0].shape[0] = 1;
  expect_ok(adapter_folder_write(scratch_folder, &config, tensors, count));
  scratch_put(config_path(), old_config, size);
  free(old_config);
  expect_failure(adapter_folder_open(scratch_folder, &read, &file), CDL_STATUS_DATA,
                 "another adapter");
}
END_TEST

/* ---- Targets that no delta reaches ---- */

enum { WIDE = 4, WORDS = 5, OUTPUTS = 2, VALUES_MOST = 20 };

typedef struct {
  cdl_backend *backend;
  cdl_queue *queue;
  model_encoder *encoder;
} small_model;

/* Every weight counts up by eighths from its place among the parameters. */
static double initial(size_t parameter, int64_t i)
{
  return ((double)parameter + (double)i) / 8 - 2;
}

static small_model start_model(void)
{
  const model_config config = {.family = MODEL_FAMILY_BERT,
                               .vocabulary_size = WORDS,
                               .hidden_size = WIDE,
                               .layers = 1,
                               .heads = 2,
                               .intermediate_size = WIDE,
                               .position_count = 4,
                               .type_count = 2,
                               .layer_norm_epsilon = 1e-5,
                               .activation = CDL_ACTIVATION_GELU};
  small_model m;
  expect_ok(cdl_backend_open("cpu", NULL, &m.backend));
  expect_ok(cdl_queue_create(m.backend, &m.queue));
  expect_ok(encoder_create(m.queue, &config, OUTPUTS, &m.encoder));
  for (size_t p = 0; p < encoder_parameter_count(m.encoder); p++) {
    const cdl_tensor t = encoder_parameters(m.encoder)[p].value;
    float values[VALUES_MOST];
    ck_assert_int_le(cdl_tensor_elements(t), VALUES_MOST);
    for (int64_t i = 0; i < cdl_tensor_elements(t); i++)
      values[i] = (float)initial(p, i);
    cdl_queue_upload(m.queue, t, values, (size_t)cdl_tensor_elements(t) * sizeof *values);
    expect_ok(cdl_queue_sync(m.queue));
  }
  return m;
}

static void stop_model(small_model *m)
{
  encoder_destroy(m->encoder);
  cdl_queue_destroy(m->queue);
  expect_ok(cdl_backend_close(m->backend));
}

/* The parameter of this name and its present values. */
static size_t find_values(const small_model *m, const char *name, float *values)
{
  const encoder_parameter *parameters = encoder_parameters(m->encoder);
  size_t p = 0;
  while (strcmp(parameters[p].name, name) != 0)
    ck_assert_uint_lt(++p, encoder_parameter_count(m->encoder));
  cdl_queue_download(m->queue, values, parameters[p].value,
                     (size_t)cdl_tensor_elements(parameters[p].value) * sizeof *values);
  expect_ok(cdl_queue_sync(m->queue));
  return p;
}

static cdl_status read_adapter(const small_model *m)
{
  adapter_config config;
  cdl_safetensors *file;
  model_adapter *adapter = NULL;
  expect_ok(adapter_folder_open(scratch_folder, &config, &file));
  adapter_settings settings = config.settings;
  settings.ignore_unmatched = true;
  cdl_status status =
      adapter_create_stored(m->queue, m->encoder, &settings, &config, file, &adapter);
  if (status == CDL_STATUS_OK)
    status = adapter_read(adapter, m->queue, scratch_folder);
  adapter_destroy(adapter);
  cdl_safetensors_close(file);
  adapter_config_free(&config);
  return status;
}

#define IN_FILE(rest) "base_model.model." rest
#define WORD_TABLE "bert.embeddings.word_embeddings"

static const float factors[VALUES_MOST] = {1, -2, 3, .5f, -1, 4, 2, -3, 1.5f, 6,
                                           7, 2,  1, 3,   -5, 2, 8, 4,  .25f, 1};
static const cdl_stored_tensor folded[] = {
    {IN_FILE("classifier.lora_A.weight"), CDL_STORED_F32, 2, {2, WIDE}, factors, 0},
    {IN_FILE("classifier.lora_B.weight"), CDL_STORED_F32, 2, {OUTPUTS, 2}, factors + 3, 0},
    {IN_FILE("classifier.lora_B.bias"), CDL_STORED_F32, 1, {OUTPUTS}, factors + 5, 0},
    {IN_FILE(WORD_TABLE ".lora_embedding_A"), CDL_STORED_F32, 2, {2, WORDS}, factors + 7, 0},
    {IN_FILE(WORD_TABLE ".lora_embedding_B"), CDL_STORED_F32, 2, {WIDE, 2}, factors + 9, 0},
};

enum { FOLDED = sizeof folded / sizeof folded[0] };

/* All but one of them. */
static void write_folded(size_t left_out)
{
  cdl_stored_tensor tensors[FOLDED];
  size_t count = 0;
  for (size_t i = 0; i < FOLDED; i++)
    if (i != left_out)
      tensors[count++] = folded[i];
  scratch_put_text(config_path(),
                   "{\"peft_type\": \"LORA\", \"target_modules\": [\"classifier\", "
                   "\"word_embeddings\"], \"r\": 2, \"lora_alpha\": 3, \"lora_bias\": true}");
  expect_ok(cdl_safetensors_write(tensors_path(), tensors, count, NULL, 0));
}

/* W + s B A with s = 3/2, in float64; of the table, whose rows are words, the transpose of B A. */
START_TEST(adds_to_what_no_delta_reaches)
{
  small_model m = start_model();
  float weight[VALUES_MOST], bias[VALUES_MOST], table[VALUES_MOST];
  write_folded(FOLDED);
  expect_ok(read_adapter(&m));
  const size_t w = find_values(&m, "classifier.weight", weight),
               b = find_values(&m, "classifier.bias", bias),
               t = find_values(&m, WORD_TABLE ".weight", table);
  for (int o = 0; o < OUTPUTS; o++) {
    for (int i = 0; i < WIDE; i++) {
      double wanted = initial(w, o * WIDE + i);
      for (int k = 0; k < 2; k++)
        wanted += 1.5 * (double)factors[3 + o * 2 + k] * (double)factors[k * WIDE + i];
      ck_assert_float_eq(weight[o * WIDE + i], (float)wanted);
    }
    ck_assert_float_eq(bias[o], (float)(initial(b, o) + 1.5 * (double)factors[5 + o]));
  }
  for (int v = 0; v < WORDS; v++)
    for (int i = 0; i < WIDE; i++) {
      double wanted = initial(t, v * WIDE + i);
      for (int k = 0; k < 2; k++)
        wanted += 1.5 * (double)factors[9 + i * 2 + k] * (double)factors[7 + k * WORDS + v];
      ck_assert_float_eq(table[v * WIDE + i], (float)wanted);
    }
  stop_model(&m);
}
END_TEST

START_TEST(names_what_is_missing_beside_the_deltas)
{
  small_model m = start_model();
  for (size_t i = 0; i < FOLDED; i++) {
    write_folded(i);
    expect_failure(read_adapter(&m), CDL_STATUS_DATA, folded[i].name);
  }
  stop_model(&m);
}
END_TEST

START_TEST(refuses_settings_it_does_not_do)
{
  write_sample();
  const struct {
    const char *setting, *named;
    cdl_status status;
  } cases[] = {
      {"\"use_dora\": 1", "use_dora", CDL_STATUS_DATA},
      {"\"use_qalora\": true", "use_qalora", CDL_STATUS_UNSUPPORTED},
      {"\"lora_bias\": 1", "lora_bias", CDL_STATUS_DATA},
      {"\"layer_replication\": [[0, 1]]", "layer_replication", CDL_STATUS_UNSUPPORTED},
      {"\"trainable_token_indices\": [-1]", "trainable_token_indices", CDL_STATUS_DATA},
      {"\"trainable_token_indices\": {\"position_embeddings\": [1]}", "position_embeddings",
       CDL_STATUS_UNSUPPORTED},
      {"\"target_parameters\": [\"query.weight\"]", "target_parameters", CDL_STATUS_UNSUPPORTED},
      {"\"arrow_config\": {\"top_k\": 2}", "arrow_config", CDL_STATUS_UNSUPPORTED},
      {"\"megatron_config\": {\"a\": 1}", "megatron_config", CDL_STATUS_UNSUPPORTED},
      {"\"alora_invocation_tokens\": [1]", "alora_invocation_tokens", CDL_STATUS_UNSUPPORTED},
      {"\"kasa_config\": {\"beta\": 1}", "kasa_config", CDL_STATUS_UNSUPPORTED},
      {"\"enable_lora\": [true]", "enable_lora", CDL_STATUS_UNSUPPORTED},
      {"\"of_a_later_version\": 3", "of_a_later_version", CDL_STATUS_UNSUPPORTED},
      {"\"init_lora_weights\": \"pissa_niter_4\"", "init_lora_weights", CDL_STATUS_UNSUPPORTED},
      {"\"init_lora_weights\": \"of_later\"", "init_lora_weights", CDL_STATUS_UNSUPPORTED},
      {"\"task_type\": \"CAUSAL_LM\"", "task_type", CDL_STATUS_UNSUPPORTED},
      {"\"orientation\": \"paper\"", "orientation", CDL_STATUS_DATA},
      {"\"r\": 0", "\"r\"", CDL_STATUS_DATA},
      {"\"r\": 4.5", "\"r\"", CDL_STATUS_DATA},
      {"\"r\": \"8\"", "\"r\"", CDL_STATUS_DATA},
      {"\"lora_alpha\": \"8\"", "lora_alpha", CDL_STATUS_DATA},
      {"\"lora_dropout\": 1", "lora_dropout", CDL_STATUS_DATA},
      {"\"lora_dropout\": -0.1", "lora_dropout", CDL_STATUS_DATA},
      {"\"modules_to_save\": \"classifier\"", "modules_to_save", CDL_STATUS_DATA},
      {"\"modules_to_save\": [1]", "modules_to_save", CDL_STATUS_DATA},
      {"\"labels\": {\"a\": 1}", "labels", CDL_STATUS_DATA},
      {"\"regression\": 1", "regression", CDL_STATUS_DATA},
      {"\"thresholds\": [0.5]", "thresholds", CDL_STATUS_DATA},
      {"\"labels\": [\"a\"], \"thresholds\": [1.5]", "thresholds", CDL_STATUS_DATA},
      {"\"problem_type\": \"guess\"", "problem_type", CDL_STATUS_DATA},
      {"\"task\": 1", "task", CDL_STATUS_DATA},
      {"\"use_rslora\": 1", "use_rslora", CDL_STATUS_DATA},
      {"\"bias\": \"some\"", "bias", CDL_STATUS_DATA},
      {"\"rank_pattern\": [4]", "rank_pattern", CDL_STATUS_DATA},
      {"\"rank_pattern\": {\"query\": 0}", "query", CDL_STATUS_DATA},
      {"\"rank_pattern\": {\"query\": [true]}", "query", CDL_STATUS_DATA},
      {"\"alpha_pattern\": {\"query\": \"4\"}", "query", CDL_STATUS_DATA},
      {"\"layers_to_transform\": \"0\"", "layers_to_transform", CDL_STATUS_DATA},
      {"\"layers_to_transform\": [0.5]", "layers_to_transform", CDL_STATUS_DATA},
      {"\"layers_to_transform\": -1", "layers_to_transform", CDL_STATUS_DATA},
      {"\"layers_pattern\": 1", "layers_pattern", CDL_STATUS_DATA},
      {"\"exclude_modules\": [1]", "exclude_modules", CDL_STATUS_DATA},
      {"\"base_model_name_or_path\": 1", "base_model_name_or_path", CDL_STATUS_DATA},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[300];
    adapter_config config;
    snprintf(text, sizeof text, "{\"peft_type\": \"LORA\", \"target_modules\": [\"query\"], %s}",
             cases[i].setting);
    expect_failure(open_text(text, &config), cases[i].status, cases[i].named);
    ck_assert_ptr_nonnull(strstr(cdl_error_message(), "adapter_config.json"));
    ck_assert_ptr_null(config.settings.method);
  }
}
END_TEST

START_TEST(refuses_broken_configs)
{
  write_sample();
  const struct {
    const char *text, *named;
    cdl_status status;
  } cases[] = {
      {"", "JSON", CDL_STATUS_DATA},
      {"[]", "object", CDL_STATUS_DATA},
      {"{}", "peft_type", CDL_STATUS_DATA},
      {"{\"peft_type\": 1}", "peft_type", CDL_STATUS_DATA},
      {"{\"peft_type\": \"FULL\"}", "FULL", CDL_STATUS_UNSUPPORTED},
      {"{\"peft_type\": \"PREFIX_TUNING\"}", "PREFIX_TUNING", CDL_STATUS_UNSUPPORTED},
      {"{\"peft_type\": \"lora\"}", "lora", CDL_STATUS_UNSUPPORTED},
      {"{\"peft_type\": \"LORA\"}", "target_modules", CDL_STATUS_DATA},
      {"{\"peft_type\": \"LORA\", \"target_modules\": null}", "target_modules", CDL_STATUS_DATA},
      {"{\"peft_type\": \"LORA\", \"target_modules\": []}", "target_modules", CDL_STATUS_DATA},
      {"{\"peft_type\": \"LORA\", \"target_modules\": [\"query\", 1]}", "target_modules",
       CDL_STATUS_DATA},
      {"{\"peft_type\": \"LORA\", \"target_modules\": {\"query\": 1}}", "target_modules",
       CDL_STATUS_DATA},
      {"{\"peft_type\": \"CONDLORA\", \"target_modules\": [\"query\"]}", "orientation",
       CDL_STATUS_DATA},
      {"{\"peft_type\": \"CONDLORA\", \"target_modules\": [\"query\"], \"orientation\": \"east\"}",
       "east", CDL_STATUS_DATA},
      {"{\"peft_type\": \"LORA\", \"target_modules\": [\"qu\xfery\"]}", "JSON", CDL_STATUS_DATA},
      {"{\"peft_type\": \"LORA\", \"peft_type\": \"LORA\", \"target_modules\": [\"query\"]}",
       "duplicate", CDL_STATUS_DATA},
      {"{\"peft_type\": \"NONE\", \"condlora_stamp\": 1}", "condlora_stamp", CDL_STATUS_DATA},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    adapter_config config;
    expect_failure(open_text(cases[i].text, &config), cases[i].status, cases[i].named);
    ck_assert_ptr_nonnull(strstr(cdl_error_message(), "adapter_config.json"));
  }
}
END_TEST

START_TEST(refuses_broken_folders)
{
  adapter_config config;
  cdl_safetensors *file;
  expect_failure(adapter_folder_open(scratch_path("none"), &config, &file), CDL_STATUS_ABSENT,
                 "none: no such folder");
  write_sample();
  unlink(tensors_path());
  expect_failure(adapter_folder_open(scratch_folder, &config, &file), CDL_STATUS_ABSENT,
                 "adapter_model.safetensors");
  scratch_put_text(scratch_path("adapter_model.bin"), "x");
  expect_failure(adapter_folder_open(scratch_folder, &config, &file), CDL_STATUS_DATA,
                 "adapter_model.bin");
  scratch_put_text(tensors_path(), "not tensors");
  expect_failure(adapter_folder_open(scratch_folder, &config, &file), CDL_STATUS_DATA,
                 "adapter_model.safetensors");
  cdl_stored_tensor tensors[3];
  make_tensors(tensors);
  tensors[0].name = "bert.encoder.layer.0.attention.self.query.lora_A.weight";
  expect_ok(cdl_safetensors_write(tensors_path(), tensors, 1, NULL, 0));
  expect_failure(adapter_folder_open(scratch_folder, &config, &file), CDL_STATUS_DATA,
                 tensors[0].name);
  unlink(config_path());
  expect_failure(adapter_folder_open(scratch_folder, &config, &file), CDL_STATUS_ABSENT,
                 "adapter_config.json");
}
END_TEST

START_TEST(refuses_to_write_nonsense)
{
  char pattern[] = "x", broken[] = "\xff";
  char *broken_labels[] = {broken, NULL};
  cdl_stored_tensor tensors[3];
  const size_t count = make_tensors(tensors);
  for (int what = 0; what < 12; what++) {
    adapter_config config = sample();
    if (what < 3) {
      const char *const methods[] = {"other", NULL, "full"};
      config.settings.method = methods[what];
    }
    if (what == 3)
      config.settings.rank = 0;
    if (what == 4)
      config.settings.alpha = 0.0 / 0.0;
    if (what == 5)
      config.settings.dropout = 1;
    if (what == 6)
      config.settings.target_pattern = pattern;
    if (what == 7)
      config.settings.targets.count = 0;
    if (what == 8)
      config.task = broken;
    if (what == 9)
      config.label_separator = broken;
    if (what == 10)
      config.labels = names_of(broken_labels);
    if (what == 11)
      tensors[0].name = "classifier.weight";
    expect_failure(adapter_folder_write(scratch_path("out"), &config, tensors, count),
                   CDL_STATUS_ARGUMENT, "out");
    ck_assert(access(scratch_path("out/adapter_config.json"), F_OK) != 0);
    ck_assert(access(scratch_path("out/adapter_model.safetensors"), F_OK) != 0);
  }
  make_tensors(tensors);
  const adapter_config config = sample();
  scratch_put_text(scratch_path("file"), "x");
  expect_failure(adapter_folder_write(scratch_path("file"), &config, tensors, count), CDL_STATUS_IO,
                 "file");
}
END_TEST

START_TEST(survives_any_bytes)
{
  write_sample();
  size_t size;
  char *content = (char *)scratch_get(config_path(), &size);
  for (size_t at = 0; at < size; at++)
    for (int flip = 0; flip < 9; flip++) {
      const char kept = content[at];
      content[at] = (char)(flip == 8 ? 0 : kept ^ 1 << flip);
      scratch_put(config_path(), content, size);
      content[at] = kept;
      adapter_config config;
      cdl_safetensors *file;
      const cdl_status status = adapter_folder_open(scratch_folder, &config, &file);
      if (status != CDL_STATUS_OK) {
        ck_assert(status == CDL_STATUS_DATA || status == CDL_STATUS_UNSUPPORTED);
        expect_failure(status, status, scratch_folder);
      }
      cdl_safetensors_close(file);
      adapter_config_free(&config);
    }
  for (size_t cut = 0; cut < size - 2; cut++) {
    adapter_config config;
    scratch_put(config_path(), content, cut);
    cdl_safetensors *file;
    expect_failure(adapter_folder_open(scratch_folder, &config, &file), CDL_STATUS_DATA,
                   "adapter_config.json");
  }
  free(content);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      reads_what_peft_writes,
      writes_what_it_reads,
      the_same_arguments_give_the_same_bytes,
      reads_and_writes_settings_of_low_rank_methods,
      a_mixed_pair_is_found,
      adds_to_what_no_delta_reaches,
      names_what_is_missing_beside_the_deltas,
      refuses_settings_it_does_not_do,
      refuses_broken_configs,
      refuses_broken_folders,
      refuses_to_write_nonsense,
      survives_any_bytes,
      NULL,
  };
  return scratch_run("adapter_folder", tests);
}
