/* What a machine with an NVIDIA GPU may be like: drivers older than the kernels, libraries in pip's
 * folders, devices that are busy. On the emulator, as the environment sets it up. */
#include <dlfcn.h>
#include <limits.h>

#include "backends/cuda/types.h"
#include "condlora/backend.h"
#include "condlora/log.h"
#include "tests/cuda/emulated.h"
#include "tests/unit/scratch.h"

static char emulator_folder[PATH_MAX];

/* ---- What the log says ---- */

static struct {
  const char *part;
  int count;
  char last[1024];
} watched;

static void watch_line(void *user, cdl_log_level level, const char *line)
{
  (void)user, (void)level;
  if (strstr(line, watched.part) == NULL)
    return;
  watched.count++;
  snprintf(watched.last, sizeof watched.last, "%s", line);
}

/* From now on counts the lines that contain `part`. */
static void watch_for(const char *part)
{
  watched.part = part;
  watched.count = 0;
  watched.last[0] = '\0';
  cdl_log_to(watch_line, NULL);
}

/* ---- Opening ---- */

static void set_up(void)
{
  scratch_make();
  snprintf(emulator_folder, sizeof emulator_folder, "%s", getenv("CDL_CUDA_LIBRARIES"));
  setenv("CDL_CACHE_DIR", scratch_path("cache"), 1);
}

static void tear_down(void)
{
  cdl_log_to(NULL, NULL);
  setenv("CDL_CUDA_LIBRARIES", emulator_folder, 1);
  emulated_fail_at("*", 0);
  ck_assert_int_eq(emulated_count("emulator_leaks"), 0);
  ck_assert_int_eq(emulated_count("emulator_violations"), 0);
  scratch_remove();
}

/* Opens the device and runs something; the result is that of the first failure. */
static cdl_status try_device(const char *name)
{
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *buffer;
  float value = 0;
  CDL_TRY(cdl_backend_open(name, NULL, &backend));
  expect_ok(cdl_queue_create(backend, &queue));
  expect_ok(cdl_buffer_create(backend, 400, &buffer));
  const cdl_tensor x = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 100);
  cdl_fill(queue, CDL_ARGS(fill, .out = x, .value = 3));
  cdl_queue_download(queue, &value, cdl_tensor_columns(x, 99, 1), sizeof value);
  expect_ok(cdl_queue_sync(queue));
  ck_assert_float_eq(value, 3);
  cdl_buffer_destroy(buffer);
  cdl_queue_destroy(queue);
  return cdl_backend_close(backend);
}

static void expect_refusal(cdl_status expected, const char *const *parts)
{
  const cdl_status status = try_device("cuda");
  for (; *parts != NULL; parts++)
    expect_failure(status, expected, *parts);
}
#define EXPECT_REFUSAL(status, ...) expect_refusal(status, (const char *const[]){__VA_ARGS__, NULL})

/* ---- Which kernels a driver takes ---- */

/* Whether nvcc made kernels when the plug-in was built. */
static bool has_images(void)
{
  setenv("CDL_CUDA_KERNELS", "cubin", 1);
  const bool has = try_device("cuda") == CDL_STATUS_OK;
  unsetenv("CDL_CUDA_KERNELS");
  return has;
}

START_TEST(a_driver_that_takes_no_kernels_hears_what_they_need)
{
  setenv("CUDA_EMULATOR_DRIVER", "12040", 1);
  setenv("CUDA_EMULATOR_CAPABILITY", "90", 1);
  setenv("CDL_CUDA_KERNELS", "ptx", 1);
  const cdl_status status = try_device("cuda");
  if (strstr(cdl_error_message(), "nvcc was not found") == NULL && status != CDL_STATUS_OK) {
    EXPECT_REFUSAL(CDL_STATUS_UNSUPPORTED, "the driver (CUDA 12.4) takes no kernels of this build",
                   "sm_90; nvcc ", "need driver 5", "CUDA_ERROR_UNSUPPORTED_PTX_VERSION (222)");
    setenv("CDL_CUDA_KERNELS", "cubin", 1);
    EXPECT_REFUSAL(CDL_STATUS_UNSUPPORTED, "machine code for sm_90: CUDA_ERROR_NO_BINARY_FOR_GPU");
  }
  setenv("CDL_CUDA_KERNELS", "other", 1);
  EXPECT_REFUSAL(CDL_STATUS_UNSUPPORTED, "'other'", "cubin, ptx or nvrtc");
}
END_TEST

