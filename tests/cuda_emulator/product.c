#include "tests/cuda_emulator/product.h"

#include <stdlib.h>
#include <string.h>

enum {
  COLUMN_MAJOR = 102,
  NO_TRANSPOSE = 111,
  TRANSPOSE = 112,
  SCRIBBLED_BYTES = 64 * 1024, /* of the workspace by each product */
  TF32_DROPPED_BITS = 13
};

size_t product_type_bytes(cudaDataType type)
{
  return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2;
}

/* Elements from the first to the last of one matrix. */
static size_t extent(const product_matrix *x)
{
  return x->rows == 0 || x->columns == 0
             ? 0
             : (size_t)(x->columns - 1) * (size_t)x->leading + (size_t)x->rows;
}

static void *view_of(const product_matrix *x, int item)
{
  const uintptr_t offset = (uintptr_t)(x->stride * item) * product_type_bytes(x->type);
  return memory_view(x->address + offset, extent(x) * product_type_bytes(x->type), "cublasGemm");
}

/* To 10 bits of mantissa, to nearest, ties away from zero. */
static float round_tf32(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7f800000u) != 0x7f800000u) {
    bits += 1u << (TF32_DROPPED_BITS - 1);
    bits &= ~((1u << TF32_DROPPED_BITS) - 1);
  }
  memcpy(&x, &bits, sizeof x);
  return x;
}

