/* A report of two backends in each format; data-sheet peaks by device name; the tuner's points. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/tune_space.h"

static const bench_report_column columns[] = {{"name", "product", BENCH_REPORT_TEXT},
                                              {"path", "path", BENCH_REPORT_TEXT},
                                              BENCH_REPORT_TIMING_COLUMNS,
                                              BENCH_REPORT_RATE_COLUMNS};

static void add_row(bench_report *r, const char *backend, const char *name, const char *path,
                    double seconds)
{
  bench_report_use_backend(r, backend);
  bench_report_use_table(r, "gemm", "products", columns, sizeof columns / sizeof columns[0]);
  bench_report_add_row(r);
  bench_report_text(r, "name", name);
  bench_report_text(r, "path", path);
  bench_report_number(r, "median_s", seconds);
  bench_report_number(r, "min_s", seconds / 2);
}

static void make_report(bench_report *r)
{
  bench_report_begin(r);
  bench_report_fact(r, "version", "0");
  add_row(r, "cpu", "up", "native", 1);
  add_row(r, "cpu", "down", "native", 2);
  add_row(r, "opencl:1", "down", "composed", 4);
  add_row(r, "opencl:1", "more", "native", 8);
}

static char *written(const bench_report *r, const char *format)
{
  char *text = NULL;
  size_t bytes = 0;
  FILE *f = open_memstream(&text, &bytes);
  ck_assert_ptr_nonnull(f);
  ck_assert_int_eq(bench_report_write(r, format, f), CDL_STATUS_OK);
  ck_assert_int_eq(fclose(f), 0);
  return text;
}

/* The line of a text that begins so, after blanks; NULL. */
static const char *line_of(const char *text, const char *start, char line[256])
{
  for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
    at += strspn(at, "\n ");
    if (strncmp(at, start, strlen(start)) == 0) {
      snprintf(line, 256, "%.*s", (int)strcspn(at, "\n"), at);
      return line;
    }
    if (*at == '\0')
      break;
  }
  return NULL;
}

START_TEST(side_by_side)
{
  bench_report r;
  char line[256];
  make_report(&r);
  char *text = written(&r, "text");
  /* First the shared table: a row a case, with what each backend took. */
  ck_assert_ptr_nonnull(line_of(text, "down", line));
  ck_assert_ptr_nonnull(strstr(line, "2.000 s"));
  ck_assert_ptr_nonnull(strstr(line, "4.000 s"));
  ck_assert_ptr_nonnull(line_of(text, "up", line));
  ck_assert_ptr_nonnull(strstr(line, "1.000 s"));
  ck_assert_ptr_null(strstr(line, "0.500 s")); /* the minimum stands in the full tables */
  ck_assert_ptr_nonnull(line_of(text, "cpu", line));
  ck_assert_ptr_nonnull(strstr(line, "opencl:1"));
  ck_assert_ptr_nonnull(strstr(text, "\nproducts\n"));
  ck_assert_ptr_nonnull(strstr(text, "\nproducts, on cpu\n"));
  const char *second = strstr(text, "\nproducts, on opencl:1\n");
  ck_assert_ptr_nonnull(second);
  ck_assert_ptr_nonnull(line_of(second, "more", line));
  ck_assert_ptr_nonnull(strstr(line, "4.000 s")); /* its minimum */
  ck_assert_ptr_null(line_of(second, "up", line));
  free(text);
  text = written(&r, "markdown");
  ck_assert_ptr_nonnull(
      strstr(text, "| product | cpu path | cpu median | opencl:1 path | opencl:1 median |\n"));
  ck_assert_ptr_nonnull(strstr(text, "| down | native | 2.000 s | composed | 4.000 s |\n"));
  ck_assert_ptr_nonnull(strstr(text, "| more |  |  | native | 8.000 s |\n"));
  free(text);
  bench_report_release(&r);
}
END_TEST

START_TEST(one_backend_has_one_table)
{
  bench_report r;
  bench_report_begin(&r);
  add_row(&r, "cpu", "up", "native", 1);
  char *text = written(&r, "text");
  ck_assert_ptr_nonnull(strstr(text, "\nproducts\n"));
  ck_assert_ptr_null(strstr(text, "on cpu"));
  ck_assert_ptr_nonnull(strstr(text, "500.0 ms"));
  free(text);
  bench_report_release(&r);
}
END_TEST

