/* Signals: those that ask a run to save, those that nobody may take over, and the one that says
 * that a mapped file is gone. */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "condlora/backend.h"
#include "tests/programs/program.h"
#include "tests/required.h"

#define LONG_RUN                                                                        \
  "train", "--model", case_file("bert-condlora-paper", "model"), "--train",             \
      case_file("bert-condlora-paper", "train.tsv"), "--text-columns", "sentence1",     \
      "--label-column", "label", "--batch-size", "4", "--epochs", "40", "--lr", "0.01", \
      "--checkpoint-every", "7"

static void wait_a_moment(void)
{
  const struct timespec moment = {.tv_nsec = 1000000};
  nanosleep(&moment, NULL);
}

static void check_same_file(const char *a, const char *b, const char *file)
{
  const char *x, *y;
  const size_t n = read_bytes(joined(a, file), &x), m = read_bytes(joined(b, file), &y);
  ck_assert_msg(n == m && memcmp(x, y, n) == 0, "%s differs", file);
}

/* ---- Saving ---- */

static void check_saves(int number, int times, const char *whole)
{
  const char *out = scratch(text_of("stopped-%d-%d", number, times));
  const pid_t program = program_start_held(
      (const char *const[]){LONG_RUN, "--backend", "cpu", "--output", out, NULL}, out);
  kill(program, number);
  kill(program, SIGCONT);
  for (int i = 1; i < times; i++) {
    wait_a_moment();
    kill(program, number);
  }
  const outcome o = program_wait(program);
  ck_assert_msg(o.exit == 128 + number, "exit status %d: %.2000s", o.exit, o.err);
  const char *last = strstr(o.err, "condlora: stopped after step ");
  ck_assert_msg(last != NULL && count_lines(last) == 1, "%.2000s", o.err);
  check_done(RUN(LONG_RUN, "--backend", "cpu", "--output", out, "--resume"));
  check_same_file(whole, out, "checkpoint/state.safetensors");
  check_same_file(whole, out, "adapter/adapter_model.safetensors");
}

START_TEST(a_lost_terminal_and_a_batch_systems_warning_save)
{
  const char *whole = scratch("whole");
  check_done(RUN(LONG_RUN, "--backend", "cpu", "--output", whole));
  check_saves(SIGHUP, 1, whole);
  check_saves(SIGUSR1, 1, whole);
  check_saves(SIGHUP, 3, whole); /* as a shell and the kernel send it */
}
END_TEST

START_TEST(a_second_signal_ends_at_once)
{
  const char *out = scratch("out");
  const pid_t program =
      program_start_held((const char *const[]){LONG_RUN, "--output", out, NULL}, out);
  /* Which comes first is open: two threads may take one each. */
  kill(program, SIGTERM);
  kill(program, SIGUSR1);
  kill(program, SIGCONT);
  const outcome o = program_wait(program);
  ck_assert_msg(o.exit == 138 || o.exit == 143, "exit status %d: %.2000s", o.exit, o.err);
  ck_assert_ptr_null(strstr(o.err, "stopped after"));
}
END_TEST

START_TEST(what_was_ignored_stays_ignored)
{
  const char *out = scratch("out");
  signal(SIGHUP, SIG_IGN);
  signal(SIGUSR1, SIG_IGN);
  const pid_t program =
      program_start_held((const char *const[]){LONG_RUN, "--output", out, NULL}, out);
  signal(SIGHUP, SIG_DFL);
  signal(SIGUSR1, SIG_DFL);
  kill(program, SIGHUP);
  kill(program, SIGUSR1);
  kill(program, SIGCONT);
  check_done(program_wait(program));
}
END_TEST

/* ---- Drivers ---- */

typedef struct {
  char handlers[32]; /* the bits of the signals that are caught, in hexadecimal */
  bool has_compiler; /* a driver's LLVM is loaded */
} process_facts;

/* Of a run whose backend is open and has its weights. */
static process_facts facts_of_run(const char *backend)
{
  process_facts f = {.has_compiler = false};
  char line[4096];
  const char *out = scratch(text_of("run-on-%s", backend));
  const pid_t program = program_start_held(
      (const char *const[]){LONG_RUN, "--backend", backend, "--output", out, NULL}, out);
  FILE *file = fopen(text_of("/proc/%ld/status", (long)program), "r");
  ck_assert_ptr_nonnull(file);
  while (fgets(line, sizeof line, file) != NULL)
    (void)sscanf(line, "SigCgt: %31s", f.handlers);
  fclose(file);
  file = fopen(text_of("/proc/%ld/maps", (long)program), "r");
  ck_assert_ptr_nonnull(file);
  while (fgets(line, sizeof line, file) != NULL)
    f.has_compiler = f.has_compiler || strstr(line, "LLVM") != NULL;
  fclose(file);
  kill(program, SIGKILL);
  kill(program, SIGCONT);
  (void)program_wait(program);
  ck_assert_uint_eq(strlen(f.handlers), 16);
  return f;
}

static bool has_opencl(void)
{
  cdl_backend *backend;
  const cdl_status status = cdl_backend_open("opencl", NULL, &backend);
  if (status != CDL_STATUS_OK) {
    ck_assert_msg(!is_required("opencl"), "%s", cdl_error_message());
    printf("skipped: opencl: %s\n", cdl_error_message());
    return false;
  }
  const bool on_processor = strstr(cdl_backend_description(backend), "Portable") != NULL;
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
  if (!on_processor)
    printf("skipped: opencl: its device is not the processor\n");
  return on_processor;
}

