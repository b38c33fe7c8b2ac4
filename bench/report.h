/* Results as tables, written in one of four formats. Numbers are kept in SI units; only text and Markdown round them.
 * A row belongs to the backend it was measured on. Text and Markdown show backends side by side where there are several,
 * and each one's full table below. */
#ifndef CONDLORA_BENCH_REPORT_H
#define CONDLORA_BENCH_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "bench/measure.h"

typedef enum {
  REPORT_TEXT,
  REPORT_COUNT,
  REPORT_SECONDS,
  REPORT_BYTES,
  REPORT_OPERATIONS,       /* shown in Gflop */
  REPORT_OPERATIONS_PER_S, /* shown in GFLOP/s */
  REPORT_BYTES_PER_S,      /* shown in GB/s */
  REPORT_NUMBER,
  REPORT_SHARE /* of 1, shown in percent */
} report_unit;

typedef struct {
  const char *key; /* in JSON and CSV */
  const char *title;
  report_unit unit;
} report_column;

/* What every timed row has. */
#define REPORT_TIMING_COLUMNS                                                         \
  {"n", "n", REPORT_COUNT}, {"min_s", "min", REPORT_SECONDS},                         \
      {"median_s", "median", REPORT_SECONDS}, {"p95_s", "p95", REPORT_SECONDS},       \
      {"mean_s", "mean", REPORT_SECONDS}, {"interval95_s", "± 95 %", REPORT_SECONDS}, \
      {"outliers", "outliers", REPORT_COUNT},                                         \
  {                                                                                   \
    "device_s", "on device", REPORT_SECONDS                                           \
  }

/* What follows from operations, bytes and time: rates.h fills the shares in at the end. */
#define REPORT_RATE_COLUMNS                                                                        \
  {"flop_per_s", "GFLOP/s", REPORT_OPERATIONS_PER_S}, {"bytes_per_s", "GB/s", REPORT_BYTES_PER_S}, \
      {"flop_per_byte", "flop/byte", REPORT_NUMBER}, {"of_best", "of best GEMM", REPORT_SHARE},    \
      {"of_roof", "of roof", REPORT_SHARE},                                                        \
  {                                                                                                \
    "of_sheet", "of data sheet", REPORT_SHARE                                                      \
  }

typedef struct {
  char *text; /* of a REPORT_TEXT; owned */
  double number;
  bool present;
} report_cell;

enum { REPORT_NO_BACKEND = -1 };

typedef struct {
  int backend;       /* index into the report's, or REPORT_NO_BACKEND */
  report_cell *cell; /* [columns] */
  double *samples;   /* [sample_count] seconds of single runs; owned */
  size_t sample_count;
} report_row;

typedef struct {
  const char *name;             /* "gemm"; static */
  char *title;                  /* a line for readers; owned */
  const report_column *columns; /* static; the first says what the row is */
  size_t column_count;
  report_row *rows;
  size_t row_count;
} report_table;

/* `facts` say what was measured how; a JSON object of texts and numbers. */
typedef struct {
  json_t *facts;
  const char **backends; /* labels, borrowed */
  size_t backend_count;
  int backend; /* of the rows to come */
  report_table *tables;
  size_t table_count, current;
  bool out_of_memory;
} report;

/* Building: out of memory is remembered and told by report_write. */
void report_begin(report *r);
void report_release(report *r);
void report_fact(report *r, const char *key, const char *text);
void report_fact_number(report *r, const char *key, double number);
/* What follows comes from the backend with this label, which is borrowed; NULL: from none. */
void report_use_backend(report *r, const char *label);
/* The table of this name and title, new where there is none yet, and a new row of it. */
void report_use_table(report *r, const char *name, const char *title, const report_column *columns,
                      size_t count);
void report_add_row(report *r);
/* Cells of the row added last, by key. A number that is not finite is left out. */
void report_text(report *r, const char *key, const char *text);
void report_number(report *r, const char *key, double number);
/* The timing columns, and the samples. */
void report_timing(report *r, const measurement *m);

/* A cell of a table by its column's key; NULL where the table has no such column or the cell is empty. */
const report_cell *report_find(const report_table *t, const report_row *row, const char *key);
bool report_set(const report_table *t, report_row *row, const char *key, double number);

/* `format`: text, markdown, json or csv. */
CDL_MUST_USE cdl_status report_write(const report *r, const char *format, FILE *file);
/* The same to a file, whole or not at all; `path` NULL: to standard output. */
CDL_MUST_USE cdl_status report_save(const report *r, const char *format, const char *path);

#endif
