/* Lists of numbers in one string of JSON: a line of a file, however many they are. */
#ifndef CONDLORA_TOOLS_REPORTS_NUMBERS_H
#define CONDLORA_TOOLS_REPORTS_NUMBERS_H

#include <jansson.h>
#include <stddef.h>

#include "condlora/status.h"

/* Makes "0.5 1 2", with nine digits at most. Errors: MEMORY, naming the path. */
CDL_MUST_USE cdl_status report_numbers_join(const char *path, const double *values, size_t count,
                                            json_t **text);
/* Reads such a string; the caller frees *values, also after a failure. Errors: DATA, naming the
 * path and the key; MEMORY. */
CDL_MUST_USE cdl_status report_numbers_split(const char *path, const json_t *object,
                                             const char *key, double **values, size_t *count);

#endif
