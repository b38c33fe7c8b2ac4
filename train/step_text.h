/* The numbers of a step as texts: the fewest digits, whatever the locale. */
#ifndef CONDLORA_TRAIN_STEP_TEXT_H
#define CONDLORA_TRAIN_STEP_TEXT_H

#include "base/json.h"
#include "train/trainer.h"

typedef struct {
  char step[BASE_JSON_REAL_BYTES], epoch[BASE_JSON_REAL_BYTES], loss[BASE_JSON_REAL_BYTES],
      lr[BASE_JSON_REAL_BYTES], grad_norm[BASE_JSON_REAL_BYTES],
      examples_per_s[BASE_JSON_REAL_BYTES];
  char waiting[8]; /* always of five characters */
} train_step_text;

train_step_text train_step_text_of(const train_step_report *report);

#endif
