/* Zip archives whose entries are stored as they are (APPNOTE 6.3, with zip64), as PyTorch writes
 * them: each entry is a part of the mapped file. Checksums are not looked at. */
#ifndef CONDLORA_MODEL_FILES_ZIP_H
#define CONDLORA_MODEL_FILES_ZIP_H

#include "base/file.h"

/* Views into the mapping; the name has no NUL. */
typedef struct {
  const char *name;
  size_t name_bytes;
  const uint8_t *data;
  size_t size;
} zip_entry;

/* Whether a file begins as an archive does. */
bool zip_is_archive(const base_mapping *file);

/* Lists the entries by name, bytewise; to be freed by the caller. DATA, naming `path`, when the
 * archive is damaged, or has an entry twice, compressed or encrypted. */
CDL_MUST_USE cdl_status zip_list(const char *path, const base_mapping *file, zip_entry **entries,
                                 size_t *count);
/* NULL when there is none. */
const zip_entry *zip_find(const zip_entry *entries, size_t count, const char *name,
                          size_t name_bytes);

#endif
