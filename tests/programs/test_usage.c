/* What the program says about itself, and about commands and options that cannot be. */
#include "tests/programs/program.h"

static const char *const commands[] = {"train",   "eval",    "predict", "tokenize",
                                       "inspect", "export",  "merge",   "reproduce",
                                       "search",  "analyze", "backends"};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

/* Columns on a terminal, not bytes. */
static size_t widest_line(const char *text)
{
  size_t widest = 0, width = 0;
  for (; *text != '\0'; text++) {
    width = *text == '\n' ? 0 : width + (((unsigned char)*text & 0xC0) != 0x80);
    widest = width > widest ? width : widest;
  }
  return widest;
}

START_TEST(says_its_version)
{
  const outcome o = RUN("--version");
  check_done(o);
  ck_assert_int_eq(strncmp(o.out, "condlora ", 9), 0);
  ck_assert_uint_eq(count_lines(o.out), 1);
}
END_TEST

START_TEST(help_lists_every_command)
{
  const outcome o = RUN("--help");
  check_done(o);
  for (size_t i = 0; i < COMMANDS; i++)
    ck_assert_msg(strstr(o.out, commands[i]) != NULL, "no %s in:\n%s", commands[i], o.out);
  ck_assert_uint_le(widest_line(o.out), 110);
  ck_assert_str_eq(o.err, "");
}
END_TEST

START_TEST(every_command_has_help_that_fits_a_page)
{
  for (size_t i = 0; i < COMMANDS; i++) {
    const outcome o = RUN(commands[i], "--help");
    check_done(o);
    ck_assert_int_eq(strncmp(o.out, "usage: condlora ", 16), 0);
    ck_assert_msg(strstr(o.out, commands[i]) != NULL, "%s", o.out);
    ck_assert_msg(widest_line(o.out) <= 115, "%s --help is %zu wide", commands[i],
                  widest_line(o.out));
    ck_assert_str_eq(o.err, "");
    ck_assert_str_eq(RUN(commands[i], "-h").out, o.out);
    /* Wherever it stands. */
    ck_assert_str_eq(RUN(commands[i], "--no-such-thing", "--help").out, o.out);
  }
}
END_TEST

START_TEST(help_of_train_shows_defaults_and_groups)
{
  const outcome o = RUN("train", "--help");
  static const char *const wanted[] = {"--batch-size N",    "[16]",      "--lr RATE",  "[0.001]",
                                       "How it is trained", "--targets", "[condlora]", "--recipe",
                                       "--config",          "--resume",  "--dry-run"};
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
    ck_assert_msg(strstr(o.out, wanted[i]) != NULL, "no '%s' in:\n%s", wanted[i], o.out);
}
END_TEST

/* The manual page with its escapes undone. */
static const char *manual(void)
{
  const char *page = read_text(joined(getenv("CDL_SOURCE"), "docs/man/condlora.1"));
  char *plain = strdup(page), *out = plain;
  ck_assert_ptr_nonnull(plain);
  for (const char *c = page; *c != '\0'; c++)
    if (*c != '\\')
      *out++ = *c;
  *out = '\0';
  const char *kept = text_of("%s", plain);
  free(plain);
  return kept;
}

START_TEST(the_manual_knows_every_option)
{
  const char *page = manual();
  size_t options = 0;
  for (size_t i = 0; i < COMMANDS; i++) {
    ck_assert_ptr_nonnull(strstr(page, commands[i]));
    const char *help = RUN(commands[i], "--help").out;
    for (const char *at = help; (at = strstr(at, "\n  --")) != NULL;) {
      at += 3;
      const char *option = text_of("%.*s", (int)strcspn(at, " \n"), at);
      if (strcmp(option, "--help") == 0)
        continue;
      ck_assert_msg(strstr(page, option) != NULL, "the manual does not know %s of %s", option,
                    commands[i]);
      options++;
    }
  }
  ck_assert_uint_gt(options, 60);
}
END_TEST

START_TEST(no_command_is_wrong_usage)
{
  const outcome o = program_run(NULL, (const char *const[]){NULL});
  ck_assert_int_eq(o.exit, 2);
  ck_assert_str_eq(o.out, "");
  ck_assert_ptr_nonnull(strstr(o.err, "usage: condlora"));
}
END_TEST