START_TEST(drivers_take_no_signals_over)
{
  if (!has_opencl())
    return;
  const process_facts cpu = facts_of_run("cpu"), opencl = facts_of_run("opencl"),
                      automatic = facts_of_run("auto");
  ck_assert_str_eq(opencl.handlers, cpu.handlers);
  ck_assert_str_eq(automatic.handlers, cpu.handlers);
  ck_assert(!cpu.has_compiler);
  ck_assert(!automatic.has_compiler); /* which ends on the CPU */
}
END_TEST

/* ---- Mapped files ---- */

static void check_cut(const char *file, const char *const *arguments)
{
  setenv("LD_PRELOAD", getenv("CDL_CUT_WHEN_MAPPED"), 1);
  char resolved[PATH_MAX];
  ck_assert_ptr_nonnull(realpath(file, resolved));
  setenv("CUT_FILE", resolved, 1);
  const outcome o = program_run(NULL, arguments);
  unsetenv("LD_PRELOAD");
  check_refused_with(o, 1, (const char *const[]){file, "cannot be read on", "cut short", NULL});
}

START_TEST(a_file_that_is_cut_while_it_is_read_is_named)
{
  if (getenv("CDL_CUT_WHEN_MAPPED") == NULL) {
    puts("skipped: a_file_that_is_cut_while_it_is_read_is_named: a sanitizer comes before what is "
         "preloaded");
    return;
  }
  static const char *const files[] = {"config.json", "model.safetensors", "vocab.txt"};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    const char *model = copied_folder(case_file("bert-lora", "model"), text_of("model-%zu", i));
    if (!exists(joined(model, files[i])))
      continue;
    check_cut(joined(model, files[i]),
              (const char *const[]){"predict", "--model", model, "--adapter",
                                    case_file("bert-lora", "adapter"), "--input",
                                    case_file("bert-lora", "train.tsv"), "--text-columns",
                                    "sentence1", "--backend", "cpu", NULL});
  }
  const char *adapter = copied_folder(case_file("bert-lora", "adapter"), "adapter");
  check_cut(joined(adapter, "adapter_model.safetensors"),
            (const char *const[]){"merge", "--model", case_file("bert-lora", "model"), "--adapter",
                                  adapter, "--output", scratch("merged"), "--backend", "cpu",
                                  NULL});
  const char *rows = scratch("train.tsv");
  write_text(rows, read_text(case_file("bert-lora", "train.tsv")));
  check_cut(rows, (const char *const[]){"train", "--model", case_file("bert-lora", "model"),
                                        "--train", rows, "--text-columns", "sentence1",
                                        "--label-column", "label", "--max-steps", "2", "--backend",
                                        "cpu", "--output", scratch("out"), NULL});
  ck_assert(!exists(scratch("out")));
}
END_TEST

/* ---- A base that changes while it is used ---- */

/* Trains on a copy of a base, of which `change` makes something else in the middle of a step. */
static outcome train_while(void (*change)(const char *file), const char *out, const char **file)
{
  const char *model = copied_folder(case_file("bert-lora", "model"), text_of("model-of-%s", out));
  *file = joined(model, "model.safetensors");
  const pid_t program =
      program_start_held((const char *const[]){"train",
                                               "--model",
                                               model,
                                               "--train",
                                               case_file("bert-lora", "train.tsv"),
                                               "--text-columns",
                                               "sentence1",
                                               "--label-column",
                                               "label",
                                               "--epochs",
                                               "100",
                                               "--batch-size",
                                               "4",
                                               "--eval-every",
                                               "0",
                                               "--checkpoint-every",
                                               "7",
                                               "--backend",
                                               "cpu",
                                               "--output",
                                               scratch(out),
                                               NULL},
                         scratch(out));
  change(*file);
  kill(program, SIGCONT);
  return program_wait(program);
}

static void write_in_place(const char *file)
{
  const char *bytes;
  const size_t count = read_bytes(file, &bytes);
  const int descriptor = open(file, O_WRONLY);
  ck_assert_int_ge(descriptor, 0);
  ck_assert_int_eq(write(descriptor, bytes, count), (ssize_t)count);
  close(descriptor);
}

static void replace(const char *file)
{
  const char *other = scratch("other");
  write_text(other, "another model");
  ck_assert_int_eq(rename(other, file), 0);
}

static void cut(const char *file)
{
  ck_assert_int_eq(truncate(file, 0), 0);
}

START_TEST(a_base_that_is_overwritten_in_use_is_named)
{
  const char *file;
  outcome o = train_while(write_in_place, "overwritten", &file);
  ck_assert_msg(o.exit == 1, "exit status %d: %.2000s", o.exit, o.err);
  ck_assert_msg(strstr(o.err, text_of("condlora: %s: was overwritten while it was in use", file)) !=
                    NULL,
                "%.2000s", o.err);
  ck_assert(!exists(joined(scratch("overwritten"), "metrics.json")));
  ck_assert(!exists(joined(scratch("overwritten"), "adapter/adapter_model.safetensors")));

  o = train_while(cut, "cut", &file);
  ck_assert_msg(o.exit == 1, "exit status %d: %.2000s", o.exit, o.err);
  ck_assert_msg(strstr(o.err, file) != NULL && strstr(o.err, "cut short") != NULL, "%.2000s",
                o.err);

  /* The mapping still has the old file. */
  check_done(train_while(replace, "replaced", &file));
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("signals");
  CASE(suite, a_lost_terminal_and_a_batch_systems_warning_save);
  CASE(suite, a_second_signal_ends_at_once);
  CASE(suite, what_was_ignored_stays_ignored);
  CASE(suite, drivers_take_no_signals_over);
  CASE(suite, a_file_that_is_cut_while_it_is_read_is_named);
  CASE(suite, a_base_that_is_overwritten_in_use_is_named);
  return run_suite(suite);
}
