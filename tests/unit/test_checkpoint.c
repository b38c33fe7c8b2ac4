/* Model folders: names of all kinds are understood, and what is missing, unknown or misshapen is
 * named. */
#include "model/files/checkpoint.h"

#include "condlora/log.h"
#include "tests/unit/scratch.h"

/* ---- A small model ---- */

enum {
  HIDDEN = 4,
  INNER = 6,
  WORDS = 9,
  POSITIONS = 8,
  LAYERS = 2,
  TENSORS_MOST = 64,
  VALUES = 64
};

static float values[TENSORS_MOST][VALUES];
static char names[TENSORS_MOST][100];
static cdl_stored_tensor tensors[TENSORS_MOST];
static size_t tensor_count;

static void add(const char *prefix, const char *name, uint32_t rank, int64_t rows, int64_t columns)
{
  const size_t i = tensor_count++;
  ck_assert_uint_lt(i, TENSORS_MOST);
  snprintf(names[i], sizeof names[i], "%s%s", prefix, name);
  for (int v = 0; v < VALUES; v++)
    values[i][v] = (float)(100 * (int)i + v);
  tensors[i] = (cdl_stored_tensor){.name = names[i],
                                   .type = CDL_STORED_F32,
                                   .rank = rank,
                                   .shape = {rows, columns},
                                   .data = values[i]};
}

static void add_pair(const char *prefix, const char *module, const char *weight, const char *bias,
                     int64_t out, int64_t in)
{
  char name[100];
  snprintf(name, sizeof name, "%s.%s", module, weight);
  add(prefix, name, in > 0 ? 2 : 1, out, in);
  snprintf(name, sizeof name, "%s.%s", module, bias);
  add(prefix, name, 1, out, 0);
}

static void make_body(const char *prefix, const char *gain, const char *shift)
{
  tensor_count = 0;
  add(prefix, "embeddings.word_embeddings.weight", 2, WORDS, HIDDEN);
  add(prefix, "embeddings.position_embeddings.weight", 2, POSITIONS, HIDDEN);
  add(prefix, "embeddings.token_type_embeddings.weight", 2, 2, HIDDEN);
  add_pair(prefix, "embeddings.LayerNorm", gain, shift, HIDDEN, 0);
  for (int layer = 0; layer < LAYERS; layer++) {
    const struct {
      const char *module;
      int64_t out, in;
    } parts[] = {
        {"attention.self.query", HIDDEN, HIDDEN},  {"attention.self.key", HIDDEN, HIDDEN},
        {"attention.self.value", HIDDEN, HIDDEN},  {"attention.output.dense", HIDDEN, HIDDEN},
        {"attention.output.LayerNorm", HIDDEN, 0}, {"intermediate.dense", INNER, HIDDEN},
        {"output.dense", HIDDEN, INNER},           {"output.LayerNorm", HIDDEN, 0}};
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
      char module[80];
      snprintf(module, sizeof module, "encoder.layer.%d.%s", layer, parts[p].module);
      add_pair(prefix, module, parts[p].in > 0 ? "weight" : gain, parts[p].in > 0 ? "bias" : shift,
               parts[p].out, parts[p].in);
    }
  }
}

static void put_config(const char *family)
{
  char text[400];
  snprintf(
      text, sizeof text,
      "{\"model_type\": \"%s\", \"vocab_size\": %d, \"hidden_size\": %d, \"num_hidden_layers\": "
      "%d, "
      "\"num_attention_heads\": 2, \"intermediate_size\": %d, \"max_position_embeddings\": %d}",
      family, WORDS, HIDDEN, LAYERS, INNER, POSITIONS);
  scratch_put_text(scratch_path("config.json"), text);
}

static cdl_status write_and_open(const char *family, model_checkpoint **checkpoint)
{
  put_config(family);
  expect_ok(
      cdl_safetensors_write(scratch_path("model.safetensors"), tensors, tensor_count, NULL, 0));
  return model_checkpoint_open(scratch_folder, NULL, checkpoint);
}

static size_t index_of(const char *end)
{
  for (size_t i = 0; i < tensor_count; i++)
    if (strlen(names[i]) >= strlen(end) &&
        strcmp(names[i] + strlen(names[i]) - strlen(end), end) == 0)
      return i;
  ck_abort_msg("%s", end);
}

