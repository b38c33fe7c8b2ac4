#include "tools/console/download.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/process.h"
#include "base/visible.h"
#include "condlora/hub.h"
#include "tools/console/log.h"
#include "tools/console/signals.h"
#include "tools/console/terminal.h"

static const double live_pause = 0.1, plain_pause = 5; /* seconds between two lines */
enum { LINE_BYTES = 1200, WORTH_A_LINE = 1000000 };

/* The download under way. */
static struct {
  double begun, drawn;
  uint64_t bytes_at_begin;
  bool open; /* the terminal shows its line */
} now_shown;

static double megabytes(uint64_t bytes)
{
  return (double)bytes / 1e6;
}

static void clear_line(void)
{
  if (!now_shown.open)
    return;
  fputs("\r\033[K", stderr);
  fflush(stderr);
  now_shown.open = false;
  console_signals_line_is_open(false);
}

static void describe(const cdl_hub_progress *p, double seconds, char line[LINE_BYTES])
{
  const double came = (double)(p->bytes - now_shown.bytes_at_begin),
               rate = seconds > 0 ? came / seconds : 0;
  const int length = snprintf(line, LINE_BYTES, "%s: %.1f of %.1f MB", base_visible(p->name).text,
                              megabytes(p->bytes), megabytes(p->total));
  if (rate <= 0 || seconds < 1 || length < 0 || length >= LINE_BYTES)
    return;
  const int64_t left = (int64_t)((double)(p->total - p->bytes) / rate + 0.5);
  snprintf(line + length, LINE_BYTES - (size_t)length,
           "  %.1f MB/s  %" PRId64 ":%02" PRId64 " left", rate / 1e6, left / 60, left % 60);
}

static bool is_live(void)
{
  return !console_log_is_json() && console_terminal_is_live(stderr);
}

static void print(const char *line)
{
  if (console_log_is_json())
    console_log_message(CONSOLE_LOG_INFO, line);
  else
    fprintf(stderr, "%s\n", line);
}

static void draw(const cdl_hub_progress *p, double seconds)
{
  char line[LINE_BYTES];
  describe(p, seconds, line);
  if (!is_live()) {
    print(line);
    return;
  }
  const size_t columns = console_terminal_columns(stderr);
  fprintf(stderr, "\r%.*s\033[K", (int)(columns > 1 ? columns - 1 : 1), line);
  fflush(stderr);
  now_shown.open = true;
  console_signals_line_is_open(true);
}

static void finish(const cdl_hub_progress *p, double seconds)
{
  clear_line();
  if (p->bytes == p->total && p->total >= WORTH_A_LINE) {
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "%s: downloaded %zu file%s, %.1f MB, in %.0f s",
             base_visible(p->name).text, p->files, p->files == 1 ? "" : "s",
             megabytes(p->total - now_shown.bytes_at_begin), seconds);
    print(line);
  }
  now_shown.begun = 0;
}

static int on_progress(void *user, const cdl_hub_progress *p)
{
  const double now = base_process_seconds();
  (void)user;
  if (now_shown.begun <= 0) {
    now_shown.begun = now_shown.drawn = now;
    now_shown.bytes_at_begin = p->bytes;
  }
  if (p->finished)
    finish(p, now - now_shown.begun);
  else if (now - now_shown.drawn >= (is_live() ? live_pause : plain_pause)) {
    now_shown.drawn = now;
    draw(p, now - now_shown.begun);
  }
  return console_signals_caught() != 0;
}

void console_downloads_show(void)
{
  cdl_hub_options options = cdl_hub_options_init();
  options.progress = on_progress;
  (void)!cdl_hub_use(&options); /* fails for a struct without a size alone */
}
