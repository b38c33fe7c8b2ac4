/* The model card. */
#ifndef CONDLORA_TOOLS_REPORTS_CARD_H
#define CONDLORA_TOOLS_REPORTS_CARD_H

#include "tools/reports/source.h"

/* Writes MODEL_CARD.md and MODEL_CARD.html. */
CDL_MUST_USE cdl_status report_write_card(const report_source *source);

#endif
