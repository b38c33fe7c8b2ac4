/* config.json: Transformers' defaults, and what cannot be is refused by key. */
#include <jansson.h>

#include "model/files/config.h"
#include "tests/unit/scratch.h"

static cdl_status read_text(const char *text, model_config *config)
{
  scratch_put_text(scratch_path("config.json"), text);
  return model_config_read(scratch_folder, config);
}

/* The values of RobertaConfig() and BertConfig() in Transformers 4.56. */
START_TEST(missing_keys_have_the_usual_values)
{
  model_config config;
  expect_ok(read_text("{\"model_type\": \"roberta\"}", &config));
  ck_assert_int_eq(config.family, MODEL_FAMILY_ROBERTA);
  ck_assert_str_eq(model_family_name(config.family), "roberta");
  ck_assert_int_eq(config.vocabulary_size, 50265);
  ck_assert_int_eq(config.hidden_size, 768);
  ck_assert_int_eq(config.layers, 12);
  ck_assert_int_eq(config.heads, 12);
  ck_assert_int_eq(config.intermediate_size, 3072);
  ck_assert_int_eq(config.position_count, 512);
  ck_assert_int_eq(config.type_count, 2);
  ck_assert_int_eq(config.pad_id, 1);
  ck_assert_int_eq(model_config_max_tokens(&config), 510);
  ck_assert(config.layer_norm_epsilon == 1e-12);
  ck_assert_int_eq(config.activation, CDL_ACTIVATION_GELU);
  ck_assert(config.hidden_dropout == 0.1 && config.attention_dropout == 0.1 &&
            config.classifier_dropout == 0.1);
  ck_assert(config.initializer_range == 0.02);
  ck_assert_int_eq(config.label_count, 2);
  ck_assert_ptr_null(config.label_names);
  ck_assert_int_eq(config.problem, CDL_PROBLEM_SINGLE_LABEL);
  model_config_release(&config);

  expect_ok(
      read_text("{\"model_type\": \"bert\", \"pad_token_id\": null, \"classifier_dropout\": null,"
                "\"hidden_dropout_prob\": 0.25}",
                &config));
  ck_assert_int_eq(config.family, MODEL_FAMILY_BERT);
  ck_assert_int_eq(config.vocabulary_size, 30522);
  ck_assert(config.pad_id == MODEL_NO_PAD);
  ck_assert_int_eq(model_config_max_tokens(&config), 512);
  ck_assert(config.classifier_dropout == 0.25);
  model_config_release(&config);

  expect_ok(read_text("{\"architectures\": [\"RobertaForMaskedLM\"]}", &config));
  ck_assert_int_eq(config.family, MODEL_FAMILY_ROBERTA);
  model_config_release(&config);
}
END_TEST

