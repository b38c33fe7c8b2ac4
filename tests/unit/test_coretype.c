/* OpenBLAS is opened by the first decomposition, with kernels chosen by CPUID; nothing else needs
 * it. OPENBLAS_CORETYPE against what the kernel says of this processor: a set whose instructions it
 * lacks is an error that names them, any other one opens and computes. */
#include <check.h>
#include <dirent.h>
#include <glob.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

enum { N = 64 };

typedef struct {
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *buffer; /* of 3 matrices [N, N]: two of ones, and a result */
} machine;

static cdl_tensor matrix(const machine *m, int index)
{
  return cdl_tensor_2d(m->buffer, CDL_DTYPE_F32, index * N * N, N, N);
}

static machine open_machine(void)
{
  machine m;
  ck_assert_int_eq(cdl_backend_open("cpu", NULL, &m.backend), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_queue_create(m.backend, &m.queue), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_create(m.backend, 3 * N * N * sizeof(float), &m.buffer),
                   CDL_STATUS_OK);
  cdl_fill(m.queue, CDL_ARGS(fill, .out = matrix(&m, 0), .value = 1));
  cdl_fill(m.queue, CDL_ARGS(fill, .out = matrix(&m, 1), .value = 1));
  return m;
}

static void close_machine(const machine *m)
{
  cdl_buffer_destroy(m->buffer);
  cdl_queue_destroy(m->queue);
  ck_assert_int_eq(cdl_backend_close(m->backend), CDL_STATUS_OK);
}

/* The last element of the product of ones, N. */
static float product(const machine *m)
{
  float last = -1;
  cdl_gemm(m->queue,
           CDL_ARGS(gemm, .out = matrix(m, 2), .a = matrix(m, 0), .b = matrix(m, 1), .alpha = 1));
  cdl_queue_download(m->queue, &last, cdl_tensor_1d(m->buffer, CDL_DTYPE_F32, 3 * N * N - 1, 1),
                     sizeof last);
  ck_assert_int_eq(cdl_queue_sync(m->queue), CDL_STATUS_OK);
  return last;
}

/* Finds the largest singular value of a matrix of ones, which is N. */
static cdl_status decompose(const machine *m, float *largest)
{
  const cdl_tensor sigma = cdl_tensor_1d(m->buffer, CDL_DTYPE_F32, (int64_t)2 * N * N, N);
  *largest = -1;
  cdl_svd(m->queue, CDL_ARGS(svd, .a = matrix(m, 0), .sigma = sigma));
  cdl_queue_download(m->queue, largest, cdl_tensor_1d(m->buffer, CDL_DTYPE_F32, 2 * N * N, 1),
                     sizeof *largest);
  return cdl_queue_sync(m->queue);
}

static bool is_near(float value, float expected)
{
  return value > 0.9999F * expected && value < 1.0001F * expected;
}

enum { OPENS = 0, REFUSED = 1, OTHER = 2 };

