/* The bytes of a file, a pipe or standard input, in whole rows, as many at a time as are there
 * without waiting. A window of a table is read from them. */
#ifndef CONDLORA_TRAIN_DATA_FEED_H
#define CONDLORA_TRAIN_DATA_FEED_H

#include <stdbool.h>
#include <stddef.h>

#include "condlora/status.h"

typedef struct data_feed data_feed;

/* Opens `path`; "-" is standard input. `quoted`: a newline between quotes ends no row, as in CSV.
 * `stop` may be NULL; if it is set, a wait ends with CANCELLED. Errors: ABSENT, IO, naming the
 * path; MEMORY. */
CDL_MUST_USE cdl_status data_feed_open(const char *path, bool quoted, const volatile int *stop,
                                       data_feed **feed);
void data_feed_close(data_feed *feed);

/* Gives the next rows. The earlier bytes are gone, except their last `kept` bytes, which come first
 * again. Waits only until one row is complete. `*data` holds whole rows, the last with its end of
 * line unless the input ends with it; `*bytes` is 0 at the end. Empty lines are held back until a
 * row follows; at the end of the input they are dropped. Valid until the next call. Errors: IO;
 * DATA for a row without an end, without naming the line; CANCELLED; MEMORY. */
CDL_MUST_USE cdl_status data_feed_next(data_feed *feed, size_t kept, const char **data,
                                       size_t *bytes);

#endif
