/* Input that is broken, cut, lying or not there: exit status 1, one line that names it, nothing
 * left behind. */
#include <errno.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "tests/programs/program.h"

static const char *good_model(void)
{
  return case_file("bert-condlora-paper", "model");
}

static const char *good_rows(void)
{
  return case_file("bert-condlora-paper", "train.tsv");
}

/* Training with these must fail, naming every one of the texts, and leave no output folder. */
#define check_no_training(model, rows, columns, ...)                                             \
  do {                                                                                           \
    check_refused(RUN("train", "--model", model, "--train", rows, "--text-columns", columns,     \
                      "--label-column", "label", "--batch-size", "4", "--max-steps", "3",        \
                      "--output", scratch("out")),                                               \
                  1, __VA_ARGS__);                                                               \
    ck_assert_msg(!exists(scratch("out")), "an output folder with\n%s", listed(scratch("out"))); \
  } while (0)

/* ---- Rows ---- */

START_TEST(rows_that_are_not_whole)
{
  static const struct {
    const char *name, *text, *where, *what;
  } files[] = {
      {"column.tsv", "other\tlabel\na\tb\nc\td\n", "column.tsv:1", "sentence1"},
      {"twice.tsv", "sentence1\tsentence1\tlabel\na\ta\tb\nc\tc\td\n", "twice.tsv:1", "sentence1"},
      {"short.tsv", "sentence1\tlabel\na\tno\nb\n", "short.tsv:3", "field"},
      {"long.tsv", "sentence1\tlabel\na\tno\nb\tyes\tmore\n", "long.tsv:3", "field"},
      {"empty.tsv", "", "empty.tsv", "empty"},
      {"header.tsv", "sentence1\tlabel\n", "header.tsv", "no rows"},
      {"hole.tsv", "sentence1\tlabel\na\tno\n\nb\tyes\n", "hole.tsv:3", "empty"},
      {"label.tsv", "sentence1\tlabel\na\tno\nb\t\n", "label.tsv:3", "label"},
      {"one.tsv", "sentence1\tlabel\na\tno\nb\tno\n", "one.tsv", "'no'"},
      {"utf8.tsv", "sentence1\tlabel\na\tno\nb\xff\xfe\tyes\n", "utf8.tsv:3", "0xff"},
      {"surrogate.tsv", "sentence1\tlabel\na\tno\n\xed\xa0\x80\tyes\n", "surrogate.tsv:3", "UTF-8"},
      {"quote.csv", "sentence1,label\na,no\n\"b,yes\n", "quote.csv:3", "quote"},
      {"stray.csv", "sentence1,label\na,no\nb\"b,yes\n", "stray.csv:3", "quotes"},
      {"cut.jsonl", "{\"sentence1\": \"a\", \"label\": \"no\"}\n{\"sentence1\": \"b\"\n",
       "cut.jsonl:2", "JSON"},
      {"field.jsonl", "{\"sentence1\": \"a\", \"label\": \"no\"}\n{\"label\": \"yes\"}\n",
       "field.jsonl:2", "sentence1"},
      {"list.jsonl", "{\"sentence1\": [\"a\"], \"label\": \"no\"}\n", "list.jsonl:1", "sentence1"}};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    const char *path = scratch(files[i].name);
    write_text(path, files[i].text);
    check_no_training(good_model(), path, "sentence1", files[i].where, files[i].what);
  }
  static const char nul[] = "sentence1\tlabel\na\tno\nb\0b\tyes\n";
  write_bytes(scratch("nul.tsv"), nul, sizeof nul - 1);
  check_no_training(good_model(), scratch("nul.tsv"), "sentence1", "nul.tsv:3", "NUL");
  check_no_training(good_model(), scratch("nowhere.tsv"), "sentence1", "nowhere.tsv");
  mkdir(scratch("folder.tsv"), 0700);
  check_no_training(good_model(), scratch("folder.tsv"), "sentence1", "folder.tsv");
}
END_TEST

