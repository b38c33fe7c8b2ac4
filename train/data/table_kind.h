/* What a file is that is no table of UTF-8 text, by its name and its first bytes. */
#ifndef CONDLORA_TRAIN_DATA_TABLE_KIND_H
#define CONDLORA_TRAIN_DATA_TABLE_KIND_H

#include <stddef.h>

#include "condlora/dataset.h"
#include "condlora/status.h"

/* The format that the end of a name says. USAGE for another end; of one that is known, "x.csv.gz" or
 * "x.parquet", the message says what to do. */
CDL_MUST_USE cdl_status data_table_format_of_name(const char *path, cdl_data_format *format);

/* DATA for what the first bytes show to be no UTF-8 text: UTF-16 and UTF-32, with a byte-order mark
 * or, where every other byte of ASCII text is NUL, without one; compressed files, spreadsheets,
 * Parquet and others with a signature. What passes may still be no text. `name` is for messages. */
CDL_MUST_USE cdl_status data_table_check_kind(const char *name, const void *bytes, size_t size);

#endif
