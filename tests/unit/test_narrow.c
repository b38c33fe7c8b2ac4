/* Products of bf16 and int8 on the CPU: each way to multiply against double arithmetic, rows in
 * random companies, and what is refused. */
#include "backends/cpu/kernels/narrow.h"
#include "base/bf16.h"
#include "condlora/backend.h"
#include "tests/run_suite.h"

#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_BYTES = 1024, BLOCK = CPU_NARROW_ROWS * CPU_NARROW_COLUMNS };

/* ---- Numbers ---- */

static uint32_t random_state = 20260607;

/* xorshift32, in [0, count). */
static uint32_t draw(uint32_t count)
{
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state % count;
}

static float draw_float(void)
{
  return (float)((double)draw(1 << 24) / (1 << 23) - 1);
}

static float widened(uint16_t bits)
{
  const uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

/* Signs, exponents of 2⁻⁸ to 2⁷, any mantissa: no sum is subnormal. */
static uint16_t draw_bf16(void)
{
  return (uint16_t)(draw(2) << 15 | (119 + draw(16)) << 7 | draw(128));
}

/* ---- Blocks ---- */

/* Operands as bytes: rows of a one below the other, b as the panel that kernels/narrow.h
 * describes. */
typedef struct {
  int64_t bytes, rows;
  _Alignas(64) uint8_t a[CPU_NARROW_ROWS * MOST_BYTES], b[CPU_NARROW_COLUMNS * MOST_BYTES];
  _Alignas(64) uint32_t c[BLOCK];
} block;

static uint8_t *element(block *x, int64_t j, int64_t byte)
{
  return x->b + (byte / CPU_NARROW_UNIT * CPU_NARROW_COLUMNS + j) * CPU_NARROW_UNIT +
         byte % CPU_NARROW_UNIT;
}

static void run(const cpu_narrow *way, block *x)
{
  memset(x->c, 0xff, sizeof x->c);
  if (way->begin != NULL)
    way->begin();
  way->multiply(x->c, CPU_NARROW_COLUMNS * CPU_NARROW_UNIT, x->a, x->bytes, x->b, x->bytes,
                x->rows);
  if (way->end != NULL)
    way->end();
}

static void draw_sizes(block *x)
{
  x->bytes = CPU_NARROW_STEP * (1 + draw(MOST_BYTES / CPU_NARROW_STEP));
  x->rows = 1 + draw(CPU_NARROW_ROWS);
}

/* Every way gives the exact sums, also of the largest elements alone, where 16 bits would not do.
 */
START_TEST(int8_sums_are_exact)
{
  static block x;
  for (int trial = 0; trial < 40; trial++) {
    draw_sizes(&x);
    for (size_t i = 0; i < sizeof x.a; i++)
      x.a[i] = (uint8_t)(trial < 4 ? (trial % 2 == 0 ? 127 : -127) : (int)draw(255) - 127);
    for (size_t i = 0; i < sizeof x.b; i++)
      x.b[i] = (uint8_t)(trial < 4 ? (trial / 2 == 0 ? 127 : -127) : (int)draw(255) - 127);
    for (int w = 0; cpu_narrow_int8(w) != NULL; w++) {
      run(cpu_narrow_int8(w), &x);
      for (int64_t i = 0; i < x.rows; i++)
        for (int64_t j = 0; j < CPU_NARROW_COLUMNS; j++) {
          int32_t want = 0;
          for (int64_t k = 0; k < x.bytes; k++)
            want += (int8_t)x.a[i * x.bytes + k] * (int8_t)*element(&x, j, k);
          ck_assert_msg((int32_t)x.c[i * CPU_NARROW_COLUMNS + j] == want,
                        "%s: (%d, %d) of %d x %d is %d, expected %d", cpu_narrow_int8(w)->name,
                        (int)i, (int)j, (int)x.rows, (int)x.bytes,
                        (int)x.c[i * CPU_NARROW_COLUMNS + j], (int)want);
        }
    }
  }
}
END_TEST

static void fill_bf16(block *x)
{
  uint16_t *a = (uint16_t *)(void *)x->a, *b = (uint16_t *)(void *)x->b;
  for (size_t i = 0; i < sizeof x->a / sizeof *a; i++)
    a[i] = draw_bf16();
  for (size_t i = 0; i < sizeof x->b / sizeof *b; i++)
    b[i] = draw_bf16();
}

/* n additions in any order err by at most (n − 1) u Σ|a b|, u = 2⁻²⁴; products are exact. */
static void check_bf16_element(block *x, const cpu_narrow *way, int64_t i, int64_t j)
{
  double want = 0, absolute = 0;
  for (int64_t k = 0; k < x->bytes; k += 2) {
    uint16_t one, other;
    memcpy(&one, x->a + i * x->bytes + k, sizeof one);
    memcpy(&other, element(x, j, k), sizeof other);
    const double product = (double)widened(one) * (double)widened(other);
    want += product;
    absolute += fabs(product);
  }
  float got;
  memcpy(&got, &x->c[i * CPU_NARROW_COLUMNS + j], sizeof got);
  ck_assert_msg(fabs((double)got - want) <= (double)x->bytes / 2 * 0x1p-24 * absolute,
                "%s: (%d, %d) of %d x %d is %.9g, expected %.9g", way->name, (int)i, (int)j,
                (int)x->rows, (int)x->bytes, (double)got, want);
}

START_TEST(bf16_sums_are_those_of_float32)
{
  static block x;
  for (int trial = 0; trial < 40; trial++) {
    draw_sizes(&x);
    fill_bf16(&x);
    for (int w = 0; cpu_narrow_bf16(w) != NULL; w++) {
      run(cpu_narrow_bf16(w), &x);
      for (int64_t i = 0; i < x.rows; i++)
        for (int64_t j = 0; j < CPU_NARROW_COLUMNS; j++)
          check_bf16_element(&x, cpu_narrow_bf16(w), i, j);
    }
  }
}
END_TEST

/* What a machine without AMX tests is what one with AMX computes. */
START_TEST(emulation_has_the_bytes_of_amx)
{
  static block x, y;
  const cpu_narrow *amx = cpu_narrow_bf16(0), *emulation = NULL;
  for (int w = 0; cpu_narrow_bf16(w) != NULL; w++)
    emulation = cpu_narrow_bf16(w);
  if (strcmp(amx->name, "AMX") != 0) {
    printf("not tried: AMX, which this processor lacks\n");
    return;
  }
  for (int trial = 0; trial < 40; trial++) {
    draw_sizes(&x);
    fill_bf16(&x);
    y = x;
    run(amx, &x);
    run(emulation, &y);
    ck_assert_mem_eq(x.c, y.c, (size_t)x.rows * CPU_NARROW_COLUMNS * sizeof x.c[0]);
  }
}
END_TEST

/* ---- Companies ---- */

typedef struct {
  cdl_backend *backend;
  cdl_queue *queue;
} device;

static device open_device(cdl_precision precision, int threads)
{
  device d;
  const cdl_backend_options options = {
      .size = sizeof options, .precision = precision, .threads = threads};
  ck_assert_msg(cdl_backend_open("cpu", &options, &d.backend) == CDL_STATUS_OK, "%s",
                cdl_error_message());
  ck_assert_int_eq(cdl_queue_create(d.backend, &d.queue), CDL_STATUS_OK);
  return d;
}

static void close_device(device d)
{
  cdl_queue_destroy(d.queue);
  ck_assert_int_eq(cdl_backend_close(d.backend), CDL_STATUS_OK);
}

static cdl_buffer *floats(device d, int64_t count, float **memory)
{
  cdl_buffer *buffer;
  ck_assert_int_eq(cdl_buffer_create(d.backend, (size_t)count * sizeof(float), &buffer),
                   CDL_STATUS_OK);
  cdl_memory_address address;
  ck_assert_int_eq(cdl_buffer_address(buffer, &address), CDL_STATUS_OK);
  *memory = address.memory;
  for (int64_t i = 0; i < count; i++)
    (*memory)[i] = draw_float();
  return buffer;
}

enum { IN = 200, OUT = 72, POOL_ROWS = 400 };

/* A row of BF16 that is whole steps long is multiplied where it lies. */
enum { WHOLE_IN = 192 };

typedef struct {
  device d;
  cdl_dtype dtype; /* of x and y */
  int64_t in;
  cdl_buffer *weight_buffer, *x_buffer, *y_buffer, *bias_buffer;
  float *w, *x, *y, *bias;
  cdl_weight *weight;
  bool gradient;
} layer;

static layer make_layer_of(cdl_precision precision, int threads, bool gradient, cdl_dtype dtype)
{
  layer l = {.d = open_device(precision, threads), .dtype = dtype, .gradient = gradient};
  l.in = dtype == CDL_DTYPE_BF16 ? WHOLE_IN : IN;
  random_state = 77;
  l.weight_buffer = floats(l.d, OUT * IN, &l.w);
  l.x_buffer = floats(l.d, POOL_ROWS * IN, &l.x);
  l.y_buffer = floats(l.d, POOL_ROWS * IN, &l.y);
  l.bias_buffer = floats(l.d, OUT, &l.bias);
  for (int64_t i = 0; dtype == CDL_DTYPE_BF16 && i < POOL_ROWS * IN; i++) {
    const uint16_t rounded = base_bf16_round(l.x[i]);
    memcpy((char *)l.x + i * (int64_t)sizeof rounded, &rounded, sizeof rounded);
  }
  const cdl_tensor w = cdl_tensor_2d(l.weight_buffer, CDL_DTYPE_F32, 0, OUT, l.in);
  ck_assert_int_eq(cdl_weight_create(l.d.queue, &w, 1, &l.weight), CDL_STATUS_OK);
  return l;
}

static layer make_layer(cdl_precision precision, int threads, bool gradient)
{
  return make_layer_of(precision, threads, gradient, CDL_DTYPE_F32);
}

static void destroy_layer(layer *l)
{
  cdl_weight_destroy(l->weight);
  cdl_buffer_destroy(l->weight_buffer);
  cdl_buffer_destroy(l->x_buffer);
  cdl_buffer_destroy(l->y_buffer);
  cdl_buffer_destroy(l->bias_buffer);
  close_device(l->d);
}

/* y = GELU(x Wᵀ + bias), or y = x W. */
static void run_layer(layer *l, int64_t rows)
{
  const int64_t in = l->gradient ? OUT : l->in, out = l->gradient ? l->in : OUT;
  const cdl_tensor x = cdl_tensor_2d(l->x_buffer, l->dtype, 0, rows, in),
                   y = cdl_tensor_2d(l->y_buffer, l->dtype, 0, rows, out);
  if (l->gradient)
    cdl_linear_grad(l->d.queue, CDL_ARGS(linear_grad, .d_x = y, .d_out = x, .weight = l->weight));
  else
    cdl_linear(l->d.queue, CDL_ARGS(linear, .out = y, .x = x, .weight = l->weight,
                                    .bias = cdl_tensor_1d(l->bias_buffer, CDL_DTYPE_F32, 0, OUT),
                                    .activation = CDL_ACTIVATION_GELU));
  ck_assert_msg(cdl_queue_sync(l->d.queue) == CDL_STATUS_OK, "%s", cdl_error_message());
}

/* Each of 500 random choices of rows gives each row the bytes that it has among all rows, at any
 * place, with 1 thread as with 3, 4, 8 and 16. */
static void check_companies(cdl_precision precision, cdl_dtype dtype, bool gradient)
{
  enum { COMPANIES = 500 };
  layer l = make_layer_of(precision, 3, gradient, dtype),
        one = make_layer_of(precision, 1, gradient, dtype);
  const int64_t in = gradient ? OUT : l.in, out = gradient ? l.in : OUT;
  const size_t x_bytes = (size_t)in * cdl_dtype_bytes(dtype),
               y_bytes = (size_t)out * cdl_dtype_bytes(dtype);
  char *all = malloc(POOL_ROWS * y_bytes), *pool = malloc(POOL_ROWS * x_bytes);
  ck_assert(all != NULL && pool != NULL);
  memcpy(pool, l.x, POOL_ROWS * x_bytes);
  run_layer(&l, POOL_ROWS);
  memcpy(all, l.y, POOL_ROWS * y_bytes);
  run_layer(&one, POOL_ROWS);
  ck_assert_mem_eq(all, one.y, POOL_ROWS * y_bytes);
  for (int threads = 4; threads <= 16; threads *= 2) {
    layer more = make_layer_of(precision, threads, gradient, dtype);
    run_layer(&more, POOL_ROWS);
    ck_assert_mem_eq(all, more.y, POOL_ROWS * y_bytes);
    destroy_layer(&more);
  }
  for (int company = 0; company < COMPANIES; company++) {
    const int64_t rows = 1 + draw(company % 10 == 0 ? POOL_ROWS : 70);
    int64_t chosen[POOL_ROWS];
    for (int64_t i = 0; i < rows; i++) {
      chosen[i] = draw(POOL_ROWS);
      memcpy((char *)l.x + (size_t)i * x_bytes, pool + (size_t)chosen[i] * x_bytes, x_bytes);
    }
    run_layer(&l, rows);
    for (int64_t i = 0; i < rows; i++)
      ck_assert_msg(memcmp((char *)l.y + (size_t)i * y_bytes, all + (size_t)chosen[i] * y_bytes,
                           y_bytes) == 0,
                    "%s of %s in %s: row %d at place %d of %d has other bytes",
                    gradient ? "linear_grad" : "linear", cdl_dtype_name(dtype),
                    cdl_precision_name(precision), (int)chosen[i], (int)i, (int)rows);
  }
  free(all);
  free(pool);
  destroy_layer(&l);
  destroy_layer(&one);
}

/* Runs the rest in bf16 on any processor. */
static void emulate_where_needed(void)
{
  const cpu_narrow *best = cpu_narrow_bf16(0);
  if (cpu_narrow_bf16(1) == NULL && best != NULL)
    setenv("CDL_CPU_BF16", "emulate", 1);
}

START_TEST(a_row_has_its_bytes_in_any_company)
{
  emulate_where_needed();
  check_companies(CDL_PRECISION_BF16, CDL_DTYPE_F32, false);
  check_companies(CDL_PRECISION_BF16, CDL_DTYPE_F32, true);
  check_companies(CDL_PRECISION_BF16, CDL_DTYPE_BF16, false);
  check_companies(CDL_PRECISION_BF16, CDL_DTYPE_BF16, true);
  check_companies(CDL_PRECISION_INT8, CDL_DTYPE_F32, false);
}
END_TEST

/* A product of factors of int8 errs by half a step of each factor: max|x|/254 and max|w|/254. */
START_TEST(int8_products_are_near_those_of_float32)
{
  layer l = make_layer(CDL_PRECISION_INT8, 2, false);
  enum { ROWS = 65 };
  run_layer(&l, ROWS);
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < OUT; j++) {
      double sum = (double)l.bias[j], x_most = 0, w_most = 0, x_sum = 0, w_sum = 0;
      for (int k = 0; k < IN; k++) {
        const double x = (double)l.x[i * IN + k], w = (double)l.w[j * IN + k];
        sum += x * w;
        x_most = fmax(x_most, fabs(x));
        w_most = fmax(w_most, fabs(w));
        x_sum += fabs(x);
        w_sum += fabs(w);
      }
      const double want = sum * 0.5 * (1 + erf(sum / sqrt(2.0)));
      const double x_step = x_most / 254, w_step = w_most / 254;
      const double bound = x_step * w_sum + w_step * x_sum + IN * x_step * w_step + 1e-5;
      ck_assert_double_le(fabs((double)l.y[i * OUT + j] - want), 1.13 * bound);
    }
  destroy_layer(&l);
}
END_TEST

