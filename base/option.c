#include "base/option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/list.h"
#include "base/number.h"

/* ---- Names and words ---- */

static bool same_letter(char a, char b)
{
  return a == b || ((a == '-' || a == '_') && (b == '-' || b == '_'));
}

/* '-' and '_' are the same. `b` ends with its NUL. */
static bool same_word(const char *a, size_t bytes, const char *b)
{
  for (size_t i = 0; i < bytes; i++)
    if (!same_letter(a[i], b[i]))
      return false;
  return b[bytes] == '\0';
}

base_option_name base_option_shown(const char *name)
{
  base_option_name shown;
  snprintf(shown.text, sizeof shown.text, "--%s", name);
  for (char *c = shown.text; *c != '\0'; c++)
    if (*c == '_')
      *c = '-';
  return shown;
}

const base_option *base_option_find(const base_option *options, size_t count, const char *name)
{
  for (size_t i = 0; i < count; i++)
    if (options[i].kind != BASE_OPTION_SECTION &&
        same_word(options[i].name, strlen(options[i].name), name))
      return &options[i];
  return NULL;
}

/* The word after this one; NULL after the last. */
static const char *next_word(const char *words)
{
  const char *bar = strchr(words, '|');
  return bar != NULL ? bar + 1 : NULL;
}

int base_word_place(const char *words, const char *word)
{
  int place = 0;
  for (const char *w = words; w != NULL; w = next_word(w), place++)
    if (same_word(w, strcspn(w, "|"), word))
      return place;
  return -1;
}

base_word base_word_at(const char *words, int place)
{
  const char *word = words;
  for (int i = 0; i < place && next_word(word) != NULL; i++)
    word = next_word(word);
  return (base_word){word, strcspn(word, "|")};
}

/* ---- From text ---- */

base_option_value base_option_number(double number)
{
  return (base_option_value){.integer = (int64_t)number, .number = number};
}

static bool is_within(const base_option *o, double number)
{
  return (o->above ? number > o->low : number >= o->low) &&
         (o->below ? number < o->high : number <= o->high);
}

static cdl_status parse_number(const base_option *o, const char *text, base_option_value *value)
{
  const bool whole = o->kind == BASE_OPTION_INT;
  const size_t bytes = strlen(text);
  if (whole ? !base_integer_parse(text, bytes, &value->integer)
            : !base_number_parse(text, bytes, &value->number))
    return cdl_fail(CDL_STATUS_USAGE, "%s wants a %s, not '%s'", base_option_shown(o->name).text,
                    whole ? "whole number from 0" : "number", text);
  if (whole)
    value->number = (double)value->integer;
  if ((o->low == 0 && o->high == 0) || is_within(o, value->number))
    return CDL_STATUS_OK;
  if (o->above || o->below)
    return cdl_fail(CDL_STATUS_USAGE, "%s is %s %.10g and %s %.10g, not %s",
                    base_option_shown(o->name).text, o->above ? "above" : "at least", o->low,
                    o->below ? "below" : "at most", o->high, text);
  return cdl_fail(CDL_STATUS_USAGE, "%s is %.10g to %.10g, not %s", base_option_shown(o->name).text,
                  o->low, o->high, text);
}

static cdl_status check_list(const base_option *o, const char *text)
{
  base_list names;
  if (o->is_other != NULL && o->is_other(text))
    return CDL_STATUS_OK;
  CDL_TRY(base_list_split(base_option_shown(o->name).text, text, &names));
  base_list_release(&names);
  return CDL_STATUS_OK;
}

static cdl_status check_ints(const base_option *o, const char *text)
{
  enum { DIGITS_MOST = 9 };
  for (const char *c = text;; c++) {
    const size_t digits = strspn(c, "0123456789");
    if (digits == 0 || digits > DIGITS_MOST || (c[digits] != '\0' && c[digits] != ','))
      return cdl_fail(CDL_STATUS_USAGE, "%s wants whole numbers with commas, not '%s'",
                      base_option_shown(o->name).text, text);
    c += digits;
    if (*c == '\0')
      return CDL_STATUS_OK;
  }
}

