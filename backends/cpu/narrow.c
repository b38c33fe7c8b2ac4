#include "backends/cpu/narrow.h"

#include "backends/cpu/activation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The choice ---- */

static const char variable[] = "CDL_CPU_BF16";

/* Emulation is for tests: nobody gets it who did not ask for it. */
static bool is_emulation(const cpu_narrow *way)
{
  return strcmp(way->name, "emulation") == 0;
}

static cdl_status find_bf16(const cpu_narrow **found)
{
  const char *wanted = getenv(variable);
  if (wanted != NULL && wanted[0] != '\0') {
    if (strcmp(wanted, "emulate") != 0)
      return cdl_fail(CDL_STATUS_ARGUMENT, "%s is '%s', expected emulate or nothing", variable,
                      wanted);
    for (int i = 0; (*found = cpu_narrow_bf16(i)) != NULL; i++)
      if (is_emulation(*found))
        return CDL_STATUS_OK;
  }
  *found = cpu_narrow_bf16(0);
  if (!is_emulation(*found))
    return CDL_STATUS_OK;
  char ways[96];
  cpu_narrow_describe(ways, sizeof ways);
  return cdl_fail(
      CDL_STATUS_UNSUPPORTED,
      "this processor has no products of bf16 (AMX or AVX512-BF16), but float32 and %s; "
      "for a test, %s=emulate rounds to bf16 and multiplies in float32",
      ways, variable);
}

cdl_status cpu_narrow_find(cdl_precision precision, const cpu_narrow **found)
{
  *found = NULL;
  switch (precision) {
  case CDL_PRECISION_FP32:
    return CDL_STATUS_OK;
  case CDL_PRECISION_BF16:
    return find_bf16(found);
  case CDL_PRECISION_INT8:
    *found = cpu_narrow_int8(0);
    return CDL_STATUS_OK;
  case CDL_PRECISION_TF32:
    break;
  }
  return cdl_fail(CDL_STATUS_UNSUPPORTED, "it computes in fp32, bf16 and int8");
}

void cpu_narrow_describe(char *text, size_t bytes)
{
  int used = 0;
  for (int i = 0; cpu_narrow_bf16(i) != NULL && (size_t)used < bytes; i++)
    if (!is_emulation(cpu_narrow_bf16(i)))
      used += snprintf(text + used, bytes - (size_t)used, "%s%s", i == 0 ? "bf16 by " : " or ",
                       cpu_narrow_bf16(i)->name);
  if ((size_t)used < bytes)
    snprintf(text + used, bytes - (size_t)used, "%sint8 by %s", used > 0 ? ", " : "",
             cpu_narrow_int8(0)->name);
}

/* ---- Packs ---- */

/* One direction of a weight as panels; see kernels/narrow.h. */
typedef struct {
  char *panels; /* [columns / 32][bytes / 4][32][4] */
  int64_t columns, bytes;
} pack;

struct cpu_narrow_weight {
  pack forward; /* op(B) = Wᵀ; panels NULL until they are first needed */
  bool current;
  float *scales; /* int8: of each row of W */
};

static int64_t whole_steps(int64_t bytes)
{
  return cpu_divide_up(bytes, CPU_NARROW_STEP) * CPU_NARROW_STEP;
}

static int64_t element_bytes(const cpu_device *device)
{
  return device->precision == CDL_PRECISION_INT8 ? 1 : (int64_t)sizeof(cdl_bf16);
}

static int64_t panel_bytes(const pack *p)
{
  return p->bytes * CPU_NARROW_COLUMNS;
}

static int64_t panel_count(const pack *p)
{
  return cpu_divide_up(p->columns, CPU_NARROW_COLUMNS);
}

static size_t pack_bytes(const pack *p)
{
  return (size_t)(panel_bytes(p) * panel_count(p));
}

cdl_status cpu_narrow_create(const cpu_device *device, int64_t rows, int64_t columns,
                             cpu_narrow_weight **weight)
{
  cpu_narrow_weight *w = calloc(1, sizeof *w);
  float *scales = calloc((size_t)rows + 1, sizeof *scales);
  if (w == NULL || scales == NULL) {
    free(w);
    free(scales);
    return cdl_fail(CDL_STATUS_MEMORY, "cpu: no memory for a weight");
  }
  w->forward = (pack){.columns = rows, .bytes = whole_steps(columns * element_bytes(device))};
  w->scales = scales;
  *weight = w;
  return CDL_STATUS_OK;
}

