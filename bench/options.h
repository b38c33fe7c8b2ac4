/* The command line of bench-condlora. */
#ifndef CONDLORA_BENCH_OPTIONS_H
#define CONDLORA_BENCH_OPTIONS_H

#include "bench/bench.h"

enum { BENCH_WORKLOADS = 6 };

typedef struct {
  bench_options options;
  bool help, describe, version, tune, model, ranks,
      wanted[BENCH_WORKLOADS]; /* in the order of bench_workload_names */
  const char *compare[2];      /* two reports to compare instead of a run; NULL */
} bench_command;

extern const char *const bench_workload_names[BENCH_WORKLOADS];

/* Reads the arguments. Errors: USAGE, naming the argument and what was expected. */
CDL_MUST_USE cdl_status bench_command_read(int count, char **arguments, bench_command *command);
/* Print the help, and the table of options as JSON (base_command_line_describe), to stdout. */
void bench_command_help(void);
CDL_MUST_USE cdl_status bench_command_describe(void);

#endif
