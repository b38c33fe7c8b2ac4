/* The CPU backend's own promises: each tile once, the same bytes for any number of threads. What
 * each op computes is the conformance suite's, the vector sets are in test_cpu_kernels.c, and the
 * choice of OpenBLAS's kernels is in test_coretype.c. */
#include "backends/cpu/pool.h"
#include "condlora/backend.h"
#include "condlora/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/run_suite.h"

/* ---- Buffers ---- */

static void fill(cdl_queue *queue, cdl_buffer *buffer, double value)
{
  cdl_fill(queue,
           CDL_ARGS(fill, .out = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 4), .value = value));
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
}

/* Memory of the caller stays the caller's, also memory that is another buffer's. */
START_TEST(host_memory_is_shared_both_ways)
{
  float memory[4] = {0};
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *own, *wrapped, *again;
  cdl_memory_address address;
  ck_assert_int_eq(cdl_backend_open("cpu", NULL, &backend), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_create(backend, sizeof memory, &own), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_wrap(backend, memory, sizeof memory, &wrapped), CDL_STATUS_OK);
  fill(queue, wrapped, 2.5);
  ck_assert_float_eq(memory[3], 2.5f);
  ck_assert_int_eq(cdl_buffer_address(wrapped, &address), CDL_STATUS_OK);
  ck_assert(address.kind == CDL_MEMORY_HOST && address.device == 0 && address.memory == memory);

  ck_assert_int_eq(cdl_buffer_address(own, &address), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_wrap(backend, address.memory, sizeof memory, &again), CDL_STATUS_OK);
  fill(queue, again, 3);
  ck_assert_float_eq(((float *)address.memory)[3], 3);
  cdl_buffer_destroy(again);
  fill(queue, own, 4); /* its memory is still there */
  cdl_buffer_destroy(own);
  cdl_buffer_destroy(wrapped);
  ck_assert_float_eq(memory[0], 2.5f);
  ck_assert_int_eq(cdl_buffer_address(NULL, &address), CDL_STATUS_ARGUMENT);
  cdl_queue_destroy(queue);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
}
END_TEST

/* Ops read a mapped file as any buffer, and nothing can write it. */
START_TEST(a_mapped_file_is_read_where_it_is)
{
  enum { COUNT = 4096 }; /* floats: some pages */
  float values[COUNT], back[4];
  for (int i = 0; i < COUNT; i++)
    values[i] = (float)i;
  FILE *file = tmpfile();
  ck_assert_ptr_nonnull(file);
  ck_assert_uint_eq(fwrite(values, sizeof values, 1, file), 1);
  ck_assert_int_eq(fflush(file), 0);
  const char *mapped = mmap(NULL, sizeof values, PROT_READ, MAP_PRIVATE, fileno(file), 0);
  ck_assert(mapped != MAP_FAILED);
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *of_file, *own, *none;
  cdl_memory_info memory = {.size = sizeof memory};
  ck_assert_int_eq(cdl_backend_open("cpu", NULL, &backend), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_create(backend, sizeof back, &own), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_map(backend, mapped + 4, sizeof values - 4, &of_file), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_backend_memory(backend, &memory), CDL_STATUS_OK);
  ck_assert_uint_eq(memory.mapped_bytes, sizeof values - 4);
  ck_assert_uint_eq(memory.used_bytes, sizeof back);
  const cdl_tensor out = cdl_tensor_1d(own, CDL_DTYPE_F32, 0, 4),
                   x = cdl_tensor_1d(of_file, CDL_DTYPE_F32, 2000, 4);
  cdl_copy(queue, CDL_ARGS(copy, .out = out, .x = x));
  cdl_queue_download(queue, back, out, sizeof back);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  ck_assert_float_eq(back[3], 2004);

  ck_assert_int_eq(cdl_buffer_map(backend, mapped + 2, 64, &none), CDL_STATUS_UNSUPPORTED);
  ck_assert_int_eq(cdl_buffer_map(backend, NULL, 64, &none), CDL_STATUS_ARGUMENT);
  cdl_fill(queue, CDL_ARGS(fill, .out = x));
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "mapped file"));
  cdl_queue_destroy(queue);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  cdl_queue_upload(queue, x, back, sizeof back);
  ck_assert_int_eq(cdl_queue_status(queue), CDL_STATUS_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "mapped file"));
  cdl_queue_destroy(queue);
  cdl_buffer_destroy(of_file);
  cdl_buffer_destroy(own);
  ck_assert_int_eq(cdl_backend_memory(backend, &memory), CDL_STATUS_OK);
  ck_assert_uint_eq(memory.mapped_bytes, 0);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
  munmap((void *)(uintptr_t)mapped, sizeof values);
  fclose(file);
}
END_TEST

