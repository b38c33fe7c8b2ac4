/* Regular expressions for paths of modules, with the syntax of Python's `re` as PEFT uses it.
 *
 * PCRE2 does the matching. Syntax that PCRE2 accepts and Python does not (verbs, recursion, \Q, \K
 * and so on) is refused, so that an expression has the same meaning in both. Each expression is
 * compiled separately, so it cannot close a group that it did not open.
 *
 * Matching has a limit of steps. Reaching the limit is an error, not "no match". */
#ifndef CONDLORA_MODEL_ADAPTER_MODULE_PATTERN_H
#define CONDLORA_MODEL_ADAPTER_MODULE_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "condlora/status.h"

typedef struct module_pattern module_pattern;

/* Compiles an expression. `what` is the start of every error message; `what` and `text` must
 * outlive the pattern. Errors: USAGE for an invalid expression. */
CDL_MUST_USE cdl_status module_pattern_create(const char *what, const char *text,
                                              module_pattern **pattern);
void module_pattern_free(module_pattern *pattern);

/* Tests whether the pattern matches the whole path (re.fullmatch). Errors, here and below: USAGE,
 * with pattern and path, if matching takes too many steps. */
CDL_MUST_USE cdl_status module_pattern_matches(const module_pattern *pattern, const char *path,
                                               bool *matches);
/* Tests whether the pattern matches the whole path or its end after a dot:
 * re.match(r"(.*\.)?(…)$"). */
CDL_MUST_USE cdl_status module_pattern_matches_end(const module_pattern *pattern, const char *path,
                                                   bool *matches);
/* Gives the number of the path's layer: the first component of digits, but not the path's last
 * component, that follows one or more components which the pattern matches. -1 if there is none. */
CDL_MUST_USE cdl_status module_pattern_number(const module_pattern *pattern, const char *path,
                                              int64_t *number);

#endif
