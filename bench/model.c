#include "bench/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/encoders.h"
#include "bench/model_measured.h"
#include "bench/model_times.h"
#include "bench/op_times.h"
#include "bench/products.h"
#include "bench/shapes_choice.h"

enum { METHODS = 2, SIZES_MOST = 2 };
static const char *const methods[METHODS] = {"lora", "condlora"};
static const char *const titles[METHODS] = {"LoRA", "CondLoRA"};

/* A kind of batch: examples, and tokens of each as --lengths takes them. */
typedef struct {
  int64_t examples;
  const char *lengths;
} batch_size;

/* ---- One step, by op ---- */

typedef struct {
  char label[BENCH_OP_LABEL_BYTES];
  double calls, launches, seconds, flop;
  double bound_seconds[BENCH_BOUNDS];
} op_sum;

/* Sums over the steps of one device, size and method. */
typedef struct {
  const bench_assumptions *assumptions;
  bench_sequences sequences;
  op_sum *ops;
  size_t op_count, op_capacity;
  size_t begun;                                        /* works before the current op */
  double steps, launches, seconds, flop, library_flop; /* library: of products by cuBLAS */
  cdl_status status;                                   /* the first failure */
} step_sum;

static op_sum *op_of(step_sum *s, const char *label)
{
  for (size_t i = 0; i < s->op_count; i++)
    if (strcmp(s->ops[i].label, label) == 0)
      return &s->ops[i];
  if (s->op_count == s->op_capacity) {
    const size_t capacity = s->op_capacity > 0 ? 2 * s->op_capacity : 64;
    op_sum *ops = realloc(s->ops, capacity * sizeof *ops);
    if (ops == NULL) {
      s->status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: ops of a step");
      return NULL;
    }
    s->ops = ops;
    s->op_capacity = capacity;
  }
  op_sum *added = &s->ops[s->op_count++];
  *added = (op_sum){0};
  snprintf(added->label, sizeof added->label, "%s", label);
  return added;
}

/* Adds the works from number `begin` on to an op. */
static cdl_status add_works(step_sum *s, op_sum *op, size_t begin)
{
  const bench_work *works;
  size_t count;
  CDL_TRY(bench_driver_works(&works, &count));
  for (size_t i = begin; i < count; i++) {
    bench_work_time time;
    CDL_TRY(bench_time_of_work(&works[i], &s->sequences, s->assumptions, &time));
    op->seconds += time.seconds;
    op->bound_seconds[time.bound] += time.seconds;
    op->launches += works[i].kind != BENCH_WORK_COPY;
    if (works[i].kind == BENCH_WORK_PRODUCT)
      s->library_flop += bench_product_flop(&works[i].product);
  }
  s->begun = count;
  return CDL_STATUS_OK;
}

/* What came between two ops: copies, and ops of the core without an observed call. */
static void close_gap(step_sum *s)
{
  const bench_work *works;
  size_t count;
  if (s->status == CDL_STATUS_OK)
    s->status = bench_driver_works(&works, &count);
  if (s->status != CDL_STATUS_OK || count == s->begun)
    return;
  op_sum *between = op_of(s, "between ops");
  if (between != NULL)
    s->status = add_works(s, between, s->begun);
}

static void observe(void *user, const cdl_observation *seen)
{
  step_sum *s = user;
  if (!seen->after) {
    close_gap(s);
    return;
  }
  char label[BENCH_OP_LABEL_BYTES];
  bench_op_label(seen, (int32_t)s->sequences.count, label);
  op_sum *op = s->status == CDL_STATUS_OK ? op_of(s, label) : NULL;
  if (op == NULL)
    return;
  bench_product_list products = {0};
  bench_products_of_call(&products, seen->op, seen->args);
  op->calls++;
  op->flop += products.operations;
  bench_products_release(&products);
  s->status = add_works(s, op, s->begun);
}