START_TEST(for_programs)
{
  bench_report r;
  make_report(&r);
  char *text = written(&r, "csv");
  ck_assert_int_eq(strncmp(text, "table,backend,name,path,n,min_s,median_s,", 41), 0);
  ck_assert_ptr_nonnull(strstr(text, "\ngemm,opencl:1,more,native,,4,8,"));
  free(text);
  text = written(&r, "json");
  json_t *root = json_loads(text, 0, NULL);
  const json_t *rows = json_object_get(json_array_get(json_object_get(root, "tables"), 0), "rows");
  ck_assert_uint_eq(json_array_size(rows), 4);
  ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 2), "backend")),
                   "opencl:1");
  json_decref(root);
  free(text);
  bench_report_release(&r);
}
END_TEST

/* Figures of NVIDIA's data sheets, dense. */
/* Two runs of a case that took 0.5 and 1 s. */
static void make_timed(bench_report *r)
{
  double samples[] = {1, 0.5};
  const bench_measurement m = {.samples = samples,
                               .count = 2,
                               .minimum = 0.5,
                               .median = 0.75,
                               .p95 = 0.975,
                               .mean = 0.75,
                               .interval = 0.25,
                               .joules = 3};
  bench_report_begin(r);
  add_row(r, "cpu", "up, \"x\"", "native", 0);
  bench_report_timing(r, &m);
}

START_TEST(for_services)
{
  bench_report r;
  make_timed(&r);
  char *bmf = written(&r, "bmf"), *github = written(&r, "github");
  json_error_t error;
  json_t *a = json_loads(bmf, 0, &error), *b = json_loads(github, 0, &error);
  ck_assert_uint_eq(json_object_size(a), 1);
  json_t *measures = json_object_get(a, "cpu/gemm/up, \"x\""),
         *latency = json_object_get(measures, "latency");
  ck_assert(json_number_value(json_object_get(latency, "value")) == 0.75e9);
  ck_assert(json_number_value(json_object_get(latency, "lower_value")) == 0.5e9);
  ck_assert(json_number_value(json_object_get(latency, "upper_value")) == 0.975e9);
  ck_assert(json_number_value(json_object_get(json_object_get(measures, "joules"), "value")) == 3);
  ck_assert_uint_eq(json_array_size(b), 1);
  json_t *entry = json_array_get(b, 0);
  ck_assert_str_eq(json_string_value(json_object_get(entry, "name")), "cpu/gemm/up, \"x\"");
  ck_assert_str_eq(json_string_value(json_object_get(entry, "unit")), "ns");
  ck_assert(json_number_value(json_object_get(entry, "value")) == 0.75e9);
  ck_assert_str_eq(json_string_value(json_object_get(entry, "range")), "± 2.5e+08");
  json_decref(a);
  json_decref(b);
  free(bmf);
  free(github);
  bench_report_release(&r);
}
END_TEST

/* Where instructions are counted, nothing is called seconds, and there are no rates. */
START_TEST(instructions_are_no_seconds)
{
  bench_report r;
  make_timed(&r);
  bench_report_number(&r, "flop_per_s", 1e9);
  r.counts_instructions = true;
  char *json = written(&r, "json"), *csv = written(&r, "csv"), *bmf = written(&r, "bmf");
  ck_assert_ptr_nonnull(strstr(json, "\"median_instructions\": 750000000,"));
  ck_assert_ptr_nonnull(strstr(json, "\"samples_instructions\""));
  ck_assert(strstr(json, "_s\"") == NULL && strstr(json, "per_s") == NULL);
  ck_assert_ptr_nonnull(strstr(csv, ",median_instructions,"));
  ck_assert_ptr_null(strstr(csv, "_s,"));
  ck_assert(strstr(bmf, "\"instructions\"") != NULL && strstr(bmf, "latency") == NULL);
  free(json);
  free(csv);
  free(bmf);
  bench_report_release(&r);
}
END_TEST