/* ---- The pool ---- */

enum { TILES = 1000 };

typedef struct {
  atomic_int taken[TILES];
  atomic_int wrong; /* tiles whose scratch another tile wrote meanwhile */
} tile_count;

static void count_tile(const void *context, int64_t tile, void *scratch)
{
  tile_count *count = (tile_count *)(uintptr_t)context;
  volatile int64_t *mine = scratch;
  *mine = tile;
  atomic_fetch_add(&count->taken[tile], 1);
  if (*mine != tile)
    atomic_fetch_add(&count->wrong, 1);
}

static void run_loops(cpu_pool *pool, int loops)
{
  tile_count count = {0};
  int expected[TILES] = {0};
  for (int i = 0; i < loops; i++) {
    const int tiles = 1 + i * 37 % TILES;
    ck_assert_int_eq(cpu_pool_run(pool, tiles, 64, count_tile, &count), CDL_STATUS_OK);
    for (int tile = 0; tile < tiles; tile++)
      expected[tile]++;
  }
  for (int tile = 0; tile < TILES; tile++)
    ck_assert_int_eq(atomic_load(&count.taken[tile]), expected[tile]);
  ck_assert_int_eq(atomic_load(&count.wrong), 0);
}

START_TEST(each_tile_runs_once)
{
  cpu_pool *pool;
  ck_assert_int_eq(cpu_pool_create(_i, &pool), CDL_STATUS_OK);
  ck_assert_int_eq(cpu_pool_threads(pool), _i);
  run_loops(pool, 500);
  cpu_pool_destroy(pool);
}
END_TEST

static void *run_loops_on_thread(void *pool)
{
  run_loops(pool, 200);
  return NULL;
}

START_TEST(callers_take_turns)
{
  cpu_pool *pool;
  pthread_t callers[3];
  ck_assert_int_eq(cpu_pool_create(3, &pool), CDL_STATUS_OK);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(pthread_create(&callers[i], NULL, run_loops_on_thread, pool), 0);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(pthread_join(callers[i], NULL), 0);
  cpu_pool_destroy(pool);
}
END_TEST

START_TEST(sleeping_workers_wake)
{
  cpu_pool *pool;
  ck_assert_int_eq(cpu_pool_create(3, &pool), CDL_STATUS_OK);
  for (int i = 0; i < 20; i++) {
    usleep(2000); /* longer than workers spin */
    run_loops(pool, 2);
  }
  cpu_pool_destroy(pool);
}
END_TEST

START_TEST(memory_of_a_region_grows)
{
  cpu_pool *pool;
  ck_assert_int_eq(cpu_pool_create(2, &pool), CDL_STATUS_OK);
  for (size_t bytes = 100; bytes < 5000000; bytes *= 7) {
    void *shared;
    ck_assert_int_eq(cpu_pool_enter(pool, 64, bytes, &shared), CDL_STATUS_OK);
    ck_assert_uint_eq((uintptr_t)shared % 64, 0);
    memset(shared, 1, bytes);
    cpu_pool_leave(pool);
  }
  ck_assert_int_eq(cpu_pool_enter(pool, SIZE_MAX / 4, 0, NULL), CDL_STATUS_MEMORY);
  run_loops(pool, 3);
  cpu_pool_destroy(pool);
}
END_TEST

START_TEST(a_negative_number_of_threads_is_refused)
{
  cpu_pool *pool;
  ck_assert_int_eq(cpu_pool_create(-1, &pool), CDL_STATUS_USAGE);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "-1"));
}
END_TEST

/* ---- The same bytes for any number of threads ---- */

