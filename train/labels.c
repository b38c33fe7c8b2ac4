#include "train/labels.h"

#include <stdlib.h>
#include <string.h>

static int compare(const char *name, const char *text, size_t bytes)
{
  const size_t length = strlen(name);
  const int order = memcmp(name, text, length < bytes ? length : bytes);
  return order != 0 ? order : (length > bytes) - (length < bytes);
}

/* How many names come before `name`: where it is, or belongs, in the order. */
static size_t place(const cdl_labels *labels, const char *name, size_t bytes)
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

int32_t cdl_labels_find(const cdl_labels *labels, const char *name, size_t bytes)
{
  const size_t at = place(labels, name, bytes);
  if (at == labels->count || compare(labels->names[labels->order[at]], name, bytes) != 0)
    return -1;
  return labels->order[at];
}

static cdl_status grow(cdl_labels *labels)
{
  if (labels->count < labels->capacity)
    return CDL_OK;
  const size_t capacity = labels->capacity == 0 ? 8 : 2 * labels->capacity;
  char **names = realloc(labels->names, capacity * sizeof *names);
  if (names != NULL)
    labels->names = names;
  int32_t *order = realloc(labels->order, capacity * sizeof *order);
  if (order != NULL)
    labels->order = order;
  if (names == NULL || order == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory for %zu labels", capacity);
  labels->capacity = capacity;
  return CDL_OK;
}

cdl_status cdl_labels_add(cdl_labels *labels, const char *name, size_t bytes)
{
  if (labels->count == CDL_LABELS_MAX)
    return cdl_fail(CDL_DATA, "more than %d different labels; expected a column of classes",
                    CDL_LABELS_MAX);
  CDL_TRY(grow(labels));
  char *copy = malloc(bytes + 1);
  if (copy == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory for a label of %zu bytes", bytes);
  memcpy(copy, name, bytes);
  copy[bytes] = '\0';

  const size_t at = place(labels, name, bytes);
  memmove(labels->order + at + 1, labels->order + at, (labels->count - at) * sizeof *labels->order);
  labels->order[at] = (int32_t)labels->count;
  labels->names[labels->count++] = copy;
  return CDL_OK;
}

static int compare_names(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

void cdl_labels_sort(cdl_labels *labels, int32_t *renumbered)
{
  for (size_t i = 0; i < labels->count; i++)
    renumbered[labels->order[i]] = (int32_t)i;
  if (labels->count > 0)
    qsort(labels->names, labels->count, sizeof *labels->names, compare_names);
  for (size_t i = 0; i < labels->count; i++)
    labels->order[i] = (int32_t)i;
}

void cdl_labels_release(cdl_labels *labels)
{
  for (size_t i = 0; i < labels->count; i++)
    free(labels->names[i]);
  free(labels->names);
  free(labels->order);
  *labels = (cdl_labels){0};
}