/* The first step of a shape is not recorded, and the second is: what the later ones replay. */
static cdl_status run_step(step_sum *s, bench_workload *w, const data_batch *batch)
{
  float loss, norm;
  cdl_backend *backend = w->session.model.backend;
  CDL_TRY(bench_workload_step(w, batch, &loss, &norm));
  bench_driver_forget();
  s->begun = 0;
  s->sequences = (bench_sequences){batch->input.offsets, batch->input.examples};
  cdl_backend_observe(backend, observe, s);
  const cdl_status status = bench_workload_step(w, batch, &loss, &norm);
  cdl_backend_observe(backend, NULL, NULL);
  CDL_TRY(status);
  close_gap(s);
  s->steps++;
  return s->status;
}

static int longest_first(const void *a, const void *b)
{
  const op_sum *x = a, *y = b;
  return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

/* Turns sums into means of a step. */
static void finish(step_sum *s)
{
  for (size_t i = 0; i < s->op_count; i++) {
    op_sum *op = &s->ops[i];
    double *const all[] = {&op->calls, &op->launches, &op->seconds, &op->flop};
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
      *all[k] /= s->steps;
    s->launches += op->launches;
    s->seconds += op->seconds;
    s->flop += op->flop;
  }
  s->library_flop /= s->steps;
  qsort(s->ops, s->op_count, sizeof *s->ops, longest_first);
}

/* ---- A device ---- */

typedef struct {
  const bench_options *options;
  bench_report *report;
  bench_assumptions assumptions[BENCH_MODEL_DEVICES];
  bool wanted[BENCH_MODEL_DEVICES];
  cdl_precision precision;
  bench_measured measured;
} modelling;

static const char *bound_of(const op_sum *op)
{
  int most = 0;
  for (int b = 1; b < BENCH_BOUNDS; b++)
    if (op->bound_seconds[b] > op->bound_seconds[most])
      most = b;
  return bench_bound_names[most];
}

/* The columns that say which step a row is about. */
#define STEP_COLUMNS                                                                   \
  {"device", "device", BENCH_REPORT_TEXT}, {"method", "method", BENCH_REPORT_TEXT},    \
      {"batch", "batch", BENCH_REPORT_COUNT}, {"length", "length", BENCH_REPORT_TEXT}, \
  {                                                                                    \
    "tokens", "tokens", BENCH_REPORT_COUNT                                             \
  }

#define MEASURED_COLUMNS                                          \
  {"measured_ms", "measured ms", BENCH_REPORT_NUMBER},            \
  {                                                               \
    "measured_per_model", "measured / model", BENCH_REPORT_NUMBER \
  }

typedef struct {
  int device, method;
  const batch_size *size;
  const bench_encoder *encoder;
  size_t memory_bytes;
} step_name;

static double tokens_of(const step_name *name)
{
  return name->encoder->batches.tokens / (double)name->encoder->batches.count;
}

static void name_row(bench_report *r, const step_name *name)
{
  bench_report_add_row(r);
  bench_report_text(r, "device", bench_model_devices[name->device]);
  bench_report_text(r, "method", methods[name->method]);
  bench_report_number(r, "batch", (double)name->size->examples);
  bench_report_text(r, "length", name->size->lengths);
  bench_report_number(r, "tokens", tokens_of(name));
}

/* Fills in what was measured, which is NAN where nothing was. */
static void report_measured(bench_report *r, double measured_ms, double model_ms)
{
  bench_report_number(r, "measured_ms", measured_ms);
  bench_report_number(r, "measured_per_model", measured_ms / model_ms);
}

static double peak_of(const modelling *m, int device)
{
  const bench_assumptions *a = &m->assumptions[device];
  return 1e12 * (m->precision == CDL_PRECISION_BF16   ? a->bf16_tflops
                 : m->precision == CDL_PRECISION_TF32 ? a->tf32_tflops
                                                      : a->fp32_tflops);
}

static void report_step(const modelling *m, const step_sum *s, const step_name *name)
{
  static const bench_report_column columns[] = {
      STEP_COLUMNS,
      {"launches", "launches", BENCH_REPORT_NUMBER},
      {"step_ms", "model ms", BENCH_REPORT_NUMBER},
      {"tokens_per_s", "tokens/s", BENCH_REPORT_NUMBER},
      {"flop", "Gflop", BENCH_REPORT_OPERATIONS},
      {"library_flop", "by cuBLAS", BENCH_REPORT_OPERATIONS},
      {"of_peak", "of peak", BENCH_REPORT_SHARE},
      MEASURED_COLUMNS,
      {"memory_bytes", "device memory", BENCH_REPORT_BYTES}};
  bench_report *r = m->report;
  bench_report_use_table(r, "model", "model of a training step: no device was measured", columns,
                         sizeof columns / sizeof columns[0]);
  name_row(r, name);
  bench_report_number(r, "launches", s->launches);
  bench_report_number(r, "step_ms", s->seconds * 1e3);
  bench_report_number(r, "tokens_per_s", tokens_of(name) / s->seconds);
  bench_report_number(r, "flop", s->flop);
  bench_report_number(r, "library_flop", s->library_flop);
  bench_report_number(r, "of_peak", s->flop / s->seconds / peak_of(m, name->device));
  if (m->measured.report != NULL)
    report_measured(r, bench_measured_step(&m->measured, methods[name->method]), s->seconds * 1e3);
  bench_report_number(r, "memory_bytes", (double)name->memory_bytes);
}

static void report_ops(const modelling *m, const step_sum *s, const step_name *name)
{
  static const bench_report_column columns[] = {STEP_COLUMNS,
                                                {"op", "op", BENCH_REPORT_TEXT},
                                                {"calls", "calls", BENCH_REPORT_NUMBER},
                                                {"launches", "launches", BENCH_REPORT_NUMBER},
                                                {"op_ms", "model ms", BENCH_REPORT_NUMBER},
                                                {"share", "share", BENCH_REPORT_SHARE},
                                                {"bound", "bound by", BENCH_REPORT_TEXT},
                                                MEASURED_COLUMNS};
  bench_report *r = m->report;
  char title[96];
  snprintf(title, sizeof title, "model of a %s step by op: %s, batch %lld, length %s",
           titles[name->method], bench_model_devices[name->device], (long long)name->size->examples,
           name->size->lengths);
  bench_report_use_table(r, "model-ops", title, columns, sizeof columns / sizeof columns[0]);
  for (size_t i = 0; i < s->op_count; i++) {
    const op_sum *op = &s->ops[i];
    name_row(r, name);
    bench_report_text(r, "op", op->label);
    bench_report_number(r, "calls", op->calls);
    bench_report_number(r, "launches", op->launches);
    bench_report_number(r, "op_ms", op->seconds * 1e3);
    bench_report_number(r, "share", op->seconds / s->seconds);
    bench_report_text(r, "bound", bound_of(op));
    if (m->measured.report != NULL)
      report_measured(r, bench_measured_op(&m->measured, methods[name->method], op->label),
                      op->seconds * 1e3);
  }
}

/* Lengths that are drawn differ from batch to batch; a fixed one gives equal batches. */
static size_t batches_of(const bench_encoder *encoder)
{
  const bench_batches *b = &encoder->batches;
  return b->tokens == (double)(b->bound.examples * b->bound.longest * b->count) ? 1 : b->count;
}

static cdl_status run_method(const modelling *m, cdl_queue *queue, step_name name, step_sum *s)
{
  const bench_encoder *encoder = name.encoder;
  bench_workload w;
  CDL_TRY(bench_workload_open(&w, queue, &encoder->model, methods[name.method],
                              encoder->batches.bound));
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; status == CDL_STATUS_OK && i < batches_of(encoder); i++)
    status = run_step(s, &w, &encoder->batches.item[i]);
  bench_workload_close(&w);
  CDL_TRY(status);
  finish(s);
  name.memory_bytes = bench_driver_peak_bytes();
  report_step(m, s, &name);
  if (m->options->ops || m->measured.report != NULL || strcmp(m->options->format, "json") == 0 ||
      strcmp(m->options->format, "csv") == 0)
    report_ops(m, s, &name);
  return CDL_STATUS_OK;
}

