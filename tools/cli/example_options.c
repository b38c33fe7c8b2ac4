#include "tools/cli/example_options.h"

cdl_status cli_open_adapted(const inference_settings *settings, cdl_model **model)
{
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