/* A row with an infinite or undefined element gives NaN, and its neighbours what they give alone.
 */
START_TEST(int8_hides_no_infinity)
{
  layer l = make_layer(CDL_PRECISION_INT8, 1, false);
  run_layer(&l, 3);
  const float before = l.y[2 * OUT];
  l.x[IN + 5] = INFINITY;
  run_layer(&l, 3);
  ck_assert(isnan(l.y[OUT]) && isnan(l.y[2 * OUT - 1]));
  ck_assert_float_eq(l.y[2 * OUT], before);
  destroy_layer(&l);
}
END_TEST

/* Both directions follow an update of the weight. */
START_TEST(a_changed_weight_is_packed_again)
{
  emulate_where_needed();
  layer l = make_layer(CDL_PRECISION_BF16, 2, false);
  for (int gradient = 0; gradient < 2; gradient++) {
    l.gradient = gradient == 1;
    run_layer(&l, 2);
    ck_assert_float_ne(l.y[0], 0);
  }
  memset(l.w, 0, OUT * IN * sizeof *l.w);
  cdl_weight_update(l.d.queue, l.weight);
  for (int gradient = 1; gradient >= 0; gradient--) {
    l.gradient = gradient == 1;
    memset(l.bias, 0, OUT * sizeof *l.bias);
    run_layer(&l, 2);
    ck_assert_float_eq(l.y[0], 0);
  }
  destroy_layer(&l);
}
END_TEST

