/* The examples that a command reads and the model that it applies to them, shared by eval, predict,
 * tokenize and analyze layers. */
#ifndef CONDLORA_TOOLS_STUDY_EXAMPLES_H
#define CONDLORA_TOOLS_STUDY_EXAMPLES_H

#include <math.h>

#include "condlora/dataset.h"
#include "condlora/model.h"
#include "model/inference/inference.h"
#include "tools/cli/options.h"

/* Values of the options; texts are borrowed. */
typedef struct {
  const char *task, *data, *split;
  double dev_fraction; /* NaN: the value of the adapter's training */
  const char *input, *text_columns, *label_column, *skip_label;
} cli_example_source;

/* Rows of an option table. Commands that read labels add CLI_LABEL_OPTIONS. */
#define CLI_EXAMPLE_OPTIONS(source)                                                           \
  BASE_SECTION("Examples"),                                                                   \
      BASE_OPTION(STRING, "task", &(source).task, "NAME",                                     \
                  "a GLUE task: CoLA, SST-2, MRPC, QQP, STS-B, MNLI, QNLI, RTE, WNLI"),       \
      BASE_OPTION(STRING, "data", &(source).data, "DIR",                                      \
                  "folder with one folder for each GLUE task (DIR/RTE/dev.tsv)"),             \
      BASE_OPTION(STRING, "split", &(source).split, "NAME",                                   \
                  "train, valid (the held-out part of train), dev or test; for MNLI also "    \
                  "dev_matched, dev_mismatched, test_matched, test_mismatched [dev]"),        \
      BASE_OPTION(                                                                            \
          FLOAT, "dev_fraction", &(source).dev_fraction, "P",                                 \
          "fraction of train that forms valid [the fraction held out in training, or 0.1]"),  \
      BASE_OPTION(STRING, "input", &(source).input, "FILE",                                   \
                  "a file of examples: TSV, CSV or JSONL by its extension; .txt: one text a " \
                  "line, or two separated by a tab; -: standard input, as lines or JSONL"),   \
      BASE_OPTION(STRING, "text_columns", &(source).text_columns, "A[,B]",                    \
                  "column with the text, or two columns with a pair of texts [those of training]")
#define CLI_LABEL_OPTIONS(source)                                  \
  BASE_OPTION(STRING, "label_column", &(source).label_column, "Y", \
              "column with the label [the column of training]"),   \
      BASE_OPTION(STRING, "skip_label", &(source).skip_label, "L", \
                  "skip rows that have this label, for example -1")

/* The values before the command line is read. */
#define CLI_EXAMPLE_DEFAULTS \
  {                          \
    .dev_fraction = NAN      \
  }

typedef struct {
  const cdl_task *task; /* NULL for a file of the user */
  const char *split;    /* "dev"; of a user's file its path */
  cdl_dataset *dataset;
  uint32_t *rows; /* [count] indices of examples, ascending except for the split valid; owned */
  size_t count;
} cli_examples;

/* Checks that the options go together. Errors: USAGE. */
CDL_MUST_USE cdl_status cli_examples_check(const cli_example_source *source);

typedef enum { CLI_LABELS_IGNORED, CLI_LABELS_OPTIONAL, CLI_LABELS_REQUIRED } cli_label_need;

/* How a user's file is read: by the columns of the command line or, where it names none, by those
 * of training. */
typedef struct {
  cdl_dataset_source source;
  base_list columns;
} cli_own_file;
CDL_MUST_USE cdl_status cli_own_file_describe(const cli_example_source *source, cli_label_need need,
                                              const inference_model *model, cli_own_file *file);
void cli_own_file_release(cli_own_file *file);

/* Checks that a model trained on pairs gets pairs, and one trained on single texts gets single
 * texts. The model would compute an answer otherwise, but not a learned one. Errors: DATA. */
CDL_MUST_USE cdl_status cli_examples_check_pairs(const inference_model *model,
                                                 const cdl_dataset *dataset);

/* Reads the examples. `model` gives the labels; pass NULL if labels do not matter. If the model has
 * no label names, the task's replace its numbers. Close with cli_examples_close. Errors: USAGE, and
 * DATA where model and examples do not fit. */
CDL_MUST_USE cdl_status cli_examples_read(const cli_example_source *source, cli_label_need need,
                                          inference_model *model, cli_examples *examples);
void cli_examples_close(cli_examples *examples);

/* Rows of an option table: the model for inference. */
#define CLI_MODEL_OPTIONS(settings)                                                              \
  BASE_SECTION("The model"),                                                                     \
      BASE_OPTION(STRING, "model", &(settings).model, "DIR",                                     \
                  "Hugging Face folder of the encoder"),                                         \
      BASE_OPTION(STRING, "adapter", &(settings).adapter, "DIR",                                 \
                  "adapter to apply: an adapter of condlora (or the folder of its run) or of "   \
                  "PEFT; none for a fully fine-tuned model"),                                    \
      BASE_OPTION(INT, "rank", &(settings).rank, "B",                                            \
                  "rank at which to use an adapter that DyLoRA trained [the adapter's rank]"),   \
      BASE_OPTION(INT, "max_length", &(settings).max_length, "N",                                \
                  "most tokens of an example; longer ones are cut [512, or the model's limit]"), \
      BASE_SECTION("Backend"),                                                                   \
      BASE_OPTION(STRING, "backend", &(settings).backend, "NAME",                                \
                  "auto, cpu, or a plug-in with a device: opencl:0 [auto]"),                     \
      BASE_OPTION(                                                                               \
          STRING, "precision", &(settings).precision, "P",                                       \
          "precision of matrix products: fp32, or tf32 or bf16 if the backend has it [fp32]"),   \
      BASE_OPTION(INT, "threads", &(settings).threads, "N",                                      \
                  "number of CPU threads [every core]; the result does not depend on it",        \
                  .high = CLI_THREADS_MOST),                                                     \
      BASE_OPTION(FLAG, "no_fallback", &(settings).no_fallback, NULL,                            \
                  "fail if an op would fall back to the host")

/* Opens the model of these options by the library's API: the adapter with its base, or a whole
 * model. Close with cdl_model_close. */
CDL_MUST_USE cdl_status cli_open_adapted(const inference_settings *settings, cdl_model **model);

/* Checks the options of examples and opens the model. Close with inference_close. */
CDL_MUST_USE cdl_status cli_open_model(const inference_settings *settings,
                                       const cli_example_source *source, inference_model *model);
/* Opens the model, reads the examples and tokenizes them. The order of checks is: options, model,
 * data. */
CDL_MUST_USE cdl_status cli_open_for_inference(const inference_settings *settings,
                                               const cli_example_source *source,
                                               cli_label_need need, inference_model *model,
                                               cli_examples *examples);

/* Computes the logits of the examples, [examples of the data set, model->labels]; the caller frees
 * them. Rows of examples that were not chosen are 0. Errors: NUMERIC, naming the example, if a
 * logit is not finite; CANCELLED after a signal. */
CDL_MUST_USE cdl_status cli_logits(inference_model *model, const cli_examples *examples,
                                   float **logits);

#endif
