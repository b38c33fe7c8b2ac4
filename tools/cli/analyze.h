/* What the analyses share: options, the opened model and the output folder. */
#ifndef CONDLORA_TOOLS_CLI_ANALYZE_H
#define CONDLORA_TOOLS_CLI_ANALYZE_H

#include "base/file.h"
#include "base/new_folder.h"
#include "model/inference/inference.h"
#include "tools/analysis/adapted.h"
#include "tools/analysis/subspace.h"
#include "tools/cli/command.h"

/* Values of the command line. */
typedef struct {
  inference_settings settings;
  int64_t i, j, seed;
  int form; /* adapter_orientation */
  int side; /* analysis_side, or ANALYSIS_SIDE_COUNT for both */
  const char *targets, *layers, *output, *plots;
} cli_analyze_options;

#define CLI_ANALYZE_DEFAULTS                                                             \
  {                                                                                      \
    .settings = {.backend = "auto", .precision = "fp32"}, .i = 8, .j = 8, .plots = "svg" \
  }

/* Rows of option tables. */
#define CLI_ANALYZE_MODEL_OPTION(o)                              \
  BASE_SECTION("The model"),                                     \
      BASE_OPTION(STRING, "model", &(o).settings.model, "MODEL", \
                  "the encoder that was adapted, as a folder or a name [the adapter's base]")
#define CLI_ANALYZE_ADAPTER_OPTIONS(o)                                         \
  BASE_OPTION(STRING, "adapter", &(o).settings.adapter, "ADAPTER",             \
              "low-rank adapter, made by condlora, PEFT or the paper's code"), \
      CLI_RANK_OPTION((o).settings)
#define CLI_ANALYZE_CHOICE_OPTIONS(o)                                                    \
  BASE_SECTION("Comparison"),                                                            \
      BASE_OPTION(STRING, "targets", &(o).targets, "A,B",                                \
                  "kinds of layers, named by the end of their paths in a block (query; " \
                  "attention.output.dense) [all adapted layers]"),                       \
      BASE_OPTION(STRING, "layers", &(o).layers, "N,N", "blocks, counted from 0 [all]")
#define CLI_ANALYZE_VECTOR_OPTIONS(o)                                        \
  BASE_OPTION(INT, "i", &(o).i, "N",                                         \
              "number of leading singular vectors of the first matrix [8]"), \
      BASE_OPTION(INT, "j", &(o).j, "N",                                     \
                  "number of leading singular vectors of the second matrix [8]")
#define CLI_ANALYZE_SEED_OPTION(o) \
  BASE_OPTION(INT, "seed", &(o).seed, "N", "seed of the random matrices used for comparison [0]")
#define CLI_ANALYZE_FORM_OPTION(o)                                                        \
  BASE_OPTION(CHOICE, "form", &(o).form, ADAPTER_ORIENTATION_WORDS,                       \
              "form of the conversion matrices: paper uses pseudo-inverses of W and its " \
              "transpose, reference the inverse of a square W as in the paper's code [paper]")
#define CLI_ANALYZE_SIDE_OPTION(o, usual)                   \
  BASE_OPTION(CHOICE, "side", &(o).side, "left|right|both", \
              "which singular vectors are compared [" usual "]")
#define CLI_ANALYZE_OUTPUT_OPTIONS(o)                                                              \
  BASE_SECTION("Backend and output"),                                                              \
      BASE_OPTION(                                                                                 \
          STRING, "output", &(o).output, "DIR",                                                    \
          "new folder for the numbers as CSV and JSON, and for heat maps [print the table only]"), \
      BASE_OPTION(STRING, "plots", &(o).plots, "LIST",                                             \
                  "file formats of the heat maps: svg, png, pdf, or none [svg]"),                  \
      CLI_BACKEND_OPTION((o).settings), CLI_THREADS_OPTIONS((o).settings)

