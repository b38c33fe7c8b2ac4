#include "tools/cli/example_options.h"

#include "tools/cli/command.h"

static cdl_status check_folders(const char *command, const inference_settings *settings,
                                bool needs_adapter, const char *output)
{
  if (settings->adapter == NULL && (needs_adapter || settings->model == NULL))
    return cdl_fail(CDL_STATUS_USAGE, "%s needs --adapter: the adapter's folder%s", command,
                    needs_adapter ? "" : ", or --model: a fine-tuned model");
  return output != NULL ? CDL_STATUS_OK
                        : cdl_fail(CDL_STATUS_USAGE, "%s needs --output: the new folder", command);
}

cdl_status cli_open_adapted(const char *command, const inference_settings *settings,
                            bool needs_adapter, const char *output, cdl_model **model)
{
  CDL_TRY(check_folders(command, settings, needs_adapter, output));
  cdl_model_options options = cdl_model_options_init();
  options.backend = settings->backend;
  options.threads = (int)settings->threads;
  options.no_fallback = settings->no_fallback;
  options.max_length = (size_t)settings->max_length;
  options.rank = settings->rank;
  CDL_TRY(cdl_precision_find(settings->precision, &options.precision));
  if (settings->adapter == NULL)
    return cdl_model_open(settings->model, &options, model);
  options.base = settings->model;
  return cdl_model_open(settings->adapter, &options, model);
}

cdl_status cli_open_examples(const inference_settings *settings, const study_example_source *source,
                             study_label_need labels, inference_model *model,
                             study_examples *examples)
{
  const cdl_status own = study_examples_open(settings, source, labels, model, examples);
  if (own != CDL_STATUS_OK && ranks_agreed(cli_job()))
    return own; /* of the tokens, which the ranks make together */
  const cdl_status opened = ranks_agree(cli_job(), own, "the opening of inputs");
  if (opened != CDL_STATUS_OK && own == CDL_STATUS_OK) {
    study_examples_close(examples);
    inference_close(model);
  }
  return opened;
}
