/* condlora train: every method, the settings that change what is kept, recipes and configs. */
#include <math.h>

#include "tests/programs/program.h"

#define DATA(name)                                                                                \
  "--model", case_file(name, "model"), "--train", case_file(name, "train.tsv"), "--label-column", \
      "label"
#define SMALL "--batch-size", "4", "--max-steps", "6"

static const char *out_folder(const char *file)
{
  return joined(scratch("out"), file);
}

static json_t *metrics(void)
{
  return parsed(read_text(out_folder("metrics.json")));
}

/* Lines of train.jsonl, each an object. */
static size_t count_steps(void)
{
  const char *log = read_text(out_folder("train.jsonl"));
  return count_lines(log);
}

static double logged(size_t step, const char *key)
{
  const char *line = read_text(out_folder("train.jsonl"));
  for (size_t i = 1; i < step; i++)
    line = strchr(line, '\n') + 1;
  json_error_t error;
  json_t *object = json_loads(line, JSON_DISABLE_EOF_CHECK, &error);
  ck_assert_msg(object != NULL, "step %zu: %s", step, error.text);
  const double value = number_at(object, key);
  json_decref(object);
  return value;
}

START_TEST(every_method_leaves_a_run_and_a_table)
{
  static const struct {
    const char *method, *data, *columns, *keeps;
  } runs[] = {{"condlora", "bert-condlora-paper", "sentence1", "adapter"},
              {"lora", "roberta-lora-linear", "sentence1,sentence2", "adapter"},
              {"none", "roberta-none", "sentence1", "adapter"},
              {"bitfit", "bert-bitfit", "sentence1", "adapter"},
              {"full", "roberta-full", "sentence1", "model"}};
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
    const char *out = scratch(runs[i].method);
    const outcome o = RUN("train", DATA(runs[i].data), "--text-columns", runs[i].columns, SMALL,
                          "--method", runs[i].method, "--output", out);
    check_done(o);
    ck_assert_msg(strstr(o.err, "warning") == NULL, "%s", o.err);
    static const char *const rows[] = {"method",      "adapter,", "head",     "examples/s",
                                       "peak memory", "accuracy", "macro-F1", "best epoch"};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
      ck_assert_msg(strstr(o.out, rows[r]) != NULL, "%s: no '%s' in\n%s", runs[i].method, rows[r],
                    o.out);
    ck_assert_ptr_nonnull(strstr(o.out, joined(out, runs[i].keeps)));
    ck_assert(exists(joined(joined(out, runs[i].keeps), "config.json")) ||
              exists(joined(joined(out, runs[i].keeps), "adapter_model.safetensors")));
    ck_assert_uint_eq(count_lines(read_text(joined(out, "train.jsonl"))), 6);
    json_t *run = parsed(read_text(joined(out, "run.json")));
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(run, "settings"), "method")),
                     runs[i].method);
  }
}
END_TEST

START_TEST(parameters_are_counted_as_the_formulas_say)
{
  /* BERT of 3 layers, 36 wide, and a head for two labels; rank 5, query and value. */
  static const struct {
    const char *method;
    int adapter, layers; /* those that inspect lists: of methods whose layers share nothing */
  } runs[] = {{"lora", 3 * 2 * 5 * (36 + 36), 3 * 2}, {"condlora", 2 * 5 * (36 + 36), 0},
              {"vera", 3 * 2 * (5 + 36), 3 * 2},      {"lora-xs", 3 * 2 * 5 * 5, 3 * 2},
              {"shared", 2 * 5 * (36 + 36), 0},       {"none", 0, 0}};
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
    const char *out = scratch(runs[i].method);
    const bool ranked = strcmp(runs[i].method, "none") != 0;
    check_done(RUN("train", DATA("bert-condlora-paper"), "--text-columns", "sentence1", SMALL,
                   "--method", runs[i].method, "--output", out, ranked ? "--rank=5" : NULL));
    json_t *counts = json_object_get(parsed(read_text(joined(out, "metrics.json"))), "parameters");
    ck_assert_int_eq((int)number_at(counts, "adapter"), runs[i].adapter);
    ck_assert_int_eq((int)number_at(counts, "head"), 2 * 36 + 2);
    json_t *layers = json_object_get(parsed(RUN("inspect", out, "--json").out), "modules");
    ck_assert_int_eq((int)json_array_size(layers), runs[i].layers);
    for (size_t l = 0; l < json_array_size(layers); l++)
      ck_assert_int_eq((int)number_at(json_array_get(layers, l), "rank"), 5);
  }
}
END_TEST

/* PEFT's scale of AdaLoRA is by init_r, whatever r says. */
START_TEST(inspect_lists_the_layers_of_adalora)
{
  json_t *facts = parsed(RUN("inspect", case_file("bert-adalora", "adapter"), "--json").out);
  json_t *layers = json_object_get(facts, "modules");
  ck_assert_int_eq((int)json_array_size(layers), 3 * 2);
  for (size_t l = 0; l < json_array_size(layers); l++) {
    ck_assert_int_eq((int)number_at(json_array_get(layers, l), "rank"), 4);
    ck_assert(fabs(number_at(json_array_get(layers, l), "scale") - 8 / (4 + 1e-5)) < 1e-6);
  }
}
END_TEST

