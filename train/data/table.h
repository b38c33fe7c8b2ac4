/* Tables of text, read one row at a time, with fields by column name:
 *   TSV    tabs separate, quotes mean nothing, nothing is trimmed; the first line names the columns
 *   CSV    RFC 4180, commas; the first record names the columns
 *   JSONL  one JSON object a line (RFC 8259); strings, numbers and booleans are fields
 * All are UTF-8, with or without a byte-order mark. Lines end in LF or CR LF, optional on the last
 * one; empty lines after the last row are ignored. A NUL byte or ill-formed UTF-8 is an error.
 * Files that are no such text are recognized by their first bytes (train/data/table_kind.h).
 * Messages begin "file:line: ". */
#ifndef CONDLORA_TRAIN_DATA_TABLE_H
#define CONDLORA_TRAIN_DATA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/dataset.h"
#include "condlora/status.h"

/* The text of a field, not NUL-terminated, valid until its table is closed. `data` is NULL if the
 * row has no such field (or null, in JSONL). */
typedef struct {
  const char *data;
  size_t bytes;
  bool null; /* the field exists and is null, so there is no text */
  bool list; /* an array: `data` holds the text of each element with a NUL behind it */
} data_field;

typedef struct {
  cdl_data_format format;
  /* Columns of a file without a header line, which may have any name; NULL: it has one. */
  const char *const *header;
  size_t header_count;
  bool header_as_row_1; /* use only as many of `header` as the first row has fields */
  bool lists;           /* an array is a field of JSONL; otherwise it is an error */
  bool strict; /* a row must have as many fields as the header; otherwise fields may be absent */
} data_table_options;

typedef struct data_table data_table;

/* Opens a file; "-" is standard input, read to its end. CDL_DATA_BY_NAME takes the format from the
 * extension. For standard input and files without a header line it takes it from the first byte
 * that is not blank: '{' means JSONL, anything else TSV. Errors: USAGE for another extension;
 * ABSENT, IO; DATA for an empty file, a bad header or a JSON array. */
CDL_MUST_USE cdl_status data_table_open(const char *path, const data_table_options *options,
                                        data_table **table);
/* The same for input of any length, and for input that arrives over time. A window is what is there
 * without waiting, at least one row. At its end data_table_next gives no more rows until
 * data_table_next_window fetches the next window. Fields live as long as their window; line numbers
 * continue. At the end of the input the next window has no row either. `stop` may be NULL; if it is
 * set, a wait ends with CANCELLED. */
CDL_MUST_USE cdl_status data_table_open_windows(const char *path, const data_table_options *options,
                                                const volatile int *stop, data_table **table);
CDL_MUST_USE cdl_status data_table_next_window(data_table *table);
/* Reads `bytes`, borrowed until close, under the name `name`. */
CDL_MUST_USE cdl_status data_table_open_bytes(const char *name, const void *bytes, size_t size,
                                              const data_table_options *options,
                                              data_table **table);
void data_table_close(data_table *table);

/* Returns whether the header has the column; true for JSONL, where each row has its own names. */
bool data_table_has_column(const data_table *table, const char *name);
/* Returns the line that the next row begins on; not NUL-terminated. */
const char *data_table_first_line(const data_table *table, size_t *bytes);
bool data_table_is_json(const data_table *table);
/* Checks the promise of `unnamed` of a data set's source: the columns are in the header or in a
 * JSONL's first row. DATA, or USAGE if there are no names, lists the existing columns. */
CDL_MUST_USE cdl_status data_table_expect(data_table *table, const char *const *names, size_t count,
                                          const char *options);
/* Selects the columns that data_table_next gives, at most DATA_TABLE_SELECTED; the names are
 * borrowed. A missing column is an error that lists the existing ones. */
enum { DATA_TABLE_SELECTED = 258 };
CDL_MUST_USE cdl_status data_table_select(data_table *table, const char *const *names,
                                          size_t count);

/* Gives the next row's selected fields and its first line. At the end `*more` is false and `fields`
 * are untouched. */
CDL_MUST_USE cdl_status data_table_next(data_table *table, data_field *fields, uint64_t *line,
                                        bool *more);

/* Returns the names in the last JSONL row that lacked a selected field, for a message; "" for other
 * formats. */
const char *data_table_row_fields(const data_table *table);

/* Gives back the memory of the file's pages; the next access reads them again. */
void data_table_discard(data_table *table);

/* For messages: the name of the file, and a field as a quoted, shortened, terminated string. */
const char *data_table_name(const data_table *table);
typedef struct {
  char text[64];
} data_quoted;
data_quoted data_quote(const char *data, size_t bytes);

#endif
