#include "tools/reports/methods.h"

#include <stdio.h>
#include <string.h>

#include "base/nearest.h"

/* These two do not use --compat reference: under it, AdaLoRA is the inert form of the paper's fork,
 * and CondAdaLoRA has no such form. */
static const report_compared_method methods[] = {
    {"lora", "LoRA", NULL, "lora", true, ""},
    {"condlora-reference", "CondLoRA", "orientation reference", "condlora", true,
     "method=condlora orientation=reference"},
    {"condlora", "CondLoRA", "orientation paper", "condlora", true,
     "method=condlora orientation=paper"},
    {"condlora-type1", "CondLoRA, input type1", "orientation reference", "condlora", true,
     "use_x=type1"},
    {"condlora-type2", "CondLoRA, input type2", "orientation reference", "condlora", true,
     "use_x=type2"},
    {"adalora", "AdaLoRA", NULL, "lora", false, "method=adalora compat=none"},
    {"condadalora", "CondAdaLoRA", "orientation paper", "lora", false,
     "method=condadalora compat=none"},
    {"condlora-random", "CondLoRA, random weights", "orientation paper", "condlora", false,
     "method=condlora orientation=paper condition=random"},
    {"condlora-permuted", "CondLoRA, permuted weights", "orientation paper", "condlora", false,
     "method=condlora orientation=paper condition=permuted"},
    {"shared", "Shared LoRA", NULL, "lora", false, "method=shared"},
    {"lora-xs", "LoRA-XS", NULL, "lora", false, "method=lora-xs"},
    {"vera", "VeRA", NULL, "lora", false, "method=vera"},
    {"none", "Head alone", NULL, "lora", false, "method=none"}};
enum { METHOD_COUNT = sizeof methods / sizeof methods[0] };

const report_compared_method *report_compared_methods(size_t *count)
{
  *count = METHOD_COUNT;
  return methods;
}

cdl_status report_compared_method_find(const char *name, const report_compared_method **method)
{
  const char *names[METHOD_COUNT];
  for (size_t i = 0; i < METHOD_COUNT; i++) {
    names[i] = methods[i].name;
    if (strcmp(name, names[i]) == 0) {
      *method = &methods[i];
      return CDL_STATUS_OK;
    }
  }
  return cdl_fail(CDL_STATUS_USAGE, "--methods: there is no %s; the nearest is %s", name,
                  base_nearest(name, names, METHOD_COUNT));
}

report_described report_method_title(const report_compared_method *m)
{
  report_described d;
  snprintf(d.text, sizeof d.text, m->form != NULL ? "%s (%s)" : "%s", m->title, m->form);
  return d;
}
