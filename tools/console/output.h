/* Where results go: a file, whole or not at all, or stdout. */
#ifndef CONDLORA_TOOLS_CONSOLE_OUTPUT_H
#define CONDLORA_TOOLS_CONSOLE_OUTPUT_H

#include <jansson.h>
#include <stdio.h>

#include "base/file.h"

typedef struct {
  const char *path;
  base_output *file; /* what is replaced whole; NULL: `stream` */
  FILE *stream;      /* stdout, a device, a pipe */
} console_output;

/* USAGE where `path` would replace `input`, a file or "-" for standard input; NULL for none. */
CDL_MUST_USE cdl_status console_output_check(const char *path, const char *input);
/* `path`, borrowed, NULL or "-": stdout. Ends with console_output_finish. */
CDL_MUST_USE cdl_status console_output_begin(console_output *output, const char *path);
void console_output_printf(console_output *output, const char *format, ...) CDL_PRINTF(2, 3);
/* Sends on what a stream holds back; a file comes whole at the end. IO when it did not arrive. */
CDL_MUST_USE cdl_status console_output_flush(const console_output *output);
/* Commits when `status` is CDL_STATUS_OK, else aborts; returns the first failure. */
CDL_MUST_USE cdl_status console_output_finish(console_output *output, cdl_status status);

/* Prints an object as indented JSON and releases it; NULL counts as memory that is out. */
CDL_MUST_USE cdl_status console_stdout_json(json_t *object);
/* IO when anything printed did not arrive: a full disk, a reader that is gone. */
CDL_MUST_USE cdl_status console_stdout_flush(void);

#endif
