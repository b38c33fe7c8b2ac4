/* Runs that are stopped, killed and gone on with: the same bytes as if nothing had happened. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/temporary.h"
#include "tests/programs/program.h"

/* A run long enough to be interrupted: dropout as the model's config has it, evaluations and
 * checkpoints in between. */
#define LONG_RUN OF_EPOCHS("40")
#define OF_EPOCHS(epochs)                                                                 \
  "train", "--model", case_file("bert-condlora-paper", "model"), "--train",               \
      case_file("bert-condlora-paper", "train.tsv"), "--text-columns", "sentence1",       \
      "--label-column", "label", "--batch-size", "4", "--epochs", epochs, "--lr", "0.01", \
      "--checkpoint-every", "7"

static void sleep_ms(unsigned milliseconds)
{
  const struct timespec t = {.tv_sec = milliseconds / 1000,
                             .tv_nsec = (long)(milliseconds % 1000) * 1000000};
  nanosleep(&t, NULL);
}

/* xorshift32: the moments of the kills, the same in every run of the test. */
static unsigned next_random(unsigned *state)
{
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

static void check_same_bytes(const char *a, const char *b, const char *file)
{
  const char *x, *y;
  const size_t n = read_bytes(joined(a, file), &x), m = read_bytes(joined(b, file), &y);
  ck_assert_msg(n == m && memcmp(x, y, n) == 0, "%s differs (%zu and %zu bytes)", file, n, m);
}

/* train.jsonl but for examples_per_s. */
static void check_same_steps(const char *a, const char *b)
{
  const char *p = read_text(joined(a, "train.jsonl")), *q = read_text(joined(b, "train.jsonl"));
  ck_assert_uint_eq(count_lines(p), count_lines(q));
  static const char pace[] = ", \"examples_per_s\"";
  for (size_t line = 1; *p != '\0'; line++) {
    const size_t n = (size_t)(strstr(p, pace) - p), m = (size_t)(strstr(q, pace) - q);
    ck_assert_msg(n == m && memcmp(p, q, n) == 0, "train.jsonl:%zu differs:\n%.*s\n%.*s", line,
                  (int)n, p, (int)m, q);
    p = strchr(p, '\n') + 1;
    q = strchr(q, '\n') + 1;
  }
}

/* The files of a run, but for the timing in metrics.json. */
static void check_same_run(const char *a, const char *b, const char *kept)
{
  check_same_bytes(
      a, b,
      joined(kept, strcmp(kept, "model") == 0 ? "model.safetensors" : "adapter_model.safetensors"));
  check_same_bytes(
      a, b, joined(kept, strcmp(kept, "model") == 0 ? "config.json" : "adapter_config.json"));
  check_same_bytes(a, b, "checkpoint/state.safetensors");
  json_t *x = parsed(read_text(joined(a, "metrics.json"))),
         *y = parsed(read_text(joined(b, "metrics.json")));
  json_object_del(x, "timing");
  json_object_del(y, "timing");
  ck_assert_msg(json_equal(x, y), "metrics.json differs");
  check_same_steps(a, b);
  ck_assert_str_eq(listed(a), listed(b));
}

/* Starts a run, and kills it after some milliseconds; again and again until it is through. */
static void run_with_kills(const char *const *arguments, unsigned *random, unsigned kills)
{
  for (; kills > 0; kills--) {
    const pid_t program = program_start(arguments);
    sleep_ms(3 + next_random(random) % 90);
    kill(program, SIGKILL);
    const outcome o = program_wait(program);
    ck_assert_msg(o.exit == 0 || o.exit == -SIGKILL, "exit status %d: %s", o.exit, o.err);
  }
  check_done(program_run(NULL, arguments));
}

START_TEST(kills_at_any_moment_leave_the_same_bytes)
{
  unsigned random = 20240607;
  const char *whole = scratch("whole"), *killed = scratch("killed"), *alone = scratch("alone");
  check_done(RUN(LONG_RUN, "--threads", "2", "--output", whole));
  run_with_kills(
      (const char *const[]){LONG_RUN, "--threads", "2", "--output", killed, "--resume", NULL},
      &random, 12);
  check_same_run(whole, killed, "adapter");
  /* One thread, then two, and kills in between. */
  run_with_kills(
      (const char *const[]){LONG_RUN, "--threads", "1", "--output", alone, "--resume", NULL},
      &random, 6);
  check_same_run(whole, alone, "adapter");
}
END_TEST

/* A step's examples in one batch or in several, with an uneven last step: 37 of 8. */
START_TEST(batches_of_a_step_may_be_of_any_size)
{
  static const struct {
    const char *method, *data, *option;
  } runs[] = {{"lora", "bert-lora", "--adapter-dropout=0.1"},
              {"lora", "bert-lora-dora", "--use-dora"},
              {"condlora", "bert-condlora-paper", "--targets=query,key,dense"},
              {"adalora", "bert-adalora", "--delta-t=2"},
              {"vera", "bert-vera", "--seed=3"},
              {"bitfit", "bert-bitfit", "--seed=4"},
              {"none", "mpnet-lora", "--class-weights=balanced"},
              {"condlora", "mpnet-condlora-reference", "--compat=reference"}};
  static const char *const cuts[][2] = {{"8", "1"}, {"4", "2"}, {"2", "4"}, {"1", "8"}};
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++)
    for (size_t k = 0; k < sizeof cuts / sizeof cuts[0]; k++) {
      check_done(RUN("train", "--model", case_file(runs[i].data, "model"), "--train",
                     case_file(runs[i].data, "train.tsv"), "--text-columns", "sentence1",
                     "--label-column", "label", "--method", runs[i].method, "--dropout", "0.2",
                     runs[i].option, "--epochs", "2", "--lr", "0.01", "--dev-fraction", "0.1",
                     "--batch-size", cuts[k][0], "--accumulate", cuts[k][1], "--threads",
                     k % 2 == 0 ? "2" : "1", "--output", scratch(text_of("%zu-%zu", i, k))));
      const char *whole = scratch(text_of("%zu-0", i)), *cut = scratch(text_of("%zu-%zu", i, k));
      check_same_bytes(whole, cut, "adapter/adapter_model.safetensors");
      check_same_steps(whole, cut);
    }
}
END_TEST