START_TEST(unknown_names_point_at_the_nearest)
{
  check_refused(RUN("trian"), 2, "trian", "train");
  check_refused(RUN("tokenize"), 2, "tokenize");
  check_refused(RUN("train", "--bach-size", "4"), 2, "--bach-size", "--batch-size");
  check_refused(RUN("train", "--learning-rte=4"), 2, "--learning-rte");
  check_refused(RUN("train", "--recipie", "x"), 2, "--recipe");
  check_refused(RUN("eval", "--adaptor", "x"), 2, "--adapter");
  check_refused(RUN("predict", "--inptu", "x"), 2, "--input");
  check_refused(RUN("train", "-x"), 2, "-x");
  check_refused(RUN("train", "--batch_size", "4"), 2, "--batch-size");
}
END_TEST

/* By the names of other programs too, and not by letters alone. */
START_TEST(names_of_other_programs_point_at_ours)
{
  static const char *const known[][2] = {{"--learning-rate", "--lr"},
                                         {"--learning_rate", "--lr"},
                                         {"--num-train-epochs", "--epochs"},
                                         {"--num_epochs", "--epochs"},
                                         {"--per-device-train-batch-size", "--batch-size"},
                                         {"--per_device_train_batch_size", "--batch-size"},
                                         {"--bs", "--batch-size"},
                                         {"--gradient-accumulation-steps", "--accumulate"},
                                         {"--lora-alpha", "--alpha"},
                                         {"--lora_r", "--rank"},
                                         {"--lora-dropout", "--adapter-dropout"},
                                         {"--target-modules", "--targets"},
                                         {"--lr-scheduler-type", "--schedule"},
                                         {"--max-seq-length", "--max-length"},
                                         {"--model-name-or-path", "--model"},
                                         {"--output-dir", "--output"},
                                         {"--train-file", "--train"},
                                         {"--validation-file", "--dev"},
                                         {"--device", "--backend"},
                                         {"--fp16", "--precision"}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    const outcome o = RUN("train", known[i][0], "1");
    check_refused(o, 2, known[i][0], text_of("here it is %s\n", known[i][1]));
  }
  check_refused(RUN("predict", "--adapter-path", "x"), 2, "here it is --adapter\n");
  check_refused(RUN("predict", "--output-file", "x"), 2, "here it is --output\n");
  check_refused(RUN("predict", "--text", "x"), 2, "here it is --input\n");
  check_refused(RUN("train", "--text", "x"), 2, "here it is --text-columns\n");
  check_refused(RUN("train", "--zzzzzzzzzzzz", "1"), 2, "--help lists all");
  const char *config = scratch("c.json");
  static const char *const keys[][2] = {{"learning_rate", "lr"},
                                        {"lora_alpha", "alpha"},
                                        {"lora_r", "rank"},
                                        {"lora_dropout", "adapter_dropout"}};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    write_text(config, text_of("{\"%s\": 1}", keys[i][0]));
    check_refused(RUN("train", "--config", config), 2, "c.json", keys[i][0],
                  text_of("here it is %s\n", keys[i][1]));
  }
  check_refused(RUN("train", "--recipe", "xxx", "--model", "m"), 2, "xxx", "rte-condlora",
                "cola-lora", "stsb-condlora");
}
END_TEST

START_TEST(help_and_version_are_words_too)
{
  const outcome o = RUN("help", "train");
  check_done(o);
  ck_assert_str_eq(o.out, RUN("train", "--help").out);
  ck_assert_str_eq(RUN("help").out, RUN("--help").out);
  ck_assert_str_eq(RUN("version").out, RUN("--version").out);
  check_refused(RUN("help", "trian"), 2, "nearest is train");
  ck_assert_ptr_nonnull(strstr(RUN("help").out, "xlm-roberta"));
}
END_TEST

