/* condlora tokenize */
#include <inttypes.h>

#include "base/process.h"
#include "model/hub/resolve.h"
#include "tools/cli/command.h"
#include "tools/cli/example_options.h"
#include "tools/console/output.h"
#include "tools/console/signals.h"
#include "tools/study/windows.h"

/* Most examples of a window: enough work for several threads. */
enum { WINDOW = 8192 };

typedef struct {
  const char *model, *output;
  int64_t max_length;
  study_example_source source;
} tokenization;

static cdl_status find_length(const tokenization *t, const char *folder, size_t *length)
{
  model_config config;
  CDL_TRY(model_config_read(folder, &config));
  const cdl_status status = inference_example_length(&config, t->max_length, length);
  model_config_release(&config);
  return status;
}

static void write_line(console_output *output, const cdl_tokens *tokens, uint32_t row,
                       uint64_t index)
{
  const uint64_t first = tokens->offsets[row], end = tokens->offsets[row + 1];
  console_output_printf(output, "{\"index\": %" PRIu64 ", \"input_ids\": [", index);
  for (uint64_t k = first; k < end; k++)
    console_output_printf(output, "%s%" PRId32, k > first ? ", " : "", tokens->ids[k]);
  console_output_printf(output, "], \"token_type_ids\": [");
  for (uint64_t k = first; k < end; k++)
    console_output_printf(output, "%s%d", k > first ? ", " : "", tokens->type_ids[k]);
  console_output_printf(output, "]}\n");
}

static cdl_status write_windows(console_output *output, study_windows *w, console_notices *notices)
{
  for (;;) {
    CDL_TRY(study_windows_next(w));
    console_notices_release(notices);
    if (w->count == 0)
      return CDL_STATUS_OK;
    const cdl_tokens tokens = cdl_dataset_tokens(w->all.dataset);
    for (size_t i = 0; i < w->count; i++)
      write_line(output, &tokens, w->rows[i], w->before + w->rows[i]);
    CDL_TRY(console_output_flush(output));
    if (console_signals_caught() != 0)
      return cdl_fail(CDL_STATUS_CANCELLED, "stopped while writing");
  }
}

/* The tokenizer, and the longest example. */
static cdl_status open_model(const tokenization *t, cdl_tokenizer **tokenizer, size_t *length)
{
  cdl_hub_source *source;
  CDL_TRY(hub_resolve(t->model, CDL_HUB_TOKENIZER, &source));
  cdl_status status = find_length(t, cdl_hub_source_folder(source), length);
  if (status == CDL_STATUS_OK)
    status = cdl_tokenizer_open(cdl_hub_source_folder(source), tokenizer);
  cdl_hub_source_close(source);
  return status;
}

static cdl_status run(void *command, console_notices *notices)
{
  const tokenization *t = command;
  if (t->model == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "tokenize needs --model: what has the tokenizer");
  CDL_TRY(study_examples_check(&t->source));
  CDL_TRY(console_output_check(t->output, t->source.input));
  size_t length = 0;
  cdl_tokenizer *tokenizer;
  CDL_TRY(open_model(t, &tokenizer, &length));
  console_signals_defer();
  const data_window_tokenizer of_windows = {
      .tokenizer = tokenizer, .max_length = length, .threads = base_process_processors()};
  study_windows windows;
  console_output output;
  cdl_status status = study_windows_open(&t->source, STUDY_LABELS_IGNORED, NULL, &of_windows,
                                         WINDOW, console_signals_flag(), &windows);
  if (status == CDL_STATUS_OK) {
    status = console_output_begin(&output, t->output);
    if (status == CDL_STATUS_OK)
      status = console_output_finish(&output, write_windows(&output, &windows, notices));
    study_windows_close(&windows);
  }
  cdl_tokenizer_close(tokenizer);
  return status;
}

cdl_status cli_tokenize(int count, char **arguments)
{
  tokenization t = {.source = STUDY_EXAMPLE_DEFAULTS};
  const base_option options[] = {
      BASE_SECTION("The tokenizer"),
      BASE_OPTION(STRING, "model", &t.model, "MODEL",
                  "the model that has the tokenizer, as a folder or a name"),
      CLI_MAX_LENGTH_OPTION(t),
      CLI_EXAMPLE_OPTIONS(t.source),
      BASE_SECTION("Output"),
      BASE_OPTION(STRING, "output", &t.output, "FILE", "file for the results [standard output]")};
  const base_command_line line = {
      .usage =
          "condlora tokenize --model MODEL --task NAME --data DIR [--split NAME] [--output FILE]\n"
          "condlora tokenize --model MODEL --input FILE [--text-columns A[,B]] [--output FILE]",
      .summary = "Writes the token ids that the model would see: one line of JSON for each "
                 "example, with index, input_ids and token_type_ids.",
      .options = BASE_OPTIONS(options)};
  return cli_run(&line, count, arguments, run, &t);
}
