/* condlora search against a bridge that says what a test wants: trials that are runs of their own,
 * pruning, interruption, and what goes wrong. tests/peers/search_optuna.py asks Optuna itself. */
#include <math.h>
#include <signal.h>
#include <time.h>

#include "tests/programs/program.h"

#define DATA                                                                        \
  "--model", case_file("bert-condlora-paper", "model"), "--train",                  \
      case_file("bert-condlora-paper", "train.tsv"), "--text-columns", "sentence1", \
      "--label-column", "label"
#define SEARCH "search", DATA, "--output", scratch("out")

/* A folder for the bridge, and the replies it is to give. */
static void fake(const char *name, const char *text)
{
  setenv("FAKE", scratch("fake"), 1);
  setenv("CDL_PYTHON", joined(getenv("CDL_SOURCE"), "tests/programs/fake-bridge"), 1);
  (void)mkdir(scratch("fake"), 0700);
  write_text(joined(scratch("fake"), name), text);
}

static const char *logged(void)
{
  return read_text(joined(scratch("fake"), "log"));
}

static void check_logged(const char *text)
{
  ck_assert_msg(strstr(logged(), text) != NULL, "no %s in:\n%s", text, logged());
}

static size_t times_logged(const char *text)
{
  size_t times = 0;
  for (const char *at = logged(); (at = strstr(at, text)) != NULL; at++)
    times++;
  return times;
}

/* train.jsonl but for the pace, and the adapter or model. */
static void check_same_run(const char *a, const char *b)
{
  static const char *const files[] = {"adapter/adapter_model.safetensors",
                                      "adapter/adapter_config.json", "train.jsonl"};
  static const char pace[] = ", \"examples_per_s\"";
  for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
    if (!exists(joined(b, files[f])))
      continue; /* --method full writes no adapter */
    const char *p, *q;
    size_t n = read_bytes(joined(a, files[f]), &p), m = read_bytes(joined(b, files[f]), &q);
    ck_assert_msg(n == m, "%s: %s differs (%zu and %zu bytes)", a, files[f], n, m);
    for (; f == 2 && *p != '\0'; p = strchr(p, '\n') + 1, q = strchr(q, '\n') + 1) {
      n = (size_t)(strstr(p, pace) - p);
      m = (size_t)(strstr(q, pace) - q);
      ck_assert_msg(n == m && memcmp(p, q, n) == 0, "%s: train.jsonl differs:\n%.*s\n%.*s", a,
                    (int)n, p, (int)m, q);
    }
    ck_assert_msg(f == 2 || memcmp(p, q, n) == 0, "%s: %s differs", a, files[f]);
  }
}

/* ---- Trials ---- */

/* Settings that leave much behind: trained bodies, weights taken off, larger batches, gains. */
static const struct {
  const char *parameters, *options[14];
} runs[] = {
    {"\"method\":\"condlora\",\"init\":\"kaiming\",\"batch_size\":4,\"lr\":0.02,"
     "\"adapter_dropout\":0,\"seed\":1",
     {"--method", "condlora", "--rank", "2", "--batch-size", "4", "--lr", "0.02", "--seed", "1"}},
    {"\"method\":\"full\",\"init\":\"kaiming\",\"batch_size\":7,\"lr\":0.001,"
     "\"adapter_dropout\":0,\"seed\":2",
     {"--method", "full", "--batch-size", "7", "--lr", "0.001", "--seed", "2"}},
    {"\"method\":\"lora\",\"init\":\"pissa\",\"batch_size\":3,\"lr\":0.01,"
     "\"adapter_dropout\":0.1,\"seed\":1",
     {"--method", "lora", "--rank", "2", "--init", "pissa", "--batch-size", "3", "--lr", "0.01",
      "--adapter-dropout", "0.1", "--seed", "1"}},
    {"\"method\":\"bitfit\",\"init\":\"kaiming\",\"batch_size\":5,\"lr\":0.01,"
     "\"adapter_dropout\":0,\"seed\":3",
     {"--method", "bitfit", "--batch-size", "5", "--lr", "0.01", "--seed", "3"}},
    {"\"method\":\"condlora\",\"init\":\"kaiming\",\"batch_size\":16,\"lr\":0.02,"
     "\"adapter_dropout\":0.25,\"seed\":4",
     {"--method", "condlora", "--rank", "2", "--batch-size", "16", "--lr", "0.02",
      "--adapter-dropout", "0.25", "--seed", "4"}}};
