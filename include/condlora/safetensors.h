/* Safetensors: named tensors in one or several mapped files (Hugging Face's format,
 * https://github.com/huggingface/safetensors, "Format").
 *
 * Opening a file checks everything that its header claims: its length (at most 100 MB), names (each
 * once), types, shapes (no product overflows), and offsets, which must cover the data without gap
 * or overlap. It does not check values; cdl_safetensors_check_finite does. An open file is
 * read-only, and threads may share it.
 *
 * Files that torch.save wrote (PyTorch 1.6 and newer) can be opened too if they hold a dictionary
 * of tensors and nothing else. No code in them is run. Their tensors may share memory. */
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

/* Returns the type's name in a header, such as "BF16"; static. */
CDL_API const char *cdl_stored_type_name(cdl_stored_type type);
CDL_API size_t cdl_stored_type_bytes(cdl_stored_type type);

enum { CDL_STORED_RANK_MAX = 8 };

/* One tensor of a file: dense, row-major, little-endian. `data` may be unaligned. */
typedef struct {
  const char *name;
  cdl_stored_type type;
  uint32_t rank; /* 0: a single element */
  int64_t shape[CDL_STORED_RANK_MAX];
  const void *data;
  size_t bytes; /* elements · bytes of the type; open sets it, write ignores it */
} cdl_stored_tensor;

typedef struct cdl_safetensors cdl_safetensors;

/* Opens a file or a model folder. In a folder it opens the first of: `model.safetensors`; the
 * shards that `model.safetensors.index.json` names, which must be in the folder and hold exactly
 * the tensors that it lists; `pytorch_model.bin` or its shards. Errors: ABSENT if there is no such
 * file; IO; DATA, naming the file, the tensor and the fault; MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_safetensors_open(const char *path, cdl_safetensors **file);
CDL_API void cdl_safetensors_close(cdl_safetensors *file);

/* Return the number of tensors, and one of them, in bytewise order of their names. A tensor, its
 * name and its data are borrowed until the file is closed. */
CDL_API size_t cdl_safetensors_count(const cdl_safetensors *file);
CDL_API const cdl_stored_tensor *cdl_safetensors_get(const cdl_safetensors *file, size_t index);
/* Returns NULL if there is no such tensor. */
CDL_API const cdl_stored_tensor *cdl_safetensors_find(const cdl_safetensors *file,
                                                      const char *name);
/* Returns the path of the file that holds `tensor`, which is a tensor of this object; borrowed. */
CDL_API const char *cdl_safetensors_path_of(const cdl_safetensors *file,
                                            const cdl_stored_tensor *tensor);
/* Returns a string of the header's __metadata__ (of the first shard that has it), borrowed; NULL if
 * there is none. */
CDL_API const char *cdl_safetensors_metadata(const cdl_safetensors *file, const char *key);

/* Copies `tensor` to `destination` as float32. The copy is exact from F32, F16 and BF16 (NaN keep
 * their upper bits) and rounded to nearest from F64. Errors: DATA for another type and for a shape
 * other than `shape` [rank]. */
CDL_API CDL_MUST_USE cdl_status cdl_safetensors_read(const cdl_safetensors *file,
                                                     const cdl_stored_tensor *tensor, uint32_t rank,
                                                     const int64_t *shape, float *destination);
/* Like cdl_safetensors_read, but copies only if needed. For an F32 tensor `values` is the file's
 * own memory, which may be unaligned. Otherwise it is `staging`, which has room for all
 * elements. */
CDL_API CDL_MUST_USE cdl_status cdl_safetensors_view(const cdl_safetensors *file,
                                                     const cdl_stored_tensor *tensor, uint32_t rank,
                                                     const int64_t *shape, float *staging,
                                                     const void **values);
/* Errors: DATA if a floating-point tensor has an infinite value or a NaN; names the first one. */
CDL_API CDL_MUST_USE cdl_status cdl_safetensors_check_finite(const cdl_safetensors *file,
                                                             const cdl_stored_tensor *tensor);
/* Lets the system drop the tensor's pages from memory. They are read again on the next access. */
CDL_API void cdl_safetensors_discard(const cdl_safetensors *file, const cdl_stored_tensor *tensor);

typedef struct {
  const char *key, *value;
} cdl_metadata;

/* Writes a file, complete or not at all. The bytes depend only on the values of the arguments, not
 * on the order of `tensors`: tensors are stored with the widest type first, then by name, and the
 * data is aligned to 8 bytes. Names must be UTF-8 and unique. Transformers needs the metadata
 * "format": "pt". Errors: ARGUMENT for a name that is repeated or not UTF-8, and for an invalid
 * rank or size; IO; MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_safetensors_write(const char *path,
                                                      const cdl_stored_tensor *tensors,
                                                      size_t count, const cdl_metadata *metadata,
                                                      size_t metadata_count);

#ifdef __cplusplus
}
#endif
#endif
