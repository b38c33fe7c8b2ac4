#include "bench/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "tools/plot/cairo/canvas.h"

const char *const bench_workload_names[BENCH_WORKLOADS] = {"gemm",      "svd",   "elementwise",
                                                           "attention", "train", "inference"};

typedef enum { FLAG, TEXT, WHOLE, REAL, TWO_FILES } option_kind;

typedef struct {
  option_kind kind;
  const char *name;
  void *target; /* bool *, const char **, int64_t *, double * or const char *[2] */
  const char *placeholder, *help;
} option;

enum { OPTIONS = 20 };

static void list_options(bench_command *c, option list[OPTIONS])
{
  bench_options *o = &c->options;
  const option all[OPTIONS] = {
      {TEXT, "backend", &o->backends, "A,B|all",
       "where to measure: one or several, side by side; NAME or NAME:DEVICE [auto]"},
      {TEXT, "precision", &o->precision, "fp32|tf32|bf16",
       "of products, where a backend has it [fp32]"},
      {TEXT, "shapes", &o->shapes, "base|large|FILE",
       "sizes of RoBERTa-base's or -large's, or of a run: FILE of condlora train --trace"},
      {FLAG, "cold", &o->cold, NULL, "caches are emptied before each run; not of train"},
      {WHOLE, "threads", &o->threads, "N", "of the CPU; 0: every core [0]"},
      {TEXT, "clock", &o->clock, "wall|processor",
       "which time counts: with --threads 1, the processor's is steady on a busy machine [wall]"},
      {FLAG, "quick", &o->quick, NULL, "fewer and shorter cases: half a minute on two cores"},
      {TEXT, "format", &o->format, "text|markdown|json|csv", "of the report [text]"},
      {TEXT, "output", &o->output, "FILE", "the report goes here instead of standard output"},
      {TEXT, "plot", &o->plot, "FILE",
       "also a roofline plot of all cases whose operations count: .svg, .png or .pdf"},
      {TEXT, "model", &o->model, "DIR",
       "train: this Hugging Face folder; default: RoBERTa-base's shape, random weights"},
      {TEXT, "lengths", &o->lengths, "mrpc|rte|N",
       "train: tokens of an example, as in that task or N each [rte; with --model mrpc]"},
      {TEXT, "task", &o->task, "NAME",
       "train: examples of this GLUE task instead; wants --model and --data"},
      {TEXT, "data", &o->data, "DIR", "train: folder that holds one folder a task"},
      {WHOLE, "batch-size", &o->batch_size, "N", "train: examples a batch [16]"},
      {REAL, "seconds", &o->seconds, "S",
       "train: how long to measure [40; quick 4]; tune: to search [600; quick 60]"},
      {TEXT, "parameters", &o->parameters, "FILE",
       "tune: what was found goes here; default: where the backend looks by itself"},
      {FLAG, "ops", &o->ops, NULL, "train: also what each op takes of a step"},
      {TWO_FILES, "compare", c->compare, "A B",
       "two JSON reports: which cases of B are slower or faster than A's; exit status 3 where one "
       "is slower"},
      {FLAG, "version", &c->version, NULL, "print the version"},
  };
  memcpy(list, all, sizeof all);
}

static cdl_status set_number(const option *o, const char *value)
{
  char *end;
  errno = 0;
  const double number = o->kind == WHOLE ? (double)strtoll(value, &end, 10) : strtod(value, &end);
  if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno != 0 || number > 1e9)
    return cdl_fail(CDL_STATUS_USAGE, "--%s wants a %snumber from 0, not '%s'", o->name,
                    o->kind == WHOLE ? "whole " : "", value);
  if (o->kind == WHOLE)
    *(int64_t *)o->target = (int64_t)number;
  else
    *(double *)o->target = number;
  return CDL_STATUS_OK;
}

/* An option at arguments[*at], with its values. */
static cdl_status read_option(const option *list, int count, char **arguments, int *at)
{
  const char *argument = arguments[*at] + 2, *equals = strchr(argument, '=');
  const size_t length = equals != NULL ? (size_t)(equals - argument) : strlen(argument);
  const option *o = NULL;
  for (int i = 0; i < OPTIONS; i++)
    if (strlen(list[i].name) == length && memcmp(list[i].name, argument, length) == 0)
      o = &list[i];
  if (o == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "there is no option --%.*s; bench-condlora --help lists them",
                    (int)length, argument);
  if (o->kind == FLAG) {
    if (equals != NULL)
      return cdl_fail(CDL_STATUS_USAGE, "--%s takes no value", o->name);
    *(bool *)o->target = true;
    return CDL_STATUS_OK;
  }
  const int values = o->kind == TWO_FILES ? 2 : 1;
  if ((equals == NULL && *at + values >= count) || (equals != NULL && values > 1))
    return cdl_fail(CDL_STATUS_USAGE, "--%s wants %s", o->name, o->placeholder);
  const char *value = equals != NULL ? equals + 1 : arguments[++*at];
  if (o->kind == WHOLE || o->kind == REAL)
    return set_number(o, value);
  const bool choice = strcmp(o->name, "format") == 0 || strcmp(o->name, "clock") == 0 ||
                      strcmp(o->name, "precision") == 0;
  if (choice && !base_is_listed(o->placeholder, value))
    return cdl_fail(CDL_STATUS_USAGE, "--%s is one of %s, not '%s'", o->name, o->placeholder,
                    value);
  ((const char **)o->target)[0] = value;
  if (values > 1)
    ((const char **)o->target)[1] = arguments[++*at];
  return CDL_STATUS_OK;
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
  return cdl_fail(CDL_STATUS_USAGE,
                  "there is no workload '%s': gemm, svd, elementwise, attention, train or tune",
                  name);
}

