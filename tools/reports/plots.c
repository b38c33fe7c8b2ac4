#include "tools/reports/plots.h"

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
