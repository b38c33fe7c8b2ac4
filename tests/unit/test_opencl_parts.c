/* What the OpenCL backend decides without a device: which one is meant, what its cache's files
 * hold, what a file of CLBlast's parameters says. */
#include "backends/kernels/cache.h"
#include "backends/opencl/device.h"
#include "backends/opencl/tuning.h"
#include "base/cache_path.h"
#include "condlora/backend.h"
#include "tests/unit/scratch.h"

static void *allocate(size_t bytes, size_t alignment)
{
  (void)alignment;
  return malloc(bytes);
}

static const cdl_host test_host = {
    .struct_size = sizeof(cdl_host),
    .abi_major = CDL_ABI_MAJOR,
    .abi_minor = CDL_ABI_MINOR,
    .fail = cdl_fail,
    .log = cdl_log,
    .allocate = allocate,
    .release = free,
};

/* ---- Which device is meant ---- */

static const opencl_found found[] = {
    {.type = CL_DEVICE_TYPE_CPU, .name = "pthread-one", .platform_name = "Portable"},
    {.type = CL_DEVICE_TYPE_GPU, .name = "Radiance 7", .platform_name = "Vendor's"},
    {.type = CL_DEVICE_TYPE_ACCELERATOR, .name = "Board", .platform_name = "Vendor's"},
    {.type = CL_DEVICE_TYPE_GPU, .name = "Radiance 9", .platform_name = "Vendor's"},
};

static void expect_choice(int count, const char *text, int expected)
{
  int chosen = -1;
  expect_ok(opencl_choose(found, count, text, &chosen));
  ck_assert_msg(chosen == expected, "'%s' is %d, expected %d", text, chosen, expected);
}

START_TEST(a_device_is_meant_by_number_or_by_a_part_of_a_name)
{
  expect_choice(4, "0", 0);
  expect_choice(4, "3", 3);
  expect_choice(4, "PTHREAD", 0);
  expect_choice(4, "nce 9", 3);
  expect_choice(4, "board", 2);
  expect_choice(4, "portable", 0);
}
END_TEST

START_TEST(without_a_name_a_gpu_comes_first)
{
  expect_choice(4, "", 1);
  expect_choice(1, "", 0);
}
END_TEST

START_TEST(a_name_that_means_none_or_several_lists_what_is_there)
{
  static const char *const refused[] = {"4", "99999999999999999999", "Radiance", "vendor", "x"};
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    int chosen;
    expect_failure(opencl_choose(found, 4, refused[i], &chosen), CDL_STATUS_ABSENT, refused[i]);
    ck_assert_ptr_nonnull(strstr(cdl_error_message(), "0: pthread-one (Portable)"));
    ck_assert_ptr_nonnull(strstr(cdl_error_message(), "3: Radiance 9 (Vendor's)"));
  }
}
END_TEST

/* ---- Codes ---- */

START_TEST(failures_name_the_call_and_the_code)
{
  expect_ok(opencl_check(0, "clFinish"));
  expect_failure(opencl_check(-5, "clFinish"), CDL_STATUS_DEVICE, "clFinish: CL_OUT_OF_RESOURCES");
  expect_failure(opencl_check(-4, "clCreateBuffer"), CDL_STATUS_MEMORY,
                 "clCreateBuffer: CL_MEM_OBJECT_ALLOCATION_FAILURE");
  expect_failure(opencl_check(-1011, "CLBlast's Gemm"), CDL_STATUS_DEVICE,
                 "CLBlastInsufficientMemoryA");
  expect_failure(opencl_check(-31999, "clFinish"), CDL_STATUS_DEVICE, "clFinish: code -31999");
}
END_TEST

/* ---- The cache ---- */

static const kernel_cache cache = {&test_host, "opencl"};
static const char content[] = "what a compiler made\0of it";

static void use_scratch(void)
{
  char folder[PATH_MAX];
  ck_assert_ptr_nonnull(realpath(scratch_folder, folder));
  setenv("CDL_CACHE_DIR", folder, 1);
}

