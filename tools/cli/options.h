/* Options of a command: a small table says what they are, the training settings plug in from their
 * own list. */
#ifndef CONDLORA_TOOLS_CLI_OPTIONS_H
#define CONDLORA_TOOLS_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "train/settings.h"

typedef enum {
  CLI_GROUP,
  CLI_TEXT,
  CLI_TEXTS, /* may be given several times */
  CLI_WHOLE,
  CLI_THREADS, /* a number that makes sense for threads */
  CLI_REAL,
  CLI_FLAG
} cli_option_kind;

enum { CLI_TEXTS_MAX = 64 };

/* Borrowed from the command line, in its order. */
typedef struct {
  const char *item[CLI_TEXTS_MAX];
  size_t count;
} cli_texts;

/* One option. Of a CLI_GROUP only `help` means anything: the title of the part of the help that it
 * begins. */
typedef struct {
  cli_option_kind kind;
  const char *name; /* "text-columns" */
  /* const char **, cli_texts *, int64_t *, int * (threads), double * or bool *; a text is borrowed from the command
   * line. */
  void *target;
  const char *placeholder; /* "FILE"; "A|B" lists the values that may be */
  const char *help;
} cli_option;

typedef struct {
  const char *usage;   /* "condlora eval --model DIR …", perhaps of several lines */
  const char *summary; /* what the command does */
  const char *notes;   /* at the end of the help; may be NULL */
  const cli_option *options;
  size_t option_count;
  train_settings *settings; /* with all of train_setting_list as options; NULL: without */
  bool *given;              /* [train_setting_list's count] which were on the command line */
  const char **operand;     /* an argument that is no option; NULL: there is none */
} cli_grammar;

/* Reads the arguments after the command's name. `--name value` and `--name=value`; a lone `--`
 * ends the options. `*helped` is true when the help was asked for and printed to stdout: nothing
 * else was done. Errors: USAGE. */
CDL_MUST_USE cdl_status cli_options_read(const cli_grammar *grammar, int count, char **arguments,
                                         bool *helped);

#endif
