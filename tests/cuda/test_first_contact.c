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

static void expect_refusal(const char *name, cdl_status expected, const char *const *parts)
{
  const cdl_status status = try_device(name);
  for (; *parts != NULL; parts++)
    expect_failure(status, expected, *parts);
}
#define EXPECT_REFUSAL_OF(name, status, ...) \
  expect_refusal(name, status, (const char *const[]){__VA_ARGS__, NULL})
#define EXPECT_REFUSAL(...) EXPECT_REFUSAL_OF("cuda", __VA_ARGS__)

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

/* ---- Drivers that do not start, devices that are not free, faults that stay ---- */

START_TEST(a_driver_that_does_not_start_says_what_to_do)
{
  static const struct {
    int code;
    const char *name, *advice;
  } cases[] = {{34, "CUDA_ERROR_STUB_LIBRARY", "LD_LIBRARY_PATH"},
               {100, "CUDA_ERROR_NO_DEVICE", "CUDA_VISIBLE_DEVICES"},
               {304, "CUDA_ERROR_OPERATING_SYSTEM", "/dev/nvidia"},
               {802, "CUDA_ERROR_SYSTEM_NOT_READY", "nvidia-fabricmanager"},
               {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "restart the machine"},
               {804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "cuda-compat"},
               {999, "CUDA_ERROR_UNKNOWN", "kernel modules"},
               {3, "CUDA_ERROR_NOT_INITIALIZED", "nvidia-smi"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char number[8];
    snprintf(number, sizeof number, "(%d)", cases[i].code);
    emulated_answer("cuInit", 1, cases[i].code, true);
    EXPECT_REFUSAL(CDL_STATUS_ABSENT, "the NVIDIA driver does not start", "libcuda.so.1",
                   cases[i].name, number, cases[i].advice);
  }
}
END_TEST

/* A driver may know no name of an answer; this library does. */
START_TEST(an_answer_has_its_name_even_where_the_driver_has_none)
{
  emulated_answer("cuMemGetInfo_v2", 1, 911, true);
  EXPECT_REFUSAL(CDL_STATUS_DEVICE, "cuMemGetInfo_v2: CUDA_ERROR_EXTERNAL_DEVICE (911)");
}
END_TEST

START_TEST(a_device_that_is_not_free_says_why)
{
  emulated_answer("cuDevicePrimaryCtxRetain", 1, CUDA_ERROR_DEVICE_UNAVAILABLE, true);
  EXPECT_REFUSAL(CDL_STATUS_DEVICE, "device 0, condlora CUDA emulator, is not free",
                 "CUDA_ERROR_DEVICE_UNAVAILABLE (46)");
  setenv("CUDA_EMULATOR_MODE", "3", 1);
  EXPECT_REFUSAL(CDL_STATUS_DEVICE, "another process uses it");
  emulated_answer("cuDevicePrimaryCtxRetain", 1, CUDA_ERROR_OUT_OF_MEMORY, true);
  EXPECT_REFUSAL(CDL_STATUS_MEMORY, "other processes have left no memory on it");
  emulated_fail_at("*", 0);
  expect_ok(try_device("cuda"));
  setenv("CUDA_EMULATOR_MODE", "2", 1);
  EXPECT_REFUSAL(CDL_STATUS_DEVICE, "forbids every process");
  watch_for("auto: not cuda: cuda: device 0");
  expect_ok(try_device("auto")); /* goes on with another backend, and says so */
  ck_assert_int_eq(watched.count, 1);
}
END_TEST

/* After such an answer no call reaches the device; after any other the next one does. */
START_TEST(faults_that_stay_are_those_of_nvidias_header)
{
  static const int lasting[] = {4,   46,  214, 220, 226, 700, 702, 709, 710, 714,
                                715, 716, 717, 718, 719, 721, 810, 911, 999},
                   passing[] = {1, 2, 3, 201, 400, 500, 701, 720, 801, 900, 901, 909};
  for (size_t i = 0; i < sizeof lasting / sizeof lasting[0] + sizeof passing / sizeof passing[0];
       i++) {
    const size_t count = sizeof lasting / sizeof lasting[0];
    const bool stays = i < count;
    cdl_backend *backend;
    cdl_buffer *buffer = NULL;
    expect_ok(cdl_backend_open("cuda", NULL, &backend));
    emulated_answer("cuMemAlloc_v2", 1, stays ? lasting[i] : passing[i - count], false);
    ck_assert_int_ne(cdl_buffer_create(backend, 64 << 20, &buffer), CDL_STATUS_OK);
    const cdl_status next = cdl_buffer_create(backend, 64, &buffer);
    ck_assert_msg((next != CDL_STATUS_OK) == stays, "%d: %s",
                  stays ? lasting[i] : passing[i - count], cdl_error_message());
    if (stays)
      expect_failure(next, CDL_STATUS_DEVICE, "the device failed before, in cuMemAlloc_v2");
    cdl_buffer_destroy(buffer);
    ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
  }
}
END_TEST

/* ---- Where libraries lie ---- */

static void make_folders(const char *path)
{
  char made[2 * PATH_MAX];
  snprintf(made, sizeof made, "%s", path);
  for (char *slash = strchr(made + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(made, 0700);
    *slash = '/';
  }
  mkdir(made, 0700);
}

static void link_emulated(const char *folder, const char *name, const char *as)
{
  char from[2 * PATH_MAX], to[3 * PATH_MAX];
  snprintf(from, sizeof from, "%s/%s", emulator_folder, name);
  snprintf(to, sizeof to, "%s/%s", folder, as);
  ck_assert_int_eq(symlink(from, to), 0);
}

/* A file of its own, so that its path says which was taken. */
static void copy_emulated(const char *name, const char *as)
{
  char from[2 * PATH_MAX];
  size_t bytes;
  snprintf(from, sizeof from, "%s/%s", emulator_folder, name);
  uint8_t *content = scratch_get(from, &bytes);
  scratch_put(scratch_path(as), content, bytes);
  free(content);
}

/* Leaves the driver alone in the folder that is searched first; CUDA 12's libraries must be nowhere
 * else. */
static bool hide_libraries(void)
{
  static const char *const variables[] = {"CUDA_HOME", "CUDA_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"};
  for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
    unsetenv(variables[i]);
  setenv("HOME", scratch_folder, 1);
  make_folders(scratch_path("driver"));
  link_emulated(scratch_path("driver"), "libcuda.so.1", "libcuda.so.1");
  link_emulated(scratch_path("driver"), "libnvrtc.so.12", "libnvrtc.so.12");
  setenv("CDL_CUDA_LIBRARIES", scratch_path("driver"), 1);
  void *there = dlopen("libcublas.so.12", RTLD_NOW);
  return there == NULL && access("/usr/local/cuda/lib64/libcublas.so.12", F_OK) != 0;
}

#define SITE "/lib/python3.12/site-packages/nvidia/"
static const struct {
  const char *variable, *root, *folder;
} places[] = {
    {"CUDA_HOME", "toolkit", "/lib64"},
    {"CUDA_PATH", "toolkit", "/lib64"},
    {"VIRTUAL_ENV", "venv", SITE "cublas/lib"},
    {"VIRTUAL_ENV", "venv [1]", SITE "cu12/lib"},
    {"CONDA_PREFIX", "conda", SITE "cublas/lib"},
    {"CONDA_PREFIX", "conda", "/lib"},
    {"HOME", "home", "/.local" SITE "cublas/lib"},
};
enum { PLACES = sizeof places / sizeof places[0] };

START_TEST(libraries_are_found_where_pip_and_toolkits_put_them)
{
  if (!hide_libraries())
    return;
  EXPECT_REFUSAL(CDL_STATUS_ABSENT, "libcublas.so of CUDA 11 to 12 is missing",
                 "NVIDIA's package libcublas-12-0", "pip's nvidia-cublas-cu12",
                 "searched: ", "/driver, the loader's path");
  char root[PATH_MAX], folder[2 * PATH_MAX];
  ck_assert_ptr_nonnull(realpath(scratch_folder, root));
  strcat(strcat(root, "/"), places[_i].root);
  snprintf(folder, sizeof folder, "%s%s", root, places[_i].folder);
  make_folders(folder);
  setenv(places[_i].variable, root, 1);
  link_emulated(folder, "libcublas.so.12", "libcublas.so.12");
  link_emulated(folder, "libcusolver.so.11", "libcublasLt.so.12"); /* what it needs, say */
  ck_assert_int_eq(chmod(folder, 0777), 0);
  watch_for("is not loaded");
  EXPECT_REFUSAL(CDL_STATUS_ABSENT, places[_i].folder, "(not trusted)");
  ck_assert_int_ge(watched.count, 1);
  ck_assert_int_eq(chmod(folder, 0755), 0);
  expect_ok(try_device("cuda"));
  FILE *maps = fopen("/proc/self/maps", "r");
  ck_assert_ptr_nonnull(maps);
  char line[PATH_MAX + 100];
  bool needed = false;
  while (fgets(line, sizeof line, maps) != NULL)
    needed = needed || strstr(line, "libcusolver.so.11") != NULL;
  fclose(maps);
  ck_assert(needed);
}
END_TEST

/* The newest library that the driver can run; cuSOLVER's number is one behind from CUDA 12 on. */
START_TEST(libraries_have_the_drivers_major_version)
{
  char root[PATH_MAX], folder[2 * PATH_MAX];
  const bool new = _i == 1;
  (void)emulated_count("emulator_leaks");
  snprintf(folder, sizeof folder, "%s", scratch_folder);
  ck_assert_ptr_nonnull(realpath(folder, root));
  copy_emulated("libcublasLt.so.12", "libcublasLt.so.12"); /* cuBLAS needs it, from beside it */
  copy_emulated("libcublas.so.12", "libcublas.so.13");
  copy_emulated("libcublas.so.12", "libcublas.so.12");
  copy_emulated("libcusolver.so.11", "libcusolver.so.12");
  copy_emulated("libcusolver.so.11", "libcusolver.so.11");
  link_emulated(root, "libcuda.so.1", "libcuda.so.1");
  link_emulated(root, "libnvrtc.so.12", "libnvrtc.so.12");
  setenv("CDL_CUDA_LIBRARIES", root, 1);
  setenv("CUDA_EMULATOR_DRIVER", new ? "13000" : "12040", 1);
  void *core =
      dlopen("libcondlora-cuda-emulator.so", RTLD_NOW); /* for copies, which lie elsewhere */
  (void)core;
  cdl_backend *backend;
  watch_for("libcublas is");
  expect_ok(cdl_backend_open("cuda", NULL, &backend));
  ck_assert_msg(strstr(watched.last, new ? "libcublas.so.13" : "libcublas.so.12") != NULL, "%s",
                watched.last);
  watch_for("libcusolver is");
  cdl_buffer *x;
  expect_ok(cdl_buffer_create(backend, 400, &x));
  const cdl_svd_args args = {sizeof args, .sigma = cdl_tensor_1d(x, CDL_DTYPE_F32, 50, 3),
                             .a = cdl_tensor_2d(x, CDL_DTYPE_F32, 0, 3, 3)};
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_svd, &args), CDL_PATH_NATIVE);
  ck_assert_msg(strstr(watched.last, new ? "libcusolver.so.12" : "libcusolver.so.11") != NULL, "%s",
                watched.last);
  cdl_buffer_destroy(x);
  expect_ok(cdl_backend_close(backend));
}
END_TEST