START_TEST(a_device_tries_its_machine_code_then_ptx)
{
  static const struct {
    const char *capability, *taken;
  } cases[] = {{"80", "machine code for sm_80"},
               {"86", "machine code for sm_80"},
               {"90", "machine code for sm_90"},
               {"100", "PTX of compute_80"},
               {"121", "PTX of compute_80"}};
  if (!has_images())
    return;
  setenv("CUDA_EMULATOR_DRIVER", "13000", 1);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    setenv("CUDA_EMULATOR_CAPABILITY", cases[i].capability, 1);
    watch_for("the kernels are");
    expect_ok(try_device("cuda"));
    ck_assert_int_eq(watched.count, 1);
    ck_assert_msg(strstr(watched.last, cases[i].taken) != NULL, "sm_%s: %s", cases[i].capability,
                  watched.last);
  }
}
END_TEST

/* Every answer about an image leads to the next one, and at last to NVRTC; others are errors. */
START_TEST(answers_about_an_image_lead_to_the_next)
{
  static const int of_image[] = {200, 209, 218, 221, 222, 223};
  const bool images = has_images();
  for (size_t i = 0; i < sizeof of_image / sizeof of_image[0]; i++) {
    watch_for("the kernels are");
    if (images) {
      emulated_answer("cuModuleLoadData", 1, of_image[i], false);
      expect_ok(try_device("cuda"));
      ck_assert_msg(strstr(watched.last, "PTX") != NULL, "%s", watched.last);
    }
    emulated_answer("cuModuleLoadData", 1, of_image[i], true);
    EXPECT_REFUSAL(CDL_STATUS_UNSUPPORTED,
                   "the driver refuses NVRTC's too: machine code for sm_80");
  }
  emulated_answer("cuModuleLoadData", 1, CUDA_ERROR_OUT_OF_MEMORY, false);
  EXPECT_REFUSAL(CDL_STATUS_MEMORY, "cuModuleLoadData: CUDA_ERROR_OUT_OF_MEMORY (2)");
}
END_TEST

/* ---- NVRTC ---- */

static const char *only_entry(const char *folder)
{
  static char path[PATH_MAX];
  DIR *stream = opendir(folder);
  ck_assert_msg(stream != NULL, "%s", folder);
  path[0] = '\0';
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
    if (entry->d_name[0] != '.') {
      ck_assert_str_eq(path, "");
      snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    }
  closedir(stream);
  ck_assert_str_ne(path, "");
  return path;
}

static void expect_compilations(int count)
{
  watch_for("compiles them now");
  expect_ok(try_device("cuda"));
  ck_assert_int_eq(watched.count, count);
}

START_TEST(kernels_are_compiled_once_and_kept)
{
  setenv("CDL_CUDA_KERNELS", "nvrtc", 1);
  expect_compilations(1);
  ck_assert_ptr_nonnull(strstr(watched.last, "NVRTC 12.0 compiles them now for sm_80"));
  expect_compilations(0);
  const char *path = only_entry(scratch_path("cache"));
  size_t bytes;
  uint8_t *whole = scratch_get(path, &bytes);
  whole[bytes - 4] ^= 1;
  scratch_put(path, whole, bytes); /* damaged */
  expect_compilations(1);
  expect_compilations(0);
  whole[bytes - 4] ^= 1;
  expect_content(path, whole, bytes);
  free(whole);
  ck_assert_int_eq(chmod(path, 0666), 0); /* anybody may have written it */
  expect_compilations(1);
  emulated_answer("cuModuleLoadData", 1, CUDA_ERROR_INVALID_IMAGE, false); /* to a kept one */
  expect_compilations(1);
  setenv("CUDA_EMULATOR_CAPABILITY", "90", 1);
  expect_compilations(1);
  setenv("CDL_CACHE_DIR", "/dev/null/nowhere", 1); /* nothing can be kept */
  expect_compilations(1);
}
END_TEST

