/* A file of states of frozen layers: entries that several processes append and read at once.
 * docs/files.md describes the format.
 *
 * A file is read only if nobody but root and the user can change it (base/trust.h). Whoever appends
 * locks it for that moment, and first takes over what others have appended. An entry that is there
 * never changes. A killed process leaves at most a part of one entry, which the next one to append
 * cuts off. Each entry has a checksum that every reading compares. */
#ifndef CONDLORA_MODEL_FROZEN_FILE_H
#define CONDLORA_MODEL_FROZEN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct frozen_file frozen_file;

/* Bytes of an entry besides its data. */
enum { FROZEN_FILE_ENTRY_BYTES = 32 };

/* What an entry says of itself. */
typedef struct {
  uint64_t hash;   /* of the example's tokens */
  uint64_t offset; /* of the entry in the file */
  uint32_t tokens;
} frozen_file_entry;

/* Is told of each entry in the file. Returns false if it cannot be one: a wrong length. */
typedef bool frozen_file_found(void *user, const frozen_file_entry *entry, size_t bytes);

/* Opens or makes the file at `path`, whose contents depend on `identity`, and gives its entries to
 * `found`, also later when others append some. A file of another identity or version, or one that
 * is damaged, is replaced by an empty one. A notice names it, as it does a file that cannot be
 * used; then the result is NULL. */
frozen_file *frozen_file_open(const char *path, const char *identity, frozen_file_found *found,
                              void *user);
void frozen_file_close(frozen_file *file);
uint64_t frozen_file_bytes(const frozen_file *file);

/* Reads the `bytes` of an entry. Returns false if they cannot be read or the checksum differs; a
 * notice says it once. */
bool frozen_file_read(frozen_file *file, const frozen_file_entry *entry, void *data, size_t bytes);

/* Locks the file and gives new entries of other processes to `found`. If it returns true, the
 * caller may append, and unlocks the file afterwards. It is false if others keep the file locked,
 * or if a write has failed before. */
bool frozen_file_lock(frozen_file *file);
/* Sets `entry->offset`. Returns false if the disk is full or fails; a notice says it once. */
bool frozen_file_append(frozen_file *file, frozen_file_entry *entry, const void *data,
                        size_t bytes);
void frozen_file_unlock(frozen_file *file);

#endif