/* ---- Refusals ---- */

/* BF16 activations go with bf16 alone, CondLoRA's maps not even with it. */
START_TEST(bf16_activations_want_the_precision)
{
  emulate_where_needed();
  static const cdl_precision precisions[] = {CDL_PRECISION_FP32, CDL_PRECISION_INT8,
                                             CDL_PRECISION_BF16};
  for (int p = 0; p < 3; p++) {
    layer l = make_layer(precisions[p], 1, false);
    const cdl_tensor x = cdl_tensor_2d(l.x_buffer, CDL_DTYPE_BF16, 0, 4, IN),
                     y = cdl_tensor_2d(l.y_buffer, CDL_DTYPE_BF16, 0, 4, IN),
                     out = cdl_tensor_2d(l.y_buffer, CDL_DTYPE_BF16, 0, 4, OUT),
                     a = cdl_tensor_2d(l.y_buffer, CDL_DTYPE_F32, 0, 4, 4);
    const cdl_path expected = precisions[p] == CDL_PRECISION_BF16 ? CDL_PATH_NATIVE : CDL_PATH_NONE;
    ck_assert_int_eq(
        cdl_op_path(l.d.backend, CDL_OP_axpby, CDL_ARGS(axpby, .out = y, .x = x, .alpha = 1)),
        expected);
    ck_assert_int_eq(cdl_op_path(l.d.backend, CDL_OP_linear,
                                 CDL_ARGS(linear, .out = out, .x = x, .weight = l.weight)),
                     expected);
    ck_assert_int_eq(
        cdl_op_path(l.d.backend, CDL_OP_map_weights,
                    CDL_ARGS(map_weights, .weight = x, .a = a, .b = a, .theta_a = a, .theta_b = a)),
        CDL_PATH_NONE);
    ck_assert_int_eq(cdl_op_path(l.d.backend, CDL_OP_cast, CDL_ARGS(cast, .out = x, .x = a)),
                     CDL_PATH_NATIVE);
    destroy_layer(&l);
  }
}
END_TEST

