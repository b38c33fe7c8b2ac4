/* eval, predict, tokenize, inspect, backends: against what PyTorch, Transformers and PEFT wrote
 * into the parity cases, and against one another. */
#include <math.h>

#include "condlora/safetensors.h"
#include "tests/programs/program.h"

/* ---- A case's truth ---- */

typedef struct {
  const char *folder, *columns;
  const char *model, *adapter; /* `adapter` NULL: a whole model */
  json_t *settings;
  cdl_safetensors *expected;
} parity_case;

static parity_case open_case(const char *name)
{
  parity_case c = {.folder = name, .model = case_file(name, "model")};
  c.settings = parsed(read_text(case_file(name, "case.json")));
  const json_t *columns = json_object_get(c.settings, "text_columns");
  const char *first = json_string_value(json_array_get(columns, 0)),
             *second = json_string_value(json_array_get(columns, 1));
  c.columns = second != NULL ? text_of("%s,%s", first, second) : first;
  if (exists(case_file(name, "adapter")))
    c.adapter = case_file(name, "adapter");
  ck_assert_int_eq(cdl_safetensors_open(case_file(name, "expected.safetensors"), &c.expected),
                   CDL_STATUS_OK);
  return c;
}

static const cdl_stored_tensor *tensor_of(const parity_case *c, const char *name)
{
  const cdl_stored_tensor *t = cdl_safetensors_find(c->expected, name);
  ck_assert_msg(t != NULL, "%s: no %s", c->folder, name);
  return t;
}

/* One element; data may be unaligned. */
static int32_t whole_at(const cdl_stored_tensor *t, size_t index)
{
  int32_t value;
  memcpy(&value, (const char *)t->data + index * sizeof value, sizeof value);
  return value;
}

static float real_at(const cdl_stored_tensor *t, size_t index)
{
  float value;
  memcpy(&value, (const char *)t->data + index * sizeof value, sizeof value);
  return value;
}

static const char *max_length_of(const parity_case *c)
{
  return text_of("%d", (int)number_at(c->settings, "max_length"));
}

/* Line `index` of JSON lines. */
static json_t *line_of(const char *lines, size_t index)
{
  for (; index > 0; index--)
    lines = strchr(lines, '\n') + 1;
  char *line = strndup(lines, (size_t)(strchr(lines, '\n') - lines));
  json_t *object = parsed(line);
  free(line);
  return object;
}

static const char *const cases[] = {"bert-bitfit",
                                    "bert-condlora-lengths",
                                    "bert-condlora-paper",
                                    "bert-condlora-regression",
                                    "bert-condlora-truncated",
                                    "bert-condlora-weighted",
                                    "bert-full",
                                    "bert-lora",
                                    "bert-lora-biases",
                                    "bert-lora-layers",
                                    "bert-lora-pattern",
                                    "bert-lora-pissa",
                                    "bert-lora-pooler",
                                    "bert-condlora-fresh-pooler",
                                    "roberta-condlora-dense",
                                    "roberta-condlora-reference",
                                    "roberta-full",
                                    "roberta-lora-linear",
                                    "roberta-lora-olora",
                                    "roberta-lora-ranks",
                                    "roberta-none",
                                    "distilbert-condlora-reference",
                                    "electra-condlora-paper",
                                    "mpnet-condlora-paper",
                                    "mpnet-full",
                                    "mpnet-lora",
                                    "xlm-roberta-condlora-regression",
                                    "xlm-roberta-lora"};
enum { CASES = sizeof cases / sizeof cases[0] };

START_TEST(tokens_are_those_of_transformers)
{
  const parity_case c = open_case(cases[_i]);
  const outcome o = RUN("tokenize", "--model", c.model, "--input", case_file(c.folder, "train.tsv"),
                        "--text-columns", c.columns, "--max-length", max_length_of(&c));
  check_done(o);
  const cdl_stored_tensor *offsets = tensor_of(&c, "data.offsets"),
                          *ids = tensor_of(&c, "data.input_ids"),
                          *types = tensor_of(&c, "data.token_type_ids");
  const size_t rows = (size_t)offsets->shape[0] - 1;
  ck_assert_uint_eq(count_lines(o.out), rows);
  for (size_t i = 0; i < rows; i++) {
    json_t *line = line_of(o.out, i), *got = json_object_get(line, "input_ids"),
           *got_types = json_object_get(line, "token_type_ids");
    const size_t first = (size_t)whole_at(offsets, i), end = (size_t)whole_at(offsets, i + 1);
    ck_assert_uint_eq((size_t)number_at(line, "index"), i);
    ck_assert_uint_eq(json_array_size(got), end - first);
    ck_assert_uint_eq(json_array_size(got_types), end - first);
    for (size_t k = first; k < end; k++) {
      ck_assert_int_eq(json_integer_value(json_array_get(got, k - first)), whole_at(ids, k));
      ck_assert_int_eq(json_integer_value(json_array_get(got_types, k - first)),
                       whole_at(types, k));
    }
  }
  cdl_safetensors_close(c.expected);
}
END_TEST

