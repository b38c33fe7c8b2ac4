/* libcublasLt.so: products with a bias. An algorithm is bound to what its choice was asked for: the
 * shapes, the alignments and half of the workspace, and a call that gives less is a violation. */
#include <string.h>

#include "tests/cuda_emulator/product.h"

enum {
  MAGIC = 0x17,
  LEAST_ALIGNMENT = 4, /* below it there is no algorithm */
  USUAL_ALIGNMENT = 256,
  WORKSPACE_ALIGNMENT = 256,
  AN_ALGORITHM = 31,
  A_TILE = 20
};

typedef struct {
  cublasComputeType_t compute;
  int32_t transpose_a, transpose_b;
  uint32_t epilogue;
  uintptr_t bias;
} operation;

typedef struct {
  cudaDataType type;
  int rows, columns, leading;
} layout;

typedef struct {
  uint64_t workspace;
  uint32_t alignment[4]; /* of a, b, c, d */
} preference;

/* The words of an algorithm. */
enum { WORD_MAGIC, WORD_SHAPE, WORD_WORKSPACE, WORD_ALIGNMENT };

static cublasStatus_t invalid(const char *call, const char *what)
{
  emulator_violation("%s: %s", call, what);
  return CUBLAS_STATUS_INVALID_VALUE;
}

/* ---- Objects ---- */

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
  ENTER_OR(CUBLAS_STATUS_NOT_INITIALIZED);
  if (context_check() != CUDA_SUCCESS)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = object_create(OBJECT_LT, 1, NULL);
  return CUBLAS_STATUS_SUCCESS;
}

/* One that is to fail does its work, as the vendor's do. */
static cublasStatus_t destroyed(object_kind kind, const void *handle, const emulator_call *call)
{
  if (object_find(kind, handle) == NULL)
    return CUBLAS_STATUS_INVALID_VALUE;
  object_destroy(kind, handle);
  return call->fails ? CUBLAS_STATUS_INTERNAL_ERROR : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
  ENTER();
  return destroyed(OBJECT_LT, handle, &this_call);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *created, cublasComputeType_t compute,
                                        cudaDataType scale_type)
{
  ENTER_OR(CUBLAS_STATUS_ALLOC_FAILED);
  if (compute != CUBLAS_COMPUTE_32F || scale_type != CUDA_R_32F)
    return invalid(__func__, "only float32 sums and factors are known here");
  void *memory;
  *created = object_create(OBJECT_LT_OPERATION, sizeof(operation), &memory);
  *(operation *)memory = (operation){.compute = compute,
                                     .transpose_a = CUBLAS_OP_N,
                                     .transpose_b = CUBLAS_OP_N,
                                     .epilogue = CUBLASLT_EPILOGUE_DEFAULT};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t destroyed_one)
{
  ENTER();
  return destroyed(OBJECT_LT_OPERATION, destroyed_one, &this_call);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t changed,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes)
{
  ENTER_OR(CUBLAS_STATUS_INVALID_VALUE);
  operation *found = object_find(OBJECT_LT_OPERATION, changed);
  if (found == NULL || value == NULL)
    return CUBLAS_STATUS_INVALID_VALUE;
  void *member = attribute == CUBLASLT_MATMUL_DESC_TRANSA         ? (void *)&found->transpose_a
                 : attribute == CUBLASLT_MATMUL_DESC_TRANSB       ? (void *)&found->transpose_b
                 : attribute == CUBLASLT_MATMUL_DESC_EPILOGUE     ? (void *)&found->epilogue
                 : attribute == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? (void *)&found->bias
                                                                  : NULL;
  const size_t wanted = attribute == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? sizeof(void *) : 4;
  if (member == NULL || bytes != wanted)
    return invalid(__func__, "no such attribute, or another size");
  memcpy(member, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *created, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t leading)
{
  ENTER_OR(CUBLAS_STATUS_ALLOC_FAILED);
  if (rows == 0 || columns == 0 || rows > INT32_MAX || columns > INT32_MAX ||
      leading < (int64_t)rows || leading > INT32_MAX)
    return invalid(__func__, "sizes or distance of columns");
  void *memory;
  *created = object_create(OBJECT_LT_LAYOUT, sizeof(layout), &memory);
  *(layout *)memory =
      (layout){.type = type, .rows = (int)rows, .columns = (int)columns, .leading = (int)leading};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t destroyed_one)
{
  ENTER();
  return destroyed(OBJECT_LT_LAYOUT, destroyed_one, &this_call);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *created)
{
  ENTER_OR(CUBLAS_STATUS_ALLOC_FAILED);
  void *memory;
  *created = object_create(OBJECT_LT_PREFERENCE, sizeof(preference), &memory);
  for (int i = 0; i < 4; i++)
    ((preference *)memory)->alignment[i] = USUAL_ALIGNMENT;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t destroyed_one)
{
  ENTER();
  return destroyed(OBJECT_LT_PREFERENCE, destroyed_one, &this_call);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t changed,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes)
{
  ENTER_OR(CUBLAS_STATUS_INVALID_VALUE);
  preference *found = object_find(OBJECT_LT_PREFERENCE, changed);
  if (found == NULL || value == NULL)
    return CUBLAS_STATUS_INVALID_VALUE;
  const bool is_alignment = attribute >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
                            attribute <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES;
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && bytes == sizeof found->workspace)
    memcpy(&found->workspace, value, bytes);
  else if (is_alignment && bytes == sizeof found->alignment[0])
    memcpy(&found->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, bytes);
  else
    return invalid(__func__, "no such attribute, or another size");
  return CUBLAS_STATUS_SUCCESS;
}

