/* A data set of a user's file that is read one window at a time: for input of any length, and for
 * input that arrives over time. Only the window's examples exist, counted from 0. */
#ifndef CONDLORA_TRAIN_DATA_DATASET_WINDOWS_H
#define CONDLORA_TRAIN_DATA_DATASET_WINDOWS_H

#include "condlora/dataset.h"

/* Like cdl_dataset_read_file, but no row exists yet. Waits for the first row. The caller keeps the
 * source's columns until the data set is closed; labels, if they are read, must be given. `stop`
 * may be NULL; if it is set, a wait ends with CANCELLED. */
CDL_MUST_USE cdl_status dataset_open_windows(const cdl_dataset_source *source,
                                             const volatile int *stop, cdl_dataset **dataset);
/* Forgets the present rows and tokens and reads the next rows: as many as are there without
 * waiting, at most `most`; none at the end. A row that cannot be read ends the window before it,
 * and is the error of the next call. */
CDL_MUST_USE cdl_status dataset_next_window(cdl_dataset *dataset, size_t most);
/* Returns the rows of all earlier windows, which an example's index starts from. */
uint64_t dataset_rows_before(const cdl_dataset *dataset);

typedef struct {
  const cdl_tokenizer *tokenizer;
  size_t max_length;
  unsigned threads;
  /* Returns whether the tokens are acceptable; may be NULL. */
  cdl_status (*check)(const void *user, const cdl_dataset *dataset);
  const void *user;
} data_window_tokenizer;

/* Makes the window's tokens. An example that cannot be encoded, or fails the check, ends the window
 * like a row that cannot be read. */
CDL_MUST_USE cdl_status dataset_tokenize_window(cdl_dataset *dataset,
                                                const data_window_tokenizer *tokenizer);
/* Logs how many of all examples were cut. Windows leave this to the end. */
void dataset_note_cut(const cdl_dataset *dataset, size_t max_length);

#endif
