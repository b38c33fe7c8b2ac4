/* A document that is written as Markdown and as a self-contained HTML page. */
#ifndef CONDLORA_TOOLS_REPORTS_DOCUMENT_H
#define CONDLORA_TOOLS_REPORTS_DOCUMENT_H

#include "base/visible.h"
#include "condlora/status.h"

typedef struct report_document report_document;

/* Begins FOLDER/NAME.md and FOLDER/NAME.html; paths of images are relative to FOLDER. `metadata`
 * stands before the title in the Markdown; NULL: none. End with report_document_commit or
 * report_document_abort. */
CDL_MUST_USE cdl_status report_document_begin(const char *folder, const char *name,
                                              const char *title, const char *metadata,
                                              report_document **document);
/* Puts both files in place and destroys `document`. Returns the first failure. */
CDL_MUST_USE cdl_status report_document_commit(report_document *document);
void report_document_abort(report_document *document);

/* In texts, `…` is code, and nothing else is markup of Markdown or HTML. Characters that a terminal
 * would obey are spelled out. Text from files must pass through report_document_foreign, which
 * keeps a '`' in it from marking code. */
base_visible_text report_document_foreign(const char *text);
void report_document_heading(report_document *document, const char *text);
void report_document_paragraph(report_document *document, const char *format, ...) CDL_PRINTF(2, 3);
/* Adds an item of a list; consecutive items form one list. */
void report_document_item(report_document *document, const char *format, ...) CDL_PRINTF(2, 3);
/* Begins a table. Cells follow row by row; the first row has the titles. */
void report_document_table_begin(report_document *document, int columns);
void report_document_cell(report_document *document, const char *format, ...) CDL_PRINTF(2, 3);
void report_document_table_end(report_document *document);
/* Adds an SVG by its path in the folder; the HTML page embeds it. */
CDL_MUST_USE cdl_status report_document_image(report_document *document, const char *path,
                                              const char *text);

#endif
