/* A valid call of every op, over a backend that only notes it: what the tests of argument checks
 * change for the worse. */
#ifndef CONDLORA_TESTS_UNIT_OP_SAMPLES_H
#define CONDLORA_TESTS_UNIT_OP_SAMPLES_H

#include <check.h>
#include <math.h>

#include "condlora/backend.h"
#include "tests/unit/plugins/find.h"

enum { BYTES = 1 << 16 };

static cdl_backend *backend, *foreign;
static cdl_queue *queue;
static cdl_buffer *buffer, *foreign_buffer;
static cdl_weight *weight;
static recording *seen;
static int64_t next_byte;

static inline cdl_tensor take(cdl_dtype dtype, int64_t n0, int64_t n1, int64_t n2, int64_t n3)
{
  const int64_t at = next_byte / (int64_t)cdl_dtype_bytes(dtype);
  next_byte += (n0 * n1 * n2 * n3 + 64) * 8;
  next_byte = (next_byte + 63) / 64 * 64;
  ck_assert_int_lt(next_byte, BYTES);
  return cdl_tensor_4d(buffer, dtype, at, n0, n1, n2, n3);
}

static inline cdl_tensor take_matrix(int64_t rows, int64_t columns)
{
  return take(CDL_DTYPE_F32, 1, 1, rows, columns);
}

static inline cdl_tensor take_vector(int64_t columns)
{
  return take(CDL_DTYPE_F32, 1, 1, 1, columns);
}

static inline cdl_tensor take_index(int64_t columns)
{
  return take(CDL_DTYPE_I32, 1, 1, 1, columns);
}

static inline cdl_tensor take_step(void)
{
  return take(CDL_DTYPE_U8, 1, 1, 1, sizeof(cdl_step_record));
}

static inline void set_up(void)
{
  cdl_backend *other;
  ck_assert_int_eq(cdl_backend_open(plugin_path("complete"), NULL, &backend), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_backend_open(plugin_path("complete"), NULL, &other), CDL_STATUS_OK);
  foreign = other;
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_create(backend, BYTES, &buffer), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_create(foreign, BYTES, &foreign_buffer), CDL_STATUS_OK);
  seen = plugin_variable("complete", "recorded");
  next_byte = 0;
  const cdl_tensor source = take_matrix(6, 4);
  ck_assert_int_eq(cdl_weight_create(queue, &source, 1, &weight), CDL_STATUS_OK);
}

static inline void tear_down(void)
{
  cdl_weight_destroy(weight);
  cdl_buffer_destroy(buffer);
  cdl_buffer_destroy(foreign_buffer);
  cdl_queue_destroy(queue);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_backend_close(foreign), CDL_STATUS_OK);
}

/* ---- A valid call of each op ---- */

/* Of a tensor: written; may be left out; may have another size; may be the next tensor's very
 * view. */
enum { INPUT = 0, WRITTEN = 1, MAY_LACK = 2, ANY_SIZE = 4 };

typedef struct {
  const char *name;
  cdl_tensor *tensor;
  int flags;
} part;

typedef struct {
  union {
#define CDL_OP(name, tier) cdl_##name##_args name;
#include "condlora/ops.def"
#undef CDL_OP
    char space[2048];
  } args;
  cdl_packing packing;
  part parts[20];
  int count;
} sample;

static const int32_t host_offsets[] = {0, 2, 2, 5}, host_examples[] = {7, 8, 9};

static inline void add(sample *s, const char *name, cdl_tensor *tensor, cdl_tensor value, int flags)
{
  *tensor = value;
  s->parts[s->count++] = (part){name, tensor, flags};
}

#define PART(op, member, value, flags) add(s, #member, &s->args.op.member, value, flags)
#define SET(op, member, value) s->args.op.member = value

static inline const cdl_packing *packing(sample *s)
{
  s->packing = (cdl_packing){.host_offsets = host_offsets,
                             .host_examples = host_examples,
                             .sequences = 3,
                             .tokens = 5,
                             .longest = 3};
  add(s, "packing->offsets", &s->packing.offsets, take_index(4), INPUT);
  add(s, "packing->examples", &s->packing.examples, take_index(3), INPUT);
  return &s->packing;
}

