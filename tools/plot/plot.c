#include "tools/plot/plot.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/library_folders.h"
#include "base/trust.h"
#include "tools/plot/table.h"

static const char object[] = "libcondlora-plot.so";

/* ---- The object that draws ---- */

typedef struct {
  char path[PATH_MAX], resolved[PATH_MAX];
  bool found, trusted;
  char reason[BASE_DISTRUST_BYTES];
} search;

static bool look_in(void *user, const char *folder)
{
  search *s = user;
  struct stat at;
  if (snprintf(s->path, sizeof s->path, "%s/%s", folder, object) >= (int)sizeof s->path ||
      stat(s->path, &at) != 0)
    return false;
  s->trusted = base_trust(s->path, s->resolved, s->reason);
  return s->found = true;
}

static cdl_status find(search *s)
{
  *s = (search){.found = false};
  (void)base_each_library_folder(look_in, s);
  if (!s->found)
    return cdl_fail(CDL_STATUS_ABSENT,
                    "plots are drawn by %s, which is not installed here; it also needs cairo "
                    "(Debian's package libcairo2)",
                    object);
  if (!s->trusted)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: not loaded: %s", s->path, s->reason);
  return CDL_STATUS_OK;
}

static cdl_status load(const search *s, const plot_table **table)
{
  void *library = dlopen(s->resolved, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL)
    return cdl_fail(
        CDL_STATUS_ABSENT,
        "%s: cannot be loaded: %s; plots are drawn with cairo (Debian's package libcairo2)",
        s->path, dlerror());
  void *symbol = dlsym(library, PLOT_ENTRY);
  if (symbol == NULL)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: exports no function %s, so it draws no plots",
                    s->path, PLOT_ENTRY);
  plot_entry *entry;
  memcpy(&entry, &symbol,
         sizeof entry); /* ISO C cannot cast an object pointer to a function pointer */
  const plot_table *given = entry();
  if (given->magic != PLOT_MAGIC || given->version != PLOT_VERSION)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: built for version %u of the interface of plots, this program has %d",
                    s->path, given->version, PLOT_VERSION);
  *table = given;
  return CDL_STATUS_OK;
}

static const plot_table *opened; /* NULL: not yet */

cdl_status plot_open(void)
{
  search s;
  if (opened != NULL)
    return CDL_STATUS_OK;
  CDL_TRY(find(&s));
  return load(&s, &opened);
}

/* ---- Writing ---- */

static plot_format format_of(const char *path)
{
  static const char *const ends[PLOT_FORMAT_COUNT] = {".svg", ".png", ".pdf"};
  const size_t length = strlen(path);
  int f = 0;
  while (f < PLOT_FORMAT_COUNT && (length < 4 || strcasecmp(path + length - 4, ends[f]) != 0))
    f++;
  return (plot_format)f;
}

cdl_status plot_check_path(const char *path)
{
  return format_of(path) < PLOT_FORMAT_COUNT
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_USAGE, "%s: the name of a plot ends in .svg, .png or .pdf",
                        path);
}

static void write_bytes(void *user, const void *bytes, size_t count)
{
  base_output_write(user, bytes, count);
}

/* What is drawn: one of these, the others are NULL. */
typedef struct {
  const plot_chart *chart;
  const plot_heatmap *map;
  const plot_intervals *intervals;
} subject;

static cdl_status draw(const subject *s, plot_page *page)
{
  return s->chart != NULL ? opened->draw_chart(s->chart, page)
         : s->map != NULL ? opened->draw_heatmap(s->map, page)
                          : opened->draw_intervals(s->intervals, page);
}

static cdl_status write_plot(const char *path, subject what)
{
  base_output *output;
  CDL_TRY(plot_check_path(path));
  CDL_TRY(plot_open());
  CDL_TRY(base_output_begin(path, &output));
  plot_page page = {.format = format_of(path), .write = write_bytes, .user = output};
  const cdl_status status = draw(&what, &page);
  if (status == CDL_STATUS_OK)
    return base_output_commit(output);
  base_output_abort(output);
  return cdl_fail(status, "%s: %s", path, page.fault);
}

cdl_status plot_chart_write(const char *path, const plot_chart *chart)
{
  return write_plot(path, (subject){.chart = chart});
}

cdl_status plot_heatmap_write(const char *path, const plot_heatmap *map)
{
  return write_plot(path, (subject){.map = map});
}

cdl_status plot_intervals_write(const char *path, const plot_intervals *intervals)
{
  return write_plot(path, (subject){.intervals = intervals});
}