START_TEST(shards_that_cannot_be_are_refused)
{
  check_refused(RUN(LONG_RUN, "--shards", "8", "--accumulate", "3", "--output", scratch("out")), 2,
                "--shards 8", "--accumulate 3");
  ck_assert(!exists(scratch("out")));
}
END_TEST

/* A run of a version that had fewer settings, --shards among those that it lacked. */
START_TEST(a_run_of_an_earlier_version_goes_on)
{
  const char *earlier = text_of("%s/tests/data/runs/before-shards", getenv("CDL_SOURCE")),
             *out = copied_folder(earlier, "out");
  ck_assert_int_eq(mkdir(joined(out, "checkpoint"), 0700), 0);
  ck_assert_int_eq(
      rename(joined(out, "state.safetensors"), joined(out, "checkpoint/state.safetensors")), 0);
#define OF_EARLIER OF_EPOCHS("3"), "--rank", "2", "--output", out, "--resume"
  check_refused(RUN(OF_EARLIER, "--shards", "2"), 2, "another shards");
  check_done(RUN(OF_EARLIER));
  ck_assert_uint_eq(count_lines(read_text(joined(out, "train.jsonl"))), 27);
}
END_TEST

START_TEST(a_resumed_run_may_use_another_number_of_threads)
{
  const char *whole = scratch("whole"), *changed = scratch("changed");
  check_done(RUN(LONG_RUN, "--threads", "1", "--output", whole));
  const pid_t program =
      program_start((const char *const[]){LONG_RUN, "--threads", "1", "--output", changed, NULL});
  sleep_ms(60);
  kill(program, SIGKILL);
  (void)program_wait(program);
  check_done(RUN(LONG_RUN, "--threads", "2", "--output", changed, "--resume"));
  check_same_run(whole, changed, "adapter");
}
END_TEST