enum { RUNS = sizeof runs / sizeof runs[0] };

#define RUNS_SPACE                                                                              \
  "--space", "method=choice:condlora,full,lora,bitfit", "--space", "init=choice:kaiming,pissa", \
      "--space", "batch-size=int:2:16", "--space", "lr=log:1e-4:1e-1", "--space",               \
      "adapter-dropout=uniform:0:0.5", "--space", "seed=int:0:9"

START_TEST(a_trial_is_what_train_makes_of_its_settings)
{
  const char *asks = "";
  for (size_t i = 0; i < RUNS; i++)
    asks = text_of("%s{\"number\":%zu,\"parameters\":{%s}}\n", asks, i, runs[i].parameters);
  fake("asks", asks);
  fake("list", text_of("{\"trials\":[{\"number\":4,\"state\":\"complete\",\"value\":0.75,"
                       "\"parameters\":{%s}}]}\n",
                       runs[4].parameters));
  check_done(RUN(SEARCH, RUNS_SPACE, "--trials", "5", "--epochs", "3", "--targets", "query,value",
                 "--rank", "2"));
  for (size_t i = 0; i < RUNS; i++) {
    const char *alone = scratch(text_of("alone-%zu", i)),
               *trial = joined(scratch("out"), text_of("trials/%zu", i));
    const char *arguments[40] = {"train", DATA, "--epochs", "3", "--output", alone};
    size_t count = 0;
    while (arguments[count] != NULL)
      count++;
    for (size_t o = 0; o < 14 && runs[i].options[o] != NULL; o++)
      arguments[count++] = runs[i].options[o];
    check_done(program_run(NULL, arguments));
    check_same_run(trial, alone);
    ck_assert(!exists(joined(trial, "checkpoint")) && !exists(joined(trial, "model")));
    check_logged(text_of("{\"do\":\"tell\",\"number\":%zu,\"state\":\"complete\"", i));
  }
  /* The best one's settings, read by train. */
  check_done(
      RUN("train", "--config", joined(scratch("out"), "best.json"), "--output", scratch("again")));
  check_same_run(joined(scratch("out"), "trials/4"), scratch("again"));
}
END_TEST

#define ONE "{\"number\":0,\"parameters\":{\"lr\":0.02}}\n"
#define TWO "{\"number\":1,\"parameters\":{\"lr\":0.03}}\n"
#define LIST                                                                                       \
  "{\"trials\":[{\"number\":0,\"state\":\"complete\",\"value\":0.5,\"parameters\":{\"lr\":0.02}}," \
  "{\"number\":1,\"state\":\"pruned\",\"value\":null,\"parameters\":{\"lr\":0.03}}]}\n"
#define LR "--space", "lr=log:1e-3:1e1", "--batch-size", "4", "--trials", "2"

START_TEST(a_pruned_trial_ends_at_its_evaluation)
{
  fake("asks", ONE TWO);
  fake("list", LIST);
  fake("prune", "1 2\n");
  const outcome o = RUN(SEARCH, LR, "--epochs", "4", "--keep-checkpoints");
  check_done(o);
  check_logged("\"number\":0,\"step\":4,");
  check_logged("\"number\":1,\"step\":2,");
  ck_assert_uint_eq(times_logged("\"number\":1,\"step\":3,"), 0);
  check_logged("{\"do\":\"tell\",\"number\":1,\"state\":\"pruned\"");
  const size_t whole = count_lines(read_text(joined(scratch("out"), "trials/0/train.jsonl"))),
               cut = count_lines(read_text(joined(scratch("out"), "trials/1/train.jsonl")));
  ck_assert_uint_eq(2 * cut, whole);
  ck_assert(exists(joined(scratch("out"), "trials/1/checkpoint")));
  ck_assert_ptr_nonnull(strstr(o.out, "pruned"));
}
END_TEST

