/* What the analyses have in common: options, opened models, what they write. */
#ifndef CONDLORA_TOOLS_CLI_ANALYZE_H
#define CONDLORA_TOOLS_CLI_ANALYZE_H

#include "base/file.h"
#include "base/new_folder.h"
#include "model/inference/inference.h"
#include "tools/analysis/adapted.h"
#include "tools/analysis/subspace.h"
#include "tools/cli/command.h"

/* As the command line says. */
typedef struct {
  inference_settings settings;
  int64_t i, j, seed;
  int form; /* adapter_orientation */
  int side; /* analysis_side, or ANALYSIS_SIDE_COUNT for both */
  const char *targets, *layers, *output, *plots;
} analyze_options;

#define ANALYZE_DEFAULTS                                                                 \
  {                                                                                      \
    .settings = {.backend = "auto", .precision = "fp32"}, .i = 8, .j = 8, .plots = "svg" \
  }

/* Lines of option tables. */
#define ANALYZE_MODEL_OPTION(o)                                                       \
  BASE_SECTION("The model"), BASE_OPTION(STRING, "model", &(o).settings.model, "DIR", \
                                         "Hugging Face folder of the encoder that was adapted")
#define ANALYZE_ADAPTER_OPTIONS(o)                                                   \
  BASE_OPTION(STRING, "adapter", &(o).settings.adapter, "DIR",                       \
              "low-rank adapter, this program's, PEFT's or the paper's own code's"), \
      BASE_OPTION(INT, "rank", &(o).settings.rank, "B",                              \
                  "use this rank of an adapter that DyLoRA trained [the adapter's own]")
#define ANALYZE_CHOICE_OPTIONS(o)                                                   \
  BASE_SECTION("What is compared"),                                                 \
      BASE_OPTION(STRING, "targets", &(o).targets, "A,B",                           \
                  "kinds of layers, by any ends of their paths in a block (query; " \
                  "attention.output.dense) "                                        \
                  "[all that are adapted]"),                                        \
      BASE_OPTION(STRING, "layers", &(o).layers, "N,N", "blocks, counted from 0 [all]")
#define ANALYZE_VECTOR_OPTIONS(o)                                                            \
  BASE_OPTION(INT, "i", &(o).i, "N", "leading singular vectors of the first of a pair [8]"), \
      BASE_OPTION(INT, "j", &(o).j, "N", "and of the second [8]")
#define ANALYZE_SEED_OPTION(o) \
  BASE_OPTION(INT, "seed", &(o).seed, "N", "of the random matrices beside [0]")
#define ANALYZE_FORM_OPTION(o)                                                                   \
  BASE_OPTION(CHOICE, "form", &(o).form, ADAPTER_ORIENTATION_WORDS,                              \
              "of the conversion matrices: pseudo-inverses of W and its transpose, or inverses " \
              "of square W as in the paper's code [paper]")
#define ANALYZE_SIDE_OPTION(o, usual) \
  BASE_OPTION(CHOICE, "side", &(o).side, "left|right|both", "which singular vectors [" usual "]")
#define ANALYZE_OUTPUT_OPTIONS(o)                                                              \
  BASE_SECTION("Where it runs and what it writes"),                                            \
      BASE_OPTION(                                                                             \
          STRING, "output", &(o).output, "DIR",                                                \
          "new folder for all numbers, as CSV and JSON, and for heat maps [the table alone]"), \
      BASE_OPTION(STRING, "plots", &(o).plots, "LIST",                                         \
                  "heat maps as svg, png, pdf, or none [svg]"),                                \
      BASE_OPTION(STRING, "backend", &(o).settings.backend, "NAME",                            \
                  "auto, cpu, or a plug-in with a device: opencl:0 [auto]"),                   \
      BASE_OPTION(INT, "threads", &(o).settings.threads, "N", "of the CPU [every core]",       \
                  .high = CLI_THREADS_MOST),                                                   \
      BASE_OPTION(FLAG, "no_fallback", &(o).settings.no_fallback, NULL,                        \
                  "work that would fall back to the host is an error")

/* Whether --side asks for a side. */
bool analyze_wants_side(const analyze_options *o, analysis_side side);
/* "paper" or "reference"; static. */
const char *analyze_form_name(const analyze_options *o);

/* ---- Running one ---- */

/* What was opened, and the layers chosen of it. */
typedef struct {
  const analyze_options *options;
  const analysis_selection *selection;
  inference_model *model;
  analysis_adapted adapted;
} analyze_input;

struct analyze_output;

/* An analysis of an adapter, or of a model without one. `result` is `result_bytes` of zeros at first;
 * it may point into the input. */
typedef struct {
  const char *name;
  bool bare; /* no adapter: of what is chosen all W, and no A and B */
  size_t result_bytes;
  cdl_status (*compute)(const analyze_input *input, void *result);
  cdl_status (*write)(const analyze_options *o, const struct analyze_output *out,
                      const void *result);
  void (*print)(const analyze_options *o, const void *result);
  void (*release)(void *result);
  cdl_status (*check)(const analyze_options *o); /* of options of its own; may be NULL */
} analyze_kind;

/* Reads and checks the options, opens what they name, computes, writes, prints. */
CDL_MUST_USE cdl_status analyze_run(const analyze_kind *kind, const base_command_line *line,
                                    int count, char **arguments, analyze_options *o);

/* ---- Output ---- */

typedef struct analyze_output {
  const char *path;
  base_new_folder folder;
  base_list plots;
} analyze_output;

/* USAGE for kinds of plots that there are not. Makes the folder; nothing without --output. Where what
 * draws is absent, a warning says so and there are no heat maps. */
CDL_MUST_USE cdl_status analyze_output_begin(const analyze_options *o, analyze_output *out);
/* The folder is there if `status` is OK, and gone else; returns the first failure. */
CDL_MUST_USE cdl_status analyze_output_finish(analyze_output *out, cdl_status status);

/* A file in the folder; NULL without --output. */
CDL_MUST_USE cdl_status analyze_file_begin(const analyze_output *out, const char *name,
                                           base_output **file);
CDL_MUST_USE cdl_status analyze_file_commit(base_output *file);
/* Releases `object`; NULL counts as memory that is out. */
CDL_MUST_USE cdl_status analyze_json(const analyze_output *out, const char *name, json_t *object);
/* Heat maps of a grid, one for each kind of plot; the title ends with the mean above the diagonal.
 * Values lie in [low, 1]. */
CDL_MUST_USE cdl_status analyze_map(const analyze_output *out, const char *name, const char *title,
                                    const analysis_grid *grid,
                                    const analysis_adapted_target *layers, double low);

/* "query" for "attention.self.query", which is long for a title. */
const char *analyze_short_name(const char *target);

/* A number of the table with four decimals; "-" where there is none. */
typedef struct {
  char text[32];
} analyze_cell;
analyze_cell analyze_cell_of(double value);

/* A number, or null where it is not finite. */
/* Rows of a grid. */
json_t *analyze_grid_json(const analysis_grid *grid);
/* Numbers of a target's blocks. */
json_t *analyze_layers_json(const analysis_adapted_target *target);

/* ---- The analyses ---- */

cdl_status analyze_conversion(int count, char **arguments);
cdl_status analyze_similarity(int count, char **arguments);
cdl_status analyze_correlation(int count, char **arguments);
cdl_status analyze_matrices(int count, char **arguments);
cdl_status analyze_layers(int count, char **arguments);

#endif
