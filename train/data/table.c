#include "train/data/table.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "train/data/feed.h"
#include "train/data/table_json.h"
#include "train/data/table_kind.h"

/* Text that the file does not contain byte by byte (after unescaping), in blocks that live as long
 * as the table. */
typedef struct text_block {
  struct text_block *next;
  size_t used, capacity;
  char text[];
} text_block;

struct data_table {
  char *name;
  cdl_data_format format;
  bool strict, lists;

  base_mapping mapping;
  bool mapped;
  char *owned;     /* the content of standard input; for windows, the header's names */
  data_feed *feed; /* of a table that is read in windows, otherwise NULL */

  const char *at, *end; /* the rest of the window; no empty lines at the end */
  uint64_t line;        /* of `at`, from 1 */

  data_field *header; /* [columns] */
  data_field *row;    /* [columns] fields of the current row */
  size_t columns;
  const char *selected[DATA_TABLE_SELECTED];
  size_t selected_column[DATA_TABLE_SELECTED];
  size_t selected_count;

  text_block *blocks;
  char row_fields[256]; /* the names in a JSONL row that lacked a field */
};

enum { BLOCK_BYTES = 1 << 20 };

const char *data_table_name(const data_table *table)
{
  return table->name;
}

data_quoted data_quote(const char *data, size_t bytes)
{
  enum { SHOWN = 40 };
  size_t shown = bytes;
  if (shown > SHOWN)
    for (shown = SHOWN; shown > 0 && ((unsigned char)data[shown] & 0xC0) == 0x80;)
      shown--;
  data_quoted quoted;
  const char *cut = shown < bytes ? "…" : "";
  snprintf(quoted.text, sizeof quoted.text, "'%.*s%s'", (int)shown, data, cut);
  return quoted;
}

static cdl_status out_of_memory(const data_table *table)
{
  return cdl_fail(CDL_STATUS_MEMORY, "%s:%llu: out of memory", table->name,
                  (unsigned long long)table->line);
}

/* Returns memory for `bytes` bytes of text; NULL if memory is out. */
static char *take_text(data_table *table, size_t bytes)
{
  text_block *block = table->blocks;
  if (block == NULL || block->capacity - block->used < bytes) {
    const size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    block = capacity <= SIZE_MAX - sizeof *block ? malloc(sizeof *block + capacity) : NULL;
    if (block == NULL)
      return NULL;
    *block = (text_block){.next = table->blocks, .capacity = capacity};
    table->blocks = block;
  }
  char *text = block->text + block->used;
  block->used += bytes;
  return text;
}

static void free_blocks(data_table *table)
{
  for (text_block *block = table->blocks, *next; block != NULL; block = next) {
    next = block->next;
    free(block);
  }
  table->blocks = NULL;
}

/* ---- Bytes ---- */

static uint64_t count_newlines(const char *from, const char *to)
{
  uint64_t count = 0;
  while (from < to && (from = memchr(from, '\n', (size_t)(to - from))) != NULL) {
    count++;
    from++;
  }
  return count;
}

/* Checks that the bytes of a row, which begins on table->line, are UTF-8 without NUL. */
static cdl_status check_text(const data_table *table, const char *from, const char *to)
{
  const size_t bytes = (size_t)(to - from),
               good = base_utf8_well_formed((const uint8_t *)from, bytes);
  const char *nul = memchr(from, '\0', good);
  if (good == bytes && nul == NULL)
    return CDL_STATUS_OK;
  const char *bad = nul != NULL ? nul : from + good, *line_start = bad;
  while (line_start > from && line_start[-1] != '\n')
    line_start--;
  const unsigned long long line = table->line + count_newlines(from, bad);
  if (*bad == '\0')
    return cdl_fail(CDL_STATUS_DATA, "%s:%llu: byte %td of the line is NUL; expected text",
                    table->name, line, bad - line_start + 1);
  const bool surrogate =
      to - bad >= 2 && (unsigned char)bad[0] == 0xED && (unsigned char)bad[1] >= 0xA0;
  return cdl_fail(CDL_STATUS_DATA, "%s:%llu: byte %td of the line, 0x%02x, %s; expected UTF-8",
                  table->name, line, bad - line_start + 1, (unsigned char)*bad,
                  surrogate ? "begins half of a surrogate pair" : "is not valid UTF-8");
}

