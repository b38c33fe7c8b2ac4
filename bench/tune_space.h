/* The compile-time parameters of CLBlast's two kernels for matrix products. */
#ifndef CONDLORA_BENCH_TUNE_SPACE_H
#define CONDLORA_BENCH_TUNE_SPACE_H

#include <stdbool.h>
#include <stddef.h>

#include "condlora/random.h"

enum { TUNE_PARAMETERS = 16, TUNE_VALUES = 8 };

/* One value for each parameter of a space, in order. */
typedef struct {
  int value[TUNE_PARAMETERS];
} tune_point;

typedef struct {
  const char *name; /* a parameter of the kernel */
  int values[TUNE_VALUES];
  size_t count;
} tune_axis;

typedef struct {
  const char *kernel; /* CLBlast's name */
  const tune_axis *axes;
  size_t axis_count;
  const tune_point *starts; /* points that are good on known devices */
  size_t start_count;
  bool (*valid)(const tune_point *p);
} tune_space;

/* Xgemm, for large products, first copies its operands into tiles; XgemmDirect does not. */
extern const tune_space tune_xgemm, tune_direct;

/* Return a random valid point, and a valid point that differs from `p` in one or two parameters. */
tune_point tune_draw(const tune_space *space, cdl_random *random);
tune_point tune_neighbour(const tune_space *space, const tune_point *p, cdl_random *random);

/* Writes "KERNEL 32 NAME=VALUE …", a line of a tuning file, of at most 512 bytes with the final
 * 0. */
void tune_line(const tune_space *space, const tune_point *p, char *line, size_t bytes);

#endif