/* ---- Other devices than the emulator's usual one ---- */

START_TEST(working_memory_is_that_of_the_generation)
{
  static const struct {
    const char *capability;
    size_t bytes;
  } cases[] = {{"80", 4 << 20}, {"89", 4 << 20}, {"90", 32 << 20}, {"100", 32 << 20}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    cdl_backend *backend;
    cdl_queue *queue;
    cdl_memory_info before = {.size = sizeof before}, after = before;
    setenv("CUDA_EMULATOR_CAPABILITY", cases[i].capability, 1);
    expect_ok(cdl_backend_open("cuda", NULL, &backend));
    expect_ok(cdl_backend_memory(backend, &before));
    expect_ok(cdl_queue_create(backend, &queue));
    expect_ok(cdl_backend_memory(backend, &after));
    ck_assert_uint_eq(before.free_bytes - after.free_bytes, cases[i].bytes);
    cdl_queue_destroy(queue);
    expect_ok(cdl_backend_close(backend));
  }
}
END_TEST

START_TEST(a_second_device_works_beside_the_first)
{
  setenv("CUDA_EMULATOR_DEVICES", "2", 1);
  expect_ok(try_device("cuda:1"));
  expect_ok(try_device("cuda:number 1"));
  EXPECT_REFUSAL_OF("cuda:2", CDL_STATUS_ABSENT, "no device 2, only 0 to 1");
  cdl_backend *backend[2];
  cdl_queue *queue[2];
  cdl_buffer *buffer[2];
  for (int i = 0; i < 2; i++) {
    expect_ok(cdl_backend_open(i == 0 ? "cuda:0" : "cuda:1", NULL, &backend[i]));
    expect_ok(cdl_queue_create(backend[i], &queue[i]));
    expect_ok(cdl_buffer_create(backend[i], 400, &buffer[i]));
  }
  float value[2] = {0, 0};
  for (int i = 0; i < 2; i++)
    cdl_fill(queue[i], CDL_ARGS(fill, .out = cdl_tensor_1d(buffer[i], CDL_DTYPE_F32, 0, 100),
                                .value = 5 + i));
  for (int i = 0; i < 2; i++)
    cdl_queue_download(queue[i], &value[i], cdl_tensor_1d(buffer[i], CDL_DTYPE_F32, 50, 1),
                       sizeof(float));
  for (int i = 0; i < 2; i++)
    expect_ok(cdl_queue_sync(queue[i]));
  ck_assert_float_eq(value[0], 5);
  ck_assert_float_eq(value[1], 6);
  /* One is lost, the other goes on. */
  emulated_fail_at("late", 1);
  cdl_fill(queue[1], CDL_ARGS(fill, .out = cdl_tensor_1d(buffer[1], CDL_DTYPE_F32, 0, 100)));
  ck_assert_int_eq(cdl_queue_sync(queue[1]), CDL_STATUS_DEVICE);
  emulated_fail_at("*", 0);
  cdl_fill(queue[0], CDL_ARGS(fill, .out = cdl_tensor_1d(buffer[0], CDL_DTYPE_F32, 0, 100)));
  expect_ok(cdl_queue_sync(queue[0]));
  for (int i = 0; i < 2; i++) {
    cdl_buffer_destroy(buffer[i]);
    cdl_queue_destroy(queue[i]);
    expect_ok(cdl_backend_close(backend[i]));
  }
  emulated_answer("cuDevicePrimaryCtxRetain", 1, CUDA_ERROR_DEVICE_UNAVAILABLE, false);
  EXPECT_REFUSAL_OF("cuda:1", CDL_STATUS_DEVICE, "device 1, condlora CUDA emulator, number 1",
                    "the devices are cuda:0 to cuda:1");
  setenv("CUDA_EMULATOR_DEVICES", "0", 1);
  EXPECT_REFUSAL(CDL_STATUS_ABSENT, "CUDA_ERROR_NO_DEVICE (100)");
}
END_TEST

int main(int count, char **arguments)
{
  (void)count;
  /* meson puts the emulator onto the loader's path, where it would be found first. */
  if (getenv("LD_LIBRARY_PATH") != NULL) {
    unsetenv("LD_LIBRARY_PATH");
    execv("/proc/self/exe", arguments);
  }
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
  tcase_add_test(cases, a_driver_that_does_not_start_says_what_to_do);
  tcase_add_test(cases, an_answer_has_its_name_even_where_the_driver_has_none);
  tcase_add_test(cases, a_device_that_is_not_free_says_why);
  tcase_add_test(cases, faults_that_stay_are_those_of_nvidias_header);
  tcase_add_loop_test(cases, libraries_are_found_where_pip_and_toolkits_put_them, 0, PLACES);
  tcase_add_loop_test(cases, libraries_have_the_drivers_major_version, 0, 2);
  tcase_add_test(cases, working_memory_is_that_of_the_generation);
  tcase_add_test(cases, a_second_device_works_beside_the_first);
  suite_add_tcase(suite, cases);
  return run_suite(suite);
}
