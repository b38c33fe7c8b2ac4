/* Plug-ins: where they are found, and why an unsound one is refused. */
#include <check.h>
#include <sys/stat.h>

#include "condlora/backend.h"
#include "condlora/plugin.h"
#include "tests/run_suite.h"
#include "tests/unit/plugins/find.h"

static void assert_refused(const char *name, cdl_status status, const char *const *words)
{
  cdl_backend *backend = NULL;
  ck_assert_str_eq(cdl_status_name(cdl_backend_open(name, NULL, &backend)),
                   cdl_status_name(status));
  ck_assert_ptr_null(backend);
  for (; *words != NULL; words++)
    ck_assert_msg(strstr(cdl_error_message(), *words) != NULL, "'%s' lacks '%s'",
                  cdl_error_message(), *words);
}

/* "1.2" */
#define TEXT(number) #number
#define TEXT_OF(number) TEXT(number)
#define INTERFACE TEXT_OF(CDL_ABI_MAJOR) "." TEXT_OF(CDL_ABI_MINOR)

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

START_TEST(a_sound_plugin_opens_by_path)
{
  cdl_backend *backend;
  const cdl_backend_options options = {.size = sizeof options, .threads = 3};
  ck_assert_int_eq(cdl_backend_open(plugin_path("recording"), &options, &backend), CDL_STATUS_OK);
  ck_assert_str_eq(cdl_backend_name(backend), "recording");
  ck_assert_str_eq(cdl_backend_description(backend), "notes what is asked of it");
  const recording *seen = plugin_variable("recording", "recorded");
  ck_assert_int_eq(seen->threads, 3);
  ck_assert_int_eq(seen->open, 1);
  ck_assert_str_eq(seen->device_name, "");
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
  ck_assert_int_eq(seen->open, 0);
}
END_TEST

START_TEST(a_path_may_name_a_device)
{
  char name[PATH_MAX + 80];
  cdl_backend *backend;
  snprintf(name, sizeof name, "%s:first:2", plugin_path("recording"));
  ck_assert_int_eq(cdl_backend_open(name, NULL, &backend), CDL_STATUS_OK);
  ck_assert_str_eq(((recording *)plugin_variable("recording", "recorded"))->device_name, "first:2");
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
  snprintf(name, sizeof name, "%s:broken", plugin_path("recording"));
  assert_refused(name, CDL_STATUS_ABSENT, WORDS("recording: device 'broken' is broken"));
}
END_TEST

START_TEST(one_file_by_two_paths_is_one_plugin)
{
  char folder[] = P_tmpdir "/condlora-test-XXXXXX", path[64];
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/other.so", folder);
  ck_assert_int_eq(symlink(plugin_path("recording"), path), 0);
  cdl_backend *first, *second;
  ck_assert_int_eq(cdl_backend_open(plugin_path("recording"), NULL, &first), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_backend_open(path, NULL, &second), CDL_STATUS_OK);
  ck_assert_ptr_eq(cdl_backend_name(first), cdl_backend_name(second));
  ck_assert_int_eq(((recording *)plugin_variable("recording", "recorded"))->open, 2);
  ck_assert_int_eq(cdl_backend_close(first), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_backend_close(second), CDL_STATUS_OK);
  unlink(path);
  rmdir(folder);
}
END_TEST

START_TEST(names_are_looked_for_in_the_path_variable)
{
  setenv("CDL_BACKEND_PATH", plugin_folder(), 1);
  cdl_backend *backend;
  ck_assert_int_eq(cdl_backend_open("recording:1", NULL, &backend), CDL_STATUS_OK);
  ck_assert_str_eq(((recording *)plugin_variable("recording", "recorded"))->device_name, "1");
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
}
END_TEST

static void remember_line(void *user, cdl_log_level level, const char *line)
{
  (void)level;
  strncpy(user, line, 255);
}

