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

/* Writes a line for each case in both JSON reports, with one of four verdicts. SLOWER and faster:
 * the medians differ by more than 3 % with p < 0.01. Same: the 99 % interval of the ratio lies
 * within 3 % of 1. Undecided: neither. `*slower` says whether a case of `after` is slower. Errors:
 * those of the files; DATA if one is no report or they have no common case. */
CDL_MUST_USE cdl_status bench_compare_reports(const char *before, const char *after, FILE *file,
                                              bool *slower);

/* Returns the two-sided p of Mann and Whitney's test that neither of two samples tends to be
 * larger. It is exact for at most 20 values in both together without ties; otherwise it is the
 * normal approximation with corrections for ties and continuity. */
double bench_mann_whitney(const double *x, size_t n, const double *y, size_t m);

/* Gives the 99 % interval of the factor by which `y` is larger than `x`, positive numbers: of
 * Hodges and Lehmann's estimate for the logarithms, which are Mann and Whitney's test turned
 * around, by its normal approximation. From 0 to infinity for too few numbers. Errors: MEMORY. */
CDL_MUST_USE cdl_status bench_ratio_interval(const double *x, size_t n, const double *y, size_t m,
                                             double *low, double *high);

#endif