/* Only decompositions come from OpenBLAS, and only some methods begin with one. */
START_TEST(another_library_is_said_where_it_may_change_bytes)
{
#if defined(__x86_64__)
  const char *plain = scratch("plain"), *singular = scratch("singular");
#define OF_STEPS(steps) LONG_RUN, "--max-steps", steps, "--resume", "--output"
  check_done(RUN(OF_STEPS("3"), plain));
  outcome o = RUN(OF_STEPS("3"), singular, "--method", "lora", "--init", "pissa");
  check_done(o);
  const json_t *run = parsed(read_text(joined(singular, "run.json")));
  const char *kernels = json_string_value(json_object_get(run, "kernels"));
  ck_assert_msg(strstr(kernels, ", decompositions by OpenBLAS 0.") != NULL, "%s", kernels);
  o = RUN(OF_STEPS("4"), singular, "--method", "lora", "--init", "pissa");
  check_done(o);
  ck_assert_msg(strstr(o.err, "the run was started on") == NULL, "%s", o.err);

  setenv("OPENBLAS_CORETYPE", "Nehalem", 1);
  o = RUN(OF_STEPS("4"), plain);
  check_done(o);
  ck_assert_msg(strstr(o.err, "the run was started on") == NULL, "%s", o.err);
  o = RUN(OF_STEPS("5"), singular, "--method", "lora", "--init", "pissa");
  check_done(o);
  ck_assert_msg(strstr(o.err, "the run was started on") != NULL &&
                    strstr(o.err, "Nehalem: results may differ") != NULL,
                "%s", o.err);
  unsetenv("OPENBLAS_CORETYPE");
#endif
}
END_TEST

START_TEST(kills_of_other_methods_leave_the_same_bytes)
{
  static const struct {
    const char *method, *data, *kept, *option;
  } runs[] = {{"full", "roberta-full", "model", "--seed=42"},
              {"bitfit", "bert-bitfit", "adapter", "--seed=42"},
              {"lora", "bert-lora", "adapter", "--init=kaiming"},
              {"lora", "bert-lora", "adapter", "--init=pissa"}, /* taken off the weights again */
              {"adalora", "bert-lora", "adapter", "--delta-t=2"},
              {"condadalora", "bert-lora", "adapter", "--tinit=5"},
              {"vera", "bert-lora", "adapter", "--projection-prng-key=3"},
              {"lora-xs", "bert-lora", "adapter", "--rank=3"},
              {"shared", "bert-lora", "adapter", "--init=gaussian"},
              {"lora", "bert-lora", "adapter", "--use-dora"},
              {"lora", "bert-lora", "adapter", "--dylora-rank-min=2"},
              {"condlora", "roberta-condlora-type1", "adapter", "--use-x=type1"},
              {"condlora", "bert-condlora-type2", "adapter", "--use-x=type2"},
              {"condlora", "bert-lora", "adapter", "--condition=random"},
              {"condlora", "bert-lora", "adapter", "--condition=permuted"},
              {"condlora", "bert-lora", "adapter", "--gates"},
              {"full", "mpnet-full", "model", "--seed=7"}, /* attention's bias too */
              {"condlora", "mpnet-lora", "adapter", "--rank=3"}};
  unsigned random = 7;
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
#define METHOD_RUN                                                                           \
  "train", "--model", case_file(runs[i].data, "model"), "--train",                           \
      case_file(runs[i].data, "train.tsv"), "--text-columns", "sentence1", "--label-column", \
      "label", "--batch-size", "4", "--accumulate", "2", "--epochs", "20", "--lr", "0.01",   \
      "--checkpoint-every", "3", "--eval-every", "4", "--early-stopping", "9", "--method",   \
      runs[i].method, runs[i].option
    const char *whole = scratch(text_of("%s%s", runs[i].method, runs[i].option)),
               *killed = scratch(text_of("killed-%s%s", runs[i].method, runs[i].option));
    check_done(RUN(METHOD_RUN, "--output", whole));
    run_with_kills((const char *const[]){METHOD_RUN, "--output", killed, "--resume", NULL}, &random,
                   6);
    check_same_run(whole, killed, runs[i].kept);
#undef METHOD_RUN
  }
}
END_TEST

