/* Results as tables, written in one of four formats. Numbers are in SI units; only text and
 * Markdown round them. A row belongs to the backend on which it was measured. With several
 * backends, text and Markdown show them side by side, with each one's full table below. */
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
  REPORT_SHARE /* fraction of 1, shown in percent */
} report_unit;

typedef struct {
  const char *key; /* in JSON and CSV */
  const char *title;
  report_unit unit;
} report_column;

/* The columns of every timed row. */
#define REPORT_TIMING_COLUMNS                                                         \
  {"n", "n", REPORT_COUNT}, {"min_s", "min", REPORT_SECONDS},                         \
      {"median_s", "median", REPORT_SECONDS}, {"p95_s", "p95", REPORT_SECONDS},       \
      {"mean_s", "mean", REPORT_SECONDS}, {"interval95_s", "± 95 %", REPORT_SECONDS}, \
      {"outliers", "outliers", REPORT_COUNT},                                         \
  {                                                                                   \
    "device_s", "on device", REPORT_SECONDS                                           \
  }

/* The columns derived from operations, bytes and time; bench_fill_shares fills in the shares at the
 * end. */
#define REPORT_RATE_COLUMNS                                                                        \
  {"flop_per_s", "GFLOP/s", REPORT_OPERATIONS_PER_S}, {"bytes_per_s", "GB/s", REPORT_BYTES_PER_S}, \
      {"flop_per_byte", "flop/byte", REPORT_NUMBER}, {"of_best", "of best GEMM", REPORT_SHARE},    \
      {"of_roof", "of roof", REPORT_SHARE},                                                        \
  {                                                                                                \
    "of_sheet", "of data sheet", REPORT_SHARE                                                      \
  }

typedef struct {
  char *text; /* for REPORT_TEXT; owned */
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
  char *title;                  /* a title for readers; owned */
  const report_column *columns; /* static; the first column names the row */
  size_t column_count;
  report_row *rows;
  size_t row_count;
} report_table;

/* A report. `facts` describe the conditions of measurement, a JSON object of strings and
 * numbers. */
typedef struct {
  json_t *facts;
  const char **backends; /* labels, borrowed */
  size_t backend_count;
  int backend; /* backend of the rows that are added next */
  report_table *tables;
  size_t table_count, current;
  bool out_of_memory;
} report;

/* Functions that build a report record that memory is out, and report_write returns it. */
void report_begin(report *r);
void report_release(report *r);
void report_fact(report *r, const char *key, const char *text);
void report_fact_number(report *r, const char *key, double number);
/* Assigns what follows to the backend with this label, which is borrowed; NULL for no backend. */
void report_use_backend(report *r, const char *label);
/* Selects the table of this name and title, creating it if needed; report_add_row adds a row to
 * it. */
void report_use_table(report *r, const char *name, const char *title, const report_column *columns,
                      size_t count);
void report_add_row(report *r);
/* Set cells of the last row, by key. A number that is not finite leaves the cell empty. */
void report_text(report *r, const char *key, const char *text);
void report_number(report *r, const char *key, double number);
/* Sets the timing columns and the samples. */
void report_timing(report *r, const measurement *m);

/* Finds a cell by its column's key; NULL if the table has no such column or the cell is empty. */
const report_cell *report_find(const report_table *t, const report_row *row, const char *key);
bool report_set(const report_table *t, report_row *row, const char *key, double number);

/* Writes the report; `format` is text, markdown, json or csv. */
CDL_MUST_USE cdl_status report_write(const report *r, const char *format, FILE *file);
/* Writes the report to a file, completely or not at all; `path` NULL means standard output. */
CDL_MUST_USE cdl_status report_save(const report *r, const char *format, const char *path);

#endif
