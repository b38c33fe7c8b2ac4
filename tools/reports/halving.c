#include "tools/reports/halving.h"

#include <math.h>

static const double slack = 1e-6; /* an epoch is a quotient of steps */

int64_t report_rung_epochs(int64_t epochs, int rung)
{
  const int64_t parts = rung == 0 ? 4 : rung == 1 ? 2 : 1;
  const int64_t end = (epochs + parts - 1) / parts;
  return end > 0 ? end : 1;
}

size_t report_rung_size(size_t rates, int rung)
{
  return rung == 0 ? rates : rung == 1 ? (rates + 1) / 2 : rates > 0;
}

int64_t report_search_epochs(int64_t epochs, size_t rates)
{
  int64_t total = 0, before = 0;
  for (int rung = 0; rung < REPORT_RUNGS; rung++) {
    const int64_t end = report_rung_epochs(epochs, rung);
    total += (end - before) * (int64_t)report_rung_size(rates, rung);
    before = end;
  }
  return total;
}

bool report_reached(const report_record *r, double epoch)
{
  return r->evaluation_count > 0 && r->evaluations[r->evaluation_count - 1].epoch >= epoch - slack;
}

/* The best evaluation up to an epoch; a score that is NaN never wins. */
static report_evaluation best_until(const report_record *r, double epoch)
{
  report_evaluation best = {.score = NAN, .loss = INFINITY};
  for (size_t i = 0; i < r->evaluation_count; i++) {
    const report_evaluation *e = &r->evaluations[i];
    if (e->epoch <= epoch + slack && (cdl_metric_better(e->score, best.score) ||
                                      (e->score == best.score && e->loss < best.loss)))
      best = *e;
  }
  return best;
}

static bool is_before(const report_record *a, const report_record *b, double epoch)
{
  const report_evaluation x = best_until(a, epoch), y = best_until(b, epoch);
  if (cdl_metric_better(x.score, y.score) || cdl_metric_better(y.score, x.score))
    return cdl_metric_better(x.score, y.score);
  if (x.loss != y.loss)
    return x.loss < y.loss;
  return report_record_number(a, "lr", 0) < report_record_number(b, "lr", 0);
}

void report_rank(const report_record **records, size_t count, int64_t epochs, int rung)
{
  const double end = (double)report_rung_epochs(epochs, rung);
  for (size_t i = 1; i < count; i++)
    for (size_t k = i; k > 0 && is_before(records[k], records[k - 1], end); k--) {
      const report_record *kept = records[k];
      records[k] = records[k - 1];
      records[k - 1] = kept;
    }
}
