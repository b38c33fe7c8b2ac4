/* The examples of predict and tokenize, read a window at a time. A user's file is read as it
 * arrives, whatever its length; a task is read whole. */
#ifndef CONDLORA_TOOLS_STUDY_WINDOWS_H
#define CONDLORA_TOOLS_STUDY_WINDOWS_H

#include "tools/study/examples.h"
#include "train/data/dataset_windows.h"

typedef struct {
  cli_examples all; /* of a user's file the window at hand */
  cli_own_file file;
  data_window_tokenizer tokenizer;
  size_t most, answered; /* most examples of a window; examples given by earlier windows */

  const uint32_t *rows; /* [count] the window's examples, by their index in all.dataset */
  size_t count;
  uint64_t before; /* examples of earlier windows, which the data set no longer holds */
} cli_windows;

/* Opens the examples; a window has at most `most`. `model` is as for cli_examples_read, and
 * `tokenizer` must outlive the windows. Waits for the first example. Close with cli_windows_close.
 * Errors: those of cli_examples_read; CANCELLED if a signal ends the wait. */
CDL_MUST_USE cdl_status cli_windows_open(const cli_example_source *source, cli_label_need need,
                                         inference_model *model,
                                         const data_window_tokenizer *tokenizer, size_t most,
                                         cli_windows *windows);
/* Reads and tokenizes the next examples; `count` is 0 at the end. An example that cannot be read or
 * tokenized is an error after all examples before it have been given. */
CDL_MUST_USE cdl_status cli_windows_next(cli_windows *windows);
void cli_windows_close(cli_windows *windows);

/* Computes the window's logits, [examples of the data set, model->labels]; the caller frees them.
 * Call cli_windows_plan first, once, and merge the adapter. */
CDL_MUST_USE cdl_status cli_windows_plan(inference_model *model);
CDL_MUST_USE cdl_status cli_windows_logits(cli_windows *windows, inference_model *model,
                                           float **logits);

#endif