static inline cdl_tensor any_shape(void)
{
  return take(CDL_DTYPE_F32, 2, 3, 4, 5);
}

static inline void make_copy(sample *s)
{
  PART(copy, out, any_shape(), WRITTEN);
  PART(copy, x, any_shape(), INPUT);
}

static inline void make_cast(sample *s)
{
  PART(cast, out, take(CDL_DTYPE_BF16, 2, 3, 4, 5), WRITTEN);
  PART(cast, x, any_shape(), INPUT);
}

static inline void make_permute(sample *s)
{
  PART(permute, out, take(CDL_DTYPE_F32, 5, 3, 2, 4), WRITTEN);
  PART(permute, x, any_shape(), INPUT);
  memcpy(s->args.permute.order, (uint8_t[]){3, 1, 0, 2}, 4);
}

static inline void make_fill(sample *s)
{
  PART(fill, out, any_shape(), WRITTEN | ANY_SIZE);
  SET(fill, value, -INFINITY);
}

static inline void make_gather_rows(sample *s)
{
  PART(gather_rows, out, take_matrix(5, 3), WRITTEN);
  PART(gather_rows, table, take_matrix(7, 3), INPUT);
  PART(gather_rows, index, take_index(5), INPUT);
}

static inline void make_scatter_add_rows(sample *s)
{
  PART(scatter_add_rows, table, take_matrix(7, 3), WRITTEN);
  PART(scatter_add_rows, x, take_matrix(5, 3), INPUT);
  PART(scatter_add_rows, order, take_index(5), INPUT);
  PART(scatter_add_rows, segment, take_index(3), INPUT);
  PART(scatter_add_rows, target, take_index(2), INPUT);
}

static inline void make_gemm(sample *s)
{
  PART(gemm, out, take(CDL_DTYPE_F32, 2, 3, 4, 5), WRITTEN);
  PART(gemm, a, take(CDL_DTYPE_F32, 2, 3, 4, 6), INPUT);
  PART(gemm, b, take(CDL_DTYPE_F32, 2, 3, 6, 5), INPUT);
  SET(gemm, alpha, 1);
}

static inline void make_unary(sample *s)
{
  PART(unary, out, any_shape(), WRITTEN);
  PART(unary, x, any_shape(), INPUT);
  SET(unary, activation, CDL_ACTIVATION_MISH);
}

static inline void make_unary_grad(sample *s)
{
  PART(unary_grad, d_x, any_shape(), WRITTEN);
  PART(unary_grad, d_out, any_shape(), INPUT);
  PART(unary_grad, x, any_shape(), INPUT);
  SET(unary_grad, activation, CDL_ACTIVATION_GELU);
}

static inline void make_binary(sample *s)
{
  PART(binary, out, any_shape(), WRITTEN);
  PART(binary, x, any_shape(), INPUT);
  PART(binary, y, take(CDL_DTYPE_F32, 2, 3, 4, 5), INPUT);
  SET(binary, function, CDL_BINARY_MINIMUM);
}

static inline void make_axpby(sample *s)
{
  PART(axpby, out, any_shape(), WRITTEN);
  PART(axpby, x, any_shape(), INPUT);
}

static inline void make_reduce(sample *s)
{
  PART(reduce, out, take(CDL_DTYPE_F32, 2, 1, 4, 5), WRITTEN);
  PART(reduce, x, any_shape(), INPUT);
  SET(reduce, axis, 1);
}

static inline void make_softmax(sample *s)
{
  PART(softmax, out, any_shape(), WRITTEN);
  PART(softmax, x, any_shape(), INPUT);
  SET(softmax, scale, 1);
}

static inline void make_softmax_grad(sample *s)
{
  PART(softmax_grad, d_x, any_shape(), WRITTEN);
  PART(softmax_grad, d_out, any_shape(), INPUT);
  PART(softmax_grad, out, any_shape(), INPUT);
  SET(softmax_grad, scale, 1);
}