START_TEST(an_intermediate_layer_may_be_linear)
{
  static const char *const methods[] = {"condlora", "lora", "bitfit", "full"};
  const char *model = copied_folder(case_file("bert-full", "model"), "model");
  json_t *config = parsed(read_text(joined(model, "config.json")));
  json_object_set_new(config, "hidden_act", json_string("linear"));
  ck_assert_int_eq(json_dump_file(config, joined(model, "config.json"), 0), 0);
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
    check_done(RUN("train", "--model", model, "--train", case_file("bert-full", "train.tsv"),
                   "--text-columns", "sentence1", "--label-column", "label", "--method", methods[i],
                   "--max-steps", "2", "--output", scratch(methods[i])));
}
END_TEST

START_TEST(a_dry_run_prints_a_plan_and_writes_nothing)
{
  const outcome o =
      RUN("train", DATA("bert-condlora-paper"), "--text-columns", "sentence1", "--batch-size", "5",
          "--epochs", "7", "--output", out_folder(""), "--dry-run");
  check_done(o);
  /* 40 rows, 4 of them held out: 36 in batches of 5 are 8 steps an epoch. */
  ck_assert_ptr_nonnull(strstr(o.out, "56, 8 an epoch"));
  ck_assert_ptr_nonnull(strstr(o.out, "36 train, 4 valid"));
  ck_assert_ptr_nonnull(strstr(o.out, "activations in float32\n"));
  ck_assert(!exists(scratch("out")));
}
END_TEST

/* What is not set is null, and beside the settings stands what the run used: no number below 0 is
 * in either. */
START_TEST(nothing_that_is_not_set_is_a_number)
{
  check_done(RUN("train", DATA("bert-condlora-paper"), "--text-columns", "sentence1", "--max-steps",
                 "1", "--seed", "7", "--seed-data", "9", "--output", out_folder("")));
  json_t *run = parsed(read_text(out_folder("run.json"))),
         *settings = json_object_get(run, "settings"),
         *model =
             parsed(read_text(joined(case_file("bert-condlora-paper", "model"), "config.json"))),
         *value;
  const char *key;
  json_object_foreach(settings, key, value)
      ck_assert_msg(!json_is_number(value) || json_number_value(value) >= 0, "%s", key);
  ck_assert(json_is_null(json_object_get(settings, "dropout")));
  ck_assert(json_is_null(json_object_get(settings, "seed_init")));
  ck_assert_double_eq(number_at(settings, "seed_data"), 9);
  ck_assert_double_eq(number_at(json_object_get(run, "seeds"), "init"), 7);
  ck_assert_double_eq(number_at(json_object_get(run, "seeds"), "data"), 9);
  ck_assert_double_eq(number_at(json_object_get(run, "seeds"), "dropout"), 7);
  json_t *dropout = json_object_get(run, "dropout");
  ck_assert_double_eq(number_at(dropout, "hidden"), number_at(model, "hidden_dropout_prob"));
  ck_assert_double_eq(number_at(dropout, "attention"),
                      number_at(model, "attention_probs_dropout_prob"));
  const outcome o = RUN("train", DATA("bert-condlora-paper"), "--text-columns", "sentence1",
                        "--dropout", "0.25", "--seed-init", "3", "--dry-run");
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.out, "dropout           0.25\n"));
  ck_assert_ptr_nonnull(strstr(o.out, "seeds             3 init, 42 data, 42 dropout\n"));
}
END_TEST

/* A column and a label with commas, by an array in a config, by quotes and by doubled commas: one
 * run three times. */
START_TEST(names_may_have_commas)
{
  const char *model = case_file("bert-condlora-truncated", "model"), *rows = scratch("rows.csv"),
             *config = scratch("config.json");
  char text[2048] = "\"Title, full\",kind\n";
  for (int i = 0; i < 20; i++)
    sprintf(text + strlen(text), "the lamp %d,%s\n", i, i % 2 == 0 ? "\"very good, yes\"" : "bad");
  write_text(rows, text);
  write_text(config,
             "{\"text_columns\": [\"Title, full\"], \"labels\": [\"very good, yes\", \"bad\"]}");
#define START \
  "train", "--model", model, "--train", rows, "--label-column", "kind", "--max-steps", "2"
  check_done(RUN(START, "--config", config, "--output", scratch("array")));
  check_done(RUN(START, "--text-columns", "\"Title, full\"", "--labels", "\"very good, yes\",bad",
                 "--output", scratch("quotes")));
  check_done(RUN(START, "--text-columns", "Title,, full", "--labels", "very good,, yes,bad",
                 "--output", scratch("doubled")));
#undef START
  static const char *const folders[] = {"array", "quotes", "doubled"};
  for (int i = 0; i < 3; i++) {
    const char *folder = scratch(folders[i]);
    json_t *settings = json_object_get(parsed(read_text(joined(folder, "run.json"))), "settings"),
           *adapter = parsed(read_text(joined(folder, "adapter/adapter_config.json"))),
           *wanted = parsed(read_text(config));
    ck_assert(json_equal(json_object_get(settings, "labels"), json_object_get(wanted, "labels")));
    ck_assert(json_equal(json_object_get(settings, "text_columns"),
                         json_object_get(wanted, "text_columns")));
    ck_assert(json_equal(json_object_get(adapter, "labels"), json_object_get(wanted, "labels")));
    const outcome o =
        RUN("eval", "--model", model, "--adapter", joined(folder, "adapter"), "--input", rows,
            "--text-columns", "Title,, full", "--label-column", "kind");
    check_done(o);
    ck_assert_double_eq(number_at(parsed(o.out), "examples"), 20);
  }
}
END_TEST