/* Returns the end of the line that begins at `at`; `*next` is the start of the following one. */
static const char *line_end(const data_table *table, const char **next)
{
  const char *newline = memchr(table->at, '\n', (size_t)(table->end - table->at));
  const char *stop = newline != NULL ? newline : table->end;
  *next = newline != NULL ? newline + 1 : table->end;
  return stop > table->at && stop[-1] == '\r' ? stop - 1 : stop;
}

/* Records: fields by position. The first table->columns fields are kept, all are counted. */

typedef struct {
  data_field *fields;
  size_t kept, capacity, count;
  bool grows; /* the header: `fields` becomes as long as the record */
} record;

static cdl_status record_add(const data_table *table, record *r, data_field field)
{
  if (r->grows && r->kept == r->capacity) {
    const size_t capacity = r->capacity == 0 ? 16 : 2 * r->capacity;
    data_field *fields =
        capacity > SIZE_MAX / sizeof *fields ? NULL : realloc(r->fields, capacity * sizeof *fields);
    if (fields == NULL)
      return out_of_memory(table);
    r->fields = fields;
    r->capacity = capacity;
  }
  if (r->kept < r->capacity)
    r->fields[r->kept++] = field;
  r->count++;
  return CDL_STATUS_OK;
}

static cdl_status read_tsv(data_table *table, record *r)
{
  const char *next, *end = line_end(table, &next);
  CDL_TRY(check_text(table, table->at, end));
  const char *from = table->at;
  for (;;) {
    const char *tab = memchr(from, '\t', (size_t)(end - from));
    const char *to = tab != NULL ? tab : end;
    CDL_TRY(record_add(table, r, (data_field){.data = from, .bytes = (size_t)(to - from)}));
    if (tab == NULL)
      break;
    from = tab + 1;
  }
  table->at = next;
  table->line++;
  return CDL_STATUS_OK;
}

/* Reads a quoted field that begins after its quote at `from`, with "" resolved; `*after` is after
 * the closing quote. */
static cdl_status read_quoted(data_table *table, const char *from, data_field *field,
                              const char **after)
{
  size_t doubled = 0;
  const char *to = from;
  for (;;) {
    to = memchr(to, '"', (size_t)(table->end - to));
    if (to == NULL)
      return cdl_fail(CDL_STATUS_DATA,
                      "%s:%llu: a quoted field begins here and never ends; expected a closing '\"'",
                      table->name,
                      (unsigned long long)(table->line + count_newlines(table->at, from)));
    if (to + 1 == table->end || to[1] != '"')
      break;
    doubled++;
    to += 2;
  }
  *after = to + 1;
  *field = (data_field){.data = from, .bytes = (size_t)(to - from) - doubled};
  if (doubled == 0)
    return CDL_STATUS_OK;

  char *text = take_text(table, field->bytes);
  if (text == NULL)
    return out_of_memory(table);
  field->data = text;
  while (from < to) {
    *text++ = *from;
    from += *from == '"' ? 2 : 1;
  }
  return CDL_STATUS_OK;
}

static cdl_status stray(const data_table *table, const char *at, const char *what,
                        const char *expected)
{
  return cdl_fail(CDL_STATUS_DATA, "%s:%llu: %s; expected %s", table->name,
                  (unsigned long long)(table->line + count_newlines(table->at, at)), what,
                  expected);
}