START_TEST(labels_and_numbers_that_are_none)
{
  const char *rows = scratch("rows.tsv"), *dev = scratch("dev.tsv");
  write_text(dev, "sentence1\tlabel\na\tno\nb\tmaybe\n");
#define TRAIN(...)                                                                                \
  RUN("train", "--model", good_model(), "--text-columns", "sentence1", "--label-column", "label", \
      "--output", scratch("out"), __VA_ARGS__)
  check_refused(TRAIN("--train", good_rows(), "--dev", dev), 1, "dev.tsv:3", "maybe",
                "'no', 'yes'");
  check_refused(TRAIN("--train", good_rows(), "--labels", "yes,perhaps"), 1, "train.tsv",
                "perhaps");
  check_refused(TRAIN("--train", good_rows(), "--labels", "yes,yes"), 2, "yes", "twice");
  check_refused(TRAIN("--train", good_rows(), "--labels", "yes"), 2, "label");
  check_refused(TRAIN("--train", good_rows(), "--labels", "yes,,no"), 2, "--labels");
  write_text(rows, "sentence1\tlabel\na\t1.5\nb\tnan\n");
  check_refused(TRAIN("--train", rows, "--regression"), 1, "rows.tsv:3", "nan");
  write_text(rows, "sentence1\tlabel\na\t1.5\nb\t1e400\n");
  check_refused(TRAIN("--train", rows, "--regression"), 1, "rows.tsv:3", "1e400");
  check_refused(
      TRAIN("--train", good_rows(), "--regression", "--class-weights", "balanced", "--dry-run"), 1,
      "train.tsv:2");
  write_text(scratch("rows.txt"), "sentence1\tlabel\na\tno\nb\tyes\n");
  check_refused(TRAIN("--train", scratch("rows.txt")), 2, "rows.txt", ".tsv");
  ck_assert(!exists(scratch("out")));
#undef TRAIN
}
END_TEST

START_TEST(tasks_that_are_not_there)
{
  check_refused(RUN("train", "--model", good_model(), "--task", "RTX", "--data", scratch(""),
                    "--output", scratch("out")),
                2, "RTX", "RTE");
  check_refused(RUN("train", "--model", good_model(), "--task", "RTE", "--data", scratch("glue"),
                    "--output", scratch("out")),
                1, "glue/RTE/train.tsv");
  ck_assert(!exists(scratch("out")));
}
END_TEST

/* ---- Models ---- */

/* A good model with one file of other bytes; `text` NULL: without the file. */
static const char *model_with(const char *file, const void *bytes, size_t count)
{
  static unsigned turn;
  const char *model = copied_folder(good_model(), text_of("model-%u", turn++)),
             *path = joined(model, file);
  if (bytes == NULL)
    ck_assert_int_eq(unlink(path), 0);
  else
    write_bytes(path, bytes, count);
  return model;
}

START_TEST(safetensors_that_lie)
{
  const char *bytes;
  const size_t count = read_bytes(joined(good_model(), "model.safetensors"), &bytes);
  const size_t cuts[] = {0, 4, 8, 100, count / 2, count - 1};
  for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++)
    check_no_training(model_with("model.safetensors", bytes, cuts[i]), good_rows(), "sentence1",
                      "model.safetensors");

  char *changed = malloc(count + 16);
  ck_assert_ptr_nonnull(changed);
  /* Bytes that no tensor claims. */
  memcpy(changed, bytes, count);
  memset(changed + count, 0, 16);
  check_no_training(model_with("model.safetensors", changed, count + 16), good_rows(), "sentence1",
                    "model.safetensors");
  /* A header of 2^60 bytes. */
  changed[7] = 0x10;
  check_no_training(model_with("model.safetensors", changed, count), good_rows(), "sentence1",
                    "model.safetensors");
  /* Another shape, another type, another name, overlapping data: the header's text is changed in
   * place. */
  static const struct {
    const char *from, *to;
  } edits[] = {{"\"shape\":[71,36]", "\"shape\":[36,71]"},
               {"\"dtype\":\"F32\"", "\"dtype\":\"I32\""},
               {"layer.2.output.dense.weight", "layer.3.output.dense.weight"},
               {"pooler.dense.bias", "pooler.dense.bios"},
               {"\"data_offsets\":[0,", "\"data_offsets\":[4,"}};
  for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
    memcpy(changed, bytes, count);
    char *at = memmem(changed, count, edits[i].from, strlen(edits[i].from));
    ck_assert_msg(at != NULL, "no %s in the header", edits[i].from);
    memcpy(at, edits[i].to, strlen(edits[i].to));
    check_no_training(model_with("model.safetensors", changed, count), good_rows(), "sentence1",
                      "model.safetensors");
  }
  free(changed);
  check_no_training(model_with("model.safetensors", NULL, 0), good_rows(), "sentence1", "model");
}
END_TEST

