#include "tools/console/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/process.h"
#include "tools/console/log.h"
#include "tools/console/signals.h"
#include "tools/console/terminal.h"

static const double live_pause = 0.1, plain_pause = 5; /* seconds between two lines */

void console_progress_begin(console_progress *p)
{
  *p = (console_progress){.live = !console_log_is_json() && console_terminal_is_live(stderr),
                          .colours = console_terminal_has_colours(stderr),
                          .best = NAN};
}

void console_progress_clear(console_progress *p)
{
  if (!p->open)
    return;
  fputs("\r\033[K", stderr);
  fflush(stderr);
  p->open = false;
  console_signals_line_is_open(false);
}

/* ---- A step ---- */

/* The parts of a line in their order; BAR is the progress bar. */
enum { STEP, BAR, EPOCH, LOSS, BEST, RATE, SPEED, WAITING, SHARE, LEFT, PARTS };
/* The parts that a narrow terminal omits, in the order of omission. */
static const int dispensable[] = {BAR, RATE, SHARE, EPOCH, WAITING, SPEED, BEST, LEFT, LOSS};
enum { PART_BYTES = 48, BAR_MOST = 24, BAR_LEAST = 8, BAR_FRAME = 2, GAP = 2 };

typedef struct {
  char part[PARTS][PART_BYTES]; /* empty: omitted */
} step_line;

static void format_duration(double seconds, char *text, size_t bytes)
{
  const double most = 359999;
  const int64_t s = (int64_t)(seconds >= 0 && seconds < most ? seconds + 0.5 : most);
  if (s >= 3600)
    snprintf(text, bytes, "%" PRId64 ":%02" PRId64 ":%02" PRId64 " left", s / 3600, s / 60 % 60,
             s % 60);
  else
    snprintf(text, bytes, "%" PRId64 ":%02" PRId64 " left", s / 60, s % 60);
}

static step_line describe_step(const console_progress *p, const train_step_report *r)
{
  step_line line = {0};
  snprintf(line.part[STEP], PART_BYTES, "step %" PRId64 "/%" PRId64, r->step, r->steps);
  snprintf(line.part[EPOCH], PART_BYTES, "epoch %.2f", r->epoch);
  snprintf(line.part[LOSS], PART_BYTES, "loss %.4f", r->loss);
  if (!isnan(p->best))
    snprintf(line.part[BEST], PART_BYTES, "best %.4f", p->best);
  snprintf(line.part[RATE], PART_BYTES, "lr %.2e", r->learning_rate);
  snprintf(line.part[SPEED], PART_BYTES, "%.*f examples/s", r->examples_per_s < 10 ? 1 : 0,
           r->examples_per_s);
  if (r->ranks > 1)
    snprintf(line.part[WAITING], PART_BYTES, "%d ranks wait %.0f%%, rank %d is slowest", r->ranks,
             100 * r->waiting, r->slowest_rank);
  if (r->gemm_share > 0)
    snprintf(line.part[SHARE], PART_BYTES, "%.0f%% of GEMM peak", 100 * r->gemm_share);
  format_duration(r->seconds_left, line.part[LEFT], PART_BYTES);
  return line;
}

static size_t width_of(const step_line *line)
{
  size_t width = 0;
  for (int i = 0; i < PARTS; i++)
    if (line->part[i][0] != '\0')
      width += strlen(line->part[i]) + (width > 0 ? GAP : 0);
  return width;
}

/* Omits parts that do not fit and adds a bar if there is room. */
static void fit(step_line *line, size_t columns, double done)
{
  for (size_t i = 0; i < sizeof dispensable / sizeof dispensable[0] && width_of(line) > columns;
       i++)
    line->part[dispensable[i]][0] = '\0';
  const size_t used = width_of(line) + GAP + BAR_FRAME;
  if (used + BAR_LEAST > columns)
    return;
  const size_t cells = columns - used < BAR_MOST ? columns - used : BAR_MOST;
  const size_t full = (size_t)(done * (double)cells);
  char *bar = line->part[BAR];
  for (size_t i = 0; i < cells; i++)
    bar[1 + i] = i < full ? '=' : i == full ? '>' : ' ';
  bar[0] = '[';
  bar[1 + cells] = ']';
  bar[2 + cells] = '\0';
}

static void print_parts(const console_progress *p, const step_line *line)
{
  bool any = false;
  for (int i = 0; i < PARTS; i++) {
    if (line->part[i][0] == '\0')
      continue;
    const bool coloured = i == BAR && p->colours;
    fprintf(stderr, "%s%s%s%s", any ? "  " : "", coloured ? "\033[32m" : "", line->part[i],
            coloured ? "\033[0m" : "");
    any = true;
  }
}

