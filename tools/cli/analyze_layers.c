/* condlora analyze layers */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "model/hub/resolve.h"
#include "model/inference/evaluation.h"
#include "tools/analysis/layer_similarity.h"
#include "tools/cli/analyze.h"
#include "tools/cli/example_options.h"
#include "tools/console/signals.h"
#include "train/examples.h"

typedef struct {
  cli_analyze_options common; /* first: shared functions receive a pointer to it */
  const char *tuned;          /* folder of the fully fine-tuned model */
  study_example_source source;
  int64_t examples; /* most examples to use */
} layers_options;

/* Similarities of the weights and, with examples, of the hidden states. */
typedef struct {
  analysis_layer_similarity weights;
  size_t examples;
  analysis_grid before, after; /* CKA of the blocks' outputs for the examples' first tokens */
} layers_result;

static const layers_options *own(const cli_analyze_options *o)
{
  return (const layers_options *)(const void *)o;
}

/* The compared quantities, in the order of the table. */
enum { GRIDS = 5 };
static const struct {
  const char *name, *title;
} grids[GRIDS] = {{"weight", "CKA of W"},
                  {"tuned", "CKA of W'"},
                  {"update", "CKA of W' - W"},
                  {"conversion", "CKA of C"},
                  {"conversion_phi", "similarity of C"}};

static const analysis_grid *grid_of(const analysis_layer_similarity_target *t, int grid)
{
  const analysis_grid *const all[GRIDS] = {&t->base, &t->tuned, &t->update, &t->conversion,
                                           &t->conversion_phi};
  return all[grid];
}

enum { STATES = 2 };
static const struct {
  const char *name, *title;
} states[STATES] = {{"before", "CKA before"}, {"after", "CKA after"}};

static const analysis_grid *states_of(const layers_result *r, int which)
{
  return which == 0 ? &r->before : &r->after;
}

static void print_table(const cli_analyze_options *o, const void *result)
{
  const layers_result *r = result;
  const analysis_layer_similarity *s = &r->weights;
  printf("pairs of layers of a fine-tuned model, C = W+ (W' - W); i = %lld, j = %lld\n\n"
         "%-24s %-16s %14s %10s\n",
         (long long)o->i, (long long)o->j, "target", "what", "above diagonal", "all pairs");
  for (size_t t = 0; t < s->count; t++)
    for (int g = 0; g < GRIDS; g++) {
      const analysis_grid *grid = grid_of(&s->targets[t], g);
      printf("%-24s %-16s %14s %10s\n", s->targets[t].target->name, grids[g].title,
             cli_analyze_cell_of(grid->upper).text, cli_analyze_cell_of(grid->all).text);
    }
  for (int g = 0; g < STATES && r->examples > 0; g++) {
    const analysis_grid *grid = states_of(r, g);
    printf("%-24s %-16s %14s %10s\n", "hidden states", states[g].title,
           cli_analyze_cell_of(grid->upper).text, cli_analyze_cell_of(grid->all).text);
  }
}

/* ---- Files ---- */

static json_t *described_grid(const analysis_grid *grid)
{
  return json_pack("{so so so}", "values", cli_analyze_grid_json(grid), "mean_above_diagonal",
                   base_json_number(grid->upper), "mean_all_pairs", base_json_number(grid->all));
}

static json_t *states_json(const layers_result *r)
{
  if (r->examples == 0)
    return json_null();
  json_t *object = json_pack("{sI}", "examples", (json_int_t)r->examples);
  for (int g = 0; g < STATES; g++)
    base_json_set(&object, states[g].name, described_grid(states_of(r, g)));
  return object;
}

static json_t *whole_json(const layers_result *r, const cli_analyze_options *o)
{
  const analysis_layer_similarity *s = &r->weights;
  json_t *targets = json_array();
  for (size_t t = 0; t < s->count; t++) {
    json_t *target = json_pack("{ss so}", "target", s->targets[t].target->name, "layers",
                               cli_analyze_layers_json(s->targets[t].target));
    for (int g = 0; g < GRIDS; g++)
      base_json_set(&target, grids[g].name, described_grid(grid_of(&s->targets[t], g)));
    base_json_append(&targets, target);
  }
  return json_pack("{ss ss ss sI sI so so}", "analysis", "layers", "model", o->settings.model,
                   "model2", own(o)->tuned, "i", (json_int_t)o->i, "j", (json_int_t)o->j, "targets",
                   targets, "states", states_json(r));
}

