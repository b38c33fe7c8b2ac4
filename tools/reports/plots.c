#include "tools/reports/plots.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/path.h"
#include "base/temporary.h"
#include "condlora/log.h"
#include "tools/plot/plot.h"

static cdl_status make_folder(const char *folder)
{
  char *plots = base_path_join(folder, "plots");
  const cdl_status status = plots != NULL
                                ? base_folder_make(plots)
                                : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  if (status == CDL_STATUS_OK)
    base_folder_sweep(plots);
  base_folder_sweep(folder);
  free(plots);
  return status;
}

cdl_status report_plots_begin(const char *folder)
{
  CDL_TRY(make_folder(folder));
  const cdl_status status = plot_open();
  if (status != CDL_STATUS_ABSENT)
    return status;
  cdl_log(CDL_LOG_WARNING, "the report has no plots: %s", cdl_error_message());
  return CDL_STATUS_OK;
}

bool report_can_draw(report_document *to)
{
  if (plot_open() == CDL_STATUS_OK)
    return true;
  report_document_paragraph(to, "Plots are left out: %s.",
                            report_document_foreign(cdl_error_message()).text);
  return false;
}

cdl_status report_draw_conversion(const char *folder, const char *name,
                                  const report_conversion_maps *m, report_document *to)
{
  char title[320], titles[ANALYSIS_CONVERSION_COUNT][64];
  plot_map maps[ANALYSIS_CONVERSION_COUNT];
  snprintf(title, sizeof title,
           "%.40s, %.120s, form %.40s: similarity of the layers' conversion matrices", m->task,
           m->target, m->form);
  for (int k = 0; k < ANALYSIS_CONVERSION_COUNT; k++) {
    snprintf(titles[k], sizeof titles[k], "C_%s: mean %.4f",
             analysis_conversion_name((analysis_conversion_kind)k), m->means[k]);
    maps[k] = (plot_map){.title = titles[k], .values = m->values[k]};
  }
  const plot_heatmap plot = {.title = title,
                             .maps = maps,
                             .map_count = ANALYSIS_CONVERSION_COUNT,
                             .rows = m->count,
                             .columns = m->count,
                             .row_axis = "layer",
                             .column_axis = "layer",
                             .low = 0,
                             .high = 1,
                             .decimals = 2,
                             .numbers = m->layers};
  char *path = base_path_join(folder, name);
  const cdl_status status = path != NULL ? plot_heatmap_write(path, &plot)
                                         : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  free(path);
  return status == CDL_STATUS_OK ? report_document_image(to, name, title) : status;
}
