/* The sections on the adapters' matrices. */
#ifndef CONDLORA_TOOLS_REPORTS_MATRICES_H
#define CONDLORA_TOOLS_REPORTS_MATRICES_H

#include "tools/reports/document.h"
#include "tools/reports/source.h"

/* Writes Table 3: compares LoRA's adapter of each task and seed with every CondLoRA's. */
CDL_MUST_USE cdl_status report_write_similarity(const report_source *source, report_document *to);
/* Writes Figure 1 for every LoRA adapter. */
CDL_MUST_USE cdl_status report_write_conversion(const report_source *source, report_document *to);

#endif
