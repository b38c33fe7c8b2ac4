/* Successive halving over learning rates (Jamieson and Talwalkar 2016): all rates train for a
 * quarter of the epochs, the better half of them to a half, the best one to the end. */
#ifndef CONDLORA_TOOLS_REPORTS_HALVING_H
#define CONDLORA_TOOLS_REPORTS_HALVING_H

#include <stdint.h>

#include "tools/reports/record.h"

enum { REPORT_RUNGS = 3 };

/* Returns the epoch at which rung 0, 1 or 2 ends: at least 1; for rung 2 `epochs` itself. */
int64_t report_rung_epochs(int64_t epochs, int rung);
/* Returns how many of `rates` train in a rung. */
size_t report_rung_size(size_t rates, int rung);
/* Returns the epochs that a search of so many rates trains in all. */
int64_t report_search_epochs(int64_t epochs, size_t rates);

/* Returns whether the run has been evaluated at the end of an epoch. */
bool report_reached(const report_record *record, double epoch);
/* Sorts records [count] of one search by their evaluations up to the end of `rung`, the best first:
 * by the best score; among equals by the lower loss at that evaluation; then by the lower rate. A
 * run without a finite score is the last. */
void report_rank(const report_record **records, size_t count, int64_t epochs, int rung);

#endif