START_TEST(predictions_are_those_of_pytorch)
{
  const parity_case c = open_case(cases[_i]);
  const char *arguments[20] = {"predict",
                               "--model",
                               c.model,
                               "--input",
                               case_file(c.folder, "train.tsv"),
                               "--text-columns",
                               c.columns,
                               "--max-length",
                               max_length_of(&c)};
  if (c.adapter != NULL) {
    arguments[9] = "--adapter";
    arguments[10] = c.adapter;
  }
  const outcome o = program_run(NULL, arguments);
  check_done(o);
  const cdl_stored_tensor *logits = tensor_of(&c, "logits");
  const size_t batch = (size_t)logits->shape[0], labels = (size_t)logits->shape[1];
  const bool regression =
      strcmp(json_string_value(json_object_get(c.settings, "task")), "regression") == 0;
  for (size_t i = 0; i < batch; i++) {
    json_t *line = line_of(o.out, i), *got = json_object_get(line, "logits");
    ck_assert_uint_eq(json_array_size(got), labels);
    double sum = 0;
    for (size_t k = 0; k < labels; k++) {
      const double y = (double)real_at(logits, i * labels + k),
                   x = json_number_value(json_array_get(got, k));
      ck_assert_msg(fabs(x - y) <= 5e-6 * fmax(1, fabs(y)), "%s: row %zu: %.9g, PyTorch has %.9g",
                    c.folder, i, x, y);
      sum += exp(x);
    }
    if (regression) {
      ck_assert_double_eq(number_at(line, "prediction"), json_number_value(json_array_get(got, 0)));
      ck_assert_ptr_null(json_object_get(line, "probabilities"));
      continue;
    }
    for (size_t k = 0; k < labels; k++)
      ck_assert_double_eq_tol(
          json_number_value(json_array_get(json_object_get(line, "probabilities"), k)),
          exp(json_number_value(json_array_get(got, k))) / sum, 1e-7);
    ck_assert(json_is_string(json_object_get(line, "prediction")));
  }
  cdl_safetensors_close(c.expected);
}
END_TEST

/* ---- Against one another ---- */

#define ROWS "--input", case_file("bert-condlora-paper", "train.tsv"), "--text-columns", "sentence1"

