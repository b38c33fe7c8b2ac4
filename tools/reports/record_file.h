/* What the files of all kinds of records have in common: their folder, and what they begin with. */
#ifndef CONDLORA_TOOLS_REPORTS_RECORD_FILE_H
#define CONDLORA_TOOLS_REPORTS_RECORD_FILE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/task.h"
#include "tools/reports/methods.h"

/* A change that alters what runs compute, beyond rounding, raises this number. Records with another
 * number are obsolete: reading them is an error. */
enum { REPORT_SEMANTICS = 1 };

typedef struct {
  cdl_status (*begin)(void *user, size_t files); /* makes room for at most so many */
  cdl_status (*take)(void *user, const char *path, const json_t *object);
} report_record_reader;

/* Reads the *.json of a folder in the order of their names; a missing folder holds none. Errors:
 * IO, DATA, MEMORY; those of the reader. */
CDL_MUST_USE cdl_status report_record_files_read(const char *folder,
                                                 const report_record_reader *reader, void *user);

/* Read one key each. Errors: DATA, naming the file and what was expected. */
CDL_MUST_USE cdl_status report_record_semantics(const char *path, const json_t *object);
CDL_MUST_USE cdl_status report_record_task(const char *path, const json_t *object,
                                           const cdl_task **task);
CDL_MUST_USE cdl_status report_record_method(const char *path, const json_t *object,
                                             const report_compared_method **method);
CDL_MUST_USE cdl_status report_record_hash(const char *path, const json_t *object, const char *key,
                                           uint64_t *hash);

#endif
