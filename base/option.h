/* Options. A table says which there are; values are read from text, and go to and from JSON.
 * The options of a command, the settings of a run and the options of an adapter's method are such
 * tables. */
#ifndef CONDLORA_BASE_OPTION_H
#define CONDLORA_BASE_OPTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

typedef enum {
  BASE_OPTION_SECTION, /* no option: `help` is the title of the part of the help that begins here */
  BASE_OPTION_STRING,  /* const char * */
  BASE_OPTION_STRINGS, /* base_strings: may be given several times */
  BASE_OPTION_PAIR,    /* const char *[2]: two values, one after the other */
  BASE_OPTION_LIST,    /* const char *: names as base_list_split reads them; in JSON an array too */
  BASE_OPTION_INTS,    /* const char *: whole numbers with commas; in JSON an array too */
  BASE_OPTION_MAP,     /* const char *: in JSON an object too */
  BASE_OPTION_WORD,    /* const char *: one of `placeholder`'s words, for what is passed on */
  BASE_OPTION_CHOICE,  /* int: the place of a word among those of `placeholder` */
  BASE_OPTION_INT,     /* int64_t */
  BASE_OPTION_FLOAT,   /* double */
  BASE_OPTION_FLAG     /* bool */
} base_option_kind;

/* One option. What is not set here is zero. */
typedef struct {
  base_option_kind kind;
  const char *name;        /* "batch_size": --batch-size on a command line, "batch_size" in JSON */
  const char *placeholder; /* what stands for the value: "FILE"; of CHOICE, WORD the words: "A|B" */
  const char *help;
  void *target;  /* where the value goes; NULL: `offset` bytes into the values of the table */
  size_t offset; /* of a member */
  double low,
      high; /* of an INT or a FLOAT, both included; both 0: any number, of an INT from 0 on */
  bool above, below;    /* `low` is not included, `high` is not */
  double default_value; /* of a CHOICE, INT, FLOAT or FLAG; below 0 where `low` is not: not set */
  const char *default_string; /* of the other kinds; NULL: not set */
  const char *key;            /* its name in adapter_config.json; NULL: `name` */
  bool (*is_other)(
      const char *text); /* of a LIST: whether a text is the other form that there is */
  bool number_items;     /* of a LIST: its names are numbers, in JSON too */
  unsigned traits;       /* bits whose meaning is the owner's of the table */
} base_option;

/* Rows of a table: BASE_OPTION(INT, "rank", &rank, "R", "help") and, where more is to be said,
 * BASE_OPTION(INT, "rank", &rank, "R", "help", .high = 64). */
#define BASE_SECTION(title)                     \
  {                                             \
    .kind = BASE_OPTION_SECTION, .help = title, \
  }
#define BASE_OPTION(kind_, name_, target_, placeholder_, ...)                                   \
  {                                                                                             \
    .kind = BASE_OPTION_##kind_, .name = name_, .target = target_, .placeholder = placeholder_, \
    .help = __VA_ARGS__,                                                                        \
  }

enum { BASE_STRINGS_MAX = 64 };

/* Borrowed from the command line, in its order. */
typedef struct {
  const char *item[BASE_STRINGS_MAX];
  size_t count;
} base_strings;

/* A table, and the values that it is about. */
typedef struct {
  const base_option *item; /* [count] */
  size_t count;
  void *values; /* what `offset` counts from; NULL where each option has a target */
  /* Sets one from text, NULL for a flag without a value; NULL: base_option_set at its target. */
  cdl_status (*set)(void *values, const base_option *option, const char *text);
  bool *given; /* [count] becomes true where an option was on the command line; may be NULL */
  bool shows_defaults; /* the help has them in brackets */
} base_options;

#define BASE_OPTIONS(array)                                     \
  {                                                             \
    .item = array, .count = sizeof(array) / sizeof((array)[0]), \
  }

/* ---- Names and words ---- */

/* "--batch-size" for "batch_size". */
typedef struct {
  char text[64];
} base_option_name;
base_option_name base_option_shown(const char *name);

/* The option of a name, '-' and '_' being the same; NULL where there is none. */
const base_option *base_option_find(const base_option *options, size_t count, const char *name);

/* A word among those of a choice, "A|B|C": `bytes` of `text`. */
typedef struct {
  const char *text;
  size_t bytes;
} base_word;
/* The place of a word, '-' and '_' being the same; -1 where it is none of them. */
int base_word_place(const char *words, const char *word);
/* The word at a place that there is. */
base_word base_word_at(const char *words, int place);

/* ---- Values ---- */

/* A value: `number` of a CHOICE (its place), INT, FLOAT or FLAG (0 or 1), `integer` too but of a
 * FLOAT; `text` of the other kinds, borrowed. */
typedef struct {
  const char *text;
  int64_t integer;
  double number;
} base_option_value;

/* The value of a number, for owners that keep each value as a double. */
base_option_value base_option_number(double number);

/* Reads a value; `text` is NULL for a flag without one. Errors: USAGE, with the option's name and
 * what was expected. */
CDL_MUST_USE cdl_status base_option_parse(const base_option *option, const char *text,
                                          base_option_value *value);
/* Store puts a value at the place where one of the option's kind is kept; load takes it from there.
 * A text is borrowed. Errors: USAGE where STRINGS are full. */
CDL_MUST_USE cdl_status base_option_store(const base_option *option, void *place,
                                          base_option_value value);
base_option_value base_option_load(const base_option *option, const void *place);
/* Both: from text to the option's target. */
CDL_MUST_USE cdl_status base_option_set(const base_option *option, const char *text);

/* ---- JSON ---- */

/* The value as settings in JSON have it, null for one that is not set. NULL when memory is out. */
json_t *base_option_to_json(const base_option *option, base_option_value value);
/* The text that base_option_parse reads as `json`, to be freed by the caller; NULL for null, which
 * sets nothing. A string is the text itself. `path` is for messages. Errors: USAGE, MEMORY. */
CDL_MUST_USE cdl_status base_option_from_json(const base_option *option, const char *path,
                                              const json_t *json, char **text);

/* The table itself, for manuals and completion: [{"kind": "INT", "name": "--rank", "placeholder":
 * "R", "help": …}, …]. NULL when memory is out. */
json_t *base_options_describe(const base_options *options);
/* The help of an option, with its default in brackets where the table shows it. */
typedef struct {
  char text[640];
} base_option_help;
base_option_help base_option_help_of(const base_option *option, bool shows_default);

#endif
