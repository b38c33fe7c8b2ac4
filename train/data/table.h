/* Tables of text, read a row at a time, fields by column name:
 *   TSV    tabs separate, quotes mean nothing, nothing is trimmed; the first line names the columns
 *   CSV    RFC 4180, commas; the first record names the columns
 *   JSONL  one JSON object a line (RFC 8259); strings, numbers and booleans serve as fields
 * All are UTF-8, perhaps after a byte-order mark; lines end in LF or CR LF, the last one with or
 * without; empty lines after the last row are ignored. A NUL byte or ill-formed UTF-8 is an error,
 * and a file that is no such text at all is told by its first bytes (train/data/table_kind.h).
 * Messages begin "file:line: ". */
#ifndef CONDLORA_TRAIN_DATA_TABLE_H
#define CONDLORA_TRAIN_DATA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/dataset.h"
#include "condlora/status.h"

/* Text of a field, not NUL-terminated, valid until its table is closed; `data` is NULL where the
 * row has no such field (or null, in JSONL). */
typedef struct {
  const char *data;
  size_t bytes;
  bool null; /* there is no text for the field is there, and null */
} data_field;

typedef struct {
  cdl_data_format format;
  /* Columns of a file without a header line, which may have any name; NULL: it has one. */
  const char *const *header;
  size_t header_count;
  bool header_as_row_1; /* only as many of `header` as the first row has fields */
  bool strict; /* a row must have the header's number of fields; else fields may be absent */
} data_table_options;

typedef struct data_table data_table;

/* Opens a file; "-" is standard input, read to its end. CDL_DATA_BY_NAME takes the format from the
 * extension, for standard input and files without a header line from the first byte that is no
 * blank: '{' begins JSONL, anything else TSV. Errors: USAGE for another extension; ABSENT, IO; DATA
 * for an empty file, a bad header or a JSON array. */
CDL_MUST_USE cdl_status data_table_open(const char *path, const data_table_options *options,
                                        data_table **table);
/* The same for input of any length, and for input that comes in time: what can be had without waiting
 * is a window, of one row at least, and data_table_next gives no more at its end, until
 * data_table_next_window fetches the next one. Fields, and the lines of messages, go on; fields live
 * as long as their window. At the end of the input there is no row after it either. `stop`, which
 * may be NULL, ends a wait with CANCELLED. */
CDL_MUST_USE cdl_status data_table_open_windows(const char *path, const data_table_options *options,
                                                const volatile int *stop, data_table **table);
CDL_MUST_USE cdl_status data_table_next_window(data_table *table);
/* Reads `bytes`, borrowed until close, under the name `name`. */
CDL_MUST_USE cdl_status data_table_open_bytes(const char *name, const void *bytes, size_t size,
                                              const data_table_options *options,
                                              data_table **table);
void data_table_close(data_table *table);

/* Whether the header has the column; true for JSONL, whose rows each say for themselves. */
bool data_table_has_column(const data_table *table, const char *name);
/* The line that the next row begins on; not NUL-terminated. */
const char *data_table_first_line(const data_table *table, size_t *bytes);
bool data_table_is_json(const data_table *table);
/* What `unnamed` of a data set's source promises: the columns are there, in the header or in a
 * JSONL's first row. DATA, or USAGE where there are no names, with the list of those that are. */
CDL_MUST_USE cdl_status data_table_expect(data_table *table, const char *const *names, size_t count,
                                          const char *options);
/* Chooses the columns that data_table_next gives, at most DATA_TABLE_SELECTED; the names are
 * borrowed. An absent column is an error that lists the ones there are. */
enum { DATA_TABLE_SELECTED = 3 };
CDL_MUST_USE cdl_status data_table_select(data_table *table, const char *const *names,
                                          size_t count);

/* The next row's selected fields and the line it begins on; `*more` is false, and `fields`
 * untouched, at the end. */
CDL_MUST_USE cdl_status data_table_next(data_table *table, data_field *fields, uint64_t *line,
                                        bool *more);

/* Of a row in JSONL without a field that was selected, the last such: the names that it has, for a
 * message; "" for other formats. */
const char *data_table_row_fields(const data_table *table);

/* Gives back the memory of the file's pages; they are read again when touched. */
void data_table_discard(data_table *table);

/* For messages: the name of the file, and a field as a quoted, shortened, terminated string. */
const char *data_table_name(const data_table *table);
typedef struct {
  char text[64];
} data_quoted;
data_quoted data_quote(const char *data, size_t bytes);

#endif
