/* Parts of a report, each in its file. */
#ifndef CONDLORA_TOOLS_REPORTS_SECTIONS_H
#define CONDLORA_TOOLS_REPORTS_SECTIONS_H

#include "tools/reports/aggregate.h"
#include "tools/reports/document.h"
#include "tools/reports/report.h"

/* ---- deviations.c ---- */

/* "all-MiniLM: bert, 6 layers of width 384". */
typedef struct {
  char text[512];
} report_described;
CDL_MUST_USE cdl_status report_describe_model(const report_source *source,
                                              report_described *described, bool *as_paper);
/* Where model, seeds and settings are not the paper's, by what the runs say of themselves. */
CDL_MUST_USE cdl_status report_write_deviations(const report_source *source, report_document *to);
/* "epochs 2 to 3": the values that the settings `key` of all runs have. */
report_described report_setting_values(const report_comparison *comparison, const char *key);

/* ---- scores.c ---- */

/* "CondLoRA (orientation reference)". */
report_described report_method_title(const report_compared_method *method);
/* The method that others are held against: LoRA, or else the first. */
size_t report_baseline(const report_comparison *comparison);
void report_write_scores(const report_comparison *comparison, report_document *to);
CDL_MUST_USE cdl_status report_write_tests(const report_comparison *comparison,
                                           report_document *to);
void report_write_speed(const report_comparison *comparison, report_document *to);

/* ---- curves.c ---- */

/* Whether plots can be drawn. Where they cannot, the report says why. */
bool report_can_draw(report_document *to);

/* Loss, metric and rate of each task, drawn into FOLDER/plots and shown. */
CDL_MUST_USE cdl_status report_write_curves(const report_comparison *comparison,
                                            report_document *to);

/* ---- matrices.c ---- */

/* Table 3: LoRA's adapter of each task and seed beside that of every CondLoRA. */
CDL_MUST_USE cdl_status report_write_similarity(const report_source *source, report_document *to);
/* Figure 1 of every LoRA adapter. */
CDL_MUST_USE cdl_status report_write_conversion(const report_source *source, report_document *to);

/* ---- tables.c ---- */

/* table.csv, table.json, runs.csv and times.csv. */
CDL_MUST_USE cdl_status report_write_tables(const report_source *source);

/* ---- card.c ---- */

CDL_MUST_USE cdl_status report_write_card(const report_source *source);

#endif