START_TEST(kills_leave_the_same_bytes_of_several_labels_and_numbers)
{
  static const char *const runs[][3] = {
      {"bert-lora-multi-label", "label", "--multi-label"},
      {"roberta-condlora-numbers", "number0,number1,number2", "--regression"}};
  unsigned random = 11;
  for (size_t i = 0; i < 2; i++) {
    const bool labels = i == 0;
    const char *data = runs[i][0], *whole = scratch(runs[i][2]), *killed = scratch(data);
#define KIND_RUN                                                                         \
  "train", "--model", case_file(data, "model"), "--train", case_file(data, "train.tsv"), \
      "--text-columns", labels ? "sentence1" : "sentence1,sentence2", "--label-column",  \
      runs[i][1], runs[i][2], "--batch-size", "4", "--epochs", "30", "--lr", "0.01",     \
      "--checkpoint-every", "3", "--eval-every", "5", "--metric", labels ? "macro_f1" : "mae"
#define SEPARATOR labels ? "--label-separator=|" : "--seed=42"
    check_done(RUN(KIND_RUN, SEPARATOR, "--output", whole));
    run_with_kills((const char *const[]){KIND_RUN, SEPARATOR, "--output", killed, "--resume", NULL},
                   &random, 6);
    check_same_run(whole, killed, "adapter");
#undef SEPARATOR
#undef KIND_RUN
  }
}
END_TEST

static void check_stop(int signal_number, const char *whole, const char *out)
{
  const pid_t program =
      program_start_held((const char *const[]){LONG_RUN, "--output", out, NULL}, out);
  kill(program, signal_number);
  kill(program, SIGCONT);
  const outcome o = program_wait(program);
  ck_assert_msg(o.exit == 128 + signal_number, "exit status %d: %s", o.exit, o.err);
  const char *last = strstr(o.err, "condlora: stopped after step ");
  ck_assert_msg(last != NULL && count_lines(last) == 1, "%s", o.err);
  ck_assert_ptr_nonnull(strstr(last, "--resume"));
  ck_assert_ptr_nonnull(strstr(last, out));
  ck_assert_str_eq(o.out, "");
  ck_assert(exists(joined(out, "checkpoint/state.safetensors")));
  ck_assert(!exists(joined(out, "metrics.json")));
  check_done(RUN(LONG_RUN, "--output", out, "--resume"));
  check_same_run(whole, out, "adapter");
}

START_TEST(signals_save_and_say_how_to_go_on)
{
  const char *whole = scratch("whole");
  check_done(RUN(LONG_RUN, "--output", whole));
  check_stop(SIGINT, whole, scratch("interrupted"));
  check_stop(SIGTERM, whole, scratch("terminated"));
}
END_TEST

START_TEST(a_second_signal_ends_at_once)
{
  const char *out = scratch("out");
  const pid_t program =
      program_start_held((const char *const[]){LONG_RUN, "--output", out, NULL}, out);
  /* Both wait for the stopped program and arrive before it can take another step. */
  kill(program, SIGINT);
  kill(program, SIGTERM);
  kill(program, SIGCONT);
  const outcome o = program_wait(program);
  ck_assert_msg(o.exit == 130 || o.exit == 143, "exit status %d: %s", o.exit, o.err);
  ck_assert_ptr_null(strstr(o.err, "stopped after"));
}
END_TEST

START_TEST(a_signal_ends_predict_with_a_word_or_none)
{
  const char *rows = scratch("rows.txt"), *out = scratch("labels.jsonl");
  FILE *file = fopen(rows, "w");
  ck_assert_ptr_nonnull(file);
  for (int i = 0; i < 20000; i++)
    fputs("the old kettle sings under the bridge\n", file);
  ck_assert_int_eq(fclose(file), 0);
  for (unsigned wait = 20; wait < 500; wait += 60) {
    const pid_t program = program_start((const char *const[]){
        "predict", "--model", case_file("bert-lora", "model"), "--adapter",
        case_file("bert-lora", "adapter"), "--input", rows, "--output", out, NULL});
    sleep_ms(wait);
    kill(program, SIGINT);
    const outcome o = program_wait(program);
    if (o.exit == -SIGINT) /* before it could listen */
      continue;
    if (o.exit == 0) /* too fast for this moment */
      break;
    ck_assert_msg(o.exit == 130, "exit status %d: %s", o.exit, o.err);
    ck_assert_msg(o.err[0] == '\0' || strstr(o.err, "condlora: stopped") != NULL, "%s", o.err);
    ck_assert(!exists(out));
  }
}
END_TEST