START_TEST(what_cannot_be_trained_is_told_and_the_search_goes_on)
{
#define TRIAL(number, method, rank, lr)                                               \
  "{\"number\":" #number ",\"parameters\":{\"method\":\"" method "\",\"rank\":" #rank \
  ",\"dylora_rank_min\":5,\"lr\":" #lr "}"
  /* A rank below DyLoRA's lowest; query and key whose product overflows. */
  fake("asks", TRIAL(0, "condlora", 2, 0.01) "}\n" TRIAL(1, "lora", 8, 8e5) "}\n" TRIAL(
                   2, "condlora", 8, 0.01) "}\n");
  fake("list",
       "{\"trials\":[" TRIAL(2, "condlora", 8, 0.01) ",\"state\":\"complete\",\"value\":0.5}]}\n");
#undef TRIAL
  check_done(RUN(SEARCH, "--space", "rank=int:2:8", "--space", "dylora-rank-min=int:1:8", "--space",
                 "lr=log:1e-3:9e5", "--space", "method=choice:condlora,lora", "--targets",
                 "all-linear", "--batch-size", "4", "--lora-plus-ratio", "1e6", "--alpha", "1e9",
                 "--max-grad-norm", "0", "--trials", "3", "--epochs", "4"));
  check_logged("\"number\":0,\"state\":\"fail\",\"note\":\"dylora_rank_min is at most");
  check_logged("\"number\":1,\"state\":\"pruned\",\"note\":\"step ");
  check_logged("\"number\":2,\"state\":\"complete\"");
}
END_TEST

START_TEST(where_no_trial_is_completed_the_search_has_failed)
{
  fake("asks", ONE);
  fake("prune", "0 1\n");
  fake("list", "{\"trials\":[{\"number\":0,\"state\":\"pruned\",\"value\":0.5,\"parameters\":"
               "{\"lr\":0.02}}]}\n");
  const outcome o = RUN(SEARCH, LR);
  ck_assert_int_eq(o.exit, 1);
  ck_assert_ptr_nonnull(strstr(o.err, "no trial was completed"));
  ck_assert(!exists(joined(scratch("out"), "best.json")));
}
END_TEST

/* The first 20 losses of two logs: the same but for rounding. */
static void check_close_losses(const char *a, const char *b)
{
  const char *p = read_text(joined(a, "train.jsonl")), *q = read_text(joined(b, "train.jsonl"));
  ck_assert_uint_eq(count_lines(p), count_lines(q));
  for (int step = 1; step <= 20 && *p != '\0'; step++) {
    const double x = strtod(strstr(p, "\"loss\": ") + 8, NULL),
                 y = strtod(strstr(q, "\"loss\": ") + 8, NULL);
    ck_assert_msg(fabs(x - y) <= 1e-5, "%s: step %d: %.9g and %.9g", a, step, x, y);
    p = strchr(p, '\n') + 1;
    q = strchr(q, '\n') + 1;
  }
}