/* Returns whether --side selects `side`. */
bool cli_analyze_wants_side(const cli_analyze_options *o, analysis_side side);
/* Returns "paper" or "reference"; static. */
const char *cli_analyze_form_name(const cli_analyze_options *o);

/* ---- Running one ---- */

/* The opened model and the layers chosen from it. */
typedef struct {
  const cli_analyze_options *options;
  const analysis_selection *selection;
  inference_model *model;
  analysis_adapted adapted;
} cli_analyze_input;

struct cli_analyze_output;

/* One analysis. `compute` fills in `result`, which begins as `result_bytes` of zeros and may point
 * into the input; `release` frees what it holds. */
typedef struct {
  const char *name;
  bool bare; /* needs no adapter: the chosen layers have W and no A and B */
  size_t result_bytes;
  cdl_status (*compute)(const cli_analyze_input *input, void *result);
  cdl_status (*write)(const cli_analyze_options *o, const struct cli_analyze_output *out,
                      const void *result);
  void (*print)(const cli_analyze_options *o, const void *result);
  void (*release)(void *result);
  cdl_status (*check)(const cli_analyze_options *o); /* of its own options; may be NULL */
} cli_analyze_kind;

/* Reads and checks the options, opens the model, computes, writes the files and prints the
 * table. */
CDL_MUST_USE cdl_status cli_analyze_run(const cli_analyze_kind *kind, const base_command_line *line,
                                        int count, char **arguments, cli_analyze_options *o);

/* ---- Output ---- */

typedef struct cli_analyze_output {
  const char *path;
  base_new_folder folder;
  base_list plots;
} cli_analyze_output;

/* Makes the output folder; does nothing without --output. If the object that draws plots is absent,
 * it warns and no heat maps are written. Errors: USAGE for an unknown kind of plot. */
CDL_MUST_USE cdl_status cli_analyze_output_begin(const cli_analyze_options *o,
                                                 cli_analyze_output *out);
/* Keeps the folder if `status` is OK and removes it otherwise. Returns the first failure. */
CDL_MUST_USE cdl_status cli_analyze_output_finish(cli_analyze_output *out, cdl_status status);

/* Begins a file in the folder. `*file` is NULL without --output. */
CDL_MUST_USE cdl_status cli_analyze_file_begin(const cli_analyze_output *out, const char *name,
                                               base_output **file);
CDL_MUST_USE cdl_status cli_analyze_file_commit(base_output *file);
/* Writes `object` as a file in the folder and releases it. NULL is reported as MEMORY. */
CDL_MUST_USE cdl_status cli_analyze_json(const cli_analyze_output *out, const char *name,
                                         json_t *object);
/* Writes a grid as heat maps, one for each kind of plot. The title ends with the mean above the
 * diagonal. Values lie in [low, 1]. */
CDL_MUST_USE cdl_status cli_analyze_map(const cli_analyze_output *out, const char *name,
                                        const char *title, const analysis_grid *grid,
                                        const analysis_adapted_target *layers, double low);

/* Shortens a target's name for a title: "attention.self.query" becomes "query". */
const char *cli_analyze_short_name(const char *target);

/* Formats a number of the table with four decimals, and NaN as "-". */
typedef struct {
  char text[32];
} cli_analyze_cell;
cli_analyze_cell cli_analyze_cell_of(double value);

/* Returns a grid as an array of rows; NULL when memory is out. */
json_t *cli_analyze_grid_json(const analysis_grid *grid);
/* Returns the block numbers of a target's layers; NULL when memory is out. */
json_t *cli_analyze_layers_json(const analysis_adapted_target *target);

/* ---- The analyses ---- */

cdl_status cli_analyze_conversion(int count, char **arguments);
cdl_status cli_analyze_similarity(int count, char **arguments);
cdl_status cli_analyze_correlation(int count, char **arguments);
cdl_status cli_analyze_matrices(int count, char **arguments);
cdl_status cli_analyze_layers(int count, char **arguments);

#endif
