/* The output of the analyses: a new folder with CSV, JSON and heat maps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"
#include "condlora/log.h"
#include "tools/cli/analyze.h"
#include "tools/plot/plot.h"

static cdl_status read_plots(const char *text, base_list *plots)
{
  if (strcmp(text, "none") == 0)
    return CDL_STATUS_OK;
  CDL_TRY(base_list_split("--plots", text, plots));
  for (size_t i = 0; i < plots->count; i++)
    if (strcmp(plots->item[i], "svg") != 0 && strcmp(plots->item[i], "png") != 0 &&
        strcmp(plots->item[i], "pdf") != 0)
      return cdl_fail(CDL_STATUS_USAGE, "--plots: expected svg, png, pdf or none, not %s",
                      plots->item[i]);
  return CDL_STATUS_OK;
}

cdl_status cli_analyze_output_begin(const cli_analyze_options *o, cli_analyze_output *out)
{
  *out = (cli_analyze_output){.path = o->output};
  cdl_status status = read_plots(o->plots, &out->plots);
  if (status == CDL_STATUS_OK && out->plots.count > 0 && o->output != NULL)
    status = plot_open();
  if (status == CDL_STATUS_ABSENT) { /* the numbers need no plots */
    cdl_log(CDL_LOG_WARNING, "no heat maps: %s", cdl_error_message());
    base_list_release(&out->plots);
    status = CDL_STATUS_OK;
  }
  if (status == CDL_STATUS_OK && o->output != NULL)
    status = base_new_folder_begin(&out->folder, o->output);
  if (status != CDL_STATUS_OK)
    base_list_release(&out->plots);
  return status;
}

cdl_status cli_analyze_output_finish(cli_analyze_output *out, cdl_status status)
{
  base_list_release(&out->plots);
  return out->path != NULL ? base_new_folder_finish(&out->folder, status) : status;
}

/* ---- Files ---- */

static cdl_status path_of(const cli_analyze_output *out, const char *name, char **path)
{
  *path = base_path_join(out->folder.temporary, name);
  return *path != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", name);
}

cdl_status cli_analyze_file_begin(const cli_analyze_output *out, const char *name,
                                  base_output **file)
{
  char *path;
  *file = NULL;
  if (out->path == NULL)
    return CDL_STATUS_OK;
  CDL_TRY(path_of(out, name, &path));
  const cdl_status status = base_output_begin(path, file);
  free(path);
  return status;
}

cdl_status cli_analyze_file_commit(base_output *file)
{
  return file != NULL ? base_output_commit(file) : CDL_STATUS_OK;
}

cdl_status cli_analyze_json(const cli_analyze_output *out, const char *name, json_t *object)
{
  char *path = NULL;
  cdl_status status =
      object != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", name);
  if (status == CDL_STATUS_OK && out->path != NULL) {
    status = path_of(out, name, &path);
    if (status == CDL_STATUS_OK)
      status = base_json_write(path, object);
  }
  free(path);
  json_decref(object);
  return status;
}

cdl_status cli_analyze_map(const cli_analyze_output *out, const char *name, const char *title,
                           const analysis_grid *grid, const analysis_adapted_target *layers,
                           double low)
{
  int *numbers = NULL;
  if (layers != NULL && out->path != NULL && (numbers = analysis_layer_numbers(layers)) == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", name);
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; status == CDL_STATUS_OK && i < out->plots.count && out->path != NULL; i++) {
    char file[MODEL_NAME_BYTES + 64], heading[MODEL_NAME_BYTES + 128], *path = NULL;
    snprintf(file, sizeof file, "%s.%s", name, out->plots.item[i]);
    if (isfinite(grid->upper))
      snprintf(heading, sizeof heading, "%s: mean %.4f", title, grid->upper);
    else
      snprintf(heading, sizeof heading, "%s", title);
    const plot_map map = {.values = grid->values};
    const plot_heatmap plot = {.title = heading,
                               .maps = &map,
                               .map_count = 1,
                               .rows = grid->layers,
                               .columns = grid->layers,
                               .row_axis = "layer",
                               .column_axis = "layer",
                               .low = low,
                               .high = 1,
                               .decimals = 2,
                               .numbers = numbers};
    status = path_of(out, file, &path);
    if (status == CDL_STATUS_OK)
      status = plot_heatmap_write(path, &plot);
    free(path);
  }
  free(numbers);
  return status;
}

/* ---- Texts ---- */

const char *cli_analyze_short_name(const char *target)
{
  static const char prefix[] = "attention.self.";
  return strncmp(target, prefix, sizeof prefix - 1) == 0 ? target + sizeof prefix - 1 : target;
}

cli_analyze_cell cli_analyze_cell_of(double value)
{
  cli_analyze_cell cell = {"-"};
  if (!isnan(value))
    snprintf(cell.text, sizeof cell.text, "%.4f", value);
  return cell;
}

json_t *cli_analyze_grid_json(const analysis_grid *grid)
{
  json_t *rows = json_array();
  for (int l = 0; l < grid->layers; l++) {
    json_t *row = json_array();
    for (int k = 0; k < grid->layers; k++)
      base_json_append(&row, base_json_number(grid->values[l * grid->layers + k]));
    base_json_append(&rows, row);
  }
  return rows;
}

json_t *cli_analyze_layers_json(const analysis_adapted_target *target)
{
  json_t *numbers = json_array();
  for (int l = 0; l < target->count; l++)
    base_json_append(&numbers, json_integer(target->layers[l].number));
  return numbers;
}
