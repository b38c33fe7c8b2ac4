#include "train/schedule.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

static const double pi = 3.141592653589793;

uint64_t train_schedule_warmup_steps(double ratio, uint64_t total)
{
  const double steps = ceil(ratio * (double)total);
  return steps > 0 ? (uint64_t)steps : 0;
}

train_schedule train_schedule_make(train_schedule_kind kind, double rate, uint64_t total,
                                   uint64_t warmup)
{
  return (train_schedule){
      .kind = kind,
      .rate = rate,
      .total = total,
      .warmup = warmup,
      .cycles = kind == TRAIN_SCHEDULE_COSINE ? 0.5 : 1.0,
      .power = 1.0,
      .end_rate = 1e-7,
  };
}

cdl_status train_schedule_check(const train_schedule *schedule)
{
  if (!isfinite(schedule->rate) || schedule->rate < 0)
    return cdl_fail(CDL_STATUS_USAGE,
                    "a learning rate of %g; expected a number that is not negative",
                    schedule->rate);
  if (!isfinite(schedule->cycles) || schedule->cycles < 0)
    return cdl_fail(CDL_STATUS_USAGE,
                    "a schedule of %g cycles; expected a number that is not negative",
                    schedule->cycles);
  if (schedule->kind != TRAIN_SCHEDULE_POLYNOMIAL)
    return CDL_STATUS_OK;
  if (!isfinite(schedule->power) || schedule->power < 0)
    return cdl_fail(CDL_STATUS_USAGE,
                    "a polynomial schedule of power %g; expected a number that is not negative",
                    schedule->power);
  if (!isfinite(schedule->end_rate) || schedule->end_rate < 0 ||
      !(schedule->end_rate < schedule->rate))
    return cdl_fail(CDL_STATUS_USAGE,
                    "a polynomial schedule that ends at %g; expected a rate from 0 to below %g",
                    schedule->end_rate, schedule->rate);
  return CDL_STATUS_OK;
}

/* The factors below use the same order of operations as Transformers, so that both give the same
 * bits. */

static double cosine(double angle)
{
  return fmax(0.0, 0.5 * (1.0 + cos(angle)));
}

static double polynomial(const train_schedule *s, uint64_t step)
{
  if (step > s->total || s->total == s->warmup)
    return s->end_rate / s->rate;
  const double remaining = 1.0 - (double)(step - s->warmup) / (double)(s->total - s->warmup);
  return ((s->rate - s->end_rate) * pow(remaining, s->power) + s->end_rate) / s->rate;
}

double train_schedule_rate(const train_schedule *s, uint64_t step)
{
  if (step < s->warmup)
    return s->rate * ((double)step / (double)s->warmup);

  const uint64_t decay_steps = s->total > s->warmup ? s->total - s->warmup : 1;
  const double progress = (double)(step - s->warmup) / (double)decay_steps;
  switch (s->kind) {
  case TRAIN_SCHEDULE_LINEAR:
    return step >= s->total ? 0.0 : s->rate * ((double)(s->total - step) / (double)decay_steps);
  case TRAIN_SCHEDULE_COSINE:
    return s->rate * cosine(pi * s->cycles * 2.0 * progress);
  case TRAIN_SCHEDULE_COSINE_WITH_RESTARTS:
    return progress >= 1.0 ? 0.0 : s->rate * cosine(pi * fmod(s->cycles * progress, 1.0));
  case TRAIN_SCHEDULE_CONSTANT:
    return s->rate;
  case TRAIN_SCHEDULE_POLYNOMIAL:
    return s->rate * polynomial(s, step);
  }
  return s->rate;
}
