/* export and merge: what they write gives the logits of the adapter on its base, and what they
 * cannot write leaves nothing. tests/peers/foreign_files.py asks PEFT and Transformers. */
#include <errno.h>
#include <math.h>
#include <sys/resource.h>

#include "base/temporary.h"
#include "condlora/safetensors.h"
#include "tests/programs/program.h"

static const char *const cases[] = {"bert-adalora",
                                    "bert-condadalora",
                                    "bert-condlora-dora",
                                    "bert-condlora-paper",
                                    "bert-condlora-random",
                                    "bert-lora-biases",
                                    "bert-lora-dylora",
                                    "bert-shared",
                                    "bert-vera",
                                    "electra-condlora-paper",
                                    "mpnet-condlora-paper",
                                    "mpnet-lora-biases",
                                    "roberta-condlora-gates",
                                    "roberta-condlora-permuted",
                                    "roberta-condlora-type1",
                                    "roberta-condlora-reference",
                                    "roberta-lora-ranks",
                                    "roberta-lora-xs",
                                    "xlm-roberta-condlora-regression"};
enum { CASES = sizeof cases / sizeof cases[0] };

static outcome predict_at(const char *name, const char *model, const char *adapter,
                          const char *rank)
{
  json_t *settings = parsed(read_text(case_file(name, "case.json")));
  const json_t *columns = json_object_get(settings, "text_columns");
  const char *first = json_string_value(json_array_get(columns, 0)),
             *second = json_string_value(json_array_get(columns, 1));
  const char *arguments[14] = {"predict",
                               "--model",
                               model,
                               "--input",
                               case_file(name, "train.tsv"),
                               "--text-columns",
                               second != NULL ? text_of("%s,%s", first, second) : first};
  if (adapter != NULL) {
    arguments[7] = "--adapter";
    arguments[8] = adapter;
  }
  if (rank != NULL) {
    arguments[9] = "--rank";
    arguments[10] = rank;
  }
  const outcome o = program_run(NULL, arguments);
  check_done(o);
  return o;
}

static outcome predict(const char *name, const char *model, const char *adapter)
{
  return predict_at(name, model, adapter, NULL);
}

/* Whether two runs of predict give the same logits but for rounding, and the same labels. */
static void expect_same(const char *name, outcome left, outcome right)
{
  ck_assert_uint_eq(count_lines(left.out), count_lines(right.out));
  json_error_t error;
  const char *a = left.out, *b = right.out;
  for (; *a != '\0'; a = strchr(a, '\n') + 1, b = strchr(b, '\n') + 1) {
    json_t *x = json_loads(a, JSON_DISABLE_EOF_CHECK, &error),
           *y = json_loads(b, JSON_DISABLE_EOF_CHECK, &error);
    ck_assert(x != NULL && y != NULL);
    const json_t *p = json_object_get(x, "logits"), *q = json_object_get(y, "logits");
    ck_assert_uint_eq(json_array_size(p), json_array_size(q));
    for (size_t i = 0; i < json_array_size(p); i++) {
      const double u = json_number_value(json_array_get(p, i)),
                   v = json_number_value(json_array_get(q, i));
      ck_assert_msg(fabs(u - v) <= 1e-5 * fmax(1, fabs(u)), "%s: %.9g and %.9g", name, u, v);
    }
    const json_t *label = json_object_get(x, "prediction");
    ck_assert(!json_is_string(label) || json_equal(label, json_object_get(y, "prediction")));
    json_decref(x);
    json_decref(y);
  }
}

static const char *const of_tokenizer[] = {"tokenizer.json", "tokenizer_config.json",
                                           "vocab.json",     "merges.txt",
                                           "vocab.txt",      "sentencepiece.bpe.model"};

START_TEST(an_export_is_the_same_adapter_as_lora)
{
  const char *name = cases[_i], *model = case_file(name, "model"),
             *adapter = case_file(name, "adapter"), *out = scratch("deep/er/export");
  check_done(RUN("export", "--model", model, "--adapter", adapter, "--output", out));
  json_t *config = parsed(read_text(joined(out, "adapter_config.json")));
  ck_assert_str_eq(json_string_value(json_object_get(config, "peft_type")), "LORA");
  for (size_t i = 0; i < sizeof of_tokenizer / sizeof of_tokenizer[0]; i++)
    ck_assert_msg(exists(joined(out, of_tokenizer[i])) == exists(joined(model, of_tokenizer[i])),
                  "%s", of_tokenizer[i]);
  json_t *names = json_object_get(parsed(read_text(joined(out, "config.json"))), "id2label"),
         *labels = json_object_get(config, "labels");
  for (size_t i = 0; i < json_array_size(labels); i++)
    ck_assert(json_equal(json_object_get(names, text_of("%zu", i)), json_array_get(labels, i)));
  const char *card = read_text(joined(out, "README.md"));
  ck_assert_msg(strncmp(card, "---\n", 4) == 0 && strstr(card, "\nlibrary_name: peft\n") != NULL,
                "%s", card);
  expect_same(name, predict(name, model, adapter), predict(name, model, out));
}
END_TEST