START_TEST(the_working_directory_is_never_searched)
{
  char line[256] = "";
  ck_assert_int_eq(chdir(plugin_folder()), 0);
  unsetenv("CDL_BACKEND_PATH");
  assert_refused("recording", CDL_STATUS_ABSENT, WORDS("no plug-in condlora-recording.so in"));
  cdl_log_to(remember_line, line);
  setenv("CDL_BACKEND_PATH", ".", 1);
  assert_refused("recording", CDL_STATUS_ABSENT, WORDS("no plug-in condlora-recording.so in"));
  cdl_log_to(NULL, NULL);
  ck_assert_ptr_nonnull(strstr(line, "'.' is not an absolute path"));
  setenv("CDL_BACKEND_PATH", "::", 1);
  assert_refused("recording", CDL_STATUS_ABSENT, WORDS("no plug-in condlora-recording.so in"));
}
END_TEST

START_TEST(the_build_folder_is_searched)
{
  cdl_backend *backend;
  unsetenv("CDL_BACKEND_PATH");
  ck_assert_int_eq(cdl_backend_open("null", NULL, &backend), CDL_STATUS_OK);
  ck_assert_str_eq(cdl_backend_name(backend), "null");
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
  assert_refused("null:9", CDL_STATUS_ABSENT, WORDS("null", "no device '9'"));
}
END_TEST

START_TEST(the_template_says_which_op_is_missing)
{
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *buffer;
  ck_assert_int_eq(cdl_backend_open("null", NULL, &backend), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_create(backend, 64, &buffer), CDL_STATUS_OK);
  float sent[4] = {1, 2, 3, 4}, received[4] = {0};
  cdl_queue_upload(queue, cdl_tensor_1d(buffer, CDL_DTYPE_F32, 2, 4), sent, sizeof sent);
  cdl_queue_download(queue, received, cdl_tensor_1d(buffer, CDL_DTYPE_F32, 2, 4), sizeof received);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  ck_assert_mem_eq(sent, received, sizeof sent);
  cdl_fill(queue, CDL_ARGS(fill, .out = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 4), .value = 1));
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_UNSUPPORTED);
  ck_assert_str_eq(cdl_error_message(), "fill(out F32 [4]): fill is not written");
  cdl_buffer_destroy(buffer);
  cdl_queue_destroy(queue);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
}
END_TEST

START_TEST(an_older_table_lacks_its_tail)
{
  cdl_backend *backend;
  cdl_buffer *buffer;
  ck_assert_int_eq(cdl_backend_open(plugin_path("older"), NULL, &backend), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_create(backend, 64, &buffer), CDL_STATUS_OK);
  const cdl_svd_args svd = {.size = sizeof svd,
                            .sigma = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 2),
                            .a = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 4, 2, 2)};
  const cdl_attention_args attention = {.size = sizeof attention};
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_svd, &svd), CDL_PATH_HOST);
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_attention, &attention), CDL_PATH_NATIVE);
  cdl_buffer_destroy(buffer);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
}
END_TEST

/* Built against the header of version 1.0: its table ends with the ops. */
START_TEST(version_1_0_is_taken)
{
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *buffer;
  ck_assert_int_eq(cdl_backend_open(plugin_path("version-1-0"), NULL, &backend), CDL_STATUS_OK);
  ck_assert_uint_eq(cdl_backend_compile_ns(backend), 0);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_create(backend, 64, &buffer), CDL_STATUS_OK);
  cdl_fill(queue, CDL_ARGS(fill, .out = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 4), .value = 1));
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  ck_assert_int_eq(((recording *)plugin_variable("version-1-0", "recorded"))->calls[CDL_OP_fill],
                   1);
  cdl_buffer_destroy(buffer);
  cdl_queue_destroy(queue);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
  const cdl_backend_options options = {.size = sizeof options, .precision = CDL_PRECISION_TF32};
  ck_assert_int_eq(cdl_backend_open(plugin_path("version-1-0"), &options, &backend),
                   CDL_STATUS_UNSUPPORTED);
  ck_assert_str_eq(cdl_error_message(),
                   "version-1-0: it was built before there were precisions: fp32 alone");
}
END_TEST

/* A table of version 1.0 knows no bias, so the core composes what has one. A caller of that version
 * gives shorter arguments. */
