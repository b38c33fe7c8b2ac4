/* A plug-in's table as other versions may have compiled it: header, name, and which members are
 * there. */
#include "condlora/plugin.h"

#include <stdlib.h>
#include <string.h>

#include "backends/core/loader.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  enum { LARGEST = 1 << 16 };
  static char member; /* what a member that is there points to; nothing calls it */
  cdl_table_header header;
  if (size < sizeof header + 1)
    return 0;
  memcpy(&header, data, sizeof header);
  if (header.struct_size > LARGEST)
    header.struct_size %= LARGEST;
  /* Just as large as it says, so that a sanitizer sees a step beyond. */
  const size_t bytes = header.struct_size > sizeof header ? header.struct_size : sizeof header;
  uint8_t *table = calloc(1, bytes);
  char *name = strndup((const char *)data + sizeof header, size - sizeof header);
  if (table == NULL || name == NULL)
    abort();
  memcpy(table, &header, sizeof header);
  const size_t said = strlen(name) < 64 ? strlen(name) : 64;
  const uint8_t *bits = data + sizeof header + said, *end = data + size;
  for (size_t at = sizeof header, i = 0; at + sizeof(void *) <= bytes; at += sizeof(void *), i++) {
    const void *value = i == 0 ? (const void *)name : &member;
    const bool there = i == 0 || bits + i / 8 >= end || (bits[i / 8] >> i % 8 & 1) == 0;
    if (there)
      memcpy(table + at, &value, sizeof value);
  }
  cdl_backend_table adopted;
  (void)fuzz_ok(core_adopt((const cdl_backend_table *)(const void *)table, "plugin.so", &adopted));
  free(name);
  free(table);
  return 0;
}
