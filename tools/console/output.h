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
} cli_sink;

/* USAGE where `path` would replace `input`, a file or "-" for standard input; NULL for none. */
CDL_MUST_USE cdl_status cli_sink_check(const char *path, const char *input);
/* `path`, borrowed, NULL or "-": stdout. Ends with cli_sink_finish. */
CDL_MUST_USE cdl_status cli_sink_begin(cli_sink *sink, const char *path);
void cli_sink_printf(cli_sink *sink, const char *format, ...) CDL_PRINTF(2, 3);
/* Sends on what a stream holds back; a file comes whole at the end. IO when it did not arrive. */
CDL_MUST_USE cdl_status cli_sink_flush(const cli_sink *sink);
/* Commits when `status` is CDL_STATUS_OK, else aborts; returns the first failure. */
CDL_MUST_USE cdl_status cli_sink_finish(cli_sink *sink, cdl_status status);

/* Prints an object as indented JSON and releases it; NULL counts as memory that is out. */
CDL_MUST_USE cdl_status cli_stdout_json(json_t *object);
/* IO when anything printed did not arrive: a full disk, a reader that is gone. */
CDL_MUST_USE cdl_status cli_stdout_flush(void);

#endif
