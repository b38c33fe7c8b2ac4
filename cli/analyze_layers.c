/* condlora analyze layers */
#include <stdio.h>

#include "analysis/layer_similarity.h"
#include "cli/analyze.h"

/* The options, and the model that was fine-tuned whole. */
typedef struct {
  analyze_options common; /* first: what the parts that are shared are given */
  const char *tuned;
  cdl_encoder *tuned_encoder; /* on the same queue as the base */
} layers_options;

static const layers_options *own(const analyze_options *o)
{
  return (const layers_options *)(const void *)o;
}

/* What is compared, in the order of the table. */
enum { GRIDS = 5 };
static const struct {
  const char *name, *title;
} grids[GRIDS] = {{"weight", "CKA of W"},
                  {"tuned", "CKA of W'"},
                  {"update", "CKA of W' - W"},
                  {"conversion", "CKA of C"},
                  {"conversion_phi", "similarity of C"}};

static const cdl_grid *grid_of(const cdl_layer_similarity_target *t, int grid)
{
  const cdl_grid *const all[GRIDS] = {&t->base, &t->tuned, &t->update, &t->conversion,
                                      &t->conversion_phi};
  return all[grid];
}

static void print_table(const analyze_options *o, const void *result)
{
  const cdl_layer_similarity *s = result;
  printf("pairs of layers of a fine-tuned model, C = W+ (W' - W); i = %lld, j = %lld\n\n"
         "%-24s %-16s %14s %10s\n",
         (long long)o->i, (long long)o->j, "target", "what", "above diagonal", "all pairs");
  for (size_t t = 0; t < s->count; t++)
    for (int g = 0; g < GRIDS; g++) {
      const cdl_grid *grid = grid_of(&s->targets[t], g);
      printf("%-24s %-16s %14s %10s\n", s->targets[t].target->name, grids[g].title,
             analyze_cell_of(grid->upper).text, analyze_cell_of(grid->all).text);
    }
}

/* ---- Files ---- */

static json_t *whole_json(const cdl_layer_similarity *s, const analyze_options *o)
{
  json_t *targets = json_array();
  for (size_t t = 0; t < s->count; t++) {
    json_t *target = json_pack("{ss so}", "target", s->targets[t].target->name, "layers",
                               analyze_layers_json(s->targets[t].target));
    for (int g = 0; g < GRIDS; g++) {
      const cdl_grid *grid = grid_of(&s->targets[t], g);
      json_object_set_new(target, grids[g].name,
                          json_pack("{so so so}", "values", analyze_grid_json(grid),
                                    "mean_above_diagonal", analyze_number(grid->upper),
                                    "mean_all_pairs", analyze_number(grid->all)));
    }
    json_array_append_new(targets, target);
  }
  return json_pack("{ss ss ss sI sI so}", "analysis", "layers", "model", o->settings.model,
                   "model2", own(o)->tuned, "i", (json_int_t)o->i, "j", (json_int_t)o->j, "targets",
                   targets);
}

static cdl_status write_csv(const cdl_layer_similarity *s, const analyze_output *out)
{
  cdl_output *file;
  CDL_TRY(analyze_file_begin(out, "layers.csv", &file));
  if (file == NULL)
    return CDL_OK;
  cdl_output_printf(file, "target,layer,other_layer,weight,tuned,update,conversion,"
                          "conversion_phi\n");
  for (size_t t = 0; t < s->count; t++) {
    const cdl_adapted_target *target = s->targets[t].target;
    for (int l = 0; l < target->count; l++)
      for (int k = 0; k < target->count; k++) {
        cdl_output_printf(file, "%s,%d,%d", target->name, target->layers[l].number,
                          target->layers[k].number);
        for (int g = 0; g < GRIDS; g++)
          cdl_output_printf(file, ",%.12g",
                            grid_of(&s->targets[t], g)->values[l * target->count + k]);
        cdl_output_printf(file, "\n");
      }
  }
  return analyze_file_commit(file);
}

static cdl_status write(const analyze_options *o, const analyze_output *out, const void *result)
{
  const cdl_layer_similarity *s = result;
  CDL_TRY(write_csv(s, out));
  CDL_TRY(analyze_json(out, "layers.json", whole_json(s, o)));
  for (size_t t = 0; t < s->count; t++)
    for (int g = 0; g < GRIDS; g++) {
      char name[CDL_NAME_BYTES + 32], title[CDL_NAME_BYTES + 64];
      snprintf(name, sizeof name, "%s.%s", s->targets[t].target->name, grids[g].name);
      snprintf(title, sizeof title, "%s, %s", analyze_short_name(s->targets[t].target->name),
               grids[g].title);
      CDL_TRY(analyze_map(out, name, title, grid_of(&s->targets[t], g), 0));
    }
  return CDL_OK;
}

