/* condlora analyze conversion */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/process.h"
#include "tools/analysis/conversion.h"
#include "tools/cli/analyze.h"

/* ---- The table ---- */

static void print_conditions(const analysis_conversion *c)
{
  puts("\ncondition numbers of W");
  for (size_t t = 0; t < c->count; t++) {
    const analysis_conversion_target *target = &c->targets[t];
    printf("  %s\n   ", target->target->name);
    for (int l = 0; l < target->target->count; l++)
      printf(" %d: %.4g", target->target->layers[l].number, target->conditions[l]);
    putchar('\n');
  }
}

static void print_table(const cli_analyze_options *o, const void *result)
{
  const analysis_conversion *c = result;
  printf("conversion matrices, form %s: similarity of pairs of layers, i = %lld, j = %lld\n\n",
         cli_analyze_form_name(o), (long long)o->i, (long long)o->j);
  printf("%-24s %-6s %-7s %14s %10s   %14s %10s %9s\n", "target", "matrix", "vectors",
         "above diagonal", "all pairs", "random: above", "all pairs", "expected");
  for (size_t t = 0; t < c->count; t++)
    for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++)
      for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++) {
        const analysis_conversion_figure *f = &c->targets[t].figures[k][side];
        if (f->grid.values != NULL)
          printf("%-24s %-6s %-7s %14s %10.4f   %14s %10.4f %9.4f\n", c->targets[t].target->name,
                 analysis_conversion_name(k), analysis_side_name(side),
                 cli_analyze_cell_of(f->grid.upper).text, f->grid.all,
                 cli_analyze_cell_of(f->random.upper).text, f->random.all, f->expected);
      }
  print_conditions(c);
}

/* ---- Files ---- */

static json_t *figure_json(const analysis_conversion_figure *f)
{
  return json_pack("{so so so s{so so so so}}", "phi", cli_analyze_grid_json(&f->grid),
                   "mean_above_diagonal", base_json_number(f->grid.upper), "mean_all_pairs",
                   base_json_number(f->grid.all), "random", "phi",
                   cli_analyze_grid_json(&f->random), "mean_above_diagonal",
                   base_json_number(f->random.upper), "mean_all_pairs",
                   base_json_number(f->random.all), "expected", base_json_number(f->expected));
}

static json_t *target_json(const analysis_conversion_target *t)
{
  json_t *matrices = json_object(), *conditions = json_array();
  for (int l = 0; l < t->target->count; l++)
    base_json_append(&conditions, base_json_number(t->conditions[l]));
  for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++) {
    json_t *sides = json_object();
    for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++)
      if (t->figures[k][side].grid.values != NULL)
        base_json_set(&sides, analysis_side_name(side), figure_json(&t->figures[k][side]));
    base_json_set(&matrices, analysis_conversion_name(k), sides);
  }
  return json_pack("{ss s[II] so so so}", "target", t->target->name, "shape",
                   (json_int_t)t->target->rows, (json_int_t)t->target->columns, "layers",
                   cli_analyze_layers_json(t->target), "condition", conditions, "matrices",
                   matrices);
}

static json_t *whole_json(const analysis_conversion *c, const cli_analyze_options *o)
{
  json_t *targets = json_array();
  for (size_t t = 0; t < c->count; t++)
    base_json_append(&targets, target_json(&c->targets[t]));
  return json_pack("{ss ss ss ss sI sI sI so}", "analysis", "conversion", "model",
                   o->settings.model, "adapter", o->settings.adapter, "form",
                   cli_analyze_form_name(o), "i", (json_int_t)o->i, "j", (json_int_t)o->j, "seed",
                   (json_int_t)o->seed, "targets", targets);
}

static void csv_figure(base_output *file, const analysis_conversion_target *t,
                       analysis_conversion_kind kind, analysis_side side)
{
  const analysis_conversion_figure *f = &t->figures[kind][side];
  const int n = t->target->count;
  for (int l = 0; l < n && f->grid.values != NULL; l++)
    for (int k = 0; k < n; k++)
      base_output_printf(file, "%s,%s,%s,%d,%d,%.12g,%.12g\n", t->target->name,
                         analysis_conversion_name(kind), analysis_side_name(side),
                         t->target->layers[l].number, t->target->layers[k].number,
                         f->grid.values[l * n + k], f->random.values[l * n + k]);
}