static cdl_status parse_flag(const base_option *o, const char *text, base_option_value *value)
{
  const int place = text == NULL ? 1 : base_word_place("false|true", text);
  if (place < 0)
    return cdl_fail(CDL_STATUS_USAGE, "%s is true or false, not '%s'",
                    base_option_shown(o->name).text, text);
  *value = (base_option_value){.integer = place, .number = place};
  return CDL_STATUS_OK;
}

static cdl_status parse_choice(const base_option *o, const char *text, base_option_value *value)
{
  const int place = base_word_place(o->placeholder, text);
  if (place < 0)
    return cdl_fail(CDL_STATUS_USAGE, "%s is one of %s, not '%s'", base_option_shown(o->name).text,
                    o->placeholder, text);
  *value = (base_option_value){.text = text, .integer = place, .number = place};
  return CDL_STATUS_OK;
}

static bool may_be_empty(const base_option *o)
{
  return o->kind == BASE_OPTION_STRING || o->kind == BASE_OPTION_STRINGS ||
         o->kind == BASE_OPTION_PAIR;
}

cdl_status base_option_parse(const base_option *o, const char *text, base_option_value *value)
{
  *value = (base_option_value){.text = text};
  if (o->kind == BASE_OPTION_FLAG)
    return parse_flag(o, text, value);
  if (text == NULL || (text[0] == '\0' && !may_be_empty(o)))
    return cdl_fail(CDL_STATUS_USAGE, "%s wants a value: %s", base_option_shown(o->name).text,
                    o->placeholder);
  switch (o->kind) {
  case BASE_OPTION_INT:
  case BASE_OPTION_FLOAT:
    return parse_number(o, text, value);
  case BASE_OPTION_CHOICE:
  case BASE_OPTION_WORD:
    return parse_choice(o, text, value);
  case BASE_OPTION_LIST:
    return check_list(o, text);
  case BASE_OPTION_INTS:
    return check_ints(o, text);
  case BASE_OPTION_SECTION:
  case BASE_OPTION_STRING:
  case BASE_OPTION_STRINGS:
  case BASE_OPTION_PAIR:
  case BASE_OPTION_MAP:
  case BASE_OPTION_FLAG:
    break;
  }
  return CDL_STATUS_OK;
}

static cdl_status add_string(const base_option *o, base_strings *strings, const char *text)
{
  if (strings->count == BASE_STRINGS_MAX)
    return cdl_fail(CDL_STATUS_USAGE, "%s is given more than %d times",
                    base_option_shown(o->name).text, BASE_STRINGS_MAX);
  strings->item[strings->count++] = text;
  return CDL_STATUS_OK;
}

/* The first of two that is not there yet. */
static void add_to_pair(const char **pair, const char *text)
{
  pair[pair[0] != NULL] = text;
}

cdl_status base_option_store(const base_option *o, void *place, base_option_value value)
{
  switch (o->kind) {
  case BASE_OPTION_STRING:
  case BASE_OPTION_LIST:
  case BASE_OPTION_INTS:
  case BASE_OPTION_MAP:
  case BASE_OPTION_WORD:
    *(const char **)place = value.text;
    break;
  case BASE_OPTION_STRINGS:
    return add_string(o, place, value.text);
  case BASE_OPTION_PAIR:
    add_to_pair(place, value.text);
    break;
  case BASE_OPTION_CHOICE:
    *(int *)place = (int)value.integer;
    break;
  case BASE_OPTION_INT:
    *(int64_t *)place = value.integer;
    break;
  case BASE_OPTION_FLOAT:
    *(double *)place = value.number;
    break;
  case BASE_OPTION_FLAG:
    *(bool *)place = value.integer != 0;
    break;
  case BASE_OPTION_SECTION:
    break;
  }
  return CDL_STATUS_OK;
}