static cdl_status check_tuning(const bench_command *c)
{
  const char *backend = c->options.backends;
  for (int w = 0; w < BENCH_WORKLOADS; w++)
    if (c->wanted[w])
      return cdl_fail(CDL_STATUS_USAGE, "tune runs alone, without %s", bench_workload_names[w]);
  if (strcmp(backend, "opencl") != 0 && strncmp(backend, "opencl:", 7) != 0)
    return cdl_fail(CDL_STATUS_USAGE, "tune wants --backend opencl or opencl:DEVICE, not '%s'",
                    backend);
  if (strchr(backend, ',') != NULL)
    return cdl_fail(CDL_STATUS_USAGE, "tune takes one device at a time, not '%s'", backend);
  if (strcmp(c->options.precision, "fp32") != 0 || c->options.cold)
    return cdl_fail(CDL_STATUS_USAGE, "tune searches for fp32 with warm caches alone");
  return CDL_STATUS_OK;
}

static cdl_status check(const bench_command *c)
{
  const bench_options *o = &c->options;
  if (o->task != NULL && (o->model == NULL || o->data == NULL))
    return cdl_fail(CDL_STATUS_USAGE,
                    "--task wants --model DIR, for the tokenizer, and --data DIR");
  if (o->data != NULL && o->task == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "--data wants --task NAME");
  if (o->task != NULL && o->lengths != NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--lengths and --task both say how long examples are: give one");
  if (o->batch_size < 1)
    return cdl_fail(CDL_STATUS_USAGE, "--batch-size is at least 1");
  if (o->model != NULL && (o->shapes != NULL && strcmp(o->shapes, "large") == 0))
    return cdl_fail(CDL_STATUS_USAGE,
                    "--model and --shapes large both say which encoder: give one");
  if (o->parameters != NULL && !c->tune)
    return cdl_fail(CDL_STATUS_USAGE, "--parameters is of tune alone");
  if (o->plot != NULL && c->tune)
    return cdl_fail(CDL_STATUS_USAGE, "tune draws no --plot");
  if (o->plot != NULL)
    CDL_TRY(cdl_context(plot_canvas_check_path(o->plot), "--plot"));
  return c->tune ? check_tuning(c) : CDL_STATUS_OK;
}

cdl_status bench_command_read(int count, char **arguments, bench_command *c)
{
  *c = (bench_command){.options = {.backends = "auto",
                                   .precision = "fp32",
                                   .clock = "wall",
                                   .format = "text",
                                   .batch_size = 16}};
  option list[OPTIONS];
  list_options(c, list);
  bool any = false;
  for (int i = 0; i < count; i++) {
    if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0) {
      c->help = true;
      return CDL_STATUS_OK;
    }
    if (strncmp(arguments[i], "--", 2) == 0) {
      CDL_TRY(read_option(list, count, arguments, &i));
    } else {
      CDL_TRY(read_workload(arguments[i], c));
      any = true;
    }
  }
  for (int w = 0; !any && !c->tune && w < BENCH_WORKLOADS; w++)
    c->wanted[w] = true;
  return check(c);
}

void bench_command_help(void)
{
  bench_command c;
  option list[OPTIONS];
  list_options(&c, list);
  puts("usage: bench-condlora [OPTION …] [WORKLOAD …]\n"
       "Measures a backend. Each result is held against float64 before it is timed.\n\n"
       "  gemm         matrix products of encoders' shapes\n"
       "  svd          thin singular value decompositions\n"
       "  elementwise  maps, norms, softmax, optimizer: bound by memory\n"
       "  attention    within packed sequences, forward and backward\n"
       "  train        a training step with LoRA and with CondLoRA, beside its own matrix products "
       "alone\n"
       "  inference    the bare encoder beside one with a merged adapter\n"
       "  tune         searches matrix products' parameters for an OpenCL device and writes them "
       "down\n\n"
       "Without a workload all but tune are run.\n");
  for (int i = 0; i < OPTIONS; i++) {
    char left[64];
    snprintf(left, sizeof left, "--%s %s", list[i].name,
             list[i].placeholder != NULL ? list[i].placeholder : "");
    printf("  %-32s %s\n", left, list[i].help);
  }
  puts("  --help                           this text\n\n"
       "Exit status: 0 done, 1 failed (a wrong result too), 2 wrong usage, 3 slower (--compare).");
}
