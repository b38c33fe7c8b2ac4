/* Recognizes files that are no table of UTF-8 text, by their name and first bytes. */
#ifndef CONDLORA_TRAIN_DATA_TABLE_KIND_H
#define CONDLORA_TRAIN_DATA_TABLE_KIND_H

#include <stddef.h>

#include "condlora/dataset.h"
#include "condlora/status.h"

/* Gives the format for the extension of a name. USAGE for another extension; for a known one,
 * "x.csv.gz" or "x.parquet", the message says what to do. */
CDL_MUST_USE cdl_status data_table_format_of_name(const char *path, cdl_data_format *format);

/* Fails with DATA if the first bytes show no UTF-8 text: UTF-16 and UTF-32, with a byte-order mark,
 * or without one if every other byte of ASCII text is NUL; compressed files, spreadsheets, Parquet
 * and others with a signature. Other files may still be no text. `name` is for messages. */
CDL_MUST_USE cdl_status data_table_check_kind(const char *name, const void *bytes, size_t size);

#endif