static inline void make_layer_norm(sample *s)
{
  PART(layer_norm, out, take_matrix(5, 3), WRITTEN);
  PART(layer_norm, x, take_matrix(5, 3), INPUT);
  PART(layer_norm, gain, take_vector(3), INPUT);
  PART(layer_norm, bias, take_vector(3), INPUT);
  PART(layer_norm, mean, take_vector(5), WRITTEN | MAY_LACK);
  PART(layer_norm, rstd, take_vector(5), WRITTEN | MAY_LACK);
  SET(layer_norm, epsilon, 1e-5f);
}

static inline void make_layer_norm_grad(sample *s)
{
  PART(layer_norm_grad, d_x, take_matrix(5, 3), WRITTEN | MAY_LACK);
  PART(layer_norm_grad, d_gain, take_vector(3), WRITTEN | MAY_LACK);
  PART(layer_norm_grad, d_bias, take_vector(3), WRITTEN | MAY_LACK);
  PART(layer_norm_grad, d_out, take_matrix(5, 3), INPUT);
  PART(layer_norm_grad, x, take_matrix(5, 3), INPUT);
  PART(layer_norm_grad, gain, take_vector(3), INPUT);
  PART(layer_norm_grad, mean, take_vector(5), INPUT);
  PART(layer_norm_grad, rstd, take_vector(5), INPUT);
}

static inline void make_dropout(sample *s)
{
  PART(dropout, out, take_matrix(5, 3), WRITTEN);
  PART(dropout, x, take_matrix(5, 3), INPUT);
  PART(dropout, mask.step, take_step(), ANY_SIZE);
  SET(dropout, mask.probability, 0.5f);
  SET(dropout, packing, packing(s));
}

static inline void make_cross_entropy(sample *s)
{
  PART(cross_entropy, loss, take_vector(1), WRITTEN | MAY_LACK);
  PART(cross_entropy, d_logits, take_matrix(5, 3), WRITTEN | MAY_LACK);
  PART(cross_entropy, logits, take_matrix(5, 3), INPUT);
  PART(cross_entropy, labels, take_index(5), INPUT);
  PART(cross_entropy, class_weight, take_vector(3), MAY_LACK);
  PART(cross_entropy, step, take_step(), ANY_SIZE);
}

static inline void make_binary_cross_entropy(sample *s)
{
  PART(binary_cross_entropy, loss, take_vector(1), WRITTEN | MAY_LACK);
  PART(binary_cross_entropy, d_logits, take_matrix(5, 3), WRITTEN | MAY_LACK);
  PART(binary_cross_entropy, logits, take_matrix(5, 3), INPUT);
  PART(binary_cross_entropy, targets, take_matrix(5, 3), INPUT);
  PART(binary_cross_entropy, pos_weight, take_vector(3), INPUT | MAY_LACK);
  PART(binary_cross_entropy, step, take_step(), ANY_SIZE);
}

static inline void make_squared_error(sample *s)
{
  PART(squared_error, loss, take_vector(1), WRITTEN | MAY_LACK);
  PART(squared_error, d_out, take_matrix(5, 1), WRITTEN | MAY_LACK);
  PART(squared_error, out, take_matrix(5, 1), INPUT);
  PART(squared_error, target, take_vector(5), INPUT);
  PART(squared_error, step, take_step(), ANY_SIZE);
}

static inline void make_adamw(sample *s)
{
  PART(adamw, parameter, any_shape(), WRITTEN);
  PART(adamw, moment1, any_shape(), WRITTEN);
  PART(adamw, moment2, any_shape(), WRITTEN);
  PART(adamw, gradient, any_shape(), INPUT);
  PART(adamw, grad_scale, take_vector(1), MAY_LACK);
  PART(adamw, step, take_step(), ANY_SIZE);
  SET(adamw, beta1, 0.9f);
  SET(adamw, beta2, 0.999f);
  SET(adamw, epsilon, 1e-8f);
  SET(adamw, rate, 1);
}

static inline void make_any_non_finite(sample *s)
{
  PART(any_non_finite, flag, take_index(1), WRITTEN);
  PART(any_non_finite, x, any_shape(), ANY_SIZE);
}

static inline void make_linear(sample *s)
{
  PART(linear, out, take_matrix(5, 6), WRITTEN);
  PART(linear, pre, take_matrix(5, 6), WRITTEN | MAY_LACK);
  PART(linear, x, take_matrix(5, 4), INPUT);
  PART(linear, bias, take_vector(6), MAY_LACK);
  SET(linear, weight, weight);
  SET(linear, activation, CDL_ACTIVATION_GELU);
}

