/* The answers of predict: one for each example, for people or for programs. */
#ifndef CONDLORA_TOOLS_CLI_ANSWERS_H
#define CONDLORA_TOOLS_CLI_ANSWERS_H

#include "condlora/dataset.h"
#include "model/inference/state.h"
#include "tools/console/output.h"

typedef enum {
  CLI_ANSWERS_TABLE, /* for a terminal: prediction, score and text */
  CLI_ANSWERS_JSONL,
  CLI_ANSWERS_CSV,
  CLI_ANSWERS_TSV
} cli_answers_form;

typedef struct {
  console_output output;
  const inference_model *model;
  cli_answers_form form;
  int top;       /* labels to list by their scores; 0: the predicted ones */
  size_t width;  /* columns of the terminal */
  bool begun;    /* the header is written */
  char **labels; /* [labels] names as JSON strings; NULL for one number */
  double *scores;
  bool *chosen;
  int *order; /* [labels] by falling score */
} cli_answers;

/* Opens `path` (NULL: standard output) for the model's answers. `top` is cut to the number of
 * labels. Errors: USAGE for `top` with a regression; IO; MEMORY. */
CDL_MUST_USE cdl_status cli_answers_begin(cli_answers *answers, const inference_model *model,
                                          const char *path, cli_answers_form form, int64_t top);
/* Writes the answer to the example with this index, by its logits [labels]. */
void cli_answers_write(cli_answers *answers, uint64_t index, const cdl_example *example,
                       const float *logits);
/* Closes the output, which is kept if `status` is OK. Returns the first failure. */
CDL_MUST_USE cdl_status cli_answers_finish(cli_answers *answers, cdl_status status);

#endif
