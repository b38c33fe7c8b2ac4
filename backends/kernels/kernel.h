/* What the shared ops need from a device, and what a backend gets for it. OpenCL and CUDA differ in
 * how they launch a kernel and compute a product, not in what an op is. */
#ifndef CONDLORA_BACKENDS_KERNELS_KERNEL_H
#define CONDLORA_BACKENDS_KERNELS_KERNEL_H

#include "backends/kernels/parameters.h"
#include "condlora/plugin.h"

enum { KERNEL_BUFFERS = 13 };     /* the most that one kernel takes */
enum { KERNEL_WARP_GROUP = 128 }; /* work-items of a group with warps' collectives */

typedef enum {
#define KERNEL_ENTRY(name, buffers, parameters, barriers, program) KERNEL_##name,
#include "backends/kernels/kernels.def"
#undef KERNEL_ENTRY
  KERNEL_COUNT
} kernel_id;

typedef enum {
#define KERNEL_PROGRAM(name, files, options, backends) PROGRAM_##name,
#include "backends/kernels/programs.def"
#undef KERNEL_PROGRAM
  PROGRAM_COUNT
} kernel_program;

/* The backends that have a program: a set of bits. */
typedef enum {
  KERNEL_FOR_OPENCL = 1,
  KERNEL_FOR_CUDA = 2,
  KERNEL_FOR_EVERY = KERNEL_FOR_OPENCL | KERNEL_FOR_CUDA
} kernel_backends;

typedef struct {
  const char *name;
  int buffer_count;
  size_t parameter_bytes;
  kernel_program program;
  kernel_backends backends; /* the program's: no other backend has this kernel */
  int group_size;           /* 0: the device's */
} kernel_info;

/* The rows of kernels.def. */
extern const kernel_info kernel_list[KERNEL_COUNT];

typedef struct kernel_queue kernel_queue;

/* One launch: groups of the kernel's own group_size work-items, or else the device's, in up to
 * three dimensions. The last two have at most 65,535 groups each. */
typedef struct {
  kernel_id kernel;
  int64_t groups[3];
  const cdl_buffer *buffers[KERNEL_BUFFERS]; /* NULL: absent, and the kernel does not touch it */
  const void *parameters;
} kernel_launch;

/* A matrix of a product, row-major. Element (i, j) of batch b is at offset + b·batch_stride +
 * i·row_stride + j, in elements. */
typedef struct {
  const cdl_buffer *buffer;
  cdl_dtype dtype;
  int64_t offset, row_stride, batch_stride; /* a batch_stride of 0 repeats an input */
} kernel_matrix;

/* out = α op(a) op(b) + β out, `batch` times. m, n, k and batch are at least 1, and row strides at
 * least the rows' lengths. Types are F32, F64, or a and b BF16 with out F32 or BF16 if the device
 * has takes_bf16. */
typedef struct {
  kernel_matrix out, a, b;
  int64_t m, n, k, batch;
  bool transpose_a, transpose_b;
  double alpha, beta;
  /* [n] of out's type, BF16, which is added to each row; NULL: none. Only where takes_bias says so.
   */
  const cdl_buffer *bias;
  int64_t bias_offset;
} kernel_product;

/* The functions that a backend provides. */
typedef struct {
  const cdl_host *(*host)(void);
  cdl_status (*launch)(kernel_queue *queue, const kernel_launch *launch);
  cdl_status (*multiply)(kernel_queue *queue, const kernel_product *product);
  /* Gives whether `multiply` computes this product with its bias; NULL: never. */
  cdl_status (*takes_bias)(kernel_queue *queue, const kernel_product *product, bool *takes);
  /* Allocates device memory. `release` waits for work that still uses it. */
  cdl_status (*allocate)(void *device, size_t bytes, void **handle);
  void (*release)(void *device, void *handle);
} kernel_driver;

/* The first member of a backend's device. */
typedef struct {
  const kernel_driver *driver;
  int group_size;           /* work-items of a group, a power of two: the kernels' GROUP_SIZE */
  int64_t preferred_groups; /* enough groups to fill the device; more are valid */
  bool has_f64, takes_bf16;
  bool is_cpu; /* a group's work-items are loop iterations of one core: group_size 1 is best */
} kernel_device;

/* Working memory within one op, kept by the queue and grown on demand: an op's own, gemm's copies
 * of operands, and that of the backend's product. */
typedef enum { SCRATCH_OP, SCRATCH_OPERANDS, SCRATCH_PRODUCT, SCRATCH_COUNT } kernel_scratch_slot;

/* Scratch that was outgrown while recorded work may still use it. */
typedef struct kernel_retired kernel_retired;

/* The first member of a backend's queue. */
struct kernel_queue {
  kernel_device *device;
  cdl_buffer scratch[SCRATCH_COUNT]; /* handle NULL: none yet */
  kernel_retired *retired;
  /* set when the queue's first recording begins; from then on scratch that a graph may use is
   * kept */
  bool recorded;
};

/* Gives `bytes` of the slot's memory, until the next request for this slot. */
CDL_MUST_USE cdl_status kernel_scratch(kernel_queue *queue, kernel_scratch_slot slot, size_t bytes,
                                       const cdl_buffer **buffer);
void kernel_scratch_release(kernel_queue *queue);

/* The ops for a backend's table; `queue` is a kernel_queue. */
#define CDL_OP(name, tier) cdl_status kernel_op_##name(void *queue, const cdl_##name##_args *args);
#include "condlora/ops.def"
#undef CDL_OP
/* Returns whether the ops accept these arguments: F64 needs has_f64, attention a supported head
 * size, and so on. False for host ops. */
bool kernel_supports(const kernel_device *device, cdl_op op, const void *args);

/* For the members of a table: every op that is not a host op. */
#define KERNEL_OPS                                                                          \
  .copy = kernel_op_copy, .cast = kernel_op_cast, .permute = kernel_op_permute,             \
  .fill = kernel_op_fill, .gather_rows = kernel_op_gather_rows,                             \
  .scatter_add_rows = kernel_op_scatter_add_rows, .gemm = kernel_op_gemm,                   \
  .unary = kernel_op_unary, .unary_grad = kernel_op_unary_grad, .binary = kernel_op_binary, \
  .axpby = kernel_op_axpby, .reduce = kernel_op_reduce, .softmax = kernel_op_softmax,       \
  .softmax_grad = kernel_op_softmax_grad, .layer_norm = kernel_op_layer_norm,               \
  .layer_norm_grad = kernel_op_layer_norm_grad, .dropout = kernel_op_dropout,               \
  .cross_entropy = kernel_op_cross_entropy, .squared_error = kernel_op_squared_error,       \
  .binary_cross_entropy = kernel_op_binary_cross_entropy, .adamw = kernel_op_adamw,         \
  .any_non_finite = kernel_op_any_non_finite, .linear = kernel_op_linear,                   \
  .linear_grad = kernel_op_linear_grad, .low_rank = kernel_op_low_rank,                     \
  .low_rank_grad = kernel_op_low_rank_grad, .add_layer_norm = kernel_op_add_layer_norm,     \
  .attention = kernel_op_attention, .attention_grad = kernel_op_attention_grad,             \
  .clip_norm = kernel_op_clip_norm, .map_weights = kernel_op_map_weights,                   \
  .map_weights_grad = kernel_op_map_weights_grad,                                           \
  .add_layer_norm_grad = kernel_op_add_layer_norm_grad

#endif
