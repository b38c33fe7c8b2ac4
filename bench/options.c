#include "bench/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/command_line.h"
#include "base/json.h"
#include "tools/console/log.h"
#include "tools/plot/plot.h"

const char *const bench_workload_names[BENCH_WORKLOADS] = {"gemm",      "svd",   "elementwise",
                                                           "attention", "train", "inference"};

enum { OPTIONS = 26, OPERANDS_MOST = 32 };

/* The command line and the variables it is read into. */
typedef struct {
  base_option options[OPTIONS];
  const char *operands[OPERANDS_MOST];
  base_command_line line;
} command_line;

static const base_operand workloads[] = {
    {"gemm", "matrix products with the shapes of encoders"},
    {"svd", "thin singular value decompositions"},
    {"elementwise", "maps, norms, softmax and the optimizer, which are bound by memory"},
    {"attention", "attention within packed sequences, forward and backward"},
    {"train", "a training step with LoRA and with CondLoRA, and its matrix products alone"},
    {"inference", "the bare encoder, and one with a merged adapter"},
    {"tune", "search the parameters of matrix products for an OpenCL device and save them"},
    {"model", "a training step's time on NVIDIA devices by a model, without a device"},
    {"ranks",
     "under mpirun: sums over the ranks of a job, the gain of a step, and a model of more"}};

static void list_options(bench_command *c, base_option list[OPTIONS])
{
  bench_options *o = &c->options;
  const base_option all[OPTIONS] = {
      BASE_OPTION(STRING, "backend", &o->backends, "A,B|all",
                  "backends to measure, one or several side by side; NAME or NAME:DEVICE [auto]"),
      BASE_OPTION(WORD, "precision", &o->precision, "fp32|tf32|bf16|int8",
                  "precision of matrix products, if the backend has it [fp32; model: bf16]"),
      BASE_OPTION(
          STRING, "shapes", &o->shapes, "base|large|FILE",
          "shapes of RoBERTa-base or -large, or of a run: FILE comes from condlora train --trace"),
      BASE_OPTION(FLAG, "cold", &o->cold, NULL, "empty the caches before each run; not for train"),
      BASE_OPTION(INT, "threads", &o->threads, "N", "number of CPU threads; 0: every core [0]",
                  .high = 1e9),
      BASE_OPTION(WORD, "clock", &o->clock, "wall|processor|instructions",
                  "what is counted; with --threads 1, processor time is steady on a busy machine, "
                  "and instructions more so [wall]"),
      BASE_OPTION(
          FLAG, "no_record", &o->no_record, NULL,
          "train, model: launch a step piece by piece instead of recording it on the device"),
      BASE_OPTION(FLAG, "quick", &o->quick, NULL,
                  "fewer and shorter cases: half a minute on two cores"),
      BASE_OPTION(WORD, "format", &o->format, "text|markdown|json|csv|bmf|github",
                  "format of the report; bmf is Bencher's, github that of github-action-benchmark "
                  "[text]"),
      BASE_OPTION(STRING, "output", &o->output, "FILE", "file for the report [standard output]"),
      BASE_OPTION(
          STRING, "plot", &o->plot, "FILE",
          "also draw a roofline plot of all cases with counted operations: .svg, .png or .pdf"),
      BASE_OPTION(STRING, "model", &o->model, "MODEL",
                  "train: the encoder, as a folder or a name; default: random weights in "
                  "RoBERTa-base's shape"),
      BASE_OPTION(
          STRING, "lengths", &o->lengths, "mrpc|rte|N",
          "train: tokens of an example, as in this task, or N each [rte; with --model mrpc]"),
      BASE_OPTION(STRING, "task", &o->task, "NAME",
                  "train: use examples of this GLUE task; needs --model and --data"),
      BASE_OPTION(STRING, "data", &o->data, "DIR", "train: folder with one folder for each task"),
      BASE_OPTION(INT, "batch_size", &o->batch_size, "N", "train: examples per batch [16]",
                  .low = 1, .high = 1e9),
      BASE_OPTION(INT, "joint", &o->joint, "N",
                  "train: measure steps of N runs in one pass, as condlora search --parallel has "
                  "them [1]",
                  .low = 1, .high = 32),
      BASE_OPTION(INT, "top", &o->top, "N",
                  "train: measure steps of adapters in the N highest layers, with the states below "
                  "computed and kept, as condlora train --cache-frozen has them [all layers]",
                  .low = 0, .high = 256),
      BASE_OPTION(FLOAT, "seconds", &o->seconds, "S",
                  "train: how long to measure [40; quick 4]; tune: to search [600; quick 60]",
                  .high = 1e9),
      BASE_OPTION(STRING, "parameters", &o->parameters, "FILE",
                  "tune: file for the parameters; default: the file that the backend reads"),
      BASE_OPTION(FLAG, "ops", &o->ops, NULL,
                  "train, model: also report the time of each op in a step"),
      BASE_OPTION(STRING, "devices", &o->devices, "A,B",
                  "model: devices, of a100, h100 and h200 [all]"),
      BASE_OPTION(STRINGS, "assume", &o->assume, "NAME=VALUE",
                  "model: change what is assumed of all devices, or with h200.NAME=VALUE of one; "
                  "may be given several times"),
      BASE_OPTION(STRING, "measured", &o->measured, "FILE",
                  "model: compare with what bench-condlora train --ops --format json measured on "
                  "a device with the same batches"),
      BASE_OPTION(PAIR, "compare", c->compare, "A B",
                  "compare two JSON reports: list the cases of B that are slower or faster than "
                  "A's; exit status 3 if one is slower"),
      BASE_OPTION(FLAG, "version", &c->version, NULL, "print the version"),
  };
  memcpy(list, all, sizeof all);
}