static cdl_status read_csv(data_table *table, record *r)
{
  const char *at = table->at;
  for (;;) {
    data_field field = {.data = at};
    if (at < table->end && *at == '"') {
      CDL_TRY(read_quoted(table, at + 1, &field, &at));
    } else {
      while (at < table->end && *at != ',' && *at != '\n' && *at != '\r' && *at != '"')
        at++;
      field.bytes = (size_t)(at - field.data);
      if (at < table->end && *at == '"')
        return stray(table, at, "a '\"' inside a field without quotes",
                     "the whole field in quotes, each '\"' doubled");
    }
    CDL_TRY(record_add(table, r, field));
    if (at == table->end || *at != ',')
      break;
    at++;
  }
  if (at < table->end && *at == '\r' && (at + 1 == table->end || at[1] == '\n'))
    at++;
  if (at < table->end && *at != '\n')
    return *at == '\r'
               ? stray(table, at, "a carriage return within a line",
                       "the field in quotes, or CR LF")
               : stray(table, at, "text after a closing '\"'", "a comma or the end of the line");
  if (at < table->end)
    at++;
  CDL_TRY(check_text(table, table->at, at));
  table->line += count_newlines(table->at, at);
  table->at = at;
  return CDL_STATUS_OK;
}

/* ---- JSONL ---- */

static cdl_status read_value(data_table *table, const char *column, const json_t *value,
                             data_field *field)
{
  char *text;
  *field = (data_field){0};
  CDL_TRY(data_table_json_text(table->name, table->line, data_quote(column, strlen(column)).text,
                               value, table->lists, &text, &field->bytes));
  field->null = json_is_null(value);
  field->list = json_is_array(value);
  char *kept = text != NULL ? take_text(table, field->bytes) : NULL;
  if (kept != NULL)
    memcpy(kept, text, field->bytes);
  field->data = kept;
  const bool failed = text != NULL && kept == NULL;
  free(text);
  return failed ? out_of_memory(table) : CDL_STATUS_OK;
}

/* Writes "'sentence', 'label'", for the message about a missing field. */
static void note_fields(data_table *table, json_t *object)
{
  size_t used = 0;
  const char *key;
  json_t *value;
  table->row_fields[0] = '\0';
  json_object_foreach(object, key, value)
  {
    if (used + sizeof(data_quoted) + 8 > sizeof table->row_fields) {
      snprintf(table->row_fields + used, sizeof table->row_fields - used, ", …");
      return;
    }
    used += (size_t)snprintf(table->row_fields + used, sizeof table->row_fields - used, "%s%s",
                             used > 0 ? ", " : "", data_quote(key, strlen(key)).text);
  }
}

const char *data_table_row_fields(const data_table *table)
{
  return table->row_fields;
}

/* Reads the object on this line; `*next` is the start of the following one. */
static cdl_status parse_object(const data_table *table, json_t **object, const char **next)
{
  const char *end = line_end(table, next);
  *object = NULL;
  CDL_TRY(check_text(table, table->at, end));
  return data_table_json_line(table->name, table->line, table->at, end, object);
}

static cdl_status read_json(data_table *table, data_field *fields)
{
  const char *next;
  json_t *object;
  CDL_TRY(parse_object(table, &object, &next));
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; i < table->selected_count && status == CDL_STATUS_OK; i++)
    status = read_value(table, table->selected[i], json_object_get(object, table->selected[i]),
                        &fields[i]);
  for (size_t i = 0; i < table->selected_count && status == CDL_STATUS_OK; i++)
    if (fields[i].data == NULL && !fields[i].null) {
      note_fields(table, object);
      break;
    }
  json_decref(object);
  table->at = next;
  table->line++;
  return status;
}

/* ---- Rows ---- */

static cdl_status read_record(data_table *table, record *r)
{
  return table->format == CDL_DATA_CSV ? read_csv(table, r) : read_tsv(table, r);
}

