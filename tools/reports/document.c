#include "tools/reports/document.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"

struct report_document {
  char *folder;
  base_output *markdown, *html;
  bool in_list, failed;
  int columns, cells; /* of the table that is being written */
};

static const char style[] =
    "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}th,td{border:1px solid #bbb;padding:.2em .6em;"
    "text-align:right}th:first-child,td:first-child{text-align:left}th{background:#f2f2f2}"
    "img{max-width:100%}code{background:#f2f2f2}";

/* ---- Text ---- */

/* Stands for a '`' that does not mark code, in texts of report_document_foreign, which contain no
 * control characters. */
enum { FOREIGN_TICK = 1 };

base_visible_text report_document_foreign(const char *text)
{
  base_visible_text visible = base_visible(text);
  for (char *c = visible.text; (c = strchr(c, '`')) != NULL;)
    *c = FOREIGN_TICK;
  return visible;
}

static void write_html(report_document *d, const char *text)
{
  bool code = false;
  for (; *text != '\0'; text++)
    if (*text == '`') {
      base_output_printf(d->html, code ? "</code>" : "<code>");
      code = !code;
    } else if (*text == FOREIGN_TICK)
      base_output_printf(d->html, "`");
    else if (*text == '&')
      base_output_printf(d->html, "&amp;");
    else if (*text == '<')
      base_output_printf(d->html, "&lt;");
    else if (*text == '>')
      base_output_printf(d->html, "&gt;");
    else if (*text == '"')
      base_output_printf(d->html, "&quot;");
    else
      base_output_write(d->html, text, 1);
}

/* Returns whether Markdown would read a character outside code as markup (a link, emphasis, an
 * escape, or HTML where a tag or a name may begin). */
