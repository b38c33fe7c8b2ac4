/* analyze: what each analysis writes, and input that it refuses. Whether the numbers are right is
 * for tests/unit/test_analysis.c and tests/peers/analysis_parity.py to say. */
#include <errno.h>
#include <sys/resource.h>

#include "tests/programs/program.h"

static const char *const analyses[] = {"conversion", "similarity", "correlation", "matrices",
                                       "layers"};
enum { ANALYSES = sizeof analyses / sizeof analyses[0], BLOCKS = 3 };

#define BASE "bert-condlora-paper" /* 3 blocks of width 36 */

static const char *model(void)
{
  return case_file(BASE, "model");
}

/* Trained for two steps, so that B is not zero. */
static const char *trained(const char *method, const char *targets)
{
  const char *name = BASE, *out = scratch(text_of("%s-%s", method, targets));
  const bool whole = strcmp(method, "full") == 0,
             low_rank = !whole && strcmp(method, "bitfit") != 0;
  if (!exists(out)) {
    const char *arguments[32] = {"train",
                                 "--model",
                                 case_file(name, "model"),
                                 "--train",
                                 case_file(name, "train.tsv"),
                                 "--text-columns",
                                 "sentence1",
                                 "--label-column",
                                 "label",
                                 "--method",
                                 method,
                                 "--max-steps",
                                 "2",
                                 "--eval-every",
                                 "0",
                                 "--dev-fraction",
                                 "0",
                                 "--output",
                                 out,
                                 "--rank",
                                 "4",
                                 "--targets",
                                 targets};
    if (!low_rank)
      arguments[19] = NULL;
    check_done(program_run(NULL, arguments));
  }
  return joined(out, whole ? "model" : "adapter");
}

#define ADAPTED(kind, adapter, ...) \
  RUN("analyze", kind, "--model", model(), "--adapter", adapter, __VA_ARGS__)

/* ---- What is written ---- */

/* Whether the list of names has that of a heat map: where plots are drawn. */
static void check_map(const char *names, const char *map)
{
  ck_assert_msg((strstr(names, map) != NULL) == plots_are_drawn(), "%s in %s", map, names);
}

START_TEST(conversion_writes_numbers_and_maps)
{
  const char *out = scratch("deep/figure"), *again = scratch("again"),
             *adapter = trained("lora", "query");
  const outcome o = ADAPTED("conversion", adapter, "--i", "3", "--j", "2", "--side", "both",
                            "--output", out, "--plots", "svg,png,pdf");
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.out, "i = 3, j = 2"));
  ck_assert_int_eq(strstr(o.err, "warning: no heat maps: plots are drawn by") == NULL,
                   plots_are_drawn());
  const char *names = listed(out);
  static const char *const endings[] = {"svg", "png", "pdf"};
  static const char *const maps[] = {"A.left", "B.right", "BA.left.random"};
  for (int m = 0; m < 3; m++)
    for (int e = 0; e < 3; e++)
      check_map(names, text_of("attention.self.query.%s.%s\n", maps[m], endings[e]));
  ck_assert_uint_eq(count_lines(names), (plots_are_drawn() ? 3 * 2 * 2 * 3 : 0) + 2);
  ck_assert_uint_eq(count_lines(read_text(joined(out, "conversion.csv"))),
                    1 + 3 * 2 * BLOCKS * BLOCKS);
  json_t *whole = parsed(read_text(joined(out, "conversion.json")));
  json_t *target = json_array_get(json_object_get(whole, "targets"), 0);
  ck_assert_uint_eq(json_array_size(json_object_get(target, "condition")), BLOCKS);
  ck_assert_int_eq((int)number_at(whole, "i"), 3);
  /* Once more, to the last byte; without plots they are not there. */
  check_done(ADAPTED("conversion", adapter, "--i", "3", "--j", "2", "--side", "both", "--output",
                     again, "--plots", "none"));
  ck_assert_str_eq(listed(again), "conversion.csv\nconversion.json\n");
  ck_assert_str_eq(read_text(joined(out, "conversion.csv")),
                   read_text(joined(again, "conversion.csv")));
  ck_assert_str_eq(read_text(joined(out, "conversion.json")),
                   read_text(joined(again, "conversion.json")));
}
END_TEST