static void expect_values(const model_checkpoint *checkpoint, const char *name, uint32_t rank,
                          int64_t rows, int64_t columns, const float *wanted)
{
  float staging[VALUES];
  const void *viewed;
  expect_ok(model_checkpoint_view(checkpoint, name, rank, (const int64_t[]){rows, columns}, staging,
                                  &viewed));
  ck_assert_mem_eq(viewed, wanted, sizeof(float) * (size_t)(rows * (rank == 2 ? columns : 1)));
  model_checkpoint_discard(checkpoint, name);
}

static const char query[] = "encoder.layer.1.attention.self.query.weight";

/* ---- Tests ---- */

START_TEST(bodies_open_with_and_without_prefix)
{
  const char *cases[][2] = {
      {"bert", ""}, {"bert", "bert."}, {"roberta", ""}, {"roberta", "roberta."}};
  uint64_t fingerprint[4];
  for (size_t i = 0; i < 4; i++) {
    model_checkpoint *checkpoint;
    make_body(cases[i][1], i % 2 == 0 ? "weight" : "gamma", i % 2 == 0 ? "bias" : "beta");
    expect_ok(write_and_open(cases[i][0], &checkpoint));
    ck_assert_int_eq(model_checkpoint_config(checkpoint)->layers, LAYERS);
    ck_assert(!model_checkpoint_has_pooler(checkpoint));
    ck_assert_int_eq(model_checkpoint_head_labels(checkpoint), 0);
    expect_ok(model_checkpoint_check_head(checkpoint, 5));
    ck_assert(model_checkpoint_has(checkpoint, query));
    ck_assert(!model_checkpoint_has(checkpoint, "encoder.layer.2.attention.self.query.weight"));
    ck_assert(!model_checkpoint_has(checkpoint, "classifier.weight"));
    expect_values(checkpoint, query, 2, HIDDEN, HIDDEN, values[index_of(query)]);
    expect_values(checkpoint, "embeddings.LayerNorm.bias", 1, HIDDEN, 0, values[4]);
    expect_values(checkpoint, "encoder.layer.0.output.LayerNorm.weight", 1, HIDDEN, 0, values[19]);
    fingerprint[i] = model_checkpoint_fingerprint(checkpoint);
    model_checkpoint_close(checkpoint);
  }
  ck_assert(fingerprint[0] == fingerprint[1]);
  ck_assert(fingerprint[0] == fingerprint[2] && fingerprint[2] == fingerprint[3]);
  model_checkpoint_close(NULL);
}
END_TEST