START_TEST(joint_trials_are_runs_of_their_own)
{
  static const char *const ranks[] = {"2", "4", "3", "2"}, *const batches[] = {"4", "3", "8", "5"},
                           *const methods[] = {"condlora", "lora", "condlora", "adalora"};
  const char *asks = "", *list = "";
  for (size_t i = 0; i < 4; i++) {
    const char *parameters = text_of("\"number\":%zu,\"parameters\":{\"lr\":0.00%zu,\"init_r\":%s,"
                                     "\"method\":\"%s\",\"batch_size\":%s}",
                                     i, i + 2, ranks[i], methods[i], batches[i]);
    asks = text_of("%s{%s}\n", asks, parameters);
    list = text_of("%s%s{%s,\"state\":\"complete\",\"value\":0.5}", list, i > 0 ? "," : "",
                   parameters);
  }
  fake("asks", asks);
  fake("list", text_of("{\"trials\":[%s]}\n", list));
  fake("prune", "1 2\n");
  /* Three together, of which one leaves early, then the last one alone. */
  check_done(RUN(SEARCH, "--space", "lr=log:1e-3:1e-1", "--space",
                 "method=choice:condlora,lora,adalora", "--space", "batch-size=int:3:8", "--space",
                 "init-r=int:2:4", "--target-r", "1", "--trials", "4", "--epochs", "5",
                 "--parallel", "3"));
  for (size_t i = 0; i < 4; i++) {
    const char *alone = scratch(text_of("alone-%zu", i)),
               *trial = joined(scratch("out"), text_of("trials/%zu", i));
    const char *arguments[40] = {"train",    DATA,       "--epochs",     "5",
                                 "--output", alone,      "--lr",         text_of("0.00%zu", i + 2),
                                 "--method", methods[i], "--batch-size", batches[i]};
    if (i == 3) {
      size_t count = 0;
      while (arguments[count] != NULL)
        count++;
      memcpy(&arguments[count], ((const char *const[]){"--init-r", ranks[i], "--target-r", "1"}),
             4 * sizeof *arguments);
    }
    check_done(program_run(NULL, arguments));
    if (i == 1)
      ck_assert_uint_eq(count_lines(read_text(joined(trial, "train.jsonl"))), 2 * 12);
    else if (i == 3)
      check_same_run(trial, alone);
    else
      check_close_losses(trial, alone);
  }
  check_logged("\"number\":1,\"state\":\"pruned\"");
  ck_assert_uint_eq(times_logged("\"state\":\"complete\""), 3);
  check_refused(
      RUN("search", DATA, "--output", scratch("full"), LR, "--parallel", "2", "--method", "full"),
      2, "--parallel 2", "share");
}
END_TEST

/* ---- Interruption ---- */

/* Up to the test's time limit, however busy the machine is. */
static void wait_for_lines(const char *path, size_t lines)
{
  const struct timespec pause = {.tv_nsec = 5000000};
  for (size_t seen = 0; seen < lines; nanosleep(&pause, NULL)) {
    FILE *file = fopen(path, "r");
    seen = 0;
    for (int byte = 0; file != NULL && (byte = fgetc(file)) != EOF;)
      seen += byte == '\n';
    if (file != NULL)
      fclose(file);
  }
}

#define LONG_RUN LR, "--epochs", "40", "--checkpoint-every", "5"

/* Trials that begin at one block, though one of them alone would begin higher, then a trial that
 * finds all states computed. */
START_TEST(trials_share_the_states_of_frozen_layers)
{
  static const char *const methods[] = {"lora", "none", "lora"}, *const caches[] = {"off", "auto"};
  const char *asks = "", *list = "";
  for (size_t i = 0; i < 3; i++) {
    const char *parameters = text_of(
        "\"number\":%zu,\"parameters\":{\"lr\":0.00%zu,\"method\":\"%s\"}", i, i + 2, methods[i]);
    asks = text_of("%s{%s}\n", asks, parameters);
    list = text_of("%s%s{%s,\"state\":\"complete\",\"value\":0.5}", list, i > 0 ? "," : "",
                   parameters);
  }
  for (size_t c = 0; c < 2; c++) {
    fake("asks", asks);
    fake("list", text_of("{\"trials\":[%s]}\n", list));
    (void)unlink(joined(scratch("fake"), "asked"));
    check_done(RUN("search", DATA, "--output", scratch(caches[c]), "--cache-frozen", caches[c],
                   "--space", "lr=log:1e-3:1e-1", "--space", "method=choice:lora,none", "--trials",
                   "3", "--epochs", "2", "--batch-size", "4", "--layers-to-transform", "2",
                   "--dropout", "0", "--parallel", "2"));
  }
  for (int i = 0; i < 3; i++)
    check_same_run(joined(scratch("off"), text_of("trials/%d", i)),
                   joined(scratch("auto"), text_of("trials/%d", i)));
  json_t *metrics = parsed(read_text(joined(scratch("auto"), "trials/2/metrics.json")));
  json_t *states = json_object_get(json_object_get(metrics, "timing"), "frozen");
  ck_assert_double_eq(number_at(states, "first_block"), 2);
  ck_assert_double_eq(number_at(states, "computed"), 0);
  ck_assert_double_gt(number_at(states, "held"), 0);
}
END_TEST

