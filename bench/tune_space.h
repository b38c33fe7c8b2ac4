/* The compile-time parameters of CLBlast's two kernels for matrix products. */
#ifndef CONDLORA_BENCH_TUNE_SPACE_H
#define CONDLORA_BENCH_TUNE_SPACE_H

#include <stdbool.h>
#include <stddef.h>

#include "condlora/random.h"

enum { BENCH_TUNE_PARAMETERS = 16, BENCH_TUNE_VALUES = 8 };

/* One value for each parameter of a space, in order. */
typedef struct {
  int value[BENCH_TUNE_PARAMETERS];
} bench_tune_point;

typedef struct {
  const char *name; /* a parameter of the kernel */
  int values[BENCH_TUNE_VALUES];
  size_t count;
} bench_tune_axis;

typedef struct {
  const char *kernel; /* CLBlast's name */
  const bench_tune_axis *axes;
  size_t axis_count;
  const bench_tune_point *starts; /* points that are good on known devices */
  size_t start_count;
  bool (*valid)(const bench_tune_point *p);
} bench_tune_space;

/* Xgemm, for large products, first copies its operands into tiles; XgemmDirect does not. */
extern const bench_tune_space bench_tune_xgemm, bench_tune_direct;

/* Return a random valid point, and a valid point that differs from `p` in one or two parameters. */
bench_tune_point bench_tune_draw(const bench_tune_space *space, cdl_random *random);
bench_tune_point bench_tune_neighbour(const bench_tune_space *space, const bench_tune_point *p,
                                      cdl_random *random);

/* Writes "KERNEL 32 NAME=VALUE …", a line of a tuning file, of at most 512 bytes with the final
 * 0. */
void bench_tune_line(const bench_tune_space *space, const bench_tune_point *p, char *line,
                     size_t bytes);

#endif
