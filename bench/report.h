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
  BENCH_REPORT_TEXT,
  BENCH_REPORT_COUNT,
  BENCH_REPORT_SECONDS,
  BENCH_REPORT_BYTES,
  BENCH_REPORT_OPERATIONS,       /* shown in Gflop */
  BENCH_REPORT_OPERATIONS_PER_S, /* shown in GFLOP/s */
  BENCH_REPORT_BYTES_PER_S,      /* shown in GB/s */
  BENCH_REPORT_NUMBER,
  BENCH_REPORT_SHARE /* fraction of 1, shown in percent */
} bench_report_unit;

typedef struct {
  const char *key; /* in JSON and CSV */
  const char *title;
  bench_report_unit unit;
} bench_report_column;

/* The columns of every timed row. */
#define BENCH_REPORT_TIMING_COLUMNS                                                               \
  {"n", "n", BENCH_REPORT_COUNT}, {"min_s", "min", BENCH_REPORT_SECONDS},                         \
      {"median_s", "median", BENCH_REPORT_SECONDS}, {"p95_s", "p95", BENCH_REPORT_SECONDS},       \
      {"mean_s", "mean", BENCH_REPORT_SECONDS}, {"interval95_s", "± 95 %", BENCH_REPORT_SECONDS}, \
      {"outliers", "outliers", BENCH_REPORT_COUNT},                                               \
      {"device_s", "on device", BENCH_REPORT_SECONDS},                                            \
  {                                                                                               \
    "joules", "joules", BENCH_REPORT_NUMBER                                                       \
  }

/* The columns derived from operations, bytes and time; bench_fill_shares fills in the shares at the
 * end. */
#define BENCH_REPORT_RATE_COLUMNS                                                                  \
  {"flop_per_s", "GFLOP/s", BENCH_REPORT_OPERATIONS_PER_S},                                        \
      {"bytes_per_s", "GB/s", BENCH_REPORT_BYTES_PER_S},                                           \
      {"flop_per_byte", "flop/byte", BENCH_REPORT_NUMBER},                                         \
      {"of_best", "of best GEMM", BENCH_REPORT_SHARE}, {"of_roof", "of roof", BENCH_REPORT_SHARE}, \
  {                                                                                                \
    "of_sheet", "of data sheet", BENCH_REPORT_SHARE                                                \
  }

typedef struct {
  char *text; /* for BENCH_REPORT_TEXT; owned */
  double number;
  bool present;
} bench_report_cell;

enum { BENCH_REPORT_NO_BACKEND = -1 };

typedef struct {
  int backend;             /* index into the report's, or BENCH_REPORT_NO_BACKEND */
  bench_report_cell *cell; /* [columns] */
  double *samples;         /* [sample_count] seconds of single runs; owned */
  size_t sample_count;
} bench_report_row;

typedef struct {
  const char *name;                   /* "gemm"; static */
  char *title;                        /* a title for readers; owned */
  const bench_report_column *columns; /* static; the first column names the row */
  size_t column_count;
  bench_report_row *rows;
  size_t row_count;
} bench_report_table;

/* A report. `facts` describe the conditions of measurement, a JSON object of strings and
 * numbers. */
typedef struct {
  json_t *facts;
  const char **backends; /* labels, borrowed */
  size_t backend_count;
  int backend; /* backend of the rows that are added next */
  bench_report_table *tables;
  size_t table_count, current;
  bool counts_instructions; /* seconds stand for instructions (measure.h); no rates are shown */
  bool out_of_memory;
} bench_report;

/* Functions that build a report record that memory is out, and bench_report_write returns it. */
void bench_report_begin(bench_report *r);
void bench_report_release(bench_report *r);
void bench_report_fact(bench_report *r, const char *key, const char *text);
void bench_report_fact_number(bench_report *r, const char *key, double number);
/* Assigns what follows to the backend with this label, which is borrowed; NULL for no backend. */
void bench_report_use_backend(bench_report *r, const char *label);
/* Selects the table of this name and title, creating it if needed; bench_report_add_row adds a row
 * to it. */
void bench_report_use_table(bench_report *r, const char *name, const char *title,
                            const bench_report_column *columns, size_t count);
void bench_report_add_row(bench_report *r);
/* Set cells of the last row, by key. A number that is not finite leaves the cell empty. */
void bench_report_text(bench_report *r, const char *key, const char *text);
void bench_report_number(bench_report *r, const char *key, double number);
/* Sets the timing columns and the samples. */
void bench_report_timing(bench_report *r, const bench_measurement *m);

/* Finds a cell by its column's key; NULL if the table has no such column or the cell is empty. */
const bench_report_cell *bench_report_find(const bench_report_table *t, const bench_report_row *row,
                                           const char *key);
bool bench_report_set(const bench_report_table *t, bench_report_row *row, const char *key,
                      double number);

/* Notes date, machine, load and the build's commit. Returns the load for each processor that the
 * system has; below 0: unknown. */
double bench_report_machine(bench_report *r);

/* The key of a column in JSON and CSV: where instructions are counted, "median_s" is
 * "median_instructions". `text` is for it, if need be. */
enum { BENCH_REPORT_KEY = 64 };
const char *bench_report_key(const bench_report *r, const char *key, char text[BENCH_REPORT_KEY]);
/* Whether a column is written: no rates where instructions are counted. */
bool bench_report_has_column(const bench_report *r, const bench_report_column *column);

/* report_ci.c: the formats of services that watch the speed of commits: Bencher's BMF, and the
 * custom one of github-action-benchmark. One entry for each timed case. */
CDL_MUST_USE cdl_status bench_report_write_bmf(const bench_report *r, FILE *file);
CDL_MUST_USE cdl_status bench_report_write_github(const bench_report *r, FILE *file);

/* Writes the report; `format` is text, markdown, json, csv, bmf or github. */
CDL_MUST_USE cdl_status bench_report_write(const bench_report *r, const char *format, FILE *file);
/* Writes the report to a file, completely or not at all; `path` NULL means standard output. */
CDL_MUST_USE cdl_status bench_report_save(const bench_report *r, const char *format,
                                          const char *path);

#endif