/* A key of one object has the value that it has in another. */
static void check_same_figures(const json_t *one, const json_t *other)
{
  static const char *const keys[] = {"loss", "accuracy", "f1", "mcc", "confusion"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
    ck_assert_msg(json_equal(json_object_get(one, keys[i]), json_object_get(other, keys[i])), "%s",
                  keys[i]);
}

START_TEST(eval_compares_two_precisions)
{
  const char *adapter = trained_adapter();
#define EVAL "eval", TRAINED, ROWS, "--label-column", "label", "--backend", "cpu"
  const outcome both = RUN(EVAL, "--precision", "int8", "--compare", "fp32"),
                narrow = RUN(EVAL, "--precision", "int8"), wide = RUN(EVAL);
  check_done(both);
  json_t *figures = parsed(both.out), *compared = json_object_get(figures, "compared");
  check_same_figures(figures, parsed(narrow.out));
  check_same_figures(compared, parsed(wide.out));
  ck_assert_str_eq(json_string_value(json_object_get(figures, "precision")), "int8");
  ck_assert_str_eq(json_string_value(json_object_get(compared, "precision")), "fp32");
  ck_assert(number_at(figures, "examples_per_s") > 0 && number_at(compared, "examples_per_s") > 0);
  ck_assert_double_gt(number_at(compared, "largest_logit_difference"), 0);
  /* Each example with another answer is one right answer more or less, or none in its class. */
  const double examples = number_at(figures, "examples"),
               moved = fabs(number_at(figures, "accuracy") - number_at(compared, "accuracy"));
  ck_assert_double_le(moved * examples, number_at(compared, "changed_answers") + 1e-9);
  ck_assert_ptr_null(json_object_get(parsed(wide.out), "examples_per_s"));
  check_refused(RUN(EVAL, "--compare", "fp32"), 2, "--compare fp32 is the --precision itself");
  check_refused(RUN(EVAL, "--compare", "fp12"), 1, "fp12");
  check_refused(RUN("eval", TRAINED, "--input", "-", "--text-columns", "sentence1",
                    "--label-column", "label", "--compare", "bf16"),
                2, "--compare reads the examples twice");
}
END_TEST

START_TEST(eval_counts_what_predict_says)
{
  const char *adapter = trained_adapter(), *file = scratch("predictions.jsonl");
  const outcome measured = RUN("eval", TRAINED, ROWS, "--label-column", "label");
  check_done(measured);
  check_done(RUN("predict", TRAINED, ROWS, "--label-column", "label", "--output", file));
  const char *predictions = read_text(file),
             *rows = strchr(read_text(case_file("bert-condlora-paper", "train.tsv")), '\n') + 1;
  const size_t count = count_lines(predictions);
  size_t hits = 0, confusion[2][2] = {{0}};
  for (size_t i = 0; i < count; i++) {
    const char *said = json_string_value(json_object_get(line_of(predictions, i), "prediction"));
    const char *truth = strchr(rows, '\t') + 1;
    const size_t n = strcspn(truth, "\n");
    const bool hit = strlen(said) == n && memcmp(said, truth, n) == 0;
    hits += hit;
    confusion[memcmp(truth, "yes", 3) == 0][strcmp(said, "yes") == 0]++;
    rows = truth + n + 1;
  }
  json_t *figures = parsed(measured.out);
  ck_assert_double_eq_tol(number_at(figures, "accuracy"), (double)hits / (double)count, 1e-12);
  ck_assert_uint_eq((size_t)number_at(figures, "examples"), count);
  for (size_t t = 0; t < 2; t++)
    for (size_t p = 0; p < 2; p++)
      ck_assert_int_eq(json_integer_value(json_array_get(
                           json_array_get(json_object_get(figures, "confusion"), t), p)),
                       (json_int_t)confusion[t][p]);
  /* What training measured with the adapter that it kept. */
  json_t *dev = json_object_get(parsed(read_text(scratch("out/metrics.json"))), "dev");
  static const char *const same[] = {"accuracy", "loss", "macro_f1", "mcc"};
  for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
    ck_assert_double_eq_tol(number_at(dev, same[i]), number_at(figures, same[i]), 1e-9);
}
END_TEST

/* Of many classes the figures stay a page: those with most examples, and the commonest mistakes,
 * which are counted here from what predict says. */
START_TEST(many_classes_are_not_squared)
{
  enum { CLASSES = 90, ROWS_EACH = 2, SHOWN = 64 };
  const char *rows = scratch("rows.tsv"), *out = scratch("out"), *file = scratch("said.jsonl"),
             *adapter = joined(out, "adapter");
  char *text = calloc(CLASSES * (ROWS_EACH + 1), 32);
  ck_assert_ptr_nonnull(text);
  char *to = text + sprintf(text, "sentence1\tlabel\n");
  for (int i = 0; i < CLASSES * ROWS_EACH + 30; i++) /* the last 30 classes have one more */
    to += sprintf(to, "lamp %d\t%d\n", i,
                  i < CLASSES * ROWS_EACH ? i % CLASSES : i - CLASSES * 2 + 60);
  write_text(rows, text);
  free(text);
  check_done(RUN("train", "--model", case_file("bert-condlora-paper", "model"), "--train", rows,
                 "--text-columns", "sentence1", "--label-column", "label", "--lr", "0.02",
                 "--epochs", "1", "--output", out));
  const outcome measured = RUN("eval", TRAINED, "--input", rows, "--text-columns", "sentence1",
                               "--label-column", "label");
  check_done(measured);
  check_done(
      RUN("predict", TRAINED, "--input", rows, "--text-columns", "sentence1", "--output", file));
  static int mistakes[CLASSES][CLASSES];
  memset(mistakes, 0, sizeof mistakes);
  const char *predictions = read_text(file), *line = strchr(read_text(rows), '\n') + 1;
  int largest = 0;
  for (size_t i = 0; i < count_lines(predictions); i++, line = strchr(line, '\n') + 1) {
    const int said =
                  atoi(json_string_value(json_object_get(line_of(predictions, i), "prediction"))),
              truth = atoi(strchr(line, '\t') + 1);
    if (said != truth && ++mistakes[truth][said] > largest)
      largest = mistakes[truth][said];
  }

  json_t *figures = parsed(measured.out), *per_class = json_object_get(figures, "per_class"),
         *confused = json_object_get(figures, "confused");
  ck_assert_double_eq(number_at(figures, "classes"), CLASSES);
  ck_assert_ptr_null(json_object_get(figures, "confusion"));
  ck_assert_uint_eq(json_object_size(per_class), SHOWN);
  ck_assert_double_eq(number_at(json_object_get(per_class, "89"), "support"), ROWS_EACH + 1);
  ck_assert_double_eq(number_at(json_object_get(per_class, "0"), "support"), ROWS_EACH);
  ck_assert_ptr_null(json_object_get(per_class, "59"));
  ck_assert(json_array_size(confused) > 0 && json_array_size(confused) <= SHOWN);
  ck_assert_double_eq(number_at(json_array_get(confused, 0), "examples"), largest);
  double before = largest;
  for (size_t i = 0; i < json_array_size(confused); i++) {
    json_t *entry = json_array_get(confused, i);
    const int truth = atoi(json_string_value(json_object_get(entry, "label"))),
              said = atoi(json_string_value(json_object_get(entry, "prediction")));
    ck_assert_double_eq(number_at(entry, "examples"), mistakes[truth][said]);
    ck_assert(number_at(entry, "examples") <= before);
    before = number_at(entry, "examples");
  }
  ck_assert_ptr_nonnull(json_object_get(
      json_object_get(parsed(read_text(joined(out, "metrics.json"))), "valid"), "confused"));
}
END_TEST

START_TEST(a_line_of_text_is_enough)
{
  const char *adapter = trained_adapter();
  const outcome o = RUN_WITH("The tiny cello sings (again)\nThe naïve ticket melts\n", "predict",
                             TRAINED, "--input", "-");
  check_done(o);
  ck_assert_uint_eq(count_lines(o.out), 2);
  const char *file = scratch("same.tsv");
  write_text(file, "text\nThe tiny cello sings (again)\nThe naïve ticket melts\n");
  ck_assert_str_eq(RUN("predict", TRAINED, "--input", file, "--text-columns", "text").out, o.out);
  ck_assert_str_eq(
      RUN_WITH(
          "{\"text\": \"The tiny cello sings (again)\"}\n{\"text\": \"The naïve ticket melts\"}\n",
          "predict", TRAINED, "--input", "-", "--text-columns", "text")
          .out,
      o.out);
  check_refused(RUN_WITH("", "predict", TRAINED, "--input", "-"), 1, "empty");
  check_refused(RUN_WITH("one\ta\ttwo\n", "predict", TRAINED, "--input", "-"), 1,
                ":1:", "3 fields");
  check_ended(RUN_WITH("one\ntwo\tthree\n", "predict", TRAINED, "--input", "-"), 1, ":2:");
}
END_TEST

START_TEST(pairs_are_told_by_a_tab)
{
  const parity_case c = open_case("bert-condlora-truncated");
  cdl_safetensors_close(c.expected);
  const outcome o = RUN_WITH("The warm stone\tThe naïve harbour answers\n", "predict", "--model",
                             c.model, "--adapter", c.adapter, "--max-length", "17", "--input", "-");
  check_done(o);
  const char *file = scratch("pair.csv");
  write_text(file, "a,b\nThe warm stone,The naïve harbour answers\n");
  ck_assert_str_eq(RUN("predict", "--model", c.model, "--adapter", c.adapter, "--max-length", "17",
                       "--input", file, "--text-columns", "a,b")
                       .out,
                   o.out);
}
END_TEST

/* What is a table to train and eval is one to predict: its columns are those of training, or it is
 * refused with the list of what it has. */
START_TEST(tables_are_read_by_the_columns_of_training)
{
  const char *adapter = trained_adapter();
  static const struct {
    const char *name, *text;
  } tables[] = {{"a.csv", "label,sentence1\nyes,\"The lamp, it sings\"\nno,The stone\n"},
                {"a.CSV", "label,sentence1\nyes,\"The lamp, it sings\"\nno,The stone\n"},
                {"a.tsv", "sentence1\tlabel\nThe lamp, it sings\tyes\nThe stone\tno\n"},
                {"a.jsonl", "{\"label\": \"yes\", \"sentence1\": \"The lamp, it sings\"}\n"
                            "{\"sentence1\": \"The stone\", \"label\": \"no\"}\n"},
                {"a.Ndjson", "{\"label\": \"yes\", \"sentence1\": \"The lamp, it sings\"}\n"
                             "{\"sentence1\": \"The stone\", \"label\": \"no\"}\n"}};
  const char *lines = "The lamp, it sings\nThe stone\n";
  write_text(scratch("a.txt"), lines);
  const outcome wanted = RUN("predict", TRAINED, "--input", scratch("a.txt"));
  check_done(wanted);
  ck_assert_uint_eq(count_lines(wanted.out), 2);
  ck_assert_str_eq(RUN_WITH(lines, "predict", TRAINED, "--input", "-").out, wanted.out);
  for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
    const char *file = scratch(tables[i].name);
    write_text(file, tables[i].text);
    ck_assert_str_eq(RUN("predict", TRAINED, "--input", file).out, wanted.out);
    const outcome measured = RUN("eval", TRAINED, "--input", file);
    check_done(measured);
    ck_assert_double_eq(number_at(parsed(measured.out), "examples"), 2);
    check_refused(
        RUN("tokenize", "--model", case_file("bert-condlora-paper", "model"), "--input", file), 2,
        tables[i].name, "--text-columns", "'sentence1'", "'label'");
  }
  ck_assert_str_eq(RUN_WITH(tables[3].text, "predict", TRAINED, "--input", "-").out, wanted.out);

  write_text(scratch("b.csv"), "body,label\nThe lamp,yes\n");
  check_refused(RUN("predict", TRAINED, "--input", scratch("b.csv")), 1, "b.csv:1", "'sentence1'",
                "'body', 'label'", "--text-columns");
  write_text(scratch("b.jsonl"), "{\"body\": \"The lamp\"}\n");
  check_refused(RUN("predict", TRAINED, "--input", scratch("b.jsonl")), 1, "b.jsonl:1",
                "'sentence1'", "'body'");
  check_refused(RUN("eval", TRAINED, "--input", scratch("a.csv"), "--label-column", "kind"), 1,
                "'kind'", "'label', 'sentence1'");
  /* Nor is raw JSON, a header or an unknown kind of file ever a text. */
  check_refused(RUN_WITH("{\"body\": \"The lamp\"}\n", "predict", TRAINED, "--input", "-"), 1,
                "standard input:1", "'body'");
  check_refused(RUN_WITH("[{\"sentence1\": \"The lamp\"}]\n", "predict", TRAINED, "--input", "-"),
                1, "array");
  check_refused(RUN_WITH("sentence1,label\nThe lamp,yes\n", "predict", TRAINED, "--input", "-"), 1,
                "header");
  write_text(scratch("a.json"), tables[3].text);
  check_refused(RUN("predict", TRAINED, "--input", scratch("a.json")), 2, "a.json", ".jsonl");
  check_refused(RUN_WITH("The lamp\tThe stone\n", "predict", TRAINED, "--input", "-"), 1, "pairs",
                "'sentence1'");

  /* An adapter of another program's does not say what it was trained on. */
  const char *config = joined(adapter, "adapter_config.json");
  json_t *object = parsed(read_text(config));
  ck_assert_int_eq(json_object_del(object, "text_columns"), 0);
  ck_assert_int_eq(json_object_del(object, "label_column"), 0);
  ck_assert_int_eq(json_dump_file(object, config, 0), 0);
  check_refused(RUN("predict", TRAINED, "--input", scratch("a.csv")), 2, "--text-columns",
                "'label', 'sentence1'");
  check_refused(RUN("eval", TRAINED, "--input", scratch("a.csv"), "--text-columns", "sentence1"), 2,
                "--label-column", "'label', 'sentence1'");
  ck_assert_str_eq(
      RUN("predict", TRAINED, "--input", scratch("a.csv"), "--text-columns", "sentence1").out,
      wanted.out);
}
END_TEST