/* The values of DistilBertConfig(), ElectraConfig() and XLMRobertaConfig(). */
START_TEST(other_families_have_their_own)
{
  model_config config;
  expect_ok(read_text("{\"model_type\": \"distilbert\"}", &config));
  ck_assert_int_eq(config.family, MODEL_FAMILY_DISTILBERT);
  ck_assert_str_eq(model_family_name(config.family), "distilbert");
  ck_assert_str_eq(model_family_targets(config.family), "q_lin,v_lin");
  ck_assert_int_eq(config.layers, 6);
  ck_assert_int_eq(config.type_count, 0);
  ck_assert_int_eq(config.hidden_size, 768);
  ck_assert_int_eq(config.embedding_size, 768);
  ck_assert(config.hidden_dropout == 0.1 && config.attention_dropout == 0.1 &&
            config.classifier_dropout == 0.2);
  model_config_release(&config);

  expect_ok(read_text("{\"model_type\": \"distilbert\", \"dim\": 20, \"n_layers\": 3, "
                      "\"n_heads\": 4, \"hidden_dim\": 31, \"activation\": \"relu\", "
                      "\"dropout\": 0.5, \"attention_dropout\": 0.25, "
                      "\"seq_classif_dropout\": 0, \"sinusoidal_pos_embds\": true, "
                      "\"layer_norm_eps\": 0.5, \"type_vocab_size\": 7}",
                      &config));
  ck_assert_int_eq(config.hidden_size, 20);
  ck_assert_int_eq(config.layers, 3);
  ck_assert_int_eq(config.heads, 4);
  ck_assert_int_eq(config.intermediate_size, 31);
  ck_assert_int_eq(config.activation, CDL_ACTIVATION_RELU);
  ck_assert_int_eq(config.type_count, 0);
  ck_assert(config.layer_norm_epsilon == 1e-12); /* whatever the file says */
  ck_assert(config.hidden_dropout == 0.5 && config.attention_dropout == 0.25 &&
            config.classifier_dropout == 0);
  model_config_release(&config);
  expect_failure(
      read_text("{\"model_type\": \"distilbert\", \"dim\": 20, \"n_heads\": 3}", &config),
      CDL_STATUS_DATA, "\"n_heads\", 3");

  expect_ok(read_text("{\"architectures\": [\"ElectraForPreTraining\"]}", &config));
  ck_assert_int_eq(config.family, MODEL_FAMILY_ELECTRA);
  ck_assert_int_eq(config.hidden_size, 256);
  ck_assert_int_eq(config.embedding_size, 128);
  ck_assert_int_eq(config.heads, 4);
  ck_assert_int_eq(config.intermediate_size, 1024);
  ck_assert_int_eq(config.type_count, 2);
  model_config_release(&config);

  expect_ok(
      read_text("{\"model_type\": \"xlm-roberta\", \"max_position_embeddings\": 514}", &config));
  ck_assert_int_eq(config.family, MODEL_FAMILY_XLM_ROBERTA);
  ck_assert_int_eq(config.vocabulary_size, 30522);
  ck_assert_int_eq(model_config_first_position(&config), 2);
  ck_assert_int_eq(model_config_max_tokens(&config), 512);
  model_config_release(&config);

  expect_ok(read_text("{\"model_type\": \"camembert\"}", &config)); /* CamembertConfig() */
  ck_assert_int_eq(config.family, MODEL_FAMILY_CAMEMBERT);
  ck_assert_str_eq(model_family_targets(config.family), "query,value");
  ck_assert_int_eq(config.vocabulary_size, 30522);
  ck_assert_int_eq(config.type_count, 2);
  ck_assert_int_eq(model_config_first_position(&config), 2);
  model_config_release(&config);

  expect_ok(read_text("{\"model_type\": \"mpnet\"}", &config)); /* MPNetConfig() */
  ck_assert_int_eq(config.family, MODEL_FAMILY_MPNET);
  ck_assert_str_eq(model_family_targets(config.family), "q,v");
  ck_assert_int_eq(config.vocabulary_size, 30527);
  ck_assert_int_eq(config.type_count, 0);
  ck_assert_int_eq(config.distance_buckets, 32);
  ck_assert_int_eq(model_config_first_position(&config), 2);
  ck_assert_int_eq(model_config_max_tokens(&config), 510);
  model_config_release(&config);
}
END_TEST

/* MPNet's modules have padding 1 and the hidden layers' dropout in them, whatever the keys say. */
START_TEST(keys_that_mpnet_does_not_read)
{
  model_config config;
  expect_ok(
      read_text("{\"model_type\": \"mpnet\", \"pad_token_id\": 7, \"classifier_dropout\": 0.4, "
                "\"hidden_dropout_prob\": 0.2, \"relative_attention_num_buckets\": 40}",
                &config));
  ck_assert_int_eq(config.pad_id, 1);
  ck_assert(config.classifier_dropout == 0.2);
  ck_assert_int_eq(config.distance_buckets, 40);
  model_config_release(&config);
  ck_assert_int_eq(
      read_text("{\"model_type\": \"mpnet\", \"relative_attention_num_buckets\": 16}", &config),
      CDL_STATUS_DATA);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "relative_attention_num_buckets"));
  ck_assert_int_eq(read_text("{\"model_type\": \"mpnet\", \"vocab_size\": 1}", &config),
                   CDL_STATUS_DATA);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "vocab_size"));
}
END_TEST