/* config.json with one key of another value. */
static const char *model_with_config(const char *key, json_t *value)
{
  json_t *config = parsed(read_text(joined(good_model(), "config.json")));
  json_object_set_new(config, key, value);
  char *text = json_dumps(config, 0);
  const char *model = model_with("config.json", text, strlen(text));
  free(text);
  return model;
}

START_TEST(configs_that_do_not_fit)
{
  static const char *const texts[] = {
      "", "{", "[]", "{\"model_type\": 3}", "{}", "{\"model_type\": \"bert\", \"model_type\": 1}"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    check_no_training(model_with("config.json", texts[i], strlen(texts[i])), good_rows(),
                      "sentence1", "config.json");
  check_no_training(model_with("config.json", NULL, 0), good_rows(), "sentence1", "config.json");
  check_no_training(model_with_config("model_type", json_string("gpt2")), good_rows(), "sentence1",
                    "config.json", "gpt2");
  check_no_training(model_with_config("hidden_act", json_string("maxout")), good_rows(),
                    "sentence1", "config.json", "maxout");
  check_no_training(model_with_config("num_attention_heads", json_integer(5)), good_rows(),
                    "sentence1", "config.json");
  check_no_training(model_with_config("num_attention_heads", json_integer(0)), good_rows(),
                    "sentence1", "config.json");
  check_no_training(model_with_config("hidden_size", json_integer(-36)), good_rows(), "sentence1",
                    "config.json");
  check_no_training(model_with_config("hidden_size", json_integer(INT64_MAX)), good_rows(),
                    "sentence1", "config.json");
  check_no_training(model_with_config("hidden_size", json_string("wide")), good_rows(), "sentence1",
                    "config.json");
  check_no_training(model_with_config("vocab_size", json_integer(70)), good_rows(), "sentence1",
                    "model.safetensors");
  check_no_training(model_with_config("num_hidden_layers", json_integer(4)), good_rows(),
                    "sentence1", "encoder.layer.3.");
  check_no_training(model_with_config("num_hidden_layers", json_integer(2)), good_rows(),
                    "sentence1", "encoder.layer.2.");
  check_no_training(model_with_config("layer_norm_eps", json_string("small")), good_rows(),
                    "sentence1", "config.json");
}
END_TEST

START_TEST(vocabularies_that_are_broken)
{
  const char *text = read_text(joined(good_model(), "tokenizer.json"));
  check_no_training(model_with("tokenizer.json", text, strlen(text) / 2), good_rows(), "sentence1",
                    "tokenizer.json");
  check_no_training(model_with("tokenizer.json", "{}", 2), good_rows(), "sentence1",
                    "tokenizer.json");
  check_no_training(model_with("tokenizer.json", "", 0), good_rows(), "sentence1",
                    "tokenizer.json");

  json_t *tokenizer = parsed(text);
  json_object_set_new(json_object_get(tokenizer, "model"), "type", json_string("Morphemes"));
  char *changed = json_dumps(tokenizer, 0);
  check_no_training(model_with("tokenizer.json", changed, strlen(changed)), good_rows(),
                    "sentence1", "tokenizer.json", "Morphemes");
  free(changed);
}
END_TEST

START_TEST(an_id_beyond_the_embeddings_is_named)
{
  json_t *tokenizer = parsed(read_text(joined(good_model(), "tokenizer.json")));
  json_object_set_new(json_object_get(json_object_get(tokenizer, "model"), "vocab"), "zebra",
                      json_integer(500));
  char *changed = json_dumps(tokenizer, 0);
  const char *model = model_with("tokenizer.json", changed, strlen(changed)),
             *rows = scratch("rows.tsv");
  free(changed);
  write_text(rows, "sentence1\tlabel\nthe lamp\tno\nzebra\tyes\nthe stone\tno\nthe cello\tyes\nthe "
                   "ticket\tno\nit\tyes\n");
  check_no_training(model, rows, "sentence1", "rows.tsv:3", "500");
  check_ended(RUN("predict", "--model", model, "--adapter",
                  case_file("bert-condlora-paper", "adapter"), "--input", rows, "--text-columns",
                  "sentence1"),
              1, "rows.tsv:3", "500");
}
END_TEST

START_TEST(lengths_beyond_the_positions_are_refused)
{
  check_refused(RUN("train", "--model", good_model(), "--train", good_rows(), "--text-columns",
                    "sentence1", "--label-column", "label", "--max-length", "65", "--output",
                    scratch("out")),
                2, "--max-length", "64");
  check_refused(RUN("tokenize", "--model", good_model(), "--input", good_rows(), "--text-columns",
                    "sentence1", "--max-length", "65"),
                2, "--max-length", "64");
  check_refused(RUN("train", "--model", good_model(), "--train", good_rows(), "--text-columns",
                    "sentence1", "--label-column", "label", "--max-length", "1", "--output",
                    scratch("out")),
                1, "special tokens");
}
END_TEST

/* ---- Adapters ---- */

#define PREDICT(adapter)                                                                      \
  RUN("predict", "--model", case_file("bert-lora", "model"), "--adapter", adapter, "--input", \
      case_file("bert-lora", "train.tsv"), "--text-columns", "sentence1")

static const char *adapter_with(const char *file, const void *bytes, size_t count)
{
  static unsigned turn;
  const char *adapter =
      copied_folder(case_file("bert-lora", "adapter"), text_of("adapter-%u", turn++));
  write_bytes(joined(adapter, file), bytes, count);
  return adapter;
}

START_TEST(adapters_that_do_not_fit)
{
  const char *bytes;
  const size_t count =
      read_bytes(case_file("bert-lora", "adapter/adapter_model.safetensors"), &bytes);
  check_done(PREDICT(adapter_with("README.md", "", 0)));
  check_refused(PREDICT(adapter_with("adapter_model.safetensors", bytes, count - 3)), 1,
                "adapter_model.safetensors");
  check_refused(PREDICT(adapter_with("adapter_model.safetensors", "", 0)), 1,
                "adapter_model.safetensors");
  check_refused(PREDICT(adapter_with("adapter_config.json", "{", 1)), 1, "adapter_config.json");
  check_refused(PREDICT(adapter_with("adapter_config.json", "{}", 2)), 1, "adapter_config.json");
  check_refused(PREDICT(scratch("nowhere")), 1, "nowhere");

  static const struct {
    const char *key;
    int value;
  } edits[] = {{"r", 4},
               {"r", 0},
               {"task_type", -3},
               {"use_dora", -1},
               {"target_modules", -2},
               {"target_modules", -4},
               {"peft_type", -3}};
  for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
    json_t *config = parsed(read_text(case_file("bert-lora", "adapter/adapter_config.json")));
    json_object_set_new(config, edits[i].key,
                        edits[i].value == -1   ? json_true()
                        : edits[i].value == -2 ? json_pack("[s]", "key")
                        : edits[i].value == -3 ? json_string("IA3")
                        : edits[i].value == -4 ? json_string("(query")
                                               : json_integer(edits[i].value));
    char *text = json_dumps(config, 0);
    const outcome o = PREDICT(adapter_with("adapter_config.json", text, strlen(text)));
    free(text);
    ck_assert_msg(o.exit == 1, "%s %d: exit status %d: %s", edits[i].key, edits[i].value, o.exit,
                  o.err);
    check_refused(o, 1, "adapter");
  }
  /* Another model's. */
  check_refused(PREDICT(case_file("roberta-none", "adapter")), 1, "roberta-none");
  check_refused(PREDICT(case_file("bert-condlora-paper", "adapter")), 1, "bert-condlora-paper");
  /* A whole model without a head, and without an adapter. */
  check_refused(RUN("predict", "--model", good_model(), "--input", good_rows(), "--text-columns",
                    "sentence1"),
                1, good_model(), "head");
}
END_TEST