START_TEST(options_win_over_a_config_and_a_config_over_a_recipe)
{
  const char *config = scratch("config.json");
  write_text(
      config,
      "{\"lr\": 0.25, \"batch_size\": 3, \"text_columns\": [\"sentence1\"], \"no_shuffle\": true, "
      "\"label_smoothing\": null, \"comment\": \"of no meaning\"}");
  check_done(RUN("train", DATA("bert-condlora-paper"), "--config", config, "--batch-size=9",
                 "--max-steps", "2", "--output", out_folder("")));
  json_t *settings = json_object_get(parsed(read_text(out_folder("run.json"))), "settings");
  ck_assert_double_eq(number_at(settings, "lr"), 0.25);
  ck_assert_double_eq(number_at(settings, "batch_size"), 9);
  ck_assert(json_is_true(json_object_get(settings, "no_shuffle")));
  ck_assert_str_eq(json_string_value(json_object_get(settings, "text_columns")), "sentence1");

  write_text(config, "{\"lr\": 0.25, \"max_length\": 40}");
  mkdir(scratch("data"), 0700);
  mkdir(scratch("data/CoLA"), 0700);
  write_text(scratch("data/CoLA/train.tsv"),
             "src\t1\t\tthe bread moves\nsrc\t0\t*\tbread the moves\nsrc\t1\t\tcold "
             "bread\nsrc\t0\t*\tmoves moves the\n"
             "src\t1\t\tit sings\nsrc\t0\t*\tsings sings\n");
  check_done(RUN("train", "--model", case_file("bert-condlora-paper", "model"), "--data",
                 scratch("data"), "--recipe", "cola-condlora", "--config", config, "--orientation",
                 "paper", "--max-steps", "2", "--output", scratch("recipe")));
  settings = json_object_get(parsed(read_text(scratch("recipe/run.json"))), "settings");
  ck_assert_double_eq(number_at(settings, "lr"), 0.25);
  ck_assert_str_eq(json_string_value(json_object_get(settings, "task")), "CoLA");
  ck_assert_str_eq(json_string_value(json_object_get(settings, "orientation")), "paper");
  ck_assert_str_eq(json_string_value(json_object_get(settings, "compat")), "reference");
}
END_TEST

START_TEST(a_config_that_cannot_be_is_named)
{
  const char *config = scratch("config.json");
  static const struct {
    const char *text, *named;
    int status;
  } wrong[] = {{"{\"lr\": ", "config.json", 1},
               {"[1, 2]", "config.json", 1},
               {"", "config.json", 1},
               {"{\"bach_size\": 3}", "batch_size", 2},
               {"{\"batch_size\": \"many\"}", "many", 2},
               {"{\"batch_size\": 1.5}", "batch_size", 2},
               {"{\"resume\": 1}", "resume", 2},
               {"{\"lr\": true}", "lr", 2},
               {"{\"targets\": [1]}", "targets", 2},
               {"{\"targets\": {\"a\": 1}}", "targets", 2},
               {"{\"layers_to_transform\": [\"1\"]}", "layers_to_transform", 2},
               {"{\"layers_to_transform\": [-1]}", "layers-to-transform", 2},
               {"{\"rank_pattern\": [4]}", "rank_pattern", 2},
               {"{\"lr\": 1, \"lr\": 2}", "lr", 1}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    write_text(config, wrong[i].text);
    check_refused(RUN("train", DATA("bert-condlora-paper"), "--text-columns", "sentence1",
                      "--dry-run", "--config", config),
                  wrong[i].status, "config.json", wrong[i].named);
  }
  check_refused(RUN("train", "--config", scratch("none.json")), 1, "none.json");
  check_refused(RUN("train", "--recipe", "rte-condlra"), 2, "rte-condlra", "rte-condlora");
  check_refused(RUN("train", "--recipe", "../x"), 2, "--recipe");
}
END_TEST

