/* Zip archives with uncompressed entries (APPNOTE 6.3, with zip64), as PyTorch writes them. Each
 * entry is a part of the mapped file. Checksums are not checked. */
#ifndef CONDLORA_MODEL_FILES_ZIP_H
#define CONDLORA_MODEL_FILES_ZIP_H

#include "base/file.h"

/* Views into the mapping. The name has no NUL. */
typedef struct {
  const char *name;
  size_t name_bytes;
  const uint8_t *data;
  size_t size;
} zip_entry;

/* Returns whether a file begins like an archive. */
bool zip_is_archive(const base_mapping *file);

/* Lists the entries by name, bytewise. The caller frees the list. DATA, naming `path`, if the
 * archive is damaged, or has an entry that is duplicate, compressed or encrypted. */
CDL_MUST_USE cdl_status zip_list(const char *path, const base_mapping *file, zip_entry **entries,
                                 size_t *count);
/* Returns NULL if there is none. */
const zip_entry *zip_find(const zip_entry *entries, size_t count, const char *name,
                          size_t name_bytes);

#endif
