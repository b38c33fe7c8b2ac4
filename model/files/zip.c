#include "model/files/zip.h"

#include <stdlib.h>
#include <string.h>

enum {
  LOCAL_BYTES = 30,
  CENTRAL_BYTES = 46,
  END_BYTES = 22,
  END64_BYTES = 56,
  LOCATOR_BYTES = 20,
  COMMENT_MOST = 65535
};
static const uint32_t local_mark = 0x04034b50, central_mark = 0x02014b50, end_mark = 0x06054b50,
                      end64_mark = 0x06064b50, locator_mark = 0x07064b50;

static uint16_t read16(const uint8_t *p)
{
  uint16_t value;
  memcpy(&value, p, sizeof value);
  return value;
}

static uint32_t read32(const uint8_t *p)
{
  uint32_t value;
  memcpy(&value, p, sizeof value);
  return value;
}

static uint64_t read64(const uint8_t *p)
{
  uint64_t value;
  memcpy(&value, p, sizeof value);
  return value;
}

bool zip_is_archive(const base_mapping *file)
{
  return file->size >= sizeof local_mark && read32(file->data) == local_mark;
}

static cdl_status damaged(const char *path, const char *what)
{
  return cdl_fail(CDL_STATUS_DATA, "%s: the zip archive is damaged or cut: %s", path, what);
}

/* Returns whether [offset, offset + bytes) is in the file. */
static bool inside(const base_mapping *file, uint64_t offset, uint64_t bytes)
{
  return offset <= file->size && bytes <= file->size - offset;
}

typedef struct {
  uint64_t count, bytes, offset;
} directory;

static cdl_status find_directory64(const char *path, const base_mapping *file, size_t end,
                                   directory *found)
{
  if (end < LOCATOR_BYTES || read32(file->data + end - LOCATOR_BYTES) != locator_mark)
    return CDL_STATUS_OK;
  const uint64_t at = read64(file->data + end - LOCATOR_BYTES + 8);
  if (!inside(file, at, END64_BYTES) || read32(file->data + at) != end64_mark)
    return damaged(path, "no end of its 64-bit directory");
  *found = (directory){.count = read64(file->data + at + 32),
                       .bytes = read64(file->data + at + 40),
                       .offset = read64(file->data + at + 48)};
  return CDL_STATUS_OK;
}

static cdl_status find_directory(const char *path, const base_mapping *file, directory *found)
{
  if (file->size < END_BYTES)
    return damaged(path, "no directory at its end");
  const size_t last = file->size - END_BYTES;
  for (size_t back = 0; back <= COMMENT_MOST && back <= last; back++) {
    const uint8_t *p = file->data + last - back;
    if (read32(p) != end_mark || read16(p + 20) != back)
      continue;
    *found =
        (directory){.count = read16(p + 10), .bytes = read32(p + 12), .offset = read32(p + 16)};
    CDL_TRY(find_directory64(path, file, last - back, found));
    if (!inside(file, found->offset, found->bytes) || found->count > found->bytes / CENTRAL_BYTES)
      return damaged(path, "its directory lies outside");
    return CDL_STATUS_OK;
  }
  return damaged(path, "no directory at its end");
}

/* Fields that do not fit 32 bits are all ones, and extra field 1 has them in 64 bits, in this
 * order. */
static bool widen(const uint8_t *extra, size_t bytes, uint64_t *fields, size_t count)
{
  bool wanted = false;
  for (size_t i = 0; i < count; i++)
    wanted = wanted || fields[i] == UINT32_MAX;
  while (wanted && bytes >= 4) {
    const size_t length = read16(extra + 2);
    if (length > bytes - 4)
      return false;
    if (read16(extra) == 1) {
      size_t used = 0;
      for (size_t i = 0; i < count; i++)
        if (fields[i] == UINT32_MAX) {
          if (length - used < 8)
            return false;
          fields[i] = read64(extra + 4 + used);
          used += 8;
        }
      return true;
    }
    extra += 4 + length;
    bytes -= 4 + length;
  }
  return !wanted;
}