static void expect_kept(const char *key, const void *expected, size_t bytes)
{
  size_t read = 0;
  void *kept = kernel_cache_read(&cache, key, &read);
  ck_assert_msg((kept != NULL) == (expected != NULL), "'%s'", key);
  if (kept == NULL)
    return;
  ck_assert_uint_eq(read, bytes);
  ck_assert_int_eq(memcmp(kept, expected, bytes), 0);
  free(kept);
}

START_TEST(what_was_kept_comes_back_under_its_own_key_alone)
{
  use_scratch();
  expect_kept("key 1", NULL, 0);
  kernel_cache_write(&cache, "key 1", content, sizeof content);
  kernel_cache_write(&cache, "key 2", "2", 1);
  expect_kept("key 1", content, sizeof content);
  expect_kept("key 2", "2", 1);
  expect_kept("key 3", NULL, 0);
  kernel_cache_write(&cache, "key 1", "new", 3);
  expect_kept("key 1", "new", 3);
  ck_assert_uint_eq(scratch_count_entries(), 2);
}
END_TEST

static const char *only_entry(void)
{
  static char name[300];
  DIR *stream = opendir(scratch_folder);
  ck_assert_ptr_nonnull(stream);
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
    if (entry->d_name[0] != '.')
      snprintf(name, sizeof name, "%s", entry->d_name);
  closedir(stream);
  return scratch_path(name);
}

START_TEST(what_a_killed_writer_left_is_swept)
{
  use_scratch();
  kernel_cache_write(&cache, "key", content, sizeof content);
  char left[700], other[700];
  snprintf(left, sizeof left, "%s.a1B2c3", only_entry());
  snprintf(other, sizeof other, "%s.long-name", only_entry());
  scratch_put(left, "half", 4);
  scratch_put(other, "mine", 4);
  kernel_cache_write(&cache, "key", content, sizeof content);
  ck_assert(access(left, F_OK) != 0 && access(other, F_OK) == 0);
  expect_kept("key", content, sizeof content);
}
END_TEST

START_TEST(a_broken_file_is_not_used_and_is_replaced)
{
  use_scratch();
  kernel_cache_write(&cache, "key", content, sizeof content);
  const char *path = only_entry();
  size_t bytes;
  uint8_t *whole = scratch_get(path, &bytes);
  for (size_t cut = 0; cut < bytes; cut++) {
    scratch_put(path, whole, cut);
    expect_kept("key", NULL, 0);
    whole[cut] ^= 1;
    scratch_put(path, whole, bytes);
    expect_kept("key", NULL, 0);
    whole[cut] ^= 1;
  }
  whole = realloc(whole, bytes + 2);
  ck_assert_ptr_nonnull(whole);
  scratch_put(path, whole, bytes + 1); /* one byte too many */
  expect_kept("key", NULL, 0);
  kernel_cache_write(&cache, "key", content, sizeof content);
  expect_content(path, whole, bytes);
  free(whole);
}
END_TEST

static void remember_line(void *user, cdl_log_level level, const char *line)
{
  ck_assert_int_eq(level, CDL_LOG_DEBUG);
  strncpy(user, line, 255);
}

START_TEST(a_folder_that_cannot_be_written_is_a_debug_line)
{
  char line[256] = "";
  scratch_put_text(scratch_path("file"), "not a folder");
  use_scratch();
  char folder[PATH_MAX];
  snprintf(folder, sizeof folder, "%s/file/below", getenv("CDL_CACHE_DIR"));
  setenv("CDL_CACHE_DIR", folder, 1);
  cdl_log_to(remember_line, line);
  kernel_cache_write(&cache, "key", content, sizeof content);
  cdl_log_to(NULL, NULL);
  ck_assert_msg(strstr(line, "cannot be kept") != NULL, "'%s'", line);
  expect_kept("key", NULL, 0);
  ck_assert_uint_eq(scratch_count_entries(), 1);
}
END_TEST

