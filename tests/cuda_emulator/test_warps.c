/* Warps of the emulated device: that their work-items meet, copies arrive late, products are right.
 */
#include <check.h>
#include <string.h>

#include "tests/cuda_emulator/control.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/warp.h"
#include "tests/run_suite.h"

static const int64_t one_group[3] = {1, 1, 1};

static CUcontext context;

static void open_device(void)
{
  emulator_forget();
  ck_assert_int_eq(cuInit(0), CUDA_SUCCESS);
  ck_assert_int_eq(cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
}

static void close_device(void)
{
  cuDevicePrimaryCtxRelease_v2(0);
  emulator_forget();
}

static void expect_violation(const char *part)
{
  ck_assert_msg(strstr(emulator_last_violation(), part) != NULL, "'%s' is not in '%s'", part,
                emulator_last_violation());
  emulator_forget();
}

/* Each gets the number of the lane that mirrors it within its warp. */
static void mirrors(void *const *buffers, const void *parameters)
{
  (void)parameters;
  const int item = current_place.item;
  ((uint32_t *)buffers[0])[item] = dialect_warp_from((uint32_t)item, 31 - item % 32);
}

/* One work-item of the second warp goes its own way. */
static void one_stays_away(void *const *buffers, const void *parameters)
{
  if (current_place.item != 40)
    mirrors(buffers, parameters);
}

static void two_collectives(void *const *buffers, const void *parameters)
{
  uint32_t r[4];
  if (current_place.item % 32 < 16)
    mirrors(buffers, parameters);
  else
    dialect_ldmatrix(r, dialect_warp_memory(16), 0);
}

START_TEST(warps_exchange_numbers)
{
  uint32_t result[EMULATOR_WARP_GROUP];
  void *const buffers[1] = {result};
  const emulated_kernel kernel = {"mirrors", 1, 0, KERNEL_WARPS, mirrors, true};
  ck_assert(launch_run(&kernel, one_group, buffers, NULL));
  for (uint32_t i = 0; i < EMULATOR_WARP_GROUP; i++)
    ck_assert_uint_eq(result[i], i / 32 * 32 + 31 - i % 32);
}
END_TEST

START_TEST(a_warp_waits_for_all_its_items)
{
  uint32_t result[EMULATOR_WARP_GROUP];
  void *const buffers[1] = {result};
  const emulated_kernel kernel = {"one_stays_away", 1, 0, KERNEL_WARPS, one_stays_away, true};
  ck_assert(!launch_run(&kernel, one_group, buffers, NULL));
  expect_violation("one_stays_away: 31 work-items of a warp wait for the 1 that do not join them");
}
END_TEST

START_TEST(a_warp_does_one_thing_at_a_time)
{
  uint32_t result[EMULATOR_WARP_GROUP];
  void *const buffers[1] = {result};
  const emulated_kernel kernel = {"two_collectives", 1, 0, KERNEL_WARPS, two_collectives, true};
  ck_assert(!launch_run(&kernel, one_group, buffers, NULL));
  expect_violation("work-items of a warp are in");
}
END_TEST

/* What is in local memory before and after a copy has been waited for. */
static void copies_late(void *const *buffers, const void *parameters)
{
  (void)parameters;
  uint32_t *local = (uint32_t *)dialect_warp_memory(16 * EMULATOR_WARP_GROUP);
  const uint32_t *from = buffers[0];
  uint32_t *seen = buffers[1];
  const int item = current_place.item;
  dialect_copy_async(&local[4 * item], &from[4 * item], item % 2 == 0 ? 16 : 0);
  dialect_copy_commit();
  dialect_copy_commit();
  dialect_copy_wait(2);
  seen[3 * item] = local[4 * item];
  dialect_copy_wait(1);
  seen[3 * item + 1] = local[4 * item];
  seen[3 * item + 2] = local[4 * item + 3];
}

START_TEST(copies_are_made_when_they_are_waited_for)
{
  _Alignas(16) uint32_t from[4 * EMULATOR_WARP_GROUP];
  uint32_t seen[3 * EMULATOR_WARP_GROUP];
  for (uint32_t i = 0; i < 4 * EMULATOR_WARP_GROUP; i++)
    from[i] = i + 1;
  void *const buffers[2] = {from, seen};
  const emulated_kernel kernel = {"copies_late", 2, 0, KERNEL_WARPS, copies_late, true};
  ck_assert(launch_run(&kernel, one_group, buffers, NULL));
  for (uint32_t i = 0; i < EMULATOR_WARP_GROUP; i++) {
    ck_assert_uint_eq(seen[3 * i], UINT32_MAX);
    ck_assert_uint_eq(seen[3 * i + 1], i % 2 == 0 ? 4 * i + 1 : 0);
    ck_assert_uint_eq(seen[3 * i + 2], i % 2 == 0 ? 4 * i + 4 : 0);
  }
}
END_TEST

static uint16_t bf16_of(int x)
{
  const float value = (float)x;
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)(bits >> 16);
}

