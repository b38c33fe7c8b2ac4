/* Safetensors: named tensors in a mapped file, or in several (Hugging Face's format,
 * https://github.com/huggingface/safetensors, "Format").
 *
 * Everything the header claims is checked when the file is opened: its length (at most 100 MB),
 * names (each once), types, shapes (no product overflows), and offsets, which must cover the data
 * without hole or overlap. Values are not looked at; see cdl_safetensors_check_finite. An opened
 * file is read-only and may be shared by threads.
 *
 * Files that torch.save wrote (PyTorch 1.6 and newer) are opened as well when they hold a dictionary
 * of tensors and nothing else; nothing in them is run. Their tensors may share memory. */
#ifndef CONDLORA_SAFETENSORS_H
#define CONDLORA_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/*      name      bits of an element */
#define CDL_STORED_TYPE_LIST(X) \
  X(BOOL, 8)                    \
  X(U8, 8)                      \
  X(I8, 8)                      \
  X(F8_E5M2, 8)                 \
  X(F8_E4M3, 8)                 \
  X(F8_E8M0, 8)                 \
  X(I16, 16)                    \
  X(U16, 16)                    \
  X(F16, 16)                    \
  X(BF16, 16)                   \
  X(I32, 32)                    \
  X(U32, 32)                    \
  X(F32, 32)                    \
  X(C64, 64)                    \
  X(F64, 64)                    \
  X(I64, 64)                    \
  X(U64, 64)

typedef enum {
#define CDL_STORED_TYPE_ENUM(name, bits) CDL_STORED_##name,
  CDL_STORED_TYPE_LIST(CDL_STORED_TYPE_ENUM)
#undef CDL_STORED_TYPE_ENUM
      CDL_STORED_TYPE_COUNT
} cdl_stored_type;

/* "BF16", say, as it stands in a header; static. */
CDL_API const char *cdl_stored_type_name(cdl_stored_type type);
CDL_API size_t cdl_stored_type_bytes(cdl_stored_type type);

enum { CDL_STORED_RANK_MAX = 8 };

/* One tensor of a file, dense, in row-major order, little-endian. `data` may be unaligned. */
typedef struct {
  const char *name;
  cdl_stored_type type;
  uint32_t rank; /* 0: a single element */
  int64_t shape[CDL_STORED_RANK_MAX];
  const void *data;
  size_t bytes; /* elements · bytes of the type; set by open, ignored by write */
} cdl_stored_tensor;

typedef struct cdl_safetensors cdl_safetensors;

/* Opens a file, or a model folder: its `model.safetensors`, else the shards that
 * `model.safetensors.index.json` names, which must lie in the folder and hold exactly the tensors
 * it says; else `pytorch_model.bin` or its shards.
 * Errors: ABSENT (no such file), IO, DATA (names the file, the tensor and what is wrong with it),
 * MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_safetensors_open(const char *path, cdl_safetensors **file);
CDL_API void cdl_safetensors_close(cdl_safetensors *file);

/* Tensors in the order of their names (bytewise); borrowed until the file is closed, with name and
 * data. */
CDL_API size_t cdl_safetensors_count(const cdl_safetensors *file);
CDL_API const cdl_stored_tensor *cdl_safetensors_get(const cdl_safetensors *file, size_t index);
/* NULL when there is none. */
CDL_API const cdl_stored_tensor *cdl_safetensors_find(const cdl_safetensors *file,
                                                      const char *name);
/* The file that holds `tensor`, one of this file's own; borrowed. */
CDL_API const char *cdl_safetensors_path_of(const cdl_safetensors *file,
                                            const cdl_stored_tensor *tensor);
/* A string of the header's __metadata__ (the first shard's that has it); NULL when there is none;
 * borrowed. */
CDL_API const char *cdl_safetensors_metadata(const cdl_safetensors *file, const char *key);

/* Copies `tensor`, which must have the given shape, to `destination` as float32: exact from F32,
 * F16 and BF16 (NaN keep their upper bits), rounded to nearest from F64. Other types are an error,
 * DATA, as is another shape. */
CDL_API CDL_MUST_USE cdl_status cdl_safetensors_read(const cdl_safetensors *file,
                                                     const cdl_stored_tensor *tensor, uint32_t rank,
                                                     const int64_t *shape, float *destination);
/* The same without a copy where none is needed: `values` is the file's own memory for a tensor of
 * F32, not aligned in any way, else `staging`, which has room for all. */
CDL_API CDL_MUST_USE cdl_status cdl_safetensors_view(const cdl_safetensors *file,
                                                     const cdl_stored_tensor *tensor, uint32_t rank,
                                                     const int64_t *shape, float *staging,
                                                     const void **values);
/* DATA, naming the first element, when a value of a floating-point tensor is infinite or not a
 * number. */
CDL_API CDL_MUST_USE cdl_status cdl_safetensors_check_finite(const cdl_safetensors *file,
                                                             const cdl_stored_tensor *tensor);
/* Gives the memory that holds the tensor's pages back; they are read again when touched. */
CDL_API void cdl_safetensors_discard(const cdl_safetensors *file, const cdl_stored_tensor *tensor);

typedef struct {
  const char *key, *value;
} cdl_metadata;

/* Writes a file, whole or not at all. The bytes depend on the arguments' values alone, not on the
 * order of `tensors`: they are stored widest type first, then by name, the data aligned to 8
 * bytes. Names must be UTF-8, each once. Transformers wants the metadata "format": "pt".
 * Errors: ARGUMENT (a name twice or not UTF-8, a rank or size that cannot be), IO, MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_safetensors_write(const char *path,
                                                      const cdl_stored_tensor *tensors,
                                                      size_t count, const cdl_metadata *metadata,
                                                      size_t metadata_count);

#ifdef __cplusplus
}
#endif
#endif
