/* Learning rates against the closed formulas of the schedules. */
#include <float.h>
#include <math.h>

#include "base/option.h"
#include "tests/unit/scratch.h"
#include "train/schedule.h"

static const double rate = 2e-3;
static const double pi = 3.14159265358979323846;
enum { TOTAL = 200, WARMUP = 20 };

typedef struct {
  char text[32];
} schedule_name;

static schedule_name name_of(train_schedule_kind kind)
{
  const base_word word = base_word_at(TRAIN_SCHEDULE_WORDS, (int)kind);
  schedule_name name;
  snprintf(name.text, sizeof name.text, "%.*s", (int)word.bytes, word.text);
  return name;
}

static train_schedule make(train_schedule_kind kind)
{
  return train_schedule_make(kind, rate, TOTAL, WARMUP);
}

/* Both sides round a handful of operations on numbers of at most `rate`. */
static void expect_rate(const train_schedule *schedule, uint64_t step, double expected)
{
  const double found = train_schedule_rate(schedule, step);
  ck_assert_msg(fabs(found - expected) <= 16 * DBL_EPSILON * rate,
                "%s, step %llu: %.17g, expected %.17g", name_of(schedule->kind).text,
                (unsigned long long)step, found, expected);
}

START_TEST(every_schedule_warms_up_linearly_from_zero)
{
  for (int kind = TRAIN_SCHEDULE_LINEAR; kind <= TRAIN_SCHEDULE_POLYNOMIAL; kind++) {
    const train_schedule schedule = make((train_schedule_kind)kind);
    for (uint64_t step = 0; step <= WARMUP; step++)
      expect_rate(&schedule, step, rate * (double)step / WARMUP);
    ck_assert(train_schedule_rate(&schedule, 0) == 0.0);
    const train_schedule cold = train_schedule_make((train_schedule_kind)kind, rate, TOTAL, 0);
    expect_rate(&cold, 0, rate);
  }
}
END_TEST

START_TEST(each_schedule_follows_its_formula)
{
  train_schedule restarts = make(TRAIN_SCHEDULE_COSINE_WITH_RESTARTS),
                 power = make(TRAIN_SCHEDULE_POLYNOMIAL);
  restarts.cycles = 3;
  power.power = 2;
  power.end_rate = 1e-5;
  const train_schedule linear = make(TRAIN_SCHEDULE_LINEAR), cosine = make(TRAIN_SCHEDULE_COSINE),
                       constant = make(TRAIN_SCHEDULE_CONSTANT),
                       plain = make(TRAIN_SCHEDULE_POLYNOMIAL);
  for (uint64_t step = WARMUP; step < TOTAL; step++) {
    const double done = (double)(step - WARMUP) / (TOTAL - WARMUP);
    expect_rate(&linear, step, rate * (1 - done));
    expect_rate(&cosine, step, rate * (1 + cos(pi * done)) / 2);
    expect_rate(&constant, step, rate);
    expect_rate(&plain, step, (rate - 1e-7) * (1 - done) + 1e-7);
    expect_rate(&power, step, (rate - 1e-5) * (1 - done) * (1 - done) + 1e-5);
    /* 180 steps of decay in three cycles of 60. */
    expect_rate(&restarts, step, rate * (1 + cos(pi * (double)((step - WARMUP) % 60) / 60)) / 2);
  }
}
END_TEST

START_TEST(schedules_end_where_they_should)
{
  static const uint64_t past[] = {TOTAL, TOTAL + 1, 10 * TOTAL};
  for (size_t i = 0; i < 3; i++) {
    const train_schedule linear = make(TRAIN_SCHEDULE_LINEAR),
                         restarts = make(TRAIN_SCHEDULE_COSINE_WITH_RESTARTS),
                         constant = make(TRAIN_SCHEDULE_CONSTANT),
                         polynomial = make(TRAIN_SCHEDULE_POLYNOMIAL);
    ck_assert(train_schedule_rate(&linear, past[i]) == 0.0);
    ck_assert(train_schedule_rate(&restarts, past[i]) == 0.0);
    ck_assert(train_schedule_rate(&constant, past[i]) == rate);
    expect_rate(&polynomial, past[i], 1e-7);
  }
  const train_schedule cosine = make(TRAIN_SCHEDULE_COSINE);
  expect_rate(&cosine, TOTAL, 0);
}
END_TEST