START_TEST(the_folder_is_the_first_that_is_named)
{
  char path[PATH_MAX];
  setenv("CDL_CACHE_DIR", "/own", 1);
  setenv("XDG_CACHE_HOME", "/xdg", 1);
  setenv("HOME", "/home/me", 1);
  ck_assert(base_cache_path(path, "x"));
  ck_assert_str_eq(path, "/own/x");
  setenv("CDL_CACHE_DIR", "", 1);
  ck_assert(base_cache_path(path, "x"));
  ck_assert_str_eq(path, "/xdg/condlora/x");
  setenv("XDG_CACHE_HOME", "relative", 1);
  ck_assert(base_cache_path(path, "x"));
  ck_assert_str_eq(path, "/home/me/.cache/condlora/x");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  ck_assert(!base_cache_path(path, "x"));
}
END_TEST

/* ---- Files of parameters ---- */

static char given[4096]; /* what CLBlast was given, a line a kernel */

static cl_int fake_device_info(cl_device_id device, cl_device_info what, size_t bytes, void *answer,
                               size_t *size)
{
  (void)device, (void)size;
  ck_assert_uint_eq(what, CL_DEVICE_TYPE);
  const cl_device_type type = CL_DEVICE_TYPE_GPU; /* for which nothing is shipped */
  ck_assert_uint_eq(bytes, sizeof type);
  memcpy(answer, &type, sizeof type);
  return CL_SUCCESS;
}

static int fake_override(cl_device_id device, const char *kernel, unsigned precision, size_t count,
                         const char **names, const size_t *values)
{
  (void)device;
  if (strcmp(kernel, "Unknown") == 0)
    return CLBlastInvalidOverrideKernel;
  size_t used = strlen(given);
  used += (size_t)snprintf(given + used, sizeof given - used, "%s %u", kernel, precision);
  for (size_t i = 0; i < count; i++)
    used += (size_t)snprintf(given + used, sizeof given - used, " %s=%zu", names[i], values[i]);
  snprintf(given + used, sizeof given - used, "\n");
  return CL_SUCCESS;
}

static opencl_device device = {.name = "Radiance 9 (tm)", .common = {.has_f64 = true}};

static cdl_status tune_with(const char *text, size_t bytes)
{
  const char *path = scratch_path("tuning.txt");
  scratch_put(path, text, bytes);
  setenv("CDL_OPENCL_TUNING", path, 1);
  cl.clGetDeviceInfo = fake_device_info;
  cl.CLBlastOverrideParameters = fake_override;
  given[0] = '\0';
  return opencl_tune(&device);
}

#define FIRST "condlora-opencl-tuning 1\n"

START_TEST(a_file_gives_clblast_its_parameters)
{
  static const char text[] = "# found on Monday\n\n" FIRST "device Radiance 9 (tm)\n"
                             "driver 1.0 beta\nXgemm 32 MWG=64 NWG=32\r\n\n"
                             "#XgemmDirect 32 WGD=8\nGemmRoutine  64\tXGEMM_MIN_INDIRECT_SIZE=448";
  expect_ok(tune_with(text, sizeof text - 1));
  ck_assert_str_eq(given, "Xgemm 32 MWG=64 NWG=32\nGemmRoutine 64 XGEMM_MIN_INDIRECT_SIZE=448\n");
}
END_TEST

