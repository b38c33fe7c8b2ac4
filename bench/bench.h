/* What the workloads share: where they run, what was asked for, where results go. */
#ifndef CONDLORA_BENCH_BENCH_H
#define CONDLORA_BENCH_BENCH_H

#include "bench/measure.h"
#include "bench/report.h"
#include "bench/shapes.h"
#include "condlora/backend.h"
#include "condlora/random.h"

typedef struct {
  bool quick, ops, cold;
  const char *backends; /* "cpu", "cpu,opencl:1", "all" */
  const char *precision, *clock, *format, *output, *plot, *shapes, *parameters;
  const char *model, *task, *data, *lengths;
  int64_t threads, batch_size;
  double seconds; /* of the training step's measurement, or of tuning; 0: as the workload likes */
} bench_options;

/* Operations and bytes a second; 0: not known. */
typedef struct {
  double flop_per_s, bytes_per_s;
} bench_peak;

/* One backend under measurement. */
typedef struct {
  bench_options options;
  char *label; /* "cpu", "opencl:1"; owned */
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *evict;     /* what effort.evict lies in; NULL: caches stay warm */
  measure_effort effort; /* of one case */
  double best_gemm,
      copy_rate; /* the fastest float32 product and the copy so far in this run, a second */
  const bench_shapes *shapes;
  report *report;
} bench;

/* backends.c: opens what `options->backends` names, all of it or, for "all", what there is; the others go to the report's
 * table "absent" with the reason. */
typedef struct {
  bench *item;
  size_t count;
} bench_list;
CDL_MUST_USE cdl_status bench_open(const bench_options *options, const bench_shapes *shapes,
                                   report *r, bench_list *list);
void bench_close(bench_list *list);
/* Where it ran, what its peaks are and which ops took which path. */
CDL_MUST_USE cdl_status bench_report_backend(const bench *b);
/* Rounding of a product's factors: 2⁻²⁴ in float32. */
double bench_unit(const bench *b);

/* peaks.c: the size of a buffer two of which no cache holds. */
int64_t bench_large_bytes(void);
/* The data sheet's peak, by what a backend says of its device; `training`: of a step, whose frozen layers multiply in
 * bf16 at that precision. `*source`: NULL where nothing is known. */
bench_peak bench_sheet_peak(const char *description, const char *precision, bool training,
                            const char **source);
/* Shares of the peaks for every row of the report with rates. */
void bench_fill_shares(report *r, const bench_list *list);

/* A workload measures its cases and adds its tables. A wrong result is NUMERIC. */
cdl_status bench_gemm(bench *b);
cdl_status bench_svd(bench *b);
cdl_status bench_elementwise(bench *b);
cdl_status bench_attention(bench *b);
cdl_status bench_train(bench *b);
cdl_status bench_inference(bench *b);

/* gemm.c: runs a few large products and a large copy if none has been measured yet, so that best_gemm and copy_rate mean
 * something; with `again` the products once more in any case. */
CDL_MUST_USE cdl_status bench_find_peak(bench *b, bool again);

/* gemm.c: the median of a product's times, once it is known to be right. */
CDL_MUST_USE cdl_status bench_time_product(bench *b, const gemm_shape *shape, double *seconds);

/* samples.c: device memory with known contents. Everything lives until bench_samples_release. */
typedef struct {
  cdl_queue *queue;
  cdl_random random;
  cdl_buffer **buffers;
  cdl_weight **weights;
  size_t buffer_count, weight_count;
  cdl_status status; /* the first failure: later calls do nothing */
} bench_samples;

bench_samples bench_samples_begin(cdl_queue *queue, uint32_t layer);
void bench_samples_release(bench_samples *s);
/* [rows, columns] F32, normal with the deviation given; 0: zeros. Absent after a failure. */
cdl_tensor bench_sample(bench_samples *s, int64_t rows, int64_t columns, double deviation);
/* [count] F32 of one value. */
cdl_tensor bench_sample_constant(bench_samples *s, int64_t count, double value);
/* [count] I32 from the host; U8 bytes from the host. */
cdl_tensor bench_sample_integers(bench_samples *s, const int32_t *values, int64_t count);
cdl_tensor bench_sample_bytes(bench_samples *s, const void *bytes, int64_t count);
/* A weight of one matrix [rows, columns]; `*source` is the matrix. */
const cdl_weight *bench_sample_weight(bench_samples *s, cdl_tensor source);
/* A dense tensor's contents on the host, to be freed; NULL and a status after a failure. */
CDL_MUST_USE cdl_status bench_download(cdl_queue *queue, cdl_tensor t, float **values);

/* "gemm 880x1152x384: element 17 is …": a NUMERIC error where |value − truth| > bound. */
CDL_MUST_USE cdl_status bench_compare(const char *what, int64_t place, double value, double truth,
                                      double bound);

/* A line on a terminal's stderr saying what is under way. */
void bench_progress(const char *workload, const char *name);

#endif