START_TEST(ranks_and_layers_may_come_from_a_config)
{
  const char *config = scratch("config.json");
  write_text(
      config,
      "{\"method\": \"lora\", \"rank\": 3, \"rank_pattern\": {\"layer\\\\.1\\\\..{1,40}\": 2, "
      "\"value\": 5}, \"alpha_pattern\": {\"query\": 1.5}, \"layers_to_transform\": [1, 2], "
      "\"bias\": \"lora_only\", \"rslora\": true}");
  check_done(RUN("train", DATA("bert-condlora-paper"), "--config", config, "--text-columns",
                 "sentence1", SMALL, "--alpha", "6", "--output", out_folder("")));
  /* Query and value of layers 1 and 2: ranks 2, 2, 3, 5. */
  json_t *modules = json_object_get(parsed(read_text(out_folder("run.json"))), "modules");
  static const double expected[][2] = {{2, 1.5}, {2, 6}, {3, 1.5}, {5, 6}};
  ck_assert_uint_eq(json_array_size(modules), 4);
  for (size_t i = 0; i < 4; i++) {
    json_t *module = json_array_get(modules, i);
    ck_assert_double_eq(number_at(module, "rank"), expected[i][0]);
    ck_assert_double_eq(number_at(module, "alpha"), expected[i][1]);
    ck_assert_double_eq_tol(number_at(module, "scale"), expected[i][1] / sqrt(expected[i][0]),
                            1e-6);
  }
  /* The folder says the same. */
  const outcome shown = RUN("inspect", out_folder("adapter"), "--json");
  check_done(shown);
  ck_assert(json_equal(json_object_get(parsed(shown.out), "modules"), modules));
  /* 12 ranks of 36 + 36 numbers, and four biases of 36. */
  ck_assert_double_eq(
      number_at(json_object_get(parsed(read_text(out_folder("metrics.json"))), "parameters"),
                "adapter"),
      12 * 72 + 4 * 36);
}
END_TEST

/* Saved beside the weights as they were, the adapter gives what training measured. */
START_TEST(values_taken_off_the_weights_are_saved_as_lora)
{
  static const char *const inits[] = {"pissa", "olora"};
  for (size_t i = 0; i < 2; i++) {
    const char *out = scratch(inits[i]), *rows = case_file("bert-lora", "train.tsv");
    check_done(RUN("train", DATA("bert-lora"), "--text-columns", "sentence1", "--dev", rows, SMALL,
                   "--method", "lora", "--init", inits[i], "--rslora", "--rank", "3",
                   "--rank-pattern", "value=2", "--alpha-pattern", "query=3", "--lr", "0.02",
                   "--output", out));
    json_t *config = parsed(read_text(joined(out, "adapter/adapter_config.json")));
    ck_assert_int_eq((int)number_at(config, "r"), 6);
    ck_assert_ptr_null(json_object_get(config, "init_lora_weights"));
    const outcome measured =
        RUN("eval", "--model", case_file("bert-lora", "model"), "--adapter", joined(out, "adapter"),
            "--input", rows, "--text-columns", "sentence1", "--label-column", "label");
    check_done(measured);
    const double trained =
        number_at(json_object_get(parsed(read_text(joined(out, "metrics.json"))), "dev"), "loss");
    ck_assert_double_eq_tol(number_at(parsed(measured.out), "loss"), trained, 2e-6);
  }
}
END_TEST

/* A folder of GLUE as small as can be, the same rows in train and dev. */
static const char *tiny_glue(void)
{
  static const struct {
    const char *task, *header, *rows[2];
  } tasks[] = {
      {"CoLA", NULL, {"src\t1\t\tthe bread moves\n", "src\t0\t*\tmoves the bread\n"}},
      {"SST-2", "sentence\tlabel\n", {"a fine song\t1\n", "a dull song\t0\n"}},
      {"MRPC",
       "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n",
       {"1\t1\t2\tit sings\tit is singing\n", "0\t1\t2\tit sings\tit melts\n"}},
      {"QQP",
       "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n",
       {"0\t1\t2\twho sings\twhich one sings\t1\n", "1\t1\t2\twho sings\twhat melts\t0\n"}},
      {"STS-B",
       "index\tsentence1\tsentence2\tscore\n",
       {"0\tit sings\tit is singing\t4.5\n", "1\tit sings\tit melts\t0.5\n"}},
      {"MNLI",
       "index\tsentence1\tsentence2\tgold_label\n",
       {"0\tit sings\tit is heard\tentailment\n", "1\tit sings\tit is silent\tcontradiction\n"}},
      {"QNLI",
       "index\tquestion\tsentence\tlabel\n",
       {"0\twho sings\tthe lamp sings\tentailment\n",
        "1\twho sings\tthe stone is cold\tnot_entailment\n"}},
      {"RTE",
       "index\tsentence1\tsentence2\tlabel\n",
       {"0\tit sings\tit is heard\tentailment\n", "1\tit sings\tit is cold\tnot_entailment\n"}}};
  enum { COPIES = 8 };
  const char *folder = scratch("glue");
  mkdir(folder, 0700);
  for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
    char text[4096] = "";
    if (tasks[i].header != NULL)
      strcat(text, tasks[i].header);
    for (int c = 0; c < COPIES; c++)
      strcat(strcat(text, tasks[i].rows[0]), tasks[i].rows[1]);
    const char *of_task = joined(folder, tasks[i].task);
    mkdir(of_task, 0700);
    write_text(joined(of_task, "train.tsv"), text);
    if (strcmp(tasks[i].task, "MNLI") == 0) {
      write_text(joined(of_task, "dev_matched.tsv"), text);
      write_text(joined(of_task, "dev_mismatched.tsv"), text);
    } else
      write_text(joined(of_task, "dev.tsv"), text);
  }
  return folder;
}