static float load(const void *view, cudaDataType type, size_t i)
{
  float value;
  if (type == CUDA_R_32F) {
    memcpy(&value, (const char *)view + 4 * i, sizeof value);
    return value;
  }
  uint16_t stored;
  memcpy(&stored, (const char *)view + 2 * i, sizeof stored);
  const uint32_t bits = (uint32_t)stored << 16;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* A copy in float32 as the device reads it; NULL: `view` serves as it is. */
static float *operand(const product_matrix *x, const void *view, cublasComputeType_t compute)
{
  const bool rounds = compute == CUBLAS_COMPUTE_32F_FAST_TF32 && x->type == CUDA_R_32F;
  if (x->type == CUDA_R_32F && !rounds)
    return NULL;
  float *copy = malloc(extent(x) * sizeof *copy + 1);
  if (copy == NULL)
    abort();
  for (int j = 0; j < x->columns; j++)
    for (int i = 0; i < x->rows; i++) {
      const size_t place = (size_t)j * (size_t)x->leading + (size_t)i;
      const float value = load(view, x->type, place);
      copy[place] = rounds ? round_tf32(value) : value;
    }
  return copy;
}

/* To nearest, ties to even. */
static void store_bf16(void *view, size_t i, float value)
{
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  const uint32_t rounded = is_nan ? 0x7fff0000u : bits + 0x7fffu + (bits >> 16 & 1u);
  const uint16_t stored = (uint16_t)(rounded >> 16);
  memcpy((char *)view + 2 * i, &stored, sizeof stored);
}

/* The output in float32 where the device stores BF16: the old values that β needs, and back. */
static float *output_copy(const product_matrix *x, const void *view, bool is_read)
{
  if (x->type != CUDA_R_16BF)
    return NULL;
  float *copy = malloc(extent(x) * sizeof *copy + 1);
  if (copy == NULL)
    abort();
  for (int j = 0; is_read && j < x->columns; j++)
    for (int i = 0; i < x->rows; i++) {
      const size_t place = (size_t)j * (size_t)x->leading + (size_t)i;
      copy[place] = load(view, x->type, place);
    }
  return copy;
}

static void store_output(const product_matrix *x, void *view, const float *copy)
{
  for (int j = 0; j < x->columns; j++)
    for (int i = 0; i < x->rows; i++) {
      const size_t place = (size_t)j * (size_t)x->leading + (size_t)i;
      store_bf16(view, place, copy[place]);
    }
}

static void add_bias(const product *p, const void *bias, float *c)
{
  for (int j = 0; j < p->n; j++)
    for (int i = 0; i < p->m; i++)
      c[(size_t)j * (size_t)p->c.leading + (size_t)i] += load(bias, p->c.type, (size_t)i);
}

/* With a bias, c is of BF16. */
static void multiply(const product *p, const void *a, const void *b, void *c, const void *bias)
{
  const host_libraries *host = host_libraries_find();
  if (host == NULL)
    return;
  if (p->c.type == CUDA_R_64F) {
    host->cblas_dgemm(COLUMN_MAJOR, p->a.transposed, p->b.transposed, p->m, p->n, p->k, p->alpha, a,
                      p->a.leading, b, p->b.leading, p->beta, c, p->c.leading);
    return;
  }
  float *a_copy = operand(&p->a, a, p->compute), *b_copy = operand(&p->b, b, p->compute);
  float *c_copy = output_copy(&p->c, c, p->beta != 0);
  host->cblas_sgemm(COLUMN_MAJOR, p->a.transposed, p->b.transposed, p->m, p->n, p->k,
                    (float)p->alpha, a_copy != NULL ? a_copy : a, p->a.leading,
                    b_copy != NULL ? b_copy : b, p->b.leading, (float)p->beta,
                    c_copy != NULL ? c_copy : c, p->c.leading);
  if (bias != NULL)
    add_bias(p, bias, c_copy);
  if (c_copy != NULL)
    store_output(&p->c, c, c_copy);
  free(c_copy);
  free(a_copy);
  free(b_copy);
}

/* Whoever else uses the workspace at this time finds it overwritten. */
static bool scribble(const product *p)
{
  if (p->workspace == 0)
    return true;
  void *view = memory_view(p->workspace, p->workspace_bytes, "cublasGemm: the workspace");
  if (view == NULL)
    return false;
  memset(view, (int)(emulator_random() & 0xff),
         p->workspace_bytes < SCRIBBLED_BYTES ? p->workspace_bytes : SCRIBBLED_BYTES);
  return true;
}

void product_run(work *item)
{
  const product *p = (const void *)item->payload;
  emulator_note_launch();
  const size_t bias_bytes = (size_t)p->m * product_type_bytes(p->c.type);
  const void *bias =
      p->bias != 0 ? memory_view(p->bias, bias_bytes, "cublasLtMatmul: the bias") : NULL;
  bool valid = scribble(p) && (p->bias == 0 || bias != NULL);
  for (int i = 0; valid && i < p->batch; i++) {
    const void *a = view_of(&p->a, i), *b = view_of(&p->b, i);
    void *c = view_of(&p->c, i);
    valid = a != NULL && b != NULL && c != NULL;
    if (valid)
      multiply(p, a, b, c, bias);
  }
  if (!valid)
    emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
}

/* The combinations of types that the real one takes, as far as the backend uses them. */
bool product_types_fit(const product *p)
{
  if (p->a.type != p->b.type)
    return false;
  switch (p->compute) {
  case CUBLAS_COMPUTE_64F:
    return p->a.type == CUDA_R_64F && p->c.type == CUDA_R_64F;
  case CUBLAS_COMPUTE_32F_FAST_TF32:
    return p->a.type == CUDA_R_32F && p->c.type == CUDA_R_32F;
  case CUBLAS_COMPUTE_32F:
    return (p->a.type == CUDA_R_32F && p->c.type == CUDA_R_32F) ||
           (p->a.type == CUDA_R_16BF && (p->c.type == CUDA_R_32F || p->c.type == CUDA_R_16BF));
  default:
    return false;
  }
}

bool product_is_operation(cublasOperation_t operation)
{
  return operation == CUBLAS_OP_N || operation == CUBLAS_OP_T;
}

bool product_is_matrix(const product_matrix *x)
{
  return x->leading >= (x->rows > 1 ? x->rows : 1) && x->stride >= 0 &&
         x->address % product_type_bytes(x->type) == 0 && x->address != 0;
}

product_matrix product_matrix_of(const void *memory, cudaDataType type, cublasOperation_t operation,
                                 int rows, int columns, int leading, long long stride)
{
  const bool transposed = operation == CUBLAS_OP_T;
  return (product_matrix){.address = (uintptr_t)memory,
                          .type = type,
                          .transposed = transposed ? TRANSPOSE : NO_TRANSPOSE,
                          .leading = leading,
                          .rows = transposed ? columns : rows,
                          .columns = transposed ? rows : columns,
                          .stride = stride};
}
