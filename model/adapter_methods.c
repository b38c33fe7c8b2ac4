/* The table of methods, and what of a method can be asked without an adapter. */
#include <string.h>

#include "model/adapter_state.h"

static const cdl_adapter_method *const methods[] = {
#define METHOD(name) &cdl_method_##name,
#include "model/methods.def"
#undef METHOD
};
enum { METHOD_COUNT = sizeof methods / sizeof methods[0] };

const char *const *cdl_adapter_methods(void)
{
  static const char *const names[] = {
#define METHOD(name) #name,
#include "model/methods.def"
#undef METHOD
      NULL};
  return names;
}

const cdl_adapter_method *adapter_method_find(const char *name)
{
  for (size_t i = 0; i < METHOD_COUNT; i++)
    if (strcmp(methods[i]->name, name) == 0)
      return methods[i];
  return NULL;
}

const char *cdl_adapter_peft_type(const char *method)
{
  const cdl_adapter_method *m = adapter_method_find(method);
  return m != NULL ? m->peft_type : NULL;
}

const char *cdl_adapter_method_of(const char *peft_type)
{
  for (size_t i = 0; i < METHOD_COUNT; i++)
    if (strcmp(methods[i]->peft_type, peft_type) == 0)
      return methods[i]->name;
  return NULL;
}

const cdl_adapter_option *cdl_adapter_options(const char *method, size_t *count)
{
  const cdl_adapter_method *m = adapter_method_find(method);
  *count = 0;
  if (m == NULL || m->options == NULL)
    return NULL;
  while (m->options[*count].name != NULL)
    ++*count;
  return m->options;
}

bool cdl_adapter_is_low_rank(const char *method)
{
  const cdl_adapter_method *m = adapter_method_find(method);
  return m != NULL && m->attach != NULL;
}

bool cdl_adapter_is_oriented(const char *method)
{
  const cdl_adapter_method *m = adapter_method_find(method);
  return m != NULL && m->oriented;
}
