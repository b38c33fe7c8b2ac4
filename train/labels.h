/* Names of classes, and their ids. */
#ifndef CONDLORA_TRAIN_LABELS_H
#define CONDLORA_TRAIN_LABELS_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

typedef struct {
  char **names;   /* [count], by id */
  int32_t *order; /* [count] ids, names ascending bytewise */
  size_t count, capacity;
} cdl_labels;

enum { CDL_LABELS_MAX = 65536 };

/* Adds a name that is not there yet; its id is the count before. Errors: MEMORY; DATA beyond
 * CDL_LABELS_MAX. */
CDL_MUST_USE cdl_status cdl_labels_add(cdl_labels *labels, const char *name, size_t bytes);
/* The id of a name, -1 when it is not there. */
int32_t cdl_labels_find(const cdl_labels *labels, const char *name, size_t bytes);
/* Renumbers: ids follow the names, ascending. `renumbered` [count] gives the new id of each old
 * one. */
void cdl_labels_sort(cdl_labels *labels, int32_t *renumbered);
void cdl_labels_release(cdl_labels *labels);

#endif
