/* The one function that libcondlora-plot.so exports. */
#include "tools/plot/cairo/draw.h"

__attribute__((visibility("default"))) plot_entry condlora_plot;

const plot_table *condlora_plot(void)
{
  static const plot_table table = {.magic = PLOT_MAGIC,
                                   .version = PLOT_VERSION,
                                   .draw_chart = plot_draw_chart,
                                   .draw_heatmap = plot_draw_heatmap,
                                   .draw_intervals = plot_draw_intervals};
  return &table;
}
