/* The matrix products of a training step: recorded from the very calls that the step makes, then run alone. */
#ifndef CONDLORA_BENCH_PRODUCTS_H
#define CONDLORA_BENCH_PRODUCTS_H

#include "condlora/backend.h"

/* One product as cdl_gemm takes it. Activations and adapters are the step's own memory; the copy of a packed weight, and
 * scratch, take the place of tensors that no caller sees. */
typedef struct {
  cdl_gemm_args args;
  const cdl_weight *weight;    /* b is this weight's copy */
  bool scratch_a, scratch_out; /* lies in the list's scratch */
  cdl_op op;                   /* it is part of */
} product;

/* Plain matrices of packed weights' sizes, shared by lists; their values do not matter. */
typedef struct {
  struct {
    const cdl_weight *weight;
    cdl_buffer *buffer;
  } * copy;
  size_t count;
} product_weights;
void product_weights_release(product_weights *weights);

typedef struct {
  product *item;
  size_t count, capacity;
  double operations; /* 2 m n k over all */
  cdl_buffer *scratch;
  int64_t scratch_elements;
  cdl_status status; /* the first failure while recording */
} product_list;

/* Adds the products that one call computes, whatever the op. `args` is the op's argument struct. */
void products_of_call(product_list *list, cdl_op op, const void *args);

/* Records every call on the queue's backend from begin to end. */
void products_record_begin(product_list *list, cdl_backend *backend);
CDL_MUST_USE cdl_status products_record_end(product_list *list, cdl_queue *queue,
                                            product_weights *weights);

/* Enqueues all of them in their order. Overwrites activations and gradients of the step they come from. */
void products_replay(const product_list *list, cdl_queue *queue);
void products_release(product_list *list);

#endif