START_TEST(an_interrupted_search_ends_in_the_same_trials)
{
  static const int signals[] = {SIGINT, SIGUSR1, SIGKILL};
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
    const char *out = scratch(text_of("out-%d", signals[i])), *alone = scratch("alone");
    fake("asks", ONE TWO);
    fake("list", LIST);
    fake("asked", "0\n");
    fake("log", "");
    const pid_t program =
        program_start((const char *const[]){"search", DATA, "--output", out, LONG_RUN, NULL});
    wait_for_lines(joined(out, "trials/0/train.jsonl"), 30);
    kill(program, signals[i]);
    const outcome o = program_wait(program);
    if (o.exit == 0)
      continue; /* it was faster than the signal */
    ck_assert_int_eq(o.exit, signals[i] == SIGKILL ? -SIGKILL : 128 + signals[i]);
    ck_assert_uint_eq(times_logged("\"do\":\"tell\""), 0);
    if (signals[i] != SIGKILL)
      ck_assert_ptr_nonnull(strstr(o.err, "stopped in trial 0; --resume"));
    check_refused(RUN("search", DATA, "--output", out, LONG_RUN), 2, "holds a search", "--resume");

    fake("resumed", "{\"version\":1,\"resumed\":[{\"number\":0,\"parameters\":{\"lr\":0.02},"
                    "\"prune\":false}]}\n");
    check_done(RUN("search", DATA, "--output", out, LONG_RUN, "--resume"));
    unlink(joined(scratch("fake"), "resumed"));
    ck_assert_uint_eq(times_logged("\"do\":\"tell\""), 2);
    if (!exists(alone))
      check_done(RUN("train", DATA, "--output", alone, "--lr", "0.02", "--batch-size", "4",
                     "--epochs", "40"));
    check_same_run(joined(out, "trials/0"), alone);
    check_refused(RUN("search", DATA, "--output", out, LONG_RUN, "--resume", "--study", "other"), 2,
                  "--study condlora");
  }
}
END_TEST

START_TEST(a_signal_while_the_bridge_thinks_is_no_failure)
{
  static const char *const requests[] = {"open", "ask"};
  for (size_t i = 0; i < 2; i++) {
    const char *out = scratch(requests[i]);
    fake("asks", ONE TWO);
    fake("asked", "0\n");
    fake("slow", requests[i]);
    fake("log", "");
    const pid_t program =
        program_start((const char *const[]){"search", DATA, "--output", out, LONG_RUN, NULL});
    wait_for_lines(joined(scratch("fake"), "log"), i + 1);
    kill(program, SIGINT);
    const outcome o = program_wait(program);
    ck_assert_msg(o.exit == 128 + SIGINT, "exit status %d: %s", o.exit, o.err);
    ck_assert_ptr_nonnull(strstr(o.err, "--resume with --output"));
    ck_assert_uint_eq(times_logged("\"do\":\"tell\""), 0);
  }
}
END_TEST

START_TEST(a_trial_that_was_to_be_pruned_is_not_gone_on_with)
{
  fake("asks", ONE);
  fake("asked", "1\n");
  fake("list", LIST);
  fake("resumed", "{\"version\":1,\"resumed\":[{\"number\":1,\"parameters\":{\"lr\":0.02},"
                  "\"prune\":true}]}\n");
  check_done(RUN(SEARCH, LR, "--resume"));
  check_logged("\"number\":1,\"state\":\"pruned\"");
  ck_assert(!exists(joined(scratch("out"), "trials/1")));
}
END_TEST