START_TEST(every_key_is_read)
{
  model_config config;
  expect_ok(read_text("{\"model_type\": \"roberta\", \"vocab_size\": 51, \"hidden_size\": 12, "
                      "\"num_hidden_layers\": 3, "
                      "\"num_attention_heads\": 4, \"intermediate_size\": 21, "
                      "\"max_position_embeddings\": 40, \"type_vocab_size\": 1, "
                      "\"pad_token_id\": 5, \"layer_norm_eps\": 1e-5, \"hidden_act\": \"relu\", "
                      "\"hidden_dropout_prob\": 0, "
                      "\"attention_probs_dropout_prob\": 0.2, \"classifier_dropout\": 0.3, "
                      "\"initializer_range\": 0.5, "
                      "\"id2label\": {\"1\": \"no\", \"0\": \"yes\", \"2\": 7}, \"num_labels\": 3, "
                      "\"chunk_size_feed_forward\": 9, "
                      "\"position_embedding_type\": \"absolute\", \"is_decoder\": false, "
                      "\"problem_type\": \"multi_label_classification\"}",
                      &config));
  ck_assert_int_eq(config.vocabulary_size, 51);
  ck_assert_int_eq(config.hidden_size, 12);
  ck_assert_int_eq(config.layers, 3);
  ck_assert_int_eq(config.heads, 4);
  ck_assert_int_eq(config.intermediate_size, 21);
  ck_assert_int_eq(config.position_count, 40);
  ck_assert_int_eq(config.type_count, 1);
  ck_assert_int_eq(config.pad_id, 5);
  ck_assert_int_eq(model_config_max_tokens(&config), 34);
  ck_assert(config.layer_norm_epsilon == 1e-5);
  ck_assert_int_eq(config.activation, CDL_ACTIVATION_RELU);
  ck_assert(config.hidden_dropout == 0 && config.attention_dropout == 0.2 &&
            config.classifier_dropout == 0.3);
  ck_assert(config.initializer_range == 0.5);
  ck_assert_int_eq(config.label_count, 3);
  ck_assert_str_eq(config.label_names[0], "yes");
  ck_assert_str_eq(config.label_names[1], "no");
  ck_assert_str_eq(config.label_names[2], "7");
  ck_assert_int_eq(config.problem, CDL_PROBLEM_MULTI_LABEL);
  model_config_release(&config);
  model_config_release(&config);
}
END_TEST

/* Of Transformers' create_position_ids_from_input_ids: cumsum(ids ≠ pad) · (ids ≠ pad) + pad. */
/* What `{int(key): name for key, name in id2label.items()}`, its length and str(name) are in
 * Python. */
