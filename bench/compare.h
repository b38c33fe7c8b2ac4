/* Compares two reports of the same cases: which differ by more than chance. */
#ifndef CONDLORA_BENCH_COMPARE_H
#define CONDLORA_BENCH_COMPARE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "condlora/status.h"

enum { BENCH_EXIT_SLOWER = 3 };

/* Reads a report that was written as JSON; the caller releases it with json_decref. Errors: those
 * of the file; DATA if it is no report. */
CDL_MUST_USE cdl_status bench_report_read(const char *path, json_t **root);

/* Writes a line for each case in both JSON reports. `*slower` says whether a case of `after` is
 * slower by more than 3 % of the median with p < 0.01. Errors: those of the files; DATA if one is
 * no report or they have no common case. */
CDL_MUST_USE cdl_status bench_compare_reports(const char *before, const char *after, FILE *file,
                                              bool *slower);

/* Returns the two-sided p of Mann and Whitney's test that neither of two samples tends to be
 * larger. It is exact for at most 20 values in both together without ties; otherwise it is the
 * normal approximation with corrections for ties and continuity. */
double bench_mann_whitney(const double *x, size_t n, const double *y, size_t m);

#endif