/* In a process of its own, since OpenBLAS reads the variable once. */
static int try_set(const char *name, const char *lacking)
{
  const pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    setenv("OPENBLAS_CORETYPE", name, 1);
    const machine m = open_machine();
    float largest;
    if (decompose(&m, &largest) == CDL_STATUS_OK)
      _exit(is_near(largest, N) ? OPENS : OTHER);
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

/* Expects that a decomposition is refused with CDL_OPENBLAS as given, that the message has these
 * words, and that products do not ask for the library. */
static void expect_refused(const char *library, const char *words)
{
  float largest;
  setenv("CDL_OPENBLAS", library, 1);
  const machine m = open_machine();
  ck_assert_float_eq(product(&m), N);
  ck_assert_int_eq(decompose(&m, &largest), CDL_STATUS_ABSENT);
  ck_assert_msg(strstr(cdl_error_message(), words) != NULL, "'%s' is not in: %s", words,
                cdl_error_message());
  ck_assert_ptr_null(cdl_backend_decompositions(m.backend));
  close_machine(&m);
}

START_TEST(a_named_library_is_taken_or_refused)
{
  expect_refused("libopenblas.so.0", "CDL_OPENBLAS: 'libopenblas.so.0' is not an absolute path");
  expect_refused("/nowhere/libopenblas.so", "CDL_OPENBLAS: /nowhere/libopenblas.so is not loaded");
  expect_refused("/proc/self/exe", "LAPACK: cpu: CDL_OPENBLAS: ");
  setenv("CDL_OPENBLAS", "", 1);
  const machine m = open_machine();
  float largest;
  ck_assert_int_eq(decompose(&m, &largest), CDL_STATUS_OK);
  ck_assert(is_near(largest, N));
  close_machine(&m);
}
END_TEST

/* Whether a file whose name has these letters is mapped into the process. */
static bool is_loaded(const char *letters)
{
  char line[4096];
  bool found = false;
  FILE *maps = fopen("/proc/self/maps", "r");
  ck_assert_ptr_nonnull(maps);
  while (fgets(line, sizeof line, maps) != NULL)
    found = found || strstr(line, letters) != NULL;
  fclose(maps);
  return found;
}

/* SciPy's build from PyPI, whose functions begin with scipy_, in the peers' Python. */
START_TEST(scipys_build_serves)
{
  const char *python = getenv("CDL_PEERS_PYTHON"),
             *name = python != NULL ? strrchr(python, '/') : NULL;
  char pattern[PATH_MAX];
  glob_t found = {.gl_pathc = 0};
  float largest;
  snprintf(pattern, sizeof pattern,
           "%.*s/../lib/python3*/site-packages/scipy_openblas32/lib/libscipy_openblas.so",
           name != NULL ? (int)(name - python) : 0, name != NULL ? python : "");
  if (name == NULL || glob(pattern, 0, NULL, &found) != 0 ||
      realpath(found.gl_pathv[0], pattern) == NULL)
    puts("skipped: scipys_build_serves: CDL_PEERS_PYTHON has no scipy-openblas32");
  else {
    setenv("CDL_OPENBLAS", pattern, 1);
    const machine m = open_machine();
    ck_assert_msg(decompose(&m, &largest) == CDL_STATUS_OK, "%s", cdl_error_message());
    ck_assert(is_near(largest, N));
    ck_assert(is_loaded("libscipy_openblas"));
    ck_assert_msg(strncmp(cdl_backend_decompositions(m.backend), "OpenBLAS 0.", 11) == 0, "%s",
                  cdl_backend_decompositions(m.backend));
    close_machine(&m);
  }
  globfree(&found);
}
END_TEST

START_TEST(the_first_decomposition_opens_the_library)
{
  float largest;
  const machine m = open_machine();
  char before[128];
  ck_assert_float_eq(product(&m), N);
  ck_assert(!is_loaded("openblas") && !is_loaded("lapack"));
  ck_assert_ptr_null(cdl_backend_decompositions(m.backend));
  snprintf(before, sizeof before, "%s", cdl_backend_kernels(m.backend));
  ck_assert_msg(strncmp(before, "vector set ", 11) == 0, "%s", before);
  ck_assert_int_eq(decompose(&m, &largest), CDL_STATUS_OK);
  ck_assert(is_loaded("openblas"));
  ck_assert_msg(strncmp(cdl_backend_decompositions(m.backend), "OpenBLAS 0.", 11) == 0, "%s",
                cdl_backend_decompositions(m.backend));
  ck_assert_str_eq(cdl_backend_kernels(m.backend), before);
  close_machine(&m);
}
END_TEST

/* OpenBLAS would ask for its memory again and again. */
START_TEST(a_library_without_address_space_is_refused)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  puts("skipped: a_library_without_address_space_is_refused: sanitizers reserve address space");
#else
  enum { ROOM = 100 << 20 }; /* the library's files fit */
  unsigned long pages = 0;
  float largest;
  const machine m = open_machine();
  FILE *sizes = fopen("/proc/self/statm", "r");
  ck_assert_ptr_nonnull(sizes);
  ck_assert_int_eq(fscanf(sizes, "%lu", &pages), 1);
  fclose(sizes);
  const rlim_t bytes = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + ROOM;
  ck_assert_int_eq(setrlimit(RLIMIT_AS, &(struct rlimit){bytes, bytes}), 0);
  ck_assert_float_eq(product(&m), N);
  ck_assert_int_eq(decompose(&m, &largest), CDL_STATUS_MEMORY);
  ck_assert_msg(strstr(cdl_error_message(), "ulimit -v") != NULL, "%s", cdl_error_message());
  close_machine(&m);
#endif
}
END_TEST

enum { CALLERS = 4 };

static void *decompose_on_thread(void *user)
{
  machine m = {.backend = user};
  float largest = -1;
  if (cdl_queue_create(m.backend, &m.queue) != CDL_STATUS_OK ||
      cdl_buffer_create(m.backend, 3 * N * N * sizeof(float), &m.buffer) != CDL_STATUS_OK)
    return user;
  cdl_fill(m.queue, CDL_ARGS(fill, .out = matrix(&m, 0), .value = 1));
  const bool done = decompose(&m, &largest) == CDL_STATUS_OK && is_near(largest, N);
  cdl_buffer_destroy(m.buffer);
  cdl_queue_destroy(m.queue);
  return done ? NULL : user;
}