/* "1.5" in column `column` of line `line`, from 0. */
static const char *cell(const char *table, size_t line, size_t column, char separator)
{
  for (; line > 0; line--)
    table = strchr(table, '\n') + 1;
  for (; column > 0; column--)
    table = strchr(table, separator) + 1;
  const char ends[] = {separator, '\n', '\0'};
  return text_of("%.*s", (int)strcspn(table, ends), table);
}

START_TEST(answers_have_a_form_for_everyone)
{
  const char *adapter = trained_adapter(), *input = "the cold bread moves\nit sings\n";
  const outcome lines = RUN_WITH(input, "predict", TRAINED, "--input", "-"),
                top = RUN_WITH(input, "predict", TRAINED, "--input", "-", "--top", "9"),
                csv = RUN_WITH(input, "predict", TRAINED, "--input", "-", "--format", "csv"),
                tsv =
                    RUN_WITH(input, "predict", TRAINED, "--input", "-", "--format=tsv", "--top=1"),
                table = RUN_WITH(input, "predict", TRAINED, "--input", "-", "--format", "table");
  check_done(lines);
  ck_assert_uint_eq(count_lines(csv.out), 3);
  ck_assert_ptr_eq(strstr(csv.out, "index,prediction,no,yes\n"), csv.out);
  ck_assert_ptr_eq(strstr(tsv.out, "index\tprediction\tlabel_1\tscore_1\n"), tsv.out);
  for (size_t i = 0; i < 2; i++) {
    const json_t *line = line_of(lines.out, i), *same = line_of(top.out, i),
                 *list = json_object_get(same, "top"), *p = json_object_get(line, "probabilities");
    const char *best = json_string_value(json_object_get(line, "prediction"));
    const bool yes = strcmp(best, "yes") == 0;
    ck_assert(json_equal(p, json_object_get(same, "probabilities")));
    ck_assert_uint_eq(json_array_size(list), 2);
    for (size_t k = 0; k < 2; k++) {
      const json_t *entry = json_array_get(list, k);
      ck_assert_str_eq(json_string_value(json_object_get(entry, "label")),
                       yes == (k == 0) ? "yes" : "no");
      ck_assert(json_equal(json_object_get(entry, "score"), json_array_get(p, yes == (k == 0))));
    }
    ck_assert_str_eq(cell(csv.out, i + 1, 0, ','), text_of("%zu", i));
    ck_assert_str_eq(cell(csv.out, i + 1, 1, ','), best);
    ck_assert(strtod(cell(csv.out, i + 1, 3, ','), NULL) ==
              json_number_value(json_array_get(p, 1)));
    ck_assert_str_eq(cell(tsv.out, i + 1, 2, '\t'), best);
    ck_assert_ptr_nonnull(strstr(table.out, best));
  }
  ck_assert_ptr_nonnull(strstr(table.out, "the cold bread moves\n"));
  ck_assert_ptr_nonnull(strstr(table.out, " %"));
  check_refused(RUN_WITH(input, "predict", TRAINED, "--input", "-", "--format", "xml"), 2, "csv");
}
END_TEST