static bool at_empty_line(const data_table *table)
{
  const char *at = table->at;
  if (at < table->end && *at == '\r')
    at++;
  return at == table->end || *at == '\n';
}

cdl_status data_table_next(data_table *table, data_field *fields, uint64_t *line, bool *more)
{
  *more = table->at < table->end;
  if (!*more)
    return CDL_STATUS_OK;
  *line = table->line;
  if (table->strict && at_empty_line(table) && table->columns != 1)
    return cdl_fail(CDL_STATUS_DATA, "%s:%llu: an empty line; expected a row", table->name,
                    (unsigned long long)*line);
  if (table->format == CDL_DATA_JSONL)
    return read_json(table, fields);

  record r = {.fields = table->row, .capacity = table->columns};
  CDL_TRY(read_record(table, &r));
  if (table->strict && r.count != table->columns)
    return cdl_fail(CDL_STATUS_DATA, "%s:%llu: %zu field%s; the header has %zu", table->name,
                    (unsigned long long)*line, r.count, r.count == 1 ? "" : "s", table->columns);
  for (size_t i = 0; i < table->selected_count; i++)
    fields[i] = table->selected_column[i] < r.kept ? table->row[table->selected_column[i]]
                                                   : (data_field){0};
  return CDL_STATUS_OK;
}

/* ---- Columns ---- */

static bool is_named(data_field field, const char *name)
{
  return strlen(name) == field.bytes && memcmp(field.data, name, field.bytes) == 0;
}

static size_t find_column(const data_table *table, const char *name, size_t from)
{
  while (from < table->columns && !is_named(table->header[from], name))
    from++;
  return from;
}

bool data_table_has_column(const data_table *table, const char *name)
{
  return table->format == CDL_DATA_JSONL || find_column(table, name, 0) < table->columns;
}

/* Separators that another format uses. Returns the place of the one that separates the names of a
 * header with a single field, or -1. */
enum { SEPARATORS = 4 };
static const char separators[SEPARATORS + 1] = "\t,;|";
static const char *const separator_names[SEPARATORS] = {"tabs", "commas", "semicolons", "bars '|'"};

static int foreign_separator(const data_table *table)
{
  const char own = table->format == CDL_DATA_CSV ? ',' : '\t';
  for (int i = 0; i < SEPARATORS && table->columns == 1; i++)
    if (separators[i] != own &&
        memchr(table->header[0].data, separators[i], table->header[0].bytes) != NULL)
      return i;
  return -1;
}

/* "'text', 'label'" for messages. */
typedef struct {
  char text[512];
  size_t used;
  bool full;
} column_list;

static void list_column(column_list *list, const char *name, size_t bytes)
{
  const bool room = list->used < sizeof list->text - sizeof(data_quoted) - 8;
  if (!list->full)
    list->used +=
        (size_t)snprintf(list->text + list->used, sizeof list->text - list->used, "%s%s",
                         list->used == 0 ? "" : ", ", room ? data_quote(name, bytes).text : "…");
  list->full = !room;
}

static column_list list_header(const data_table *table)
{
  column_list list = {0};
  for (size_t i = 0; i < table->columns; i++)
    list_column(&list, table->header[i].data, table->header[i].bytes);
  return list;
}

static cdl_status no_such_column(const data_table *table, const char *name)
{
  const int found = foreign_separator(table);
  if (found >= 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s:1: no column %s: %s separate the header's names; expected %s in a file "
                    "whose name says %s",
                    table->name, data_quote(name, strlen(name)).text, separator_names[found],
                    table->format == CDL_DATA_CSV ? "commas" : "tabs",
                    table->format == CDL_DATA_CSV ? "CSV" : "TSV");
  return cdl_fail(CDL_STATUS_DATA, "%s:1: no column %s; the header has %s", table->name,
                  data_quote(name, strlen(name)).text, list_header(table).text);
}