START_TEST(a_model_that_is_not_there_is_said_to_be_a_folder)
{
  check_refused(RUN("train", "--model", "roberta-base", "--task", "RTE", "--data", scratch("no"),
                    "--output", scratch("o")),
                1, "roberta-base: no such folder", "HF_HUB_OFFLINE");
  check_refused(RUN("predict", "--model", "org/name", "--input", "-"), 1, "org/name: no such");
  check_refused(RUN("tokenize", "--model", "roberta-base", "--input", "-"), 1, "roberta-base: no");
  check_refused(RUN("predict", "--model", scratch("nowhere"), "--input", "-"), 1, "nowhere",
                "config.json");
  check_refused(RUN("predict", "--model", "m", "--adapter", scratch("none"), "--input", "-"), 1,
                "none", "adapter_config.json", "run");
}
END_TEST

START_TEST(values_that_cannot_be)
{
  static const char *const wrong[][4] = {{"--batch-size", "0", "--batch-size"},
                                         {"--batch-size", "many", "many"},
                                         {"--batch-size", "-3", "--batch-size"},
                                         {"--batch-size", "4.5", "4.5"},
                                         {"--batch-size", "99999999999999999999", "--batch-size"},
                                         {"--epochs", "0", "--epochs"},
                                         {"--lr", "fast", "fast"},
                                         {"--lr", "nan", "nan"},
                                         {"--lr", "-1", "--lr"},
                                         {"--dropout", "1", "--dropout"},
                                         {"--dropout", "-0.5", "--dropout"},
                                         {"--adapter-dropout", "1.5", "--adapter-dropout"},
                                         {"--warmup-ratio", "2", "--warmup-ratio"},
                                         {"--label-smoothing", "1", "--label-smoothing"},
                                         {"--dev-fraction", "1", "--dev-fraction"},
                                         {"--method", "dora", "dora"},
                                         {"--orientation", "sideways", "sideways"},
                                         {"--schedule", "step", "step"},
                                         {"--keep", "first", "first"},
                                         {"--decay", "some", "some"},
                                         {"--precision", "fp64", "fp64"},
                                         {"--accumulate", "0", "--accumulate"},
                                         {"--eval-every", "sometimes", "sometimes"},
                                         {"--rank", "0", "rank"},
                                         {"--class-weights", "1,2,3", "--class-weights"},
                                         {"--class-weights", "1,x", "--class-weights"},
                                         {"--rank", "9223372036854775807", "--rank"},
                                         {"--epochs", "9223372036854775807", "--epochs"},
                                         {"--max-steps", "9223372036854775807", "--max-steps"},
                                         {"--threads", "5000000000", "--threads"},
                                         {"--max-length", "9223372036854775807", "--max-length"},
                                         {"--class-weights", "0,0", "0,0"},
                                         {"--alpha", "0", "--alpha"},
                                         {"--alpha", "1e10", "--alpha"},
                                         {"--adapter-dropout", "0.9999999", "--adapter-dropout"},
                                         {"--num-cycles", "-1", "--num-cycles"},
                                         {"--power", "-1", "--power"},
                                         {"--end-lr", "-1", "--end-lr"},
                                         {"--eval-every", " 3", "--eval-every"},
                                         {"--eval-every", "99999999999999999999", "--eval-every"},
                                         {"--labels", "no,\xff", "UTF-8"},
                                         {"--output", "caf\xe9", "UTF-8"},
                                         {"--data", "glue", "--data"},
                                         {"--rank-pattern", "query", "RE=NUMBER"},
                                         {"--rank-pattern", "query=0", "query"},
                                         {"--rank-pattern", "query=1.5", "query"},
                                         {"--alpha-pattern", "{\"value\": true}", "value"},
                                         {"--alpha-pattern", "{\"value\"", "--alpha-pattern"},
                                         {"--layers-to-transform", "0,x", "0,x"},
                                         {"--layers-pattern", "a,,b", "--layers-pattern"},
                                         {"--init", "svd", "svd"},
                                         {"--bias", "some", "some"},
                                         {"--lora-plus-ratio", "0", "--lora-plus-ratio"},
                                         {"--resume", NULL, NULL}};
  for (size_t i = 0; wrong[i][1] != NULL; i++) {
    const outcome o = RUN("train", "--model", case_file("bert-lora", "model"), "--train",
                          case_file("bert-lora", "train.tsv"), "--text-columns", "sentence1",
                          "--label-column", "label", "--dry-run", wrong[i][0], wrong[i][1]);
    ck_assert_msg(o.exit == 2, "%s %s: exit status %d: %s", wrong[i][0], wrong[i][1], o.exit,
                  o.err);
    check_refused(o, 2, wrong[i][2]);
  }
}
END_TEST