/* A method has a device of its own, so that its memory is counted alone. */
static cdl_status open_and_run(const modelling *m, step_name name)
{
  const bench_assumptions *a = &m->assumptions[name.device];
  const bench_driver_device device = {.name = bench_model_devices[name.device],
                                      .multiprocessors = (int)a->multiprocessors,
                                      .threads = (int)a->resident_threads,
                                      .capability = (int)a->capability,
                                      .memory_bytes = (size_t)(a->memory_gb * 1e9)};
  cdl_backend *backend;
  cdl_queue *queue;
  step_sum s = {.assumptions = a};
  CDL_TRY(bench_driver_open(&device, m->precision, !m->options->no_record, &backend));
  cdl_status status = cdl_queue_create(backend, &queue);
  if (status == CDL_STATUS_OK) {
    status = run_method(m, queue, name, &s);
    cdl_queue_destroy(queue);
  }
  bench_driver_close(backend);
  free(s.ops);
  return cdl_context(status, "%s, %s, batch %lld, length %s", bench_model_devices[name.device],
                     methods[name.method], (long long)name.size->examples, name.size->lengths);
}

/* ---- The command ---- */

/* The measured steps are of about as many tokens. */
static cdl_status check_measured(const modelling *m, const bench_encoder *encoder)
{
  const double tokens = encoder->batches.tokens / (double)encoder->batches.count;
  if (m->measured.report == NULL)
    return CDL_STATUS_OK;
  const double theirs = bench_measured_tokens(&m->measured);
  return fabs(theirs - tokens) <= 0.1 * tokens
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_DATA,
                        "--measured: %s has steps of %.0f tokens, the model of %.0f: give the "
                        "measurement's --batch-size and --lengths",
                        m->measured.path, theirs, tokens);
}