void cpu_narrow_changed(cpu_narrow_weight *weight)
{
  weight->current = false;
}

void cpu_narrow_destroy(cpu_narrow_weight *weight)
{
  if (weight == NULL)
    return;
  cpu_memory_free(weight->forward.panels);
  free(weight->scales);
  free(weight);
}

size_t cpu_narrow_bytes(const cpu_narrow_weight *weight)
{
  return pack_bytes(&weight->forward);
}

/* ---- Rounding ---- */

/* Rounds a row of n elements and fills it up to `bytes` with zeros. Returns the scale of int8. */
static float round_row(const cpu_device *device, void *out, const float *x, int64_t n,
                       int64_t bytes)
{
  const int64_t used = n * element_bytes(device);
  memset((char *)out + used, 0, (size_t)(bytes - used) % CPU_NARROW_STEP);
  if (device->precision == CDL_PRECISION_INT8)
    return device->kernels->f32_to_int8(out, x, n);
  device->kernels->f32_to_bf16(out, x, n);
  return 1;
}

/* ---- Packing ---- */

typedef struct {
  const cpu_device *device;
  const cpu_weight *weight;
} pack_job;

static const float *weight_row(const cpu_weight *weight, int64_t row)
{
  const cpu_weight_part *part = weight->parts;
  while (row >= part->first + part->rows)
    part++;
  return part->data + (row - part->first) * part->stride;
}

/* A tile is a panel: 32 rows of W. */
static void pack_forward(const void *context, int64_t tile, void *scratch)
{
  const pack_job *job = context;
  const cpu_narrow_weight *narrow = job->weight->narrow;
  const int64_t bytes = narrow->forward.bytes, first = tile * CPU_NARROW_COLUMNS,
                count = cpu_min(CPU_NARROW_COLUMNS, narrow->forward.columns - first);
  uint32_t *panel =
      (uint32_t *)(void *)(narrow->forward.panels + tile * bytes * CPU_NARROW_COLUMNS);
  uint32_t *row = scratch;
  for (int64_t j = 0; j < CPU_NARROW_COLUMNS; j++) {
    if (j < count)
      narrow->scales[first + j] = round_row(job->device, row, weight_row(job->weight, first + j),
                                            job->weight->columns, bytes);
    else
      memset(row, 0, (size_t)bytes);
    for (int64_t u = 0; u < bytes / CPU_NARROW_UNIT; u++)
      panel[u * CPU_NARROW_COLUMNS + j] = row[u];
  }
}

/* The other direction of a bf16 weight, op(B) = W, for one product. */
typedef struct {
  const pack *from;
  pack to;
} turn_job;

/* Two rows of two columns become two columns of two rows. */
static uint64_t turned(uint64_t block)
{
  const uint64_t inner = 0xffff0000u;
  return (block & 0xffff00000000ffffu) | (block >> 16 & inner) | (block & inner) << 16;
}

/* A tile is a panel: 32 columns of W. In the forward panels a unit has two columns of one row; here
 * it has two rows of one column. */
static void turn_panel(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  enum { PAIRS = CPU_NARROW_COLUMNS / 2 }; /* of a panel's rows, and of its columns */
  const turn_job *job = context;
  const pack *from = job->from, *to = &job->to;
  uint64_t *out = (uint64_t *)(void *)(to->panels + tile * panel_bytes(to));
  for (int64_t p = 0; p < panel_count(from); p++, out += PAIRS * PAIRS) {
    const uint64_t *in = (const uint64_t *)(const void *)(from->panels + p * panel_bytes(from)) +
                         tile * PAIRS * PAIRS;
    for (int i = 0; i < PAIRS; i++)
      for (int j = 0; j < PAIRS; j++)
        out[i * PAIRS + j] = turned(in[j * PAIRS + i]);
  }
}