static void check_refused(cdl_precision precision, cdl_status status, const char *says)
{
  cdl_backend *backend;
  const cdl_backend_options options = {.size = sizeof options, .precision = precision};
  ck_assert_int_eq(cdl_backend_open("cpu", &options, &backend), status);
  ck_assert_msg(strstr(cdl_error_message(), says) != NULL, "%s", cdl_error_message());
}

/* Returns how many of the mapped pages are in memory of this process; -1 if it cannot be told. */
static int present_pages(const void *mapped, size_t bytes)
{
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  int present = 0;
  const int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (map < 0)
    return -1;
  for (size_t at = 0; present >= 0 && at < bytes; at += page) {
    uint64_t entry;
    const off_t place = (off_t)(((uintptr_t)mapped + at) / page * sizeof entry);
    present =
        pread(map, &entry, sizeof entry, place) == sizeof entry ? present + (int)(entry >> 63) : -1;
  }
  close(map);
  return present;
}

/* A weight in a mapped file gives the bytes of one in memory, and its pages are given back as soon
 * as it is packed; the last one may be another tensor's too. */
START_TEST(pages_of_a_packed_file_are_given_back)
{
  layer l = make_layer(CDL_PRECISION_INT8, 2, false);
  static float first[POOL_ROWS * OUT];
  const size_t bytes = sizeof *l.w * OUT * IN;
  run_layer(&l, POOL_ROWS);
  memcpy(first, l.y, sizeof first);
  cdl_weight_destroy(l.weight);

  FILE *file = tmpfile();
  ck_assert_ptr_nonnull(file);
  ck_assert_uint_eq(fwrite(l.w, bytes, 1, file), 1);
  ck_assert_int_eq(fflush(file), 0);
  void *mapped = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fileno(file), 0);
  ck_assert(mapped != MAP_FAILED);
  cdl_buffer *of_file;
  ck_assert_int_eq(cdl_buffer_map(l.d.backend, mapped, bytes, &of_file), CDL_STATUS_OK);
  const cdl_tensor w = cdl_tensor_2d(of_file, CDL_DTYPE_F32, 0, OUT, IN);
  ck_assert_int_eq(cdl_weight_create(l.d.queue, &w, 1, &l.weight), CDL_STATUS_OK);
  memset(l.y, 0, sizeof first);
  run_layer(&l, POOL_ROWS);
  ck_assert_mem_eq(l.y, first, sizeof first);
  ck_assert_int_le(present_pages(mapped, bytes), 1);
  cdl_weight_update(l.d.queue, l.weight); /* packs it again */
  run_layer(&l, POOL_ROWS);
  ck_assert_mem_eq(l.y, first, sizeof first);
  cdl_weight_destroy(l.weight);
  cdl_buffer_destroy(of_file);
  l.weight = NULL;
  destroy_layer(&l);
  munmap(mapped, bytes);
  fclose(file);
}
END_TEST

