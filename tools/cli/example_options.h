/* Rows of option tables: the examples that a command reads, and the model that it applies. */
#ifndef CONDLORA_TOOLS_CLI_EXAMPLE_OPTIONS_H
#define CONDLORA_TOOLS_CLI_EXAMPLE_OPTIONS_H

#include "condlora/model.h"
#include "tools/cli/options.h"
#include "tools/study/examples.h"

/* `source` is a study_example_source. Commands that read labels add CLI_LABEL_OPTIONS. */
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
#define CLI_LABEL_OPTIONS(source)                                                             \
  BASE_OPTION(STRING, "label_column", &(source).label_column, "Y[,Z]",                        \
              "column with the label, or several columns [the columns of training]"),         \
      BASE_OPTION(STRING, "label_separator", &(source).label_separator, "C",                  \
                  "multi-label: the character between labels in a field [that of training]"), \
      BASE_OPTION(STRING, "skip_label", &(source).skip_label, "L",                            \
                  "skip rows that have this label, for example -1")

/* The model for inference; `settings` is an inference_settings. */
#define CLI_MODEL_OPTIONS(settings)                                                               \
  BASE_SECTION("The model"),                                                                      \
      BASE_OPTION(STRING, "model", &(settings).model, "MODEL",                                    \
                  "the encoder: a Hugging Face folder, or a name on its hub "                     \
                  "(owner/name@revision) [base of the adapter]"),                                 \
      BASE_OPTION(STRING, "adapter", &(settings).adapter, "ADAPTER",                              \
                  "adapter to apply: an adapter of condlora (or the folder of its run) or of "    \
                  "PEFT, as a folder or a name; none for a fully fine-tuned model"),              \
      CLI_RANK_OPTION(settings), CLI_MAX_LENGTH_OPTION(settings), BASE_SECTION("Backend"),        \
      CLI_BACKEND_OPTION(settings),                                                               \
      BASE_OPTION(STRING, "precision", &(settings).precision, "P",                                \
                  "precision of matrix products: fp32, or tf32, bf16 or int8 if the backend has " \
                  "it [fp32]"),                                                                   \
      CLI_THREADS_OPTIONS(settings)

/* Of commands that answer examples; `settings` as above. */
#define CLI_CACHE_OPTIONS(settings)                                                            \
  BASE_SECTION("Frozen layers"),                                                               \
      BASE_OPTION(CHOICE, "cache_frozen", &(settings).cache_frozen, INFERENCE_CACHE_WORDS,     \
                  "disk: keep what the layers below the adapter give for each example, for "   \
                  "later commands on the same examples, and read what is kept [off]"),         \
      BASE_OPTION(FLOAT, "cache_limit", &(settings).cache_limit, "GB",                         \
                  "most that the folder takes; older files make room [half of the free disk]", \
                  .high = 1e9),                                                                \
      BASE_OPTION(STRING, "cache_dir", &(settings).cache_dir, "DIR",                           \
                  "folder of the files [states in condlora's cache]")

/* Checks that `command` has --output and --adapter or, unless `needs_adapter`, --model, then opens
 * the model by the library's API: the adapter with its base, or a whole model. Close with
 * cdl_model_close. Errors: USAGE; those of cdl_model_open. */
CDL_MUST_USE cdl_status cli_open_adapted(const char *command, const inference_settings *settings,
                                         bool needs_adapter, const char *output, cdl_model **model);

/* Opens a model and labeled or unlabeled examples, on all ranks of a job or on none: the model then
 * works in that job. Errors: those of study_examples_open. */
CDL_MUST_USE cdl_status cli_open_examples(const inference_settings *settings,
                                          const study_example_source *source,
                                          study_label_need labels, inference_model *model,
                                          study_examples *examples);

#endif
