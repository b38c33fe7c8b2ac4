/* bench-condlora: measures a backend, and a training step on it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/compare.h"
#include "bench/options.h"
#include "model/file.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef cdl_status (*workload)(bench *b);

static const workload workloads[BENCH_WORKLOADS] = {bench_gemm, bench_svd, bench_elementwise,
                                                    bench_attention, bench_train};

static void report_head(bench *b)
{
  report *r = &b->report;
  report_fact(r, "version", cdl_version());
  report_fact(r, "backend", cdl_backend_name(b->backend));
  report_fact(r, "device", cdl_backend_description(b->backend));
  report_fact(r, "clock", b->options.clock);
  report_fact(r, "quick", b->options.quick ? "yes" : "no");
}

/* How often each op took which path; on a backend that has all ops of its own there is nothing to say. */
static cdl_status report_paths(bench *b)
{
  static const report_column columns[] = {{"op", "op", REPORT_TEXT},
                                          {"dtype", "type", REPORT_TEXT},
                                          {"path", "path", REPORT_TEXT},
                                          {"calls", "calls", REPORT_COUNT}};
  const size_t count = cdl_path_counts(b->backend, NULL, 0);
  cdl_path_count *counts = calloc(count + 1, sizeof *counts);
  if (counts == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: %zu paths", count);
  cdl_path_counts(b->backend, counts, count);
  report *r = &b->report;
  size_t other = 0;
  for (size_t i = 0; i < count; i++)
    other += counts[i].path != CDL_PATH_NATIVE;
  report_fact(r, "paths",
              other == 0 ? "every op native" : "some ops composed or on the host: see paths");
  report_add_table(r, "paths", "paths of ops that are not native", columns,
                   sizeof columns / sizeof columns[0]);
  for (size_t i = 0; i < count; i++) {
    if (counts[i].path == CDL_PATH_NATIVE)
      continue;
    report_add_row(r);
    report_text(r, "op", cdl_op_name(counts[i].op));
    report_text(r, "dtype", cdl_dtype_name(counts[i].dtype));
    report_text(r, "path", cdl_path_name(counts[i].path));
    report_number(r, "calls", (double)counts[i].calls);
  }
  free(counts);
  return CDL_OK;
}

static cdl_status write_report(const bench *b)
{
  char *text = NULL;
  size_t bytes = 0;
  FILE *memory = open_memstream(&text, &bytes);
  if (memory == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: the report");
  cdl_status status = report_write(&b->report, b->options.format, memory);
  if (fclose(memory) != 0 && status == CDL_OK)
    status = cdl_fail(CDL_MEMORY, "out of memory: the report");
  cdl_output *output;
  if (status == CDL_OK && b->options.output != NULL) {
    status = cdl_output_begin(b->options.output, &output);
    if (status == CDL_OK) {
      cdl_output_write(output, text, bytes);
      status = cdl_output_commit(output);
    }
  } else if (status == CDL_OK && (fwrite(text, 1, bytes, stdout) != bytes || fflush(stdout) != 0)) {
    status = cdl_fail(CDL_IO, "standard output: %s", strerror(errno));
  }
  free(text);
  return status;
}

static cdl_status run_workloads(bench *b, const bench_command *c)
{
  report_head(b);
  for (int w = 0; w < BENCH_WORKLOADS; w++)
    if (c->wanted[w])
      CDL_TRY(cdl_context(workloads[w](b), "%s", bench_workload_names[w]));
  bench_progress("", "");
  CDL_TRY(report_paths(b));
  if (b->best_gemm > 0)
    report_fact_number(&b->report, "best_gemm_flop_per_s", b->best_gemm);
  return write_report(b);
}

static cdl_status run(const bench_command *c)
{
  bench b = {.options = c->options};
  b.effort = c->options.quick
                 ? (measure_effort){.warm_seconds = 0.1, .seconds = 0.08, .least = 3, .most = 50}
                 : (measure_effort){.warm_seconds = 0.5, .seconds = 0.5, .least = 7, .most = 200};
  measure_use(strcmp(c->options.clock, "processor") == 0 ? MEASURE_PROCESSOR : MEASURE_WALL);
  const cdl_backend_options options = {.threads = (int)c->options.threads};
  CDL_TRY(cdl_backend_open(c->options.backend, &options, &b.backend));
  cdl_status status = cdl_queue_create(b.backend, &b.queue);
  report_begin(&b.report);
  if (status == CDL_OK)
    status = run_workloads(&b, c);
  report_release(&b.report);
  cdl_queue_destroy(b.queue);
  cdl_backend_close(b.backend);
  return status;
}

int main(int count, char **arguments)
{
  bench_command c;
  bool slower = false;
  cdl_status status = bench_command_read(count - 1, arguments + 1, &c);
  if (status == CDL_OK && c.help)
    bench_command_help();
  else if (status == CDL_OK && c.version)
    printf("bench-condlora %s\n", cdl_version());
  else if (status == CDL_OK && c.compare[0] != NULL)
    status = bench_compare_reports(c.compare[0], c.compare[1], stdout, &slower);
  else if (status == CDL_OK)
    status = run(&c);
  if (status == CDL_OK)
    return slower ? BENCH_EXIT_SLOWER : EXIT_SUCCESS;
  bench_progress("", "");
  fprintf(stderr, "bench-condlora: %s\n", cdl_error_message());
  return status == CDL_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
