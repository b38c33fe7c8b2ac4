/* How the CPU backend spreads a product over threads: every element once, and even shares for the
 * shapes of RoBERTa-base and MiniLM. CK_VERBOSITY=verbose prints the table of docs/cpu.md. */
#include "backends/cpu/gemm.h"
#include "tests/run_suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int thread_counts[] = {2, 4, 8, 16, 32, 64};
enum { COUNTS = sizeof thread_counts / sizeof thread_counts[0] };

static const struct {
  const char *name;
  int64_t m, n, k;
} shapes[] = {{"RoBERTa-base, query to value, 512 tokens", 512, 2304, 768},
              {"RoBERTa-base, attention's output, 512", 512, 768, 768},
              {"RoBERTa-base, intermediate, 512", 512, 3072, 768},
              {"RoBERTa-base, output, 512", 512, 768, 3072},
              {"RoBERTa-base, query to value, 2048", 2048, 2304, 768},
              {"RoBERTa-base, attention's output, 2048", 2048, 768, 768},
              {"MiniLM, query to value, 1104", 1104, 1152, 384},
              {"MiniLM, attention's output, 1104", 1104, 384, 384},
              {"MiniLM, intermediate, 1104", 1104, 1536, 384},
              {"MiniLM, output, 1104", 1104, 384, 1536}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

typedef struct {
  double even;   /* mean share of a thread / largest share, packing counted */
  double useful; /* multiply-adds / what the time of the largest share would do */
} outcome;

/* Gives each tile to the thread that is free first, as the pool does. A tile of m x n packs as many
 * elements as gemm.c assumes. */
static outcome spread(int64_t m, int64_t n, int64_t k, int threads)
{
  const cpu_grid grid = cpu_gemm_grid(m, n, k, threads);
  double loads[64] = {0}, total = 0, most = 0;
  for (int64_t tile = 0; tile < grid.rows * grid.columns; tile++) {
    const cpu_range r = cpu_part(m, grid.rows, tile / grid.columns, CPU_GRID_ROWS),
                    c = cpu_part(n, grid.columns, tile % grid.columns, CPU_GRID_COLUMNS);
    if (r.count == 0 || c.count == 0)
      continue;
    const double rows = (double)r.count, columns = (double)c.count,
                 load = rows * columns * (double)k * (1 + 10 / rows + 10 / columns);
    int next = 0;
    for (int t = 1; t < threads; t++)
      if (loads[t] < loads[next])
        next = t;
    loads[next] += load;
    total += load;
  }
  for (int t = 0; t < threads; t++)
    most = loads[t] > most ? loads[t] : most;
  return (outcome){total / threads / most, (double)m * (double)n * (double)k / threads / most};
}

START_TEST(shares_are_even)
{
  const char *verbosity = getenv("CK_VERBOSITY");
  const bool shows = verbosity != NULL && strcmp(verbosity, "verbose") == 0;
  for (int s = 0; s < SHAPES; s++) {
    if (shows)
      printf("| %s |", shapes[s].name);
    for (int t = 0; t < COUNTS; t++) {
      const int threads = thread_counts[t];
      const cpu_grid grid = cpu_gemm_grid(shapes[s].m, shapes[s].n, shapes[s].k, threads);
      const outcome o = spread(shapes[s].m, shapes[s].n, shapes[s].k, threads);
      if (shows)
        printf(" %d x %d: %.0f %% |", (int)grid.rows, (int)grid.columns, 100 * o.useful);
      ck_assert_msg(o.even >= (threads <= 16 ? 0.97 : 0.94), "%s, %d threads: %.3f of the largest",
                    shapes[s].name, threads, o.even);
      ck_assert_msg(o.useful >= (threads <= 16 ? 0.85 : 0.70), "%s, %d threads: %.3f useful",
                    shapes[s].name, threads, o.useful);
    }
    if (shows)
      printf("\n");
  }
}
END_TEST

/* The parts of m, and those of n, follow each other without a gap. */
START_TEST(parts_cover_a_product_once)
{
  static const int64_t sizes[] = {1, 3, 4, 5, 31, 33, 64, 100, 383, 384, 512, 1104, 2500};
  enum { SIZES = sizeof sizes / sizeof sizes[0] };
  for (int i = 0; i < SIZES * SIZES; i++)
    for (int t = -1; t < COUNTS; t++) {
      const int64_t m = sizes[i / SIZES], n = sizes[i % SIZES];
      const cpu_grid grid = cpu_gemm_grid(m, n, 768, t < 0 ? 1 : thread_counts[t]);
      int64_t row = 0, column = 0;
      for (int64_t part = 0; part < grid.rows; part++) {
        const cpu_range rows = cpu_part(m, grid.rows, part, CPU_GRID_ROWS);
        ck_assert_int_eq(rows.first, row);
        row += rows.count;
      }
      for (int64_t part = 0; part < grid.columns; part++) {
        const cpu_range columns = cpu_part(n, grid.columns, part, CPU_GRID_COLUMNS);
        ck_assert_int_eq(columns.first, column);
        column += columns.count;
      }
      ck_assert_int_eq(row, m);
      ck_assert_int_eq(column, n);
    }
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("grid");
  TCase *tests = tcase_create("grid");
  tcase_add_test(tests, shares_are_even);
  tcase_add_test(tests, parts_cover_a_product_once);
  suite_add_tcase(suite, tests);
  return run_suite(suite);
}
