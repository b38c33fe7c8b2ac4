/* condlora analyze: selects the analysis and runs it. */
#include "tools/cli/analyze.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/number.h"
#include "tools/cli/command.h"

/* ---- Options ---- */

static cdl_status check(const cli_analyze_kind *kind, const cli_analyze_options *o)
{
  if (o->settings.model == NULL && kind->bare)
    return cdl_fail(CDL_STATUS_USAGE, "analyze %s needs --model: the encoder", kind->name);
  if (o->settings.adapter == NULL && !kind->bare)
    return cdl_fail(CDL_STATUS_USAGE, "analyze %s needs --adapter: the adapter to analyze",
                    kind->name);
  if (o->i < 1 || o->j < 1)
    return cdl_fail(CDL_STATUS_USAGE, "--%c must be at least 1", o->i < 1 ? 'i' : 'j');
  return kind->check != NULL ? kind->check(o) : CDL_STATUS_OK;
}

bool cli_analyze_wants_side(const cli_analyze_options *o, analysis_side side)
{
  return o->side == ANALYSIS_SIDE_COUNT || o->side == (int)side;
}

const char *cli_analyze_form_name(const cli_analyze_options *o)
{
  return o->form == ADAPTER_ORIENTATION_PAPER ? "paper" : "reference";
}

/* The lists of --targets and --layers, split; owned. */
typedef struct {
  base_list targets;
  int64_t *layers;
  analysis_selection selection; /* points into the lists */
} chosen_lists;

static void free_lists(chosen_lists *s)
{
  base_list_release(&s->targets);
  free(s->layers);
  *s = (chosen_lists){0};
}