START_TEST(targets_that_match_nothing)
{
#define TARGETS(value)                                                                         \
  RUN("train", "--model", good_model(), "--train", good_rows(), "--text-columns", "sentence1", \
      "--label-column", "label", "--output", scratch("out"), "--targets", value)
  check_refused(TARGETS("querry"), 2, "querry", "query");
  check_refused(TARGETS("query,valeu"), 2, "valeu");
  check_refused(TARGETS("query,"), 2, "--targets");
  check_refused(TARGETS("layer[9].*"), 2, "layer[9].*");
  check_refused(TARGETS("(query"), 2, "(query");
  ck_assert(!exists(scratch("out")));
#undef TARGETS
}
END_TEST

/* ---- Places that cannot be written ---- */

START_TEST(a_full_disk_is_an_error_of_writing)
{
  if (!exists("/dev/full")) {
    puts("skipped: a_full_disk_is_an_error_of_writing: there is no /dev/full");
    return;
  }
  const outcome o =
      RUN("predict", "--model", case_file("bert-lora", "model"), "--adapter",
          case_file("bert-lora", "adapter"), "--input", case_file("bert-lora", "train.tsv"),
          "--text-columns", "sentence1", "--output", "/dev/full");
  check_refused(o, 1, "/dev/full", strerror(ENOSPC));
  check_refused(RUN("tokenize", "--model", good_model(), "--input", good_rows(), "--text-columns",
                    "sentence1", "--output", "/dev/full"),
                1, "/dev/full");
  ck_assert(exists("/dev/full"));
  /* Standard output itself. */
  const char *command = text_of("'%s' inspect '%s' >/dev/full 2>'%s'; echo $?",
                                getenv("CDL_PROGRAM"), good_model(), scratch("error"));
  FILE *shell = popen(command, "r");
  char status[16] = "";
  ck_assert_ptr_nonnull(fgets(status, sizeof status, shell));
  pclose(shell);
  ck_assert_str_eq(status, "1\n");
  ck_assert_ptr_nonnull(strstr(read_text(scratch("error")), "standard output"));
}
END_TEST

