/* Counters of the machine besides its clocks: instructions, and energy. */
#ifndef CONDLORA_BENCH_COUNTERS_H
#define CONDLORA_BENCH_COUNTERS_H

#include <stdbool.h>

#include "condlora/status.h"

/* Begins to count the instructions that this process and the threads it will start execute outside
 * the kernel, with Linux's perf events. Their number hardly depends on other programs. Errors:
 * UNSUPPORTED, with the system's reason, where it does not let us count. */
CDL_MUST_USE cdl_status bench_instructions_begin(void);
/* Returns how many there were since then; NaN without bench_instructions_begin. */
double bench_instructions(void);

enum { BENCH_ENERGY_ZONES = 16 };

/* The energy of the processors' packages, by Linux's powercap (RAPL on x86). */
typedef struct {
  char path[BENCH_ENERGY_ZONES][128]; /* folders of the zones */
  double last[BENCH_ENERGY_ZONES];    /* in microjoules, as the file has it */
  double range[BENCH_ENERGY_ZONES];   /* the counter starts at 0 again after this */
  int count;
  double joules; /* since the beginning */
} bench_energy;

#define BENCH_ENERGY_FOLDER "/sys/class/powercap"

/* Finds the zones in `folder`, BENCH_ENERGY_FOLDER; there is none if nothing can be read,
 * as in most virtual machines, or without the right to read. */
bench_energy bench_energy_begin(const char *folder);
/* Returns the joules since bench_energy_begin; NaN without a zone. Call it at least once a minute,
 * so that a counter starts anew at most once in between. */
double bench_energy_joules(bench_energy *energy);

#endif
