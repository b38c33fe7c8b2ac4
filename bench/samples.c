#include "bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/console/log.h"

bench_samples bench_samples_begin(cdl_queue *queue, uint32_t layer)
{
  return (bench_samples){.queue = queue, .random = cdl_random_start(1, CDL_RANDOM_TEST, layer, 0)};
}

void bench_samples_release(bench_samples *s)
{
  for (size_t i = 0; i < s->weight_count; i++)
    cdl_weight_destroy(s->weights[i]);
  for (size_t i = 0; i < s->buffer_count; i++)
    cdl_buffer_destroy(s->buffers[i]);
  free(s->weights);
  free(s->buffers);
  *s = (bench_samples){0};
}

static cdl_buffer *new_buffer(bench_samples *s, size_t bytes)
{
  if (s->status != CDL_STATUS_OK)
    return NULL;
  cdl_buffer **buffers = realloc(s->buffers, (s->buffer_count + 1) * sizeof(cdl_buffer *));
  if (buffers == NULL) {
    s->status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: a list of buffers");
    return NULL;
  }
  s->buffers = buffers;
  s->status = cdl_buffer_create(cdl_queue_backend(s->queue), bytes > 0 ? bytes : 4,
                                &s->buffers[s->buffer_count]);
  return s->status == CDL_STATUS_OK ? s->buffers[s->buffer_count++] : NULL;
}

static void upload_normals(bench_samples *s, cdl_tensor t, double deviation)
{
  const size_t count = (size_t)cdl_tensor_elements(t);
  float *values = malloc((count + 1) * sizeof *values);
  if (values == NULL) {
    s->status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu values", count);
    return;
  }
  for (size_t i = 0; i < count;
       i++) { /* the sum of four bytes is close enough to normal, and fast */
    const uint32_t word = cdl_random_u32(&s->random);
    const double sum =
        (double)((word & 255u) + (word >> 8 & 255u) + (word >> 16 & 255u) + (word >> 24));
    values[i] = (float)((sum - 510.0) / 147.8 * deviation);
  }
  cdl_queue_upload(s->queue, t, values, count * sizeof *values);
  free(values);
}

cdl_tensor bench_sample(bench_samples *s, int64_t rows, int64_t columns, double deviation)
{
  cdl_buffer *buffer = new_buffer(s, (size_t)(rows * columns) * sizeof(float));
  if (buffer == NULL)
    return (cdl_tensor){0};
  const cdl_tensor t = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, rows, columns);
  if (deviation > 0)
    upload_normals(s, t, deviation);
  else
    cdl_fill(s->queue, CDL_ARGS(fill, .out = t));
  return t;
}

cdl_tensor bench_sample_constant(bench_samples *s, int64_t count, double value)
{
  cdl_buffer *buffer = new_buffer(s, (size_t)count * sizeof(float));
  if (buffer == NULL)
    return (cdl_tensor){0};
  const cdl_tensor t = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, count);
  cdl_fill(s->queue, CDL_ARGS(fill, .out = t, .value = value));
  return t;
}

cdl_tensor bench_sample_integers(bench_samples *s, const int32_t *values, int64_t count)
{
  cdl_buffer *buffer = new_buffer(s, (size_t)count * sizeof *values);
  if (buffer == NULL)
    return (cdl_tensor){0};
  const cdl_tensor t = cdl_tensor_1d(buffer, CDL_DTYPE_I32, 0, count);
  cdl_queue_upload(s->queue, t, values, (size_t)count * sizeof *values);
  return t;
}

cdl_tensor bench_sample_bytes(bench_samples *s, const void *bytes, int64_t count)
{
  cdl_buffer *buffer = new_buffer(s, (size_t)count);
  if (buffer == NULL)
    return (cdl_tensor){0};
  const cdl_tensor t = cdl_tensor_1d(buffer, CDL_DTYPE_U8, 0, count);
  cdl_queue_upload(s->queue, t, bytes, (size_t)count);
  return t;
}

const cdl_weight *bench_sample_weight(bench_samples *s, cdl_tensor source)
{
  if (s->status != CDL_STATUS_OK)
    return NULL;
  cdl_weight **weights = realloc(s->weights, (s->weight_count + 1) * sizeof(cdl_weight *));
  if (weights == NULL) {
    s->status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: a list of weights");
    return NULL;
  }
  s->weights = weights;
  s->status = cdl_weight_create(s->queue, &source, 1, &s->weights[s->weight_count]);
  return s->status == CDL_STATUS_OK ? s->weights[s->weight_count++] : NULL;
}

cdl_status bench_download(cdl_queue *queue, cdl_tensor t, float **values)
{
  const size_t bytes = (size_t)cdl_tensor_elements(t) * sizeof(float);
  *values = malloc(bytes + 1);
  if (*values == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu bytes to compare", bytes);
  cdl_queue_download(queue, *values, t, bytes);
  const cdl_status status = cdl_queue_sync(queue);
  if (status != CDL_STATUS_OK) {
    free(*values);
    *values = NULL;
  }
  return status;
}

cdl_status bench_compare(const char *what, int64_t place, double value, double truth, double bound)
{
  if (fabs(value - truth) <= bound) /* false for NaN */
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_NUMERIC,
                  "%s is wrong: element %lld is %.9g, expected %.9g within %.2g; nothing was timed",
                  what, (long long)place, value, truth, bound);
}

void bench_progress(const char *workload, const char *name)
{
  if (isatty(STDERR_FILENO) && !console_log_is_json())
    fprintf(stderr, "\r\033[K%s%s%s", workload, name[0] != '\0' ? " " : "", name);
}