START_TEST(a_faulty_file_is_refused_by_line)
{
  static const struct {
    const char *text, *expected;
  } faulty[] = {
      {"", "tuning.txt:0: an empty file"},
      {"# nothing\n", "tuning.txt:1: an empty file"},
      {"Xgemm 32 A=1\n", "tuning.txt:1: expected 'condlora-opencl-tuning 1'"},
      {"condlora-opencl-tuning 2\n", "tuning.txt:1: expected 'condlora-opencl-tuning 1'"},
      {FIRST "device Radiance 7\n", "tuning.txt:2: tuned for Radiance 7, this is Radiance 9 (tm)"},
      {FIRST "Xgemm\n", "tuning.txt:2: expected a kernel's name and 32 or 64"},
      {FIRST "\nXgemm 16 A=1\n", "tuning.txt:3: expected a kernel's name and 32 or 64"},
      {FIRST "Xgemm 32\n", "tuning.txt:2: has no parameters"},
      {FIRST "Xgemm 32 A\n", "tuning.txt:2: expected NAME=VALUE"},
      {FIRST "Xgemm 32 =1\n", "tuning.txt:2: expected NAME=VALUE"},
      {FIRST "Xgemm 32 A=-1\n", "tuning.txt:2: expected NAME=VALUE"},
      {FIRST "Xgemm 32 A=1x\n", "tuning.txt:2: expected NAME=VALUE"},
      {FIRST "Xgemm 32 A=\n", "tuning.txt:2: expected NAME=VALUE"},
      {FIRST "Xgemm 32 A=10000000000\n", "tuning.txt:2: expected NAME=VALUE"},
      {FIRST "Unknown 32 A=1\n", "tuning.txt:2: CLBlast refuses the parameters of Unknown: "
                                 "CLBlastInvalidOverrideKernel"},
  };
  for (size_t i = 0; i < sizeof faulty / sizeof faulty[0]; i++)
    expect_failure(tune_with(faulty[i].text, strlen(faulty[i].text)), CDL_STATUS_DATA,
                   faulty[i].expected);
  static const char zero[] = FIRST "Xgemm 32\0A=1\n";
  expect_failure(tune_with(zero, sizeof zero - 1), CDL_STATUS_DATA,
                 "tuning.txt:2: has a zero byte");
  char many[400] = FIRST "Xgemm 32";
  for (int i = 0; i < 33; i++)
    strcat(many, " A=1");
  expect_failure(tune_with(many, strlen(many)), CDL_STATUS_DATA,
                 "tuning.txt:2: has too many parameters");
}
END_TEST

START_TEST(a_file_that_is_named_must_be_there)
{
  expect_ok(tune_with(FIRST, strlen(FIRST)));
  setenv("CDL_OPENCL_TUNING", scratch_path("none.txt"), 1);
  expect_failure(opencl_tune(&device), CDL_STATUS_IO, "none.txt");
}
END_TEST

START_TEST(the_cache_may_hold_a_file_for_the_device)
{
  expect_ok(tune_with(FIRST, strlen(FIRST)));
  unsetenv("CDL_OPENCL_TUNING");
  use_scratch();
  expect_ok(opencl_tune(&device));
  ck_assert_str_eq(given, "");
  scratch_put_text(scratch_path("opencl-tuning-Radiance-9--tm-.txt"), FIRST "Xgemm 32 A=7\n");
  expect_ok(opencl_tune(&device));
  ck_assert_str_eq(given, "Xgemm 32 A=7\n");
}
END_TEST

START_TEST(what_is_shipped_can_be_read)
{
  cl.CLBlastOverrideParameters = fake_override;
  unsetenv("CDL_OPENCL_TUNING");
  use_scratch();
  expect_ok(opencl_tune_shipped(&device, CL_DEVICE_TYPE_CPU));
  ck_assert_ptr_nonnull(strstr(given, "Xgemm 32 "));
}
END_TEST

int main(void)
{
  opencl_host = &test_host;
  const TTest *const tests[] = {a_device_is_meant_by_number_or_by_a_part_of_a_name,
                                without_a_name_a_gpu_comes_first,
                                a_name_that_means_none_or_several_lists_what_is_there,
                                failures_name_the_call_and_the_code,
                                what_was_kept_comes_back_under_its_own_key_alone,
                                what_a_killed_writer_left_is_swept,
                                a_broken_file_is_not_used_and_is_replaced,
                                a_folder_that_cannot_be_written_is_a_debug_line,
                                the_folder_is_the_first_that_is_named,
                                a_file_gives_clblast_its_parameters,
                                a_faulty_file_is_refused_by_line,
                                a_file_that_is_named_must_be_there,
                                the_cache_may_hold_a_file_for_the_device,
                                what_is_shipped_can_be_read,
                                NULL};
  return scratch_run("opencl parts", tests);
}