/* What ONNX Runtime makes of it, tests/peers/onnx_export.py asks. Here: the folder serves alone,
 * and its weights are those that merge writes. */
START_TEST(an_onnx_folder_has_the_merged_weights)
{
  const char *name = cases[_i], *model = case_file(name, "model"),
             *adapter = case_file(name, "adapter"), *out = scratch("onnx"),
             *merged = scratch("merged"), *data;
  const outcome o =
      RUN("export", "--format", "onnx", "--model", model, "--adapter", adapter, "--output", out);
  check_done(o);
  ck_assert_uint_eq(count_lines(o.out), 1);
  check_done(RUN("merge", "--model", model, "--adapter", adapter, "--output", merged));
  ck_assert_str_eq(read_text(joined(out, "config.json")), read_text(joined(merged, "config.json")));
  ck_assert(exists(joined(out, "model.onnx")));
  const size_t bytes = read_bytes(joined(out, "model.onnx.data"), &data);
  cdl_safetensors *weights;
  ck_assert_int_eq(cdl_safetensors_open(merged, &weights), CDL_STATUS_OK);
  size_t found = 0, vectors = 0;
  for (size_t t = 0; t < cdl_safetensors_count(weights); t++) {
    const cdl_stored_tensor *tensor = cdl_safetensors_get(weights, t);
    if (tensor->rank != 1)
      continue;
    vectors++;
    for (size_t at = 0; at + tensor->bytes <= bytes; at += 4096)
      if (memcmp(data + at, tensor->data, tensor->bytes) == 0) {
        found++;
        break;
      }
  }
  ck_assert(vectors > 0);
  ck_assert_uint_eq(found, vectors);
  cdl_safetensors_close(weights);
}
END_TEST

START_TEST(a_merged_model_is_adapter_and_base)
{
  const char *name = cases[_i], *model = case_file(name, "model"),
             *adapter = case_file(name, "adapter"), *out = scratch("merged");
  const outcome o = RUN("merge", "--model", model, "--adapter", adapter, "--output", out);
  check_done(o);
  ck_assert_uint_eq(count_lines(o.out), 1);
  ck_assert_ptr_nonnull(strstr(o.out, "largest change of a logit"));
  expect_same(name, predict(name, model, adapter), predict(name, out, NULL));
  /* Once more, to the last byte. */
  const char *again = scratch("again"), *first, *second;
  check_done(RUN("merge", "--model", model, "--adapter", adapter, "--output", again));
  const size_t bytes = read_bytes(joined(out, "model.safetensors"), &first);
  ck_assert_uint_eq(read_bytes(joined(again, "model.safetensors"), &second), bytes);
  ck_assert(memcmp(first, second, bytes) == 0);
}
END_TEST

START_TEST(a_lower_rank_of_dylora_is_written_alone)
{
  static const char *const names[] = {"bert-lora-dylora", "roberta-condlora-dylora"};
  for (int i = 0; i < 2; i++) {
    const char *name = names[i], *model = case_file(name, "model"),
               *adapter = case_file(name, "adapter"), *lora = scratch(text_of("lora-%d", i)),
               *merged = scratch(text_of("merged-%d", i));
    check_done(
        RUN("export", "--model", model, "--adapter", adapter, "--rank", "2", "--output", lora));
    check_done(
        RUN("merge", "--model", model, "--adapter", adapter, "--rank", "2", "--output", merged));
    ck_assert_int_eq((int)number_at(parsed(read_text(joined(lora, "adapter_config.json"))), "r"),
                     2);
    const outcome low = predict_at(name, model, adapter, "2");
    ck_assert_str_ne(low.out, predict(name, model, adapter).out);
    expect_same(name, low, predict(name, model, lora));
    expect_same(name, low, predict(name, merged, NULL));
  }
}
END_TEST