const char *data_table_first_line(const data_table *table, size_t *bytes)
{
  const char *next;
  *bytes = (size_t)(line_end(table, &next) - table->at);
  return table->at;
}

bool data_table_is_json(const data_table *table)
{
  return table->format == CDL_DATA_JSONL;
}

cdl_status data_table_expect(data_table *table, const char *const *names, size_t count,
                             const char *options)
{
  const bool json = table->format == CDL_DATA_JSONL;
  const char *what = json ? "the first row" : "the header", *missing = NULL;
  json_t *object = NULL;
  column_list list = list_header(table);
  if (json) {
    const char *next, *key;
    json_t *value;
    CDL_TRY(parse_object(table, &object, &next));
    json_object_foreach(object, key, value) list_column(&list, key, strlen(key));
  }
  for (size_t i = 0; i < count && missing == NULL; i++)
    if (json ? json_object_get(object, names[i]) == NULL
             : find_column(table, names[i], 0) == table->columns)
      missing = names[i];
  json_decref(object);
  if (count == 0)
    return cdl_fail(CDL_STATUS_USAGE, "%s:1: a table; give %s: %s has %s", table->name, options,
                    what, list.text);
  if (missing == NULL)
    return CDL_STATUS_OK;
  if (foreign_separator(table) >= 0)
    return no_such_column(table, missing);
  return cdl_fail(CDL_STATUS_DATA,
                  "%s:1: no column %s, which training read; %s has %s; name others with %s",
                  table->name, data_quote(missing, strlen(missing)).text, what, list.text, options);
}

cdl_status data_table_select(data_table *table, const char *const *names, size_t count)
{
  if (count > DATA_TABLE_SELECTED)
    return cdl_fail(CDL_STATUS_ARGUMENT, "%zu columns of %s; at most %d can be selected", count,
                    table->name, DATA_TABLE_SELECTED);
  for (size_t i = 0; i < count; i++) {
    table->selected[i] = names[i];
    if (table->format == CDL_DATA_JSONL)
      continue;
    const size_t column = find_column(table, names[i], 0);
    if (column == table->columns)
      return no_such_column(table, names[i]);
    if (find_column(table, names[i], column + 1) < table->columns)
      return cdl_fail(CDL_STATUS_DATA, "%s:1: the header has the column %s more than once",
                      table->name, data_quote(names[i], strlen(names[i])).text);
    table->selected_column[i] = column;
  }
  table->selected_count = count;
  return CDL_STATUS_OK;
}

/* Returns the fields of the first row of a TSV. */
static size_t fields_of_row_1(const data_table *table)
{
  const char *next, *end = line_end(table, &next);
  size_t fields = 1;
  for (const char *c = table->at; c < end; c++)
    fields += *c == '\t';
  return fields;
}

/* Before a header there is no mark except the one that was skipped, and a name in it contains no
 * carriage return: in a TSV a carriage return ends lines. CSV checks this in every line. */
static cdl_status check_line_ends(const data_table *table)
{
  if (table->end - table->at >= 3 && memcmp(table->at, "\xEF\xBB\xBF", 3) == 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s:1: two byte-order marks before the header; expected one at most",
                    table->name);
  const char *next, *end = line_end(table, &next);
  const char *at =
      table->format == CDL_DATA_TSV ? memchr(table->at, '\r', (size_t)(end - table->at)) : NULL;
  return at == NULL ? CDL_STATUS_OK
                    : cdl_fail(CDL_STATUS_DATA,
                               "%s:1: byte %td of the header is a carriage return alone; expected "
                               "lines that end in LF or CR LF",
                               table->name, at - table->at + 1);
}

