#include "model/adapter/config.h"

#include <math.h>
#include <stdlib.h>

#include "model/adapter/module_pattern.h"
#include "model/adapter/state.h"

void adapter_config_free(adapter_config *config)
{
  adapter_settings *s = &config->settings;
  adapter_module_values_release(&s->rank_pattern);
  adapter_module_values_release(&s->alpha_pattern);
  base_list_release(&s->targets);
  base_list_release(&s->layers_pattern);
  base_list_release(&s->excluded);
  base_list_release(&s->modules_to_save);
  base_list_release(&config->labels);
  base_list_release(&config->text_columns);
  json_decref(s->config_extra);
  free(s->target_pattern);
  free(s->excluded_pattern);
  free(s->layers);
  free(config->token_rows);
  free(config->base_model);
  free(config->base_revision);
  free(config->task);
  base_list_release(&config->label_columns);
  free(config->label_separator);
  free(config->thresholds);
  free(config->fingerprint);
  *config = (adapter_config){0};
}

cdl_status adapter_config_module(const adapter_config *config, const char *path, int64_t rank,
                                 adapter_module *module)
{
  const adapter_settings *s = &config->settings;
  double alpha = adapter_has(s->method, ADAPTER_HAS_ALPHA) ? s->alpha : 0;
  bool found = false;
  for (size_t i = 0; i < s->alpha_pattern.count && !found; i++) {
    module_pattern *pattern;
    CDL_TRY(module_pattern_create("alpha pattern", s->alpha_pattern.item[i].pattern, &pattern));
    const cdl_status status = module_pattern_matches_end(pattern, path, &found);
    alpha = found ? s->alpha_pattern.item[i].value : alpha;
    module_pattern_free(pattern);
    CDL_TRY(status);
  }
  const adapter_method *method = adapter_method_find(s->method);
  const float scale =
      method->scale != NULL ? method->scale(s, alpha) : adapter_scale(s, rank, alpha);
  *module = (adapter_module){path, rank, alpha, (double)scale};
  return CDL_STATUS_OK;
}

void adapter_config_converted(adapter_config *config)
{
  adapter_settings *s = &config->settings;
  if (s->init != ADAPTER_INIT_PISSA && s->init != ADAPTER_INIT_OLORA)
    return;
  const double factor = s->rslora ? sqrt(2) : 2;
  s->init = ADAPTER_INIT_KAIMING;
  s->rank *= 2;
  s->alpha *= factor;
  for (size_t i = 0; i < s->rank_pattern.count; i++)
    s->rank_pattern.item[i].value *= 2;
  for (size_t i = 0; i < s->alpha_pattern.count; i++)
    s->alpha_pattern.item[i].value *= factor;
}