static cdl_status allocate_pack(pack *p)
{
  if (p->panels == NULL)
    p->panels = cpu_memory_allocate(pack_bytes(p));
  return p->panels != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_MEMORY, "cpu: no memory for %zu bytes of a packed weight",
                        pack_bytes(p));
}

/* Values in a mapped file are in memory no longer than their pack is made. */
static void give_back_sources(cpu_device *device, const cpu_weight *weight)
{
  for (size_t i = 0; i < weight->count; i++) {
    const cpu_weight_part *part = &weight->parts[i];
    const int64_t elements = (part->rows - 1) * part->stride + weight->columns;
    if (part->rows > 0)
      cpu_foreign_discard(&device->foreign, part->data, cpu_float_bytes(elements));
  }
}

/* Makes the pack if it is not there, within an op's region: so one thread at a time comes here. */
static cdl_status make_pack(cpu_device *device, const cpu_weight *weight)
{
  cpu_narrow_weight *narrow = weight->narrow;
  if (narrow->current)
    return CDL_STATUS_OK;
  CDL_TRY(allocate_pack(&narrow->forward));
  cpu_pool_for(device->pool, panel_count(&narrow->forward), pack_forward,
               &(pack_job){device, weight});
  give_back_sources(device, weight);
  narrow->current = true;
  return CDL_STATUS_OK;
}

/* ---- The product ---- */

/* The most rows and columns of a tile. No result depends on the cut. */
enum { TILE_BYTES = 1 << 19, TILE_ROWS = 256, TILE_PANELS = 4 };
enum { STRIP = TILE_PANELS * CPU_NARROW_COLUMNS }; /* columns of a tile */

typedef struct product product;

/* Takes finished sums, [rows, columns] with STRIP between rows, for out's place (row, column). It
 * gets whole rows of a tile: narrower blocks would touch few bytes of many pages, and in matrices
 * with a power of two in their width these fall into the same few sets of the cache. */
typedef void block_finish(const product *p, float *sums, int64_t row, int64_t column, int64_t rows,
                          int64_t columns);

struct product {
  cpu_device *device;
  const void *args;
  pack b; /* its panels are set by run_product */
  bool backward;
  const float *column_scales; /* int8 */
  cdl_tensor a;               /* [m, k] */
  int64_t m, k;
  int64_t in_place; /* rows of a, whole panels, that are multiplied where they lie */
  char *rounded;    /* the other rows: [up to 32, b->bytes] */
  float *scales;    /* int8: of each row of a */
  int64_t row_groups, column_groups;
  block_finish *finish;
};

/* Returns row `row` of a where it lies. */
static const char *row_of_a(const product *p, int64_t row)
{
  return cpu_bytes(p->a) + (size_t)(row * cpu_row_stride(p->a)) * cdl_dtype_bytes(p->a.dtype);
}

/* Rows of BF16 are in order, unless they need zeros after them. */
static int64_t rows_in_place(const product *p)
{
  const bool whole = cpu_is_narrow(p->a) && p->k * (int64_t)sizeof(cdl_bf16) == p->b.bytes;
  return whole ? p->m / CPU_NARROW_ROWS * CPU_NARROW_ROWS : 0;
}

static void round_rows(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  const product *p = context;
  const int64_t first = tile * CPU_NARROW_ROWS,
                end = cpu_min(p->m - p->in_place, first + CPU_NARROW_ROWS);
  for (int64_t i = first; i < end; i++) {
    char *out = p->rounded + i * p->b.bytes;
    const void *row = row_of_a(p, p->in_place + i);
    if (cpu_is_narrow(p->a)) {
      const int64_t used = p->k * (int64_t)sizeof(cdl_bf16);
      memcpy(out, row, (size_t)used);
      memset(out + used, 0, (size_t)(p->b.bytes - used));
    } else {
      p->scales[i] = round_row(p->device, out, row, p->k, p->b.bytes);
    }
  }
}

static void scale_sums(const product *p, float *sums, int64_t row, int64_t column, int64_t rows,
                       int64_t columns)
{
  for (int64_t i = 0; i < rows; i++)
    p->device->kernels->scale_int32(sums + i * STRIP, p->scales[row + i], p->column_scales + column,
                                    columns);
}