/* ---- Other searches on the study ---- */

START_TEST(a_search_waits_for_the_last_trials_of_others)
{
  fake("asks", "{\"wait\":0.1,\"others\":2}\n{\"wait\":0.1,\"others\":1}\n" TWO);
  fake("list", LIST);
  const outcome o = RUN(SEARCH, LR, "--epochs", "2");
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.err, "waiting for 2 trials of other searches"));
  ck_assert_ptr_null(strstr(o.err, "waiting for 1"));
  ck_assert_uint_eq(times_logged("\"do\":\"ask\""), 4);
  check_logged("\"number\":1,\"state\":\"complete\"");

  fake("asked", "0\n");
  fake("log", "");
  check_done(RUN("search", DATA, "--output", scratch("leaves"), LR, "--no-wait"));
  ck_assert_uint_eq(times_logged("\"do\":\"ask\""), 1);

  /* A signal or the end of the time ends the waiting. */
  fake("asks", "{\"wait\":600,\"others\":2}\n");
  fake("asked", "0\n");
  fake("log", "");
  const pid_t program =
      program_start((const char *const[]){"search", DATA, "--output", scratch("stops"), LR, NULL});
  wait_for_lines(joined(scratch("fake"), "log"), 2);
  kill(program, SIGTERM);
  const outcome stopped = program_wait(program);
  ck_assert_int_eq(stopped.exit, 128 + SIGTERM);
  ck_assert_ptr_nonnull(strstr(stopped.err, "stopped between trials"));
  fake("asks", "{\"wait\":0.1,\"others\":2}\n{\"wait\":600,\"others\":2}\n");
  fake("asked", "0\n");
  check_done(RUN("search", DATA, "--output", scratch("late"), LR, "--timeout", "0.05"));
}
END_TEST

START_TEST(a_trial_that_another_search_has_taken_up_is_lost)
{
  fake("asks", ONE);
  fake("list", LIST);
  fake("say", "tell");
  fake("say-reply", "{\"lost\":true}\n");
  const outcome o = RUN(SEARCH, LR, "--epochs", "2");
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.err, "trial 0: lost (lr 0.02): this search was silent"));
}
END_TEST

/* ---- What goes wrong ---- */

static void check_fails(outcome o, const char *text)
{
  ck_assert_msg(o.exit == 1, "exit status %d: %s", o.exit, o.err);
  const char *line = strstr(o.err, "condlora: ");
  ck_assert_msg(line != NULL && count_lines(line) == 1 && strstr(line, text) != NULL,
                "no '%s' in: %s", text, o.err);
}

START_TEST(a_bridge_that_dies_or_babbles_is_one_line)
{
  static const char *const requests[] = {"open", "ask", "report", "tell", "list"};
  static const struct {
    const char *reply, *text;
  } replies[] = {{"nonsense\n", "answers 'nonsense', which is no JSON object"},
                 {"[1]\n", "which is no JSON object"},
                 {"{\"error\":\"the server is gone\"}\n", "the server is gone"}};
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    fake("asks", ONE TWO);
    fake("asked", "0\n");
    fake("list", LIST);
    fake("die", requests[i]);
    check_fails(RUN("search", DATA, "--output", scratch(requests[i]), LR),
                "has ended with exit status 7: the last words");
    ck_assert(i > 0 || !exists(scratch(requests[i])));
    unlink(joined(scratch("fake"), "die"));
    fake("say", requests[i]);
    for (size_t r = 0; r < sizeof replies / sizeof replies[0]; r++) {
      fake("asked", "0\n");
      fake("say-reply", replies[r].reply);
      check_fails(RUN("search", DATA, "--output", scratch(text_of("%s-%zu", requests[i], r)), LR),
                  replies[r].text);
    }
    unlink(joined(scratch("fake"), "say"));
  }
  static const struct {
    const char *request, *reply, *text;
  } strange[] = {{"open", "{}\n", "does not answer 'open'"},
                 {"open", "{\"version\":2,\"resumed\":[]}\n", "speaks version 2, not 1"},
                 {"ask", "{\"number\":-1,\"parameters\":{}}\n", "does not answer 'ask'"},
                 {"ask", "{\"number\":0,\"parameters\":{}}\n", "value of lr is not in"},
                 {"ask", "{\"number\":0,\"parameters\":{\"lr\":99}}\n", "value of lr is not in"},
                 {"report", "{}\n", "does not answer 'report'"},
                 {"list", "{\"trials\":[{}]}\n", "does not answer 'list'"}};
  for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
    fake("asked", "0\n");
    fake("say", strange[i].request);
    fake("say-reply", strange[i].reply);
    check_fails(RUN("search", DATA, "--output", scratch(text_of("strange-%zu", i)), LR),
                strange[i].text);
  }
}
END_TEST