START_TEST(a_run_that_only_warms_up_is_finite)
{
  for (int kind = TRAIN_SCHEDULE_LINEAR; kind <= TRAIN_SCHEDULE_POLYNOMIAL; kind++) {
    const train_schedule schedule = train_schedule_make((train_schedule_kind)kind, rate, 10, 10);
    for (uint64_t step = 0; step < 13; step++) {
      const double found = train_schedule_rate(&schedule, step);
      ck_assert_msg(found >= 0 && found <= rate, "%s, step %llu: %g", name_of(schedule.kind).text,
                    (unsigned long long)step, found);
    }
  }
}
END_TEST

START_TEST(warm_up_steps_are_rounded_up)
{
  ck_assert_uint_eq(train_schedule_warmup_steps(0.1, 48100), 4810);
  ck_assert_uint_eq(train_schedule_warmup_steps(0.06, 101), 7);
  ck_assert_uint_eq(train_schedule_warmup_steps(0.0, 100), 0);
  ck_assert_uint_eq(train_schedule_warmup_steps(1.0, 100), 100);
  /* 0.1 is a little more than a tenth, 0.1 * 3 rounds above 0.3: one step all the same. */
  ck_assert_uint_eq(train_schedule_warmup_steps(0.1, 3), 1);
}
END_TEST

START_TEST(names_are_found)
{
  static const char *const names[] = {"linear", "cosine", "cosine_with_restarts", "constant",
                                      "polynomial"};
  for (int i = TRAIN_SCHEDULE_LINEAR; i <= TRAIN_SCHEDULE_POLYNOMIAL; i++)
    ck_assert_int_eq(base_word_place(TRAIN_SCHEDULE_WORDS, names[i]), i);
  ck_assert_int_eq(base_word_place(TRAIN_SCHEDULE_WORDS, "cosine-with-restarts"),
                   TRAIN_SCHEDULE_COSINE_WITH_RESTARTS);
  ck_assert_int_eq(base_word_place(TRAIN_SCHEDULE_WORDS, "cosine_with"), -1);
  ck_assert_int_eq(base_word_place(TRAIN_SCHEDULE_WORDS, ""), -1);
}
END_TEST

START_TEST(impossible_settings_are_refused)
{
  train_schedule schedule = make(TRAIN_SCHEDULE_POLYNOMIAL);
  expect_ok(train_schedule_check(&schedule));
  schedule.end_rate = rate;
  expect_failure(train_schedule_check(&schedule), CDL_STATUS_USAGE, "0.002");
  schedule = make(TRAIN_SCHEDULE_POLYNOMIAL);
  schedule.power = (double)NAN;
  expect_failure(train_schedule_check(&schedule), CDL_STATUS_USAGE, "power");
  schedule = make(TRAIN_SCHEDULE_COSINE);
  schedule.cycles = -1;
  expect_failure(train_schedule_check(&schedule), CDL_STATUS_USAGE, "-1");
  schedule = make(TRAIN_SCHEDULE_LINEAR);
  schedule.rate = (double)INFINITY;
  expect_failure(train_schedule_check(&schedule), CDL_STATUS_USAGE, "inf");
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {every_schedule_warms_up_linearly_from_zero,
                                each_schedule_follows_its_formula,
                                schedules_end_where_they_should,
                                a_run_that_only_warms_up_is_finite,
                                warm_up_steps_are_rounded_up,
                                names_are_found,
                                impossible_settings_are_refused,
                                NULL};
  return scratch_run("schedule", tests);
}
