/* What the workloads share: the backend under measurement, the options and the report. */
#ifndef CONDLORA_BENCH_BENCH_H
#define CONDLORA_BENCH_BENCH_H

#include "base/option.h"
#include "bench/measure.h"
#include "bench/report.h"
#include "bench/shapes.h"
#include "condlora/backend.h"
#include "condlora/random.h"

typedef struct {
  bool quick, ops, cold, no_record;
  const char *backends; /* "cpu", "cpu,opencl:1", "all" */
  const char *precision, *clock, *format, *output, *plot, *shapes, *parameters;
  const char *model, *task, *data, *lengths, *devices, *measured;
  base_strings assume;
  int64_t threads, batch_size, joint, top;
  double seconds; /* how long to measure the training step, or to tune; 0: the workload's default */
} bench_options;

/* Peak operations and bytes per second; 0 if unknown. */
typedef struct {
  double flop_per_s, bytes_per_s;
} bench_peak;

/* One backend under measurement. */
typedef struct {
  bench_options options;
  char *label;   /* "cpu", "opencl:1"; owned */
  bool emulated; /* the device is an emulator, whose rates mean nothing */
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *evict;           /* memory of effort.evict; NULL: caches stay warm */
  bench_measure_effort effort; /* for one case */
  double best_gemm,
      copy_rate; /* rates of the fastest float32 product and of the copy in this run, per second */
  const bench_shapes *shapes;
  bench_report *report;
} bench;

/* backends.c: opens all backends that `options->backends` names; with "all", those that open. The
 * others are listed with their reason in the report's table "absent". */
typedef struct {
  bench *item;
  size_t count;
} bench_list;
CDL_MUST_USE cdl_status bench_open(const bench_options *options, const bench_shapes *shapes,
                                   bench_report *r, bench_list *list);
void bench_close(bench_list *list);
/* Reports the device, its peaks and the path of each op. */
CDL_MUST_USE cdl_status bench_report_backend(const bench *b);
/* Returns the rounding unit of a product's factors: 2⁻²⁴ in float32. */
double bench_unit(const bench *b);

/* peaks.c: returns the size of a buffer such that no cache holds two of them. */
int64_t bench_large_bytes(void);
/* Returns the data sheet's peak, by the description of the device. With `training`, it is the peak
 * of a training step, whose frozen layers multiply in bf16 at that precision. `*source` is NULL if
 * nothing is known. */
bench_peak bench_sheet_peak(const char *description, const char *precision, bool training,
                            const char **source);
/* Fills in the shares of the peaks for every row that has rates. */
void bench_fill_shares(bench_report *r, const bench_list *list);

/* The workloads. Each measures its cases and adds its tables. Errors: NUMERIC for a wrong
 * result. */
cdl_status bench_gemm(bench *b);
cdl_status bench_svd(bench *b);
cdl_status bench_elementwise(bench *b);
cdl_status bench_attention(bench *b);
cdl_status bench_train(bench *b);
cdl_status bench_joint(bench *b); /* train, of several runs in one pass */
cdl_status bench_top(bench *b);   /* train, above frozen layers */
cdl_status bench_inference(bench *b);

/* gemm.c: measures a few large products and a large copy, if that has not been done yet, to set
 * best_gemm and copy_rate. With `again`, the products are measured again in any case. */
CDL_MUST_USE cdl_status bench_find_peak(bench *b, bool again);

/* gemm.c: checks a product, then measures it; `*seconds` is the median. */
CDL_MUST_USE cdl_status bench_time_product(bench *b, const bench_gemm_shape *shape,
                                           double *seconds);

/* samples.c: device memory with known contents. bench_samples_release frees all of it. */
typedef struct {
  cdl_queue *queue;
  cdl_random random;
  cdl_buffer **buffers;
  cdl_weight **weights;
  size_t buffer_count, weight_count;
  cdl_status status; /* the first failure; later calls do nothing */
} bench_samples;

bench_samples bench_samples_begin(cdl_queue *queue, uint32_t layer);
void bench_samples_release(bench_samples *s);
/* Makes [rows, columns] F32 of normal numbers with this deviation; 0 gives zeros. The result is an
 * absent tensor after a failure. */
cdl_tensor bench_sample(bench_samples *s, int64_t rows, int64_t columns, double deviation);
/* Makes [count] F32 of one value. */
cdl_tensor bench_sample_constant(bench_samples *s, int64_t count, double value);
/* Uploads [count] I32, or U8, from the host. */
cdl_tensor bench_sample_integers(bench_samples *s, const int32_t *values, int64_t count);
cdl_tensor bench_sample_bytes(bench_samples *s, const void *bytes, int64_t count);
/* Makes a weight of one matrix, `source` [rows, columns]. */
const cdl_weight *bench_sample_weight(bench_samples *s, cdl_tensor source);
/* Downloads a dense tensor; the caller frees `*values`, which is NULL after a failure. */
CDL_MUST_USE cdl_status bench_download(cdl_queue *queue, cdl_tensor t, float **values);

/* Checks a value. Errors: NUMERIC with "gemm 880x1152x384: element 17 is …" if |value − truth| >
 * bound. */
CDL_MUST_USE cdl_status bench_compare(const char *what, int64_t place, double value, double truth,
                                      double bound);

/* Shows the current case on stderr if that is a terminal. */
void bench_progress(const char *workload, const char *name);

#endif
