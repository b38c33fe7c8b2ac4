/* Under AddressSanitizer: a leak in a process that holds PoCL is found, and nothing is found where
 * none is. The program runs itself as the process in question. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "condlora/backend.h"
#include "tests/run_suite.h"

/* Not static to anything, so that the leak is one. */
static __attribute__((noinline)) void leak(void)
{
  char *volatile lost = malloc(4321);
  lost[0] = 1;
  lost = NULL;
}

static int be_process(const char *kind)
{
  cdl_backend *backend;
  if (cdl_backend_open("opencl", NULL, &backend) != CDL_STATUS_OK)
    return 77;
  if (strcmp(kind, "leak") == 0)
    leak();
  return cdl_backend_close(backend) == CDL_STATUS_OK ? 0 : 1;
}

static int run_process(const char *kind)
{
  const pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    const int nothing = open("/dev/null", O_WRONLY);
    dup2(nothing, STDERR_FILENO);
    execl("/proc/self/exe", "test-leaks", kind, (char *)NULL);
    _exit(127);
  }
  int how;
  ck_assert_int_eq(waitpid(child, &how, 0), child);
  ck_assert_msg(WIFEXITED(how), "%s: ended by signal %d", kind, WTERMSIG(how));
  return WEXITSTATUS(how);
}

START_TEST(leaks_beside_a_driver_are_found)
{
  const int clean = run_process("clean");
  if (clean == 77) {
    puts("skipped: leaks_beside_a_driver_are_found: there is no OpenCL device");
    return;
  }
  ck_assert_int_eq(clean, 0);
  ck_assert_int_eq(run_process("leak"), 23);
}
END_TEST

int main(int count, char **arguments)
{
  if (count > 1)
    return be_process(arguments[1]);
  Suite *suite = suite_create("leaks");
  TCase *tests = tcase_create("leaks");
  tcase_set_timeout(tests, 300);
  tcase_add_test(tests, leaks_beside_a_driver_are_found);
  suite_add_tcase(suite, tests);
  return run_suite(suite);
}