START_TEST(training_on_a_full_disk_leaves_nothing_half_written)
{
  const char *disk = scratch("disk"), *out = joined(disk, "out");
  mkdir(disk, 0700);
  if (mount("condlora-test", disk, "tmpfs", 0, "size=32k") != 0) {
    printf("skipped: training_on_a_full_disk_leaves_nothing_half_written: mounting a tmpfs: %s\n",
           strerror(errno));
    return;
  }
  const outcome o = RUN("train", "--model", good_model(), "--train", good_rows(), "--text-columns",
                        "sentence1", "--label-column", "label", "--rank", "32", "--batch-size", "4",
                        "--max-steps", "30", "--output", out);
  const char *left = exists(out) ? listed(out) : "";
  ck_assert_int_eq(umount(disk), 0);
  ck_assert_msg(o.exit == 1, "exit status %d: %s", o.exit, o.err);
  ck_assert_ptr_nonnull(strstr(o.err, strerror(ENOSPC)));
  ck_assert_ptr_nonnull(strstr(o.err, disk));
  ck_assert_msg(strstr(left, ".tmp") == NULL && strstr(left, "metrics.json") == NULL, "left:\n%s",
                left);
}
END_TEST

START_TEST(a_file_that_may_not_grow_is_an_error_of_writing)
{
  struct rlimit before;
  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
  const struct rlimit small = {.rlim_cur = 6000, .rlim_max = before.rlim_max};
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
  const char *out = scratch("out");
  const outcome o = RUN("train", "--model", good_model(), "--train", good_rows(), "--text-columns",
                        "sentence1", "--label-column", "label", "--rank", "32", "--batch-size", "4",
                        "--max-steps", "5", "--output", out);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
  ck_assert_msg(o.exit == 1, "exit status %d: %s", o.exit, o.err);
  ck_assert_ptr_nonnull(strstr(o.err, strerror(EFBIG)));
  ck_assert_ptr_null(strstr(listed(out), ".tmp"));
}
END_TEST

