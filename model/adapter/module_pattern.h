/* Regular expressions for the paths of modules, as Python's `re` has them and PEFT uses them.
 *
 * PCRE2 does the matching. What it takes and Python does not (verbs, recursion, \Q, \K and the like)
 * is refused, so that an expression never means one thing here and another there. An expression is
 * compiled by itself and never put into another one: it cannot close a group that it did not open.
 *
 * Matching takes a bounded number of steps. Where they do not suffice, that is an error and not "does
 * not match". */
#ifndef CONDLORA_MODEL_ADAPTER_MODULE_PATTERN_H
#define CONDLORA_MODEL_ADAPTER_MODULE_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "condlora/status.h"

typedef struct module_pattern module_pattern;

/* `what` begins every error and, like `text`, outlives the pattern. USAGE for what is no
 * expression. */
CDL_MUST_USE cdl_status module_pattern_create(const char *what, const char *text,
                                              module_pattern **pattern);
void module_pattern_free(module_pattern *pattern);

/* Whether it matches the whole path (re.fullmatch). USAGE, naming pattern and path, for one that
 * takes too many steps; so below. */
CDL_MUST_USE cdl_status module_pattern_matches(const module_pattern *pattern, const char *path,
                                               bool *matches);
/* Whether it matches the whole path or the end of it after a dot: re.match(r"(.*\.)?(…)$"). */
CDL_MUST_USE cdl_status module_pattern_matches_end(const module_pattern *pattern, const char *path,
                                                   bool *matches);
/* The number of the path's layer: a component of digits, not the path's last, after one or more
 * components which the expression matches; the first such. -1 for none. */
CDL_MUST_USE cdl_status module_pattern_number(const module_pattern *pattern, const char *path,
                                              int64_t *number);

#endif