static cdl_status write_csv(const analysis_layer_similarity *s, const cli_analyze_output *out)
{
  base_output *file;
  CDL_TRY(cli_analyze_file_begin(out, "layers.csv", &file));
  if (file == NULL)
    return CDL_STATUS_OK;
  base_output_printf(file, "target,layer,other_layer,weight,tuned,update,conversion,"
                           "conversion_phi\n");
  for (size_t t = 0; t < s->count; t++) {
    const analysis_adapted_target *target = s->targets[t].target;
    for (int l = 0; l < target->count; l++)
      for (int k = 0; k < target->count; k++) {
        base_output_printf(file, "%s,%d,%d", target->name, target->layers[l].number,
                           target->layers[k].number);
        for (int g = 0; g < GRIDS; g++)
          base_output_printf(file, ",%.12g",
                             grid_of(&s->targets[t], g)->values[l * target->count + k]);
        base_output_printf(file, "\n");
      }
  }
  return cli_analyze_file_commit(file);
}

static cdl_status write_states(const layers_result *r, const cli_analyze_output *out)
{
  base_output *file;
  CDL_TRY(cli_analyze_file_begin(out, "states.csv", &file));
  if (file != NULL)
    base_output_printf(file, "layer,other_layer,before,after\n");
  const int layers = r->before.layers;
  for (int i = 0; i < layers * layers && file != NULL; i++)
    base_output_printf(file, "%d,%d,%.12g,%.12g\n", i / layers, i % layers, r->before.values[i],
                       r->after.values[i]);
  CDL_TRY(cli_analyze_file_commit(file));
  for (int g = 0; g < STATES; g++) {
    char name[64], title[64];
    snprintf(name, sizeof name, "states.%s", states[g].name);
    snprintf(title, sizeof title, "hidden states, %s", states[g].title);
    CDL_TRY(cli_analyze_map(out, name, title, states_of(r, g), NULL, 0));
  }
  return CDL_STATUS_OK;
}

static cdl_status write(const cli_analyze_options *o, const cli_analyze_output *out,
                        const void *result)
{
  const layers_result *r = result;
  const analysis_layer_similarity *s = &r->weights;
  CDL_TRY(write_csv(s, out));
  CDL_TRY(cli_analyze_json(out, "layers.json", whole_json(r, o)));
  if (r->examples > 0)
    CDL_TRY(write_states(r, out));
  for (size_t t = 0; t < s->count; t++)
    for (int g = 0; g < GRIDS; g++) {
      char name[MODEL_NAME_BYTES + 32], title[MODEL_NAME_BYTES + 64];
      snprintf(name, sizeof name, "%s.%s", s->targets[t].target->name, grids[g].name);
      snprintf(title, sizeof title, "%s, %s", cli_analyze_short_name(s->targets[t].target->name),
               grids[g].title);
      CDL_TRY(
          cli_analyze_map(out, name, title, grid_of(&s->targets[t], g), s->targets[t].target, 0));
    }
  return CDL_STATUS_OK;
}

/* ---- Hidden states ---- */

static bool wants_examples(const layers_options *o)
{
  return o->source.task != NULL || o->source.data != NULL || o->source.input != NULL;
}

/* Reads the first --examples examples and tokenizes them with the base's tokenizer. */
static cdl_status read_examples(const layers_options *o, inference_model *model, study_examples *e)
{
  CDL_TRY(inference_open_tokenizer(model, cdl_hub_source_folder(model->base_source),
                                   encoder_config(model->encoder)->vocabulary_size));
  CDL_TRY(study_examples_read(&o->source, STUDY_LABELS_IGNORED, NULL, e));
  const cdl_status status = train_tokenize(model, e->dataset);
  if (status != CDL_STATUS_OK)
    study_examples_close(e);
  else if (e->count > (size_t)o->examples)
    e->count = (size_t)o->examples;
  return status;
}

static cdl_status compare_states(const inference_model *model, model_encoder *encoder,
                                 const study_examples *e, analysis_grid *grid)
{
  const model_config *c = encoder_config(encoder);
  const size_t total = cdl_dataset_count(e->dataset);
  inference_evaluation evaluation;
  const cdl_tokens tokens = cdl_dataset_tokens(e->dataset);
  CDL_TRY(inference_evaluation_create(&evaluation, model, &tokens, e->rows, e->count));
  float *values = calloc(total * (size_t)(c->layers * c->hidden_size) + 1, sizeof *values);
  cdl_status status =
      values != NULL ? CDL_STATUS_OK
                     : cdl_fail(CDL_STATUS_MEMORY, "out of memory: states of %zu examples", total);
  if (status == CDL_STATUS_OK)
    status = encoder_plan(encoder, model->queue, (encoder_batch_limits){0},
                          inference_evaluation_limits(&evaluation));
  if (status == CDL_STATUS_OK)
    status = inference_evaluation_states(&evaluation, encoder, model->queue, values,
                                         console_signals_flag());
  if (status == CDL_STATUS_OK)
    status = analysis_state_similarity(model->queue, values, (int)c->layers, total, c->hidden_size,
                                       e->rows, e->count, grid);
  free(values);
  inference_evaluation_release(&evaluation);
  return cdl_context(status, "%s", e->split);
}

static cdl_status compute_states(const inference_model *model, model_encoder *tuned,
                                 const study_examples *e, layers_result *r)
{
  console_signals_defer();
  CDL_TRY(compare_states(model, model->encoder, e, &r->before));
  CDL_TRY(compare_states(model, tuned, e, &r->after));
  r->examples = e->count;
  return CDL_STATUS_OK;
}