static void product_tile(const void *context, int64_t tile, void *scratch)
{
  const product *p = context;
  const cpu_narrow *way = p->device->narrow;
  float *sums = scratch; /* [32, STRIP] */
  const cpu_range rows = cpu_part(p->m, p->row_groups, tile / p->column_groups, CPU_NARROW_ROWS),
                  columns = cpu_part(p->b.columns, p->column_groups, tile % p->column_groups,
                                     CPU_NARROW_COLUMNS);
  if (way->begin != NULL)
    way->begin();
  for (int64_t i = rows.first; i < rows.first + rows.count; i += CPU_NARROW_ROWS) {
    const bool lies = i < p->in_place;
    const char *a = lies ? row_of_a(p, i) : p->rounded + (i - p->in_place) * p->b.bytes;
    const int64_t height = cpu_min(CPU_NARROW_ROWS, p->m - i),
                  stride = lies ? row_of_a(p, i + 1) - a : p->b.bytes;
    for (int64_t j = 0; j < columns.count; j += CPU_NARROW_COLUMNS)
      way->multiply(sums + j, STRIP * sizeof *sums, a, stride,
                    p->b.panels + (columns.first + j) * p->b.bytes, p->b.bytes, height);
    if (p->column_scales != NULL)
      scale_sums(p, sums, i, columns.first, height, columns.count);
    p->finish(p, sums, i, columns.first, height, columns.count);
  }
  if (way->end != NULL)
    way->end();
}

/* Returns the number of parts of m, at least `least`, in which the threads are done first. A tile
 * costs as much as TILE_ROWS_MORE rows besides its own, to fetch its panels. */
static int64_t choose_row_groups(int64_t m, int64_t least, int64_t column_groups, int threads)
{
  enum { TILE_ROWS_MORE = 8 };
  const int64_t panels = cpu_divide_up(m, CPU_NARROW_ROWS);
  int64_t best = least, best_cost = INT64_MAX;
  for (int64_t groups = least; groups <= panels; groups++) {
    const int64_t cost = cpu_divide_up(groups * column_groups, threads) *
                         (cpu_divide_up(panels, groups) * CPU_NARROW_ROWS + TILE_ROWS_MORE);
    if (cost < best_cost) {
      best_cost = cost;
      best = groups;
    }
  }
  return best;
}

/* Sets the panels of b; those of the other direction are in `memory`, and gone after the region. */
static cdl_status give_panels(product *p, const cpu_weight *weight, char *memory)
{
  CDL_TRY(make_pack(p->device, weight));
  const pack *forward = &weight->narrow->forward;
  p->b.panels = p->backward ? memory : forward->panels;
  if (p->backward)
    cpu_pool_for(p->device->pool, panel_count(&p->b), turn_panel, &(turn_job){forward, p->b});
  return CDL_STATUS_OK;
}

static cdl_status run_product(product *p, const cpu_weight *weight)
{
  cpu_pool *pool = p->device->pool;
  p->in_place = rows_in_place(p);
  const int64_t panels = cpu_divide_up(p->m - p->in_place, CPU_NARROW_ROWS), bytes = p->b.bytes;
  const size_t turned_bytes = p->backward ? pack_bytes(&p->b) : 0,
               rounded = (size_t)(panels * CPU_NARROW_ROWS * bytes);
  void *shared;
  CDL_TRY(cpu_pool_enter(pool, CPU_NARROW_ROWS * STRIP * sizeof(float),
                         turned_bytes + rounded + cpu_float_bytes(p->m), &shared));
  p->rounded = (char *)shared + turned_bytes;
  p->scales = (float *)(void *)(p->rounded + rounded);
  const int64_t tile_rows =
      cpu_min(TILE_ROWS, cpu_max(CPU_NARROW_ROWS, TILE_BYTES / cpu_max(1, bytes)));
  p->column_groups = cpu_divide_up(p->b.columns, STRIP);
  p->row_groups = choose_row_groups(p->m, cpu_divide_up(p->m, tile_rows), p->column_groups,
                                    cpu_pool_threads(pool));
  const cdl_status status = give_panels(p, weight, shared);
  if (status == CDL_STATUS_OK) {
    cpu_pool_for(pool, panels, round_rows, p);
    cpu_pool_for(pool, p->row_groups * p->column_groups, product_tile, p);
  }
  cpu_pool_leave(pool);
  return status;
}