START_TEST(resume_without_a_checkpoint_starts_afresh)
{
  const char *whole = scratch("whole"), *out = scratch("out");
  check_done(RUN(LONG_RUN, "--max-steps", "9", "--output", whole));
  const outcome o = RUN(LONG_RUN, "--max-steps", "9", "--output", out, "--resume");
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.err, "afresh"));
  check_same_run(whole, out, "adapter");
}
END_TEST

/* ---- By the run's own settings ---- */

START_TEST(resume_needs_nothing_but_the_folder)
{
  const char *whole = scratch("whole"), *out = scratch("out");
  check_done(RUN(LONG_RUN, "--seed", "7", "--dev-fraction", "0.2", "--output", whole));
  const pid_t program =
      program_start_held((const char *const[]){LONG_RUN, "--seed", "7", "--dev-fraction", "0.2",
                                               "--output", out, NULL},
                         out);
  kill(program, SIGTERM);
  kill(program, SIGCONT);
  (void)program_wait(program);
  /* What is given besides must agree, or be free to change. */
  check_refused(RUN("train", "--resume", "--output", out, "--lr", "0.02"), 2, "run.json", "lr 0.01",
                "0.02");
  check_refused(RUN("train", "--resume", "--output", out, "--method", "lora"), 2, "\"condlora\"",
                "\"lora\"");
  check_refused(RUN("train", "--resume", "--output", out, "--epochs", "39"), 2, "40 epochs", "39");
  check_done(
      RUN("train", "--resume", "--output", out, "--lr", "1e-2", "--threads", "1", "--seed=7"));
  check_same_run(whole, out, "adapter");
  check_refused(RUN("train", "--resume", "--output", scratch("none")), 2, "none", "run.json");
  ck_assert(!exists(scratch("none")));
}
END_TEST

/* The base and the examples are known by their content. */
START_TEST(a_run_goes_on_with_inputs_that_were_moved)
{
  const char *whole = scratch("whole"), *out = scratch("out"), *rows = scratch("rows.tsv"),
             *moved = scratch("moved.tsv"),
             *text = read_text(case_file("bert-condlora-paper", "train.tsv"));
#define MOVABLE(file)                                                             \
  "train", "--model", case_file("bert-condlora-paper", "model"), "--train", file, \
      "--text-columns", "sentence1", "--label-column", "label", "--max-steps", "9", "--output"
  write_text(rows, text);
  check_done(RUN(MOVABLE(rows), whole));
  check_done(RUN(MOVABLE(rows), out));
  ck_assert_int_eq(rename(rows, moved), 0);
  check_refused(RUN("train", "--resume", "--output", out), 1, "rows.tsv");
  check_done(RUN("train", "--resume", "--output", out, "--train", moved));
  write_text(moved, text_of("%sThe lamp\tno\n", text));
  check_refused(RUN("train", "--resume", "--output", out, "--train", moved), 2, "set of examples");
#undef MOVABLE
}
END_TEST

/* At a constant rate, a run that was made longer is the longer run. */
START_TEST(more_epochs_go_on_where_the_run_ended)
{
  const char *whole = scratch("whole"), *out = scratch("out"), *linear = scratch("linear");
  check_done(RUN(OF_EPOCHS("6"), "--schedule", "constant", "--output", whole));
  check_done(RUN(OF_EPOCHS("4"), "--schedule", "constant", "--output", out));
  const outcome o = RUN("train", "--resume", "--output", out, "--epochs", "6");
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.err, "schedule of the new length"));
  check_same_run(whole, out, "adapter");
  check_refused(RUN("train", "--resume", "--output", out, "--epochs", "5"), 2, "6 epochs");

  /* Else its rate is the longer schedule's from there on: peak · (1 − done / all). */
  check_done(RUN(LONG_RUN, "--max-steps", "5", "--output", linear));
  check_done(RUN("train", "--resume", "--output", linear, "--max-steps", "8"));
  const char *line = read_text(joined(linear, "train.jsonl"));
  for (int step = 0; step < 8; step++, line = strchr(line, '\n') + 1) {
    const char *end = strchr(line, '\n');
    char *copy = strndup(line, (size_t)(end - line));
    ck_assert_double_eq_tol(number_at(parsed(copy), "lr"),
                            0.01 * (1 - (double)step / (step < 5 ? 5 : 8)), 1e-15);
    free(copy);
  }
  check_refused(RUN("train", "--resume", "--output", linear, "--epochs", "50"), 2, "8 steps",
                "--max-steps");
}
END_TEST

