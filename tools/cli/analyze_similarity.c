/* condlora analyze similarity */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "tools/analysis/similarity.h"
#include "tools/cli/analyze.h"

/* The shared options and the second adapter. */
typedef struct {
  cli_analyze_options common; /* first: shared functions receive a pointer to it */
  const char *second;
} similarity_options;

static const char *second_of(const cli_analyze_options *o)
{
  return ((const similarity_options *)(const void *)o)->second;
}

/* ---- The table ---- */

static void print_row(const char *layer, const double *phi, const double *random)
{
  printf("  %-8s", layer);
  for (analysis_similarity_kind k = 0; k < ANALYSIS_SIMILARITY_COUNT; k++)
    printf("  %8.4f %8.4f", phi[k], random[k]);
  putchar('\n');
}

static void print_table(const cli_analyze_options *o, const void *result)
{
  const analysis_similarity *s = result;
  printf("similarity of two adapters, i = %lld, j = %lld: A by right, B and BA by left vectors\n",
         (long long)o->i, (long long)o->j);
  for (size_t t = 0; t < s->count; t++) {
    const analysis_similarity_target *target = &s->targets[t];
    printf("\n%s\n  %-8s  %8s %8s  %8s %8s  %8s %8s\n", target->name, "layer", "A", "random", "B",
           "random", "BA", "random");
    for (int l = 0; l < target->count; l++) {
      char number[16];
      snprintf(number, sizeof number, "%d", target->layers[l].number);
      print_row(number, target->layers[l].phi, target->layers[l].random);
    }
    print_row("mean", target->phi, target->random);
  }
  puts("\nall targets");
  print_row("mean", s->phi, s->random);
}

/* ---- Files ---- */

static json_t *values_json(const double *phi, const double *random)
{
  json_t *object = json_object();
  for (analysis_similarity_kind k = 0; k < ANALYSIS_SIMILARITY_COUNT; k++)
    base_json_set(&object, analysis_similarity_name(k),
                  json_pack("{so so}", "phi", base_json_number(phi[k]), "random",
                            base_json_number(random[k])));
  return object;
}

static json_t *target_json(const analysis_similarity_target *t)
{
  json_t *layers = json_array(), *expected = json_object();
  for (int l = 0; l < t->count; l++) {
    json_t *layer = values_json(t->layers[l].phi, t->layers[l].random);
    base_json_set(&layer, "layer", json_integer(t->layers[l].number));
    base_json_append(&layers, layer);
  }
  for (analysis_similarity_kind k = 0; k < ANALYSIS_SIMILARITY_COUNT; k++)
    base_json_set(&expected, analysis_similarity_name(k), base_json_number(t->expected[k]));
  return json_pack("{ss so so so}", "target", t->name, "layers", layers, "mean",
                   values_json(t->phi, t->random), "expected", expected);
}

static json_t *whole_json(const analysis_similarity *s, const cli_analyze_options *o)
{
  json_t *targets = json_array();
  for (size_t t = 0; t < s->count; t++)
    base_json_append(&targets, target_json(&s->targets[t]));
  return json_pack("{ss ss ss ss sI sI sI so so}", "analysis", "similarity", "model",
                   o->settings.model, "adapter", o->settings.adapter, "adapter2", second_of(o), "i",
                   (json_int_t)o->i, "j", (json_int_t)o->j, "seed", (json_int_t)o->seed, "mean",
                   values_json(s->phi, s->random), "targets", targets);
}

static cdl_status write_csv(const analysis_similarity *s, const cli_analyze_output *out)
{
  base_output *file;
  CDL_TRY(cli_analyze_file_begin(out, "similarity.csv", &file));
  if (file == NULL)
    return CDL_STATUS_OK;
  base_output_printf(file, "target,layer,matrix,phi,random\n");
  for (size_t t = 0; t < s->count; t++)
    for (int l = 0; l < s->targets[t].count; l++)
      for (analysis_similarity_kind k = 0; k < ANALYSIS_SIMILARITY_COUNT; k++) {
        const analysis_similarity_layer *layer = &s->targets[t].layers[l];
        base_output_printf(file, "%s,%d,%s,%.12g,%.12g\n", s->targets[t].name, layer->number,
                           analysis_similarity_name(k), layer->phi[k], layer->random[k]);
      }
  return cli_analyze_file_commit(file);
}

/* ---- The command ---- */

static cdl_status compute(const cli_analyze_input *input, void *result)
{
  const cli_analyze_options *o = input->options;
  const analysis_similarity_settings settings = {o->i, o->j, (uint64_t)o->seed};
  inference_settings other = o->settings;
  analysis_adapted adapted;
  inference_model model;
  other.adapter = second_of(o);
  other.rank = 0;
  CDL_TRY(inference_open(&model, &other));
  cdl_status status =
      cdl_context(analysis_adapted_read(model.encoder, model.queue, input->selection, &adapted),
                  "%s", other.adapter);
  if (status == CDL_STATUS_OK) {
    status = analysis_similarity_compute(input->model->queue, &input->adapted, &adapted, &settings,
                                         result);
    analysis_adapted_free(&adapted);
  }
  inference_close(&model);
  return status;
}

static cdl_status write(const cli_analyze_options *o, const cli_analyze_output *out,
                        const void *result)
{
  CDL_TRY(write_csv(result, out));
  return cli_analyze_json(out, "similarity.json", whole_json(result, o));
}

static void release(void *result)
{
  analysis_similarity_free(result);
}

static cdl_status check(const cli_analyze_options *o)
{
  return second_of(o) != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_USAGE,
                        "analyze similarity needs --adapter2: the adapter to compare with");
}

cdl_status cli_analyze_similarity(int count, char **arguments)
{
  static const cli_analyze_kind kind = {"similarity", false, sizeof(analysis_similarity),
                                        compute,      write, print_table,
                                        release,      check};
  similarity_options o = {.common = CLI_ANALYZE_DEFAULTS};
  const base_option options[] = {CLI_ANALYZE_MODEL_OPTION(o.common),
                                 CLI_ANALYZE_ADAPTER_OPTIONS(o.common),
                                 BASE_OPTION(STRING, "adapter2", &o.second, "ADAPTER",
                                             "the second adapter, made for the same base"),
                                 CLI_ANALYZE_CHOICE_OPTIONS(o.common),
                                 CLI_ANALYZE_VECTOR_OPTIONS(o.common),
                                 CLI_ANALYZE_SEED_OPTION(o.common),
                                 CLI_ANALYZE_OUTPUT_OPTIONS(o.common)};
  const base_command_line line = {
      .usage = "condlora analyze similarity --adapter ADAPTER --adapter2 ADAPTER [--model MODEL] "
               "[--output DIR]",
      .summary = "Compares two adapters layer by layer (Table 3): A by its right singular vectors, "
                 "B and B A by their left singular vectors. The first adapter is also compared "
                 "with random vectors.",
      .options = BASE_OPTIONS(options)};
  return cli_analyze_run(&kind, &line, count, arguments, &o.common);
}