START_TEST(what_an_older_version_lacks_is_composed)
{
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *buffer;
  ck_assert_int_eq(cdl_backend_open(plugin_path("version-1-0"), NULL, &backend), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_create(backend, 4096, &buffer), CDL_STATUS_OK);
  const int32_t offsets[] = {0, 3};
  const cdl_packing packing = {.offsets = cdl_tensor_1d(buffer, CDL_DTYPE_I32, 0, 2),
                               .host_offsets = offsets,
                               .sequences = 1,
                               .tokens = 3,
                               .longest = 3};
  cdl_attention_args args = {.size = offsetof(cdl_attention_args, bias),
                             .out = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 8, 3, 4),
                             .qkv = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 32, 3, 12),
                             .packing = &packing,
                             .heads = 2,
                             .scale = 1,
                             .bias = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 100, 2, 3)};
  recording *recorded = plugin_variable("version-1-0", "recorded");
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_attention, &args), CDL_PATH_NATIVE);
  cdl_attention(queue, &args);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  ck_assert_int_eq(recorded->calls[CDL_OP_attention], 1);
  ck_assert_int_eq(recorded->calls[CDL_OP_gemm], 0);

  args.size = sizeof args;
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_attention, &args), CDL_PATH_COMPOSED);
  cdl_attention(queue, &args);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  ck_assert_int_eq(recorded->calls[CDL_OP_attention], 1);
  ck_assert_int_eq(recorded->calls[CDL_OP_gemm], 2);
  args.bias = (cdl_tensor){0};
  args.out.dtype = args.qkv.dtype = CDL_DTYPE_BF16;
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_attention, &args), CDL_PATH_NONE);
  cdl_buffer_destroy(buffer);
  cdl_queue_destroy(queue);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
}
END_TEST

/* Nor does it know several terms, so it gets them one by one. */
START_TEST(an_older_version_gets_terms_one_by_one)
{
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *buffer;
  ck_assert_int_eq(cdl_backend_open(plugin_path("version-1-0"), NULL, &backend), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_create(backend, 4096, &buffer), CDL_STATUS_OK);
  const cdl_tensor x = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, 3, 4),
                   a = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 16, 2, 4),
                   b = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 32, 4, 2);
  cdl_low_rank_args args = {.size = sizeof args,
                            .out = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 48, 3, 4),
                            .hidden = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 64, 3, 2),
                            .x = x,
                            .a = a,
                            .b = b,
                            .scale = 1,
                            .more = {{.out = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 80, 3, 4),
                                      .hidden = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 96, 3, 2),
                                      .a = a,
                                      .b = b,
                                      .scale = 1}}};
  recording *recorded = plugin_variable("version-1-0", "recorded");
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_low_rank, &args), CDL_PATH_COMPOSED);
  cdl_low_rank(queue, &args);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  ck_assert_int_eq(recorded->calls[CDL_OP_low_rank], 2);
  ck_assert_int_eq(recorded->calls[CDL_OP_gemm], 0);
  args.size = offsetof(cdl_low_rank_args, more);
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_low_rank, &args), CDL_PATH_NATIVE);
  cdl_buffer_destroy(buffer);
  cdl_queue_destroy(queue);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
}
END_TEST

START_TEST(a_newer_minor_version_is_taken)
{
  cdl_backend *backend;
  ck_assert_int_eq(cdl_backend_open(plugin_path("newer"), NULL, &backend), CDL_STATUS_OK);
  ck_assert_str_eq(cdl_backend_name(backend), "newer");
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
}
END_TEST

static void assert_auto_takes(const char *name)
{
  cdl_backend *backend;
  ck_assert_int_eq(cdl_backend_open("auto", NULL, &backend), CDL_STATUS_OK);
  ck_assert_str_eq(cdl_backend_name(backend), name);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
}

/* The folder of these tests holds sound plug-ins that do not ask for it, among them one with the
 * table of version 1.0, and unsound ones. */
