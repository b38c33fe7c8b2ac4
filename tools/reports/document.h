/* One text as Markdown and as a self-contained HTML page. */
#ifndef CONDLORA_TOOLS_REPORTS_DOCUMENT_H
#define CONDLORA_TOOLS_REPORTS_DOCUMENT_H

#include "base/visible.h"
#include "condlora/status.h"

typedef struct cdl_document cdl_document;

/* FOLDER/NAME.md and FOLDER/NAME.html. Images are FOLDER's. */
CDL_MUST_USE cdl_status cdl_document_begin(const char *folder, const char *name, const char *title,
                                           cdl_document **document);
/* Puts both files in place; returns the first failure. Destroys `document`. */
CDL_MUST_USE cdl_status cdl_document_commit(cdl_document *document);
void cdl_document_abort(cdl_document *document);

/* In texts, `…` is code, and nothing else is markup, of Markdown or of HTML; what a terminal would
 * obey is spelled out. What comes from files goes through cdl_document_foreign, in which a '`' is
 * one. */
cdl_visible_text cdl_document_foreign(const char *text);
void cdl_document_heading(cdl_document *document, const char *text);
void cdl_document_paragraph(cdl_document *document, const char *format, ...) CDL_PRINTF(2, 3);
/* Items that follow one another are a list. */
void cdl_document_item(cdl_document *document, const char *format, ...) CDL_PRINTF(2, 3);
/* Cells come row by row; the first row has the titles. */
void cdl_document_table_begin(cdl_document *document, int columns);
void cdl_document_cell(cdl_document *document, const char *format, ...) CDL_PRINTF(2, 3);
void cdl_document_table_end(cdl_document *document);
/* An SVG by its path in the folder; the page holds it. */
CDL_MUST_USE cdl_status cdl_document_image(cdl_document *document, const char *path,
                                           const char *text);

#endif