START_TEST(an_adapter_knows_its_base)
{
  const char *adapter = trained_adapter(), *run = scratch("out"),
             *input = "the cold bread moves\nit sings\n";
  const outcome named = RUN_WITH(input, "predict", TRAINED, "--input", "-");
  const char *const folders[] = {adapter, run};
  for (size_t i = 0; i < 2; i++) {
    const outcome o = RUN_WITH(input, "predict", "--adapter", folders[i], "--input", "-");
    check_done(o);
    ck_assert_str_eq(o.out, named.out);
  }
  check_refused(RUN_WITH(input, "predict", "--input", "-"), 2, "--adapter", "--model");
}
END_TEST

START_TEST(threads_do_not_change_predictions)
{
  const char *adapter = trained_adapter();
  ck_assert_str_eq(RUN("predict", TRAINED, ROWS, "--threads", "1").out,
                   RUN("predict", TRAINED, ROWS, "--threads", "2").out);
}
END_TEST

START_TEST(labels_are_checked_where_they_are)
{
  const char *adapter = trained_adapter(), *file = scratch("rows.tsv");
  write_text(file, "sentence1\tlabel\nThe lamp\tyes\nThe stone\tperhaps\n");
  check_ended(RUN("predict", TRAINED, "--input", file, "--text-columns", "sentence1",
                  "--label-column", "label"),
              1, "rows.tsv:3", "perhaps", "'no', 'yes'");
  check_done(RUN("predict", TRAINED, "--input", file, "--text-columns", "sentence1"));
  check_done(RUN("predict", TRAINED, "--input", file, "--text-columns", "sentence1",
                 "--label-column", "none"));
  check_refused(RUN("eval", TRAINED, "--input", file, "--text-columns", "sentence1",
                    "--label-column", "none"),
                1, "rows.tsv", "none");
}
END_TEST

static const char *rte_folder(void)
{
  mkdir(scratch("glue"), 0700);
  mkdir(scratch("glue/RTE"), 0700);
  char text[8192] = "index\tsentence1\tsentence2\tlabel\n";
  for (int i = 0; i < 40; i++) {
    char row[128];
    snprintf(row, sizeof row, "%d\tThe lamp %s\tThe %s sings\t%s\n", i,
             i % 3 == 0 ? "melts" : "answers", i % 2 == 0 ? "lamp" : "stone",
             i % 2 == 0 ? "entailment" : "not_entailment");
    strcat(text, row);
  }
  write_text(scratch("glue/RTE/train.tsv"), text);
  write_text(scratch("glue/RTE/dev.tsv"),
             "index\tsentence1\tsentence2\tlabel\n0\tThe lamp melts\tThe lamp sings\tentailment\n"
             "1\tThe lamp melts\tThe stone sings\tnot_entailment\n");
  write_text(scratch("glue/RTE/test.tsv"),
             "index\tsentence1\tsentence2\n0\tThe lamp melts\tThe lamp sings\n"
             "1\tThe lamp melts\tThe stone sings\n2\tThe lamp\tThe stone\n");
  return scratch("glue");
}

/* What was held out is found again from the adapter alone, whatever the run's fraction, seed and
 * split. */