START_TEST(every_recipe_can_be_planned)
{
  const char *data = tiny_glue(), *recipes = joined(getenv("CDL_SOURCE"), "recipes");
  struct dirent **entries;
  const int count = scandir(recipes, &entries, NULL, alphasort);
  ck_assert_int_gt(count, 0);
  int planned = 0;
  for (int i = 0; i < count; i++) {
    char name[256];
    snprintf(name, sizeof name, "%s", entries[i]->d_name);
    free(entries[i]);
    char *extension = strstr(name, ".json");
    if (extension == NULL)
      continue;
    *extension = '\0';
    const outcome o = RUN("train", "--recipe", name, "--data", data, "--model",
                          case_file("bert-condlora-paper", "model"), "--max-length", "40",
                          "--targets", "query,value", "--dry-run");
    ck_assert_msg(o.exit == 0, "%s: %s", name, o.err);
    ck_assert_ptr_nonnull(strstr(o.out, "method"));
    planned++;
  }
  free(entries);
  ck_assert_int_eq(planned, 32);
}
END_TEST

START_TEST(init_adapter_decides_and_is_not_contradicted)
{
  const char *adapter = case_file("bert-lora", "adapter"); /* LoRA, query and value */
  json_t *config = parsed(read_text(joined(adapter, "adapter_config.json")));
  const int rank = (int)number_at(config, "r");
  const char *other = text_of("%d", rank + 1);
#define START \
  "train", DATA("bert-lora"), "--text-columns", "sentence1", SMALL, "--init-adapter", adapter
  check_done(RUN(START, "--output", out_folder("")));
  json_t *saved = parsed(read_text(out_folder("adapter/adapter_config.json")));
  ck_assert_str_eq(json_string_value(json_object_get(saved, "peft_type")), "LORA");
  ck_assert_int_eq((int)number_at(saved, "r"), rank);
  ck_assert_double_eq(number_at(saved, "lora_alpha"), number_at(config, "lora_alpha"));

  check_refused(RUN(START, "--dry-run", "--rank", other), 2, "--rank", adapter);
  check_refused(RUN(START, "--dry-run", "--alpha", "77"), 2, "--alpha", adapter);
  check_refused(RUN(START, "--dry-run", "--method", "condlora"), 2, "--method", "lora");
  check_refused(RUN(START, "--dry-run", "--targets", "key"), 2, "--targets", adapter);
  check_refused(RUN(START, "--dry-run", "--rslora"), 2, "--rslora", adapter);
  check_refused(RUN(START, "--dry-run", "--init", "pissa"), 2, "--init", adapter);
  check_refused(RUN(START, "--dry-run", "--bias", "all"), 2, "--bias", adapter);
  check_refused(RUN(START, "--dry-run", "--rank-pattern", "value=2"), 2, "--rank-pattern", adapter);
  check_refused(RUN(START, "--dry-run", "--layers-to-transform", "0"), 2, "--layers-to-transform",
                adapter);
  check_refused(RUN(START, "--dry-run", "--exclude-modules", "value"), 2, "--exclude-modules",
                adapter);
  check_done(RUN(START, "--dry-run", "--method", "lora", "--targets", "value,query"));
  const char *file = scratch("config.json");
  write_text(file, text_of("{\"rank\": %s}", other));
  check_refused(RUN(START, "--dry-run", "--config", file), 2, "--rank", adapter);
#undef START
  adapter = case_file("roberta-lora-ranks", "adapter");
  config = parsed(read_text(joined(adapter, "adapter_config.json")));
#define START                                                                                  \
  "train", DATA("roberta-lora-ranks"), "--text-columns", "sentence1", SMALL, "--init-adapter", \
      adapter
  check_done(RUN(START, "--output", scratch("ranks")));
  saved = parsed(read_text(scratch("ranks/adapter/adapter_config.json")));
  static const char *const kept[] = {"rank_pattern", "alpha_pattern", "use_rslora"};
  for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
    ck_assert(json_equal(json_object_get(saved, kept[i]), json_object_get(config, kept[i])));
  check_refused(RUN(START, "--dry-run", "--rank-pattern", "value=2"), 2, "--rank-pattern", adapter);
#undef START
}
END_TEST

START_TEST(settings_that_a_method_lacks_are_refused)
{
  static const struct {
    const char *method, *option, *value;
  } refused[] = {{"vera", "--alpha", "99"},          {"vera", "--rank-pattern", "value=2"},
                 {"vera", "--alpha-pattern", "a=2"}, {"adalora", "--rank", "4"},
                 {"condadalora", "--rank", "4"},     {"adalora", "--alpha-pattern", "value=2"},
                 {"vera", "--init", "gaussian"}};
#define START "train", DATA("bert-lora"), "--text-columns", "sentence1", "--dry-run", "--method"
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
    check_refused(RUN(START, refused[i].method, refused[i].option, refused[i].value), 2,
                  refused[i].value[0] == 'g' ? "initial values" : refused[i].option,
                  refused[i].method);
  check_refused(RUN(START, "vera", "--rslora"), 2, "--rslora", "vera");
  check_done(RUN(START, "vera", "--rank", "4", "--adapter-dropout", "0.1"));
  check_refused(RUN(START, "condlora", "--condition", "permuted", "--layers-to-transform", "1"), 2,
                "condition permuted", "attention.self.query");
  check_refused(RUN(START, "lora", "--condition", "random"), 2, "--condition", "lora");
  check_refused(RUN(START, "lora-xs", "--rank", "21"), 2, "has no rank 21", "attention.self.query");
#undef START
}
END_TEST

/* The seed of the matrices is the first run's, whatever the seed of a run that goes on from it; a
 * folder that has lost it is refused. */