/* One backend, and a growing record of every output's bytes. */
typedef struct {
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *buffers[512];
  int buffer_count;
  cdl_random random;
  unsigned char *record;
  size_t record_bytes;
} session;

static session open_session(int threads)
{
  session s = {.random = cdl_random_start(1, CDL_RANDOM_TEST, 0, 0)};
  ck_assert_msg(cdl_backend_open(
                    "cpu",
                    &(cdl_backend_options){.size = sizeof(cdl_backend_options), .threads = threads},
                    &s.backend) == CDL_STATUS_OK,
                "%s", cdl_error_message());
  ck_assert_int_eq(cdl_queue_create(s.backend, &s.queue), CDL_STATUS_OK);
  return s;
}

static void close_session(session *s)
{
  for (int i = 0; i < s->buffer_count; i++)
    cdl_buffer_destroy(s->buffers[i]);
  cdl_queue_destroy(s->queue);
  ck_assert_msg(cdl_backend_close(s->backend) == CDL_STATUS_OK, "%s", cdl_error_message());
}

static cdl_buffer *new_buffer(session *s, size_t bytes)
{
  ck_assert_int_lt(s->buffer_count, 512);
  ck_assert_int_eq(cdl_buffer_create(s->backend, bytes, &s->buffers[s->buffer_count]),
                   CDL_STATUS_OK);
  return s->buffers[s->buffer_count++];
}

/* Normal numbers, [rows, columns]. */
static cdl_tensor numbers(session *s, cdl_dtype dtype, int64_t rows, int64_t columns)
{
  const size_t count = (size_t)(rows * columns), bytes = count * cdl_dtype_bytes(dtype);
  cdl_tensor t = cdl_tensor_2d(new_buffer(s, bytes), dtype, 0, rows, columns);
  void *host = malloc(bytes);
  ck_assert_ptr_nonnull(host);
  for (size_t i = 0; i < count; i++) {
    const double value = cdl_random_normal(&s->random);
    if (dtype == CDL_DTYPE_F64)
      ((double *)host)[i] = value;
    else
      ((float *)host)[i] = (float)value;
  }
  cdl_queue_upload(s->queue, t, host, bytes);
  free(host);
  return t;
}

static cdl_tensor matrix(session *s, int64_t rows, int64_t columns)
{
  return numbers(s, CDL_DTYPE_F32, rows, columns);
}

static cdl_tensor vector(session *s, int64_t columns)
{
  cdl_tensor t = matrix(s, 1, columns);
  return cdl_tensor_1d(t.buffer, CDL_DTYPE_F32, 0, columns);
}

static cdl_tensor integers(session *s, const int32_t *values, int64_t count)
{
  cdl_tensor t = cdl_tensor_1d(new_buffer(s, (size_t)count * 4), CDL_DTYPE_I32, 0, count);
  cdl_queue_upload(s->queue, t, values, (size_t)count * 4);
  return t;
}

static void keep(session *s, cdl_tensor t)
{
  const size_t bytes = (size_t)cdl_tensor_elements(t) * cdl_dtype_bytes(t.dtype);
  s->record = realloc(s->record, s->record_bytes + bytes);
  ck_assert_ptr_nonnull(s->record);
  cdl_queue_download(s->queue, s->record + s->record_bytes, t, bytes);
  ck_assert_msg(cdl_queue_sync(s->queue) == CDL_STATUS_OK, "%s", cdl_error_message());
  s->record_bytes += bytes;
}

static cdl_tensor step_record(session *s)
{
  const cdl_step_record record = {.learning_rate = 1e-3f,
                                  .correction1 = 0.271f,
                                  .correction2 = 0.002997f,
                                  .loss_scale = 0.125f,
                                  .step = 3,
                                  .seed = {7, 9}};
  cdl_tensor t = cdl_tensor_1d(new_buffer(s, sizeof record), CDL_DTYPE_U8, 0, sizeof record);
  cdl_queue_upload(s->queue, t, &record, sizeof record);
  return t;
}

