/* Opens the backends to measure and reports their devices. */
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

static void use_backends_table(bench_report *r)
{
  static const bench_report_column columns[] = {
      {"name", "backend", BENCH_REPORT_TEXT},
      {"device", "device", BENCH_REPORT_TEXT},
      {"paths", "ops", BENCH_REPORT_TEXT},
      {"compile_s", "compiling", BENCH_REPORT_SECONDS},
      {"best_gemm_flop_per_s", "best GEMM, GFLOP/s", BENCH_REPORT_OPERATIONS_PER_S},
      {"copy_bytes_per_s", "copy, GB/s", BENCH_REPORT_BYTES_PER_S},
      {"sheet_flop_per_s", "data sheet, GFLOP/s", BENCH_REPORT_OPERATIONS_PER_S},
      {"sheet_bytes_per_s", "data sheet, GB/s", BENCH_REPORT_BYTES_PER_S},
      {"sheet", "data sheet", BENCH_REPORT_TEXT}};
  bench_report_use_backend(r, NULL);
  bench_report_use_table(r, "backends", "backends", columns, sizeof columns / sizeof columns[0]);
}

/* ---- Choice ---- */

typedef struct {
  const bench_options *options;
  bench_report *report;
  char **names; /* owned */
  size_t count;
  cdl_status status;
} choice;

static void add_name(choice *c, const char *name, size_t length)
{
  char **names = realloc(c->names, (c->count + 1) * sizeof *names);
  c->names = names != NULL ? names : c->names;
  char *copy = names != NULL ? strndup(name, length) : NULL;
  if (copy == NULL)
    c->status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: names of backends");
  else
    c->names[c->count++] = copy;
}

static void say_absent(bench_report *r, const char *name, const char *reason)
{
  static const bench_report_column columns[] = {{"name", "absent", BENCH_REPORT_TEXT},
                                                {"reason", "why", BENCH_REPORT_TEXT}};
  bench_report_use_backend(r, NULL);
  bench_report_use_table(r, "absent", "backends that are not here", columns,
                         sizeof columns / sizeof columns[0]);
  bench_report_add_row(r);
  bench_report_text(r, "name", name);
  bench_report_text(r, "reason", reason);
}

/* "all" means every device of every backend except null, which is not made for speed. */
static void on_listing(void *user, const cdl_backend_listing *l)
{
  choice *c = user;
  char name[128];
  if (strcmp(l->name, "null") == 0 || c->status != CDL_STATUS_OK)
    return;
  const bool first = l->device == NULL || strcmp(l->device, "0") == 0;
  snprintf(name, sizeof name, first ? "%s" : "%s:%s", l->name, first ? "" : l->device);
  if (l->reason != NULL)
    say_absent(c->report, name, l->reason);
  else
    add_name(c, name, strlen(name));
}

static cdl_status split_names(choice *c, const char *list)
{
  for (const char *at = list;; at++) {
    const size_t length = strcspn(at, ",");
    if (length == 0)
      return cdl_fail(CDL_STATUS_USAGE, "--backend wants names separated by commas, not '%s'",
                      list);
    for (size_t i = 0; i < c->count; i++)
      if (strlen(c->names[i]) == length && memcmp(c->names[i], at, length) == 0)
        return cdl_fail(CDL_STATUS_USAGE, "--backend names %s twice", c->names[i]);
    add_name(c, at, length);
    CDL_TRY(c->status);
    at += length;
    if (*at == '\0')
      return CDL_STATUS_OK;
  }
}

/* ---- Opening ---- */

double bench_unit(const bench *b)
{
  return strcmp(b->options.precision, "fp32") == 0 ? 0x1p-24 : 0x1p-11;
}

/* Returns the requested name, which may contain a device; for "auto" and a path it returns the
 * backend's own. An emulator is named as one, so that its results are never taken for a
 * device's. */
static char *label_of(const char *asked, const cdl_backend *backend, bool emulated)
{
  const bool plain = strcmp(asked, "auto") == 0 || strchr(asked, '/') != NULL;
  char label[256];
  snprintf(label, sizeof label, "%s%s", plain ? cdl_backend_name(backend) : asked,
           emulated ? " (emulated)" : "");
  return strdup(label);
}