START_TEST(a_random_condition_is_drawn_again_from_its_folder)
{
  const char *first = scratch("first"), *second = scratch("second");
#define START "train", DATA("bert-lora"), "--text-columns", "sentence1", SMALL
  check_done(RUN(START, "--condition", "random", "--seed", "7", "--output", first));
  const char *path = joined(first, "adapter/adapter_config.json");
  json_t *config = parsed(read_text(path));
  ck_assert_str_eq(json_string_value(json_object_get(config, "condition")), "random");
  ck_assert_int_eq((int)number_at(config, "condition_seed"), 7);
  check_done(RUN(START, "--init-adapter", first, "--seed", "8", "--lr", "0", "--output", second));
  json_t *saved = parsed(read_text(joined(second, "adapter/adapter_config.json")));
  ck_assert_int_eq((int)number_at(saved, "condition_seed"), 7);
  const outcome shown = RUN("inspect", second);
  check_done(shown);
  ck_assert_ptr_nonnull(strstr(shown.out, "random"));
  json_object_del(config, "condition_seed");
  ck_assert_int_eq(json_dump_file(config, path, 0), 0);
  check_refused(RUN(START, "--init-adapter", first, "--output", scratch("third")), 1,
                "condition_seed", first);
#undef START
}
END_TEST

/* From a folder, and on from a checkpoint of that run. */
START_TEST(an_adapter_without_alpha_goes_on)
{
  const char *first = scratch("vera"), *second = scratch("on");
#define START "train", DATA("bert-lora"), "--text-columns", "sentence1", SMALL
  check_done(RUN(START, "--method", "vera", "--rank", "5", "--output", first));
  check_done(RUN(START, "--init-adapter", first, "--output", second));
  check_done(RUN("train", "--resume", "--output", second, "--max-steps", "12"));
  json_t *saved = parsed(read_text(joined(second, "adapter/adapter_config.json")));
  ck_assert_int_eq((int)number_at(saved, "r"), 5);
  ck_assert_ptr_null(json_object_get(saved, "lora_alpha"));
  json_t *shown = parsed(RUN("inspect", second, "--json").out);
  ck_assert_ptr_null(json_object_get(shown, "alpha"));
  const char *text = RUN("inspect", second).out;
  ck_assert_ptr_nonnull(strstr(text, "VERA, rank 5\n"));
#undef START
}
END_TEST

START_TEST(without_evaluation_the_last_adapter_is_kept)
{
  const outcome o = RUN("train", DATA("bert-condlora-paper"), "--text-columns", "sentence1", SMALL,
                        "--eval-every", "0", "--output", out_folder(""));
  check_done(o);
  json_t *m = metrics();
  ck_assert_ptr_null(json_object_get(m, "valid"));
  ck_assert_uint_eq(json_array_size(json_object_get(m, "evaluations")), 0);
  ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(m, "note")), "--eval-every 0"));
  ck_assert_str_eq(json_string_value(json_object_get(json_object_get(m, "kept"), "which")), "last");
  ck_assert(exists(out_folder("adapter/adapter_model.safetensors")));
  ck_assert_ptr_null(strstr(o.out, "accuracy"));
}
END_TEST

START_TEST(patience_ends_a_run_and_the_best_stays)
{
  /* With a rate of 0 nothing changes: the first evaluation is the best, three more exhaust the
   * patience. */
  check_done(RUN("train", DATA("bert-condlora-paper"), "--text-columns", "sentence1",
                 "--batch-size", "4", "--epochs", "50", "--lr", "0", "--eval-every", "2",
                 "--early-stopping", "3", "--output", out_folder("")));
  json_t *m = metrics(), *kept = json_object_get(m, "kept");
  ck_assert_uint_eq(json_array_size(json_object_get(m, "evaluations")), 4);
  ck_assert_int_eq((int)number_at(m, "steps"), 8);
  ck_assert_uint_eq(count_steps(), 8);
  ck_assert_str_eq(json_string_value(json_object_get(kept, "which")), "best");
  ck_assert_int_eq((int)number_at(kept, "step"), 2);
}
END_TEST

START_TEST(keep_last_keeps_the_last)
{
#define LAST                                                                                \
  "train", DATA("bert-condlora-paper"), "--text-columns", "sentence1", "--batch-size", "4", \
      "--eval-every", "2"
  check_done(
      RUN(LAST, "--max-steps", "8", "--lr", "0.05", "--keep", "last", "--output", out_folder("")));
  json_t *kept = json_object_get(metrics(), "kept");
  ck_assert_str_eq(json_string_value(json_object_get(kept, "which")), "last");
  ck_assert_int_eq((int)number_at(kept, "step"), 8);
  /* Eight steps without any evaluation come to the same adapter. */
  const char *bare = scratch("bare"), *a, *b;
  check_done(RUN("train", DATA("bert-condlora-paper"), "--text-columns", "sentence1",
                 "--batch-size", "4", "--eval-every", "0", "--max-steps", "8", "--lr", "0.05",
                 "--output", bare));
  const size_t bytes = read_bytes(out_folder("adapter/adapter_model.safetensors"), &a);
  ck_assert_uint_eq(read_bytes(joined(bare, "adapter/adapter_model.safetensors"), &b), bytes);
  ck_assert_mem_eq(a, b, bytes);
#undef LAST
}
END_TEST

