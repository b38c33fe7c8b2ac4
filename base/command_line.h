/* A command line: options of tables (base/option.h) and operands, and the help about them. */
#ifndef CONDLORA_BASE_COMMAND_LINE_H
#define CONDLORA_BASE_COMMAND_LINE_H

#include <stdio.h>

#include "base/option.h"

/* An operand that may be: a workload, a table. */
typedef struct {
  const char *word;
  const char *help; /* NULL: the help does not list it */
} base_operand;

typedef struct {
  const char *usage;     /* "condlora eval --model MODEL …", perhaps of several lines */
  const char *summary;   /* what the command does */
  const char *notes;     /* at the end of the help; may be NULL */
  base_options settings; /* first in the help; none where its count is 0 */
  base_options options;  /* the command's own */
  base_options common;   /* last in the help: what every command has */
  const char **operands; /* [operands_most] arguments that are no options; NULL where none is */
  size_t operands_most;
  const base_operand *words; /* [word_count] what they may be, where that is a few words */
  size_t word_count;
} base_command_line;

/* Reads the arguments after the command's name: `--name value` and `--name=value`, in any order.
 * A lone `--` ends the options. Names have '-', not '_'.
 * Errors: USAGE for an option that there is not, with the nearest name; for an option that is given
 * twice and may not be; for a value that the option cannot have. MEMORY. */
CDL_MUST_USE cdl_status base_command_line_read(const base_command_line *line, int count,
                                               char **arguments);
/* Whether `name`, "--help" say, is among the options. */
bool base_command_line_has(int count, char **arguments, const char *name);

/* Lines of `width` columns at most. */
void base_command_line_help(const base_command_line *line, FILE *to, size_t width);
/* The line itself, for manuals and completion: {"usage": text, "operands": how many at most,
 * "words": [what they may be], "options": [rows of base_options_describe]}.
 * The caller releases it with json_decref. NULL when memory is out. */
json_t *base_command_line_describe(const base_command_line *line);

#endif