static inline void make_linear_grad(sample *s)
{
  PART(linear_grad, d_x, take_matrix(5, 4), WRITTEN);
  PART(linear_grad, d_out, take_matrix(5, 6), INPUT);
  PART(linear_grad, pre, take_matrix(5, 4), INPUT);
  SET(linear_grad, weight, weight);
  SET(linear_grad, activation, CDL_ACTIVATION_GELU);
}

static inline void make_low_rank(sample *s)
{
  PART(low_rank, out, take_matrix(5, 6), WRITTEN);
  PART(low_rank, hidden, take_matrix(5, 2), WRITTEN);
  PART(low_rank, x, take_matrix(5, 4), INPUT);
  PART(low_rank, a, take_matrix(2, 4), INPUT);
  PART(low_rank, b, take_matrix(6, 2), INPUT);
  PART(low_rank, more[0].out, take_matrix(5, 3), WRITTEN);
  PART(low_rank, more[0].hidden, take_matrix(5, 4), WRITTEN);
  PART(low_rank, more[0].a, take_matrix(4, 4), INPUT);
  PART(low_rank, more[0].b, take_matrix(3, 4), INPUT);
  PART(low_rank, more[1].out, take_matrix(5, 7), WRITTEN);
  PART(low_rank, more[1].hidden, take_matrix(5, 3), WRITTEN);
  PART(low_rank, more[1].a, take_matrix(3, 4), INPUT);
  PART(low_rank, more[1].b, take_matrix(7, 3), INPUT);
  SET(low_rank, scale, 2);
  SET(low_rank, more[0].scale, 1);
  SET(low_rank, more[1].scale, -1);
}

static inline void make_low_rank_grad(sample *s)
{
  PART(low_rank_grad, d_x, take_matrix(5, 4), WRITTEN | MAY_LACK);
  PART(low_rank_grad, d_a, take_matrix(2, 4), WRITTEN | MAY_LACK);
  PART(low_rank_grad, d_b, take_matrix(6, 2), WRITTEN | MAY_LACK);
  PART(low_rank_grad, d_out, take_matrix(5, 6), INPUT);
  PART(low_rank_grad, hidden, take_matrix(5, 2), INPUT);
  PART(low_rank_grad, x, take_matrix(5, 4), INPUT);
  PART(low_rank_grad, a, take_matrix(2, 4), INPUT);
  PART(low_rank_grad, b, take_matrix(6, 2), INPUT);
  PART(low_rank_grad, more[0].d_a, take_matrix(4, 4), WRITTEN | MAY_LACK);
  PART(low_rank_grad, more[0].d_b, take_matrix(3, 4), WRITTEN | MAY_LACK);
  PART(low_rank_grad, more[0].d_out, take_matrix(5, 3), INPUT);
  PART(low_rank_grad, more[0].hidden, take_matrix(5, 4), INPUT);
  PART(low_rank_grad, more[0].a, take_matrix(4, 4), INPUT);
  PART(low_rank_grad, more[0].b, take_matrix(3, 4), INPUT);
  PART(low_rank_grad, more[1].d_a, take_matrix(3, 4), WRITTEN | MAY_LACK);
  PART(low_rank_grad, more[1].d_b, take_matrix(7, 3), WRITTEN | MAY_LACK);
  PART(low_rank_grad, more[1].d_out, take_matrix(5, 7), INPUT);
  PART(low_rank_grad, more[1].hidden, take_matrix(5, 3), INPUT);
  PART(low_rank_grad, more[1].a, take_matrix(3, 4), INPUT);
  PART(low_rank_grad, more[1].b, take_matrix(7, 3), INPUT);
  SET(low_rank_grad, scale, 2);
  SET(low_rank_grad, more[0].scale, 1);
  SET(low_rank_grad, more[1].scale, -1);
}