static void run_moving(session *s)
{
  enum { ROWS = 333, COLUMNS = 517, SEGMENTS = 3 };
  cdl_tensor x = matrix(s, ROWS, COLUMNS), out = matrix(s, ROWS, COLUMNS),
             turned = matrix(s, COLUMNS, ROWS);
  cdl_tensor half =
      cdl_tensor_2d(new_buffer(s, ROWS * COLUMNS * 2), CDL_DTYPE_BF16, 0, ROWS, COLUMNS);
  cdl_copy(s->queue, CDL_ARGS(copy, .out = out, .x = x));
  keep(s, out);
  cdl_cast(s->queue, CDL_ARGS(cast, .out = half, .x = x));
  keep(s, half);
  cdl_permute(s->queue, CDL_ARGS(permute, .out = turned, .x = x, .order = {0, 1, 3, 2}));
  keep(s, turned);
  cdl_fill(s->queue, CDL_ARGS(fill, .out = out, .value = 1.5));
  keep(s, out);
  int32_t rows[ROWS];
  for (int32_t i = 0; i < ROWS; i++)
    rows[i] = (i * 101) % ROWS;
  cdl_gather_rows(s->queue, CDL_ARGS(gather_rows, .out = out, .table = x,
                                     .index = integers(s, rows, ROWS), .accumulate = true));
  keep(s, out);
  const int32_t segment[SEGMENTS + 1] = {0, 5, 300, ROWS}, target[SEGMENTS] = {9, 2, 1};
  cdl_scatter_add_rows(s->queue, CDL_ARGS(scatter_add_rows, .table = out, .x = x,
                                          .order = integers(s, rows, ROWS),
                                          .segment = integers(s, segment, SEGMENTS + 1),
                                          .target = integers(s, target, SEGMENTS)));
  keep(s, out);
}

static void run_products(session *s)
{
  static const int64_t shapes[][3] = {
      {333, 517, 129}, {880, 384, 96}, {7, 5, 9001}, {1, 513, 700}, {700, 8, 384}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    const int64_t m = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
    for (int transposes = 0; transposes < 4; transposes++) {
      const bool ta = transposes & 1, tb = transposes & 2;
      cdl_tensor out = matrix(s, m, n), a = ta ? matrix(s, k, m) : matrix(s, m, k);
      cdl_gemm(s->queue,
               CDL_ARGS(gemm, .out = out, .a = a, .b = tb ? matrix(s, n, k) : matrix(s, k, n),
                        .transpose_a = ta, .transpose_b = tb, .alpha = 0.5f, .beta = 1.0f));
      keep(s, out);
    }
  }
  cdl_tensor wide = numbers(s, CDL_DTYPE_F64, 300, 200);
  cdl_gemm(s->queue, CDL_ARGS(gemm, .out = wide, .a = numbers(s, CDL_DTYPE_F64, 300, 70),
                              .b = numbers(s, CDL_DTYPE_F64, 70, 200), .alpha = 1.0f));
  keep(s, wide);
  cdl_tensor many = matrix(s, 50 * 21, 33), a = matrix(s, 50 * 21, 17), b = matrix(s, 17, 33);
  many = cdl_tensor_3d(many.buffer, CDL_DTYPE_F32, 0, 50, 21, 33);
  a = cdl_tensor_3d(a.buffer, CDL_DTYPE_F32, 0, 50, 21, 17);
  b = cdl_tensor_3d(b.buffer, CDL_DTYPE_F32, 0, 50, 17, 33);
  b.stride[1] = 0;
  cdl_gemm(s->queue, CDL_ARGS(gemm, .out = many, .a = a, .b = b, .alpha = 1.0f));
  keep(s, many);
}