START_TEST(first_decompositions_may_come_together)
{
  pthread_t callers[CALLERS];
  cdl_backend *backend;
  ck_assert_int_eq(cdl_backend_open("cpu", NULL, &backend), CDL_STATUS_OK);
  for (int i = 0; i < CALLERS; i++)
    ck_assert_int_eq(pthread_create(&callers[i], NULL, decompose_on_thread, backend), 0);
  for (int i = 0; i < CALLERS; i++) {
    void *failed;
    ck_assert_int_eq(pthread_join(callers[i], &failed), 0);
    ck_assert_ptr_null(failed);
  }
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
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
  float largest;
  setenv("OPENBLAS_CORETYPE", "Abacus", 1);
  const machine m = open_machine();
  cdl_log_to(remember_line, line);
  ck_assert_int_eq(decompose(&m, &largest), CDL_STATUS_OK);
  cdl_log_to(NULL, NULL);
  ck_assert_msg(strstr(line, "OPENBLAS_CORETYPE is Abacus") != NULL, "'%s'", line);
  close_machine(&m);
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
    unsetenv("CDL_OPENBLAS");
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

/* "DESCRIPTION; DECOMPOSITIONS; THREADS threads in the process; environment kept (or changed)" */
static int describe(void)
{
  const char *before = getenv("OPENBLAS_CORETYPE");
  cdl_backend *backend;
  if (cdl_backend_open("cpu",
                       &(cdl_backend_options){.size = sizeof(cdl_backend_options), .threads = 3},
                       &backend) != CDL_STATUS_OK)
    return 1;
  machine m = {.backend = backend};
  float largest;
  if (cdl_queue_create(backend, &m.queue) != CDL_STATUS_OK ||
      cdl_buffer_create(backend, 3 * N * N * sizeof(float), &m.buffer) != CDL_STATUS_OK)
    return 1;
  cdl_fill(m.queue, CDL_ARGS(fill, .out = matrix(&m, 0), .value = 1));
  if (decompose(&m, &largest) != CDL_STATUS_OK)
    return 1;
  cdl_buffer_destroy(m.buffer);
  cdl_queue_destroy(m.queue);
  const char *after = getenv("OPENBLAS_CORETYPE");
  const bool kept = getenv("OPENBLAS_NUM_THREADS") == NULL &&
                    (before == NULL ? after == NULL : after != NULL && strcmp(before, after) == 0);
  printf("%s; %s; %d threads in the process; environment %s\n", cdl_backend_description(backend),
         cdl_backend_decompositions(backend), count_threads(), kept ? "kept" : "changed");
  return cdl_backend_close(backend) == CDL_STATUS_OK ? 0 : 1;
}

typedef struct {
  const char *vectors, *core;
} expected_sets;

static expected_sets expect_sets(void)
{
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512cd"))
    return (expected_sets){"vector set avx512, ", " SkylakeX; "};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return (expected_sets){"vector set avx2, ", " Haswell; "};
#endif
  return (expected_sets){"vector set generic, ", "; "};
}

START_TEST(openblas_is_given_the_kernels_this_cpu_has)
{
  char line[512];
  const expected_sets expected = expect_sets();
  describe_again(NULL, line, sizeof line);
  ck_assert_msg(strncmp(line, expected.vectors, strlen(expected.vectors)) == 0, "%s", line);
  ck_assert_msg(strstr(line, ", decompositions by libopenblas.so.0 at need, 3 threads; ") != NULL,
                "%s", line);
  ck_assert_msg(strstr(line, "; OpenBLAS 0.") != NULL, "%s", line);
  ck_assert_msg(strstr(line, expected.core) != NULL, "%s", line);
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
  ck_assert_msg(strstr(line, " Nehalem; ") != NULL, "%s", line);
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
  tcase_add_test(tests, scipys_build_serves);
  tcase_add_test(tests, the_first_decomposition_opens_the_library);
  tcase_add_test(tests, a_library_without_address_space_is_refused);
  tcase_add_test(tests, first_decompositions_may_come_together);
  tcase_add_test(tests, a_set_that_openblas_lacks_is_said);
  tcase_add_test(tests, more_threads_than_are_used_are_said);
  tcase_add_test(tests, openblas_is_given_the_kernels_this_cpu_has);
  tcase_add_test(tests, the_users_choice_of_kernels_stands);
  suite_add_tcase(suite, tests);
  return run_suite(suite);
}
