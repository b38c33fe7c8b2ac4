/* The table of methods, and properties of a method that need no adapter. */
#include <stdlib.h>
#include <string.h>

#include "base/growing.h"
#include "model/adapter/state.h"

static const adapter_method *const methods[] = {
#define METHOD(name, word) &adapter_method_##name,
#include "model/adapter/methods.def"
#undef METHOD
};
enum { METHOD_COUNT = sizeof methods / sizeof methods[0] };

const char *const *adapter_methods(void)
{
  static const char *const names[] = {
#define METHOD(name, word) word,
#include "model/adapter/methods.def"
#undef METHOD
      NULL};
  return names;
}

const adapter_method *adapter_method_find(const char *name)
{
  for (size_t i = 0; i < METHOD_COUNT; i++)
    if (strcmp(methods[i]->name, name) == 0)
      return methods[i];
  return NULL;
}

adapter_settings adapter_settings_of(const char *method)
{
  enum { RANK = 8, ALPHA = 8 }; /* PEFT's of LoRA */
  const adapter_method *m = adapter_method_find(method);
  adapter_settings s = {.method = m != NULL ? m->name : method};
  size_t count;
  const base_option *options = adapter_options(method, &count);
  for (size_t i = 0; i < count; i++)
    s.options[i] = options[i].default_value;
  if (m != NULL && m->attach != NULL) {
    s.rank = m->default_rank > 0 ? m->default_rank : RANK;
    s.alpha = (m->has & ADAPTER_HAS_ALPHA) != 0 ? ALPHA : 0;
  }
  return s;
}

const char *adapter_peft_type(const char *method)
{
  const adapter_method *m = adapter_method_find(method);
  return m != NULL ? m->peft_type : NULL;
}

const char *adapter_method_of(const char *peft_type)
{
  for (size_t i = 0; i < METHOD_COUNT; i++)
    if (strcmp(methods[i]->peft_type, peft_type) == 0)
      return methods[i]->name;
  return NULL;
}

const base_option *adapter_options(const char *method, size_t *count)
{
  const adapter_method *m = adapter_method_find(method);
  *count = 0;
  if (m == NULL || m->options == NULL)
    return NULL;
  while (m->options[*count].name != NULL)
    ++*count;
  return m->options;
}

bool adapter_is_low_rank(const char *method)
{
  const adapter_method *m = adapter_method_find(method);
  return m != NULL && m->attach != NULL;
}

const char *adapter_reference_targets(const char *method)
{
  const adapter_method *m = adapter_method_find(method);
  return m != NULL ? m->reference_targets : NULL;
}

bool adapter_is_oriented(const char *method)
{
  const adapter_method *m = adapter_method_find(method);
  return m != NULL && m->oriented;
}

bool adapter_is_whole_model(const char *method)
{
  const adapter_method *m = adapter_method_find(method);
  return m != NULL && m->whole_model;
}

bool adapter_has(const char *method, adapter_setting setting)
{
  const adapter_method *m = adapter_method_find(method);
  return m != NULL && (m->has & setting) != 0;
}

const char *adapter_lack_reason(const char *method)
{
  const adapter_method *m = adapter_method_find(method);
  return m != NULL && m->lack_reason != NULL ? m->lack_reason : "";
}

const char *adapter_module_ending(const char *method)
{
  const adapter_method *m = adapter_method_find(method);
  return m != NULL ? m->module_ending : NULL;
}

/* ---- Patterns ---- */

cdl_status adapter_module_values_add(adapter_module_values *values, const char *pattern,
                                     size_t bytes, double value)
{
  CDL_TRY(base_grow(&values->item, values->count + 1, sizeof *values->item));
  char *copy = strndup(pattern, bytes);
  if (copy == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a pattern of modules");
  values->item[values->count++] = (adapter_module_value){copy, value};
  return CDL_STATUS_OK;
}

void adapter_module_values_release(adapter_module_values *values)
{
  for (size_t i = 0; i < values->count; i++)
    free((char *)(uintptr_t)values->item[i].pattern);
  free(values->item);
  *values = (adapter_module_values){0};
}

/* ---- Keys ---- */

const adapter_keys *adapter_keys_of(const adapter_method *method)
{
  static const adapter_keys of_lora = {.rank = "r",
                                       .alpha = "lora_alpha",
                                       .dropout = "lora_dropout",
                                       .initial_values = "init_lora_weights",
                                       .adapted_bias = "lora_only"};
  return method->keys != NULL ? method->keys : &of_lora;
}

bool adapter_names_frozen(const adapter_method *method, const char *name)
{
  for (const char *const *n = method->frozen_names; n != NULL && *n != NULL; n++)
    if (strcmp(*n, name) == 0)
      return true;
  return false;
}
