/* The plan and the result of a run as tables for readers. */
#ifndef CONDLORA_TOOLS_CONSOLE_RUN_REPORT_H
#define CONDLORA_TOOLS_CONSOLE_RUN_REPORT_H

#include <stdio.h>

#include "train/trainer.h"

/* Prints the plan of a dry run. */
void console_report_plan(FILE *to, const train_settings *settings, const train_plan *plan);
/* Prints the lines before the first step. */
void console_report_start(FILE *to, const train_plan *plan);
/* Prints the result of a run. */
void console_report_summary(FILE *to, const train_session *session, const train_settings *settings,
                            const train_summary *summary);

#endif
