#include "train/data/labels.h"

#include <stdlib.h>
#include <string.h>

static int compare(const char *name, const char *text, size_t bytes)
{
  const size_t length = strlen(name);
  const int order = memcmp(name, text, length < bytes ? length : bytes);
  return order != 0 ? order : (length > bytes) - (length < bytes);
}

/* Returns the number of names before `name` in the order: its place, or where it belongs. */
static size_t place(const data_labels *labels, const char *name, size_t bytes)
{
  size_t low = 0, high = labels->count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (compare(labels->names[labels->order[middle]], name, bytes) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

int32_t data_labels_find(const data_labels *labels, const char *name, size_t bytes)
{
  const size_t at = place(labels, name, bytes);
  if (at == labels->count || compare(labels->names[labels->order[at]], name, bytes) != 0)
    return -1;
  return labels->order[at];
}

static cdl_status grow(data_labels *labels)
{
  if (labels->count < labels->capacity)
    return CDL_STATUS_OK;
  const size_t capacity = labels->capacity == 0 ? 8 : 2 * labels->capacity;
  char **names = realloc(labels->names, capacity * sizeof *names);
  if (names != NULL)
    labels->names = names;
  int32_t *order = realloc(labels->order, capacity * sizeof *order);
  if (order != NULL)
    labels->order = order;
  if (names == NULL || order == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for %zu labels", capacity);
  labels->capacity = capacity;
  return CDL_STATUS_OK;
}

cdl_status data_labels_add(data_labels *labels, const char *name, size_t bytes)
{
  if (labels->count == DATA_LABELS_MAX)
    return cdl_fail(CDL_STATUS_DATA, "more than %d different labels; expected a column of classes",
                    DATA_LABELS_MAX);
  CDL_TRY(grow(labels));
  char *copy = malloc(bytes + 1);
  if (copy == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a label of %zu bytes", bytes);
  memcpy(copy, name, bytes);
  copy[bytes] = '\0';

  const size_t at = place(labels, name, bytes);
  memmove(labels->order + at + 1, labels->order + at, (labels->count - at) * sizeof *labels->order);
  labels->order[at] = (int32_t)labels->count;
  labels->names[labels->count++] = copy;
  return CDL_STATUS_OK;
}

bool data_label_is_whole(const char *name)
{
  const char *digits = name + (*name == '-');
  return *digits != '\0' && digits[strspn(digits, "0123456789")] == '\0';
}

/* Compares two integers without signs. */
static int compare_digits(const char *a, const char *b)
{
  a += strspn(a, "0");
  b += strspn(b, "0");
  const size_t length_a = strlen(a), length_b = strlen(b);
  return length_a != length_b ? (length_a > length_b) - (length_a < length_b) : strcmp(a, b);
}

static bool is_negative(const char *whole)
{
  return whole[0] == '-' && whole[1 + strspn(whole + 1, "0")] != '\0';
}

static int compare_names(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_wholes(const void *a, const void *b)
{
  const char *x = *(char *const *)a, *y = *(char *const *)b;
  const bool negative = is_negative(x);
  if (negative != is_negative(y))
    return negative ? -1 : 1;
  const int order = compare_digits(x + (*x == '-'), y + (*y == '-'));
  return order == 0 ? strcmp(x, y) : negative ? -order : order;
}

cdl_status data_labels_sort(data_labels *labels, int32_t *renumbered)
{
  const size_t count = labels->count;
  char **sorted = calloc(count + 1, sizeof *sorted);
  if (sorted == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for %zu labels", count);
  bool wholes = true;
  for (size_t i = 0; i < count; i++) {
    sorted[i] = labels->names[i];
    wholes = wholes && data_label_is_whole(sorted[i]);
  }
  qsort(sorted, count, sizeof *sorted, wholes ? compare_wholes : compare_names);
  for (size_t i = 0; i < count; i++) {
    const int32_t old = data_labels_find(labels, sorted[i], strlen(sorted[i]));
    renumbered[old] = (int32_t)i;
  }
  for (size_t i = 0; i < count; i++)
    labels->order[i] = renumbered[labels->order[i]];
  if (count > 0)
    memcpy(labels->names, sorted, count * sizeof *sorted);
  free(sorted);
  return CDL_STATUS_OK;
}

void data_labels_release(data_labels *labels)
{
  for (size_t i = 0; i < labels->count; i++)
    free(labels->names[i]);
  free(labels->names);
  free(labels->order);
  *labels = (data_labels){0};
}