/* ---- Products ---- */

typedef struct {
  const operation *operation;
  const layout *a, *b, *c, *d;
} described;

static bool find(described *found, const void *handle, cublasLtMatmulDesc_t of,
                 cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                 cublasLtMatrixLayout_t d)
{
  if (object_find(OBJECT_LT, handle) == NULL)
    return false;
  found->operation = object_find(OBJECT_LT_OPERATION, of);
  found->a = object_find(OBJECT_LT_LAYOUT, a);
  found->b = object_find(OBJECT_LT_LAYOUT, b);
  found->c = object_find(OBJECT_LT_LAYOUT, c);
  found->d = object_find(OBJECT_LT_LAYOUT, d);
  return found->operation != NULL && found->a != NULL && found->b != NULL && found->c != NULL &&
         found->d != NULL;
}

/* The product without its addresses; false where the layouts do not fit together. */
static bool product_from(const described *from, product *p)
{
  const bool a_turned = from->operation->transpose_a == CUBLAS_OP_T,
             b_turned = from->operation->transpose_b == CUBLAS_OP_T;
  const int m = a_turned ? from->a->columns : from->a->rows,
            k = a_turned ? from->a->rows : from->a->columns,
            n = b_turned ? from->b->rows : from->b->columns;
  *p =
      (product){.a = product_matrix_of(NULL, from->a->type, from->operation->transpose_a, m, k,
                                       from->a->leading, 0),
                .b = product_matrix_of(NULL, from->b->type, from->operation->transpose_b, k, n,
                                       from->b->leading, 0),
                .c = product_matrix_of(NULL, from->d->type, CUBLAS_OP_N, m, n, from->d->leading, 0),
                .m = m,
                .n = n,
                .k = k,
                .batch = 1,
                .compute = from->operation->compute};
  return product_is_operation(from->operation->transpose_a) &&
         product_is_operation(from->operation->transpose_b) &&
         k == (b_turned ? from->b->columns : from->b->rows) && from->d->rows == m &&
         from->d->columns == n && memcmp(from->c, from->d, sizeof *from->c) == 0;
}

/* A bias has the type of the output. */
static bool is_supported(const described *from, const product *p)
{
  const uint32_t epilogue = from->operation->epilogue;
  return product_types_fit(p) && (epilogue == CUBLASLT_EPILOGUE_DEFAULT ||
                                  (epilogue == CUBLASLT_EPILOGUE_BIAS && p->c.type == CUDA_R_16BF));
}