static cdl_status run_size(modelling *m, const bench_shapes *shapes, const batch_size *size)
{
  bench chosen = {.options = *m->options, .shapes = shapes};
  bench_encoder encoder;
  chosen.options.batch_size = size->examples;
  chosen.options.lengths = size->lengths;
  cdl_status status = bench_encoder_choose(&chosen, &encoder);
  if (status == CDL_STATUS_OK)
    status = check_measured(m, &encoder);
  for (int method = 0; status == CDL_STATUS_OK && method < METHODS; method++)
    for (int d = 0; status == CDL_STATUS_OK && d < BENCH_MODEL_DEVICES; d++)
      if (m->wanted[d])
        status = open_and_run(
            m, (step_name){.device = d, .method = method, .size = size, .encoder = &encoder});
  bench_encoder_release(&encoder);
  return status;
}

static void report_assumptions(const modelling *m)
{
  static const bench_report_column columns[] = {{"name", "name", BENCH_REPORT_TEXT},
                                                {"a100", "a100", BENCH_REPORT_NUMBER},
                                                {"h100", "h100", BENCH_REPORT_NUMBER},
                                                {"h200", "h200", BENCH_REPORT_NUMBER},
                                                {"what", "what it is", BENCH_REPORT_TEXT}};
  bench_report *r = m->report;
  bench_report_use_table(r, "model-assumptions", "the model's assumptions", columns,
                         sizeof columns / sizeof columns[0]);
  for (size_t i = 0; i < BENCH_ASSUMPTIONS; i++) {
    const bench_assumption *known = &bench_assumption_list[i];
    bench_report_add_row(r);
    bench_report_text(r, "name", known->name);
    for (int d = 0; d < BENCH_MODEL_DEVICES; d++) {
      double value;
      memcpy(&value, (const char *)&m->assumptions[d] + known->offset, sizeof value);
      bench_report_number(r, bench_model_devices[d], value);
    }
    bench_report_text(r, "what", known->what);
  }
}