START_TEST(places_that_cannot_be_written)
{
  const char *file = scratch("file");
  write_text(file, "");
  check_refused(RUN("predict", "--model", case_file("bert-lora", "model"), "--adapter",
                    case_file("bert-lora", "adapter"), "--input",
                    case_file("bert-lora", "train.tsv"), "--text-columns", "sentence1", "--output",
                    scratch("no/such/folder.jsonl")),
                1, "no/such/folder.jsonl");
  check_refused(RUN("train", "--model", good_model(), "--train", good_rows(), "--text-columns",
                    "sentence1", "--label-column", "label", "--output", joined(file, "out")),
                1, file);
  if (geteuid() == 0) {
    puts("skipped: places_that_cannot_be_written: no permission: root may write anywhere");
    return;
  }
  const char *locked = scratch("locked"), *secret = scratch("secret.tsv");
  mkdir(locked, 0500);
  check_refused(RUN("train", "--model", good_model(), "--train", good_rows(), "--text-columns",
                    "sentence1", "--label-column", "label", "--output", joined(locked, "out")),
                1, "locked/out", strerror(EACCES));
  write_text(secret, "sentence1\tlabel\n");
  chmod(secret, 0);
  check_no_training(good_model(), secret, "sentence1", "secret.tsv", strerror(EACCES));
}
END_TEST

START_TEST(backends_that_are_not_here)
{
  check_refused(RUN("train", "--model", good_model(), "--train", good_rows(), "--text-columns",
                    "sentence1", "--label-column", "label", "--output", scratch("out"), "--backend",
                    "abacus"),
                1, "abacus");
  check_refused(RUN("eval", "--model", good_model(), "--input", good_rows(), "--text-columns",
                    "sentence1", "--label-column", "label", "--backend", "./nowhere.so"),
                1, "nowhere.so");
  check_refused(RUN("train", "--model", good_model(), "--train", good_rows(), "--text-columns",
                    "sentence1", "--label-column", "label", "--output", scratch("out"), "--backend",
                    "cpu", "--precision", "tf32"),
                1, "computes in fp32, bf16 and int8");
}
END_TEST

/* ---- What a terminal would obey ---- */

/* No control but the end of a line, no mark of bidirectional text. */
static void check_inert(outcome o)
{
  const char *const texts[] = {o.out, o.err};
  for (size_t i = 0; i < 2; i++)
    for (const unsigned char *c = (const unsigned char *)texts[i]; *c != '\0'; c++) {
      const bool control = (*c < 0x20 && *c != '\n') || *c == 0x7F,
                 c1 = c[0] == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0,
                 marks = (c[0] == 0xD8 && c[1] == 0x9C) ||
                         (c[0] == 0xE2 && c[1] == 0x80 &&
                          (c[2] == 0x8E || c[2] == 0x8F || (c[2] >= 0xA8 && c[2] <= 0xAE))) ||
                         (c[0] == 0xE2 && c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9);
      ck_assert_msg(!control && !c1 && !marks, "%02x %02x %02x in\n%s", c[0], c[1], c[2], texts[i]);
    }
}