/* For whoever takes an adapter, a run's folder is its adapter's. */
START_TEST(the_folder_of_a_run_is_its_adapter)
{
  const char *out = scratch("out"), *model = case_file("bert-condlora-paper", "model"),
             *rows = case_file("bert-condlora-paper", "train.tsv"),
             *adapter = joined(out, "adapter");
  check_done(RUN(LONG_RUN, "--max-steps", "3", "--output", out));
#define BOTH(command, ...)                                                            \
  ck_assert_str_eq(RUN(command, "--model", model, "--adapter", out, __VA_ARGS__).out, \
                   RUN(command, "--model", model, "--adapter", adapter, __VA_ARGS__).out)
  BOTH("predict", "--input", rows);
  BOTH("eval", "--input", rows);
#undef BOTH
  ck_assert_str_eq(RUN("inspect", out).out, RUN("inspect", adapter).out);
  check_done(RUN("export", "--model", model, "--adapter", out, "--output", scratch("peft")));
  check_done(RUN("merge", "--model", model, "--adapter", out, "--output", scratch("merged")));
  check_done(RUN("analyze", "conversion", "--model", model, "--adapter", out));
  check_done(RUN(LONG_RUN, "--max-steps", "1", "--init-adapter", out, "--output", scratch("on")));
  /* Merged, it still says what it was trained on. */
  ck_assert_uint_gt(count_lines(RUN("predict", "--model", scratch("merged"), "--input", rows).out),
                    0);
}
END_TEST

START_TEST(a_record_repeats_its_run)
{
  const char *out = scratch("out"), *again = scratch("again"), *other = scratch("other");
  check_done(RUN(LONG_RUN, "--max-steps", "9", "--rank", "3", "--trace", scratch("trace.json"),
                 "--output", out));
  ck_assert_int_eq(unlink(scratch("trace.json")), 0);
  check_done(RUN("train", "--config", joined(out, "run.json"), "--output", again));
  check_same_run(out, again, "adapter");
  ck_assert(!exists(scratch("trace.json")));
  check_refused(RUN("train", "--config", joined(out, "run.json")), 2, "--output");
  /* Options win, and a run from an adapter repeats too. */
  check_done(RUN("train", "--config", joined(out, "run.json"), "--rank", "2", "--output", other));
  ck_assert_double_eq(
      number_at(json_object_get(parsed(read_text(joined(other, "run.json"))), "settings"), "rank"),
      2);
  const char *from = scratch("from"), *repeated = scratch("repeated");
  check_done(RUN(LONG_RUN, "--max-steps", "4", "--init-adapter", joined(other, "adapter"),
                 "--output", from));
  check_done(RUN("train", "--config", joined(from, "run.json"), "--output", repeated));
  check_same_run(from, repeated, "adapter");
}
END_TEST

START_TEST(resume_of_a_finished_run_does_nothing)
{
  const char *out = scratch("out"), *before, *after;
  const outcome first = RUN(LONG_RUN, "--max-steps", "9", "--output", out);
  check_done(first);
  const size_t bytes = read_bytes(joined(out, "metrics.json"), &before);
  const outcome o = RUN(LONG_RUN, "--max-steps", "9", "--output", out, "--resume");
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.err, "finished"));
  ck_assert_str_eq(o.out, first.out);
  ck_assert_uint_eq(read_bytes(joined(out, "metrics.json"), &after), bytes);
  ck_assert_mem_eq(before, after, bytes);
}
END_TEST

static void leave_temporary(const char *place)
{
  char *left;
  int descriptor;
  ck_assert(base_temporary_file(place, &left, &descriptor));
  ck_assert_int_eq(write(descriptor, "half", 4), 4);
  close(descriptor);
  free(left);
}