START_TEST(labels_are_as_many_as_id2label_has)
{
  const struct {
    const char *settings;
    int64_t count;
    const char *names[4];
  } cases[] = {
      {"\"id2label\": {\"0\": true, \"1\": false}", 2, {"True", "False"}},
      {"\"id2label\": {\"0\": null, \"1\": null}", 2, {"None", "None"}},
      {"\"id2label\": {\"0\": 0.0, \"1\": -1.5, \"2\": 1e16, \"3\": 0.00001}",
       4,
       {"0.0", "-1.5", "1e+16", "1e-05"}},
      {"\"id2label\": {\"0\": 123456.789, \"1\": 0.0001234, \"2\": 9e15, \"3\": 1.25e-7}",
       4,
       {"123456.789", "0.0001234", "9000000000000000.0", "1.25e-07"}},
      {"\"id2label\": {\"0\": 0.1, \"1\": 1e300, \"2\": 5e-324, \"3\": 100.0}",
       4,
       {"0.1", "1e+300", "5e-324", "100.0"}},
      {"\"id2label\": {\"0\": 7, \"1\": -7}", 2, {"7", "-7"}},
      {"\"id2label\": {\"0\": \"a\", \"2\": \"b\"}", 2, {"a", "LABEL_1"}},
      {"\"id2label\": {\"1\": \"a\"}", 1, {"LABEL_0"}},
      {"\"id2label\": {\"-1\": \"a\", \"0\": \"b\"}", 2, {"b", "LABEL_1"}},
      {"\"id2label\": {\"0\": \"a\", \"00\": \"b\", \" +1 \": \"c\"}", 2, {"b", "c"}},
      {"\"id2label\": {\"1_0\": \"a\", \"1\": \"b\"}", 2, {"LABEL_0", "b"}},
      {"\"num_labels\": 3, \"id2label\": {\"0\": \"a\", \"1\": \"b\"}", 2, {"a", "b"}},
      {"\"num_labels\": \"x\", \"id2label\": {\"0\": \"a\"}", 1, {"a"}},
      {"\"num_labels\": 5, \"id2label\": null", 5, {NULL}},
      {"\"num_labels\": null", 2, {NULL}},
      {"\"num_labels\": 0", 0, {NULL}},
      {"\"id2label\": {}", 0, {NULL}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[300];
    model_config config;
    snprintf(text, sizeof text, "{\"model_type\": \"bert\", %s}", cases[i].settings);
    expect_ok(read_text(text, &config));
    ck_assert_int_eq(config.label_count, cases[i].count);
    ck_assert((config.label_names != NULL) == (cases[i].names[0] != NULL));
    for (int k = 0; k < 4 && cases[i].names[k] != NULL; k++)
      ck_assert_str_eq(config.label_names[k], cases[i].names[k]);
    model_config_release(&config);
  }
}
END_TEST

/* The usual names are set after DistilBERT's own, by attribute_map. */
START_TEST(the_usual_names_of_sizes_count_in_distilbert)
{
  model_config config;
  expect_ok(read_text("{\"model_type\": \"distilbert\", \"dim\": 20, \"hidden_size\": 24, "
                      "\"n_layers\": 3, \"num_hidden_layers\": 2, \"num_attention_heads\": 6, "
                      "\"intermediate_size\": 7, \"hidden_dropout_prob\": 0.5}",
                      &config));
  ck_assert_int_eq(config.hidden_size, 24);
  ck_assert_int_eq(config.layers, 2);
  ck_assert_int_eq(config.heads, 6);
  ck_assert_int_eq(config.intermediate_size, 3072); /* these two have no second name */
  ck_assert(config.hidden_dropout == 0.1);
  model_config_release(&config);
  expect_failure(
      read_text("{\"model_type\": \"distilbert\", \"dim\": 20, \"hidden_size\": null}", &config),
      CDL_STATUS_DATA, "\"hidden_size\"");
}
END_TEST

START_TEST(positions_count_over_what_is_not_padding)
{
  static const int32_t ids[] = {7, 5, 5, 9, 5, 0, 1, 5};
  static const int32_t after_five[] = {6, 5, 5, 7, 5, 8, 9, 5}, plain[] = {0, 1, 2, 3, 4, 5, 6, 7};
  int32_t positions[8];
  model_config config;
  expect_ok(read_text("{\"model_type\": \"roberta\", \"pad_token_id\": 5}", &config));
  model_count_positions((int32_t)model_config_first_position(&config), ids, 8, positions);
  ck_assert_mem_eq(positions, after_five, sizeof positions);
  model_config_release(&config);
  expect_ok(read_text("{\"model_type\": \"xlm-roberta\", \"pad_token_id\": -1}", &config));
  ck_assert_int_eq(config.pad_id, -1);
  ck_assert_int_eq(model_config_max_tokens(&config), 512);
  model_count_positions((int32_t)model_config_first_position(&config), ids, 8, positions);
  ck_assert_mem_eq(positions, plain, sizeof positions);
  model_config_release(&config);
  expect_ok(read_text("{\"model_type\": \"bert\", \"pad_token_id\": 5}", &config));
  model_count_positions((int32_t)model_config_first_position(&config), ids, 8, positions);
  ck_assert_mem_eq(positions, plain, sizeof positions);
  model_config_release(&config);
  expect_ok(read_text("{\"model_type\": \"bert\", \"pad_token_id\": -3}", &config));
  ck_assert_int_eq(config.pad_id, -3);
  model_config_release(&config);
  expect_failure(read_text("{\"model_type\": \"bert\", \"pad_token_id\": -30523}", &config),
                 CDL_STATUS_DATA, "pad_token_id");
}
END_TEST

START_TEST(one_label_is_regression)
{
  model_config config;
  expect_ok(read_text("{\"model_type\": \"bert\", \"num_labels\": 1}", &config));
  ck_assert_int_eq(config.problem, CDL_PROBLEM_REGRESSION);
  model_config_release(&config);
  expect_ok(read_text(
      "{\"model_type\": \"bert\", \"num_labels\": 4, \"problem_type\": \"regression\"}", &config));
  ck_assert_int_eq(config.problem, CDL_PROBLEM_REGRESSION);
  ck_assert_int_eq(config.label_count, 4);
  model_config_release(&config);
}
END_TEST

START_TEST(activations_have_their_names)
{
  const struct {
    const char *name;
    cdl_activation activation;
  } cases[] = {{"gelu", CDL_ACTIVATION_GELU},
               {"gelu_python", CDL_ACTIVATION_GELU},
               {"gelu_new", CDL_ACTIVATION_GELU_TANH},
               {"gelu_pytorch_tanh", CDL_ACTIVATION_GELU_TANH},
               {"gelu_python_tanh", CDL_ACTIVATION_GELU_TANH},
               {"gelu_fast", CDL_ACTIVATION_GELU_TANH},
               {"gelu_accurate", CDL_ACTIVATION_GELU_TANH},
               {"quick_gelu", CDL_ACTIVATION_GELU_QUICK},
               {"relu", CDL_ACTIVATION_RELU},
               {"silu", CDL_ACTIVATION_SILU},
               {"swish", CDL_ACTIVATION_SILU},
               {"tanh", CDL_ACTIVATION_TANH},
               {"sigmoid", CDL_ACTIVATION_SIGMOID},
               {"mish", CDL_ACTIVATION_MISH},
               {"linear", CDL_ACTIVATION_NONE}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[100];
    model_config config;
    snprintf(text, sizeof text, "{\"model_type\": \"bert\", \"hidden_act\": \"%s\"}",
             cases[i].name);
    expect_ok(read_text(text, &config));
    ck_assert_int_eq(config.activation, cases[i].activation);
    model_config_release(&config);
  }
}
END_TEST

START_TEST(refuses_what_cannot_be)
{
  const struct {
    const char *setting, *named;
    cdl_status status;
  } cases[] = {
      {"\"hidden_size\": \"768\"", "hidden_size", CDL_STATUS_DATA},
      {"\"hidden_size\": 768.0", "hidden_size", CDL_STATUS_DATA},
      {"\"hidden_size\": null", "hidden_size", CDL_STATUS_DATA},
      {"\"hidden_size\": 0", "hidden_size", CDL_STATUS_DATA},
      {"\"hidden_size\": -768", "hidden_size", CDL_STATUS_DATA},
      {"\"hidden_size\": 770", "num_attention_heads", CDL_STATUS_DATA},
      {"\"hidden_size\": 9223372036854775807", "hidden_size", CDL_STATUS_DATA},
      {"\"num_hidden_layers\": 100000", "num_hidden_layers", CDL_STATUS_DATA},
      {"\"num_attention_heads\": 7", "num_attention_heads", CDL_STATUS_DATA},
      {"\"vocab_size\": true", "vocab_size", CDL_STATUS_DATA},
      {"\"intermediate_size\": []", "intermediate_size", CDL_STATUS_DATA},
      {"\"type_vocab_size\": 0", "type_vocab_size", CDL_STATUS_DATA},
      {"\"pad_token_id\": 50265", "pad_token_id", CDL_STATUS_DATA},
      {"\"pad_token_id\": -2", "pad_token_id", CDL_STATUS_DATA},
      {"\"pad_token_id\": null", "pad_token_id", CDL_STATUS_DATA},
      {"\"vocab_size\": 1", "pad_token_id", CDL_STATUS_DATA},
      {"\"max_position_embeddings\": 2", "max_position_embeddings", CDL_STATUS_DATA},
      {"\"layer_norm_eps\": 0", "layer_norm_eps", CDL_STATUS_DATA},
      {"\"layer_norm_eps\": \"1e-5\"", "layer_norm_eps", CDL_STATUS_DATA},
      {"\"hidden_dropout_prob\": 1", "hidden_dropout_prob", CDL_STATUS_DATA},
      {"\"hidden_dropout_prob\": null", "hidden_dropout_prob", CDL_STATUS_DATA},
      {"\"attention_probs_dropout_prob\": -0.1", "attention_probs_dropout_prob", CDL_STATUS_DATA},
      {"\"classifier_dropout\": 2", "classifier_dropout", CDL_STATUS_DATA},
      {"\"initializer_range\": -1", "initializer_range", CDL_STATUS_DATA},
      {"\"id2label\": [\"a\"]", "id2label", CDL_STATUS_DATA},
      {"\"id2label\": {\"0\": \"a\", \"x\": \"b\"}", "id2label", CDL_STATUS_DATA},
      {"\"id2label\": {\"0\": \"a\", \"\": \"b\"}", "id2label", CDL_STATUS_DATA},
      {"\"id2label\": {\"1__0\": \"a\"}", "id2label", CDL_STATUS_DATA},
      {"\"id2label\": {\"_1\": \"a\"}", "id2label", CDL_STATUS_DATA},
      {"\"id2label\": {\"1_\": \"a\"}", "id2label", CDL_STATUS_DATA},
      {"\"id2label\": {\"1 1\": \"a\"}", "id2label", CDL_STATUS_DATA},
      {"\"id2label\": {\"+-1\": \"a\"}", "id2label", CDL_STATUS_DATA},
      {"\"id2label\": {\"1.0\": \"a\"}", "id2label", CDL_STATUS_DATA},
      {"\"id2label\": {\"1234567890123456789\": \"a\"}", "id2label", CDL_STATUS_DATA},
      {"\"num_labels\": -1", "num_labels", CDL_STATUS_DATA},
      {"\"problem_type\": \"guessing\"", "problem_type", CDL_STATUS_DATA},
      {"\"hidden_act\": 1", "hidden_act", CDL_STATUS_DATA},
      {"\"hidden_act\": \"gelu_10\"", "hidden_act", CDL_STATUS_UNSUPPORTED},
      {"\"position_embedding_type\": \"relative_key\"", "position_embedding_type",
       CDL_STATUS_UNSUPPORTED},
      {"\"is_decoder\": true", "is_decoder", CDL_STATUS_UNSUPPORTED},
      {"\"is_decoder\": \"true\"", "is_decoder", CDL_STATUS_DATA},
      {"\"add_cross_attention\": true", "add_cross_attention", CDL_STATUS_UNSUPPORTED},
      {"\"pruned_heads\": {\"0\": [1]}", "pruned_heads", CDL_STATUS_UNSUPPORTED},
      {"\"quantization_config\": {\"bits\": 4}", "quantization_config", CDL_STATUS_UNSUPPORTED},
      {"\"hidden_size\": 768, \"hidden_size\": 768", "hidden_size", CDL_STATUS_DATA},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[300];
    model_config config;
    snprintf(text, sizeof text, "{\"model_type\": \"roberta\", %s}", cases[i].setting);
    expect_failure(read_text(text, &config), cases[i].status, cases[i].named);
    ck_assert_ptr_nonnull(strstr(cdl_error_message(), "config.json"));
    ck_assert_ptr_null(config.label_names);
  }
}
END_TEST

START_TEST(refuses_other_families)
{
  const char *cases[][2] = {{"{\"model_type\": \"xlm-roberta-xl\"}", "xlm-roberta-xl"},
                            {"{\"architectures\": [\"XLMRobertaXLForMaskedLM\"]}", "XLMRobertaXL"},
                            {"{\"architectures\": [\"RobertaPreLayerNormModel\"]}", "PreLayerNorm"},
                            {"{\"model_type\": \"roformer\"}", "roformer"},
                            {"{\"architectures\": [\"XLMModel\"]}", "XLMModel"}};
  model_config config;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    expect_failure(read_text(cases[i][0], &config), CDL_STATUS_UNSUPPORTED, cases[i][1]);
    ck_assert_ptr_nonnull(strstr(cdl_error_message(), "config.json"));
  }
  expect_failure(read_text("{\"model_type\": null}", &config), CDL_STATUS_DATA, "model_type");
  expect_failure(read_text("{}", &config), CDL_STATUS_DATA, "model_type");
}
END_TEST

