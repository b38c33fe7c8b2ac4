/* Which examples a command reads, and the model that it reads them for: what eval, predict and
 * tokenize share. */
#ifndef CONDLORA_TOOLS_CLI_EXAMPLES_H
#define CONDLORA_TOOLS_CLI_EXAMPLES_H

#include <math.h>

#include "condlora/dataset.h"
#include "condlora/model.h"
#include "model/inference/inference.h"
#include "tools/cli/options.h"

/* As the options say. */
typedef struct {
  const char *task, *data, *split;
  double dev_fraction; /* NaN: as the adapter was trained */
  const char *input, *text_columns, *label_column, *skip_label;
} cli_example_source;

/* Lines of an option table; the commands differ in whether labels are read. */
#define CLI_EXAMPLE_OPTIONS(source)                                                               \
  BASE_SECTION("Which examples"),                                                                 \
      BASE_OPTION(STRING, "task", &(source).task, "NAME",                                         \
                  "a GLUE task: CoLA, SST-2, MRPC, QQP, STS-B, MNLI, QNLI, RTE, WNLI"),           \
      BASE_OPTION(STRING, "data", &(source).data, "DIR",                                          \
                  "folder that holds one folder a GLUE task (DIR/RTE/dev.tsv)"),                  \
      BASE_OPTION(STRING, "split", &(source).split, "NAME",                                       \
                  "train, valid (the part of train held out), dev, test; for MNLI dev_matched "   \
                  "and the like "                                                                 \
                  "too [dev]"),                                                                   \
      BASE_OPTION(FLOAT, "dev_fraction", &(source).dev_fraction, "P",                             \
                  "part of train that valid is [what the adapter's training held out, or 0.1]"),  \
      BASE_OPTION(STRING, "input", &(source).input, "FILE",                                       \
                  "your own examples instead: TSV, CSV or JSONL by the name's end; .txt: a text " \
                  "a line (or "                                                                   \
                  "two with a tab between); -: standard input, lines or JSONL"),                  \
      BASE_OPTION(STRING, "text_columns", &(source).text_columns, "A[,B]",                        \
                  "columns with the text, or the pair of texts [those of training]")
#define CLI_LABEL_OPTIONS(source)                                  \
  BASE_OPTION(STRING, "label_column", &(source).label_column, "Y", \
              "column with the label [that of training]"),         \
      BASE_OPTION(STRING, "skip_label", &(source).skip_label, "L", \
                  "leave out the rows that have this label, -1 say")

/* What --split and --dev-fraction are without a word. */
#define CLI_EXAMPLE_DEFAULTS \
  {                          \
    .dev_fraction = NAN      \
  }

typedef struct {
  const cdl_task *task; /* NULL for one's own file */
  const char *split;    /* "dev"; the path of one's own file */
  cdl_dataset *dataset;
  uint32_t *rows; /* [count] examples of the data set, ascending but for valid */
  size_t count;
} cli_examples;

/* Options that cannot be together: USAGE. */
CDL_MUST_USE cdl_status cli_examples_check(const cli_example_source *source);

typedef enum { CLI_LABELS_IGNORED, CLI_LABELS_OPTIONAL, CLI_LABELS_REQUIRED } cli_label_need;

/* One's own file as it is read: by the columns of the command line, or those of training. */
typedef struct {
  cdl_dataset_source source;
  base_list columns;
} cli_own_file;
CDL_MUST_USE cdl_status cli_own_file_describe(const cli_example_source *source, cli_label_need need,
                                              const inference_model *model, cli_own_file *file);
void cli_own_file_release(cli_own_file *file);

/* A model that was trained on pairs makes something of single texts too, but nothing that was
 * learned: DATA. */
CDL_MUST_USE cdl_status cli_examples_check_pairs(const inference_model *model,
                                                 const cdl_dataset *dataset);

/* Reads them. `model` says which labels there are, NULL when labels are of no interest. A task's
 * names replace the model's where the adapter or model had none of its own. DATA where model and
 * examples do not fit. */
CDL_MUST_USE cdl_status cli_examples_read(const cli_example_source *source, cli_label_need need,
                                          inference_model *model, cli_examples *examples);
void cli_examples_close(cli_examples *examples);

/* Options that open a model for inference. */
#define CLI_MODEL_OPTIONS(settings)                                                              \
  BASE_SECTION("The model"),                                                                     \
      BASE_OPTION(STRING, "model", &(settings).model, "DIR",                                     \
                  "Hugging Face folder of the encoder"),                                         \
      BASE_OPTION(STRING, "adapter", &(settings).adapter, "DIR",                                 \
                  "adapter to apply, this program's (or the folder of its run) or PEFT's; none " \
                  "for a model "                                                                 \
                  "that was fine-tuned whole"),                                                  \
      BASE_OPTION(INT, "rank", &(settings).rank, "B",                                            \
                  "use this rank of an adapter that DyLoRA trained [the adapter's own]"),        \
      BASE_OPTION(INT, "max_length", &(settings).max_length, "N",                                \
                  "longest example in tokens [512, or what the model can take]"),                \
      BASE_SECTION("Where it runs"),                                                             \
      BASE_OPTION(STRING, "backend", &(settings).backend, "NAME",                                \
                  "auto, cpu, or a plug-in with a device: opencl:0 [auto]"),                     \
      BASE_OPTION(STRING, "precision", &(settings).precision, "P",                               \
                  "of products: fp32, tf32 or bf16 where the backend has it [fp32]"),            \
      BASE_OPTION(INT, "threads", &(settings).threads, "N",                                      \
                  "of the CPU [every core]; the result does not depend on it",                   \
                  .high = CLI_THREADS_MOST),                                                     \
      BASE_OPTION(FLAG, "no_fallback", &(settings).no_fallback, NULL,                            \
                  "work that would fall back to the host is an error")

/* The same options, for the library's cdl_model: the adapter with its base, or a whole model. */
CDL_MUST_USE cdl_status cli_open_adapted(const inference_settings *settings, cdl_model **model);

/* Checks both sets of options and opens the model. */
CDL_MUST_USE cdl_status cli_open_model(const inference_settings *settings,
                                       const cli_example_source *source, inference_model *model);
/* Opens the model, reads and tokenizes the examples, in that order of checks: options, examples'
 * options, model, data. */
CDL_MUST_USE cdl_status cli_open_for_inference(const inference_settings *settings,
                                               const cli_example_source *source,
                                               cli_label_need need, inference_model *model,
                                               cli_examples *examples);

/* Logits of the examples, [the data set's count, model->labels], to be freed by the caller. NUMERIC,
 * naming the example, where one is not finite; CANCELLED after a signal. */
CDL_MUST_USE cdl_status cli_logits(inference_model *model, const cli_examples *examples,
                                   float **logits);

#endif