/* The central directory gives an entry's length, the local header the start of its data. */
static cdl_status locate(const char *path, const base_mapping *file, uint64_t offset, uint64_t size,
                         zip_entry *entry)
{
  if (!inside(file, offset, LOCAL_BYTES) || read32(file->data + offset) != local_mark)
    return damaged(path, "an entry lies outside");
  const uint64_t skip =
      (uint64_t)LOCAL_BYTES + read16(file->data + offset + 26) + read16(file->data + offset + 28);
  if (!inside(file, offset, skip) || !inside(file, offset + skip, size))
    return damaged(path, "an entry lies outside");
  entry->data = file->data + offset + skip;
  entry->size = (size_t)size;
  return CDL_STATUS_OK;
}

static cdl_status read_entry(const char *path, const base_mapping *file, const uint8_t **next,
                             size_t *left, zip_entry *entry)
{
  const uint8_t *p = *next;
  if (*left < CENTRAL_BYTES || read32(p) != central_mark)
    return damaged(path, "its directory ends too early");
  const size_t name = read16(p + 28), extra = read16(p + 30), comment = read16(p + 32);
  if (name + extra + comment > *left - CENTRAL_BYTES)
    return damaged(path, "its directory ends too early");
  entry->name = (const char *)p + CENTRAL_BYTES;
  entry->name_bytes = name;
  if ((read16(p + 8) & 1) != 0 || read16(p + 10) != 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: an entry of the zip archive is compressed or encrypted, which "
                    "PyTorch does not write",
                    path);
  uint64_t fields[] = {read32(p + 24), read32(p + 20), read32(p + 42)};
  if (!widen(p + CENTRAL_BYTES + name, extra, fields, 3) || fields[0] != fields[1])
    return damaged(path, "the size of an entry");
  *next += CENTRAL_BYTES + name + extra + comment;
  *left -= CENTRAL_BYTES + name + extra + comment;
  return locate(path, file, fields[2], fields[0], entry);
}

static int by_name(const void *left, const void *right)
{
  const zip_entry *a = left, *b = right;
  const size_t shared = a->name_bytes < b->name_bytes ? a->name_bytes : b->name_bytes;
  const int order = shared > 0 ? memcmp(a->name, b->name, shared) : 0;
  return order != 0 ? order : (a->name_bytes > b->name_bytes) - (a->name_bytes < b->name_bytes);
}

cdl_status zip_list(const char *path, const base_mapping *file, zip_entry **entries, size_t *count)
{
  directory found = {0};
  *entries = NULL;
  *count = 0;
  CDL_TRY(find_directory(path, file, &found));
  zip_entry *list = calloc((size_t)found.count + 1, sizeof *list);
  if (list == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  const uint8_t *next = file->data + found.offset;
  size_t left = (size_t)found.bytes;
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; i < found.count && status == CDL_STATUS_OK; i++)
    status = read_entry(path, file, &next, &left, &list[i]);
  if (status == CDL_STATUS_OK && found.count > 0)
    qsort(list, (size_t)found.count, sizeof *list, by_name);
  for (size_t i = 1; i < found.count && status == CDL_STATUS_OK; i++)
    if (by_name(&list[i - 1], &list[i]) == 0)
      status = damaged(path, "it has an entry twice");
  if (status != CDL_STATUS_OK) {
    free(list);
    return status;
  }
  *entries = list;
  *count = (size_t)found.count;
  return CDL_STATUS_OK;
}

const zip_entry *zip_find(const zip_entry *entries, size_t count, const char *name,
                          size_t name_bytes)
{
  const zip_entry key = {.name = name, .name_bytes = name_bytes};
  return count == 0 ? NULL : bsearch(&key, entries, count, sizeof key, by_name);
}