/* Small whole numbers, which BF16 and the sums hold exactly: a[i][k] and b[k][j]. */
static int a_at(int i, int k)
{
  return (3 * i + 5 * k) % 7 - 3;
}

static int b_at(int k, int j)
{
  return (2 * k + 3 * j) % 5 - 2;
}

/* d = j + a b by fragments as PTX defines them. b lies in local memory, by rows for odd groups. */
static void multiplies(void *const *buffers, const void *parameters)
{
  (void)parameters;
  const int item = current_place.item, lane = item % 32, g = lane / 4, t = lane % 4 * 2;
  const int by_rows = (int)(current_place.group[0] % 2);
  uint16_t *b = dialect_warp_memory(16 * 16 * 2);
  for (int e = item; e < 256; e += EMULATOR_WARP_GROUP)
    b[e] = bf16_of(by_rows ? b_at(e / 16, e % 16) : b_at(e % 16, e / 16));
  launch_barrier();
  uint32_t a[4];
  float d[2][4];
  for (int i = 0; i < 4; i++) {
    const int row = g + i % 2 * 8, k = t + i / 2 * 8;
    a[i] = bf16_of(a_at(row, k)) | (uint32_t)bf16_of(a_at(row, k + 1)) << 16;
    d[0][i] = (float)(t + i % 2);
    d[1][i] = (float)(t + i % 2 + 8);
  }
  const int row = by_rows ? lane % 16 : lane % 8 + lane / 16 * 8;
  const int column = by_rows ? lane / 16 * 8 : lane / 8 % 2 * 8;
  dialect_mma(d, a, &b[row * 16 + column], by_rows);
  float *result = (float *)buffers[0] + current_place.group[0] * 256;
  for (int i = 0; item < 32 && i < 8; i++)
    result[(g + i % 4 / 2 * 8) * 16 + t + i % 2 + i / 4 * 8] = d[i / 4][i % 4];
}

/* The same left half with both factors in registers. */
static void multiplies_registers(void *const *buffers, const void *parameters)
{
  (void)parameters;
  const int item = current_place.item, lane = item % 32, g = lane / 4, t = lane % 4 * 2;
  uint32_t a[4], b[2];
  float d[4];
  for (int i = 0; i < 4; i++) {
    const int row = g + i % 2 * 8, k = t + i / 2 * 8;
    a[i] = bf16_of(a_at(row, k)) | (uint32_t)bf16_of(a_at(row, k + 1)) << 16;
    d[i] = (float)(t + i % 2);
  }
  for (int i = 0; i < 2; i++)
    b[i] = bf16_of(b_at(t + 8 * i, g)) | (uint32_t)bf16_of(b_at(t + 8 * i + 1, g)) << 16;
  dialect_mma_registers(d, a, b);
  float *result = buffers[0];
  for (int i = 0; item < 32 && i < 4; i++)
    result[(g + i / 2 * 8) * 8 + t + i % 2] = d[i];
}

START_TEST(products_of_registers_are_those_of_matrices)
{
  float result[16][8];
  void *const buffers[1] = {result};
  const int64_t groups[3] = {1, 1, 1};
  const emulated_kernel kernel = {"multiplies_registers", 1,   0, KERNEL_WARPS,
                                  multiplies_registers,   true};
  ck_assert(launch_run(&kernel, groups, buffers, NULL));
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 8; j++) {
      int sum = j;
      for (int k = 0; k < 16; k++)
        sum += a_at(i, k) * b_at(k, j);
      ck_assert_int_eq((int)result[i][j], sum);
    }
}
END_TEST

START_TEST(products_are_those_of_matrices)
{
  float result[2][16][16];
  void *const buffers[1] = {result};
  const int64_t groups[3] = {2, 1, 1};
  const emulated_kernel kernel = {"multiplies", 1, 0, KERNEL_WARPS, multiplies, true};
  ck_assert(launch_run(&kernel, groups, buffers, NULL));
  for (int form = 0; form < 2; form++)
    for (int i = 0; i < 16; i++)
      for (int j = 0; j < 16; j++) {
        int sum = j;
        for (int k = 0; k < 16; k++)
          sum += a_at(i, k) * b_at(k, j);
        ck_assert_int_eq((int)result[form][i][j], sum);
      }
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("emulated warps");
  TCase *cases = tcase_create("warps");
  tcase_add_checked_fixture(cases, open_device, close_device);
  tcase_add_test(cases, warps_exchange_numbers);
  tcase_add_test(cases, a_warp_waits_for_all_its_items);
  tcase_add_test(cases, a_warp_does_one_thing_at_a_time);
  tcase_add_test(cases, copies_are_made_when_they_are_waited_for);
  tcase_add_test(cases, products_are_those_of_matrices);
  tcase_add_test(cases, products_of_registers_are_those_of_matrices);
  suite_add_tcase(suite, cases);
  return run_suite(suite);
}
