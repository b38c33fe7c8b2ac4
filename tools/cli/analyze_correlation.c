/* condlora analyze correlation */
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "tools/analysis/correlation.h"
#include "tools/cli/analyze.h"

static void print_row(const char *layer, const analysis_correlation_value *values)
{
  printf("  %-8s", layer);
  for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++)
    if (isfinite(values[side].expected))
      printf("  %8.4f %8.4f %9.4f", values[side].phi, values[side].random, values[side].expected);
  putchar('\n');
}

static void print_table(const cli_analyze_options *o, const void *result)
{
  const analysis_correlation *c = result;
  printf("similarity of W and B A, i = %lld, j = %lld\n", (long long)o->i, (long long)o->j);
  for (size_t t = 0; t < c->count; t++) {
    const analysis_correlation_target *target = &c->targets[t];
    printf("\n%s\n  %-8s", target->target->name, "layer");
    for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++)
      if (cli_analyze_wants_side(o, side))
        printf("  %8s %8s %9s", analysis_side_name(side), "random", "expected");
    putchar('\n');
    for (int l = 0; l < target->target->count; l++) {
      char number[16];
      snprintf(number, sizeof number, "%d", target->target->layers[l].number);
      print_row(number, target->layers[l]);
    }
    print_row("mean", target->mean);
  }
}

/* ---- Files ---- */

static json_t *values_json(const analysis_correlation_value *values)
{
  json_t *object = json_object();
  for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++)
    if (isfinite(values[side].expected))
      base_json_set(&object, analysis_side_name(side),
                    json_pack("{so so so}", "phi", base_json_number(values[side].phi), "random",
                              base_json_number(values[side].random), "expected",
                              base_json_number(values[side].expected)));
  return object;
}

static json_t *whole_json(const analysis_correlation *c, const cli_analyze_options *o)
{
  json_t *targets = json_array();
  for (size_t t = 0; t < c->count; t++) {
    const analysis_correlation_target *target = &c->targets[t];
    json_t *layers = json_array();
    for (int l = 0; l < target->target->count; l++) {
      json_t *layer = values_json(target->layers[l]);
      base_json_set(&layer, "layer", json_integer(target->target->layers[l].number));
      base_json_append(&layers, layer);
    }
    base_json_append(&targets, json_pack("{ss so so}", "target", target->target->name, "layers",
                                         layers, "mean", values_json(target->mean)));
  }
  return json_pack("{ss ss ss sI sI sI so}", "analysis", "correlation", "model", o->settings.model,
                   "adapter", o->settings.adapter, "i", (json_int_t)o->i, "j", (json_int_t)o->j,
                   "seed", (json_int_t)o->seed, "targets", targets);
}

static cdl_status write_csv(const analysis_correlation *c, const cli_analyze_output *out)
{
  base_output *file;
  CDL_TRY(cli_analyze_file_begin(out, "correlation.csv", &file));
  if (file == NULL)
    return CDL_STATUS_OK;
  base_output_printf(file, "target,layer,vectors,phi,random,expected\n");
  for (size_t t = 0; t < c->count; t++)
    for (int l = 0; l < c->targets[t].target->count; l++)
      for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++) {
        const analysis_correlation_value *v = &c->targets[t].layers[l][side];
        if (isfinite(v->expected))
          base_output_printf(file, "%s,%d,%s,%.12g,%.12g,%.12g\n", c->targets[t].target->name,
                             c->targets[t].target->layers[l].number, analysis_side_name(side),
                             v->phi, v->random, v->expected);
      }
  return cli_analyze_file_commit(file);
}

/* ---- The command ---- */

static cdl_status compute(const cli_analyze_input *input, void *result)
{
  const cli_analyze_options *o = input->options;
  const analysis_correlation_settings settings = {
      .i = o->i,
      .j = o->j,
      .sides = {cli_analyze_wants_side(o, ANALYSIS_SIDE_LEFT),
                cli_analyze_wants_side(o, ANALYSIS_SIDE_RIGHT)},
      .seed = (uint64_t)o->seed};
  return analysis_correlation_compute(input->model->queue, &input->adapted, &settings, result);
}

static cdl_status write(const cli_analyze_options *o, const cli_analyze_output *out,
                        const void *result)
{
  CDL_TRY(write_csv(result, out));
  return cli_analyze_json(out, "correlation.json", whole_json(result, o));
}

static void release(void *result)
{
  analysis_correlation_free(result);
}

cdl_status cli_analyze_correlation(int count, char **arguments)
{
  static const cli_analyze_kind kind = {"correlation", false, sizeof(analysis_correlation),
                                        compute,       write, print_table,
                                        release,       NULL};
  cli_analyze_options o = CLI_ANALYZE_DEFAULTS;
  o.side = ANALYSIS_SIDE_COUNT;
  const base_option options[] = {CLI_ANALYZE_MODEL_OPTION(o),   CLI_ANALYZE_ADAPTER_OPTIONS(o),
                                 CLI_ANALYZE_CHOICE_OPTIONS(o), CLI_ANALYZE_SIDE_OPTION(o, "both"),
                                 CLI_ANALYZE_VECTOR_OPTIONS(o), CLI_ANALYZE_SEED_OPTION(o),
                                 CLI_ANALYZE_OUTPUT_OPTIONS(o)};
  const base_command_line line = {
      .usage = "condlora analyze correlation --adapter ADAPTER [--model MODEL] [--output DIR]",
      .summary = "Compares the leading singular vectors of each frozen weight W with those of its "
                 "update B A, and with random vectors (Section 2).",
      .options = BASE_OPTIONS(options)};
  return cli_analyze_run(&kind, &line, count, arguments, &o);
}