START_TEST(bert_head_and_pooler)
{
  model_checkpoint *checkpoint;
  make_body("bert.", "weight", "bias");
  add_pair("bert.", "pooler.dense", "weight", "bias", HIDDEN, HIDDEN);
  add_pair("", "classifier", "weight", "bias", 3, HIDDEN);
  expect_ok(write_and_open("bert", &checkpoint));
  ck_assert(model_checkpoint_has_pooler(checkpoint));
  ck_assert_int_eq(model_checkpoint_head_labels(checkpoint), 3);
  expect_ok(model_checkpoint_check_head(checkpoint, 3));
  expect_failure(model_checkpoint_check_head(checkpoint, 2), CDL_STATUS_DATA, scratch_folder);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "3 labels, expected 2; --fresh-head"));
  expect_ok(model_checkpoint_check_head(checkpoint, 0));
  expect_values(checkpoint, "classifier.weight", 2, 3, HIDDEN,
                values[index_of("classifier.weight")]);
  expect_values(checkpoint, "pooler.dense.bias", 1, HIDDEN, 0,
                values[index_of("pooler.dense.bias")]);
  model_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(roberta_head)
{
  model_checkpoint *checkpoint;
  make_body("roberta.", "weight", "bias");
  add_pair("", "classifier.dense", "weight", "bias", HIDDEN, HIDDEN);
  add_pair("", "classifier.out_proj", "weight", "bias", 5, HIDDEN);
  expect_ok(write_and_open("roberta", &checkpoint));
  ck_assert_int_eq(model_checkpoint_head_labels(checkpoint), 5);
  expect_values(checkpoint, "classifier.out_proj.weight", 2, 5, HIDDEN,
                values[index_of("out_proj.weight")]);
  model_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(known_extras_are_ignored)
{
  model_checkpoint *checkpoint;
  make_body("roberta.", "weight", "bias");
  add("roberta.", "embeddings.position_ids", 2, 1, 8);
  tensors[tensor_count - 1].type = CDL_STORED_I32;
  add_pair("roberta.", "pooler.dense", "weight", "bias", HIDDEN, HIDDEN);
  add_pair("", "lm_head.dense", "weight", "bias", HIDDEN, HIDDEN);
  add("", "lm_head.bias", 1, WORDS, 0);
  expect_ok(write_and_open("roberta", &checkpoint));
  ck_assert(!model_checkpoint_has_pooler(checkpoint));
  ck_assert(!model_checkpoint_has(checkpoint, "pooler.dense.weight"));
  model_checkpoint_close(checkpoint);

  make_body("", "weight", "bias");
  add("", "embeddings.position_ids", 2, 1, 8);
  add("", "cls.predictions.bias", 1, WORDS, 0);
  expect_ok(write_and_open("bert", &checkpoint));
  model_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(refuses_unknown_tensors)
{
  const char *unknown[] = {"encoder.layer.2.output.dense.weight",
                           "encoder.layer.0.output.dense.weight.more",
                           "encoder.layer.00.output.dense.weight",
                           "encoder.layer.0.attention.self.query.lora_A.weight",
                           "bert.bert.pooler.dense.weight",
                           "bert.classifier.dense.weight",
                           "pooler.dense.weights",
                           "embeddings.LayerNorm.delta",
                           ("encoder.whose.name.is.much.longer.than.that.of.any.tensor.that.a."
                            "model.of.this.family.has.or.had")};
  for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
    model_checkpoint *checkpoint;
    make_body("", "weight", "bias");
    add("", unknown[i], 1, HIDDEN, 0);
    expect_failure(write_and_open("bert", &checkpoint), CDL_STATUS_DATA, "model.safetensors");
    ck_assert_msg(strstr(cdl_error_message(), names[tensor_count - 1]) != NULL, "%s",
                  cdl_error_message());
    ck_assert_ptr_null(checkpoint);
  }
}
END_TEST

static char noted[500];

static void note(void *user, cdl_log_level level, const char *text)
{
  (void)user;
  ck_assert_int_eq(level, CDL_LOG_NOTICE);
  snprintf(noted, sizeof noted, "%s", text);
}

START_TEST(what_lies_outside_the_encoder_is_left_out)
{
  const char *outside[] = {"qa_outputs.weight",
                           "crf.transitions",
                           "roberta.encoder.layer.0.output.dense.weight",
                           "classifier.dense.weight",
                           "",
                           "a name that is much longer than that of any tensor that a model has"};
  model_checkpoint *checkpoint;
  cdl_log_to(note, NULL);
  make_body("bert.", "weight", "bias");
  expect_ok(write_and_open("bert", &checkpoint));
  noted[0] = '\0';
  model_checkpoint_note_left_out(checkpoint);
  ck_assert_str_eq(noted, "");
  const uint64_t before = model_checkpoint_fingerprint(checkpoint);
  model_checkpoint_close(checkpoint);
  for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
    add("", outside[i], 1, HIDDEN, 0);
    tensors[tensor_count - 1].type = i % 2 == 0 ? CDL_STORED_F32 : CDL_STORED_I32;
    expect_ok(write_and_open("bert", &checkpoint));
    ck_assert_int_eq(model_checkpoint_head_labels(checkpoint), 0);
    ck_assert(model_checkpoint_fingerprint(checkpoint) == before);
    model_checkpoint_note_left_out(checkpoint);
    char count[40];
    snprintf(count, sizeof count, ": %zu tensor%s outside", i + 1, i == 0 ? "" : "s");
    ck_assert_msg(strstr(noted, count) != NULL, "%s", noted);
    ck_assert_ptr_nonnull(strstr(noted, i == 0 ? "qa_outputs.weight" : "crf.transitions"));
    ck_assert_ptr_null(strchr(noted, '\n'));
    model_checkpoint_close(checkpoint);
  }
  make_body("roberta.", "weight", "bias"); /* the pooler that BERT has is no part of this family */
  add_pair("roberta.", "pooler.dense", "weight", "bias", HIDDEN, HIDDEN);
  add_pair("", "classifier", "weight", "bias", 9, HIDDEN); /* of tokens */
  expect_ok(write_and_open("roberta", &checkpoint));
  ck_assert_int_eq(model_checkpoint_head_labels(checkpoint), 0);
  expect_ok(model_checkpoint_check_head(checkpoint, 2));
  model_checkpoint_close(checkpoint);
  cdl_log_to(NULL, NULL);
}
END_TEST