static uint64_t shape_of(const described *from, const product *p)
{
  const int numbers[] = {p->m,
                         p->n,
                         p->k,
                         p->a.leading,
                         p->b.leading,
                         p->c.leading,
                         p->a.type,
                         p->c.type,
                         from->operation->transpose_a,
                         from->operation->transpose_b,
                         (int)from->operation->epilogue};
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    hash = (hash ^ (uint64_t)numbers[i]) * 0x100000001b3u;
  return hash;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t of,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preferred, int wanted,
                                              cublasLtMatmulHeuristicResult_t *results, int *count)
{
  ENTER_OR(CUBLAS_STATUS_INTERNAL_ERROR);
  described from;
  product p;
  const preference *wish = object_find(OBJECT_LT_PREFERENCE, preferred);
  *count = 0;
  if (wish == NULL || wanted < 1 || !find(&from, handle, of, a, b, c, d))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!product_from(&from, &p))
    return invalid(__func__, "layouts that do not fit together");
  bool aligned = true;
  uint64_t alignments = 0;
  for (int i = 0; i < 4; i++) {
    aligned = aligned && wish->alignment[i] >= LEAST_ALIGNMENT;
    alignments |= (uint64_t)(wish->alignment[i] & 0xffffu) << 16 * i;
  }
  if (!aligned || !is_supported(&from, &p))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  results[0] = (cublasLtMatmulHeuristicResult_t){.workspaceSize = (size_t)wish->workspace / 2,
                                                 .state = CUBLAS_STATUS_SUCCESS,
                                                 .wavesCount = 1};
  uint64_t *words = results[0].algo.data;
  words[WORD_MAGIC] = MAGIC;
  words[WORD_SHAPE] = shape_of(&from, &p);
  words[WORD_WORKSPACE] = wish->workspace / 2;
  words[WORD_ALIGNMENT] = alignments;
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void *value, size_t bytes, size_t *written)
{
  ENTER_OR(CUBLAS_STATUS_INVALID_VALUE);
  const int32_t number = attribute == CUBLASLT_ALGO_CONFIG_ID        ? AN_ALGORITHM
                         : attribute == CUBLASLT_ALGO_CONFIG_TILE_ID ? A_TILE
                                                                     : 1;
  if (algorithm->data[WORD_MAGIC] != MAGIC || bytes != sizeof number || written == NULL)
    return invalid(__func__, "no algorithm, or another size");
  memcpy(value, &number, sizeof number);
  *written = sizeof number;
  return CUBLAS_STATUS_SUCCESS;
}

/* What the algorithm was promised. */
static const char *broken_promise(const described *from, const product *p,
                                  const cublasLtMatmulAlgo_t *algorithm, uintptr_t workspace,
                                  size_t workspace_bytes)
{
  if (algorithm == NULL || algorithm->data[WORD_MAGIC] != MAGIC)
    return "no algorithm";
  if (algorithm->data[WORD_SHAPE] != shape_of(from, p))
    return "the algorithm was chosen for another shape";
  if (workspace_bytes < algorithm->data[WORD_WORKSPACE] || workspace % WORKSPACE_ALIGNMENT != 0)
    return "the workspace is smaller than the algorithm's, or not aligned";
  /* A bias is read as D is written. */
  const uintptr_t addresses[] = {p->a.address, p->b.address, p->c.address, p->c.address | p->bias};
  for (int i = 0; i < 4; i++)
    if (addresses[i] % (algorithm->data[WORD_ALIGNMENT] >> 16 * i & 0xffffu) != 0)
      return "a matrix or the bias is not aligned as the algorithm was promised";
  return NULL;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t of, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream_handle)
{
  ENTER_OR(CUBLAS_STATUS_EXECUTION_FAILED);
  described from;
  product p;
  if (!find(&from, handle, of, a_layout, b_layout, c_layout, d_layout))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!product_from(&from, &p) || c != d)
    return invalid(__func__, "layouts that do not fit together, or C that is not D");
  if (!is_supported(&from, &p))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  p.a.address = (uintptr_t)a;
  p.b.address = (uintptr_t)b;
  p.c.address = (uintptr_t)d;
  p.alpha = *(const float *)alpha;
  p.beta = *(const float *)beta;
  p.workspace = (uintptr_t)workspace;
  p.workspace_bytes = workspace_bytes;
  p.bias = from.operation->epilogue == CUBLASLT_EPILOGUE_BIAS ? from.operation->bias : 0;
  if (!product_is_matrix(&p.a) || !product_is_matrix(&p.b) || !product_is_matrix(&p.c) ||
      (from.operation->epilogue == CUBLASLT_EPILOGUE_BIAS && p.bias == 0))
    return invalid(__func__, "a matrix or the bias");
  const char *broken = broken_promise(&from, &p, algorithm, p.workspace, workspace_bytes);
  if (broken != NULL)
    return invalid(__func__, broken);
  stream *target = stream_find(stream_handle);
  if (target == NULL || context_check() != CUDA_SUCCESS)
    return CUBLAS_STATUS_EXECUTION_FAILED;
  work *item = work_create(__func__, sizeof p, product_run);
  memcpy(item->payload, &p, sizeof p);
  return stream_enqueue(target, item) == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS
                                                      : CUBLAS_STATUS_EXECUTION_FAILED;
}