START_TEST(the_log_follows_the_schedule)
{
  check_done(RUN("train", DATA("bert-condlora-paper"), "--text-columns", "sentence1",
                 "--batch-size", "4", "--max-steps", "10", "--lr", "0.5", "--warmup-ratio", "0.2",
                 "--output", out_folder("")));
  ck_assert_uint_eq(count_steps(), 10);
  /* Two steps of warm-up from 0, then down to 0 after the tenth (Transformers' linear schedule). */
  const double rates[] = {0, 0.25, 0.5, 0.4375, 0.375, 0.3125, 0.25, 0.1875, 0.125, 0.0625};
  for (size_t i = 0; i < 10; i++) {
    ck_assert_double_eq_tol(logged(i + 1, "lr"), rates[i], 1e-12);
    ck_assert_double_eq(logged(i + 1, "step"), (double)(i + 1));
    ck_assert_double_eq_tol(logged(i + 1, "epoch"), (double)(i + 1) / 9, 1e-8);
    ck_assert(logged(i + 1, "loss") > 0 && logged(i + 1, "grad_norm") > 0);
  }
}
END_TEST

START_TEST(smoothing_and_weights_change_the_loss_as_defined)
{
  /* Two steps at a rate of 0 over the same rows: losses of one fixed model. Cross-entropy with
   * smoothing e is
   * (1 - e) times the plain one plus e times the mean over classes, so it is linear in e; with
   * equal class weights the mean is weighted with ones. */
#define LOSS_OF(folder, ...)                                                               \
  (check_done(RUN("train", DATA("bert-condlora-paper"), "--text-columns", "sentence1",     \
                  "--batch-size", "36", "--max-steps", "1", "--lr", "0", "--dropout", "0", \
                  "--eval-every", "0", "--output", scratch(folder), __VA_ARGS__)),         \
   number_at(parsed(read_text(scratch(folder "/train.jsonl"))), "loss"))
  const double plain = LOSS_OF("a", "--seed", "3"),
               half = LOSS_OF("b", "--seed", "3", "--label-smoothing", "0.5"),
               quarter = LOSS_OF("c", "--seed", "3", "--label-smoothing", "0.25"),
               same = LOSS_OF("d", "--seed", "3", "--class-weights", "2,2"),
               first = LOSS_OF("e", "--seed", "3", "--class-weights", "1,0"),
               second = LOSS_OF("f", "--seed", "3", "--class-weights", "0,1"),
               balanced = LOSS_OF("g", "--seed", "3", "--class-weights", "balanced");
  ck_assert_double_eq_tol(quarter, (plain + half) / 2, 1e-6);
  ck_assert(fabs(half - plain) > 1e-6);
  ck_assert_double_eq_tol(same, plain, 1e-6);
  /* Balanced weights make the classes count alike, whatever their sizes. */
  ck_assert_double_eq_tol(balanced, (first + second) / 2, 1e-5);
  ck_assert(fabs(first - second) > 1e-4);
#undef LOSS_OF
}
END_TEST

START_TEST(a_regression_is_measured_by_correlation)
{
  const outcome o =
      RUN("train", DATA("bert-condlora-regression"), "--text-columns", "sentence1,sentence2",
          "--regression", SMALL, "--dev", case_file("bert-condlora-regression", "train.tsv"),
          "--output", out_folder(""));
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.out, "pearson"));
  ck_assert_ptr_nonnull(strstr(o.out, "spearman"));
  ck_assert_ptr_null(strstr(o.out, "accuracy"));
  json_t *dev = json_object_get(metrics(), "dev");
  ck_assert(json_object_get(dev, "pearson") != NULL && json_object_get(dev, "confusion") == NULL);
}
END_TEST

#define LABELLED                                                                 \
  DATA("bert-lora-multi-label"), "--text-columns", "sentence1", "--multi-label", \
      "--label-separator", "|", "--dev", case_file("bert-lora-multi-label", "train.tsv"), SMALL

START_TEST(several_labels_get_thresholds)
{
  check_done(RUN("train", LABELLED, "--eval-every", "2", "--output", out_folder("")));
  json_t *config = parsed(read_text(out_folder("adapter/adapter_config.json"))),
         *thresholds = json_object_get(config, "thresholds"),
         *valid = json_object_get(metrics(), "valid"),
         *of_valid = json_object_get(valid, "thresholds");
  ck_assert_str_eq(json_string_value(json_object_get(config, "problem_type")),
                   "multi_label_classification");
  ck_assert_uint_eq(json_array_size(thresholds), 3);
  for (size_t i = 0; i < 3; i++) {
    const char *label = json_string_value(json_array_get(json_object_get(config, "labels"), i));
    ck_assert(json_equal(json_array_get(thresholds, i), json_object_get(of_valid, label)));
  }
  ck_assert(json_object_get(valid, "confusion") == NULL);
  /* the kept adapter's figures are those of its evaluation */
  const json_t *evaluations = json_object_get(metrics(), "evaluations");
  double best = -1;
  for (size_t i = 0; i < json_array_size(evaluations); i++)
    best = fmax(best, number_at(json_array_get(evaluations, i), "micro_f1"));
  ck_assert(number_at(valid, "micro_f1") == best);
}
END_TEST