/* The body is there, so the folder opens; whoever wants the head is told what it lacks. */
START_TEST(a_damaged_head_is_no_damaged_encoder)
{
  model_checkpoint *checkpoint;
  make_body("", "weight", "bias");
  add_pair("", "classifier", "weight", "bias", 3, HIDDEN);
  const cdl_stored_tensor weight = tensors[tensor_count - 2], bias = tensors[tensor_count - 1];
  for (int how = 0; how < 6; how++) {
    cdl_stored_tensor *const w = &tensors[tensor_count - 2], *const b = w + 1;
    *w = weight;
    *b = bias;
    if (how == 0)
      w->shape[1]++;
    if (how == 1)
      w->shape[0] = 0;
    if (how == 2)
      b->shape[0] = 2;
    if (how == 3)
      b->type = CDL_STORED_I32;
    if (how == 4)
      b->name = "classifier.other";
    if (how == 5)
      w->name = "classifier.other";
    expect_ok(write_and_open("bert", &checkpoint));
    expect_failure(model_checkpoint_check_head(checkpoint, 0), CDL_STATUS_DATA, "classifier.");
    ck_assert_ptr_null(strstr(cdl_error_message(), "--fresh-head"));
    expect_failure(model_checkpoint_check_head(checkpoint, 3), CDL_STATUS_DATA, "--fresh-head");
    ck_assert_ptr_nonnull(strstr(cdl_error_message(), "classifier."));
    model_checkpoint_close(checkpoint);
  }
}
END_TEST

START_TEST(refuses_two_names_for_one)
{
  model_checkpoint *checkpoint;
  make_body("", "weight", "bias");
  add("bert.", "embeddings.word_embeddings.weight", 2, WORDS, HIDDEN);
  expect_failure(write_and_open("bert", &checkpoint), CDL_STATUS_DATA,
                 "bert.embeddings.word_embeddings.weight");
  make_body("", "weight", "bias");
  add("", "embeddings.LayerNorm.gamma", 1, HIDDEN, 0);
  expect_failure(write_and_open("bert", &checkpoint), CDL_STATUS_DATA,
                 "embeddings.LayerNorm.gamma");
}
END_TEST

START_TEST(refuses_missing_tensors)
{
  make_body("", "weight", "bias");
  add_pair("", "pooler.dense", "weight", "bias", HIDDEN, HIDDEN);
  const size_t all = tensor_count;
  for (size_t gone = 0; gone < all; gone++) {
    const cdl_stored_tensor removed = tensors[gone];
    tensors[gone] = tensors[--tensor_count];
    model_checkpoint *checkpoint;
    expect_failure(write_and_open("bert", &checkpoint), CDL_STATUS_DATA, scratch_folder);
    ck_assert_msg(strstr(cdl_error_message(), removed.name) != NULL, "%s", cdl_error_message());
    ck_assert_ptr_nonnull(strstr(cdl_error_message(), "missing"));
    tensors[tensor_count++] = tensors[gone];
    tensors[gone] = removed;
  }
}
END_TEST