static cdl_status write_csv(const analysis_conversion *c, const cli_analyze_output *out)
{
  base_output *file;
  CDL_TRY(cli_analyze_file_begin(out, "conversion.csv", &file));
  if (file == NULL)
    return CDL_STATUS_OK;
  base_output_printf(file, "target,matrix,vectors,layer,other_layer,phi,random\n");
  for (size_t t = 0; t < c->count; t++)
    for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++)
      for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++)
        csv_figure(file, &c->targets[t], k, side);
  return cli_analyze_file_commit(file);
}

static cdl_status write_maps(const analysis_conversion *c, const cli_analyze_output *out)
{
  for (size_t t = 0; t < c->count; t++)
    for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++)
      for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++) {
        const analysis_conversion_figure *f = &c->targets[t].figures[k][side];
        const char *target = c->targets[t].target->name, *vectors = analysis_side_name(side),
                   *kind = analysis_conversion_name(k);
        char name[MODEL_NAME_BYTES + 32], title[MODEL_NAME_BYTES + 64];
        if (f->grid.values == NULL)
          continue;
        snprintf(name, sizeof name, "%s.%s.%s", target, kind, vectors);
        snprintf(title, sizeof title, "%s, C_%s, %s", cli_analyze_short_name(target), kind,
                 vectors);
        CDL_TRY(cli_analyze_map(out, name, title, &f->grid, c->targets[t].target, 0));
        snprintf(name, sizeof name, "%s.%s.%s.random", target, kind, vectors);
        snprintf(title, sizeof title, "%s, C_%s, %s, random", cli_analyze_short_name(target), kind,
                 vectors);
        CDL_TRY(cli_analyze_map(out, name, title, &f->random, c->targets[t].target, 0));
      }
  return CDL_STATUS_OK;
}

/* ---- The command ---- */

static cdl_status compute(const cli_analyze_input *input, void *result)
{
  const cli_analyze_options *o = input->options;
  const analysis_conversion_settings settings = {
      .form = (adapter_orientation)o->form,
      .i = o->i,
      .j = o->j,
      .sides = {cli_analyze_wants_side(o, ANALYSIS_SIDE_LEFT),
                cli_analyze_wants_side(o, ANALYSIS_SIDE_RIGHT)},
      .seed = (uint64_t)o->seed,
      .workers =
          o->settings.threads > 0 ? (int)o->settings.threads : (int)base_process_processors()};
  return analysis_conversion_compute(input->model->queue, &input->adapted, &settings, result);
}

static cdl_status write(const cli_analyze_options *o, const cli_analyze_output *out,
                        const void *result)
{
  CDL_TRY(write_csv(result, out));
  CDL_TRY(cli_analyze_json(out, "conversion.json", whole_json(result, o)));
  return write_maps(result, out);
}

static void release(void *result)
{
  analysis_conversion_free(result);
}

cdl_status cli_analyze_conversion(int count, char **arguments)
{
  static const cli_analyze_kind kind = {
      "conversion", false, sizeof(analysis_conversion), compute, write, print_table, release, NULL};
  cli_analyze_options o = CLI_ANALYZE_DEFAULTS;
  const base_option options[] = {CLI_ANALYZE_MODEL_OPTION(o),        CLI_ANALYZE_ADAPTER_OPTIONS(o),
                                 CLI_ANALYZE_CHOICE_OPTIONS(o),      CLI_ANALYZE_FORM_OPTION(o),
                                 CLI_ANALYZE_SIDE_OPTION(o, "left"), CLI_ANALYZE_VECTOR_OPTIONS(o),
                                 CLI_ANALYZE_SEED_OPTION(o),         CLI_ANALYZE_OUTPUT_OPTIONS(o)};
  const base_command_line line = {
      .usage = "condlora analyze conversion --adapter ADAPTER [--model MODEL] [--output DIR]",
      .summary =
          "Compares the conversion matrices of all pairs of layers (Figure 1). A conversion matrix "
          "turns the frozen weight of a layer into the A, B or B A that was trained for it.",
      .options = BASE_OPTIONS(options)};
  return cli_analyze_run(&kind, &line, count, arguments, &o);
}
