/* The peak rates of devices, and the share of them that a result reaches. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/quota.h"
#include "bench/bench.h"

/* The size follows this host's last-level cache, which is larger than a GPU's; it is at least 128
 * MiB, and small enough that a small machine does not swap. */
int64_t bench_large_bytes(void)
{
  const int64_t least = (int64_t)128 << 20, most = (int64_t)512 << 20, step = (int64_t)1 << 20;
  const int64_t cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  const int64_t memory = (int64_t)base_usable_memory().total_bytes;
  const int64_t bytes = cache < least ? least : cache > most ? most : cache;
  return (bytes < memory / 16 ? bytes : memory / 16) / step * step;
}

static const struct {
  const char *part;
  double tflop_fp32, tflop_tf32, tflop_bf16, gigabytes;
  const char *source;
} sheets[] = {
#define PEAK(part, fp32, tf32, bf16, gigabytes, source) {part, fp32, tf32, bf16, gigabytes, source},
#include "bench/peaks.def"
#undef PEAK
};

bench_peak bench_sheet_peak(const char *description, const char *precision, bool training,
                            const char **source)
{
  bench_peak peak = {0, 0};
  size_t longest = 0;
  *source = NULL;
  for (size_t i = 0; i < sizeof sheets / sizeof sheets[0]; i++) {
    const size_t length = strlen(sheets[i].part);
    if (length <= longest || strstr(description, sheets[i].part) == NULL)
      continue;
    const bool fp32 = strcmp(precision, "fp32") == 0, bf16 = strcmp(precision, "bf16") == 0;
    const double tflop = fp32               ? sheets[i].tflop_fp32
                         : bf16 && training ? sheets[i].tflop_bf16
                                            : sheets[i].tflop_tf32;
    longest = length;
    peak = (bench_peak){tflop * 1e12, sheets[i].gigabytes * 1e9};
    *source = sheets[i].source;
  }
  return peak;
}

/* Returns the larger of the shares of arithmetic and memory, whichever bounds the case (Williams,
 * Waterman and Patterson 2009); NaN if a peak is unknown. */
static double share_of(bench_peak peak, double flop_per_s, double bytes_per_s)
{
  const double compute = peak.flop_per_s > 0 ? flop_per_s / peak.flop_per_s : NAN;
  const double memory = peak.bytes_per_s > 0 ? bytes_per_s / peak.bytes_per_s : NAN;
  if (!(bytes_per_s > 0))
    return compute;
  if (!(flop_per_s > 0))
    return memory;
  return isnan(compute) || isnan(memory) ? NAN : fmax(compute, memory);
}

static void fill_row(const bench_report_table *t, bench_report_row *row, const bench *b)
{
  const bench_report_cell *flop = bench_report_find(t, row, "flop_per_s"),
                          *bytes = bench_report_find(t, row, "bytes_per_s");
  const double flop_per_s = flop != NULL ? flop->number : 0,
               bytes_per_s = bytes != NULL ? bytes->number : 0;
  if (flop == NULL && bytes == NULL)
    return;
  const char *source;
  const bench_peak sheet =
      bench_sheet_peak(cdl_backend_description(b->backend), b->options.precision,
                       strncmp(t->name, "train", 5) == 0, &source);
  const bench_peak measured = {b->best_gemm, b->copy_rate};
  if (b->best_gemm > 0 && flop != NULL && strcmp(t->name, "elementwise") != 0)
    bench_report_set(t, row, "of_best", flop_per_s / b->best_gemm);
  bench_report_set(t, row, "of_roof", share_of(measured, flop_per_s, bytes_per_s));
  bench_report_set(t, row, "of_sheet", share_of(sheet, flop_per_s, bytes_per_s));
}

void bench_fill_shares(bench_report *r, const bench_list *list)
{
  for (size_t i = 0; i < r->table_count; i++)
    for (size_t k = 0; k < r->tables[i].row_count; k++) {
      bench_report_row *row = &r->tables[i].rows[k];
      for (size_t b = 0; row->backend >= 0 && b < list->count; b++)
        if (strcmp(r->backends[row->backend], list->item[b].label) == 0)
          fill_row(&r->tables[i], row, &list->item[b]);
    }
}