/* ---- The command ---- */

static cdl_status compute(const analyze_input *input, void *result)
{
  const analyze_options *o = input->options;
  cdl_adapted tuned;
  CDL_TRY(cdl_adapted_sites(own(o)->tuned_encoder, input->selection, &tuned));
  const cdl_status status =
      cdl_layer_similarity_compute(input->queue, &input->adapted, &tuned, o->i, o->j, result);
  cdl_adapted_free(&tuned);
  return cdl_context(status, "%s", own(o)->tuned);
}

static void release(void *result)
{
  cdl_layer_similarity_free(result);
}

static const analyze_kind kind = {
    "layers", sizeof(cdl_layer_similarity), compute, write, print_table, release};

/* A body alone: heads play no part, one is drawn where there is none. */
static cdl_status load(cdl_queue *queue, const char *folder, cdl_encoder **encoder)
{
  const cdl_load_options options = {.labels = 2, .fresh_head = true};
  cdl_load_report report;
  return cdl_encoder_load(queue, folder, &options, encoder, &report);
}

static cdl_status run_on(layers_options *o, cdl_queue *queue, const cdl_selection *selection,
                         cli_notices *notices)
{
  cdl_encoder *base;
  analyze_input input = {.options = &o->common, .selection = selection, .queue = queue};
  CDL_TRY(load(queue, o->common.settings.model, &base));
  cdl_status status = load(queue, o->tuned, &o->tuned_encoder);
  if (status == CDL_OK) {
    status = cdl_adapted_sites(base, selection, &input.adapted);
    if (status == CDL_OK)
      status = analyze_opened(&kind, &input, notices);
    cdl_adapted_free(&input.adapted);
    cdl_encoder_destroy(o->tuned_encoder);
  }
  cdl_encoder_destroy(base);
  return status;
}

static cdl_status run(layers_options *o)
{
  const cdl_backend_options options = {.threads = o->common.settings.threads,
                                       .no_fallback = o->common.settings.no_fallback};
  analyze_selection selection;
  cli_notices notices;
  cdl_backend *backend;
  cdl_queue *queue = NULL;
  CDL_TRY(analyze_selection_read(&o->common, &selection));
  cli_notices_begin(&notices);
  cdl_status status = cdl_backend_open(o->common.settings.backend, &options, &backend);
  if (status == CDL_OK) {
    status = cdl_queue_create(backend, &queue);
    if (status == CDL_OK)
      status = run_on(o, queue, &selection.selection, &notices);
    if (queue != NULL)
      cdl_queue_destroy(queue);
    (void)cdl_backend_close(backend);
  }
  cli_notices_end(&notices);
  analyze_selection_free(&selection);
  return status;
}

cdl_status analyze_layers(int count, char **arguments)
{
  layers_options o = {.common = ANALYZE_DEFAULTS};
  const cli_option options[] = {
      {CLI_GROUP, .help = "The models"},
      {CLI_TEXT, "model", &o.common.settings.model, "DIR",
       "Hugging Face folder of the encoder before fine-tuning"},
      {CLI_TEXT, "model2", &o.tuned, "DIR", "the same encoder, fine-tuned whole"},
      {CLI_GROUP, .help = "What is compared"},
      {CLI_TEXT, "targets", &o.common.targets, "A,B",
       "kinds of layers, by any ends of their paths in a block [query,value, or what the model "
       "calls them]"},
      {CLI_TEXT, "layers", &o.common.layers, "N,N", "blocks, counted from 0 [all]"},
      ANALYZE_VECTOR_OPTIONS(o.common),
      ANALYZE_OUTPUT_OPTIONS(o.common)};
  const cli_grammar grammar = {
      .usage = "condlora analyze layers --model DIR --model2 DIR [--output DIR]",
      .summary = "Compares all pairs of layers of a model that was fine-tuned whole: linear CKA of "
                 "weights, of their updates and of the conversion matrices that make the updates "
                 "of the weights, and the similarity of the latter.",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  bool helped;
  CDL_TRY(cli_options_read(&grammar, count, arguments, &helped));
  if (helped)
    return CDL_OK;
  if (o.tuned == NULL)
    return cdl_fail(CDL_USAGE,
                    "analyze layers wants --model2: the model that was fine-tuned whole");
  CDL_TRY(analyze_check(&o.common));
  return run(&o);
}
