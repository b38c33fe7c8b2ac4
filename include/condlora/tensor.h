/* Tensors: views of a backend's buffers, passed by value. */
#ifndef CONDLORA_TENSOR_H
#define CONDLORA_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*      name   bytes */
#define CDL_DTYPE_LIST(X) \
  X(F32, 4)               \
  X(F64, 8)               \
  X(BF16, 2)              \
  X(I32, 4)               \
  X(U8, 1)

typedef enum {
#define CDL_DTYPE_ENUM(name, bytes) CDL_DTYPE_##name,
  CDL_DTYPE_LIST(CDL_DTYPE_ENUM)
#undef CDL_DTYPE_ENUM
      CDL_DTYPE_COUNT
} cdl_dtype;

/* The upper half of a float32, rounded to nearest, ties to even. A storage type: arithmetic is
 * float32. */
typedef struct {
  uint16_t bits;
} cdl_bf16;

static inline size_t cdl_dtype_bytes(cdl_dtype dtype)
{
  switch (dtype) {
#define CDL_DTYPE_BYTES(name, bytes) \
  case CDL_DTYPE_##name:             \
    return bytes;
    CDL_DTYPE_LIST(CDL_DTYPE_BYTES)
#undef CDL_DTYPE_BYTES
  case CDL_DTYPE_COUNT:
    break;
  }
  return 0;
}

static inline const char *cdl_dtype_name(cdl_dtype dtype)
{
  switch (dtype) {
#define CDL_DTYPE_NAME(name, bytes) \
  case CDL_DTYPE_##name:            \
    return #name;
    CDL_DTYPE_LIST(CDL_DTYPE_NAME)
#undef CDL_DTYPE_NAME
  case CDL_DTYPE_COUNT:
    break;
  }
  return "?";
}

typedef struct cdl_buffer cdl_buffer;

/* Where the memory of a buffer lies, for code outside the library. */
typedef enum { CDL_MEMORY_HOST, CDL_MEMORY_CUDA, CDL_MEMORY_OPENCL } cdl_memory_kind;
typedef struct {
  cdl_memory_kind kind;
  int device;   /* number of the device among those of its kind; 0 for host memory */
  void *memory; /* host address; CUdeviceptr cast to a pointer; cl_mem */
} cdl_memory_address;

/* What a process hands to the others of a group (backend.h); the backend makes the bytes. */
typedef struct {
  unsigned char bytes[128];
} cdl_group_key;

#define CDL_GROUP_PLACE_BYTES 64

/* A view of a buffer. Element (i, j, k, l) is at offset + i·stride[0] + j·stride[1] + k·stride[2]
 * + l·stride[3], counted in elements of `dtype` from the start of `buffer`. A matrix [rows,
 * columns] uses the last two dimensions and a vector the last one; the leading sizes are 1.
 * stride[3] is 1 if size[3] > 1. A stride of 0 repeats an input along its dimension; an output
 * never has one. A tensor without a buffer is absent. A tensor with a size of 0 is empty, and
 * every op accepts it. */
typedef struct {
  cdl_buffer *buffer;
  int64_t offset;
  int64_t size[4];
  int64_t stride[4];
  cdl_dtype dtype;
} cdl_tensor;

static inline bool cdl_tensor_present(cdl_tensor t)
{
  return t.buffer != NULL;
}

static inline int64_t cdl_tensor_elements(cdl_tensor t)
{
  return t.size[0] * t.size[1] * t.size[2] * t.size[3];
}

/* Return dense views [n0, n1, n2, n3], [batch, rows, columns], [rows, columns] and [columns] that
 * start at element `offset`. */
static inline cdl_tensor cdl_tensor_4d(cdl_buffer *buffer, cdl_dtype dtype, int64_t offset,
                                       int64_t n0, int64_t n1, int64_t n2, int64_t n3)
{
  const cdl_tensor tensor = {
      buffer, offset, {n0, n1, n2, n3}, {n1 * n2 * n3, n2 * n3, n3, 1}, dtype};
  return tensor;
}

static inline cdl_tensor cdl_tensor_3d(cdl_buffer *buffer, cdl_dtype dtype, int64_t offset,
                                       int64_t batch, int64_t rows, int64_t columns)
{
  return cdl_tensor_4d(buffer, dtype, offset, 1, batch, rows, columns);
}

static inline cdl_tensor cdl_tensor_2d(cdl_buffer *buffer, cdl_dtype dtype, int64_t offset,
                                       int64_t rows, int64_t columns)
{
  return cdl_tensor_4d(buffer, dtype, offset, 1, 1, rows, columns);
}

static inline cdl_tensor cdl_tensor_1d(cdl_buffer *buffer, cdl_dtype dtype, int64_t offset,
                                       int64_t columns)
{
  return cdl_tensor_4d(buffer, dtype, offset, 1, 1, 1, columns);
}

/* Return the rows, or the columns, [first, first + count) of a tensor's matrices. */
static inline cdl_tensor cdl_tensor_rows(cdl_tensor t, int64_t first, int64_t count)
{
  t.offset += first * t.stride[2];
  t.size[2] = count;
  return t;
}

static inline cdl_tensor cdl_tensor_columns(cdl_tensor t, int64_t first, int64_t count)
{
  t.offset += first;
  t.size[3] = count;
  return t;
}

#ifdef __cplusplus
}
#endif
#endif