START_TEST(refuses_what_is_no_object)
{
  const char *cases[] = {"",
                         "{",
                         "[]",
                         "1",
                         "{\"model_type\": \"bert\"} x",
                         "{\"model_type\": \"be\xff\x72t\"}",
                         "{\"model_type\": \"bert\\u0000\"}",
                         "{\"hidden_size\": 1e999}",
                         "\xef\xbb\xbf{}"};
  model_config config;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    expect_failure(read_text(cases[i], &config), CDL_STATUS_DATA, "config.json");
  char deep[20000];
  memset(deep, '[', sizeof deep);
  memcpy(deep, "{\"a\":", 5);
  deep[sizeof deep - 1] = '\0';
  expect_failure(read_text(deep, &config), CDL_STATUS_DATA, "config.json");
  scratch_put(scratch_path("config.json"), "{\"model_type\":\0\"bert\"}", 22);
  expect_failure(model_config_read(scratch_folder, &config), CDL_STATUS_DATA, "config.json");
  expect_failure(model_config_read(scratch_path("none.json"), &config), CDL_STATUS_ABSENT,
                 "none.json");
  unlink(scratch_path("config.json"));
  expect_failure(model_config_read(scratch_folder, &config), CDL_STATUS_ABSENT, "config.json");
}
END_TEST