START_TEST(each_format_names_the_machine)
{
  static const char *const formats[] = {"text", "markdown", "json", "csv"},
                           *const facts[] = {"date",      "commit",     "host",     "system",
                                             "processor", "processors", "governor", "load"};
  bench_report r;
  make_report(&r);
  (void)bench_report_machine(&r);
  for (size_t f = 0; f < 4; f++) {
    char *text = written(&r, formats[f]);
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
      ck_assert_msg(strstr(text, facts[i]) != NULL, "%s has no %s", formats[f], facts[i]);
    free(text);
  }
  bench_report_release(&r);
}
END_TEST

START_TEST(peaks_by_name)
{
  static const struct {
    const char *device, *precision;
    bool training;
    double tflop, gigabytes; /* 0: not known */
  } cases[] = {
      {"NVIDIA A100-SXM4-40GB, driver 12.4", "fp32", false, 19.5, 1555},
      {"NVIDIA A100-SXM4-80GB", "bf16", true, 312, 2039},
      {"NVIDIA A100 80GB PCIe", "bf16", false, 156,
       1935}, /* products outside frozen layers: TF32 */
      {"NVIDIA H100 80GB HBM3", "tf32", true, 494.7, 3350},
      {"NVIDIA H100 80GB HBM3", "bf16", true, 989.4, 3350},
      {"NVIDIA H200", "bf16", true, 989.4, 4800},
      {"condlora CUDA emulator", "fp32", false, 0, 0},
      {"vector set avx512, 2 threads", "fp32", false, 0, 0},
      {"NVIDIA GeForce", "fp32", false, 0, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *source;
    const bench_peak peak =
        bench_sheet_peak(cases[i].device, cases[i].precision, cases[i].training, &source);
    ck_assert_double_eq_tol(peak.flop_per_s / 1e12, cases[i].tflop, 1e-9);
    ck_assert_double_eq_tol(peak.bytes_per_s / 1e9, cases[i].gigabytes, 1e-9);
    ck_assert_int_eq(source != NULL, cases[i].tflop > 0);
  }
}
END_TEST

/* Whatever is drawn has values of the axes and divides as CLBlast's kernels need it; neighbours
 * differ in few places. */
START_TEST(points_are_valid)
{
  static const bench_tune_space *const spaces[] = {&bench_tune_xgemm, &bench_tune_direct};
  cdl_random random = cdl_random_start(3, CDL_RANDOM_TEST, 7, 0);
  for (int s = 0; s < 2; s++) {
    const bench_tune_space *space = spaces[s];
    for (size_t i = 0; i < space->start_count; i++)
      ck_assert_msg(space->valid(&space->starts[i]), "%s: start %zu", space->kernel, i);
    bench_tune_point p = bench_tune_draw(space, &random);
    for (int round = 0; round < 200; round++) {
      const bench_tune_point near = bench_tune_neighbour(space, &p, &random);
      size_t differ = 0;
      ck_assert(space->valid(&near));
      for (size_t i = 0; i < space->axis_count; i++) {
        bool listed = false;
        for (size_t k = 0; k < space->axes[i].count; k++)
          listed = listed || space->axes[i].values[k] == near.value[i];
        ck_assert(listed);
        differ += near.value[i] != p.value[i];
      }
      ck_assert_uint_le(differ, 3);
      p = near;
    }
  }
}
END_TEST

/* The form that backends/opencl/tuning.h reads. */
START_TEST(lines_of_parameters)
{
  static const bench_tune_point p = {{2, 8, 8, 8, 8, 1, 1, 4, 4, 32}};
  char line[512];
  bench_tune_line(&bench_tune_direct, &p, line, sizeof line);
  ck_assert_str_eq(line, "XgemmDirect 32 KWID=2 MDIMAD=8 MDIMCD=8 NDIMBD=8 NDIMCD=8 PADA=1 PADB=1 "
                         "VWMD=4 VWND=4 WGD=32");
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("report");
  TCase *tests = tcase_create("report");
  tcase_add_test(tests, side_by_side);
  tcase_add_test(tests, one_backend_has_one_table);
  tcase_add_test(tests, for_programs);
  tcase_add_test(tests, for_services);
  tcase_add_test(tests, instructions_are_no_seconds);
  tcase_add_test(tests, each_format_names_the_machine);
  tcase_add_test(tests, peaks_by_name);
  tcase_add_test(tests, points_are_valid);
  tcase_add_test(tests, lines_of_parameters);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  const int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