static void run_elementwise(session *s)
{
  cdl_tensor x = matrix(s, 411, 519), y = matrix(s, 411, 519), out = matrix(s, 411, 519);
  for (int activation = CDL_ACTIVATION_NONE; activation <= CDL_ACTIVATION_MISH; activation++) {
    cdl_unary(s->queue,
              CDL_ARGS(unary, .out = out, .x = x, .activation = (cdl_activation)activation));
    keep(s, out);
    cdl_unary_grad(s->queue, CDL_ARGS(unary_grad, .d_x = out, .d_out = y, .x = x,
                                      .activation = (cdl_activation)activation));
    keep(s, out);
  }
  cdl_binary(s->queue, CDL_ARGS(binary, .out = out, .x = x, .y = cdl_tensor_columns(y, 0, 1),
                                .function = CDL_BINARY_DIVIDE));
  keep(s, out);
  cdl_axpby(s->queue, CDL_ARGS(axpby, .out = out, .x = x, .alpha = 0.3f, .beta = 0.7f));
  keep(s, out);
  const int32_t zero = 0;
  cdl_tensor flag = integers(s, &zero, 1);
  cdl_any_non_finite(s->queue, CDL_ARGS(any_non_finite, .flag = flag, .x = x));
  keep(s, flag);
}

static void run_rows(session *s)
{
  cdl_tensor x = matrix(s, 411, 519), y = matrix(s, 411, 519), out = matrix(s, 411, 519),
             sum = matrix(s, 411, 519);
  cdl_tensor gain = vector(s, 519), bias = vector(s, 519), mean = vector(s, 411),
             rstd = vector(s, 411);
  cdl_tensor d_gain = vector(s, 519), d_bias = vector(s, 519);
  cdl_softmax(s->queue, CDL_ARGS(softmax, .out = out, .x = x, .scale = 0.5f));
  keep(s, out);
  cdl_softmax_grad(s->queue,
                   CDL_ARGS(softmax_grad, .d_x = sum, .d_out = y, .out = out, .scale = 0.5f));
  keep(s, sum);
  cdl_add_layer_norm(s->queue, CDL_ARGS(add_layer_norm, .out = out, .sum = sum, .x = x,
                                        .residual = y, .gain = gain, .bias = bias, .mean = mean,
                                        .rstd = rstd, .epsilon = 1e-5f));
  keep(s, out);
  keep(s, sum);
  cdl_layer_norm(s->queue, CDL_ARGS(layer_norm, .out = out, .x = x, .gain = gain, .bias = bias,
                                    .mean = mean, .rstd = rstd, .epsilon = 1e-5f));
  keep(s, out);
  cdl_layer_norm_grad(s->queue,
                      CDL_ARGS(layer_norm_grad, .d_x = out, .d_gain = d_gain, .d_bias = d_bias,
                               .d_out = y, .x = x, .gain = gain, .mean = mean, .rstd = rstd));
  keep(s, out);
  keep(s, d_gain);
  keep(s, d_bias);
}

static void run_sums(session *s)
{
  static const int64_t shapes[][2] = {{411, 519}, {1, 100003}, {20011, 3}, {5003, 130}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    cdl_tensor x = matrix(s, shapes[i][0], shapes[i][1]);
    for (uint8_t axis = 2; axis < 4; axis++)
      for (int function = CDL_REDUCE_SUM; function <= CDL_REDUCE_MAXIMUM; function++) {
        cdl_tensor out = axis == 2 ? matrix(s, 1, x.size[3]) : matrix(s, x.size[2], 1);
        cdl_reduce(s->queue, CDL_ARGS(reduce, .out = out, .x = x, .axis = axis,
                                      .function = (cdl_reduce_function)function));
        keep(s, out);
      }
    cdl_tensor norm = vector(s, 1), factor = vector(s, 1);
    cdl_clip_norm(s->queue, CDL_ARGS(clip_norm, .norm = norm, .factor = factor, .gradient = x,
                                     .max_norm = 1.0f));
    keep(s, norm);
    keep(s, factor);
  }
}

