/* condlora analyze matrices */
#include <stdio.h>

#include "base/json.h"
#include "tools/analysis/sharing.h"
#include "tools/cli/analyze.h"

/* ---- The table ---- */

static void print_figure(const analysis_sharing_target *t, analysis_conversion_kind kind)
{
  const analysis_sharing_figure *f = &t->figures[kind];
  printf(
      "  C_%-3s explained by one matrix: %s, with norms of 1 and a factor each %s; random %.4f\n",
      analysis_conversion_name(kind), cli_analyze_cell_of(f->same).text,
      cli_analyze_cell_of(f->scaled).text, f->expected);
  printf("  %-6s %10s %11s %5s %15s\n", "layer", "norm", "largest", "rank", "effective rank");
  for (int l = 0; l < t->target->count; l++) {
    const analysis_sharing_layer *layer = &f->layers[l];
    printf("  %-6d %10.4g %11.4g %5lld %15.3f\n", t->target->layers[l].number, layer->norm,
           layer->sigma.columns > 0 ? layer->sigma.values[0] : 0, (long long)layer->rank,
           layer->effective_rank);
  }
}

static void print_table(const cli_analyze_options *o, const void *result)
{
  const analysis_sharing *s = result;
  printf("conversion matrices, form %s\n", cli_analyze_form_name(o));
  for (size_t t = 0; t < s->count; t++) {
    printf("\n%s\n", s->targets[t].target->name);
    for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++)
      print_figure(&s->targets[t], k);
  }
}

/* ---- Files ---- */

static json_t *layer_json(const analysis_sharing_layer *l, int number)
{
  json_t *sigma = json_array();
  for (int64_t k = 0; k < l->sigma.columns; k++)
    base_json_append(&sigma, base_json_number(l->sigma.values[k]));
  return json_pack("{si so so sI so}", "layer", number, "singular_values", sigma, "norm",
                   base_json_number(l->norm), "rank", (json_int_t)l->rank, "effective_rank",
                   base_json_number(l->effective_rank));
}

static json_t *target_json(const analysis_sharing_target *t)
{
  json_t *matrices = json_object(), *conditions = json_array();
  for (int l = 0; l < t->target->count; l++)
    base_json_append(&conditions, base_json_number(t->conditions[l]));
  for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++) {
    const analysis_sharing_figure *f = &t->figures[k];
    json_t *layers = json_array();
    for (int l = 0; l < t->target->count; l++)
      base_json_append(&layers, layer_json(&f->layers[l], t->target->layers[l].number));
    base_json_set(&matrices, analysis_conversion_name(k),
                  json_pack("{so so so so so}", "layers", layers, "cosines",
                            cli_analyze_grid_json(&f->cosines), "shared", base_json_number(f->same),
                            "shared_with_factors", base_json_number(f->scaled), "expected",
                            base_json_number(f->expected)));
  }
  return json_pack("{ss so so so}", "target", t->target->name, "layers",
                   cli_analyze_layers_json(t->target), "condition", conditions, "matrices",
                   matrices);
}

static json_t *whole_json(const analysis_sharing *s, const cli_analyze_options *o)
{
  json_t *targets = json_array();
  for (size_t t = 0; t < s->count; t++)
    base_json_append(&targets, target_json(&s->targets[t]));
  return json_pack("{ss ss ss ss so}", "analysis", "matrices", "model", o->settings.model,
                   "adapter", o->settings.adapter, "form", cli_analyze_form_name(o), "targets",
                   targets);
}

static cdl_status write_csv(const analysis_sharing *s, const cli_analyze_output *out)
{
  base_output *file;
  CDL_TRY(cli_analyze_file_begin(out, "matrices.csv", &file));
  if (file == NULL)
    return CDL_STATUS_OK;
  base_output_printf(file, "target,matrix,layer,norm,rank,effective_rank,singular_values\n");
  for (size_t t = 0; t < s->count; t++)
    for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++)
      for (int l = 0; l < s->targets[t].target->count; l++) {
        const analysis_sharing_layer *layer = &s->targets[t].figures[k].layers[l];
        base_output_printf(file, "%s,%s,%d,%.12g,%lld,%.12g,", s->targets[t].target->name,
                           analysis_conversion_name(k), s->targets[t].target->layers[l].number,
                           layer->norm, (long long)layer->rank, layer->effective_rank);
        for (int64_t i = 0; i < layer->sigma.columns; i++)
          base_output_printf(file, "%s%.12g", i > 0 ? " " : "", layer->sigma.values[i]);
        base_output_printf(file, "\n");
      }
  return cli_analyze_file_commit(file);
}

static cdl_status write_maps(const analysis_sharing *s, const cli_analyze_output *out)
{
  for (size_t t = 0; t < s->count; t++)
    for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++) {
      char name[MODEL_NAME_BYTES + 32], title[MODEL_NAME_BYTES + 64];
      const char *target = s->targets[t].target->name, *kind = analysis_conversion_name(k);
      snprintf(name, sizeof name, "%s.%s.cosines", target, kind);
      snprintf(title, sizeof title, "%s, cosines of C_%s", cli_analyze_short_name(target), kind);
      CDL_TRY(cli_analyze_map(out, name, title, &s->targets[t].figures[k].cosines,
                              s->targets[t].target, -1));
    }
  return CDL_STATUS_OK;
}

/* ---- The command ---- */

static cdl_status compute(const cli_analyze_input *input, void *result)
{
  return analysis_sharing_compute(input->model->queue, &input->adapted,
                                  (adapter_orientation)input->options->form, result);
}

static cdl_status write(const cli_analyze_options *o, const cli_analyze_output *out,
                        const void *result)
{
  CDL_TRY(write_csv(result, out));
  CDL_TRY(cli_analyze_json(out, "matrices.json", whole_json(result, o)));
  return write_maps(result, out);
}

static void release(void *result)
{
  analysis_sharing_free(result);
}

cdl_status cli_analyze_matrices(int count, char **arguments)
{
  static const cli_analyze_kind kind = {
      "matrices", false, sizeof(analysis_sharing), compute, write, print_table, release, NULL};
  cli_analyze_options o = CLI_ANALYZE_DEFAULTS;
  const base_option options[] = {CLI_ANALYZE_MODEL_OPTION(o), CLI_ANALYZE_ADAPTER_OPTIONS(o),
                                 CLI_ANALYZE_CHOICE_OPTIONS(o), CLI_ANALYZE_FORM_OPTION(o),
                                 CLI_ANALYZE_OUTPUT_OPTIONS(o)};
  const base_command_line line = {
      .usage = "condlora analyze matrices --adapter ADAPTER [--model MODEL] [--output DIR]",
      .summary = "Describes each conversion matrix: its singular values, its effective rank, and "
                 "how much of it a single matrix shared by all layers explains.",
      .options = BASE_OPTIONS(options)};
  return cli_analyze_run(&kind, &line, count, arguments, &o);
}
