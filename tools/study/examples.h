/* The examples that a command reads and the model that it applies to them, shared by eval, predict,
 * tokenize and analyze layers. */
#ifndef CONDLORA_TOOLS_STUDY_EXAMPLES_H
#define CONDLORA_TOOLS_STUDY_EXAMPLES_H

#include <math.h>

#include "base/list.h"
#include "condlora/dataset.h"
#include "model/inference/inference.h"

/* Values of the options; texts are borrowed. */
typedef struct {
  const char *task, *data, *split;
  double dev_fraction; /* NaN: the value of the adapter's training */
  const char *input, *text_columns, *label_column, *label_separator, *skip_label;
} study_example_source;

/* The values before the command line is read. */
#define STUDY_EXAMPLE_DEFAULTS \
  {                            \
    .dev_fraction = NAN        \
  }

typedef struct {
  const cdl_task *task; /* NULL for a file of the user */
  const char *split;    /* "dev"; of a user's file its path */
  cdl_dataset *dataset;
  uint32_t *rows; /* [count] indices of examples, ascending except for the split valid; owned */
  size_t count;
} study_examples;

/* Checks that the options go together. Errors: USAGE. */
CDL_MUST_USE cdl_status study_examples_check(const study_example_source *source);

typedef enum {
  STUDY_LABELS_IGNORED,
  STUDY_LABELS_OPTIONAL,
  STUDY_LABELS_REQUIRED
} study_label_need;

/* How a user's file is read: by the columns of the command line or, where it names none, by those
 * of training. */
typedef struct {
  cdl_dataset_source source;
  base_list columns, label_columns;
} study_user_file;
CDL_MUST_USE cdl_status study_user_file_describe(const study_example_source *source,
                                                 study_label_need need,
                                                 const inference_model *model,
                                                 study_user_file *file);
void study_user_file_release(study_user_file *file);

/* Checks that a model trained on pairs gets pairs, and one trained on single texts gets single
 * texts. The model would compute an answer otherwise, but not a learned one. Errors: DATA. */
CDL_MUST_USE cdl_status study_examples_check_pairs(const inference_model *model,
                                                   const cdl_dataset *dataset);

/* Reads the examples. `model` gives the labels; pass NULL if labels do not matter. If the model has
 * no label names, the task's replace its numbers. Close with study_examples_close. Errors: USAGE,
 * and DATA where model and examples do not fit. */
CDL_MUST_USE cdl_status study_examples_read(const study_example_source *source,
                                            study_label_need need, inference_model *model,
                                            study_examples *examples);
void study_examples_close(study_examples *examples);

/* Checks the options of examples and opens the model. Close with inference_close. */
CDL_MUST_USE cdl_status study_examples_open_model(const inference_settings *settings,
                                                  const study_example_source *source,
                                                  inference_model *model);
/* Opens the model, reads the examples and tokenizes them. The order of checks is: options, model,
 * data. */
CDL_MUST_USE cdl_status study_examples_open(const inference_settings *settings,
                                            const study_example_source *source,
                                            study_label_need need, inference_model *model,
                                            study_examples *examples);

/* Computes the logits of the examples, [examples of the data set, model->labels]; the caller frees
 * them. Rows of examples that were not chosen are 0. Errors: NUMERIC, naming the example, if a
 * logit is not finite; CANCELLED once
 * `*stop` is not 0. */
CDL_MUST_USE cdl_status study_examples_logits(inference_model *model,
                                              const study_examples *examples,
                                              const volatile int *stop, float **logits);

#endif