static inline void make_add_layer_norm_grad(sample *s)
{
  PART(add_layer_norm_grad, d_x, take_matrix(5, 3), WRITTEN);
  PART(add_layer_norm_grad, d_sum, take_matrix(5, 3), WRITTEN);
  PART(add_layer_norm_grad, d_gain, take_vector(3), WRITTEN | MAY_LACK);
  PART(add_layer_norm_grad, d_bias, take_vector(3), WRITTEN | MAY_LACK);
  PART(add_layer_norm_grad, d_out, take_matrix(5, 3), INPUT);
  PART(add_layer_norm_grad, sum, take_matrix(5, 3), INPUT);
  PART(add_layer_norm_grad, gain, take_vector(3), INPUT);
  PART(add_layer_norm_grad, mean, take_vector(5), INPUT);
  PART(add_layer_norm_grad, rstd, take_vector(5), INPUT);
  PART(add_layer_norm_grad, mask.step, take_step(), ANY_SIZE);
  SET(add_layer_norm_grad, mask.probability, 0.5f);
  SET(add_layer_norm_grad, packing, packing(s));
}

static inline void make_map_weights(sample *s)
{
  PART(map_weights, a, take(CDL_DTYPE_F32, 2, 3, 2, 4), WRITTEN);
  PART(map_weights, b, take(CDL_DTYPE_F32, 2, 3, 5, 2), WRITTEN);
  PART(map_weights, theta_a, take(CDL_DTYPE_F32, 2, 3, 2, 5), INPUT);
  PART(map_weights, theta_b, take(CDL_DTYPE_F32, 2, 3, 2, 4), INPUT);
  PART(map_weights, weight, take(CDL_DTYPE_F32, 2, 3, 5, 4), INPUT);
}

static inline void make_map_weights_grad(sample *s)
{
  PART(map_weights_grad, d_theta_a, take(CDL_DTYPE_F32, 2, 1, 2, 5), WRITTEN | MAY_LACK);
  PART(map_weights_grad, d_theta_b, take(CDL_DTYPE_F32, 2, 1, 2, 4), WRITTEN);
  PART(map_weights_grad, d_a, take(CDL_DTYPE_F32, 2, 3, 2, 4), INPUT);
  PART(map_weights_grad, d_b, take(CDL_DTYPE_F32, 2, 3, 5, 2), INPUT);
  PART(map_weights_grad, weight, take(CDL_DTYPE_F32, 2, 3, 5, 4), INPUT);
}

static inline void make_add_layer_norm(sample *s)
{
  PART(add_layer_norm, out, take_matrix(5, 3), WRITTEN);
  PART(add_layer_norm, sum, take_matrix(5, 3), WRITTEN);
  PART(add_layer_norm, x, take_matrix(5, 3), INPUT);
  PART(add_layer_norm, residual, take_matrix(5, 3), INPUT);
  PART(add_layer_norm, gain, take_vector(3), INPUT);
  PART(add_layer_norm, bias, take_vector(3), INPUT);
  PART(add_layer_norm, mean, take_vector(5), WRITTEN | MAY_LACK);
  PART(add_layer_norm, rstd, take_vector(5), WRITTEN | MAY_LACK);
}

static inline void make_attention(sample *s)
{
  PART(attention, out, take_matrix(5, 6), WRITTEN);
  PART(attention, qkv, take_matrix(5, 18), INPUT);
  PART(attention, log_sum, take_matrix(2, 5), WRITTEN | MAY_LACK);
  PART(attention, bias, take_matrix(2, 7), INPUT | MAY_LACK);
  PART(attention, mask.step, take_step(), ANY_SIZE);
  SET(attention, heads, 2);
  SET(attention, scale, 0.5f);
  SET(attention, mask.probability, 0.1f);
  SET(attention, packing, packing(s));
}

static inline void make_attention_grad(sample *s)
{
  PART(attention_grad, d_qkv, take_matrix(5, 18), WRITTEN);
  PART(attention_grad, d_out, take_matrix(5, 6), INPUT);
  PART(attention_grad, qkv, take_matrix(5, 18), INPUT);
  PART(attention_grad, log_sum, take_matrix(2, 5), INPUT);
  PART(attention_grad, bias, take_matrix(2, 7), INPUT);
  PART(attention_grad, d_bias, take_matrix(2, 7), WRITTEN | MAY_LACK);
  PART(attention_grad, out, take_matrix(5, 6), MAY_LACK);
  PART(attention_grad, mask.step, take_step(), ANY_SIZE);
  SET(attention_grad, heads, 2);
  SET(attention_grad, scale, 0.5f);
  SET(attention_grad, mask.probability, 0.1f);
  SET(attention_grad, packing, packing(s));
}