static void run_training(session *s)
{
  cdl_tensor step = step_record(s), logits = matrix(s, 16, 25), d_logits = matrix(s, 16, 25),
             loss = vector(s, 1);
  int32_t labels[16];
  for (int32_t i = 0; i < 16; i++)
    labels[i] = i;
  cdl_cross_entropy(s->queue, CDL_ARGS(cross_entropy, .loss = loss, .d_logits = d_logits,
                                       .logits = logits, .labels = integers(s, labels, 16),
                                       .step = step, .label_smoothing = 0.1f));
  keep(s, loss);
  keep(s, d_logits);
  cdl_squared_error(s->queue, CDL_ARGS(squared_error, .loss = loss, .d_out = d_logits,
                                       .out = logits, .target = matrix(s, 16, 25), .step = step));
  keep(s, loss);
  keep(s, d_logits);
  cdl_binary_cross_entropy(
      s->queue, CDL_ARGS(binary_cross_entropy, .loss = loss, .d_logits = d_logits, .logits = logits,
                         .targets = matrix(s, 16, 25), .pos_weight = vector(s, 25), .step = step));
  keep(s, loss);
  keep(s, d_logits);
  cdl_tensor parameter = vector(s, 60013), moment1 = vector(s, 60013), moment2 = vector(s, 60013);
  cdl_unary(s->queue, CDL_ARGS(unary, .out = moment2, .x = moment2, .function = CDL_UNARY_SQUARE));
  cdl_adamw(s->queue,
            CDL_ARGS(adamw, .parameter = parameter, .moment1 = moment1, .moment2 = moment2,
                     .gradient = vector(s, 60013), .step = step, .beta1 = 0.9, .beta2 = 0.999,
                     .epsilon = 1e-8, .decay = 0.01, .rate = 1.0));
  keep(s, parameter);
  keep(s, moment1);
  keep(s, moment2);
}

static cdl_tensor layers_of(cdl_tensor x, int64_t count)
{
  return cdl_tensor_3d(x.buffer, x.dtype, x.offset, count, x.size[2] / count, x.size[3]);
}

static cdl_tensor repeated(cdl_tensor x, int64_t count)
{
  x.size[1] = count;
  x.stride[1] = 0;
  return x;
}

static void run_linear(session *s)
{
  cdl_tensor sources[] = {matrix(s, 131, 257), matrix(s, 131, 257), matrix(s, 65, 257)};
  cdl_weight *weight;
  ck_assert_int_eq(cdl_weight_create(s->queue, sources, 3, &weight), CDL_STATUS_OK);
  cdl_tensor x = matrix(s, 701, 257), out = matrix(s, 701, 327), pre = matrix(s, 701, 327),
             d_x = matrix(s, 701, 257);
  cdl_linear(s->queue, CDL_ARGS(linear, .out = out, .pre = pre, .x = x, .bias = vector(s, 327),
                                .weight = weight, .activation = CDL_ACTIVATION_GELU));
  keep(s, out);
  keep(s, pre);
  cdl_linear_grad(s->queue, CDL_ARGS(linear_grad, .d_x = d_x, .d_out = out, .pre = x,
                                     .weight = weight, .activation = CDL_ACTIVATION_GELU));
  keep(s, d_x);
  cdl_weight_destroy(weight);
  for (int64_t rank = 3; rank < 40; rank += 17) {
    cdl_tensor a = matrix(s, rank, 257), b = matrix(s, 327, rank), hidden = matrix(s, 701, rank);
    cdl_tensor d_a = matrix(s, rank, 257), d_b = matrix(s, 327, rank);
    cdl_low_rank(s->queue, CDL_ARGS(low_rank, .out = out, .hidden = hidden, .x = x, .a = a, .b = b,
                                    .scale = 0.5f));
    keep(s, out);
    keep(s, hidden);
    cdl_low_rank_grad(s->queue,
                      CDL_ARGS(low_rank_grad, .d_x = d_x, .d_a = d_a, .d_b = d_b, .d_out = pre,
                               .hidden = hidden, .x = x, .a = a, .b = b, .scale = 0.5f));
    keep(s, d_x);
    keep(s, d_a);
    keep(s, d_b);
  }
}

static void run_maps(session *s)
{
  enum { LAYERS = 5, OUT = 131, IN = 257, RANK = 8 };
  const cdl_tensor weight = matrix(s, LAYERS * OUT, IN), theta_a = matrix(s, RANK, OUT),
                   theta_b = matrix(s, RANK, IN), a = matrix(s, LAYERS * RANK, IN),
                   b = matrix(s, LAYERS * OUT, RANK);
  cdl_map_weights(
      s->queue, CDL_ARGS(map_weights, .a = layers_of(a, LAYERS), .b = layers_of(b, LAYERS),
                         .theta_a = repeated(theta_a, LAYERS), .theta_b = repeated(theta_b, LAYERS),
                         .weight = layers_of(weight, LAYERS)));
  keep(s, a);
  keep(s, b);
  cdl_map_weights_grad(s->queue,
                       CDL_ARGS(map_weights_grad, .d_theta_a = theta_a, .d_theta_b = theta_b,
                                .d_a = layers_of(a, LAYERS), .d_b = layers_of(b, LAYERS),
                                .weight = layers_of(weight, LAYERS)));
  keep(s, theta_a);
  keep(s, theta_b);
}