base_option_value base_option_load(const base_option *o, const void *place)
{
  base_option_value value = {0};
  switch (o->kind) {
  case BASE_OPTION_STRING:
  case BASE_OPTION_LIST:
  case BASE_OPTION_INTS:
  case BASE_OPTION_MAP:
  case BASE_OPTION_WORD:
    value.text = *(char *const *)place;
    return value;
  case BASE_OPTION_CHOICE:
    value.integer = *(const int *)place;
    break;
  case BASE_OPTION_INT:
    value.integer = *(const int64_t *)place;
    break;
  case BASE_OPTION_FLAG:
    value.integer = *(const bool *)place;
    break;
  case BASE_OPTION_FLOAT:
    value.number = *(const double *)place;
    return value;
  case BASE_OPTION_SECTION:
  case BASE_OPTION_STRINGS:
  case BASE_OPTION_PAIR:
    return value;
  }
  value.number = (double)value.integer;
  return value;
}

cdl_status base_option_set(const base_option *o, const char *text)
{
  base_option_value value;
  CDL_TRY(base_option_parse(o, text, &value));
  return base_option_store(o, o->target, value);
}

/* ---- To JSON ---- */

/* A number below what it may be. */
static bool is_unset(const base_option *o, double number)
{
  return number < 0 && o->low >= 0;
}

/* The text where it has but names and commas between them; an array where a name has one itself, or
 * quotes, so that nobody needs to know how these are written here. */
static json_t *list_json(const base_option *o, const char *text)
{
  base_list names;
  if (text == NULL)
    return json_null();
  const cdl_status status = o->is_other != NULL && o->is_other(text)
                                ? CDL_STATUS_USAGE
                                : base_list_split("", text, &names);
  if (status != CDL_STATUS_OK)
    return status == CDL_STATUS_MEMORY ? NULL : base_json_string_of(text);
  bool plain = true; /* as the text is then */
  json_t *array = json_array();
  for (size_t i = 0; i < names.count; i++) {
    plain = plain && !base_list_needs_quotes(names.item[i]);
    base_json_append(&array, json_string(names.item[i]));
  }
  base_list_release(&names);
  if (!plain)
    return array;
  json_decref(array);
  return base_json_string_of(text);
}

json_t *base_option_to_json(const base_option *o, base_option_value value)
{
  switch (o->kind) {
  case BASE_OPTION_LIST:
    return list_json(o, value.text);
  case BASE_OPTION_STRING:
  case BASE_OPTION_STRINGS:
  case BASE_OPTION_PAIR:
  case BASE_OPTION_INTS:
  case BASE_OPTION_MAP:
  case BASE_OPTION_WORD:
    return base_json_string_of(value.text);
  case BASE_OPTION_CHOICE: {
    const base_word word = base_word_at(o->placeholder, (int)value.number);
    return json_stringn(word.text, word.bytes);
  }
  case BASE_OPTION_INT:
    return is_unset(o, value.number) ? json_null() : json_integer((json_int_t)value.integer);
  case BASE_OPTION_FLOAT:
    return is_unset(o, value.number) ? json_null() : json_real(value.number);
  case BASE_OPTION_FLAG:
    return json_boolean(value.number != 0);
  case BASE_OPTION_SECTION:
    break;
  }
  return NULL;
}

/* ---- From JSON ---- */

static cdl_status no_memory(const char *path)
{
  return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

/* Whether an item may stand in the array of a LIST or INTS. */
static bool is_item(const base_option *o, const json_t *item)
{
  if (o->kind == BASE_OPTION_INTS)
    return json_is_integer(item);
  return json_is_string(item) || (o->number_items && json_is_number(item));
}

/* ["a", "b, c"] is a,"b, c" and [0, 2] is 0,2: each element is one name or number. */
static cdl_status join_items(const base_option *o, const char *path, const json_t *array,
                             char **joined)
{
  const size_t count = json_array_size(array);
  base_list items = {.item = calloc(count + 1, sizeof *items.item)};
  if (items.item == NULL)
    return no_memory(path);
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; status == CDL_STATUS_OK && i < count; i++) {
    const json_t *item = json_array_get(array, i);
    if (!is_item(o, item))
      status = cdl_fail(CDL_STATUS_USAGE, "%s: %s wants %s", path, o->name,
                        o->kind == BASE_OPTION_INTS ? "whole numbers"
                        : o->number_items           ? "numbers"
                                                    : "strings");
    else if ((items.item[i] = json_is_string(item) ? strdup(json_string_value(item))
                                                   : base_json_line(item)) == NULL)
      status = no_memory(path);
    else
      items.count++;
  }
  if (status == CDL_STATUS_OK &&
      (*joined = base_list_join((const char *const *)items.item, items.count)) == NULL)
    status = no_memory(path);
  base_list_release(&items);
  return status;
}

