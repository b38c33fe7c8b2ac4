/* The examples of predict and tokenize, answered a window at a time: one's own file is read as it
 * comes, whatever its length; a task is read whole. */
#ifndef CONDLORA_TOOLS_CLI_WINDOWS_H
#define CONDLORA_TOOLS_CLI_WINDOWS_H

#include "tools/cli/examples.h"
#include "train/data/dataset_windows.h"

typedef struct {
  cli_examples all; /* of one's own file without rows */
  cli_own_file file;
  data_window_tokenizer tokenizer;
  size_t most, answered; /* examples */

  const uint32_t *rows; /* [count] the window's, in all.dataset */
  size_t count;
  uint64_t before; /* what an example's index counts from */
} cli_windows;

/* Opens the examples, of which a window has `most` at most. What is tokenized is `model`'s matter where
 * there is one, as for cli_examples_read. Waits for the first example; a signal ends a wait with
 * CANCELLED. */
CDL_MUST_USE cdl_status cli_windows_open(const cli_example_source *source, cli_label_need need,
                                         inference_model *model,
                                         const data_window_tokenizer *tokenizer, size_t most,
                                         cli_windows *windows);
/* The next examples, with their tokens; none at the end. What cannot be read or tokenized is an
 * error once all before it has been given. */
CDL_MUST_USE cdl_status cli_windows_next(cli_windows *windows);
void cli_windows_close(cli_windows *windows);

/* The window's logits, [the data set's count, model->labels]; the model's encoder is planned with
 * cli_windows_plan, and its adapter merged. */
CDL_MUST_USE cdl_status cli_windows_plan(inference_model *model);
CDL_MUST_USE cdl_status cli_windows_logits(cli_windows *windows, inference_model *model,
                                           float **logits);

#endif