static json_t *step_json(const console_progress *p, const train_step_report *r)
{
  json_t *fields = json_object();
  base_json_set_text(&fields, "event", "step");
  base_json_set(&fields, "step", json_integer((json_int_t)r->step));
  base_json_set(&fields, "steps", json_integer((json_int_t)r->steps));
  base_json_set(&fields, "epoch", base_json_rounded(r->epoch, 4));
  base_json_set(&fields, "loss", base_json_rounded(r->loss, 6));
  base_json_set(&fields, "lr", base_json_number(r->learning_rate));
  base_json_set(&fields, "grad_norm", base_json_rounded(r->gradient_norm, 6));
  base_json_set(&fields, "examples_per_s", base_json_rounded(r->examples_per_s, 3));
  if (r->ranks > 1) {
    base_json_set(&fields, "waiting", base_json_rounded(r->waiting, 3));
    base_json_set(&fields, "slowest_rank", json_integer(r->slowest_rank));
  }
  base_json_set(&fields, "seconds_left", base_json_rounded(r->seconds_left, 1));
  if (!isnan(p->best))
    base_json_set(&fields, "best", base_json_number(p->best));
  return fields;
}

static bool is_due(const console_progress *p, const train_step_report *r, double now)
{
  if (!p->live && p->every > 0)
    return r->step % p->every == 0;
  return !(p->last_drawn > 0) || now - p->last_drawn >= (p->live ? live_pause : plain_pause);
}

void console_progress_step(console_progress *p, const train_step_report *r)
{
  const double now = base_process_seconds();
  if (!is_due(p, r, now))
    return;
  p->last_drawn = now;
  if (console_log_is_json()) {
    console_log_object(CONSOLE_LOG_INFO, step_json(p, r));
    return;
  }
  step_line line = describe_step(p, r);
  if (!p->live) {
    print_parts(p, &line);
    fputc('\n', stderr);
    return;
  }
  const size_t columns = console_terminal_columns(stderr);
  fit(&line, columns > 1 ? columns - 1 : 1,
      (double)r->step / (double)(r->steps > 0 ? r->steps : 1));
  fputc('\r', stderr);
  print_parts(p, &line);
  fputs("\033[K", stderr);
  fflush(stderr);
  p->open = true;
  console_signals_line_is_open(true);
}

/* ---- An evaluation ---- */

static json_t *evaluation_json(const train_evaluation_report *r)
{
  json_t *fields = json_object();
  base_json_set_text(&fields, "event", "evaluation");
  base_json_set(&fields, "step", json_integer((json_int_t)r->step));
  base_json_set(&fields, "epoch", base_json_rounded(r->epoch, 4));
  base_json_set_text(&fields, "split", r->split);
  for (int m = 0; m < CDL_METRIC_COUNT; m++)
    if (m != CDL_METRIC_LOSS && !isnan(r->result->scores.value[m]))
      base_json_set(&fields, cdl_metric_name((cdl_metric)m),
                    base_json_number(r->result->scores.value[m]));
  base_json_set(&fields, "loss", base_json_number(r->result->loss));
  base_json_set(&fields, "is_best", json_boolean(r->is_best));
  return fields;
}

void console_progress_best(console_progress *p, double value)
{
  p->best = value;
}

void console_progress_evaluation(console_progress *p, const train_evaluation_report *r)
{
  console_progress_clear(p);
  if (r->is_best)
    p->best = r->result->scores.value[r->metric];
  if (console_log_is_json()) {
    console_log_object(CONSOLE_LOG_INFO, evaluation_json(r));
    return;
  }
  fprintf(stderr, "epoch %.4g, step %" PRId64 ": %s", r->epoch, r->step, r->split);
  for (int m = 0; m < CDL_METRIC_COUNT; m++)
    if (m != CDL_METRIC_LOSS && !isnan(r->result->scores.value[m]))
      fprintf(stderr, "  %s %.4f", cdl_metric_name((cdl_metric)m), r->result->scores.value[m]);
  fprintf(stderr, "  loss %.4f%s\n", r->result->loss, r->is_best ? "  (best so far)" : "");
}

console_grouped console_group_digits(int64_t number)
{
  char plain[24];
  console_grouped grouped;
  const int digits = snprintf(plain, sizeof plain, "%" PRId64, number);
  char *out = grouped.text;
  for (int i = 0; i < digits; i++) {
    if (i > 0 && (digits - i) % 3 == 0 && plain[i - 1] != '-')
      *out++ = ',';
    *out++ = plain[i];
  }
  *out = '\0';
  return grouped;
}