static void make_line(bench_command *c, command_line *l)
{
  list_options(c, l->options);
  l->line = (base_command_line){
      .usage = "bench-condlora [OPTION …] [WORKLOAD …]",
      .summary = "Measures backends. Each result is checked in float64 before it is timed. Without "
                 "a workload, all except tune, model and ranks are run.",
      .notes = "Exit status: 0 done, 1 failed (a wrong result too), 2 wrong usage, 3 slower "
               "(--compare).",
      .options = BASE_OPTIONS(l->options),
      .common = {.item = &console_log_option, .count = CONSOLE_LOG_OPTIONS},
      .operands = l->operands,
      .operands_most = OPERANDS_MOST,
      .words = workloads,
      .word_count = sizeof workloads / sizeof workloads[0]};
}

static cdl_status read_workload(const char *name, bench_command *c)
{
  for (int w = 0; w < BENCH_WORKLOADS; w++)
    if (strcmp(bench_workload_names[w], name) == 0) {
      c->wanted[w] = true;
      return CDL_STATUS_OK;
    }
  if (strcmp(name, "tune") == 0) {
    c->tune = true;
    return CDL_STATUS_OK;
  }
  if (strcmp(name, "model") == 0) {
    c->model = true;
    return CDL_STATUS_OK;
  }
  if (strcmp(name, "ranks") == 0) {
    c->ranks = true;
    return CDL_STATUS_OK;
  }
  return cdl_fail(CDL_STATUS_USAGE,
                  "there is no workload '%s': gemm, svd, elementwise, attention, train, inference, "
                  "tune, model or ranks",
                  name);
}

static cdl_status check_alone(const bench_command *c, const char *name)
{
  for (int w = 0; w < BENCH_WORKLOADS; w++)
    if (c->wanted[w])
      return cdl_fail(CDL_STATUS_USAGE, "%s runs alone, without %s", name, bench_workload_names[w]);
  if (c->tune + c->model + c->ranks > 1)
    return cdl_fail(CDL_STATUS_USAGE, "tune, model and ranks each run alone");
  return c->options.plot == NULL ? CDL_STATUS_OK
                                 : cdl_fail(CDL_STATUS_USAGE, "%s draws no --plot", name);
}

static cdl_status check_tuning(const bench_command *c)
{
  const char *backend = c->options.backends;
  CDL_TRY(check_alone(c, "tune"));
  if (strcmp(backend, "opencl") != 0 && strncmp(backend, "opencl:", 7) != 0)
    return cdl_fail(CDL_STATUS_USAGE, "tune needs --backend opencl or opencl:DEVICE, not '%s'",
                    backend);
  if (strchr(backend, ',') != NULL)
    return cdl_fail(CDL_STATUS_USAGE, "tune takes one device at a time, not '%s'", backend);
  if (strcmp(c->options.precision, "fp32") != 0 || c->options.cold)
    return cdl_fail(CDL_STATUS_USAGE, "tune searches for fp32 with warm caches only");
  return CDL_STATUS_OK;
}

