/* Names of classes and their ids. */
#ifndef CONDLORA_TRAIN_DATA_LABELS_H
#define CONDLORA_TRAIN_DATA_LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

typedef struct {
  char **names;   /* [count], by id */
  int32_t *order; /* [count] ids, names ascending bytewise */
  size_t count, capacity;
} data_labels;

enum { DATA_LABELS_MAX = 65536 };

/* Adds a new name; its id is the count before. Errors: MEMORY; DATA beyond DATA_LABELS_MAX. */
CDL_MUST_USE cdl_status data_labels_add(data_labels *labels, const char *name, size_t bytes);
/* Returns the id of a name, or -1. */
int32_t data_labels_find(const data_labels *labels, const char *name, size_t bytes);
/* Returns whether a name is an integer in decimal digits, with or without '-' before them. */
bool data_label_is_whole(const char *name);
/* Renumbers the labels in sorted order. If all names are integers, of any length, they are sorted
 * by value (-1, 0, 2, 10), and bytewise if values are equal ("01" before "1", which stay two
 * labels); otherwise bytewise. `renumbered` [count] gives the new id of each old one. MEMORY. */
CDL_MUST_USE cdl_status data_labels_sort(data_labels *labels, int32_t *renumbered);
void data_labels_release(data_labels *labels);

#endif