#define HOSTILE      \
  "\x1b[31m\xc2\x9b" \
  "1m\xe2\x80\xae"   \
  "der\xd8\x9c\x7f"

START_TEST(nothing_from_a_file_is_obeyed)
{
  const char *rows = scratch("rows.csv"), *out = scratch("out" HOSTILE),
             *adapter = joined(out, "adapter");
  char text[4096] = "\"body" HOSTILE "\",label\n";
  for (int i = 0; i < 12; i++)
    strcat(text, i % 2 == 0 ? "the lamp,\"red" HOSTILE "\nx\"\n"
                            : "the stone,\"\xe2\x81\xa6"
                              "blue\"\n");
  write_text(rows, text);
#define ON(...) RUN(__VA_ARGS__, "--model", good_model())
  const outcome trained = ON("train", "--train", rows, "--text-columns", "body" HOSTILE,
                             "--label-column", "label", "--max-steps", "2", "--output", out);
  check_done(trained);
  check_inert(trained);
  const outcome answers[] = {
      ON("predict", "--adapter", adapter, "--input", rows),
      ON("eval", "--adapter", adapter, "--input", rows),
      RUN("inspect", adapter),
      RUN("inspect", adapter, "--json"),
      RUN("train", "--resume", "--output", out),
      ON("merge", "--adapter", adapter, "--output", scratch("merged" HOSTILE)),
      RUN("inspect", scratch("merged" HOSTILE))};
  for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
    check_done(answers[i]);
    check_inert(answers[i]);
  }
  json_t *first = parsed(text_of("%.*s", (int)strcspn(answers[0].out, "\n"), answers[0].out));
  const char *said = json_string_value(json_object_get(first, "prediction"));
  ck_assert(strcmp(said, "red" HOSTILE "\nx") == 0 || strcmp(said, "\xe2\x81\xa6"
                                                                   "blue") == 0);

  const outcome refused[] = {
      ON("eval", "--adapter", adapter, "--input", rows, "--label-column", "kind"),
      RUN("tokenize", "--model", good_model(), "--input", rows),
      RUN("inspect", scratch("none" HOSTILE)),
      RUN("train", "--" HOSTILE),
      RUN(HOSTILE),
      RUN_WITH("a\tb\t" HOSTILE "\n", "tokenize", "--model", good_model(), "--input", "-")};
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    ck_assert_int_ne(refused[i].exit, 0);
    ck_assert_uint_eq(count_lines(refused[i].err), 1);
    check_inert(refused[i]);
  }
  ck_assert_ptr_nonnull(strstr(refused[0].err, "'body\\x1b[31m\\u009b1m\\u202eder\\u061c\\x7f'"));
#undef ON
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("bad input");
  CASE(suite, rows_that_are_not_whole);
  CASE(suite, labels_and_numbers_that_are_none);
  CASE(suite, tasks_that_are_not_there);
  CASE(suite, safetensors_that_lie);
  CASE(suite, configs_that_do_not_fit);
  CASE(suite, vocabularies_that_are_broken);
  CASE(suite, an_id_beyond_the_embeddings_is_named);
  CASE(suite, lengths_beyond_the_positions_are_refused);
  CASE(suite, adapters_that_do_not_fit);
  CASE(suite, targets_that_match_nothing);
  CASE(suite, a_full_disk_is_an_error_of_writing);
  CASE(suite, training_on_a_full_disk_leaves_nothing_half_written);
  CASE(suite, a_file_that_may_not_grow_is_an_error_of_writing);
  CASE(suite, places_that_cannot_be_written);
  CASE(suite, backends_that_are_not_here);
  CASE(suite, nothing_from_a_file_is_obeyed);
  return run_suite(suite);
}