static void run_sequences(session *s)
{
  enum { SEQUENCES = 6, HEADS = 3, WIDTH = 20 };
  static const int32_t offsets[SEQUENCES + 1] = {0, 1, 34, 34, 90, 401, 450},
                                           examples[SEQUENCES] = {3, 1, 4, 8, 5, 9};
  const cdl_packing packing = {.offsets = integers(s, offsets, SEQUENCES + 1),
                               .examples = integers(s, examples, SEQUENCES),
                               .host_offsets = offsets,
                               .host_examples = examples,
                               .sequences = SEQUENCES,
                               .tokens = 450,
                               .longest = 311};
  const cdl_dropout_mask mask = {
      .probability = 0.1f, .purpose = 4, .layer = 2, .step = step_record(s)};
  cdl_tensor qkv = matrix(s, 450, 3 * HEADS * WIDTH), d_qkv = matrix(s, 450, 3 * HEADS * WIDTH);
  cdl_tensor out = matrix(s, 450, HEADS * WIDTH), d_out = matrix(s, 450, HEADS * WIDTH),
             log_sum = matrix(s, HEADS, 450);
  cdl_attention(s->queue,
                CDL_ARGS(attention, .out = out, .qkv = qkv, .log_sum = log_sum, .packing = &packing,
                         .heads = HEADS, .scale = 0.2f, .mask = mask));
  keep(s, out);
  keep(s, log_sum);
  cdl_attention_grad(s->queue, CDL_ARGS(attention_grad, .d_qkv = d_qkv, .d_out = d_out, .qkv = qkv,
                                        .log_sum = log_sum, .packing = &packing, .heads = HEADS,
                                        .scale = 0.2f, .mask = mask));
  keep(s, d_qkv);
  cdl_tensor bias = matrix(s, HEADS, 2 * 91 + 1), d_bias = matrix(s, HEADS, 2 * 91 + 1);
  cdl_attention(s->queue,
                CDL_ARGS(attention, .out = out, .qkv = qkv, .log_sum = log_sum, .packing = &packing,
                         .heads = HEADS, .scale = 0.2f, .mask = mask, .bias = bias));
  keep(s, out);
  cdl_attention_grad(s->queue,
                     CDL_ARGS(attention_grad, .d_qkv = d_qkv, .d_out = d_out, .qkv = qkv,
                              .log_sum = log_sum, .packing = &packing, .heads = HEADS,
                              .scale = 0.2f, .mask = mask, .bias = bias, .d_bias = d_bias));
  keep(s, d_qkv);
  keep(s, d_bias);
  cdl_dropout(s->queue,
              CDL_ARGS(dropout, .out = out, .x = d_out, .mask = mask, .packing = &packing));
  keep(s, out);
  cdl_tensor sum = matrix(s, 450, HEADS * WIDTH), d_sum = matrix(s, 450, HEADS * WIDTH);
  const cdl_tensor gain = vector(s, HEADS * WIDTH), mean = vector(s, 450), rstd = vector(s, 450);
  cdl_add_layer_norm(s->queue,
                     CDL_ARGS(add_layer_norm, .out = out, .sum = sum, .x = d_out, .residual = d_sum,
                              .gain = gain, .bias = gain, .mean = mean, .rstd = rstd,
                              .epsilon = 1e-5f, .mask = mask, .packing = &packing));
  keep(s, out);
  cdl_add_layer_norm_grad(s->queue, CDL_ARGS(add_layer_norm_grad, .d_x = d_out, .d_sum = d_sum,
                                             .d_out = out, .sum = sum, .gain = gain, .mean = mean,
                                             .rstd = rstd, .mask = mask, .packing = &packing));
  keep(s, d_out);
  keep(s, d_sum);
}