START_TEST(an_older_driver_compiles_for_itself)
{
  if (!has_images())
    return;
  setenv("CUDA_EMULATOR_DRIVER", "12000", 1);
  watch_for("compiles them now");
  const cdl_status status = try_device("cuda");
  expect_ok(status);
  if (watched.count == 0)
    return; /* an nvcc of CUDA 12 made the build's kernels */
  ck_assert_ptr_nonnull(strstr(watched.last, "need driver 580 or newer"));
  ck_assert_ptr_nonnull(strstr(watched.last, "NVRTC 12.0"));
}
END_TEST

START_TEST(a_device_that_nvrtc_does_not_know_gets_its_newest_ptx)
{
  setenv("CDL_CUDA_KERNELS", "nvrtc", 1);
  setenv("CUDA_EMULATOR_CAPABILITY", "103", 1);
  watch_for("the kernels are");
  expect_ok(try_device("cuda"));
  ck_assert_ptr_nonnull(strstr(watched.last, "PTX of compute_90 by NVRTC 12.0"));
}
END_TEST

START_TEST(a_compiler_that_fails_says_why)
{
  setenv("CDL_CUDA_KERNELS", "nvrtc", 1);
  emulated_fail_at("nvrtcCompileProgram", 1);
  EXPECT_REFUSAL(CDL_STATUS_DEVICE, "CDL_CUDA_KERNELS wants", "nvrtcCompileProgram (6)",
                 "kernels.cu(1): error: as the test wants it");
}
END_TEST

/* Each call in turn fails while a device is opened: one error, and nothing is left behind. */
START_TEST(every_call_of_a_compilation_may_fail)
{
  const char *(*failed_call)(void);
  *(void **)(void *)&failed_call = emulated_symbol("emulator_failed_call");
  setenv("CDL_CUDA_KERNELS", "nvrtc", 1);
  setenv("CUDA_EMULATOR_CAPABILITY", _i == 0 ? "80" : "100", 1);
  int failures = 0;
  for (uint64_t k = 1;; k++) {
    cdl_backend *backend;
    setenv("CDL_CACHE_DIR", "/dev/null/nowhere", 1);
    watch_for(": 11"); /* nvrtcDestroyProgram warns, for there is nothing else to do */
    emulated_fail_at("*", k);
    const cdl_status status = cdl_backend_open("cuda", NULL, &backend);
    const char *failed = failed_call();
    if (status == CDL_STATUS_OK)
      expect_ok(cdl_backend_close(backend));
    if (failed == NULL)
      break;
    const bool excused = strcmp(failed, "nvrtcDestroyProgram") == 0 && watched.count == 1;
    ck_assert_msg(status != CDL_STATUS_OK || excused, "call %lu, %s, fails unnoticed",
                  (unsigned long)k, failed);
    ck_assert_msg(emulated_count("emulator_leaks") == 0, "call %lu, %s", (unsigned long)k, failed);
    failures += strncmp(failed, "nvrtc", 5) == 0;
  }
  ck_assert_int_eq(failures, 8);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("first contact");
  TCase *cases = tcase_create("first contact");
  tcase_set_timeout(cases, 120);
  tcase_add_checked_fixture(cases, set_up, tear_down);
  tcase_add_test(cases, a_driver_that_takes_no_kernels_hears_what_they_need);
  tcase_add_test(cases, a_device_tries_its_machine_code_then_ptx);
  tcase_add_test(cases, answers_about_an_image_lead_to_the_next);
  tcase_add_test(cases, kernels_are_compiled_once_and_kept);
  tcase_add_test(cases, an_older_driver_compiles_for_itself);
  tcase_add_test(cases, a_device_that_nvrtc_does_not_know_gets_its_newest_ptx);
  tcase_add_test(cases, a_compiler_that_fails_says_why);
  tcase_add_loop_test(cases, every_call_of_a_compilation_may_fail, 0, 2);
  suite_add_tcase(suite, cases);
  return run_suite(suite);
}