START_TEST(refuses_other_shapes_and_types)
{
  make_body("", "weight", "bias");
  add_pair("", "pooler.dense", "weight", "bias", HIDDEN, HIDDEN);
  for (size_t i = 0; i < tensor_count; i++)
    for (int how = 0; how < 4; how++) {
      const cdl_stored_tensor kept = tensors[i];
      if (how == 0)
        tensors[i].shape[0] += 1;
      if (how == 1)
        tensors[i].shape[1] += 1;
      if (how == 2)
        tensors[i].shape[tensors[i].rank++] = 1;
      if (how == 3)
        tensors[i].type = CDL_STORED_I32;
      if (how != 1 || kept.rank == 2) {
        model_checkpoint *checkpoint;
        expect_failure(write_and_open("bert", &checkpoint), CDL_STATUS_DATA, "model.safetensors");
        ck_assert_msg(strstr(cdl_error_message(), kept.name) != NULL, "%s", cdl_error_message());
      }
      tensors[i] = kept;
    }
  model_checkpoint *checkpoint;
  expect_ok(write_and_open("bert", &checkpoint));
  float staging[VALUES];
  const void *viewed;
  expect_failure(
      model_checkpoint_view(checkpoint, query, 2, (const int64_t[]){HIDDEN, 3}, staging, &viewed),
      CDL_STATUS_DATA, "shape [4, 4], expected [4, 3]");
  expect_failure(
      model_checkpoint_view(checkpoint, "nothing", 1, (const int64_t[]){4}, staging, &viewed),
      CDL_STATUS_DATA, "nothing");
  model_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(refuses_incomplete_folders)
{
  model_checkpoint *checkpoint;
  make_body("", "weight", "bias");
  expect_ok(write_and_open("bert", &checkpoint));
  model_checkpoint_close(checkpoint);
  unlink(scratch_path("model.safetensors"));
  expect_failure(model_checkpoint_open(scratch_folder, NULL, &checkpoint), CDL_STATUS_ABSENT,
                 "model.safetensors");
  unlink(scratch_path("config.json"));
  expect_failure(model_checkpoint_open(scratch_folder, NULL, &checkpoint), CDL_STATUS_ABSENT,
                 "config.json");
  expect_failure(model_checkpoint_open(scratch_path("none"), NULL, &checkpoint), CDL_STATUS_ABSENT,
                 "none");
}
END_TEST

START_TEST(a_fingerprint_tells_bases_apart)
{
  model_checkpoint *checkpoint;
  make_body("", "weight", "bias");
  expect_ok(write_and_open("bert", &checkpoint));
  const uint64_t before = model_checkpoint_fingerprint(checkpoint);
  ck_assert(before == model_checkpoint_fingerprint(checkpoint));
  model_checkpoint_close(checkpoint);
  for (size_t i = 0; i < tensor_count; i++) {
    values[i][0] += 1;
    expect_ok(write_and_open("bert", &checkpoint));
    ck_assert(before != model_checkpoint_fingerprint(checkpoint));
    model_checkpoint_close(checkpoint);
    values[i][0] -= 1;
  }
  add_pair("", "pooler.dense", "weight", "bias", HIDDEN, HIDDEN);
  add_pair("", "classifier", "weight", "bias", 3, HIDDEN);
  expect_ok(write_and_open("bert", &checkpoint));
  ck_assert(before == model_checkpoint_fingerprint(checkpoint));
  model_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(full_names)
{
  const struct {
    model_family family;
    const char *name, *full;
  } cases[] = {
      {MODEL_FAMILY_BERT, "pooler.dense.bias", "bert.pooler.dense.bias"},
      {MODEL_FAMILY_BERT, "classifier.weight", "classifier.weight"},
      {MODEL_FAMILY_ROBERTA, "classifier.dense.weight", "classifier.dense.weight"},
      {MODEL_FAMILY_DISTILBERT, "pre_classifier.bias", "pre_classifier.bias"},
      {MODEL_FAMILY_XLM_ROBERTA, query, "roberta.encoder.layer.1.attention.self.query.weight"},
      {MODEL_FAMILY_ROBERTA, query, "roberta.encoder.layer.1.attention.self.query.weight"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char *full = model_checkpoint_full_name(cases[i].family, cases[i].name);
    ck_assert_str_eq(full, cases[i].full);
    free(full);
  }
}
END_TEST

START_TEST(survives_any_bytes)
{
  model_checkpoint *checkpoint;
  make_body("bert.", "weight", "bias");
  expect_ok(write_and_open("bert", &checkpoint));
  model_checkpoint_close(checkpoint);
  size_t size;
  uint8_t *content = scratch_get(scratch_path("model.safetensors"), &size);
  uint64_t header;
  memcpy(&header, content, 8);
  uint64_t random = 88172645463325252u;
  for (int round = 0; round < 3000; round++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const size_t at = (random >> 33) % (8 + header);
    const uint8_t kept = content[at];
    content[at] ^= (uint8_t)(1 + (random >> 25) % 255);
    scratch_put(scratch_path("model.safetensors"), content, size);
    const cdl_status status = model_checkpoint_open(scratch_folder, NULL, &checkpoint);
    if (status == CDL_STATUS_OK)
      model_checkpoint_close(checkpoint);
    else
      expect_failure(status, CDL_STATUS_DATA, scratch_folder);
    content[at] = kept;
  }
  free(content);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      bodies_open_with_and_without_prefix,
      bert_head_and_pooler,
      roberta_head,
      known_extras_are_ignored,
      refuses_unknown_tensors,
      what_lies_outside_the_encoder_is_left_out,
      a_damaged_head_is_no_damaged_encoder,
      refuses_two_names_for_one,
      refuses_missing_tensors,
      refuses_other_shapes_and_types,
      refuses_incomplete_folders,
      a_fingerprint_tells_bases_apart,
      full_names,
      survives_any_bytes,
      NULL,
  };
  return scratch_run("checkpoint", tests);
}