START_TEST(writes_what_changed_and_keeps_the_rest)
{
  const char *text = "{\"model_type\": \"roberta\", \"architectures\": [\"RobertaForMaskedLM\"], "
                     "\"layer_norm_eps\": 1e-05, "
                     "\"hidden_dropout_prob\": 0.1, \"odd\": 0.12345678901234567, \"mine\": "
                     "{\"a\": [1, null, \"\\u00e9\"]}, "
                     "\"torch_dtype\": \"bfloat16\", \"num_labels\": 7}";
  scratch_put_text(scratch_path("config.json"), text);
  const char *names[] = {"no", "yes \"sir\"", "\xc3\xa9"};
  expect_ok(model_config_write(scratch_folder, scratch_path("out.json"), 3, names,
                               CDL_PROBLEM_SINGLE_LABEL));
  json_t *found = json_load_file(scratch_path("out.json"), 0, NULL);
  json_t *wanted =
      json_loads("{\"model_type\": \"roberta\", \"architectures\": "
                 "[\"RobertaForSequenceClassification\"], \"layer_norm_eps\": 1e-05, "
                 "\"hidden_dropout_prob\": 0.1, \"odd\": 0.12345678901234567, \"mine\": {\"a\": "
                 "[1, null, \"\\u00e9\"]}, "
                 "\"torch_dtype\": \"float32\", \"problem_type\": \"single_label_classification\", "
                 "\"id2label\": {\"0\": \"no\", \"1\": \"yes \\\"sir\\\"\", \"2\": \"\\u00e9\"}, "
                 "\"label2id\": {\"no\": 0, \"yes \\\"sir\\\"\": 1, \"\\u00e9\": 2}}",
                 0, NULL);
  ck_assert_ptr_nonnull(wanted);
  ck_assert(json_equal(found, wanted));
  json_decref(found);
  json_decref(wanted);

  model_config config;
  expect_ok(model_config_read(scratch_path("out.json"), &config));
  ck_assert_int_eq(config.label_count, 3);
  ck_assert_str_eq(config.label_names[1], "yes \"sir\"");
  model_config_release(&config);

  expect_ok(model_config_write(scratch_path("config.json"), scratch_path("out.json"), 1, NULL,
                               CDL_PROBLEM_REGRESSION));
  expect_ok(model_config_read(scratch_path("out.json"), &config));
  ck_assert_int_eq(config.problem, CDL_PROBLEM_REGRESSION);
  ck_assert_str_eq(config.label_names[0], "LABEL_0");
  model_config_release(&config);

  const char *twice[] = {"a", "a"}, *broken[] = {"a", "\xff"};
  expect_ok(model_config_write(scratch_folder, scratch_path("out.json"), 2, twice,
                               CDL_PROBLEM_SINGLE_LABEL));
  found = json_load_file(scratch_path("out.json"), 0, NULL);
  ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(found, "label2id"), "a")), 1);
  ck_assert_uint_eq(json_object_size(json_object_get(found, "id2label")), 2);
  json_decref(found);
  unlink(scratch_path("out.json"));
  expect_failure(model_config_write(scratch_folder, scratch_path("out.json"), 2, broken,
                                    CDL_PROBLEM_SINGLE_LABEL),
                 CDL_STATUS_ARGUMENT, "UTF-8");
  expect_failure(model_config_write(scratch_folder, scratch_path("out.json"), 0, NULL,
                                    CDL_PROBLEM_SINGLE_LABEL),
                 CDL_STATUS_ARGUMENT, "0 labels");
  ck_assert_uint_eq(scratch_count_entries(), 1);
}
END_TEST

