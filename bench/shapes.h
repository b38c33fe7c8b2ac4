/* The sizes on which workloads run: those of known encoders, or of a traced run. */
#ifndef CONDLORA_BENCH_SHAPES_H
#define CONDLORA_BENCH_SHAPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_SHAPE_NAME_BYTES = 64 };

/* op(a) [m, k] times op(b) [k, n], as a batch of `batch` products. */
typedef struct {
  char what[BENCH_SHAPE_NAME_BYTES];
  int64_t m, n, k, batch;
  bool transpose_a, transpose_b, quick; /* `quick`: included in a quick run */
} bench_gemm_shape;

typedef struct {
  char what[BENCH_SHAPE_NAME_BYTES];
  int64_t m, n;
  bool quick;
} bench_svd_shape;

typedef struct {
  char what[BENCH_SHAPE_NAME_BYTES];
  int32_t *lengths; /* [sequences] tokens; owned */
  int32_t sequences, heads, width;
  int32_t distances; /* of attention's bias; 0: it has none */
  bool quick;
} bench_attention_shape;

/* Activations of maps and norms: `sequences` of `length` tokens each. */
typedef struct {
  int32_t sequences, length, heads, hidden, wide;
} bench_activation_shape;

typedef struct {
  bench_gemm_shape *gemm;
  bench_svd_shape *svd;
  bench_attention_shape *attention;
  size_t gemm_count, svd_count, attention_count;
  bench_activation_shape activations;
  const char *encoder; /* the encoder's shape for train without a model: "base" or "large" */
  /* Lengths of the examples of each batch in a trace, for train. */
  bench_attention_shape *batches;
  size_t batch_count;
} bench_shapes;

void bench_shapes_release(bench_shapes *shapes);

/* These add a shape and return false when memory is out. Lengths are copied. */
bool bench_shapes_add_gemm(bench_shapes *shapes, bench_gemm_shape shape);
bool bench_shapes_add_svd(bench_shapes *shapes, bench_svd_shape shape);
bool bench_shapes_add_attention(bench_shapes *shapes, bench_attention_shape shape);
bool bench_shapes_add_batch(bench_shapes *shapes, bench_attention_shape shape);

#endif