START_TEST(what_a_killed_run_left_half_written_is_swept)
{
  const char *out = scratch("out");
  check_done(RUN(LONG_RUN, "--max-steps", "9", "--output", out));
  const char *before = listed(out);
  leave_temporary(joined(out, "checkpoint/state.safetensors"));
  leave_temporary(joined(out, "adapter/adapter_model.safetensors"));
  leave_temporary(joined(out, "metrics.json"));
  ck_assert_str_ne(listed(out), before);
  check_done(RUN(LONG_RUN, "--max-steps", "9", "--output", out, "--resume"));
  ck_assert_str_eq(listed(out), before);
  write_text(joined(out, "metrics.json.tmp-backup"), "mine");
  before = listed(out);
  check_done(RUN(LONG_RUN, "--max-steps", "9", "--output", out, "--resume"));
  ck_assert_str_eq(listed(out), before);
}
END_TEST

START_TEST(a_folder_that_is_not_empty_is_refused)
{
  const char *out = scratch("out");
  mkdir(out, 0700);
  write_text(joined(out, "letter.txt"), "dear all");
  check_refused(RUN(LONG_RUN, "--output", out), 2, out, "--resume");
  ck_assert_str_eq(listed(out), "letter.txt\n");
}
END_TEST

START_TEST(resume_wants_the_settings_of_the_start)
{
  const char *out = scratch("out");
  check_done(RUN(LONG_RUN, "--max-steps", "9", "--output", out));
  check_refused(RUN(LONG_RUN, "--max-steps", "9", "--output", out, "--resume", "--seed", "5"), 2,
                "seed", out);
  check_refused(RUN(LONG_RUN, "--max-steps", "8", "--output", out, "--resume"), 2, "9 steps", out);
}
END_TEST

START_TEST(a_damaged_checkpoint_is_named)
{
  const char *out = scratch("out"), *path = joined(out, "checkpoint/state.safetensors"), *bytes;
  check_done(RUN(LONG_RUN, "--max-steps", "9", "--output", out));
  const size_t count = read_bytes(path, &bytes);
  write_bytes(path, bytes, count / 2);
  check_refused(RUN(LONG_RUN, "--max-steps", "9", "--output", out, "--resume"), 1,
                "state.safetensors");
  char *changed = malloc(count);
  ck_assert_ptr_nonnull(changed);
  memcpy(changed, bytes, count);
  changed[count - 5] ^= 1;
  write_bytes(path, changed, count);
  free(changed);
  check_refused(RUN(LONG_RUN, "--max-steps", "9", "--output", out, "--resume"), 1,
                "state.safetensors");
}
END_TEST

START_TEST(a_log_that_was_cut_is_named)
{
  const char *out = scratch("out"), *log = joined(out, "train.jsonl"), *bytes;
  check_done(RUN(LONG_RUN, "--max-steps", "9", "--output", out));
  ck_assert_int_eq(unlink(joined(out, "metrics.json")), 0);
  const size_t count = read_bytes(log, &bytes);
  write_bytes(log, bytes, count - 10);
  const char *before = listed(out);
  check_refused(RUN(LONG_RUN, "--max-steps", "9", "--output", out, "--resume"), 1, "train.jsonl",
                text_of("%zu", count), text_of("%zu", count - 10));
  ck_assert_str_eq(listed(out), before);
  ck_assert_int_eq(unlink(log), 0);
  check_refused(RUN(LONG_RUN, "--max-steps", "9", "--output", out, "--resume"), 1, "train.jsonl");
  ck_assert(!exists(log));
}
END_TEST

START_TEST(metrics_that_no_run_wrote_are_named)
{
  static const char *const wrong[] = {"",
                                      "{",
                                      "[]",
                                      "{}",
                                      "{\"method\": \"condlora\"}",
                                      "{\"method\": 3, \"kept\": {}, \"timing\": {}}"};
  const char *out = scratch("out");
  check_done(RUN(LONG_RUN, "--max-steps", "9", "--output", out));
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    write_text(joined(out, "metrics.json"), wrong[i]);
    check_refused(RUN(LONG_RUN, "--max-steps", "9", "--output", out, "--resume"), 1,
                  "metrics.json");
  }
}
END_TEST