START_TEST(others_write_their_numbers)
{
  const char *adapter = trained("lora", "query,value");
  for (int i = 2; i < 4; i++) {
    const char *out = scratch(analyses[i]);
    check_done(i == 2 ? ADAPTED("correlation", adapter, "--i", "2", "--j", "2", "--output", out)
                      : ADAPTED("matrices", adapter, "--form", "reference", "--output", out));
    if (i == 2)
      ck_assert_str_eq(listed(out), "correlation.csv\ncorrelation.json\n");
    else
      check_map(listed(out), "attention.self.query.A.cosines.svg\n");
    parsed(read_text(joined(out, text_of("%s.json", analyses[i]))));
  }
  const char *out = scratch("both");
  check_done(ADAPTED("similarity", adapter, "--adapter2", trained("condlora", "query"), "--i", "2",
                     "--j", "2", "--output", out));
  ck_assert_str_eq(listed(out), "similarity.csv\nsimilarity.json\n");
  /* The layers that both adapt. */
  ck_assert_uint_eq(count_lines(read_text(joined(out, "similarity.csv"))), 1 + 3 * BLOCKS);
  const char *layers = scratch("layers");
  check_done(RUN("analyze", "layers", "--model", model(), "--model2", trained("full", "none"),
                 "--output", layers, "--targets", "intermediate.dense"));
  check_map(listed(layers), "intermediate.dense.update.svg\n");
  ck_assert_uint_eq(count_lines(read_text(joined(layers, "layers.csv"))), 1 + BLOCKS * BLOCKS);
  ck_assert_ptr_null(strstr(listed(layers), "states"));
}
END_TEST

START_TEST(layers_are_compared_by_what_they_give)
{
  const char *out = scratch("states");
  check_done(RUN("analyze", "layers", "--model", model(), "--model2", trained("full", "none"),
                 "--input", case_file(BASE, "train.tsv"), "--text-columns", "sentence1",
                 "--examples", "5", "--output", out));
  check_map(listed(out), "states.after.svg\nstates.before.svg\nstates.csv\n");
  ck_assert_uint_eq(count_lines(read_text(joined(out, "states.csv"))), 1 + BLOCKS * BLOCKS);
  json_t *states = json_object_get(parsed(read_text(joined(out, "layers.json"))), "states");
  ck_assert_int_eq((int)number_at(states, "examples"), 5);
}
END_TEST

START_TEST(without_an_output_there_is_the_table_alone)
{
  const outcome o =
      ADAPTED("conversion", trained("lora", "query"), "--i", "2", "--j", "2", "--layers", "0,2");
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.out, "0: "));
  ck_assert_ptr_nonnull(strstr(o.out, "2: "));
  ck_assert_ptr_null(strstr(o.out, " 1: "));
}
END_TEST

/* What is not determined is said, on stderr. */
START_TEST(ranks_that_are_passed_are_warned_of)
{
  const outcome o =
      ADAPTED("conversion", trained("lora", "query"), "--i", "6", "--j", "6", "--layers", "0");
  ck_assert_int_eq(o.exit, 0);
  ck_assert_ptr_nonnull(strstr(o.err, "C_A has rank 4: 6 singular vectors are not determined"));
}
END_TEST

/* ---- What is refused ---- */

START_TEST(options_that_cannot_be)
{
  const char *adapter = trained("lora", "query"), *out = scratch("refused");
  check_refused(RUN("analyze"), 2, "conversion", "layers");
  check_refused(RUN("analyze", "conversions"), 2, "conversions", "nearest is conversion");
  check_refused(RUN("analyze", "--i", "3"), 2, "conversion");
  check_refused(RUN("analyze", "conversion"), 2, "--adapter");
  check_refused(RUN("analyze", "conversion", "--model", model()), 2, "--adapter");
  check_refused(RUN("analyze", "layers", "--model", model()), 2, "--model2");
  check_refused(ADAPTED("similarity", adapter, "--i", "2"), 2, "--adapter2");
  check_refused(ADAPTED("conversion", adapter, "--i", "0", "--output", out), 2, "--i");
  check_refused(ADAPTED("conversion", adapter, "--j", "37", "--output", out), 2, "--j 37",
                "[36, 4]", "36 left");
  check_refused(ADAPTED("conversion", adapter, "--side", "right", "--i", "5", "--output", out), 2,
                "--j 8", "4 right");
  check_refused(ADAPTED("conversion", adapter, "--form", "other"), 2, "--form");
  check_refused(ADAPTED("conversion", adapter, "--plots", "gif", "--output", out), 2, "--plots",
                "gif");
  check_refused(ADAPTED("conversion", adapter, "--targets", "key", "--output", out), 2, "--targets",
                "key");
  check_refused(ADAPTED("conversion", adapter, "--layers", "0,3", "--output", out), 2, "--layers",
                "3");
  check_refused(ADAPTED("conversion", adapter, "--layers", "first", "--output", out), 2, "--layers",
                "first");
  check_refused(ADAPTED("conversion", trained("lora", "intermediate.dense"), "--form", "reference",
                        "--i", "2", "--j", "2", "--output", out),
                2, "intermediate.dense", "square");
#define LAYERS_OF(...) \
  RUN("analyze", "layers", "--model", model(), "--model2", trained("full", "none"), __VA_ARGS__)
  check_refused(LAYERS_OF("--task", "MRPC", "--output", out), 2, "--data");
  check_refused(LAYERS_OF("--task", "MRPCC", "--data", out, "--output", out), 2, "MRPCC");
  check_refused(LAYERS_OF("--input", "-", "--examples", "1", "--output", out), 2, "--examples");
  ck_assert(!exists(out));
}
END_TEST

