/* OPENBLAS_CORETYPE against what the kernel says of this processor: a set whose instructions it
 * lacks is an error that names them, any other one opens and computes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "condlora/backend.h"
#include "condlora/log.h"
#include "tests/run_suite.h"

/* Whether /proc/cpuinfo lists all of the flags, which are separated by spaces. */
static bool has_flags(const char *flags)
{
  static char line[16384];
  FILE *file = fopen("/proc/cpuinfo", "r");
  bool found = false;
  while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
    found = strncmp(line, "flags", 5) == 0;
  if (file != NULL)
    fclose(file);
  char list[128], *rest = list;
  snprintf(list, sizeof list, "%s", flags);
  line[strcspn(line, "\n")] = '\0';
  strcat(line, " ");
  for (char *flag; found && (flag = strtok_r(NULL, " ", &rest)) != NULL;) {
    char word[64];
    snprintf(word, sizeof word, " %s ", flag);
    found = strstr(line, word) != NULL;
  }
  return found;
}

static float product(void)
{
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *buffer;
  enum { N = 64 };
  static float values[3 * N * N];
  for (int i = 0; i < 2 * N * N; i++)
    values[i] = 1;
  if (cdl_backend_open("cpu", NULL, &backend) != CDL_STATUS_OK ||
      cdl_queue_create(backend, &queue) != CDL_STATUS_OK ||
      cdl_buffer_create(backend, sizeof values, &buffer) != CDL_STATUS_OK)
    return -1;
  cdl_queue_upload(queue, cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 3 * N * N), values,
                   sizeof values);
  cdl_gemm(queue, CDL_ARGS(gemm, .out = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 2 * N * N, N, N),
                           .a = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, N, N),
                           .b = cdl_tensor_2d(buffer, CDL_DTYPE_F32, N * N, N, N), .alpha = 1));
  cdl_queue_download(queue, values, cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 3 * N * N),
                     sizeof values);
  return cdl_queue_sync(queue) == CDL_STATUS_OK ? values[3 * N * N - 1] : -1;
}

enum { OPENS = 0, REFUSED = 1, OTHER = 2 };

/* In a process of its own, since OpenBLAS reads the variable once. */
static int try_set(const char *name, const char *lacking)
{
  const pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    setenv("OPENBLAS_CORETYPE", name, 1);
    const float sum = product();
    if (sum == 64)
      _exit(OPENS);
    const char *message = cdl_error_message();
    _exit(strstr(message, name) != NULL && strstr(message, lacking) != NULL &&
                  strstr(message, "which this processor does not have") != NULL
              ? REFUSED
              : OTHER);
  }
  int how;
  ck_assert_int_eq(waitpid(child, &how, 0), child);
  ck_assert_msg(WIFEXITED(how), "%s: ended by signal %d", name, WTERMSIG(how));
  return WEXITSTATUS(how);
}

START_TEST(a_set_of_another_processor_is_refused)
{
#if defined(__x86_64__)
  static const struct {
    const char *name, *flags, *lacking;
  } sets[] = {
      {"Prescott", "pni", "SSE3"},
      {"athlon", "3dnow", "3DNow!"},
      {"Barcelona", "sse4a", "SSE4a"},
      {"Sandybridge", "avx", "AVX"},
      {"BULLDOZER", "avx fma4", "FMA4"},
      {"Haswell", "avx2 fma", ""},
      {"skylakex", "avx2 fma avx512f avx512cd avx512bw avx512dq avx512vl", "AVX"},
      {"Cooperlake", "avx2 fma avx512f avx512cd avx512bw avx512dq avx512vl avx512_vnni avx512_bf16",
       "AVX"},
  };
  for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
    const int found = try_set(sets[i].name, sets[i].lacking);
    ck_assert_msg(found == (has_flags(sets[i].flags) ? OPENS : REFUSED), "%s: %d", sets[i].name,
                  found);
  }
#else
  puts("skipped: a_set_of_another_processor_is_refused: not an x86-64 processor");
#endif
}
END_TEST

static void remember_line(void *user, cdl_log_level level, const char *line)
{
  if (level == CDL_LOG_NOTICE)
    snprintf(user, 256, "%s", line);
}

START_TEST(a_set_that_openblas_lacks_is_said)
{
  char line[256] = "";
  cdl_backend *backend;
  setenv("OPENBLAS_CORETYPE", "Abacus", 1);
  cdl_log_to(remember_line, line);
  ck_assert_int_eq(cdl_backend_open("cpu", NULL, &backend), CDL_STATUS_OK);
  cdl_log_to(NULL, NULL);
  ck_assert_msg(strstr(line, "OPENBLAS_CORETYPE is Abacus") != NULL, "'%s'", line);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
}
END_TEST

START_TEST(more_threads_than_are_used_are_said)
{
  char line[256] = "";
  cdl_backend *backend;
  cdl_log_to(remember_line, line);
  ck_assert_int_eq(
      cdl_backend_open("cpu",
                       &(cdl_backend_options){.size = sizeof(cdl_backend_options), .threads = 100},
                       &backend),
      CDL_STATUS_OK);
  cdl_log_to(NULL, NULL);
  ck_assert_msg(strstr(line, "64 threads are used") != NULL && strstr(line, "100") != NULL, "'%s'",
                line);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("coretype");
  TCase *tests = tcase_create("coretype");
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, a_set_of_another_processor_is_refused);
  tcase_add_test(tests, a_set_that_openblas_lacks_is_said);
  tcase_add_test(tests, more_threads_than_are_used_are_said);
  suite_add_tcase(suite, tests);
  return run_suite(suite);
}