static cdl_status read_header(data_table *table, const data_table_options *options)
{
  if (table->format == CDL_DATA_JSONL)
    return CDL_STATUS_OK;
  record r = {.grows = true};
  cdl_status status = CDL_STATUS_OK;
  size_t given = options->header != NULL ? options->header_count : 0;
  if (options->header == NULL)
    CDL_TRY(check_line_ends(table));
  if (options->header == NULL)
    status = read_record(table, &r);
  else if (options->header_as_row_1) {
    const size_t fields = fields_of_row_1(table);
    if (fields > given)
      return cdl_fail(CDL_STATUS_DATA, "%s:1: %zu fields; expected at most %zu", table->name,
                      fields, given);
    given = fields;
  }
  for (size_t i = 0; i < given && status == CDL_STATUS_OK; i++)
    status = record_add(
        table, &r, (data_field){.data = options->header[i], .bytes = strlen(options->header[i])});
  table->header = r.fields;
  table->columns = r.kept;
  if (status != CDL_STATUS_OK)
    return status;
  table->row = calloc(r.kept + 1, sizeof *table->row);
  return table->row != NULL ? CDL_STATUS_OK : out_of_memory(table);
}

/* ---- Opening ---- */

static cdl_status format_of_bytes(data_table *table)
{
  const char *at = table->at;
  while (at < table->end && (*at == ' ' || *at == '\t'))
    at++;
  table->format = at < table->end && *at == '{' ? CDL_DATA_JSONL : CDL_DATA_TSV;
  if (at == table->end || *at != '[')
    return CDL_STATUS_OK;
  for (at++; at < table->end && strchr(" \t\r", *at) != NULL && *at != '\0';)
    at++;
  return at < table->end && *at != '{' && *at != '\n'
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_DATA, "%s:1: a JSON array; expected an object a line (JSONL)",
                        table->name);
}

/* The bytes of the header move with the next window. */
static cdl_status keep_header(data_table *table)
{
  size_t bytes = 1;
  for (size_t i = 0; i < table->columns; i++)
    bytes += table->header[i].bytes;
  table->owned = malloc(bytes);
  if (table->owned == NULL)
    return out_of_memory(table);
  char *at = table->owned;
  for (size_t i = 0; i < table->columns; i++) {
    memcpy(at, table->header[i].data, table->header[i].bytes);
    table->header[i].data = at;
    at += table->header[i].bytes;
  }
  return CDL_STATUS_OK;
}

static cdl_status begin(data_table *table, const char *data, size_t size,
                        const data_table_options *options)
{
  table->at = data;
  table->end = data + size;
  table->line = 1;
  table->strict = options->strict;
  table->lists = options->lists;
  CDL_TRY(data_table_check_kind(table->name, data, size));
  if (size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0)
    table->at += 3;
  if (table->format == CDL_DATA_BY_NAME)
    CDL_TRY(format_of_bytes(table));
  while (table->feed == NULL && table->end > table->at &&
         (table->end[-1] == '\n' || table->end[-1] == '\r'))
    table->end--;
  if (table->at == table->end)
    return cdl_fail(CDL_STATUS_DATA, "%s:1: an empty file; expected %s", table->name,
                    table->format == CDL_DATA_JSONL ? "JSON objects, one a line" : "rows of text");
  CDL_TRY(read_header(table, options));
  return table->feed != NULL ? keep_header(table) : CDL_STATUS_OK;
}

/* Reads the rest of a file descriptor into new memory. */
static cdl_status read_all(int descriptor, const char *name, char **data, size_t *size)
{
  size_t capacity = 1 << 16, used = 0;
  char *buffer = malloc(capacity);
  for (;;) {
    if (used == capacity && buffer != NULL) {
      char *larger = capacity > SIZE_MAX / 2 ? NULL : realloc(buffer, 2 * capacity);
      if (larger == NULL)
        free(buffer);
      buffer = larger;
      capacity *= 2;
    }
    if (buffer == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory after %zu bytes", name, used);
    const ssize_t got = read(descriptor, buffer + used, capacity - used);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      free(buffer);
      return cdl_fail(CDL_STATUS_IO, "%s: %s", name, strerror(errno));
    }
    if (got == 0)
      break;
    used += (size_t)got;
  }
  *data = buffer;
  *size = used;
  return CDL_STATUS_OK;
}

