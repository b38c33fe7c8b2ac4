/* The output of results: a file, which is written completely or not at all, or a stream. */
#ifndef CONDLORA_TOOLS_CONSOLE_OUTPUT_H
#define CONDLORA_TOOLS_CONSOLE_OUTPUT_H

#include <jansson.h>
#include <stdio.h>

#include "base/file.h"

typedef struct {
  const char *path;
  base_output *file; /* the file to replace; NULL: results go to `stream` */
  FILE *stream;      /* stdout, a device, a pipe */
} console_output;

/* Errors: USAGE if `path` would replace `input`. `input` is a file, "-" for standard input, or NULL
 * for none. */
CDL_MUST_USE cdl_status console_output_check(const char *path, const char *input);
/* Opens `path`, which is borrowed; NULL and "-" mean stdout. End with console_output_finish. */
CDL_MUST_USE cdl_status console_output_begin(console_output *output, const char *path);
void console_output_printf(console_output *output, const char *format, ...) CDL_PRINTF(2, 3);
/* Flushes a stream; a file is written at the end. Errors: IO if the bytes cannot be written. */
CDL_MUST_USE cdl_status console_output_flush(const console_output *output);
/* Commits the file if `status` is CDL_STATUS_OK and discards it otherwise. Returns the first
 * failure. */
CDL_MUST_USE cdl_status console_output_finish(console_output *output, cdl_status status);

/* Prints an object as indented JSON and releases it. NULL is reported as MEMORY. */
CDL_MUST_USE cdl_status console_stdout_json(json_t *object);
/* Flushes stdout. Errors: IO if anything that was printed could not be written, for example on a
 * full disk or a closed pipe. */
CDL_MUST_USE cdl_status console_stdout_flush(void);

#endif