START_TEST(an_option_wants_its_value_and_only_once)
{
  check_refused(RUN("train", "--model"), 2, "--model", "MODEL");
  check_refused(RUN("train", "--model", "--resume"), 2, "--model", "MODEL");
  check_refused(RUN("train", "--model="), 2, "--model");
  check_refused(RUN("train", "--lr", "1", "--lr", "1"), 2, "--lr", "twice");
  check_refused(RUN("eval", "--model", "a", "--model=a"), 2, "--model", "twice");
  check_refused(RUN("train", "--resume", "--resume=false"), 2, "--resume", "twice");
  check_refused(RUN("train", "--resume=maybe"), 2, "--resume", "maybe");
  check_refused(RUN("train", "--resume"), 2, "give --output", "--resume");
  check_done(RUN("help", "help"));
  check_refused(RUN("eval", "--model", "x", "--input", "x.csv", "--dev-fraction", "0.2"), 2,
                "--dev-fraction goes with --task");
  check_refused(RUN("train", "stray"), 2, "stray");
  check_refused(RUN("inspect", "one", "two"), 2, "two");
}
END_TEST

START_TEST(what_is_needed_is_named)
{
  check_refused(RUN("train"), 2, "--model");
  check_refused(RUN("train", "--model", "m"), 2, "--output");
  check_refused(RUN("train", "--model", "m", "--output", "o"), 2, "--task", "--train");
  check_refused(RUN("train", "--model", "m", "--output", "o", "--task", "RTE"), 2, "--data");
  check_refused(RUN("train", "--model", "m", "--output", "o", "--train", "t.tsv"), 2,
                "--text-columns");
  check_refused(RUN("train", "--model", "m", "--output", "o", "--train", "t.tsv", "--task", "RTE"),
                2, "--task", "--train");
  check_refused(RUN("eval"), 2, "--model");
  check_refused(RUN("eval", "--model", "m"), 2, "--task", "--input");
  check_refused(RUN("eval", "--model", "m", "--task", "RTE"), 2, "--data");
  check_refused(RUN("predict", "--model", "m", "--task", "RTE", "--data", "d", "--input", "x"), 2,
                "--task", "--input");
  check_refused(RUN("predict", "--model", "m", "--input", "x.tsv", "--split", "dev"), 2, "--split");
  check_refused(
      RUN("predict", "--model", "m", "--task", "RTE", "--data", "d", "--text-columns", "x"), 2,
      "--text-columns");
  check_refused(RUN("predict", "--model", "m", "--input", "x.tsv", "--format", "glue"), 2,
                "--format", "--task");
  check_refused(RUN("predict", "--model", "m", "--task", "RTE", "--data", "d", "--format", "glue"),
                2, "--output");
  check_refused(RUN("predict", "--model", "m", "--input", "x.tsv", "--format", "xml"), 2, "jsonl",
                "glue");
  check_refused(RUN("tokenize", "--input", "x.tsv"), 2, "--model");
  check_refused(RUN("inspect"), 2, "model", "adapter");
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("usage");
  CASE(suite, says_its_version);
  CASE(suite, help_lists_every_command);
  CASE(suite, every_command_has_help_that_fits_a_page);
  CASE(suite, help_of_train_shows_defaults_and_groups);
  CASE(suite, the_manual_knows_every_option);
  CASE(suite, no_command_is_wrong_usage);
  CASE(suite, unknown_names_point_at_the_nearest);
  CASE(suite, names_of_other_programs_point_at_ours);
  CASE(suite, help_and_version_are_words_too);
  CASE(suite, a_model_that_is_not_there_is_said_to_be_a_folder);
  CASE(suite, values_that_cannot_be);
  CASE(suite, an_option_wants_its_value_and_only_once);
  CASE(suite, what_is_needed_is_named);
  return run_suite(suite);
}
