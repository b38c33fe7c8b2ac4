/* bench-condlora: measures backends, and training steps on them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map_faults.h"
#include "bench/compare.h"
#include "bench/model.h"
#include "bench/options.h"
#include "bench/ranks.h"
#include "bench/roofline.h"
#include "bench/shapes_choice.h"
#include "bench/tune.h"
#include "tools/console/download.h"
#include "tools/console/log.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef cdl_status (*workload)(bench *b);

static const workload workloads[BENCH_WORKLOADS] = {bench_gemm,      bench_svd,   bench_elementwise,
                                                    bench_attention, bench_train, bench_inference};

/* A busy machine measures itself. */
static void warn_if_busy(double busy)
{
  const double most = 0.5;
  if (busy > most)
    console_log_say(CONSOLE_LOG_WARNING,
                    "the machine was busy: %.2g processes for each processor in the minute before; "
                    "times are too long and vary (--threads 1 --clock processor holds)",
                    busy);
}

/* Returns the load for each processor. */
static double report_head(bench_report *r, const bench_options *o)
{
  const double busy = bench_report_machine(r);
  bench_report_fact(r, "version", cdl_version());
  bench_report_fact(r, "clock", o->clock);
  bench_report_fact(r, "precision", o->precision);
  bench_report_fact(r, "shapes", o->shapes != NULL ? o->shapes : "mixed");
  bench_report_fact(r, "caches", o->cold ? "cold" : "warm");
  bench_report_fact(r, "quick", o->quick ? "yes" : "no");
  return busy;
}

static cdl_status run_workloads(bench_list *list, bench_report *r, const bench_command *c)
{
  for (int w = 0; w < BENCH_WORKLOADS; w++)
    for (size_t i = 0; c->wanted[w] && i < list->count; i++) {
      bench *b = &list->item[i];
      bench_report_use_backend(r, b->label);
      CDL_TRY(cdl_context(workloads[w](b), "%s: %s", b->label, bench_workload_names[w]));
    }
  bench_progress("", "");
  for (size_t i = 0; i < list->count; i++)
    CDL_TRY(bench_report_backend(&list->item[i]));
  bench_fill_shares(r, list);
  return CDL_STATUS_OK;
}

static cdl_status run_opened(bench_list *list, bench_report *r, const bench_command *c)
{
  const bench_options *o = &c->options;
  CDL_TRY(run_workloads(list, r, c));
  if (o->plot != NULL)
    CDL_TRY(bench_roofline_write(r, list, o->plot));
  return bench_report_save(r, o->format, o->output);
}

static cdl_status run(const bench_command *c)
{
  const bench_options *o = &c->options;
  bench_shapes shapes;
  bench_list list = {0};
  bench_report r;
  const bench_measure_clock clock = strcmp(o->clock, "processor") == 0 ? BENCH_MEASURE_PROCESSOR
                                    : strcmp(o->clock, "wall") == 0    ? BENCH_MEASURE_WALL
                                                                       : BENCH_MEASURE_INSTRUCTIONS;
  CDL_TRY(bench_measure_use(clock));
  CDL_TRY(bench_shapes_choose(o->shapes, &shapes));
  bench_report_begin(&r);
  r.counts_instructions = clock == BENCH_MEASURE_INSTRUCTIONS;
  const double busy = report_head(&r, o);
  cdl_status status = bench_open(o, &shapes, &r, &list);
  if (status == CDL_STATUS_OK)
    status = run_opened(&list, &r, c);
  if (status == CDL_STATUS_OK && clock == BENCH_MEASURE_WALL)
    warn_if_busy(busy); /* now: a call that fails says one line */
  bench_close(&list);
  bench_report_release(&r);
  bench_shapes_release(&shapes);
  return status;
}

int main(int count, char **arguments)
{
  bench_command c;
  bool slower = false, speaks = true;
  base_map_faults_begin("bench-condlora", NULL);
  console_log_begin(count, arguments);
  console_downloads_show();
  cdl_status status = bench_command_read(count - 1, arguments + 1, &c);
  if (status == CDL_STATUS_OK && c.help)
    bench_command_help();
  else if (status == CDL_STATUS_OK && c.describe)
    status = bench_command_describe();
  else if (status == CDL_STATUS_OK && c.version)
    printf("bench-condlora %s\n", cdl_version());
  else if (status == CDL_STATUS_OK && c.compare[0] != NULL)
    status = bench_compare_reports(c.compare[0], c.compare[1], stdout, &slower);
  else if (status == CDL_STATUS_OK && c.tune)
    status = bench_tune(&c.options);
  else if (status == CDL_STATUS_OK && c.model)
    status = bench_model(&c.options);
  else if (status == CDL_STATUS_OK && c.ranks) {
    status = bench_ranks(&c.options, &speaks);
    speaks = false; /* it has printed its failure */
  } else if (status == CDL_STATUS_OK)
    status = run(&c);
  if (status == CDL_STATUS_OK)
    return slower ? BENCH_EXIT_SLOWER : EXIT_SUCCESS;
  if (speaks) {
    bench_progress("", "");
    console_log_error("bench-condlora");
  }
  return status == CDL_STATUS_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
