#include "train/step_text.h"

#include <math.h>
#include <stdio.h>

train_step_text train_step_text_of(const train_step_report *r)
{
  train_step_text t;
  snprintf(t.step, sizeof t.step, "%lld", (long long)r->step);
  base_json_real_text(t.epoch, round(r->epoch * 1e9) / 1e9);
  /* Loss and norm are floats on the device. */
  base_json_float_text(t.loss, (float)r->loss);
  base_json_float_text(t.grad_norm, (float)r->gradient_norm);
  base_json_real_text(t.lr, r->learning_rate);
  base_json_real_text(t.examples_per_s, round(r->examples_per_s * 1000) / 1000);
  const double share = r->waiting > 0 && r->waiting < 1 ? r->waiting : 0;
  const unsigned thousandths = (unsigned)(share * 1000 + 0.5);
  snprintf(t.waiting, sizeof t.waiting, "%u.%03u", thousandths / 1000 % 10, thousandths % 1000);
  return t;
}
