/* What training shows on a terminal, and where there is none. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "tests/programs/program.h"

extern char **environ;

#define RUN_OF(name)                                                                             \
  "train", "--model", case_file(name, "model"), "--train", case_file(name, "train.tsv"),         \
      "--text-columns", "sentence1", "--label-column", "label", "--batch-size", "4", "--epochs", \
      "12", "--eval-every", "36"

/* What condlora writes to a terminal of so many columns as its stderr. `stop_after` not 0: this
 * signal comes as soon as something is drawn. */
static const char *on_terminal(unsigned short columns, int stop_after, const char *const *arguments,
                               int *status)
{
  enum { MOST = 1 << 20 };
  char *words[64] = {getenv("CDL_PROGRAM")};
  ck_assert_ptr_nonnull(words[0]);
  for (size_t i = 0; arguments[i] != NULL; i++)
    words[i + 1] = (char *)(uintptr_t)arguments[i];
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  ck_assert(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
  const char *name = ptsname(terminal);
  ck_assert_ptr_nonnull(name);
  const int theirs = open(name, O_RDWR | O_NOCTTY);
  ck_assert_int_ge(theirs, 0);
  const struct winsize size = {.ws_row = 24, .ws_col = columns};
  ck_assert_int_eq(ioctl(theirs, TIOCSWINSZ, &size), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, scratch("stdout"), O_WRONLY | O_CREAT | O_TRUNC,
                                   0600);
  posix_spawn_file_actions_adddup2(&actions, theirs, 2);
  pid_t child;
  ck_assert_int_eq(posix_spawn(&child, words[0], &actions, NULL, words, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  close(theirs);

  char *text = malloc(MOST);
  ck_assert_ptr_nonnull(text);
  size_t used = 0;
  ssize_t got;
  while (used + 1 < MOST && ((got = read(terminal, text + used, MOST - 1 - used)) > 0 ||
                             (got < 0 && errno == EINTR))) {
    used += got > 0 ? (size_t)got : 0;
    text[used] = '\0';
    if (stop_after != 0 && strstr(text, "step 1/") != NULL) {
      kill(child, stop_after);
      stop_after = 0;
    }
  }
  close(terminal);
  while (waitpid(child, status, 0) < 0)
    ck_assert_int_eq(errno, EINTR);
  const char *kept = text_of("%s", text);
  free(text);
  return kept;
}

/* The widest of the lines that are drawn over: between "\r" and "\033[K", colours aside. */
static size_t widest_drawn(const char *text, size_t *drawn)
{
  size_t widest = 0;
  *drawn = 0;
  for (const char *at = text; (at = strchr(at, '\r')) != NULL;) {
    size_t width = 0;
    const char *c = ++at;
    while (*c != '\0' && *c != '\r' && *c != '\n' && strncmp(c, "\033[K", 3) != 0) {
      if (*c == '\033')
        c += strcspn(c, "m") + 1;
      else {
        c++;
        width++;
      }
    }
    if (strncmp(c, "\033[K", 3) == 0 && width > 0) {
      (*drawn)++;
      widest = width > widest ? width : widest;
    }
  }
  return widest;
}

START_TEST(the_line_fits_the_terminal)
{
  static const unsigned short widths[] = {200, 100, 70, 40, 16};
  setenv("TERM", "xterm", 1);
  unsetenv("NO_COLOR");
  for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
    int status;
    const char *arguments[] = {RUN_OF("bert-condlora-paper"), "--output",
                               scratch(text_of("out-%u", widths[i])), NULL};
    const char *text = on_terminal(widths[i], 0, arguments, &status);
    ck_assert_int_eq(status, 0);
    size_t drawn;
    const size_t widest = widest_drawn(text, &drawn);
    ck_assert_msg(drawn > 0, "nothing drawn:\n%s", text);
    ck_assert_msg(widest < widths[i], "%zu columns on a terminal of %u", widest, widths[i]);
    ck_assert_ptr_nonnull(strstr(text, "step 1/108"));
    ck_assert_ptr_nonnull(strstr(text, "accuracy"));
    if (widths[i] >= 130) {
      static const char *const parts[] = {"[>",         "epoch ",         "loss ", "lr ",
                                          "examples/s", "% of GEMM peak", " left", "\033[32m"};
      for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++)
        ck_assert_msg(strstr(text, parts[p]) != NULL, "no '%s' in\n%s", parts[p], text);
    }
    /* Cleared at the end: nothing is left over beside the next prompt. */
    const char *last = strrchr(text, '\r');
    ck_assert_msg(strcmp(last, "\r\n") == 0 || strcmp(last, "\r\033[K") == 0, "the end is %s",
                  last);
  }
}
END_TEST

START_TEST(no_colours_where_none_are_wanted)
{
  int status;
  setenv("TERM", "xterm", 1);
  setenv("NO_COLOR", "1", 1);
  const char *arguments[] = {RUN_OF("bert-condlora-paper"), "--output", scratch("out"), NULL};
  const char *text = on_terminal(200, 0, arguments, &status);
  ck_assert_int_eq(status, 0);
  ck_assert_ptr_nonnull(strstr(text, "[>"));
  ck_assert_ptr_null(strstr(text, "\033[3"));
  unsetenv("NO_COLOR");
  setenv("TERM", "dumb", 1);
  const char *dumb[] = {RUN_OF("bert-condlora-paper"), "--output", scratch("dumb"), NULL};
  ck_assert_ptr_null(strchr(on_terminal(80, 0, dumb, &status), '\033'));
}
END_TEST

START_TEST(a_signal_clears_the_line)
{
  int status;
  setenv("TERM", "xterm", 1);
  const char *arguments[] = {
      RUN_OF("bert-condlora-paper"), "--max-steps", "100000", "--output", scratch("out"), NULL};
  const char *text = on_terminal(120, SIGINT, arguments, &status);
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 130, "status %d:\n%s", status, text);
  const char *message = strstr(text, "condlora: stopped after step ");
  ck_assert_msg(message != NULL, "%s", text);
  ck_assert_msg(strncmp(message - 4, "\r\033[K", 4) == 0, "not on a line of its own: %s",
                message - 4);
}
END_TEST

START_TEST(plain_lines_where_there_is_no_terminal)
{
  const outcome o = RUN(RUN_OF("bert-condlora-paper"), "--output", scratch("out"));
  check_done(o);
  ck_assert_ptr_null(strchr(o.err, '\r'));
  ck_assert_ptr_null(strchr(o.err, '\033'));
  ck_assert_ptr_null(strchr(o.out, '\033'));
  /* A note, the start, the first step, three evaluations; perhaps a step more on a slow machine. */
  ck_assert_uint_le(count_lines(o.err), 20);
  ck_assert_ptr_nonnull(strstr(o.err, "step 1/108"));
}
END_TEST

/* Containers and changed roots may have /dev/ptmx but no file system of terminals behind it. */
static bool has_terminals(void)
{
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  bool usable = terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0;
  const char *name = usable ? ptsname(terminal) : NULL;
  usable = name != NULL && access(name, R_OK | W_OK) == 0;
  if (terminal >= 0)
    close(terminal);
  return usable;
}

int main(void)
{
  Suite *suite = suite_create("progress");
  if (has_terminals()) {
    CASE(suite, the_line_fits_the_terminal);
    CASE(suite, no_colours_where_none_are_wanted);
    CASE(suite, a_signal_clears_the_line);
  } else
    puts("skipped: what a terminal shows: this system gives no pseudo-terminals");
  CASE(suite, plain_lines_where_there_is_no_terminal);
  return run_suite(suite);
}
