#include "model/nearest.h"

#include <stdint.h>
#include <string.h>

enum { LONGEST = 64 };

size_t cdl_distance(const char *a, const char *b)
{
  size_t row[LONGEST + 1], previous;
  const size_t n = strnlen(b, LONGEST);
  for (size_t j = 0; j <= n; j++)
    row[j] = j;
  for (size_t i = 0; a[i] != '\0' && i < LONGEST; i++) {
    previous = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < n; j++) {
      const size_t replaced = previous + (a[i] != b[j]);
      const size_t shifted = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
      previous = row[j + 1];
      row[j + 1] = replaced < shifted ? replaced : shifted;
    }
  }
  return row[n];
}

const char *cdl_nearest(const char *name, const char *const *names, size_t count)
{
  const char *best = names[0];
  size_t least = SIZE_MAX;
  for (size_t i = 0; i < count; i++) {
    const size_t d = cdl_distance(name, names[i]);
    if (d < least) {
      least = d;
      best = names[i];
    }
  }
  return best;
}

bool cdl_is_listed(const char *choices, const char *value)
{
  const size_t n = strlen(value);
  for (const char *c = choices;; c++) {
    const char *end = strchrnul(c, '|');
    if ((size_t)(end - c) == n && memcmp(c, value, n) == 0)
      return true;
    if (*end == '\0')
      return false;
    c = end;
  }
}
