/* That the emulated cublasLt refuses what breaks an algorithm's promises, and adds a bias. */
#include <check.h>
#include <string.h>

#include "tests/cuda_emulator/control.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/run_suite.h"

/* d [M, N] = a [M, K] b [K, N] + bias, in columns. */
enum { M = 8, N = 3, K = 4, WORKSPACE = 4096, A = 0, B = 256, D = 512, BIAS = 768, BYTES = 1024 };
enum { ONE = 0x3f80, TWO = 0x4000, FOUR = 0x4080, SIX = 0x40c0 }; /* in BF16 */

static CUcontext context;
static CUstream queue;
static CUdeviceptr memory, workspace;
static cublasLtHandle_t lt;
static cublasLtMatmulDesc_t operation;
static cublasLtMatrixLayout_t a, b, d;
static cublasLtMatmulPreference_t preference;
static cublasLtMatmulHeuristicResult_t result;

static void *at(int offset)
{
  return (void *)(uintptr_t)(memory + (CUdeviceptr)offset);
}

static cublasStatus_t set_operation(cublasLtMatmulDescAttributes_t attribute, const void *value,
                                    size_t bytes)
{
  return cublasLtMatmulDescSetAttribute(operation, attribute, value, bytes);
}

static void open_device(void)
{
  const uint32_t epilogue = CUBLASLT_EPILOGUE_BIAS;
  const uint64_t most = WORKSPACE;
  uint16_t values[BYTES / 2];
  emulator_forget();
  ck_assert_int_eq(cuInit(0), CUDA_SUCCESS);
  ck_assert_int_eq(cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
  ck_assert_int_eq(cuCtxPushCurrent_v2(context), CUDA_SUCCESS);
  ck_assert_int_eq(cuStreamCreate(&queue, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
  ck_assert_int_eq(cuMemAlloc_v2(&memory, BYTES), CUDA_SUCCESS);
  ck_assert_int_eq(cuMemAlloc_v2(&workspace, WORKSPACE), CUDA_SUCCESS);
  for (int i = 0; i < BYTES / 2; i++)
    values[i] = 2 * i < BIAS ? ONE : TWO;
  ck_assert_int_eq(cuMemcpyHtoDAsync_v2(memory, values, sizeof values, queue), CUDA_SUCCESS);
  ck_assert_int_eq(cublasLtCreate(&lt), CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                   CUBLAS_STATUS_SUCCESS);
  void *bias = at(BIAS);
  set_operation(CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
  set_operation(CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
  cublasLtMatrixLayoutCreate(&a, CUDA_R_16BF, M, K, M);
  cublasLtMatrixLayoutCreate(&b, CUDA_R_16BF, K, N, K);
  cublasLtMatrixLayoutCreate(&d, CUDA_R_16BF, M, N, M);
  cublasLtMatmulPreferenceCreate(&preference);
  cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most,
                                       sizeof most);
  int count;
  ck_assert_int_eq(
      cublasLtMatmulAlgoGetHeuristic(lt, operation, a, b, d, d, preference, 1, &result, &count),
      CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(count, 1);
}

static void close_device(void)
{
  cuCtxPopCurrent_v2(NULL);
  cuDevicePrimaryCtxRelease_v2(0);
  emulator_forget();
}

static cublasStatus_t multiply(void *out, cublasLtMatrixLayout_t layout, size_t workspace_bytes)
{
  const float one = 1, zero = 0;
  return cublasLtMatmul(lt, operation, &one, at(A), a, at(B), b, &zero, out, layout, out, layout,
                        &result.algo, (void *)(uintptr_t)workspace, workspace_bytes, queue);
}

static void expect_violation(const char *part)
{
  ck_assert_msg(strstr(emulator_last_violation(), part) != NULL, "'%s' is not in '%s'", part,
                emulator_last_violation());
  emulator_forget();
}

START_TEST(a_bias_is_added)
{
  uint16_t found[M * N];
  ck_assert_int_eq(multiply(at(D), d, WORKSPACE), CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(cuMemcpyDtoHAsync_v2(found, memory + D, sizeof found, queue), CUDA_SUCCESS);
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_SUCCESS);
  for (int i = 0; i < M * N; i++)
    ck_assert_uint_eq(found[i], SIX); /* K ones, and two */
  ck_assert_int_eq(emulator_violations(), 0);
}
END_TEST

START_TEST(promises_are_kept)
{
  ck_assert_int_eq(multiply(at(D), d, WORKSPACE / 4), CUBLAS_STATUS_INVALID_VALUE);
  expect_violation("the workspace is smaller");
  ck_assert_int_eq(multiply(at(D + 16), d, WORKSPACE), CUBLAS_STATUS_INVALID_VALUE);
  expect_violation("not aligned as");
  const void *beside = at(BIAS + 2), *there = at(BIAS);
  set_operation(CUBLASLT_MATMUL_DESC_BIAS_POINTER, &beside, sizeof beside);
  ck_assert_int_eq(multiply(at(D), d, WORKSPACE), CUBLAS_STATUS_INVALID_VALUE);
  expect_violation("not aligned as");
  set_operation(CUBLASLT_MATMUL_DESC_BIAS_POINTER, &there, sizeof there);
  cublasLtMatrixLayout_t wider;
  ck_assert_int_eq(cublasLtMatrixLayoutCreate(&wider, CUDA_R_16BF, M, N, M + 8),
                   CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(multiply(at(D), wider, WORKSPACE), CUBLAS_STATUS_INVALID_VALUE);
  expect_violation("another shape");
  memset(&result.algo, 0, sizeof result.algo);
  ck_assert_int_eq(multiply(at(D), d, WORKSPACE), CUBLAS_STATUS_INVALID_VALUE);
  expect_violation("no algorithm");
}
END_TEST

START_TEST(wrong_descriptors_are_refused)
{
  const uint64_t wide = 1;
  ck_assert_int_eq(set_operation(CUBLASLT_MATMUL_DESC_TRANSA, &wide, sizeof wide),
                   CUBLAS_STATUS_INVALID_VALUE);
  expect_violation("another size");
  ck_assert_int_eq(multiply(at(D), a, WORKSPACE), CUBLAS_STATUS_INVALID_VALUE);
  expect_violation("do not fit together");
  cublasLtMatrixLayout_t narrow;
  ck_assert_int_eq(cublasLtMatrixLayoutCreate(&narrow, CUDA_R_16BF, M, N, M - 1),
                   CUBLAS_STATUS_INVALID_VALUE);
  expect_violation("distance of columns");
  const void *none = NULL;
  ck_assert_int_eq(set_operation(CUBLASLT_MATMUL_DESC_BIAS_POINTER, &none, sizeof none),
                   CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(multiply(at(D), d, WORKSPACE), CUBLAS_STATUS_INVALID_VALUE);
  expect_violation("the bias");
  ck_assert_int_eq(cublasLtMatrixLayoutDestroy(d), CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(multiply(at(D), d, WORKSPACE), CUBLAS_STATUS_INVALID_VALUE);
  emulator_forget();
}
END_TEST

/* The bias is read when the work runs. */
START_TEST(a_bias_must_be_there)
{
  const void *far = at(BYTES);
  ck_assert_int_eq(set_operation(CUBLASLT_MATMUL_DESC_BIAS_POINTER, &far, sizeof far),
                   CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(multiply(at(D), d, WORKSPACE), CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_ERROR_ILLEGAL_ADDRESS);
  expect_violation("the bias");
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("emulated cublasLt");
  TCase *cases = tcase_create("products");
  tcase_add_checked_fixture(cases, open_device, close_device);
  tcase_add_test(cases, a_bias_is_added);
  tcase_add_test(cases, promises_are_kept);
  tcase_add_test(cases, wrong_descriptors_are_refused);
  tcase_add_test(cases, a_bias_must_be_there);
  suite_add_tcase(suite, cases);
  return run_suite(suite);
}