static void run_decompositions(session *s)
{
  cdl_tensor a = matrix(s, 61, 40), square = matrix(s, 40, 40), out = matrix(s, 40, 40),
             values = vector(s, 40);
  cdl_tensor u = matrix(s, 61, 40);
  cdl_svd(s->queue, CDL_ARGS(svd, .u = u, .sigma = values, .vt = out, .a = a));
  keep(s, u);
  keep(s, values);
  keep(s, out);
  cdl_qr(s->queue, CDL_ARGS(qr, .q = u, .r = out, .a = a));
  keep(s, u);
  keep(s, out);
  cdl_lu_solve(s->queue, CDL_ARGS(lu_solve, .x = out, .a = square, .b = cdl_tensor_rows(a, 0, 40)));
  keep(s, out);
  cdl_lu_inverse(s->queue, CDL_ARGS(lu_inverse, .out = out, .a = square));
  keep(s, out);
  cdl_eigh(s->queue, CDL_ARGS(eigh, .values = values, .vectors = out, .a = square));
  keep(s, values);
  keep(s, out);
}

static void run_all(session *s)
{
  run_moving(s);
  run_products(s);
  run_elementwise(s);
  run_rows(s);
  run_sums(s);
  run_training(s);
  run_linear(s);
  run_maps(s);
  run_sequences(s);
  run_decompositions(s);
}

START_TEST(bytes_do_not_depend_on_threads)
{
  static const int threads[] = {2, 4, 16};
  session one = open_session(1);
  run_all(&one);
  for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
    session more = open_session(threads[i]);
    run_all(&more);
    ck_assert_uint_eq(more.record_bytes, one.record_bytes);
    size_t differ = 0;
    while (differ < one.record_bytes && more.record[differ] == one.record[differ])
      differ++;
    ck_assert_msg(differ == one.record_bytes,
                  "%d threads: byte %zu of %zu differs from one thread's", threads[i], differ,
                  one.record_bytes);
    free(more.record);
    close_session(&more);
  }
  free(one.record);
  close_session(&one);
}
END_TEST

START_TEST(the_run_covers_every_op_of_its_own)
{
  bool seen[CDL_OP_COUNT] = {false};
  cdl_path_count counts[256];
  session s = open_session(1);
  run_all(&s);
  const size_t count = cdl_path_counts(s.backend, counts, 256);
  ck_assert_uint_le(count, 256);
  for (size_t i = 0; i < count; i++) {
    ck_assert_msg(counts[i].path == CDL_PATH_NATIVE, "%s is %s", cdl_op_name(counts[i].op),
                  cdl_path_name(counts[i].path));
    seen[counts[i].op] = true;
  }
  /* Of its own ops any call is native; one that it lacks the core composes. */
  const int any_call = 0;
  for (int op = 0; op < CDL_OP_COUNT; op++)
    ck_assert_msg(seen[op] || cdl_op_path(s.backend, (cdl_op)op, &any_call) != CDL_PATH_NATIVE,
                  "%s was not run", cdl_op_name((cdl_op)op));
  free(s.record);
  close_session(&s);
}
END_TEST

static void add(Suite *suite, TCase *tcase)
{
  tcase_set_timeout(tcase, 300);
  suite_add_tcase(suite, tcase);
}

int main(void)
{
  Suite *suite = suite_create("cpu");
  TCase *pool = tcase_create("pool"), *bytes = tcase_create("bytes");
  tcase_add_test(pool, host_memory_is_shared_both_ways);
  tcase_add_test(pool, a_mapped_file_is_read_where_it_is);
  tcase_add_loop_test(pool, each_tile_runs_once, 1, 6);
  tcase_add_test(pool, callers_take_turns);
  tcase_add_test(pool, sleeping_workers_wake);
  tcase_add_test(pool, memory_of_a_region_grows);
  tcase_add_test(pool, a_negative_number_of_threads_is_refused);
  tcase_add_test(bytes, bytes_do_not_depend_on_threads);
  tcase_add_test(bytes, the_run_covers_every_op_of_its_own);
  add(suite, pool);
  add(suite, bytes);
  return run_suite(suite);
}