/* ---- linear ---- */

/* Sums become pre, then out, where they lie; each is rounded by itself. */
static void finish_narrow_linear(const product *p, float *sums, cpu_block block)
{
  const cdl_linear_args *a = p->args;
  const cpu_kernels *kernels = p->device->kernels;
  const cpu_rows values = {sums, STRIP}, none = {NULL, 0};
  float wide[STRIP];
  const cpu_block of_bias = {0, block.column, 1, block.columns};
  const float *bias = cpu_widen(kernels, a->bias, of_bias, wide).data;
  if (cdl_tensor_present(a->pre)) {
    kernels->bias_activation(CDL_ACTIVATION_NONE, values, none, values, bias, block.rows,
                             block.columns);
    cpu_store(kernels, a->pre, block, values);
    bias = NULL;
  }
  kernels->bias_activation(a->activation, values, none, values, bias, block.rows, block.columns);
  cpu_store(kernels, a->out, block, values);
}

static void finish_linear(const product *p, float *sums, int64_t row, int64_t column, int64_t rows,
                          int64_t columns)
{
  const cdl_linear_args *a = p->args;
  if (cpu_is_narrow(a->out)) {
    finish_narrow_linear(p, sums, (cpu_block){row, column, rows, columns});
    return;
  }
  const float *bias = cdl_tensor_present(a->bias) ? cpu_floats(a->bias) + column : NULL;
  p->device->kernels->bias_activation(a->activation, cpu_rows_at(a->out, row, column),
                                      cpu_rows_at(a->pre, row, column), (cpu_rows){sums, STRIP},
                                      bias, rows, columns);
}

cdl_status cpu_narrow_linear(cpu_device *device, const cdl_linear_args *a)
{
  const cpu_weight *weight = a->weight->handle;
  product p = {.device = device,
               .args = a,
               .b = weight->narrow->forward,
               .a = a->x,
               .m = a->x.size[2],
               .k = a->x.size[3],
               .finish = finish_linear};
  if (device->precision == CDL_PRECISION_INT8)
    p.column_scales = weight->narrow->scales;
  return run_product(&p, weight);
}

/* ---- linear_grad ---- */

static void finish_linear_grad(const product *p, float *sums, int64_t row, int64_t column,
                               int64_t rows, int64_t columns)
{
  const cdl_linear_grad_args *a = p->args;
  const cpu_kernels *kernels = p->device->kernels;
  float wide[STRIP];
  for (int64_t i = 0; i < rows; i++) {
    const cpu_block block = {row + i, column, 1, columns};
    cpu_rows values = {sums + i * STRIP, STRIP};
    if (a->activation != CDL_ACTIVATION_NONE) {
      const cpu_rows d_x = cpu_place(a->d_x, block, wide),
                     pre = cpu_widen(kernels, a->pre, block, wide);
      kernels->activation_grad(a->activation, d_x.data, values.data, pre.data, columns);
      values = d_x;
    } else if (a->accumulate) {
      const cpu_rows d_x = cpu_widen(kernels, a->d_x, block, wide);
      kernels->add_row(CDL_REDUCE_SUM, d_x.data, values.data, columns);
      values = d_x;
    }
    cpu_store(kernels, a->d_x, block, values);
  }
}

cdl_status cpu_narrow_linear_grad(cpu_device *device, const cdl_linear_grad_args *a)
{
  const cpu_weight *weight = a->weight->handle;
  if (device->precision == CDL_PRECISION_INT8)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "linear_grad: int8 is for evaluation and prediction; train in fp32 or bf16");
  const int64_t rows = weight->narrow->forward.columns;
  product p = {
      .device = device,
      .args = a,
      .b = {.columns = weight->columns, .bytes = whole_steps(rows * element_bytes(device))},
      .backward = true,
      .a = a->d_out,
      .m = a->d_x.size[2],
      .k = a->d_out.size[3],
      .finish = finish_linear_grad};
  return run_product(&p, weight);
}
