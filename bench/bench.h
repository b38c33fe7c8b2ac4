/* What the workloads share: where they run, what was asked for, where results go. */
#ifndef CONDLORA_BENCH_BENCH_H
#define CONDLORA_BENCH_BENCH_H

#include "bench/measure.h"
#include "bench/report.h"
#include "condlora/backend.h"
#include "condlora/random.h"

typedef struct {
  bool quick, ops;
  const char *backend, *clock, *format, *output;
  const char *model, *task, *data, *lengths;
  int64_t threads, batch_size;
  double seconds; /* of the training step's measurement; 0: as the workload likes */
} bench_options;

typedef struct {
  bench_options options;
  cdl_backend *backend;
  cdl_queue *queue;
  measure_effort effort; /* of one case */
  double best_gemm;      /* operations a second of the fastest float32 product so far in this run */
  report report;
} bench;

/* A workload measures its cases and adds its tables. A wrong result is NUMERIC. */
cdl_status bench_gemm(bench *b);
cdl_status bench_svd(bench *b);
cdl_status bench_elementwise(bench *b);
cdl_status bench_attention(bench *b);
cdl_status bench_train(bench *b);

/* gemm.c: runs a few large products if none has been measured yet, so that best_gemm means something; with `again`
 * once more in any case. */
CDL_MUST_USE cdl_status bench_find_peak(bench *b, bool again);

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
