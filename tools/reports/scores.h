/* The sections of scores, tests and speeds. */
#ifndef CONDLORA_TOOLS_REPORTS_SCORES_H
#define CONDLORA_TOOLS_REPORTS_SCORES_H

#include "tools/reports/comparison.h"
#include "tools/reports/document.h"

void report_write_scores(const report_comparison *comparison, report_document *to);
CDL_MUST_USE cdl_status report_write_tests(const report_comparison *comparison,
                                           report_document *to);
void report_write_speed(const report_comparison *comparison, report_document *to);

#endif