START_TEST(what_it_lacks_is_named)
{
  check_refused(CDL_PRECISION_TF32, CDL_STATUS_UNSUPPORTED, "fp32, bf16 and int8");
  setenv("CDL_CPU_BF16", "fast", 1);
  check_refused(CDL_PRECISION_BF16, CDL_STATUS_ARGUMENT, "CDL_CPU_BF16 is 'fast'");
  unsetenv("CDL_CPU_BF16");
  if (cpu_narrow_bf16(1) == NULL)
    check_refused(CDL_PRECISION_BF16, CDL_STATUS_UNSUPPORTED, "no products of bf16");
}
END_TEST

START_TEST(int8_does_not_train)
{
  layer l = make_layer(CDL_PRECISION_INT8, 1, true);
  const cdl_tensor x = cdl_tensor_2d(l.x_buffer, CDL_DTYPE_F32, 0, 2, OUT),
                   y = cdl_tensor_2d(l.y_buffer, CDL_DTYPE_F32, 0, 2, IN);
  cdl_linear_grad(l.d.queue, CDL_ARGS(linear_grad, .d_x = y, .d_out = x, .weight = l.weight));
  ck_assert_int_eq(cdl_queue_sync(l.d.queue), CDL_STATUS_UNSUPPORTED);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "int8"));
  destroy_layer(&l);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("narrow");
  TCase *all = tcase_create("all");
  tcase_set_timeout(all, 120);
  tcase_add_test(all, int8_sums_are_exact);
  tcase_add_test(all, bf16_sums_are_those_of_float32);
  tcase_add_test(all, bf16_activations_want_the_precision);
  tcase_add_test(all, emulation_has_the_bytes_of_amx);
  tcase_add_test(all, a_row_has_its_bytes_in_any_company);
  tcase_add_test(all, int8_products_are_near_those_of_float32);
  tcase_add_test(all, int8_hides_no_infinity);
  tcase_add_test(all, a_changed_weight_is_packed_again);
  tcase_add_test(all, pages_of_a_packed_file_are_given_back);
  tcase_add_test(all, what_it_lacks_is_named);
  tcase_add_test(all, int8_does_not_train);
  suite_add_tcase(suite, all);
  return run_suite(suite);
}
