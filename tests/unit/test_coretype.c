/* OpenBLAS's kernels are chosen by CPUID. OPENBLAS_CORETYPE against what the kernel says of this
 * processor: a set whose instructions it lacks is an error that names them, any other one opens and
 * computes. */
#include <check.h>
#include <dirent.h>
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
  const bool done = cdl_queue_sync(queue) == CDL_STATUS_OK;
  cdl_buffer_destroy(buffer);
  cdl_queue_destroy(queue);
  return cdl_backend_close(backend) == CDL_STATUS_OK && done ? values[3 * N * N - 1] : -1;
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

/* Expects that the CPU backend is absent with CDL_OPENBLAS as given, and that the message has these
 * words. */
static void expect_refused(const char *library, const char *words)
{
  cdl_backend *backend;
  setenv("CDL_OPENBLAS", library, 1);
  ck_assert_int_eq(cdl_backend_open("cpu", NULL, &backend), CDL_STATUS_ABSENT);
  ck_assert_msg(strstr(cdl_error_message(), words) != NULL, "'%s' is not in: %s", words,
                cdl_error_message());
}

START_TEST(a_named_library_is_taken_or_refused)
{
  expect_refused("libopenblas.so.0", "CDL_OPENBLAS: 'libopenblas.so.0' is not an absolute path");
  expect_refused("/nowhere/libopenblas.so", "CDL_OPENBLAS: /nowhere/libopenblas.so is not loaded");
  expect_refused("/proc/self/exe", "CDL_OPENBLAS: ");
  setenv("CDL_OPENBLAS", "", 1);
  ck_assert(product() == 64);
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

/* ---- What is chosen ---- */

/* Runs this program again as `describe`, with OPENBLAS_CORETYPE as given (NULL: unset): its line of
 * output. */
static void describe_again(const char *core_type, char *line, size_t bytes)
{
  int ends[2];
  ck_assert_int_eq(pipe(ends), 0);
  const pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    unsetenv("OPENBLAS_L2_SIZE");
    unsetenv("OPENBLAS_NUM_THREADS");
    unsetenv("OPENBLAS_CORETYPE");
    if (core_type != NULL)
      setenv("OPENBLAS_CORETYPE", core_type, 1);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execl("/proc/self/exe", "test-coretype", "describe", (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  size_t filled = 0;
  ssize_t got;
  while (filled + 1 < bytes && (got = read(ends[0], line + filled, bytes - 1 - filled)) > 0)
    filled += (size_t)got;
  line[filled] = '\0';
  close(ends[0]);
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %d", status);
}

static int count_threads(void)
{
  DIR *tasks = opendir("/proc/self/task");
  int count = 0;
  for (const struct dirent *entry; tasks != NULL && (entry = readdir(tasks)) != NULL;)
    count += entry->d_name[0] != '.';
  if (tasks != NULL)
    closedir(tasks);
  return count;
}

/* "DESCRIPTION; THREADS threads in the process; environment kept (or changed)" */
static int describe(void)
{
  const char *before = getenv("OPENBLAS_CORETYPE");
  cdl_backend *backend;
  if (cdl_backend_open("cpu",
                       &(cdl_backend_options){.size = sizeof(cdl_backend_options), .threads = 3},
                       &backend) != CDL_STATUS_OK)
    return 1;
  const char *after = getenv("OPENBLAS_CORETYPE");
  const bool kept = getenv("OPENBLAS_NUM_THREADS") == NULL &&
                    (before == NULL ? after == NULL : after != NULL && strcmp(before, after) == 0);
  printf("%s; %d threads in the process; environment %s\n", cdl_backend_description(backend),
         count_threads(), kept ? "kept" : "changed");
  return cdl_backend_close(backend) == CDL_STATUS_OK ? 0 : 1;
}

static const char *expected_core(void)
{
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512cd"))
    return " SkylakeX, vector set avx512, ";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return " Haswell, vector set avx2, ";
#endif
  return "vector set generic, ";
}

START_TEST(openblas_is_given_the_kernels_this_cpu_has)
{
  char line[512];
  describe_again(NULL, line, sizeof line);
  ck_assert_msg(strncmp(line, "OpenBLAS 0.", 11) == 0, "%s", line);
  ck_assert_msg(strstr(line, expected_core()) != NULL, "%s", line);
  ck_assert_msg(strstr(line, ", 3 threads; ") != NULL, "%s", line);
  ck_assert_msg(strstr(line, "; environment kept") != NULL, "%s", line);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  ck_assert_msg(strstr(line, "; 3 threads in the process;") != NULL, "%s", line);
#endif
}
END_TEST

START_TEST(the_users_choice_of_kernels_stands)
{
#if defined(__x86_64__)
  char line[512];
  describe_again("Nehalem", line, sizeof line);
  ck_assert_msg(strstr(line, " Nehalem, ") != NULL, "%s", line);
  ck_assert_msg(strstr(line, "; environment kept") != NULL, "%s", line);
#endif
}
END_TEST

int main(int count, char **arguments)
{
  if (count > 1 && strcmp(arguments[1], "describe") == 0)
    return describe();
  Suite *suite = suite_create("coretype");
  TCase *tests = tcase_create("coretype");
  tcase_set_timeout(tests, 300);
  tcase_add_test(tests, a_set_of_another_processor_is_refused);
  tcase_add_test(tests, a_named_library_is_taken_or_refused);
  tcase_add_test(tests, a_set_that_openblas_lacks_is_said);
  tcase_add_test(tests, more_threads_than_are_used_are_said);
  tcase_add_test(tests, openblas_is_given_the_kernels_this_cpu_has);
  tcase_add_test(tests, the_users_choice_of_kernels_stands);
  suite_add_tcase(suite, tests);
  return run_suite(suite);
}