START_TEST(models_and_adapters_that_do_not_fit)
{
  const char *adapter = trained("lora", "query"), *out = scratch("refused"), *base = model();
  check_refused(RUN("analyze", "conversion", "--model", case_file("bert-lora", "model"),
                    "--adapter", adapter, "--output", out),
                1, "another base");
  check_refused(ADAPTED("similarity", adapter, "--adapter2",
                        case_file("electra-condlora-paper", "adapter"), "--output", out),
                1, "electra-condlora-paper");
  check_refused(ADAPTED("similarity", adapter, "--adapter2", trained("lora", "value"), "--i", "2",
                        "--j", "2", "--output", out),
                1, "no layer in common");
  check_refused(ADAPTED("conversion", trained("bitfit", "none"), "--output", out), 1, "low-rank");
  check_refused(ADAPTED("conversion", scratch("nothing"), "--output", out), 1, "nothing");
  check_refused(RUN("analyze", "matrices", "--model", scratch("nothing"), "--adapter", adapter,
                    "--output", out),
                1, "nothing");
  check_refused(RUN("analyze", "layers", "--model", base, "--model2", base, "--output", out), 1,
                "is the base's");
  check_refused(RUN("analyze", "layers", "--model", base, "--model2",
                    case_file("electra-full", "model"), "--output", out),
                1, "");
  const char *one = scratch("one.txt");
  write_text(one, "a single example\n");
  check_refused(LAYERS_OF("--input", one, "--output", out), 1, "one.txt", "1 example");
  check_refused(LAYERS_OF("--input", scratch("nothing"), "--output", out), 1, "nothing");
  ck_assert(!exists(out));
}
END_TEST

START_TEST(folders_that_cannot_be_written)
{
  const char *adapter = trained("lora", "query"), *file = scratch("file");
  write_text(file, "not a folder");
  check_refused(ADAPTED("conversion", adapter, "--output", file), 1, "exists already");
  check_refused(ADAPTED("conversion", adapter, "--output", joined(file, "below")), 1, "file");
  ck_assert_str_eq(read_text(file), "not a folder");
}
END_TEST

/* The numbers fit, a map does not; where there are no maps, the numbers do not. */
START_TEST(a_disk_that_is_full_leaves_nothing)
{
  const char *adapter = trained("lora", "query"), *out = scratch("out");
  struct rlimit before;
  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
  const struct rlimit small = {.rlim_cur = plots_are_drawn() ? 20000 : 100,
                               .rlim_max = before.rlim_max};
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
  const outcome o =
      ADAPTED("conversion", adapter, "--i", "2", "--j", "2", "--plots", "svg", "--output", out);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
  check_refused(o, 1, plots_are_drawn() ? ".svg" : ".csv", strerror(EFBIG));
  ck_assert(!exists(out));
  ck_assert_ptr_null(strstr(listed(scratch("")), ".tmp-"));
}
END_TEST

/* ---- Help ---- */

START_TEST(every_analysis_has_help_that_the_manual_repeats)
{
  const char *page = read_text(joined(getenv("CDL_SOURCE"), "docs/man/condlora.1"));
  char *plain = strdup(page), *end = plain;
  for (const char *c = page; *c != '\0'; c++)
    if (*c != '\\')
      *end++ = *c;
  *end = '\0';
  for (int i = 0; i < ANALYSES; i++) {
    const outcome o = RUN("analyze", analyses[i], "--no-such-thing", "--help");
    check_done(o);
    ck_assert_ptr_nonnull(strstr(RUN("analyze", "--help").out, analyses[i]));
    ck_assert_ptr_nonnull(strstr(o.out, text_of("usage: condlora analyze %s ", analyses[i])));
    ck_assert_ptr_nonnull(strstr(plain, text_of("analyze %s", analyses[i])));
    for (const char *at = o.out; (at = strstr(at, "\n  --")) != NULL;) {
      at += 3;
      const char *option = text_of("%.*s", (int)strcspn(at, " \n"), at);
      ck_assert_msg(strcmp(option, "--help") == 0 || strstr(plain, option) != NULL,
                    "the manual does not know %s of analyze %s", option, analyses[i]);
    }
  }
  free(plain);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("analyze");
  CASE(suite, conversion_writes_numbers_and_maps);
  CASE(suite, others_write_their_numbers);
  CASE(suite, layers_are_compared_by_what_they_give);
  CASE(suite, without_an_output_there_is_the_table_alone);
  CASE(suite, ranks_that_are_passed_are_warned_of);
  CASE(suite, options_that_cannot_be);
  CASE(suite, models_and_adapters_that_do_not_fit);
  CASE(suite, folders_that_cannot_be_written);
  CASE(suite, a_disk_that_is_full_leaves_nothing);
  CASE(suite, every_analysis_has_help_that_the_manual_repeats);
  return run_suite(suite);
}