static inline void make_clip_norm(sample *s)
{
  PART(clip_norm, norm, take_vector(1), WRITTEN);
  PART(clip_norm, factor, take_vector(1), WRITTEN);
  PART(clip_norm, gradient, any_shape(), ANY_SIZE);
}

static inline void make_svd(sample *s)
{
  PART(svd, u, take_matrix(4, 3), WRITTEN);
  PART(svd, sigma, take_vector(3), WRITTEN);
  PART(svd, vt, take_matrix(3, 3), WRITTEN);
  PART(svd, a, take_matrix(4, 3), INPUT);
}

static inline void make_lu_solve(sample *s)
{
  PART(lu_solve, x, take_matrix(4, 3), WRITTEN);
  PART(lu_solve, a, take_matrix(4, 4), INPUT);
  PART(lu_solve, b, take_matrix(4, 3), INPUT);
}

static inline void make_lu_inverse(sample *s)
{
  PART(lu_inverse, out, take_matrix(4, 4), WRITTEN);
  PART(lu_inverse, a, take_matrix(4, 4), INPUT);
}

static inline void make_qr(sample *s)
{
  PART(qr, q, take_matrix(4, 3), WRITTEN);
  PART(qr, r, take_matrix(3, 3), WRITTEN);
  PART(qr, a, take_matrix(4, 3), INPUT);
}

static inline void make_eigh(sample *s)
{
  PART(eigh, values, take_vector(4), WRITTEN);
  PART(eigh, vectors, take_matrix(4, 4), WRITTEN | MAY_LACK);
  PART(eigh, a, take_matrix(4, 4), INPUT);
}

static inline void make(cdl_op op, sample *s)
{
  memset(s, 0, sizeof *s);
  next_byte = 1024;
  switch (op) {
#define CDL_OP(name, tier)                         \
  case CDL_OP_##name:                              \
    s->args.name.size = sizeof(cdl_##name##_args); \
    make_##name(s);                                \
    break;
#include "condlora/ops.def"
#undef CDL_OP
  case CDL_OP_COUNT:
    break;
  }
}

/* ---- What a call comes to ---- */

static inline cdl_status call(cdl_op op, const void *args)
{
  cdl_queue *fresh;
  ck_assert_int_eq(cdl_queue_create(backend, &fresh), CDL_STATUS_OK);
  switch (op) {
#define CDL_OP(name, tier)   \
  case CDL_OP_##name:        \
    cdl_##name(fresh, args); \
    break;
#include "condlora/ops.def"
#undef CDL_OP
  case CDL_OP_COUNT:
    break;
  }
  const cdl_status status = cdl_queue_sync(fresh);
  cdl_queue_destroy(fresh);
  return status;
}

static inline void assert_refused(cdl_op op, const sample *s, const char *word, const char *what)
{
  const int before = seen->calls[op];
  const cdl_status status = call(op, &s->args);
  ck_assert_msg(status == CDL_STATUS_ARGUMENT, "%s: %s was %s", cdl_op_name(op), what,
                cdl_status_name(status));
  const size_t length = strlen(cdl_op_name(op));
  ck_assert_msg(strncmp(cdl_error_message(), cdl_op_name(op), length) == 0 &&
                    cdl_error_message()[length] == ':' && strstr(cdl_error_message(), word) != NULL,
                "%s, %s: '%s' lacks '%s'", cdl_op_name(op), what, cdl_error_message(), word);
  ck_assert_int_eq(seen->calls[op], before);
}

static inline void assert_taken(cdl_op op, const sample *s, const char *what)
{
  const int before = seen->calls[op];
  const cdl_status status = call(op, &s->args);
  ck_assert_msg(status == CDL_STATUS_OK, "%s, %s: %s", cdl_op_name(op), what, cdl_error_message());
  ck_assert_msg(seen->calls[op] == before + 1, "%s, %s: the backend was not called",
                cdl_op_name(op), what);
}

#endif
