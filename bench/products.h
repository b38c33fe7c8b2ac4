/* The matrix products of a training step: recorded from the step's own calls, then run without the
 * rest. */
#ifndef CONDLORA_BENCH_PRODUCTS_H
#define CONDLORA_BENCH_PRODUCTS_H

#include "condlora/backend.h"

/* One product as cdl_gemm takes it. Activations and adapters are the step's own memory. Copies of
 * packed weights and scratch memory stand in for tensors that a caller cannot see. Float32 memory
 * of the same shape stands in for activations of BF16, which cdl_gemm does not take. */
typedef struct {
  cdl_gemm_args args;
  const cdl_weight *weight;    /* `b` is a copy of this weight */
  bool scratch_a, scratch_out; /* the tensor is in the list's scratch */
  cdl_op op;                   /* the op that the product belongs to */
} bench_product;

enum { BENCH_OPERANDS = 3 };

/* Plain matrices with the sizes of packed weights, shared by lists; their values do not matter. */
typedef struct {
  struct {
    const cdl_weight *weight;
    cdl_buffer *buffer;
  } * copy;
  size_t count;
} bench_product_weights;
void bench_product_weights_release(bench_product_weights *weights);

typedef struct {
  bench_product *item;
  size_t count, capacity;
  double operations; /* sum of 2 m n k */
  cdl_buffer *scratch;
  int64_t scratch_elements;
  cdl_buffer *narrow[BENCH_OPERANDS]; /* for BF16 activations: out, a and b */
  cdl_status status;                  /* the first failure while recording */
} bench_product_list;

/* Adds the products that one call of any op computes. `args` is the op's argument struct. */
void bench_products_of_call(bench_product_list *list, cdl_op op, const void *args);

/* Begins and ends recording of every call on the queue's backend. */
void bench_products_record_begin(bench_product_list *list, cdl_backend *backend);
CDL_MUST_USE cdl_status bench_products_record_end(bench_product_list *list, cdl_queue *queue,
                                                  bench_product_weights *weights);

/* Enqueues all products in their order. It overwrites activations and gradients of the recorded
 * step. */
void bench_products_replay(const bench_product_list *list, cdl_queue *queue);
void bench_products_release(bench_product_list *list);

#endif