static cdl_status read_layers(const char *text, chosen_lists *s)
{
  base_list numbers;
  CDL_TRY(base_list_split("--layers", text, &numbers));
  cdl_status status = CDL_STATUS_OK;
  s->layers = calloc(numbers.count + 1, sizeof *s->layers);
  if (s->layers == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: --layers");
  for (size_t i = 0; i < numbers.count && status == CDL_STATUS_OK; i++) {
    const char *number = numbers.item[i];
    if (!base_integer_parse(number, strlen(number), &s->layers[i]))
      status =
          cdl_fail(CDL_STATUS_USAGE, "--layers: expected block numbers from 0, not '%s'", number);
  }
  s->selection.layers = s->layers;
  s->selection.layer_count = numbers.count;
  base_list_release(&numbers);
  return status;
}

static cdl_status read_lists(const cli_analyze_options *o, chosen_lists *s)
{
  *s = (chosen_lists){0};
  cdl_status status = CDL_STATUS_OK;
  if (o->targets != NULL)
    status = base_list_split("--targets", o->targets, &s->targets);
  s->selection.targets = (const char *const *)s->targets.item;
  s->selection.target_count = s->targets.count;
  if (status == CDL_STATUS_OK && o->layers != NULL)
    status = read_layers(o->layers, s);
  if (status != CDL_STATUS_OK)
    free_lists(s);
  return status;
}

/* ---- Running one ---- */

static cdl_status run_opened(const cli_analyze_kind *kind, const cli_analyze_input *input,
                             console_notices *notices)
{
  const cli_analyze_options *o = input->options;
  cli_analyze_output out;
  void *result = calloc(1, kind->result_bytes);
  cdl_status status = result != NULL ? cli_analyze_output_begin(o, &out)
                                     : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", kind->name);
  if (status == CDL_STATUS_OK) {
    status = kind->compute(input, result);
    if (status == CDL_STATUS_OK)
      status = kind->write(o, &out, result);
    status = cli_analyze_output_finish(&out, status);
    if (status == CDL_STATUS_OK) {
      console_notices_release(notices);
      kind->print(o, result);
    }
    kind->release(result);
  }
  free(result);
  return status;
}

static cdl_status choose_layers(const cli_analyze_kind *kind, cli_analyze_input *input)
{
  model_encoder *encoder = input->model->encoder;
  if (kind->bare)
    return analysis_adapted_modules(encoder, input->selection, &input->adapted);
  return cdl_context(
      analysis_adapted_read(encoder, input->model->queue, input->selection, &input->adapted), "%s",
      input->options->settings.adapter);
}

static cdl_status open_and_run(const cli_analyze_kind *kind, cli_analyze_options *o,
                               const analysis_selection *selection, console_notices *notices)
{
  inference_model model;
  cli_analyze_input input = {.options = o, .selection = selection, .model = &model};
  const char *named = o->settings.model;
  CDL_TRY(inference_open(&model, &o->settings));
  if (named == NULL)
    o->settings.model = inference_base_name(&model);
  cdl_status status = choose_layers(kind, &input);
  if (status == CDL_STATUS_OK) {
    status = run_opened(kind, &input, notices);
    analysis_adapted_free(&input.adapted);
  }
  o->settings.model = named;
  inference_close(&model);
  return status;
}

typedef struct {
  const cli_analyze_kind *kind;
  cli_analyze_options *options;
} analysis;

static cdl_status run(void *command, console_notices *notices)
{
  const analysis *a = command;
  chosen_lists lists;
  CDL_TRY(check(a->kind, a->options));
  CDL_TRY(read_lists(a->options, &lists));
  const cdl_status status = open_and_run(a->kind, a->options, &lists.selection, notices);
  free_lists(&lists);
  return status;
}

cdl_status cli_analyze_run(const cli_analyze_kind *kind, const base_command_line *line, int count,
                           char **arguments, cli_analyze_options *o)
{
  analysis a = {kind, o};
  o->settings.part = kind->bare ? INFERENCE_OPEN_BODY : INFERENCE_OPEN_ADAPTED;
  return cli_run(line, count, arguments, run, &a);
}

/* ---- The command ---- */

static const cli_subcommand analyses[] = {
    {"conversion", cli_analyze_conversion,
     "compare the conversion matrices of pairs of layers (Figure 1)"},
    {"similarity", cli_analyze_similarity,
     "compare two adapters of one base, layer by layer (Table 3)"},
    {"correlation", cli_analyze_correlation, "compare updates with the frozen weights (Section 2)"},
    {"matrices", cli_analyze_matrices,
     "spectra of the conversion matrices, and what the layers share"},
    {"layers", cli_analyze_layers, "compare pairs of layers of a fully fine-tuned model"},
};
enum { ANALYSES = sizeof analyses / sizeof analyses[0] };

static void print_help(void)
{
  puts("usage: condlora analyze ANALYSIS --model MODEL … [--output DIR]\n\n"
       "Compares adapters with frozen weights, and layers with each other, in float64.\n");
  for (size_t i = 0; i < ANALYSES; i++)
    printf("  %-12s %s\n", analyses[i].name, analyses[i].help);
  puts("\ncondlora analyze ANALYSIS --help lists its options.");
}

cdl_status cli_analyze(int count, char **arguments)
{
  const char *names[ANALYSES];
  for (size_t i = 0; i < ANALYSES; i++) {
    names[i] = analyses[i].name;
    if (count > 0 && strcmp(arguments[0], names[i]) == 0)
      return analyses[i].run(count - 1, arguments + 1);
  }
  if (base_command_line_has(count, arguments, "--help") ||
      base_command_line_has(count, arguments, "-h")) {
    print_help();
    return CDL_STATUS_OK;
  }
  if (base_command_line_has(count, arguments, "--describe-options"))
    return cli_commands_describe(analyses, ANALYSES);
  if (count == 0 || arguments[0][0] == '-')
    return cdl_fail(
        CDL_STATUS_USAGE,
        "expected an analysis first: conversion, similarity, correlation, matrices or layers");
  return cdl_fail(CDL_STATUS_USAGE,
                  "there is no analysis %s; the nearest is %s (condlora analyze --help lists all)",
                  arguments[0], base_nearest(arguments[0], names, ANALYSES));
}