START_TEST(other_contents_under_the_same_paths_are_noticed)
{
  const char *out = scratch("out"), *data = scratch("data.tsv");
  const char *model = copied_folder(case_file("bert-condlora-paper", "model"), "model");
  write_text(data, "text\tlabel\nthe old kettle\tno\na cold river\tyes\nthe lamp\tno\n");
#define DATA_RUN                                                                                   \
  "train", "--model", model, "--train", data, "--text-columns", "text", "--label-column", "label", \
      "--max-steps", "3", "--eval-every", "0", "--output", out
  check_done(RUN(DATA_RUN));
  check_done(RUN(DATA_RUN, "--resume"));
  write_text(data, "text\tlabel\nthe old kettle\tno\na cold river\tyes\nthe lamp\tyes\n");
  check_refused(RUN(DATA_RUN, "--resume"), 2, "state.safetensors", "examples");
  write_text(data, "text\tlabel\nthe old kettle\tno\na cold river\tyes\nthe lamp\tno\n");
  const char *bytes;
  const size_t count = read_bytes(joined(model, "model.safetensors"), &bytes);
  char *changed = malloc(count);
  ck_assert_ptr_nonnull(changed);
  memcpy(changed, bytes, count);
  uint64_t header;
  memcpy(&header, bytes, sizeof header);
  changed[sizeof header + header] ^= 1; /* of the first tensor's first number */
  write_bytes(joined(model, "model.safetensors"), changed, count);
  free(changed);
  check_refused(RUN(DATA_RUN, "--resume"), 2, "state.safetensors", "base model");
#undef DATA_RUN
}
END_TEST

/* The numbers of closed streams would go to the next files that are opened. */
START_TEST(closed_streams_write_into_no_file)
{
  const char *whole = scratch("whole"), *out = scratch("out");
  check_done(RUN(LONG_RUN, "--max-steps", "9", "--output", whole));
  const char *command = text_of(
      "'%s' train --model '%s' --train '%s' --text-columns sentence1 --label-column label "
      "--batch-size 4 --epochs 40 --lr 0.01 --checkpoint-every 7 --max-steps 9 --output '%s' "
      "<&- >&- 2>&-",
      getenv("CDL_PROGRAM"), case_file("bert-condlora-paper", "model"),
      case_file("bert-condlora-paper", "train.tsv"), out);
  const int status = system(command);
  ck_assert_int_eq(WEXITSTATUS(status), 1); /* the table at the end could not be printed */
  check_same_run(whole, out, "adapter");
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("resume");
  CASE(suite, kills_at_any_moment_leave_the_same_bytes);
  CASE(suite, batches_of_a_step_may_be_of_any_size);
  CASE(suite, shards_that_cannot_be_are_refused);
  CASE(suite, a_run_of_an_earlier_version_goes_on);
  CASE(suite, a_resumed_run_may_use_another_number_of_threads);
  CASE(suite, another_library_is_said_where_it_may_change_bytes);
  CASE_THAT_REPEATS(suite, kills_of_other_methods_leave_the_same_bytes);
  CASE_THAT_REPEATS(suite, kills_leave_the_same_bytes_of_several_labels_and_numbers);
  CASE(suite, signals_save_and_say_how_to_go_on);
  CASE(suite, a_second_signal_ends_at_once);
  CASE(suite, a_signal_ends_predict_with_a_word_or_none);
  CASE(suite, resume_without_a_checkpoint_starts_afresh);
  CASE(suite, resume_needs_nothing_but_the_folder);
  CASE(suite, a_run_goes_on_with_inputs_that_were_moved);
  CASE(suite, more_epochs_go_on_where_the_run_ended);
  CASE(suite, the_folder_of_a_run_is_its_adapter);
  CASE(suite, a_record_repeats_its_run);
  CASE(suite, resume_of_a_finished_run_does_nothing);
  CASE(suite, what_a_killed_run_left_half_written_is_swept);
  CASE(suite, a_folder_that_is_not_empty_is_refused);
  CASE(suite, resume_wants_the_settings_of_the_start);
  CASE(suite, a_damaged_checkpoint_is_named);
  CASE(suite, a_log_that_was_cut_is_named);
  CASE(suite, metrics_that_no_run_wrote_are_named);
  CASE(suite, other_contents_under_the_same_paths_are_noticed);
  CASE(suite, closed_streams_write_into_no_file);
  return run_suite(suite);
}
