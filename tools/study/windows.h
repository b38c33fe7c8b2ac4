/* The examples of predict and tokenize, read a window at a time. A user's file is read as it
 * arrives, whatever its length; a task is read whole. */
#ifndef CONDLORA_TOOLS_STUDY_WINDOWS_H
#define CONDLORA_TOOLS_STUDY_WINDOWS_H

#include "tools/study/examples.h"
#include "train/data/dataset_windows.h"

typedef struct {
  study_examples all; /* of a user's file the window at hand */
  study_user_file file;
  data_window_tokenizer tokenizer;
  const volatile int *stop; /* not 0: reading and answering end with CANCELLED */
  size_t most, answered;    /* most examples of a window; examples given by earlier windows */

  const uint32_t *rows; /* [count] the window's examples, by their index in all.dataset */
  size_t count;
  uint64_t before; /* examples of earlier windows, which the data set no longer holds */
} study_windows;

/* Opens the examples; a window has at most `most`. `model` is as for study_examples_read.
 * `tokenizer` is copied, and what it points to must outlive the windows. Waits for the first
 * example. Close with study_windows_close. Errors: those of study_examples_read; CANCELLED once
 * `*stop` is not 0. */
CDL_MUST_USE cdl_status study_windows_open(const study_example_source *source,
                                           study_label_need need, inference_model *model,
                                           const data_window_tokenizer *tokenizer, size_t most,
                                           const volatile int *stop, study_windows *windows);
/* Reads and tokenizes the next examples; `count` is 0 at the end. An example that cannot be read or
 * tokenized is an error after all examples before it have been given. */
CDL_MUST_USE cdl_status study_windows_next(study_windows *windows);
void study_windows_close(study_windows *windows);

/* Computes the window's logits, [examples of the data set, model->labels]; the caller frees them.
 * Call study_windows_plan first, once, and merge the adapter. */
CDL_MUST_USE cdl_status study_windows_plan(inference_model *model);
CDL_MUST_USE cdl_status study_windows_logits(study_windows *windows, inference_model *model,
                                             float **logits);

#endif