static bool takes_numbers(const base_option *o, const json_t *json)
{
  return json_is_integer(json) ? o->kind != BASE_OPTION_FLAG
                               : json_is_real(json) && o->kind == BASE_OPTION_FLOAT;
}

cdl_status base_option_from_json(const base_option *o, const char *path, const json_t *json,
                                 char **text)
{
  *text = NULL;
  if (json_is_null(json))
    return CDL_STATUS_OK;
  if (json_is_array(json) && (o->kind == BASE_OPTION_LIST || o->kind == BASE_OPTION_INTS))
    return join_items(o, path, json, text);
  if (json_is_string(json))
    *text = strdup(json_string_value(json));
  else if (takes_numbers(o, json) || (json_is_boolean(json) && o->kind == BASE_OPTION_FLAG) ||
           (json_is_object(json) && o->kind == BASE_OPTION_MAP))
    *text = base_json_line(json);
  else
    return cdl_fail(CDL_STATUS_USAGE, "%s: %s wants %s", path, o->name,
                    o->kind == BASE_OPTION_FLAG ? "true or false" : o->placeholder);
  return *text != NULL ? CDL_STATUS_OK : no_memory(path);
}

/* ---- What a table says ---- */

base_option_help base_option_help_of(const base_option *o, bool shows_default)
{
  base_option_help help;
  const size_t most = sizeof help.text;
  snprintf(help.text, most, "%s", o->help);
  if (!shows_default || o->kind == BASE_OPTION_FLAG || o->kind == BASE_OPTION_SECTION)
    return help;
  if (o->kind == BASE_OPTION_CHOICE) {
    const base_word word = base_word_at(o->placeholder, (int)o->default_value);
    snprintf(help.text, most, "%s [%.*s]", o->help, (int)word.bytes, word.text);
  } else if (o->kind == BASE_OPTION_INT || o->kind == BASE_OPTION_FLOAT) {
    if (!is_unset(o, o->default_value))
      snprintf(help.text, most, "%s [%g]", o->help, o->default_value);
  } else if (o->default_string != NULL)
    snprintf(help.text, most, "%s [%s]", o->help, o->default_string);
  return help;
}

json_t *base_options_describe(const base_options *options)
{
  static const char *const kinds[] = {
      [BASE_OPTION_SECTION] = "SECTION", [BASE_OPTION_STRING] = "STRING",
      [BASE_OPTION_STRINGS] = "STRINGS", [BASE_OPTION_PAIR] = "PAIR",
      [BASE_OPTION_LIST] = "LIST",       [BASE_OPTION_INTS] = "INTS",
      [BASE_OPTION_MAP] = "MAP",         [BASE_OPTION_WORD] = "CHOICE",
      [BASE_OPTION_CHOICE] = "CHOICE",   [BASE_OPTION_INT] = "INT",
      [BASE_OPTION_FLOAT] = "FLOAT",     [BASE_OPTION_FLAG] = "FLAG"};
  json_t *rows = json_array();
  for (size_t i = 0; i < options->count; i++) {
    const base_option *o = &options->item[i];
    json_t *row = json_object();
    base_json_set(&row, "kind", json_string(kinds[o->kind]));
    if (o->name != NULL)
      base_json_set(&row, "name", json_string(base_option_shown(o->name).text));
    base_json_set_text(&row, "placeholder", o->placeholder);
    base_json_set(&row, "help", json_string(base_option_help_of(o, options->shows_defaults).text));
    base_json_append(&rows, row);
  }
  return rows;
}
