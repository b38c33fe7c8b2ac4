/* Two processes and one folder: the second is refused and changes nothing; a lock dies with its
 * process. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>

#include "base/lock.h"
#include "base/path.h"
#include "tests/programs/program.h"

extern char **environ;

#define TRAIN(output)                                                                   \
  "train", "--model", case_file("bert-condlora-paper", "model"), "--train",             \
      case_file("bert-condlora-paper", "train.tsv"), "--text-columns", "sentence1",     \
      "--label-column", "label", "--batch-size", "4", "--epochs", "40", "--lr", "0.01", \
      "--checkpoint-every", "7", "--backend", "cpu", "--output", output

/* Beside the programs that RUN starts: its words go elsewhere. */
static pid_t start_other(const char *const *arguments)
{
  char *words[64] = {getenv("CDL_PROGRAM")};
  for (size_t i = 0; arguments[i] != NULL; i++)
    words[i + 1] = (char *)(uintptr_t)arguments[i];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int stream = 1; stream <= 2; stream++)
    posix_spawn_file_actions_addopen(&actions, stream,
                                     scratch(stream == 1 ? "other-out" : "other-err"),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child;
  ck_assert_int_eq(posix_spawn(&child, words[0], &actions, NULL, words, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  return child;
}

static int wait_for(pid_t program)
{
  int status;
  while (waitpid(program, &status, 0) < 0)
    ;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* In the middle of its run. */
static pid_t start_held(const char *const *arguments, const char *out)
{
  pid_t program;
  do
    program = start_other(arguments);
  while (!program_hold(program, out));
  return program;
}

static const char *contents(const char *folder)
{
  return text_of("%s%s%s", listed(folder), read_text(joined(folder, "train.jsonl")),
                 read_text(joined(folder, "run.json")));
}

START_TEST(a_second_run_in_the_folder_is_refused)
{
  const char *out = scratch("out"), *whole = scratch("whole");
  check_done(RUN(TRAIN(whole)));
  const pid_t first = start_held((const char *const[]){TRAIN(out), NULL}, out);
  const char *before = contents(out), *who = text_of("process %ld on ", (long)first);
  check_refused(RUN(TRAIN(out)), 1, out, "another condlora", who, "is at work in this folder");
  check_refused(RUN(TRAIN(out), "--resume"), 1, out, "another condlora", who);
  check_refused(RUN(TRAIN(out), "--seed", "3"), 1, out, "another condlora", who);
  ck_assert_str_eq(contents(out), before);
  kill(first, SIGCONT);
  ck_assert_int_eq(wait_for(first), 0);
  ck_assert_str_eq(listed(out), listed(whole)); /* nothing is left of the lock either */
  ck_assert_uint_eq(count_lines(read_text(joined(out, "train.jsonl"))),
                    count_lines(read_text(joined(whole, "train.jsonl"))));
  check_done(RUN(TRAIN(out), "--resume"));
}
END_TEST

START_TEST(two_that_start_together_do_not_mix)
{
  const char *whole = scratch("whole");
  check_done(RUN(TRAIN(whole), "--max-steps", "20"));
  for (int i = 0; i < 4; i++) {
    const char *out = scratch(text_of("out-%d", i));
    const char *const arguments[] = {TRAIN(out), "--max-steps", "20", "--resume", NULL};
    const pid_t first = start_other(arguments);
    const outcome second = program_run(NULL, arguments);
    const int exit = wait_for(first);
    /* One is refused; or, where it came when the other was done, finds nothing to do. */
    ck_assert_msg(exit == 0 || second.exit == 0, "%d and %d: %s", exit, second.exit, second.err);
    ck_assert_msg(exit == 0 || exit == 1, "exit status %d", exit);
    if (second.exit != 0)
      check_refused(second, 1, "another condlora");
    ck_assert_uint_eq(count_lines(read_text(joined(out, "train.jsonl"))), 20);
    ck_assert_str_eq(listed(out), listed(whole));
  }
}
END_TEST

START_TEST(a_killed_run_leaves_no_lock)
{
  const char *out = scratch("out");
  const pid_t first = start_held((const char *const[]){TRAIN(out), NULL}, out);
  ck_assert(exists(joined(out, BASE_LOCK_NAME)));
  kill(first, SIGKILL);
  ck_assert_int_eq(wait_for(first), -SIGKILL);
  ck_assert(exists(joined(out, BASE_LOCK_NAME))); /* the file, which locks nothing */
  check_refused(RUN(TRAIN(out)), 2, out, "--resume");
  check_done(RUN(TRAIN(out), "--resume"));
  ck_assert(!exists(joined(out, BASE_LOCK_NAME)));
}
END_TEST

START_TEST(a_lock_file_alone_is_an_empty_folder)
{
  const char *out = scratch("out");
  ck_assert_int_eq(mkdir(out, 0700), 0);
  write_text(joined(out, BASE_LOCK_NAME), "process 1 on \033[31mmars\n");
  check_done(RUN(TRAIN(out), "--max-steps", "2"));
  ck_assert(!exists(joined(out, BASE_LOCK_NAME)));
}
END_TEST

/* It is somebody's own, and stays. */
START_TEST(what_is_no_file_is_no_lock)
{
  const char *out = scratch("out"), *lock = joined(out, BASE_LOCK_NAME);
  for (int kind = 0; kind < 3; kind++) {
    struct stat before, after;
    ck_assert_int_eq(mkdir(out, 0700), 0);
    ck_assert_int_eq(kind == 0   ? mkfifo(lock, 0600)
                     : kind == 1 ? mkdir(lock, 0700)
                                 : symlink("../victim", lock),
                     0);
    ck_assert_int_eq(lstat(lock, &before), 0);
    check_refused(RUN(TRAIN(out), "--max-steps", "2"), 1, lock, "cannot be locked");
    ck_assert(lstat(lock, &after) == 0 && after.st_ino == before.st_ino);
    ck_assert(!exists(scratch("victim")));
    ck_assert_str_eq(listed(out), BASE_LOCK_NAME "\n");
    ck_assert_int_eq(remove(lock), 0);
    ck_assert_int_eq(rmdir(out), 0);
  }
}
END_TEST

START_TEST(search_and_reproduce_are_refused_too)
{
  const char *out = scratch("out"), *glue = scratch("glue");
  base_lock *lock;
  ck_assert_int_eq(base_lock_take(out, &lock), CDL_STATUS_OK);
  const char *who = text_of("process %ld on ", (long)getpid());
  check_refused(RUN("search", "--model", case_file("bert-condlora-paper", "model"), "--train",
                    case_file("bert-condlora-paper", "train.tsv"), "--text-columns", "sentence1",
                    "--label-column", "label", "--backend", "cpu", "--space", "lr=log:1e-4:1e-2",
                    "--trials", "1", "--output", out),
                1, "another condlora", who);
  ck_assert_int_eq(mkdir(glue, 0700), 0);
  ck_assert_int_eq(mkdir(joined(glue, "RTE"), 0700), 0);
  for (int dev = 0; dev < 2; dev++)
    write_text(joined(glue, dev ? "RTE/dev.tsv" : "RTE/train.tsv"),
               "sentence1\tsentence2\tlabel\nthe cat\tsat there\tentailment\na dog\tran "
               "off\tnot_entailment\n");
  check_refused(RUN("reproduce", "table1", "--model", case_file("bert-condlora-paper", "model"),
                    "--data", glue, "--output", out, "--tasks", "RTE", "--methods", "lora",
                    "--seeds", "1", "--epochs", "1", "--backend", "cpu", "--setting",
                    "max_length=32", "--setting", "compat=none"),
                1, "another condlora", who);
  ck_assert_str_eq(listed(out), BASE_LOCK_NAME "\n");
  base_lock_release(lock);
  ck_assert(!exists(out)); /* it was made for the lock */
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("lock");
  CASE(suite, a_second_run_in_the_folder_is_refused);
  CASE(suite, two_that_start_together_do_not_mix);
  CASE(suite, a_killed_run_leaves_no_lock);
  CASE(suite, a_lock_file_alone_is_an_empty_folder);
  CASE(suite, what_is_no_file_is_no_lock);
  CASE(suite, search_and_reproduce_are_refused_too);
  return run_suite(suite);
}