START_TEST(survives_any_bytes)
{
  const char text[] = "{\"model_type\": \"bert\", \"vocab_size\": 51, \"hidden_size\": 12, "
                      "\"num_attention_heads\": 4, "
                      "\"id2label\": {\"0\": \"a\", \"1\": \"b\"}, \"hidden_act\": \"relu\", "
                      "\"layer_norm_eps\": 1e-5}";
  char changed[sizeof text];
  for (size_t at = 0; at < sizeof text - 1; at++)
    for (int flip = 0; flip < 9; flip++) {
      model_config config;
      memcpy(changed, text, sizeof text);
      changed[at] = (char)(flip == 8 ? 0 : changed[at] ^ 1 << flip);
      scratch_put(scratch_path("config.json"), changed, sizeof text - 1);
      const cdl_status status = model_config_read(scratch_folder, &config);
      if (status != CDL_STATUS_OK) {
        ck_assert(status == CDL_STATUS_DATA || status == CDL_STATUS_UNSUPPORTED);
        expect_failure(status, status, "config.json");
      }
      model_config_release(&config);
      scratch_put(scratch_path("config.json"), text, at);
      expect_failure(model_config_read(scratch_folder, &config), CDL_STATUS_DATA, "config.json");
    }
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      missing_keys_have_the_usual_values,
      other_families_have_their_own,
      keys_that_mpnet_does_not_read,
      every_key_is_read,
      labels_are_as_many_as_id2label_has,
      the_usual_names_of_sizes_count_in_distilbert,
      positions_count_over_what_is_not_padding,
      one_label_is_regression,
      activations_have_their_names,
      refuses_what_cannot_be,
      refuses_other_families,
      refuses_what_is_no_object,
      writes_what_changed_and_keeps_the_rest,
      survives_any_bytes,
      NULL,
  };
  return scratch_run("config", tests);
}
