#include "train/data/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  READ_BYTES = 1 << 16,
  FULL_BYTES = 1 << 20,   /* of whole rows: no more is read ahead */
  ROW_BYTES = 64 << 20,   /* the longest row, including empty lines before it */
  WAIT_MILLISECONDS = 200 /* after which `stop` is checked again */
};

/* The state of a CSV record at the next byte. */
typedef enum { FIELD_BEGINS, IN_FIELD, IN_QUOTES, AFTER_QUOTE } csv_place;

struct data_feed {
  char *name;
  int descriptor;
  bool owned, quoted, ended;
  const volatile int *stop;
  char *data;
  size_t capacity;
  /* data[begin … whole] are whole rows, [whole … row] possibly empty lines, [row … scanned] the
   * beginning of a row, [scanned … end] not scanned yet. */
  size_t begin, whole, row, scanned, end;
  csv_place place;
  bool after_first; /* a line has ended: there is no byte-order mark any more */
};

static cdl_status fail_to_read(const data_feed *f)
{
  const int error = errno;
  if (error == ENOENT || error == ENOTDIR)
    return cdl_fail(CDL_STATUS_ABSENT, "%s: no such file", f->name);
  return cdl_fail(CDL_STATUS_IO, "%s: cannot be read: %s", f->name, strerror(error));
}

cdl_status data_feed_open(const char *path, bool quoted, const volatile int *stop, data_feed **feed)
{
  const bool standard_input = strcmp(path, "-") == 0;
  *feed = NULL;
  data_feed *f = calloc(1, sizeof *f);
  if (f == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  *f = (data_feed){.descriptor = STDIN_FILENO, .quoted = quoted, .stop = stop};
  f->name = strdup(standard_input ? "standard input" : path);
  if (f->name == NULL) {
    free(f);
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  }
  if (!standard_input) {
    /* Without O_NONBLOCK opening a pipe would wait for its writer and ignore `stop`. */
    f->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    f->owned = f->descriptor >= 0;
    if (!f->owned) {
      const cdl_status status = fail_to_read(f);
      data_feed_close(f);
      return status;
    }
  }
  *feed = f;
  return CDL_STATUS_OK;
}

void data_feed_close(data_feed *f)
{
  if (f == NULL)
    return;
  if (f->owned)
    close(f->descriptor);
  free(f->data);
  free(f->name);
  free(f);
}

/* ---- Rows ---- */

static void end_row(data_feed *f, size_t after)
{
  const char *line = f->data + f->row;
  size_t bytes = after - 1 - f->row;
  if (!f->after_first && bytes >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
    line += 3;
    bytes -= 3;
  }
  const bool is_empty = bytes == 0 || (bytes == 1 && line[0] == '\r');
  f->after_first = true;
  f->row = after;
  f->whole = is_empty ? f->whole : after;
}

static void scan_lines(data_feed *f)
{
  while (f->scanned < f->end) {
    const char *newline = memchr(f->data + f->scanned, '\n', f->end - f->scanned);
    f->scanned = newline != NULL ? (size_t)(newline - f->data) + 1 : f->end;
    if (newline != NULL)
      end_row(f, f->scanned);
  }
}

/* Finds rows as the CSV reader does if they are well-formed. In other rows it finds no end of a row
 * that the reader would accept. */
static void scan_csv(data_feed *f)
{
  for (; f->scanned < f->end; f->scanned++) {
    const char c = f->data[f->scanned];
    switch (f->place) {
    case IN_QUOTES:
      f->place = c == '"' ? AFTER_QUOTE : IN_QUOTES;
      continue;
    case AFTER_QUOTE:
    case FIELD_BEGINS:
      if (c == '"') {
        f->place = IN_QUOTES;
        continue;
      }
      break;
    case IN_FIELD:
      break;
    }
    f->place = c == ',' || c == '\n' ? FIELD_BEGINS : IN_FIELD;
    if (c == '\n')
      end_row(f, f->scanned + 1);
  }
}

static void scan(data_feed *f)
{
  if (f->quoted)
    scan_csv(f);
  else
    scan_lines(f);
  if (!f->ended)
    return;
  f->whole = f->end; /* the last row may lack its end of line; empty lines are no rows */
  while (f->whole > f->begin && (f->data[f->whole - 1] == '\n' || f->data[f->whole - 1] == '\r'))
    f->whole--;
}

/* ---- Bytes ---- */

/* Moves the remaining bytes to the front, and makes room for a read after them. */
static cdl_status make_room(data_feed *f)
{
  if (f->capacity - f->end >= READ_BYTES)
    return CDL_STATUS_OK;
  if (f->begin > 0) {
    memmove(f->data, f->data + f->begin, f->end - f->begin);
    f->whole -= f->begin;
    f->row -= f->begin;
    f->scanned -= f->begin;
    f->end -= f->begin;
    f->begin = 0;
  }
  if (f->capacity - f->end >= READ_BYTES)
    return CDL_STATUS_OK;
  const size_t capacity = f->capacity == 0 ? FULL_BYTES + 2 * READ_BYTES : 2 * f->capacity;
  char *data = realloc(f->data, capacity);
  if (data == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a row of more than %zu bytes", f->end);
  f->data = data;
  f->capacity = capacity;
  return CDL_STATUS_OK;
}

/* Returns whether there is something to read; if rows are there, without waiting. */
static cdl_status await(const data_feed *f, bool *readable)
{
  const bool waits = f->whole == f->begin;
  struct pollfd input = {.fd = f->descriptor, .events = POLLIN};
  for (;;) {
    if (f->stop != NULL && *f->stop != 0)
      return cdl_fail(CDL_STATUS_CANCELLED, "stopped while reading %s", f->name);
    const int ready = poll(&input, 1, waits ? WAIT_MILLISECONDS : 0);
    if (ready < 0 && errno != EINTR && errno != EAGAIN)
      return fail_to_read(f);
    *readable = ready > 0;
    if (*readable || !waits)
      return CDL_STATUS_OK;
  }
}

static cdl_status read_more(data_feed *f, bool *readable)
{
  CDL_TRY(await(f, readable));
  if (!*readable)
    return CDL_STATUS_OK;
  CDL_TRY(make_room(f));
  const ssize_t got = read(f->descriptor, f->data + f->end, f->capacity - f->end);
  if (got < 0 && (errno == EINTR || errno == EAGAIN))
    return CDL_STATUS_OK;
  if (got < 0)
    return fail_to_read(f);
  f->end += (size_t)got;
  f->ended = got == 0;
  scan(f);
  return CDL_STATUS_OK;
}

cdl_status data_feed_next(data_feed *f, size_t kept, const char **data, size_t *bytes)
{
  f->begin = f->whole - kept;
  bool readable = true;
  while (!f->ended && readable && f->whole - f->begin < FULL_BYTES) {
    if (f->whole == f->begin && f->end - f->begin >= ROW_BYTES)
      return cdl_fail(CDL_STATUS_DATA, "no end of a row within %d MiB", ROW_BYTES >> 20);
    CDL_TRY(read_more(f, &readable));
  }
  *data = f->data + f->begin;
  *bytes = f->whole - f->begin;
  return CDL_STATUS_OK;
}