/* Returns NULL if memory is out. */
static data_table *make(const char *name, cdl_data_format format)
{
  data_table *table = calloc(1, sizeof *table);
  char *copy = strdup(name);
  if (table == NULL || copy == NULL) {
    free(table);
    free(copy);
    return NULL;
  }
  table->name = copy;
  table->format = format;
  return table;
}

static cdl_status next_bytes(data_table *table, const char **data, size_t *size)
{
  const size_t kept = (size_t)(table->end - table->at);
  const cdl_status status = data_feed_next(table->feed, kept, data, size);
  return status == CDL_STATUS_DATA
             ? cdl_context(status, "%s:%llu", table->name, (unsigned long long)table->line)
             : status;
}

static cdl_status finish_open(cdl_status status, data_table *made, data_table **table)
{
  if (status == CDL_STATUS_OK)
    *table = made;
  else
    data_table_close(made);
  return status;
}

/* Makes a table of which nothing is read yet. */
static cdl_status start(const char *path, const data_table_options *options, data_table **made)
{
  const bool standard_input = strcmp(path, "-") == 0;
  cdl_data_format format = options->format;
  if (format == CDL_DATA_BY_NAME && !standard_input && options->header == NULL)
    CDL_TRY(data_table_format_of_name(path, &format));
  *made = make(standard_input ? "standard input" : path, format);
  return *made != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

cdl_status data_table_open(const char *path, const data_table_options *options, data_table **table)
{
  data_table *made;
  *table = NULL;
  CDL_TRY(start(path, options, &made));
  const bool standard_input = strcmp(path, "-") == 0;
  size_t size = 0;
  cdl_status status = standard_input ? read_all(STDIN_FILENO, made->name, &made->owned, &size)
                                     : base_file_map(path, &made->mapping);
  made->mapped = status == CDL_STATUS_OK && !standard_input;
  if (status == CDL_STATUS_OK)
    status = made->mapped
                 ? begin(made, (const char *)made->mapping.data, made->mapping.size, options)
                 : begin(made, made->owned, size, options);
  return finish_open(status, made, table);
}

cdl_status data_table_open_windows(const char *path, const data_table_options *options,
                                   const volatile int *stop, data_table **table)
{
  data_table *made;
  *table = NULL;
  CDL_TRY(start(path, options, &made));
  const char *data = NULL;
  size_t size = 0;
  made->line = 1;
  cdl_status status = data_feed_open(path, made->format == CDL_DATA_CSV, stop, &made->feed);
  if (status == CDL_STATUS_OK)
    status = next_bytes(made, &data, &size);
  if (status == CDL_STATUS_OK)
    status = begin(made, data, size, options);
  return finish_open(status, made, table);
}

cdl_status data_table_next_window(data_table *table)
{
  const char *data;
  size_t size;
  CDL_TRY(next_bytes(table, &data, &size));
  free_blocks(table);
  table->at = data;
  table->end = data + size;
  return CDL_STATUS_OK;
}

cdl_status data_table_open_bytes(const char *name, const void *bytes, size_t size,
                                 const data_table_options *options, data_table **table)
{
  *table = NULL;
  data_table *made = make(name, options->format);
  if (made == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", name);
  return finish_open(begin(made, bytes, size, options), made, table);
}

void data_table_close(data_table *table)
{
  if (table == NULL)
    return;
  free_blocks(table);
  if (table->mapped)
    base_file_unmap(&table->mapping);
  data_feed_close(table->feed);
  free(table->owned);
  free(table->header);
  free(table->row);
  free(table->name);
  free(table);
}

void data_table_discard(data_table *table)
{
  if (table->mapped)
    base_file_discard(&table->mapping, 0, table->mapping.size);
}