START_TEST(a_plan_counts_the_labels)
{
  const char *data = rte_folder(), *model = case_file("bert-condlora-truncated", "model");
  const outcome o = RUN("train", "--model", model, "--task", "rte", "--data", data,
                        "--dev-fraction", "0.2", "--dry-run");
  check_done(o);
  const char *head = strstr(o.out, "labels                train    valid      dev\n");
  ck_assert_ptr_nonnull(head);
  int counts[2][3];
  ck_assert_int_eq(sscanf(strchr(head, '\n'), " entailment %d %d %d not_entailment %d %d %d",
                          &counts[0][0], &counts[0][1], &counts[0][2], &counts[1][0], &counts[1][1],
                          &counts[1][2]),
                   6);
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(counts[i][0] + counts[i][1], 20);
    ck_assert_int_eq(counts[i][1], 4);
    ck_assert_int_eq(counts[i][2], 1);
  }
}
END_TEST

START_TEST(the_valid_split_is_the_one_that_was_held_out)
{
  const char *data = rte_folder(), *model = case_file("bert-condlora-truncated", "model");
#define RTE "--model", model, "--task", "rte", "--data", data
  static const char *const runs[][2] = {
      {"--seed", "7"}, {"--seed-data", "7"}, {"--compat", "reference"}};
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
    const char *out = scratch(text_of("run%zu", i)), *adapter = joined(out, "adapter");
    check_done(RUN("train", RTE, runs[i][0], runs[i][1], "--dev-fraction", "0.3", "--epochs", "1",
                   "--lr", "0.02", "--output", out));
    json_t *trained = json_object_get(parsed(read_text(joined(out, "metrics.json"))), "valid");
    const outcome o = RUN("eval", RTE, "--adapter", adapter, "--split", "valid");
    check_done(o);
    json_t *figures = parsed(o.out);
    ck_assert_double_eq(number_at(figures, "examples"), number_at(trained, "examples"));
    ck_assert_double_eq_tol(number_at(figures, "loss"), number_at(trained, "loss"), 1e-9);
    const outcome other =
        RUN("eval", RTE, "--adapter", adapter, "--split", "valid", "--dev-fraction", "0.1");
    ck_assert_int_eq(other.exit, 0);
    ck_assert_ptr_nonnull(strstr(other.err, "training held out 0.3"));
  }
#undef RTE
}
END_TEST

START_TEST(an_adapter_that_records_no_split_held_out_the_reference_s)
{
  const char *data = rte_folder(), *model = case_file("roberta-condlora-dense", "model"),
             *out = scratch("run"), *adapter = joined(out, "adapter"),
             *config = joined(adapter, "adapter_config.json");
#define RTE "--model", model, "--task", "rte", "--data", data
  check_done(RUN("train", RTE, "--compat", "reference", "--fresh-head", "--epochs", "1", "--lr",
                 "0.02", "--output", out));
  json_t *trained = json_object_get(parsed(read_text(joined(out, "metrics.json"))), "valid");
  json_t *object = parsed(read_text(config));
  ck_assert_int_eq(json_object_del(object, "held_out"), 0);
  json_object_del(object, "types_zero"); /* of no effect: RoBERTa has one type */
  ck_assert_int_eq(json_dump_file(object, config, 0), 0);
  const outcome o = RUN("eval", RTE, "--adapter", adapter, "--split", "valid");
  check_done(o);
  ck_assert_double_eq_tol(number_at(parsed(o.out), "loss"), number_at(trained, "loss"), 1e-9);
#undef RTE
}
END_TEST

START_TEST(a_glue_task_from_training_to_its_submission)
{
  const char *data = rte_folder(), *model = case_file("bert-condlora-truncated", "model"),
             *out = scratch("out"), *adapter = joined(out, "adapter"), *file = scratch("RTE.tsv");
#define RTE "--model", model, "--task", "rte", "--data", data
  check_done(
      RUN("train", RTE, "--epochs", "3", "--batch-size", "4", "--lr", "0.02", "--output", out));
  json_t *trained = parsed(read_text(joined(out, "metrics.json")));
  static const char *const splits[] = {"valid", "dev"};
  for (size_t i = 0; i < 2; i++) {
    const outcome o = RUN("eval", RTE, "--adapter", adapter, "--split", splits[i]);
    check_done(o);
    json_t *figures = parsed(o.out);
    ck_assert_str_eq(json_string_value(json_object_get(figures, "split")), splits[i]);
    ck_assert_double_eq_tol(number_at(figures, "accuracy"),
                            number_at(json_object_get(trained, splits[i]), "accuracy"), 1e-12);
    ck_assert_double_eq_tol(number_at(figures, "loss"),
                            number_at(json_object_get(trained, splits[i]), "loss"), 1e-9);
    ck_assert_double_eq(number_at(figures, "examples"), i == 0 ? 4 : 2);
  }
  check_refused(RUN("eval", RTE, "--adapter", adapter, "--split", "test"), 1, "test.tsv", "labels");
  check_refused(RUN("eval", RTE, "--adapter", adapter, "--split", "tset"), 2, "tset");

  check_done(RUN("predict", RTE, "--adapter", adapter, "--split", "test", "--format", "glue",
                 "--output", file));
  const outcome lines = RUN("predict", RTE, "--adapter", adapter, "--split", "test");
  char wanted[512] = "index\tprediction\n";
  for (size_t i = 0; i < 3; i++) {
    char row[64];
    snprintf(row, sizeof row, "%zu\t%s\n", i,
             json_string_value(json_object_get(line_of(lines.out, i), "prediction")));
    strcat(wanted, row);
  }
  ck_assert_str_eq(read_text(file), wanted);
  check_refused(
      RUN("eval", "--model", model, "--task", "MNLI", "--data", data, "--adapter", adapter), 1,
      "MNLI", "3", "2");
  check_refused(
      RUN("eval", "--model", model, "--task", "STS-B", "--data", data, "--adapter", adapter), 1,
      "STS-B", "regression");
#undef RTE
}
END_TEST

