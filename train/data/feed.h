/* The bytes of a file, a pipe or standard input, as many whole rows at a time as can be had without
 * waiting: what a window of a table is read from. */
#ifndef CONDLORA_TRAIN_DATA_FEED_H
#define CONDLORA_TRAIN_DATA_FEED_H

#include <stdbool.h>
#include <stddef.h>

#include "condlora/status.h"

typedef struct data_feed data_feed;

/* "-" is standard input. `quoted`: a newline between quotes ends no row, as in CSV. `stop`, which may
 * be NULL, ends a wait with CANCELLED when it is set. Errors: ABSENT, IO, naming the path; MEMORY. */
CDL_MUST_USE cdl_status data_feed_open(const char *path, bool quoted, const volatile int *stop,
                                       data_feed **feed);
void data_feed_close(data_feed *feed);

/* What was given before is over, but for its last `kept` bytes, which come first again. Waits only
 * until one row is whole. `*data` holds whole rows, the last with its end of line unless the input
 * ends with it; `*bytes` is 0 at the end. Empty lines are held back until a row follows them: at the
 * end of the input they are none. Valid until the next call. Errors: IO; DATA for a row without an
 * end in sight, without naming the line; CANCELLED; MEMORY. */
CDL_MUST_USE cdl_status data_feed_next(data_feed *feed, size_t kept, const char **data,
                                       size_t *bytes);

#endif
