/* How training goes, on stderr: one line drawn over again on a terminal, now and then a plain line
 * elsewhere. */
#ifndef CONDLORA_TOOLS_CONSOLE_PROGRESS_H
#define CONDLORA_TOOLS_CONSOLE_PROGRESS_H

#include "train/trainer.h"

typedef struct {
  bool live, colours;
  bool open;         /* a line stands on the terminal */
  double last_drawn; /* seconds of the monotonic clock; 0: never */
} console_progress;

void console_progress_begin(console_progress *progress);
/* After a step. */
void console_progress_step(console_progress *progress, const train_step_report *report);
/* After an evaluation: a line that stays. */
void console_progress_evaluation(console_progress *progress, const train_evaluation_report *report);
/* Clears the line, so that others can be written; the next step draws it again. */
void console_progress_clear(console_progress *progress);

/* "12,345,678". */
typedef struct {
  char text[32];
} console_grouped;
console_grouped console_group_digits(int64_t number);

#endif