START_TEST(a_whole_model_needs_no_adapter)
{
  const char *out = scratch("out");
  check_done(RUN("train", "--model", case_file("roberta-full", "model"), "--train",
                 case_file("roberta-full", "train.tsv"), "--dev",
                 case_file("roberta-full", "train.tsv"), "--text-columns", "sentence1",
                 "--label-column", "label", "--method", "full", "--epochs", "2", "--batch-size",
                 "8", "--output", out));
  const outcome o = RUN("eval", "--model", joined(out, "model"), "--input",
                        case_file("roberta-full", "train.tsv"), "--text-columns", "sentence1",
                        "--label-column", "label");
  check_done(o);
  json_t *dev = json_object_get(parsed(read_text(joined(out, "metrics.json"))), "dev");
  ck_assert_double_eq_tol(number_at(parsed(o.out), "loss"), number_at(dev, "loss"), 1e-9);
  /* Its config.json says what it was trained on. */
  ck_assert_str_eq(RUN("eval", "--model", joined(out, "model"), "--input",
                       case_file("roberta-full", "train.tsv"))
                       .out,
                   o.out);
  ck_assert_ptr_nonnull(json_object_get(json_object_get(parsed(o.out), "per_class"), "c"));
}
END_TEST

/* ---- Looking ---- */

START_TEST(an_adapter_remembers_that_its_tokens_had_one_type)
{
  const char *model = case_file("bert-condlora-regression", "model");
#define PAIRS                                                                                  \
  case_file("bert-condlora-regression", "train.tsv"), "--text-columns", "sentence1,sentence2", \
      "--label-column", json_string_value(json_object_get(settings, "label_column"))
  json_t *settings = parsed(read_text(case_file("bert-condlora-regression", "case.json")));
  check_done(RUN("train", "--model", model, "--train", PAIRS, "--dev",
                 case_file("bert-condlora-regression", "train.tsv"), "--regression", "--compat",
                 "reference", "--max-steps", "3", "--output", scratch("out")));
  json_t *metrics = parsed(read_text(scratch("out/metrics.json")));
  const double trained = number_at(json_object_get(metrics, "dev"), "loss");
  const outcome o =
      RUN("eval", "--model", model, "--adapter", scratch("out/adapter"), "--input", PAIRS);
  check_done(o);
  ck_assert_double_eq_tol(number_at(parsed(o.out), "loss"), trained, 1e-6 * fabs(trained));

  /* The types would have mattered. */
  const char *config = scratch("out/adapter/adapter_config.json");
  json_t *object = parsed(read_text(config));
  ck_assert_int_eq(json_object_del(object, "types_zero"), 0);
  ck_assert_int_eq(json_dump_file(object, config, 0), 0);
  const outcome with_types =
      RUN("eval", "--model", model, "--adapter", scratch("out/adapter"), "--input", PAIRS);
  check_done(with_types);
  ck_assert_double_gt(fabs(number_at(parsed(with_types.out), "loss") - trained),
                      1e-4 * fabs(trained));
#undef PAIRS
}
END_TEST

START_TEST(inspect_tells_modules_and_counts)
{
  const char *model = case_file("bert-condlora-paper", "model");
  outcome o = RUN("inspect", model);
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.out, "bert.encoder.layer.*.attention.self.query"));
  o = RUN("inspect", "--json", model);
  check_done(o);
  json_t *facts = parsed(o.out);
  ck_assert_int_eq((int)number_at(facts, "layers"), 3);
  ck_assert_int_eq((int)number_at(facts, "hidden_size"), 36);
  /* Six layers a block and the pooler. */
  ck_assert_uint_eq(json_array_size(json_object_get(facts, "targets")), 3 * 6 + 1);
  const int block = 4 * (36 * 36 + 36) + 2 * 2 * 36 + (36 * 37 + 37) + (36 * 37 + 36),
            embeddings = (64 + 2 + 71) * 36 + 2 * 36, pooler = 36 * 36 + 36;
  ck_assert_int_eq((int)number_at(json_object_get(facts, "parameters"), "body"),
                   3 * block + embeddings + pooler);

  const char *adapter = trained_adapter();
  facts = parsed(RUN("inspect", adapter, "--json").out);
  ck_assert_str_eq(json_string_value(json_object_get(facts, "type")), "CONDLORA");
  ck_assert_int_eq((int)number_at(json_object_get(facts, "parameters"), "adapter"),
                   2 * 8 * (36 + 36));
  ck_assert_int_eq((int)number_at(json_object_get(facts, "parameters"), "head"), 2 * 36 + 2);
  o = RUN("inspect", adapter);
  ck_assert_ptr_nonnull(strstr(o.out, "condlora_A.weight"));
  ck_assert_ptr_nonnull(strstr(o.out, "no, yes"));
  check_refused(RUN("inspect", scratch("nowhere")), 1, "nowhere");
}
END_TEST

