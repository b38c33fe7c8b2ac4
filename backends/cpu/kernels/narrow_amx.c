/* Narrow products with AMX. A block is 2 x 2 tiles of 16 rows and 16 columns of 4 bytes. */
#include "backends/cpu/kernels/narrow_sets.h"

#include <immintrin.h>

enum { TILE = 16, ROW_BYTES = 64, PANEL_STRIDE = CPU_NARROW_COLUMNS * CPU_NARROW_UNIT };
enum { STEP_BYTES = CPU_NARROW_COLUMNS * CPU_NARROW_STEP }; /* of a panel */

/* All 8 tiles have 16 rows of 64 bytes. */
static const struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} configuration = {.palette = 1,
                   .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                   .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

static void begin(void)
{
  _tile_loadconfig(&configuration);
}

static void end(void)
{
  _tile_release();
}

/* Tiles 0 to 3 are sums, 4 and 5 rows of a, 6 and 7 columns of b. The intrinsics take the numbers
 * of tiles as constants, hence a macro for the two types. */
#define MULTIPLY(name, DOT)                                                                 \
  static void name(void *c, int64_t c_stride, const void *a, int64_t stride, const void *b, \
                   int64_t bytes, int64_t rows)                                             \
  {                                                                                         \
    const char *upper = a, *lower = upper + TILE * stride, *panel = b;                      \
    char *sums = c;                                                                         \
    _tile_zero(0);                                                                          \
    _tile_zero(1);                                                                          \
    if (rows <= TILE) {                                                                     \
      for (int64_t at = 0; at < bytes; at += CPU_NARROW_STEP, panel += STEP_BYTES) {        \
        _tile_loadd(4, upper + at, stride);                                                 \
        _tile_loadd(6, panel, PANEL_STRIDE);                                                \
        _tile_loadd(7, panel + ROW_BYTES, PANEL_STRIDE);                                    \
        DOT(0, 4, 6);                                                                       \
        DOT(1, 4, 7);                                                                       \
      }                                                                                     \
      _tile_stored(0, sums, c_stride);                                                      \
      _tile_stored(1, sums + ROW_BYTES, c_stride);                                          \
      return;                                                                               \
    }                                                                                       \
    _tile_zero(2);                                                                          \
    _tile_zero(3);                                                                          \
    for (int64_t at = 0; at < bytes; at += CPU_NARROW_STEP, panel += STEP_BYTES) {          \
      _tile_loadd(4, upper + at, stride);                                                   \
      _tile_loadd(6, panel, PANEL_STRIDE);                                                  \
      _tile_loadd(7, panel + ROW_BYTES, PANEL_STRIDE);                                      \
      _tile_loadd(5, lower + at, stride);                                                   \
      DOT(0, 4, 6);                                                                         \
      DOT(1, 4, 7);                                                                         \
      DOT(2, 5, 6);                                                                         \
      DOT(3, 5, 7);                                                                         \
    }                                                                                       \
    _tile_stored(0, sums, c_stride);                                                        \
    _tile_stored(1, sums + ROW_BYTES, c_stride);                                            \
    _tile_stored(2, sums + TILE * c_stride, c_stride);                                      \
    _tile_stored(3, sums + TILE * c_stride + ROW_BYTES, c_stride);                          \
  }

MULTIPLY(multiply_bf16, _tile_dpbf16ps)
MULTIPLY(multiply_int8, _tile_dpbssd)

const cpu_narrow cpu_narrow_bf16_amx = {"AMX", begin, end, multiply_bf16};
const cpu_narrow cpu_narrow_int8_amx = {"AMX", begin, end, multiply_int8};