/* Merged weights are rounded once: an F16 or BF16 is the nearest to the float32 sum. */
START_TEST(a_merged_model_has_the_types_of_its_base)
{
  static const struct {
    const char *name;
    cdl_stored_type type;
    bool adds; /* B is not zero */
  } narrow[] = {{"roberta-condlora-cosine", CDL_STORED_BF16, false},
                {"bert-condlora-restarts", CDL_STORED_F16, true}};
  for (int i = 0; i < 2; i++) {
    const char *model = case_file(narrow[i].name, "model"), *out = scratch(narrow[i].name);
    cdl_safetensors *before, *after;
    check_done(RUN("merge", "--model", model, "--adapter", case_file(narrow[i].name, "adapter"),
                   "--output", out));
    ck_assert_int_eq(cdl_safetensors_open(model, &before), CDL_STATUS_OK);
    ck_assert_int_eq(cdl_safetensors_open(out, &after), CDL_STATUS_OK);
    size_t equal = 0, changed = 0;
    for (size_t t = 0; t < cdl_safetensors_count(after); t++) {
      const cdl_stored_tensor *new = cdl_safetensors_get(after, t),
                              *old = cdl_safetensors_find(before, new->name);
      ck_assert_int_eq(new->type, old != NULL ? narrow[i].type : CDL_STORED_F32);
      if (old == NULL)
        continue;
      const bool same = memcmp(old->data, new->data, old->bytes) == 0;
      const bool adapted =
          strstr(new->name, "query.weight") != NULL || strstr(new->name, "value.weight") != NULL;
      const bool touched = strstr(new->name, "classifier") != NULL || (adapted && narrow[i].adds);
      ck_assert_msg(same != touched, "%s", new->name);
      equal += same;
      changed += touched;
    }
    ck_assert(equal > 0 && changed > 0);
    cdl_safetensors_close(before);
    cdl_safetensors_close(after);
  }
}
END_TEST

/* ---- What cannot be done ---- */

static const char *const commands[][3] = {{"export"}, {"merge"}, {"export", "--format", "onnx"}};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

/* The command of the loop with what is given. */
#define RUN_COMMAND(i, ...)                                                             \
  (commands[i][1] != NULL                                                               \
       ? RUN(commands[i][0], commands[i][1], commands[i][2] __VA_OPT__(, ) __VA_ARGS__) \
       : RUN(commands[i][0] __VA_OPT__(, ) __VA_ARGS__))

static void expect_nothing(const char *out)
{
  ck_assert(!exists(out));
  ck_assert_msg(strstr(listed(scratch("")), ".tmp-") == NULL, "left:\n%s", listed(scratch("")));
}

START_TEST(wrong_usage_and_wrong_inputs_are_one_line)
{
  const char *command = commands[_i][0], *model = case_file("bert-lora", "model"),
             *adapter = case_file("bert-lora", "adapter"), *out = scratch("out"),
             *full = scratch("full");
  check_refused(RUN_COMMAND(_i, NULL), 2, command, "--adapter");
  if (commands[_i][1] == NULL)
    check_refused(RUN_COMMAND(_i, "--model", model), 2, "--adapter");
  check_refused(RUN_COMMAND(_i, "--model", model, "--adapter", adapter), 2, "--output");
  mkdir(full, 0700);
  check_refused(RUN_COMMAND(_i, "--model", model, "--adapter", adapter, "--output", full), 1, full,
                "exists already");
  ck_assert_str_eq(listed(full), "");
  check_refused(RUN_COMMAND(_i, "--model", case_file("roberta-full", "model"), "--adapter", adapter,
                            "--output", out),
                1, "adapter");
  check_refused(RUN_COMMAND(_i, "--model", case_file("roberta-condlora-type2", "model"),
                            "--adapter", case_file("roberta-condlora-type2", "adapter"), "--output",
                            out),
                1, "type2");
  expect_nothing(out);
}
END_TEST

START_TEST(an_export_wants_a_and_b)
{
  const char *out = scratch("out");
  static const char *const others[][2] = {{"bert-bitfit", "bitfit"},
                                          {"roberta-none", "none"},
                                          {"bert-lora-pissa", "init_lora_weights"}};
  for (int i = 0; i < 3; i++)
    check_refused(RUN("export", "--model", case_file(others[i][0], "model"), "--adapter",
                      case_file(others[i][0], "adapter"), "--output", out),
                  1, others[i][1]);
  check_refused(RUN("export", "--model", case_file("bert-lora", "model"), "--adapter",
                    case_file("bert-lora", "adapter"), "--output", out, "--format", "gguf"),
                2, "--format");
  expect_nothing(out);
}
END_TEST

START_TEST(a_disk_that_is_full_leaves_nothing)
{
  struct rlimit before;
  const char *out = scratch("out");
  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
  const struct rlimit small = {.rlim_cur = 6000, .rlim_max = before.rlim_max};
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
  const outcome o =
      RUN_COMMAND(_i, "--model", case_file("roberta-lora-linear", "model"), "--adapter",
                  case_file("roberta-lora-linear", "adapter"), "--output", out);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
  check_refused(o, 1, strerror(EFBIG));
  expect_nothing(out);
}
END_TEST