/* One table of distances serves all blocks, and the first two positions no token. */
START_TEST(inspect_tells_the_table_of_distances)
{
  const outcome o = RUN("inspect", "--json", case_file("mpnet-condlora-paper", "model"));
  check_done(o);
  json_t *facts = parsed(o.out);
  ck_assert_str_eq(json_string_value(json_object_get(facts, "family")), "mpnet");
  ck_assert_int_eq((int)number_at(facts, "max_tokens"), 67 - 2);
  ck_assert_uint_eq(json_array_size(json_object_get(facts, "targets")), 3 * 6);
  const int block = 4 * (30 * 30 + 30) + 2 * 2 * 30 + (30 * 37 + 37) + (30 * 37 + 30),
            embeddings = (67 + 71) * 30 + 2 * 30, distances = 32 * 5;
  ck_assert_int_eq((int)number_at(json_object_get(facts, "parameters"), "body"),
                   3 * block + embeddings + distances);
}
END_TEST

START_TEST(backends_says_what_is_here_and_why_not)
{
  outcome o = RUN("backends");
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.out, "\ncpu "));
  ck_assert_ptr_nonnull(strstr(o.out, "vector set "));
  ck_assert_ptr_nonnull(strstr(o.out, "decompositions by "));
  ck_assert_ptr_null(strstr(o.out, "not taken"));
  ck_assert_ptr_null(strstr(o.out, "searched"));
  o = RUN("backends", "--why", "--json");
  check_done(o);
  json_t *facts = parsed(o.out), *backend;
  size_t i, usable = 0;
  ck_assert(json_object_get(facts, "condlora") != NULL &&
            json_object_get(facts, "processor") != NULL);
  json_array_foreach(json_object_get(facts, "backends"), i, backend)
  {
    const bool is_usable = json_is_true(json_object_get(backend, "usable"));
    usable += is_usable;
    ck_assert(is_usable == (json_object_get(backend, "reason") == NULL));
  }
  ck_assert_uint_ge(usable, 1);
  ck_assert_uint_ge(json_array_size(json_object_get(facts, "searched")), 2);
  const char *library =
      json_string_value(json_object_get(json_object_get(facts, "decompositions"), "library"));
  ck_assert_ptr_nonnull(library);
  ck_assert_ptr_nonnull(strstr(library, "OpenBLAS "));
  setenv("CDL_OPENBLAS", "/nowhere", 1);
  o = RUN("backends", "--why");
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.out, "\nLAPACK      not here: "));
  ck_assert_ptr_nonnull(strstr(o.out, "/nowhere is not loaded"));
  unsetenv("CDL_OPENBLAS");
}
END_TEST

/* Each file found, each folder searched; a build's own plug-ins with nothing set. */
START_TEST(backends_why_names_every_candidate)
{
  const char *first = scratch("first"), *second = scratch("second"), *none = scratch("none");
  ck_assert(mkdir(first, 0755) == 0 && mkdir(second, 0755) == 0);
  write_text(joined(first, "condlora-broken.so"), "not a library\n");
  write_text(joined(second, "condlora-broken.so"), "another\n");
  write_text(joined(second, "condlora-cpu.so"), "the CPU is built in\n");
  write_text(joined(second, "other.so"), "no candidate\n");
  setenv("CDL_BACKEND_PATH", text_of("%s:%s:%s:relative", first, second, none), 1);
  const outcome o = RUN("backends", "--why");
  unsetenv("CDL_BACKEND_PATH");
  check_done(o);
  const char *const lines[] = {
      text_of("\nbroken      not taken: %s/condlora-broken.so: cannot be loaded: ", first),
      text_of("\nbroken      not taken: %s/condlora-broken.so comes first\n", first),
      text_of("\n            %s/condlora-broken.so\n", second),
      "\ncpu         not taken: cpu is built in\n",
      "\nnull        a template without ops\n",
      "/backends/null/condlora-null.so\n",
      text_of("\nsearched    %s\nsearched    %s\nskipped     %s: no such folder\n", first, second,
              none),
      "\nskipped     relative: not an absolute path\n",
      "/backends/null\n"};
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
    ck_assert_msg(strstr(o.out, lines[i]) != NULL, "no '%s' in\n%s", lines[i], o.out);
  ck_assert_ptr_null(strstr(o.out, "other.so"));
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("inference");
  TCase *parity = tcase_create("parity");
  tcase_add_checked_fixture(parity, program_setup, program_teardown);
  tcase_set_timeout(parity, 120);
  tcase_add_loop_test(parity, tokens_are_those_of_transformers, 0, CASES);
  tcase_add_loop_test(parity, predictions_are_those_of_pytorch, 0, CASES);
  suite_add_tcase(suite, parity);
  CASE(suite, eval_compares_two_precisions);
  CASE(suite, eval_counts_what_predict_says);
  CASE(suite, many_classes_are_not_squared);
  CASE(suite, a_line_of_text_is_enough);
  CASE(suite, pairs_are_told_by_a_tab);
  CASE(suite, tables_are_read_by_the_columns_of_training);
  CASE(suite, answers_have_a_form_for_everyone);
  CASE(suite, an_adapter_knows_its_base);
  CASE(suite, threads_do_not_change_predictions);
  CASE(suite, labels_are_checked_where_they_are);
  CASE(suite, a_glue_task_from_training_to_its_submission);
  CASE(suite, a_plan_counts_the_labels);
  CASE(suite, the_valid_split_is_the_one_that_was_held_out);
  CASE(suite, an_adapter_that_records_no_split_held_out_the_reference_s);
  CASE(suite, a_whole_model_needs_no_adapter);
  CASE(suite, an_adapter_remembers_that_its_tokens_had_one_type);
  CASE(suite, inspect_tells_modules_and_counts);
  CASE(suite, inspect_tells_the_table_of_distances);
  CASE(suite, backends_says_what_is_here_and_why_not);
  CASE(suite, backends_why_names_every_candidate);
  return run_suite(suite);
}