START_TEST(without_python_one_line_says_what_to_install)
{
  setenv("CDL_PYTHON", "/nowhere/python3", 1);
  check_refused(RUN(SEARCH, LR), 1, "/nowhere/python3", "Python 3 with Optuna");
  ck_assert(!exists(scratch("out")));
}
END_TEST

START_TEST(bad_spaces_are_wrong_usage)
{
  static const struct {
    const char *space, *text;
  } bad[] = {{"learning=log:1:2", "there is no setting learning; the nearest is "},
             {"rnk=int:1:2", "the nearest is rank"},
             {"lr", "SETTING=KIND"},
             {"=log:1:2", "SETTING=KIND"},
             {"lr=lg:1:2", "log:LOW:HIGH"},
             {"lr=log", "log:LOW:HIGH"},
             {"lr=log:1", "LOW:HIGH"},
             {"lr=log:1:x", "LOW:HIGH"},
             {"lr=log:1:inf", "LOW:HIGH"},
             {"lr=log:2:1", "2 is not below 1"},
             {"lr=log:1:1", "1 is not below 1"},
             {"lr=log:0:1", "log needs bounds above 0"},
             {"lr=log:-1:1", "log needs bounds above 0"},
             {"rank=int:1.5:4", "int needs whole numbers"},
             {"rank=log:1:4", "this setting needs int or choice"},
             {"method=int:1:4", "this setting needs choice"},
             {"rank=int:1:70000", "--rank is 1 to 65536"},
             {"rank=int:-3:4", "--rank wants a whole number"},
             {"warmup-ratio=uniform:0:2", "--warmup-ratio is 0 to 1"},
             {"method=choice:lora,lor", "--method is one of"},
             {"method=choice:lora,lora", "there twice"},
             {"rank=choice:", "--space"},
             {"beta1=uniform:0:2", "--beta1 is"},
             {"max-length=int:8:16", "max-length is not searched"},
             {"model=choice:a,b", "model is not searched"},
             {"threads=int:1:2", "threads is not searched"},
             {"compat=choice:none,reference", "compat is not searched"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    check_refused(RUN(SEARCH, "--space", bad[i].space, "--trials", "2"), 2, bad[i].text);
  check_refused(RUN(SEARCH, LR, "--lr", "0.1"), 2, "lr has both a value and a search range");
  check_refused(RUN(SEARCH, LR, "--space", "lr=log:1:2"), 2, "lr is given twice");
  check_refused(RUN(SEARCH, "--trials", "2"), 2, "needs --space");
  check_refused(RUN(SEARCH, "--space", "lr=log:1:2"), 2, "--trials or --timeout");
  check_refused(RUN(SEARCH, LR, "--timeout", "-1"), 2, "--timeout");
  check_refused(RUN(SEARCH, LR, "--parallel", "0"), 2, "--parallel is 1 to");
  check_refused(RUN(SEARCH, LR, "--eval-every", "0"), 2, "needs evaluations");
  check_refused(RUN(SEARCH, LR, "--sampler", "grid"), 2, "--sampler is one of tpe|random");
  check_refused(RUN("search", DATA, LR), 2, "--output");
  check_refused(RUN("search", DATA, LR, "--output", scratch("what?")), 2, "--storage");
  ck_assert(!exists(scratch("out")));
  (void)mkdir(scratch("out"), 0700);
  write_text(joined(scratch("out"), "other"), "");
  check_refused(RUN(SEARCH, LR), 2, "is not empty");
}
END_TEST

START_TEST(a_config_may_hold_the_space)
{
  const char *config = scratch("config.json");
  fake("asks",
       "{\"number\":0,\"parameters\":{\"lr\":0.02,\"rank\":\"4\",\"targets\":\"query\"}}\n");
  fake("list", "{\"trials\":[{\"number\":0,\"state\":\"complete\",\"value\":0.5,\"parameters\":"
               "{\"lr\":0.02,\"rank\":\"4\",\"targets\":\"query\"}}]}\n");
  write_text(config,
             "{\"epochs\": 2, \"lr\": 0.5, \"space\": {\"lr\": \"log:1e-9:1\", \"rank\": [2, 4], "
             "\"targets\": [\"query,value\", \"query\"]}}\n");
  check_done(RUN(SEARCH, "--config", config, "--space", "lr=log:1e-3:1e-1", "--trials", "1"));
  check_logged("\"lr\":{\"kind\":\"log\",\"low\":0.001");
  check_logged("\"targets\":{\"kind\":\"choice\",\"choices\":[\"query,value\",\"query\"]}");
  json_t *best = parsed(read_text(joined(scratch("out"), "best.json")));
  ck_assert_double_eq(number_at(best, "lr"), 0.02);
  ck_assert_str_eq(json_string_value(json_object_get(best, "targets")), "query");
  /* train knows no space. */
  check_refused(RUN("train", DATA, "--output", scratch("run"), "--config", config), 2, "'space'");

  static const char *const bad[][2] = {{"{\"space\": 3}", "space needs an object"},
                                       {"{\"space\": {\"rank\": []}}", "rank has no choices"},
                                       {"{\"space\": {\"rank\": [[1]]}}", "texts, numbers"},
                                       {"{\"space\": {\"rank\": 3}}", "a text or an array"},
                                       {"{\"space\": {\"rnk\": [3]}}", "the nearest is rank"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    write_text(config, bad[i][0]);
    check_refused(
        RUN("search", DATA, "--output", scratch("none"), "--config", config, "--trials", "1"), 2,
        config, bad[i][1]);
  }
  ck_assert(!exists(scratch("none")));
}
END_TEST

START_TEST(a_dry_run_checks_and_makes_nothing)
{
  setenv("CDL_PYTHON", "/nowhere/python3", 1);
  const outcome o = RUN(SEARCH, LR, "--dry-run");
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.out, "\"lr\""));
  ck_assert(!exists(scratch("out")));
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("search");
  CASE(suite, a_trial_is_what_train_makes_of_its_settings);
  CASE(suite, a_pruned_trial_ends_at_its_evaluation);
  CASE(suite, what_cannot_be_trained_is_told_and_the_search_goes_on);
  CASE(suite, where_no_trial_is_completed_the_search_has_failed);
  CASE(suite, joint_trials_are_runs_of_their_own);
  CASE(suite, trials_share_the_states_of_frozen_layers);
  CASE_THAT_REPEATS(suite, an_interrupted_search_ends_in_the_same_trials);
  CASE(suite, a_signal_while_the_bridge_thinks_is_no_failure);
  CASE(suite, a_trial_that_was_to_be_pruned_is_not_gone_on_with);
  CASE(suite, a_search_waits_for_the_last_trials_of_others);
  CASE(suite, a_trial_that_another_search_has_taken_up_is_lost);
  CASE(suite, a_bridge_that_dies_or_babbles_is_one_line);
  CASE(suite, without_python_one_line_says_what_to_install);
  CASE(suite, bad_spaces_are_wrong_usage);
  CASE(suite, a_config_may_hold_the_space);
  CASE(suite, a_dry_run_checks_and_makes_nothing);
  return run_suite(suite);
}
