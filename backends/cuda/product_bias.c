/* Products with a bias in one call, by cublasLt: what they save is a pass over the output. Its
 * heuristics are asked once for each shape and queue, and the answer is kept. */
#include <string.h>

#include "backends/cuda/product.h"

enum { CHOICES = 128, MOST_ALIGNMENT = 256 };

/* Everything that the choice of an algorithm depends on. */
typedef struct {
  int m, n, k, ldb, lda, ldc;
  int transpose_b, transpose_a, operands, result, compute;
  uint32_t b_alignment, a_alignment, out_alignment, bias_alignment;
} shape;

typedef struct {
  bool known, usable;
  shape of;
  cublasLtMatmulAlgo_t algorithm;
} choice;

/* By the shape's hash; a newer shape takes an older one's place. */
struct cuda_choices {
  choice at[CHOICES];
};

/* ---- Descriptors ---- */

typedef struct {
  cublasLtMatmulDesc_t operation;
  cublasLtMatrixLayout_t b, a, out;
} descriptors;

static void release(const descriptors *d)
{
  cublasStatus_t answers[4] = {CUBLAS_STATUS_SUCCESS};
  if (d->out != NULL)
    answers[0] = cuda_api.cublasLtMatrixLayoutDestroy(d->out);
  if (d->a != NULL)
    answers[1] = cuda_api.cublasLtMatrixLayoutDestroy(d->a);
  if (d->b != NULL)
    answers[2] = cuda_api.cublasLtMatrixLayoutDestroy(d->b);
  if (d->operation != NULL)
    answers[3] = cuda_api.cublasLtMatmulDescDestroy(d->operation);
  for (int i = 0; i < 4; i++)
    if (answers[i] != CUBLAS_STATUS_SUCCESS)
      cuda_host->log(CDL_LOG_WARNING, "cuda: the end of a product's descriptor: %d", answers[i]);
}

static cdl_status make_layout(cublasLtMatrixLayout_t *layout, cudaDataType type, bool turned,
                              int rows, int columns, int leading)
{
  const cublasStatus_t answer =
      cuda_api.cublasLtMatrixLayoutCreate(layout, type, (uint64_t)(turned ? columns : rows),
                                          (uint64_t)(turned ? rows : columns), leading);
  if (answer != CUBLAS_STATUS_SUCCESS)
    *layout = NULL;
  return cuda_check_blas("cublasLtMatrixLayoutCreate", answer);
}

static cdl_status set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute,
                      const void *value, size_t bytes)
{
  return CUDA_BLAS_CALL(cublasLtMatmulDescSetAttribute, operation, attribute, value, bytes);
}