static cdl_status check_model(const bench_command *c)
{
  const bench_options *o = &c->options;
  CDL_TRY(check_alone(c, "model"));
  if (o->task != NULL)
    return cdl_fail(CDL_STATUS_USAGE, "model takes --lengths and no --task");
  return strcmp(o->backends, "auto") == 0
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_USAGE, "model runs on no --backend; --devices names devices");
}

static cdl_status check_ranks(const bench_command *c)
{
  const bench_options *o = &c->options;
  CDL_TRY(check_alone(c, "ranks"));
  if (o->task != NULL || strcmp(o->clock, "wall") != 0 || o->cold)
    return cdl_fail(CDL_STATUS_USAGE, "ranks measures by the wall's clock with warm caches, with "
                                      "--lengths N and no --task");
  return o->lengths == NULL || strspn(o->lengths, "0123456789") == strlen(o->lengths)
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_USAGE,
                        "ranks wants the same --lengths N of all examples, not '%s'", o->lengths);
}

static cdl_status check(const bench_command *c)
{
  const bench_options *o = &c->options;
  if (o->task != NULL && (o->model == NULL || o->data == NULL))
    return cdl_fail(CDL_STATUS_USAGE,
                    "--task needs --model MODEL, for the tokenizer, and --data DIR");
  if (o->data != NULL && o->task == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "--data needs --task NAME");
  if (o->task != NULL && o->lengths != NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--lengths and --task both say how long examples are: give one");
  if (o->model != NULL && (o->shapes != NULL && strcmp(o->shapes, "large") == 0))
    return cdl_fail(CDL_STATUS_USAGE,
                    "--model and --shapes large both say which encoder: give one");
  if (strcmp(o->clock, "instructions") == 0 && (c->tune || c->model || o->plot != NULL || o->ops))
    return cdl_fail(CDL_STATUS_USAGE,
                    "--clock instructions has no times, which tune, model, --plot and --ops want");
  if (o->parameters != NULL && !c->tune)
    return cdl_fail(CDL_STATUS_USAGE, "--parameters is for tune only");
  if (!c->model && (o->devices != NULL || o->assume.count > 0 || o->measured != NULL))
    return cdl_fail(CDL_STATUS_USAGE, "--devices, --assume and --measured are for model only");
  if (c->tune || c->model)
    return c->tune ? check_tuning(c) : check_model(c);
  if (c->ranks)
    return check_ranks(c);
  if (o->plot != NULL) {
    CDL_TRY(cdl_context(plot_check_path(o->plot), "--plot"));
    CDL_TRY(cdl_context(plot_open(), "--plot")); /* checked before anything is measured */
  }
  return CDL_STATUS_OK;
}

/* Fills in what depends on the workload. */
static void complete(bench_options *o, bool model)
{
  if (o->precision == NULL)
    o->precision = model ? "bf16" : "fp32";
  if (o->batch_size == 0 && !model)
    o->batch_size = 16;
}

cdl_status bench_command_read(int count, char **arguments, bench_command *c)
{
  command_line l = {0};
  *c = (bench_command){.options = {.backends = "auto", .clock = "wall", .format = "text"}};
  c->help = base_command_line_has(count, arguments, "--help") ||
            base_command_line_has(count, arguments, "-h");
  c->describe = base_command_line_has(count, arguments, "--describe-options");
  if (c->help || c->describe)
    return CDL_STATUS_OK;
  make_line(c, &l);
  CDL_TRY(base_command_line_read(&l.line, count, arguments));
  for (size_t i = 0; i < OPERANDS_MOST && l.operands[i] != NULL; i++)
    CDL_TRY(read_workload(l.operands[i], c));
  for (int w = 0; l.operands[0] == NULL && w < BENCH_WORKLOADS; w++)
    c->wanted[w] = true;
  complete(&c->options, c->model);
  return check(c);
}

void bench_command_help(void)
{
  enum { WIDTH = 100 };
  bench_command c;
  command_line l;
  make_line(&c, &l);
  base_command_line_help(&l.line, stdout, WIDTH);
}

cdl_status bench_command_describe(void)
{
  bench_command c;
  command_line l;
  make_line(&c, &l);
  json_t *object = base_command_line_describe(&l.line);
  char *text = base_json_text(object);
  json_decref(object);
  if (text == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the options");
  fputs(text, stdout);
  free(text);
  return CDL_STATUS_OK;
}