static cdl_status open_one(bench *b, const char *name)
{
  const bench_options *o = &b->options;
  cdl_backend_options options = {.size = sizeof options, .threads = (int)o->threads};
  CDL_TRY(cdl_precision_find(o->precision, &options.precision));
  CDL_TRY(cdl_backend_open(name, &options, &b->backend));
  CDL_TRY(cdl_queue_create(b->backend, &b->queue));
  b->emulated = strstr(cdl_backend_description(b->backend), "emulator") != NULL;
  b->label = label_of(name, b->backend, b->emulated);
  if (b->label == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a backend's name");
  b->effort =
      o->quick
          ? (bench_measure_effort){.warm_seconds = 0.1, .seconds = 0.08, .least = 3, .most = 50}
          : (bench_measure_effort){.warm_seconds = 0.5, .seconds = 0.5, .least = 7, .most = 200};
  if (!o->cold)
    return CDL_STATUS_OK;
  const int64_t bytes = 2 * bench_large_bytes();
  CDL_TRY(cdl_buffer_create(b->backend, (size_t)bytes, &b->evict));
  b->effort.evict = cdl_tensor_1d(b->evict, CDL_DTYPE_F32, 0, bytes / 4);
  return CDL_STATUS_OK;
}

static void close_one(bench *b)
{
  cdl_buffer_destroy(b->evict);
  if (b->queue != NULL)
    cdl_queue_destroy(b->queue);
  if (b->backend != NULL)
    cdl_backend_close(b->backend);
  free(b->label);
}

void bench_close(bench_list *list)
{
  for (size_t i = 0; i < list->count; i++)
    close_one(&list->item[i]);
  free(list->item);
  *list = (bench_list){0};
}

static cdl_status open_all(const choice *c, const bench_shapes *shapes, bool forgive,
                           bench_list *list)
{
  list->item = calloc(c->count + 1, sizeof *list->item);
  if (list->item == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu backends", c->count);
  for (size_t i = 0; i < c->count; i++) {
    bench b = {.options = *c->options, .shapes = shapes, .report = c->report};
    cdl_status status = open_one(&b, c->names[i]);
    for (size_t k = 0; status == CDL_STATUS_OK && k < list->count; k++)
      if (strcmp(list->item[k].label, b.label) == 0)
        status = cdl_fail(CDL_STATUS_USAGE, "--backend names %s twice", b.label);
    if (status == CDL_STATUS_OK) {
      list->item[list->count++] = b;
      continue;
    }
    if (forgive)
      say_absent(c->report, c->names[i], cdl_error_message());
    close_one(&b);
    if (!forgive)
      return status;
  }
  return list->count > 0 ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_ABSENT, "no backend opens");
}

cdl_status bench_open(const bench_options *options, const bench_shapes *shapes, bench_report *r,
                      bench_list *list)
{
  const bool all = strcmp(options->backends, "all") == 0;
  choice c = {.options = options, .report = r};
  *list = (bench_list){0};
  use_backends_table(r); /* this table comes first, although its rows are known last */
  cdl_status status = all ? cdl_backend_list(on_listing, &c) : split_names(&c, options->backends);
  if (status == CDL_STATUS_OK)
    status = c.status;
  if (status == CDL_STATUS_OK)
    status = open_all(&c, shapes, all, list);
  for (size_t i = 0; i < c.count; i++)
    free(c.names[i]);
  free(c.names);
  return status;
}

/* ---- The report of a backend ---- */

/* Reports how often each op took which path; nothing if the backend has all ops natively. */
static cdl_status report_paths(const bench *b, size_t *other)
{
  static const bench_report_column columns[] = {{"op", "op", BENCH_REPORT_TEXT},
                                                {"dtype", "type", BENCH_REPORT_TEXT},
                                                {"path", "path", BENCH_REPORT_TEXT},
                                                {"calls", "calls", BENCH_REPORT_COUNT}};
  const size_t count = cdl_path_counts(b->backend, NULL, 0);
  cdl_path_count *counts = calloc(count + 1, sizeof *counts);
  if (counts == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu paths", count);
  cdl_path_counts(b->backend, counts, count);
  bench_report *r = b->report;
  bench_report_use_table(r, "paths", "paths of ops that are not native", columns,
                         sizeof columns / sizeof columns[0]);
  *other = 0;
  for (size_t i = 0; i < count; i++) {
    if (counts[i].path == CDL_PATH_NATIVE)
      continue;
    ++*other;
    bench_report_add_row(r);
    bench_report_text(r, "op", cdl_op_name(counts[i].op));
    bench_report_text(r, "dtype", cdl_dtype_name(counts[i].dtype));
    bench_report_text(r, "path", cdl_path_name(counts[i].path));
    bench_report_number(r, "calls", (double)counts[i].calls);
  }
  free(counts);
  return CDL_STATUS_OK;
}

cdl_status bench_report_backend(const bench *b)
{
  bench_report *r = b->report;
  size_t other = 0;
  bench_report_use_backend(r, b->label);
  CDL_TRY(report_paths(b, &other));
  use_backends_table(r);
  bench_report_add_row(r);
  const char *source;
  const bench_peak sheet =
      bench_sheet_peak(cdl_backend_description(b->backend), b->options.precision, false, &source);
  bench_report_text(r, "name", b->label);
  bench_report_text(r, "device", cdl_backend_description(b->backend));
  bench_report_text(r, "paths",
                    other == 0 ? "all native" : "some composed or on the host: see paths");
  if (cdl_backend_compile_ns(b->backend) > 0)
    bench_report_number(r, "compile_s", (double)cdl_backend_compile_ns(b->backend) * 1e-9);
  if (b->best_gemm > 0)
    bench_report_number(r, "best_gemm_flop_per_s", b->best_gemm);
  if (b->copy_rate > 0)
    bench_report_number(r, "copy_bytes_per_s", b->copy_rate);
  if (source != NULL) {
    bench_report_number(r, "sheet_flop_per_s", sheet.flop_per_s);
    bench_report_number(r, "sheet_bytes_per_s", sheet.bytes_per_s);
    bench_report_text(r, "sheet", source);
  }
  return CDL_STATUS_OK;
}