static cdl_status make_operation(const cuda_product *c, cublasLtMatmulDesc_t *operation)
{
  const cublasStatus_t answer =
      cuda_api.cublasLtMatmulDescCreate(operation, c->compute, CUDA_R_32F);
  if (answer != CUBLAS_STATUS_SUCCESS)
    *operation = NULL;
  CDL_TRY(cuda_check_blas("cublasLtMatmulDescCreate", answer));
  const int32_t transpose_b = c->transpose_b, transpose_a = c->transpose_a;
  const uint32_t epilogue = CUBLASLT_EPILOGUE_BIAS;
  const void *bias = (const void *)(uintptr_t)c->bias;
  CDL_TRY(set(*operation, CUBLASLT_MATMUL_DESC_TRANSA, &transpose_b, sizeof transpose_b));
  CDL_TRY(set(*operation, CUBLASLT_MATMUL_DESC_TRANSB, &transpose_a, sizeof transpose_a));
  CDL_TRY(set(*operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
  /* its type is the result's unless something else is said */
  return set(*operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
}

/* `d` starts as zeros; the caller releases what was made. */
static cdl_status describe(const cuda_product *c, descriptors *d)
{
  CDL_TRY(make_operation(c, &d->operation));
  CDL_TRY(make_layout(&d->b, c->operands, c->transpose_b == CUBLAS_OP_T, c->m, c->k, c->ldb));
  CDL_TRY(make_layout(&d->a, c->operands, c->transpose_a == CUBLAS_OP_T, c->k, c->n, c->lda));
  return make_layout(&d->out, c->result, false, c->m, c->n, c->ldc);
}

/* ---- The choice of an algorithm ---- */

static uint32_t alignment_of(const void *address)
{
  const uintptr_t lowest = (uintptr_t)address & -(uintptr_t)address;
  return lowest < MOST_ALIGNMENT ? (uint32_t)lowest : MOST_ALIGNMENT;
}

static shape shape_of(const cuda_product *c)
{
  return (shape){.m = c->m,
                 .n = c->n,
                 .k = c->k,
                 .ldb = c->ldb,
                 .lda = c->lda,
                 .ldc = c->ldc,
                 .transpose_b = c->transpose_b,
                 .transpose_a = c->transpose_a,
                 .operands = c->operands,
                 .result = c->result,
                 .compute = c->compute,
                 .b_alignment = alignment_of(c->b),
                 .a_alignment = alignment_of(c->a),
                 .out_alignment = alignment_of(c->out),
                 .bias_alignment = alignment_of((const void *)(uintptr_t)c->bias)};
}

_Static_assert(sizeof(shape) == 15 * sizeof(int), "no padding: shapes are compared as bytes");

/* FNV-1a. */
static size_t place_of(const shape *s)
{
  uint64_t hash = 0xcbf29ce484222325u;
  const unsigned char *bytes = (const unsigned char *)s;
  for (size_t i = 0; i < sizeof *s; i++)
    hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return (size_t)(hash >> 32) % CHOICES;
}

static cdl_status prefer(cublasLtMatmulPreference_t preference,
                         cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
                         size_t bytes)
{
  return CUDA_BLAS_CALL(cublasLtMatmulPreferenceSetAttribute, preference, attribute, value, bytes);
}

static cdl_status fill_preference(const cuda_queue *queue, const shape *s,
                                  cublasLtMatmulPreference_t preference)
{
  const uint64_t workspace = queue->device->workspace_bytes;
  CDL_TRY(
      prefer(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace));
  /* There is none for the bias, which the epilogue reads beside D as it writes D. */
  const uint32_t epilogue =
      s->bias_alignment < s->out_alignment ? s->bias_alignment : s->out_alignment;
  const uint32_t alignments[] = {s->b_alignment, s->a_alignment, s->out_alignment, epilogue};
  for (int i = 0; i < 4; i++)
    CDL_TRY(prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES + i, &alignments[i],
                   sizeof alignments[i]));
  return CDL_STATUS_OK;
}

static int setting_of(const cublasLtMatmulAlgo_t *algorithm,
                      cublasLtMatmulAlgoConfigAttributes_t which)
{
  int32_t value = -1;
  size_t written;
  return cuda_api.cublasLtMatmulAlgoConfigGetAttribute(algorithm, which, &value, sizeof value,
                                                       &written) == CUBLAS_STATUS_SUCCESS
             ? value
             : -1;
}

static void log_choice(const shape *s, const cublasLtMatmulHeuristicResult_t *result, bool usable)
{
  if (usable)
    cuda_host->log(CDL_LOG_DEBUG,
                   "cuda: [%d, %d] of sums of %d with a bias: algorithm %d, tile %d, split %d, "
                   "%zu bytes of workspace, %.2f waves",
                   s->n, s->m, s->k, setting_of(&result->algo, CUBLASLT_ALGO_CONFIG_ID),
                   setting_of(&result->algo, CUBLASLT_ALGO_CONFIG_TILE_ID),
                   setting_of(&result->algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM),
                   result->workspaceSize, (double)result->wavesCount);
  else
    cuda_host->log(CDL_LOG_DEBUG, "cuda: [%d, %d] of sums of %d with a bias: no algorithm", s->n,
                   s->m, s->k);
}

static cdl_status ask(const cuda_queue *queue, const descriptors *d,
                      cublasLtMatmulPreference_t preference, choice *made)
{
  cublasLtMatmulHeuristicResult_t result;
  int count = 0;
  CDL_TRY(fill_preference(queue, &made->of, preference));
  const cublasStatus_t answer = cuda_api.cublasLtMatmulAlgoGetHeuristic(
      queue->lt, d->operation, d->b, d->a, d->out, d->out, preference, 1, &result, &count);
  if (answer != CUBLAS_STATUS_NOT_SUPPORTED)
    CDL_TRY(cuda_check_blas("cublasLtMatmulAlgoGetHeuristic", answer));
  made->usable = answer == CUBLAS_STATUS_SUCCESS && count > 0 &&
                 result.state == CUBLAS_STATUS_SUCCESS &&
                 result.workspaceSize <= queue->device->workspace_bytes;
  if (made->usable)
    made->algorithm = result.algo;
  log_choice(&made->of, &result, made->usable);
  made->known = true;
  return CDL_STATUS_OK;
}

static cdl_status choose(const cuda_queue *queue, const descriptors *d, choice *made)
{
  cublasLtMatmulPreference_t preference;
  CDL_TRY(CUDA_BLAS_CALL(cublasLtMatmulPreferenceCreate, &preference));
  const cdl_status status = ask(queue, d, preference, made);
  const cublasStatus_t answer = cuda_api.cublasLtMatmulPreferenceDestroy(preference);
  if (answer != CUBLAS_STATUS_SUCCESS)
    cuda_host->log(CDL_LOG_WARNING, "cuda: cublasLtMatmulPreferenceDestroy: %d", answer);
  return status;
}

static cdl_status find_choice(cuda_queue *queue, const cuda_product *c, const descriptors *d,
                              choice **found)
{
  if (queue->choices == NULL) {
    queue->choices = cuda_host->allocate(sizeof *queue->choices, 64);
    if (queue->choices == NULL)
      return cuda_host->fail(CDL_STATUS_MEMORY, "no host memory for the choices of algorithms");
    memset(queue->choices, 0, sizeof *queue->choices);
  }
  const shape wanted = shape_of(c);
  choice *at = &queue->choices->at[place_of(&wanted)];
  *found = at;
  if (at->known && memcmp(&at->of, &wanted, sizeof wanted) == 0)
    return CDL_STATUS_OK;
  *at = (choice){.of = wanted};
  return choose(queue, d, at);
}

/* ---- Products ---- */

static cdl_status find_algorithm(cuda_queue *queue, const cuda_product *c, descriptors *d,
                                 choice **found)
{
  CDL_TRY(describe(c, d));
  return find_choice(queue, c, d, found);
}

cdl_status cuda_find_algorithm(cuda_queue *queue, const kernel_product *product, bool *found)
{
  const cuda_product c = cuda_product_by_columns(queue->device, product);
  descriptors d = {0};
  choice *chosen;
  const cdl_status status = find_algorithm(queue, &c, &d, &chosen);
  release(&d);
  *found = status == CDL_STATUS_OK && chosen->usable;
  return status;
}

static cdl_status multiply(cuda_queue *queue, const cuda_product *c, descriptors *d)
{
  choice *chosen;
  CDL_TRY(find_algorithm(queue, c, d, &chosen));
  if (!chosen->usable)
    return cuda_host->fail(CDL_STATUS_UNSUPPORTED, "cublasLt has no algorithm for this product");
  void *workspace = (void *)(uintptr_t)((const cuda_block *)queue->workspace)->address;
  return CUDA_BLAS_CALL(cublasLtMatmul, queue->lt, d->operation, &c->alpha, c->b, d->b, c->a, d->a,
                        &c->beta, c->out, d->out, c->out, d->out, &chosen->algorithm, workspace,
                        queue->device->workspace_bytes, queue->stream);
}

cdl_status cuda_multiply_with_bias(cuda_queue *queue, const kernel_product *product)
{
  const cuda_product c = cuda_product_by_columns(queue->device, product);
  descriptors d = {0};
  const cdl_status status = multiply(queue, &c, &d);
  release(&d);
  return status;
}
