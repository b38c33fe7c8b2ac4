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
} cdl_described;
CDL_MUST_USE cdl_status cdl_describe_model(const cdl_report_source *source,
                                           cdl_described *described, bool *as_paper);
/* Where model, seeds and settings are not the paper's, by what the runs say of themselves. */
CDL_MUST_USE cdl_status cdl_write_deviations(const cdl_report_source *source, cdl_document *to);
/* "epochs 2 to 3": the values that the settings `key` of all runs have. */
cdl_described cdl_setting_values(const cdl_comparison *comparison, const char *key);

/* ---- scores.c ---- */

/* "CondLoRA (orientation reference)". */
cdl_described cdl_method_title(const cdl_compared_method *method);
/* The method that others are held against: LoRA, or else the first. */
size_t cdl_baseline(const cdl_comparison *comparison);
void cdl_write_scores(const cdl_comparison *comparison, cdl_document *to);
CDL_MUST_USE cdl_status cdl_write_tests(const cdl_comparison *comparison, cdl_document *to);
void cdl_write_speed(const cdl_comparison *comparison, cdl_document *to);

/* ---- curves.c ---- */

/* Loss, metric and rate of each task, drawn into FOLDER/plots and shown. */
CDL_MUST_USE cdl_status cdl_write_curves(const cdl_comparison *comparison, cdl_document *to);

/* ---- matrices.c ---- */

/* Table 3: LoRA's adapter of each task and seed beside that of every CondLoRA. */
CDL_MUST_USE cdl_status cdl_write_similarity(const cdl_report_source *source, cdl_document *to);
/* Figure 1 of every LoRA adapter. */
CDL_MUST_USE cdl_status cdl_write_conversion(const cdl_report_source *source, cdl_document *to);

/* ---- tables.c ---- */

/* table.csv, table.json, runs.csv and times.csv. */
CDL_MUST_USE cdl_status cdl_write_tables(const cdl_report_source *source);

/* ---- card.c ---- */

CDL_MUST_USE cdl_status cdl_write_card(const cdl_report_source *source);

#endif
