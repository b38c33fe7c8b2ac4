/* A data set of a file of one's own that is read a window at a time: for input of any length, and
 * for input that comes in time. Of the examples only the window's are there, counted from 0. */
#ifndef CONDLORA_TRAIN_DATA_DATASET_WINDOWS_H
#define CONDLORA_TRAIN_DATA_DATASET_WINDOWS_H

#include "condlora/dataset.h"

/* As cdl_dataset_read_file, but that no row is there yet. Waits for the first row. The source's
 * columns stay the caller's until the data set is closed; labels, where they are read, must be
 * given. `stop`, which may be NULL, ends a wait with CANCELLED. */
CDL_MUST_USE cdl_status dataset_open_windows(const cdl_dataset_source *source,
                                             const volatile int *stop, cdl_dataset **dataset);
/* Forgets the rows and tokens that are there and reads the next rows: as many as can be had without
 * waiting, `most` at most; none at the end. A row that cannot be read ends a window before it, and
 * is the error of the call after that. */
CDL_MUST_USE cdl_status dataset_next_window(cdl_dataset *dataset, size_t most);
/* Rows of all windows before: what an example's index counts from. */
uint64_t dataset_rows_before(const cdl_dataset *dataset);

typedef struct {
  const cdl_tokenizer *tokenizer;
  size_t max_length;
  unsigned threads;
  /* Whether the tokens are such as are wanted; may be NULL. */
  cdl_status (*check)(const void *user, const cdl_dataset *dataset);
  const void *user;
} data_window_tokenizer;

/* The window's tokens. An example that cannot be encoded, or fails the check, ends the window as a
 * row does that cannot be read. */
CDL_MUST_USE cdl_status dataset_tokenize_window(cdl_dataset *dataset,
                                                const data_window_tokenizer *tokenizer);
/* The notice of how many examples of all were cut, which windows leave to the end. */
void dataset_note_cut(const cdl_dataset *dataset, size_t max_length);

#endif
