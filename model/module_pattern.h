/* Regular expressions for the paths of modules. */
#ifndef CONDLORA_MODEL_MODULE_PATTERN_H
#define CONDLORA_MODEL_MODULE_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "condlora/status.h"

typedef struct module_pattern module_pattern;

/* For whole paths. USAGE for what is no expression, beginning with `what`. */
CDL_MUST_USE cdl_status module_pattern_whole(const char *what, const char *text,
                                             module_pattern **pattern);
/* For paths, or their ends after a dot. */
CDL_MUST_USE cdl_status module_pattern_end(const char *what, const char *text,
                                           module_pattern **pattern);
/* Finds the number of a path's layer: the last component of digits, not the path's first or last,
 * that follows a component which `text` matches. */
CDL_MUST_USE cdl_status module_pattern_layer(const char *what, const char *text,
                                             module_pattern **pattern);
void module_pattern_free(module_pattern *pattern);

bool module_pattern_matches(const module_pattern *pattern, const char *path);
/* The number found; -1 for none. */
int64_t module_pattern_number(const module_pattern *pattern, const char *path);

#endif
