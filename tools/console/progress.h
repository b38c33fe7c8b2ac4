/* The progress of training on stderr: on a terminal one line that is redrawn, elsewhere a plain
 * line every few seconds. */
#ifndef CONDLORA_TOOLS_CONSOLE_PROGRESS_H
#define CONDLORA_TOOLS_CONSOLE_PROGRESS_H

#include "train/trainer.h"

typedef struct {
  bool live, colours;
  bool open;         /* the terminal shows a line of progress */
  double last_drawn; /* monotonic clock, seconds; 0: never */
  int64_t every;     /* steps between plain lines; 0: a line every few seconds */
  double best;       /* of the metric that chooses the best checkpoint; NaN: none yet */
} console_progress;

void console_progress_begin(console_progress *progress);
/* Shows a step. */
void console_progress_step(console_progress *progress, const train_step_report *report);
/* Prints a permanent line for an evaluation. */
void console_progress_evaluation(console_progress *progress, const train_evaluation_report *report);
/* Sets what the line shows as the best value so far; NaN for none. An evaluation sets it too. */
void console_progress_best(console_progress *progress, double value);
/* Clears the line so that other lines can be printed; the next step draws it again. */
void console_progress_clear(console_progress *progress);

/* Formats a number with its digits in groups: "12,345,678". */
typedef struct {
  char text[32];
} console_grouped;
console_grouped console_group_digits(int64_t number);

#endif