static bool is_markup(const char *at)
{
  const char next = at[1];
  const bool letter = (next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z');
  switch (*at) {
  case '[':
  case ']':
  case '*':
  case '\\':
    return true;
  case '<':
    return letter || next == '/' || next == '!' || next == '?';
  case '&':
    return letter || next == '#';
  default:
    return false;
  }
}

/* In a table, a bar is escaped also in code, because it ends a cell there too. */
static void write_markdown(report_document *d, const char *text)
{
  bool code = false;
  for (; *text != '\0'; text++) {
    const bool tick = *text == FOREIGN_TICK;
    code = code != (*text == '`');
    if ((*text == '|' && d->columns > 0) || (!code && (tick || is_markup(text))))
      base_output_write(d->markdown, "\\", 1);
    if (tick) /* nothing can escape it in code */
      base_output_write(d->markdown, code ? "'" : "`", 1);
    else
      base_output_write(d->markdown, text, 1);
  }
}

/* Writes a text in both forms as one line that is safe on a terminal; FOREIGN_TICK stays. */
static void write_text(report_document *d, const char *text)
{
  enum { MOST = 6 }; /* most bytes for one: \u202e has six for three */
  const size_t bytes = strlen(text), room = bytes * MOST + 16;
  char *visible = malloc(room), *to = visible;
  d->failed = d->failed || visible == NULL;
  for (const char *at = text; visible != NULL && at <= text + bytes;) {
    const size_t piece = strcspn(at, (const char[]){FOREIGN_TICK, '\0'});
    base_make_visible(at, piece, to, room - (size_t)(to - visible));
    to += strlen(to);
    at += piece;
    if (*at == FOREIGN_TICK)
      *to++ = FOREIGN_TICK;
    *to = '\0';
    at++;
  }
  if (visible == NULL)
    return;
  write_markdown(d, visible);
  write_html(d, visible);
  free(visible);
}

static void write_both(report_document *d, const char *format, va_list arguments)
{
  char *text;
  if (vasprintf(&text, format, arguments) < 0) {
    d->failed = true;
    return;
  }
  write_text(d, text);
  free(text);
}

static void end_list(report_document *d)
{
  if (!d->in_list)
    return;
  d->in_list = false;
  base_output_printf(d->markdown, "\n");
  base_output_printf(d->html, "</ul>\n");
}

/* ---- The document ---- */

static cdl_status begin_file(const char *folder, const char *name, const char *end,
                             base_output **output)
{
  char *path;
  *output = NULL;
  if (asprintf(&path, "%s/%s%s", folder, name, end) < 0)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  const cdl_status status = base_output_begin(path, output);
  free(path);
  return status;
}

cdl_status report_document_begin(const char *folder, const char *name, const char *title,
                                 const char *metadata, report_document **document)
{
  report_document *d = calloc(1, sizeof *d);
  *document = NULL;
  if (d == NULL || (d->folder = strdup(folder)) == NULL) {
    free(d);
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  }
  cdl_status status = begin_file(folder, name, ".md", &d->markdown);
  if (status == CDL_STATUS_OK)
    status = begin_file(folder, name, ".html", &d->html);
  if (status != CDL_STATUS_OK) {
    report_document_abort(d);
    return status;
  }
  base_output_printf(d->markdown, "%s# %s\n\n", metadata != NULL ? metadata : "", title);
  base_output_printf(
      d->html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>");
  write_html(d, title);
  base_output_printf(d->html, "</title>\n<style>%s</style>\n</head>\n<body>\n<h1>", style);
  write_html(d, title);
  base_output_printf(d->html, "</h1>\n");
  *document = d;
  return CDL_STATUS_OK;
}

static void release(report_document *d)
{
  free(d->folder);
  free(d);
}

cdl_status report_document_commit(report_document *d)
{
  end_list(d);
  base_output_printf(d->html, "</body>\n</html>\n");
  if (d->failed) {
    const cdl_status status = cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", d->folder);
    report_document_abort(d);
    return status;
  }
  cdl_status status = base_output_commit(d->markdown);
  if (status == CDL_STATUS_OK)
    status = base_output_commit(d->html);
  else
    base_output_abort(d->html);
  release(d);
  return status;
}

void report_document_abort(report_document *d)
{
  base_output_abort(d->markdown);
  base_output_abort(d->html);
  release(d);
}

/* ---- Parts ---- */

void report_document_heading(report_document *d, const char *text)
{
  end_list(d);
  base_output_printf(d->markdown, "## ");
  base_output_printf(d->html, "<h2>");
  write_text(d, text);
  base_output_printf(d->markdown, "\n\n");
  base_output_printf(d->html, "</h2>\n");
}

void report_document_paragraph(report_document *d, const char *format, ...)
{
  va_list arguments;
  end_list(d);
  base_output_printf(d->html, "<p>");
  va_start(arguments, format);
  write_both(d, format, arguments);
  va_end(arguments);
  base_output_printf(d->markdown, "\n\n");
  base_output_printf(d->html, "</p>\n");
}

void report_document_item(report_document *d, const char *format, ...)
{
  va_list arguments;
  if (!d->in_list)
    base_output_printf(d->html, "<ul>\n");
  d->in_list = true;
  base_output_printf(d->markdown, "* ");
  base_output_printf(d->html, "<li>");
  va_start(arguments, format);
  write_both(d, format, arguments);
  va_end(arguments);
  base_output_printf(d->markdown, "\n");
  base_output_printf(d->html, "</li>\n");
}

void report_document_table_begin(report_document *d, int columns)
{
  end_list(d);
  d->columns = columns;
  d->cells = 0;
  base_output_printf(d->html, "<table>\n");
}

void report_document_cell(report_document *d, const char *format, ...)
{
  va_list arguments;
  const bool first = d->cells % d->columns == 0, last = (d->cells + 1) % d->columns == 0,
             title = d->cells < d->columns;
  if (first)
    base_output_printf(d->html, "<tr>");
  base_output_printf(d->markdown, first ? "| " : " ");
  base_output_printf(d->html, title ? "<th>" : "<td>");
  va_start(arguments, format);
  write_both(d, format, arguments);
  va_end(arguments);
  base_output_printf(d->markdown, last ? " |\n" : " |");
  base_output_printf(d->html, "%s%s", title ? "</th>" : "</td>", last ? "</tr>\n" : "");
  d->cells++;
  for (int i = 0; last && title && i < d->columns; i++)
    base_output_printf(d->markdown, "%s%s", i == 0 ? "|---|" : "---:|",
                       i + 1 == d->columns ? "\n" : "");
}

void report_document_table_end(report_document *d)
{
  d->columns = 0;
  base_output_printf(d->markdown, "\n");
  base_output_printf(d->html, "</table>\n");
}

/* Base64 of RFC 4648. */
static void write_base64(base_output *output, const unsigned char *bytes, size_t count)
{
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < count; i += 3) {
    const size_t left = count - i;
    const unsigned group = (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0) |
                           (left > 2 ? (unsigned)bytes[i + 2] : 0);
    const char text[] = {letters[group >> 18], letters[group >> 12 & 63],
                         left > 1 ? letters[group >> 6 & 63] : '=',
                         left > 2 ? letters[group & 63] : '='};
    base_output_write(output, text, sizeof text);
  }
}

/* The page embeds the SVG as data, because ids inside one SVG would clash with those of another. */
cdl_status report_document_image(report_document *d, const char *path, const char *text)
{
  char *whole = base_path_join(d->folder, path);
  base_mapping image;
  if (whole == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  const cdl_status status = base_file_map(whole, &image);
  free(whole);
  CDL_TRY(status);
  end_list(d);
  base_output_printf(d->markdown, "![%s](%s)\n\n", text, path);
  base_output_printf(d->html, "<p><img alt=\"");
  write_html(d, text);
  base_output_printf(d->html, "\" src=\"data:image/svg+xml;base64,");
  write_base64(d->html, image.data, image.size);
  base_output_printf(d->html, "\"></p>\n");
  base_file_unmap(&image);
  return CDL_STATUS_OK;
}