/* ---- What is there already ---- */

static outcome run_well(int i, const char *out)
{
  return RUN_COMMAND(i, "--model", case_file("roberta-lora-linear", "model"), "--adapter",
                     case_file("roberta-lora-linear", "adapter"), "--output", out);
}

/* As a command leaves it that is killed; another may have had another model. */
START_TEST(what_a_killed_command_left_is_not_used)
{
  const char *out = scratch("out");
  char *left;
  int descriptor;
  ck_assert(base_temporary_folder(out, &left, &descriptor));
  close(descriptor);
  write_text(joined(left, "tokenizer.json"), "{\"of\": \"another model\"}");
  write_text(joined(left, "adapter_model.safetensors.tmp-z9y8x7"), "half");
  check_done(run_well(_i, out));
  expect_nothing(scratch("nothing"));
  ck_assert(!exists(joined(out, "adapter_model.safetensors.tmp-z9y8x7")));
  free(left);
  if (exists(joined(out, "tokenizer.json"))) {
    const char *bytes;
    read_bytes(joined(out, "tokenizer.json"), &bytes);
    ck_assert_ptr_null(strstr(bytes, "another model"));
  }
}
END_TEST

START_TEST(the_same_again_is_the_same)
{
  const char *out = scratch("out"), *config = joined(out, "config.json"), *before, *after;
  if (!strcmp(commands[_i][0], "export") && commands[_i][1] == NULL)
    config = joined(out, "adapter_config.json");
  check_done(run_well(_i, out));
  const char *files = listed(out);
  const size_t bytes = read_bytes(config, &before);
  check_done(run_well(_i, out));
  ck_assert_str_eq(listed(out), files);
  ck_assert_uint_eq(read_bytes(config, &after), bytes);
  ck_assert_mem_eq(before, after, bytes);

  write_text(config, "{}");
  check_refused(run_well(_i, out), 1, out, "exists already");
  ck_assert_uint_eq(read_bytes(config, &after), 2);
  write_text(joined(out, "letter.txt"), "dear all");
  check_refused(run_well(_i, out), 1, out, "exists already");
  ck_assert(exists(joined(out, "letter.txt")));
  ck_assert_ptr_null(strstr(listed(scratch("")), ".tmp-"));
}
END_TEST

START_TEST(a_link_is_no_new_folder)
{
  const char *out = scratch("out");
  ck_assert_int_eq(mkdir(scratch("elsewhere"), 0700), 0);
  ck_assert_int_eq(symlink("elsewhere", out), 0);
  check_refused(run_well(_i, out), 1, out, "exists already");
  ck_assert_str_eq(listed(scratch("elsewhere")), "");
}
END_TEST

/* ---- Files of torch.save ---- */

START_TEST(a_pickle_that_would_run_something_is_refused)
{
  const char *model = copied_folder(case_file("bert-full", "model"), "model"),
             *weights = joined(model, "model.safetensors");
  ck_assert_int_eq(remove(weights), 0);
  write_text(joined(model, "pytorch_model.bin"), "PK\3\4 and nothing more");
  check_refused(RUN("inspect", model), 1, "pytorch_model.bin", "zip archive");
  write_text(joined(model, "pytorch_model.bin"), "cos\nsystem\n(S'true'\ntR.");
  check_refused(RUN("inspect", model), 1, "pytorch_model.bin", "torch.save");
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("export");
  TCase *each = tcase_create("cases");
  tcase_add_checked_fixture(each, program_setup, program_teardown);
  tcase_set_timeout(each, 120);
  tcase_add_loop_test(each, an_export_is_the_same_adapter_as_lora, 0, CASES);
  tcase_add_loop_test(each, an_onnx_folder_has_the_merged_weights, 0, CASES);
  tcase_add_loop_test(each, a_merged_model_is_adapter_and_base, 0, CASES);
  tcase_add_loop_test(each, wrong_usage_and_wrong_inputs_are_one_line, 0, COMMANDS);
  tcase_add_loop_test(each, a_disk_that_is_full_leaves_nothing, 0, COMMANDS);
  tcase_add_loop_test(each, what_a_killed_command_left_is_not_used, 0, COMMANDS);
  tcase_add_loop_test(each, the_same_again_is_the_same, 0, COMMANDS);
  tcase_add_loop_test(each, a_link_is_no_new_folder, 0, COMMANDS);
  suite_add_tcase(suite, each);
  CASE(suite, a_lower_rank_of_dylora_is_written_alone);
  CASE(suite, a_merged_model_has_the_types_of_its_base);
  CASE(suite, an_export_wants_a_and_b);
  CASE(suite, a_pickle_that_would_run_something_is_refused);
  return run_suite(suite);
}