START_TEST(without_evaluations_there_are_no_thresholds)
{
  check_done(RUN("train", LABELLED, "--eval-every", "0", "--output", out_folder("")));
  const json_t *config = parsed(read_text(out_folder("adapter/adapter_config.json")));
  ck_assert_ptr_null(json_object_get(config, "thresholds"));
}
END_TEST

START_TEST(the_metric_chooses_the_best)
{
  check_done(RUN("train", DATA("bert-condlora-paper"), "--text-columns", "sentence1",
                 "--batch-size", "4", "--max-steps", "18", "--eval-every", "3", "--lr", "0.03",
                 "--metric", "loss", "--output", out_folder("")));
  const json_t *evaluations = json_object_get(metrics(), "evaluations");
  double least = INFINITY, step = 0;
  for (size_t i = 0; i < json_array_size(evaluations); i++) {
    json_t *entry = json_array_get(evaluations, i);
    if (number_at(entry, "loss") < least) {
      least = number_at(entry, "loss");
      step = number_at(entry, "step");
    }
  }
  ck_assert(number_at(json_object_get(metrics(), "kept"), "step") == step);
}
END_TEST

START_TEST(metrics_that_the_examples_lack_are_refused)
{
  check_refused(RUN("train", DATA("bert-condlora-paper"), "--text-columns", "sentence1", "--metric",
                    "rmse", "--output", out_folder("")),
                2, "--metric rmse", "accuracy, f1, macro_f1, mcc, loss");
  check_refused(RUN("train", LABELLED, "--metric", "mcc", "--output", out_folder("")), 2,
                "--metric mcc", "micro_f1", "hamming_loss");
  check_refused(RUN("train", LABELLED, "--metric", "f7", "--output", out_folder("")), 2, "'f7'",
                "spearman");
  check_refused(RUN("train", LABELLED, "--regression", "--output", out_folder("")), 2,
                "--multi-label, not both");
  check_refused(RUN("train", LABELLED, "--label-smoothing", "0.1", "--output", out_folder("")), 2,
                "--label-smoothing", "several labels");
  check_refused(RUN("train", LABELLED, "--skip-label", "a", "--output", out_folder("")), 2,
                "--skip-label");
  check_refused(RUN("train", DATA("bert-condlora-paper"), "--text-columns", "sentence1",
                    "--label-separator", ";", "--output", out_folder("")),
                2, "--label-separator");
}
END_TEST

START_TEST(a_loss_that_is_not_finite_stops_the_run)
{
  /* Fits a float, but its square does not. */
  const char *data = scratch("huge.tsv");
  write_text(data, "text\tvalue\nthe bread moves\t1\nthe cold bread\t3e38\nit sings\t2\n");
  const outcome o =
      RUN("train", "--model", case_file("bert-condlora-regression", "model"), "--train", data,
          "--text-columns", "text", "--label-column", "value", "--regression", "--dev-fraction",
          "0", "--eval-every", "0", "--batch-size", "3", "--output", out_folder(""));
  ck_assert_int_eq(o.exit, 1);
  ck_assert_ptr_nonnull(strstr(o.err, "condlora: step 1: the loss is inf"));
  ck_assert(!exists(out_folder("metrics.json")));
  ck_assert(!exists(out_folder("checkpoint/state.safetensors")));
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("train");
  CASE(suite, every_method_leaves_a_run_and_a_table);
  CASE(suite, parameters_are_counted_as_the_formulas_say);
  CASE(suite, inspect_lists_the_layers_of_adalora);
  CASE(suite, an_intermediate_layer_may_be_linear);
  CASE(suite, a_dry_run_prints_a_plan_and_writes_nothing);
  CASE(suite, names_may_have_commas);
  CASE(suite, nothing_that_is_not_set_is_a_number);
  CASE(suite, options_win_over_a_config_and_a_config_over_a_recipe);
  CASE(suite, a_config_that_cannot_be_is_named);
  CASE(suite, ranks_and_layers_may_come_from_a_config);
  CASE(suite, values_taken_off_the_weights_are_saved_as_lora);
  CASE(suite, every_recipe_can_be_planned);
  CASE(suite, init_adapter_decides_and_is_not_contradicted);
  CASE(suite, settings_that_a_method_lacks_are_refused);
  CASE(suite, an_adapter_without_alpha_goes_on);
  CASE(suite, a_random_condition_is_drawn_again_from_its_folder);
  CASE(suite, without_evaluation_the_last_adapter_is_kept);
  CASE(suite, patience_ends_a_run_and_the_best_stays);
  CASE(suite, keep_last_keeps_the_last);
  CASE(suite, the_log_follows_the_schedule);
  CASE(suite, smoothing_and_weights_change_the_loss_as_defined);
  CASE(suite, a_regression_is_measured_by_correlation);
  CASE(suite, several_labels_get_thresholds);
  CASE(suite, without_evaluations_there_are_no_thresholds);
  CASE(suite, the_metric_chooses_the_best);
  CASE(suite, metrics_that_the_examples_lack_are_refused);
  CASE(suite, a_loss_that_is_not_finite_stops_the_run);
  return run_suite(suite);
}