static cdl_status choose_devices(modelling *m)
{
  const char *text = m->options->devices;
  for (int d = 0; d < BENCH_MODEL_DEVICES; d++) {
    m->assumptions[d] = bench_assumptions_of(d);
    m->wanted[d] = text == NULL;
  }
  for (size_t i = 0; i < m->options->assume.count; i++)
    CDL_TRY(bench_assume(m->options->assume.item[i], m->assumptions));
  while (text != NULL) {
    const size_t length = strcspn(text, ",");
    int found = -1;
    for (int d = 0; d < BENCH_MODEL_DEVICES; d++)
      if (strlen(bench_model_devices[d]) == length &&
          strncmp(bench_model_devices[d], text, length) == 0)
        found = d;
    if (found < 0)
      return cdl_fail(CDL_STATUS_USAGE, "--devices: '%.*s' is none of a100, h100 and h200",
                      (int)length, text);
    m->wanted[found] = true;
    text = text[length] == ',' ? text + length + 1 : NULL;
  }
  return CDL_STATUS_OK;
}

/* Models the device that was measured, unless --devices names one. */
static cdl_status choose_measured(modelling *m)
{
  const bench_options *o = m->options;
  if (o->measured == NULL)
    return CDL_STATUS_OK;
  CDL_TRY(bench_measured_read(o->measured, o->precision, &m->measured));
  const int device = bench_measured_device(&m->measured);
  if (o->devices == NULL && device < 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "--measured: %s is of no device that the model knows; --devices says which it "
                    "is like",
                    o->measured);
  for (int d = 0; o->devices == NULL && d < BENCH_MODEL_DEVICES; d++)
    m->wanted[d] = d == device;
  return CDL_STATUS_OK;
}

/* Two sizes without options: a small batch of sentence pairs, and a full one. */
static size_t sizes_of(const bench_options *o, batch_size sizes[SIZES_MOST])
{
  static const batch_size usual[SIZES_MOST] = {{16, "69"}, {32, "512"}};
  memcpy(sizes, usual, sizeof usual);
  if (o->batch_size == 0 && o->lengths == NULL)
    return SIZES_MOST;
  if (o->batch_size > 0)
    sizes[0].examples = o->batch_size;
  if (o->lengths != NULL)
    sizes[0].lengths = o->lengths;
  return 1;
}

static cdl_status run(modelling *m, const bench_shapes *shapes)
{
  const bench_options *o = m->options;
  batch_size sizes[SIZES_MOST];
  const size_t count = sizes_of(o, sizes);
  CDL_TRY(choose_devices(m));
  CDL_TRY(cdl_precision_find(o->precision, &m->precision));
  CDL_TRY(choose_measured(m));
  bench_report_fact(m->report, "version", cdl_version());
  bench_report_fact(m->report, "model", "no device was measured");
  bench_report_fact(m->report, "precision", o->precision);
  bench_report_fact(m->report, "recorded", o->no_record ? "no" : "yes");
  bench_report_fact(m->report, "quick", o->quick ? "yes" : "no");
  for (size_t i = 0; i < count; i++)
    CDL_TRY(run_size(m, shapes, &sizes[i]));
  report_assumptions(m);
  return bench_report_save(m->report, o->format, o->output);
}

cdl_status bench_model(const bench_options *options)
{
  bench_shapes shapes;
  bench_report r;
  CDL_TRY(bench_shapes_choose(options->shapes, &shapes));
  bench_report_begin(&r);
  modelling m = {.options = options, .report = &r};
  const cdl_status status = run(&m, &shapes);
  bench_measured_release(&m.measured);
  bench_report_release(&r);
  bench_shapes_release(&shapes);
  return status;
}
