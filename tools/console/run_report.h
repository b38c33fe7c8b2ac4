/* What a run will be, and what became of it, as tables for people. */
#ifndef CONDLORA_TOOLS_CONSOLE_RUN_REPORT_H
#define CONDLORA_TOOLS_CONSOLE_RUN_REPORT_H

#include <stdio.h>

#include "train/trainer.h"

/* The plan of a dry run. */
void console_report_plan(FILE *to, const train_settings *settings, const train_plan *plan);
/* The line before the first step. */
void console_report_start(FILE *to, const train_plan *plan);
/* The end of a run. */
void console_report_summary(FILE *to, const train_session *session, const train_settings *settings,
                            const train_summary *summary);

#endif
