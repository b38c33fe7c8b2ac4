#include "bench/conditions.h"

void bench_conditions_report(const bench *b, const bench_conditions *c)
{
  bench_report *r = b->report;
  bench_report_text(r, "precision", b->options.precision);
  bench_report_text(r, "frozen", c->kept ? "kept" : "computed");
  bench_report_number(r, "runs", (double)c->runs);
  bench_report_number(r, "shards", c->shards);
  bench_report_number(r, "instructions_per_example", c->instructions / c->examples);
}
