/* What the adapters' matrices say. */
#ifndef CONDLORA_TOOLS_REPORTS_MATRICES_H
#define CONDLORA_TOOLS_REPORTS_MATRICES_H

#include "tools/reports/document.h"
#include "tools/reports/source.h"

/* Table 3: LoRA's adapter of each task and seed beside that of every CondLoRA. */
CDL_MUST_USE cdl_status report_write_similarity(const report_source *source, report_document *to);
/* Figure 1 of every LoRA adapter. */
CDL_MUST_USE cdl_status report_write_conversion(const report_source *source, report_document *to);

#endif