/* ---- The command ---- */

/* Checks that both models have embedding tables of one size, so that one tokenization serves
 * both. */
static cdl_status check_tables(const model_encoder *base, const model_encoder *tuned)
{
  const model_config *x = encoder_config(base), *y = encoder_config(tuned);
  return x->family == y->family && x->vocabulary_size == y->vocabulary_size &&
                 x->position_count == y->position_count && x->type_count == y->type_count
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_DATA, "the models read different tokens");
}

static cdl_status compute_weights(const cli_analyze_input *input, model_encoder *tuned,
                                  analysis_layer_similarity *result)
{
  const cli_analyze_options *o = input->options;
  analysis_adapted chosen;
  CDL_TRY(analysis_adapted_modules(tuned, input->selection, &chosen));
  const cdl_status status = analysis_layer_similarity_compute(input->model->queue, &input->adapted,
                                                              &chosen, o->i, o->j, result);
  analysis_adapted_free(&chosen);
  return status;
}

static cdl_status compute(const cli_analyze_input *input, void *result)
{
  const layers_options *o = own(input->options);
  const encoder_load_options options = {.labels = 1, .fresh_head = true};
  layers_result *r = result;
  model_encoder *tuned;
  encoder_load_report report;
  study_examples examples = {0};
  cdl_hub_source *source;
  CDL_TRY(hub_resolve(o->tuned, CDL_HUB_MODEL, &source));
  cdl_status status =
      encoder_load(input->model->queue, cdl_hub_source_folder(source), &options, &tuned, &report);
  cdl_hub_source_close(source);
  CDL_TRY(status);
  if (wants_examples(o)) {
    status = cdl_context(check_tables(input->model->encoder, tuned), "%s", o->tuned);
    if (status == CDL_STATUS_OK)
      status = read_examples(o, input->model, &examples);
  }
  if (status == CDL_STATUS_OK)
    status = cdl_context(compute_weights(input, tuned, &r->weights), "%s", o->tuned);
  if (status == CDL_STATUS_OK && wants_examples(o))
    status = compute_states(input->model, tuned, &examples, r);
  study_examples_close(&examples);
  encoder_destroy(tuned);
  return status;
}

static void release(void *result)
{
  layers_result *r = result;
  analysis_layer_similarity_free(&r->weights);
  analysis_grid_free(&r->before);
  analysis_grid_free(&r->after);
}

static cdl_status check(const cli_analyze_options *common)
{
  const layers_options *o = own(common);
  if (o->tuned == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "analyze layers needs --model2: the fully fine-tuned model");
  if (o->examples < 2)
    return cdl_fail(CDL_STATUS_USAGE, "--examples must be at least 2");
  return wants_examples(o) ? study_examples_check(&o->source) : CDL_STATUS_OK;
}

cdl_status cli_analyze_layers(int count, char **arguments)
{
  static const cli_analyze_kind kind = {
      "layers", true, sizeof(layers_result), compute, write, print_table, release, check};
  layers_options o = {
      .common = CLI_ANALYZE_DEFAULTS, .source = STUDY_EXAMPLE_DEFAULTS, .examples = 1000};
  const base_option options[] = {
      BASE_SECTION("The models"),
      BASE_OPTION(STRING, "model", &o.common.settings.model, "MODEL",
                  "the encoder before fine-tuning, as a folder or a name"),
      BASE_OPTION(STRING, "model2", &o.tuned, "MODEL", "the same encoder after full fine-tuning"),
      BASE_SECTION("Comparison"),
      BASE_OPTION(STRING, "targets", &o.common.targets, "A,B",
                  "kinds of layers, named by the end of their paths in a block [query,value, or "
                  "the family's names for them]"),
      BASE_OPTION(STRING, "layers", &o.common.layers, "N,N", "blocks, counted from 0 [all]"),
      CLI_ANALYZE_VECTOR_OPTIONS(o.common),
      CLI_EXAMPLE_OPTIONS(o.source),
      BASE_OPTION(INT, "examples", &o.examples, "N", "use at most the first N examples [1000]"),
      CLI_MAX_LENGTH_OPTION(o.common.settings),
      CLI_ANALYZE_OUTPUT_OPTIONS(o.common)};
  const base_command_line line = {
      .usage = "condlora analyze layers --model MODEL --model2 MODEL [--task NAME --data DIR] "
               "[--output DIR]",
      .summary = "Compares all pairs of layers of a fully fine-tuned model: linear CKA of the "
                 "weights, of their updates and of their conversion matrices, and the subspace "
                 "similarity of the conversion matrices. With examples, it also computes linear "
                 "CKA of the hidden states before and after fine-tuning.",
      .options = BASE_OPTIONS(options)};
  return cli_analyze_run(&kind, &line, count, arguments, &o.common);
}