START_TEST(auto_takes_a_plugin_that_asks_for_it)
{
  setenv("CDL_BACKEND_PATH", plugin_folder(), 1);
  assert_auto_takes("eager");
  setenv("EAGER_REFUSES", "1", 1);
  cdl_backend *backend;
  ck_assert_int_eq(cdl_backend_open("auto", NULL, &backend), CDL_STATUS_OK);
  ck_assert_str_ne(cdl_backend_name(backend), "eager");
  ck_assert_str_ne(cdl_backend_name(backend), "recording");
  ck_assert_str_ne(cdl_backend_name(backend), "version-1-0");
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
  unsetenv("EAGER_REFUSES");
  unsetenv("CDL_BACKEND_PATH");
  ck_assert_int_eq(cdl_backend_open("auto", NULL, &backend), CDL_STATUS_OK);
  ck_assert_str_ne(cdl_backend_name(backend), "eager");
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
}
END_TEST

START_TEST(unsound_plugins_are_refused_with_a_reason)
{
  assert_refused(
      plugin_path("other-major"), CDL_STATUS_UNSUPPORTED,
      WORDS("condlora-other-major.so: built for version 2.5", "this library has " INTERFACE));
  assert_refused(plugin_path("too-long"), CDL_STATUS_UNSUPPORTED,
                 WORDS("its table has", "version " INTERFACE));
  assert_refused(plugin_path("wrong-magic"), CDL_STATUS_UNSUPPORTED,
                 WORDS("does not begin with the mark"));
  assert_refused(plugin_path("lacking-op"), CDL_STATUS_UNSUPPORTED,
                 WORDS("lacks the required op 'softmax'"));
  assert_refused(plugin_path("lacking-function"), CDL_STATUS_UNSUPPORTED,
                 WORDS("lacks the required function 'sync'"));
  assert_refused(plugin_path("odd-name"), CDL_STATUS_UNSUPPORTED, WORDS("its name is 'odd/name'"));
  assert_refused(plugin_path("half-weights"), CDL_STATUS_UNSUPPORTED,
                 WORDS("some of the functions weight_create"));
  assert_refused(plugin_path("failing"), CDL_STATUS_ABSENT,
                 WORDS("condlora-failing.so: no driver of version 7"));
  cdl_fail(CDL_STATUS_DATA, "an older message");
  assert_refused(plugin_path("mute"), CDL_STATUS_ABSENT,
                 WORDS("condlora-mute.so: no reason given"));
  assert_refused(plugin_path("no-entry"), CDL_STATUS_UNSUPPORTED,
                 WORDS("exports no function cdl_plugin"));
}
END_TEST

START_TEST(what_is_no_library_is_refused)
{
  char path[] = P_tmpdir "/condlora-test-XXXXXX";
  const int file = mkstemp(path);
  ck_assert_int_ge(file, 0);
  ck_assert_int_eq(write(file, "not a library\n", 14), 14);
  close(file);
  assert_refused(path, CDL_STATUS_ABSENT, WORDS(path, "cannot be loaded"));
  unlink(path);
  assert_refused(path, CDL_STATUS_ABSENT, WORDS(path, "no such plug-in"));
  assert_refused(plugin_folder(), CDL_STATUS_ABSENT, WORDS("plugins: not a file"));
  assert_refused("./", CDL_STATUS_ABSENT, WORDS("not a file"));
}
END_TEST

/* ---- The list of ops ---- */

/* The ops of version 1.0 in their order: this list is never edited, only added to with a new minor
 * version. */
static const char *const recorded_ops[] = {
    "copy REQUIRED",
    "cast REQUIRED",
    "permute REQUIRED",
    "fill REQUIRED",
    "gather_rows REQUIRED",
    "scatter_add_rows REQUIRED",
    "gemm REQUIRED",
    "unary REQUIRED",
    "unary_grad REQUIRED",
    "binary REQUIRED",
    "axpby REQUIRED",
    "reduce REQUIRED",
    "softmax REQUIRED",
    "softmax_grad REQUIRED",
    "layer_norm REQUIRED",
    "layer_norm_grad REQUIRED",
    "dropout REQUIRED",
    "cross_entropy REQUIRED",
    "squared_error REQUIRED",
    "adamw REQUIRED",
    "any_non_finite REQUIRED",
    "linear COMPOSED",
    "linear_grad COMPOSED",
    "low_rank COMPOSED",
    "low_rank_grad COMPOSED",
    "add_layer_norm COMPOSED",
    "attention COMPOSED",
    "attention_grad COMPOSED",
    "clip_norm COMPOSED",
    "svd HOST",
    "lu_solve HOST",
    "lu_inverse HOST",
    "qr HOST",
    "eigh HOST",
    "binary_cross_entropy COMPOSED",
    "map_weights COMPOSED",
    "map_weights_grad COMPOSED",
    "add_layer_norm_grad COMPOSED",
};
enum { RECORDED = sizeof recorded_ops / sizeof recorded_ops[0] };

