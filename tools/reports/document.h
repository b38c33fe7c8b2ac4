/* One text as Markdown and as a self-contained HTML page. */
#ifndef CONDLORA_TOOLS_REPORTS_DOCUMENT_H
#define CONDLORA_TOOLS_REPORTS_DOCUMENT_H

#include "base/visible.h"
#include "condlora/status.h"

typedef struct report_document report_document;

/* FOLDER/NAME.md and FOLDER/NAME.html. Images are FOLDER's. */
CDL_MUST_USE cdl_status report_document_begin(const char *folder, const char *name,
                                              const char *title, report_document **document);
/* Puts both files in place; returns the first failure. Destroys `document`. */
CDL_MUST_USE cdl_status report_document_commit(report_document *document);
void report_document_abort(report_document *document);

/* In texts, `…` is code, and nothing else is markup, of Markdown or of HTML; what a terminal would
 * obey is spelled out. What comes from files goes through report_document_foreign, in which a '`' is
 * one. */
base_visible_text report_document_foreign(const char *text);
void report_document_heading(report_document *document, const char *text);
void report_document_paragraph(report_document *document, const char *format, ...) CDL_PRINTF(2, 3);
/* Items that follow one another are a list. */
void report_document_item(report_document *document, const char *format, ...) CDL_PRINTF(2, 3);
/* Cells come row by row; the first row has the titles. */
void report_document_table_begin(report_document *document, int columns);
void report_document_cell(report_document *document, const char *format, ...) CDL_PRINTF(2, 3);
void report_document_table_end(report_document *document);
/* An SVG by its path in the folder; the page holds it. */
CDL_MUST_USE cdl_status report_document_image(report_document *document, const char *path,
                                              const char *text);

#endif