static const char *const ops[] = {
#define CDL_OP(name, tier) #name " " #tier,
#include "condlora/ops.def"
#undef CDL_OP
};

START_TEST(ops_are_only_appended)
{
  ck_assert_int_ge(CDL_OP_COUNT, RECORDED);
  for (int i = 0; i < RECORDED; i++)
    ck_assert_str_eq(ops[i], recorded_ops[i]);
  for (int i = RECORDED; i < CDL_OP_COUNT; i++)
    ck_assert_msg(strstr(ops[i], "REQUIRED") == NULL,
                  "%s: what a minor version adds is never required", ops[i]);
  /* What follows the ops keeps its place. */
  ck_assert_uint_eq(offsetof(cdl_backend_table, compile_nanoseconds),
                    offsetof(cdl_backend_table, copy) + 64 * sizeof(void *));
}
END_TEST

static char *read_source(const char *path)
{
  const char *root = getenv("CDL_SOURCE");
  char whole[PATH_MAX];
  snprintf(whole, sizeof whole, "%s/%s", root, path);
  FILE *file = fopen(whole, "r");
  ck_assert_msg(file != NULL, "%s cannot be read", whole);
  char *text = calloc(1, 200000);
  ck_assert_uint_gt(fread(text, 1, 199999, file), 0);
  fclose(file);
  return text;
}

/* Each argument struct has a comment right above it. */
START_TEST(every_op_is_documented)
{
  if (getenv("CDL_SOURCE") == NULL) {
    puts("skipped: every_op_is_documented: CDL_SOURCE does not name the source folder");
    return;
  }
  char *text = read_source("include/condlora/ops.h");
  for (int op = 0; op < CDL_OP_COUNT; op++) {
    char end[64];
    snprintf(end, sizeof end, "} cdl_%s_args;", cdl_op_name((cdl_op)op));
    char *at = strstr(text, end);
    ck_assert_msg(at != NULL, "%s has no arguments in ops.h", cdl_op_name((cdl_op)op));
    const char *start = at;
    while (strncmp(start, "typedef struct {", 16) != 0)
      start--;
    ck_assert_msg(start - text > 4 && strncmp(start - 4, " */\n", 4) == 0,
                  "%s has no comment in ops.h", cdl_op_name((cdl_op)op));
  }
  free(text);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("plugin");
  TCase *tests = tcase_create("plugin");
  tcase_add_test(tests, a_sound_plugin_opens_by_path);
  tcase_add_test(tests, a_path_may_name_a_device);
  tcase_add_test(tests, one_file_by_two_paths_is_one_plugin);
  tcase_add_test(tests, names_are_looked_for_in_the_path_variable);
  tcase_add_test(tests, the_working_directory_is_never_searched);
  tcase_add_test(tests, the_build_folder_is_searched);
  tcase_add_test(tests, the_template_says_which_op_is_missing);
  tcase_add_test(tests, an_older_table_lacks_its_tail);
  tcase_add_test(tests, version_1_0_is_taken);
  tcase_add_test(tests, what_an_older_version_lacks_is_composed);
  tcase_add_test(tests, an_older_version_gets_terms_one_by_one);
  tcase_add_test(tests, a_newer_minor_version_is_taken);
  tcase_add_test(tests, auto_takes_a_plugin_that_asks_for_it);
  tcase_add_test(tests, unsound_plugins_are_refused_with_a_reason);
  tcase_add_test(tests, what_is_no_library_is_refused);
  tcase_add_test(tests, ops_are_only_appended);
  tcase_add_test(tests, every_op_is_documented);
  suite_add_tcase(suite, tests);
  return run_suite(suite);
}
