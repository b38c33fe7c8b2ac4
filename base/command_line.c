#include "base/command_line.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/nearest.h"

enum { NAMES_MAX = 256 };

/* ---- Reading ---- */

/* An option, the table it is of, and whether it was given before. */
typedef struct {
  const base_options *table;
  const base_option *option;
  bool *seen;
} found_option;

/* A reading: `seen` has a place for each option of all tables. */
typedef struct {
  const base_command_line *line;
  char **arguments;
  int count, at;
  bool *seen;
} reading;

static size_t list_names(const base_options *table, base_option_name *shown, const char **names,
                         size_t count)
{
  for (size_t i = 0; i < table->count && count < NAMES_MAX - 1; i++)
    if (table->item[i].kind != BASE_OPTION_SECTION) {
      shown[count] = base_option_shown(table->item[i].name);
      names[count] = &shown[count].text[2];
      count++;
    }
  return count;
}

static cdl_status unknown_option(const base_command_line *line, const char *name)
{
  base_option_name shown[NAMES_MAX];
  const char *names[NAMES_MAX];
  size_t count = list_names(&line->options, shown, names, 0);
  count = list_names(&line->common, shown, names, count);
  count = list_names(&line->settings, shown, names, count);
  names[count++] = "help";
  return cdl_fail(CDL_STATUS_USAGE, "there is no option --%s; %s", name,
                  base_hint_for(name, names, count, "--").text);
}

static found_option find_option(const reading *r, const char *name)
{
  const base_options *tables[] = {&r->line->options, &r->line->settings, &r->line->common};
  bool *seen = r->seen;
  for (size_t t = 0; t < sizeof tables / sizeof tables[0] && strchr(name, '_') == NULL;
       seen += tables[t++]->count) {
    const base_option *o = base_option_find(tables[t]->item, tables[t]->count, name);
    if (o != NULL)
      return (found_option){tables[t], o, &seen[o - tables[t]->item]};
  }
  return (found_option){0};
}

static cdl_status set_option(const found_option *o, const char *value)
{
  if (value != NULL && value[0] == '\0')
    return cdl_fail(CDL_STATUS_USAGE, "%s wants a value, not an empty one",
                    base_option_shown(o->option->name).text);
  if (o->table->given != NULL)
    o->table->given[o->option - o->table->item] = true;
  return o->table->set != NULL ? o->table->set(o->table->values, o->option, value)
                               : base_option_set(o->option, value);
}

/* The values of an option, the next arguments; the first stands after '=' perhaps. */
static cdl_status set_values(reading *r, const found_option *o, const char *first)
{
  int wanted = o->option->kind == BASE_OPTION_PAIR ? 2 : 1;
  if (first != NULL) {
    CDL_TRY(set_option(o, first));
    wanted--;
  }
  for (; wanted > 0; wanted--) {
    if (r->at + 1 == r->count || strncmp(r->arguments[r->at + 1], "--", 2) == 0)
      return cdl_fail(CDL_STATUS_USAGE, "%s wants %s: %s", base_option_shown(o->option->name).text,
                      o->option->kind == BASE_OPTION_PAIR ? "two values" : "a value",
                      o->option->placeholder);
    CDL_TRY(set_option(o, r->arguments[++r->at]));
  }
  return CDL_STATUS_OK;
}

/* The option at arguments[at], and its values. */
static cdl_status read_option(reading *r)
{
  const char *argument = r->arguments[r->at] + 2, *equals = strchrnul(argument, '=');
  base_option_name name;
  snprintf(name.text, sizeof name.text, "%.*s", (int)(equals - argument), argument);
  const found_option o = find_option(r, name.text);
  if (o.option == NULL)
    return unknown_option(r->line, name.text);
  if (*o.seen && o.option->kind != BASE_OPTION_STRINGS)
    return cdl_fail(CDL_STATUS_USAGE, "--%s is given twice", name.text);
  *o.seen = true;
  const char *value = *equals != '\0' ? equals + 1 : NULL;
  return o.option->kind == BASE_OPTION_FLAG ? set_option(&o, value) : set_values(r, &o, value);
}

static cdl_status add_operand(const base_command_line *line, const char *argument)
{
  for (size_t i = 0; i < line->operands_most; i++)
    if (line->operands[i] == NULL) {
      line->operands[i] = argument;
      return CDL_STATUS_OK;
    }
  return cdl_fail(CDL_STATUS_USAGE, "unexpected argument '%s'; options begin with two dashes",
                  argument);
}

static cdl_status read_all(reading *r)
{
  bool options_over = false;
  for (; r->at < r->count; r->at++) {
    const char *argument = r->arguments[r->at];
    if (!options_over && strcmp(argument, "--") == 0)
      options_over = true;
    else if (!options_over && strncmp(argument, "--", 2) == 0)
      CDL_TRY(read_option(r));
    else if (!options_over && argument[0] == '-' && argument[1] != '\0')
      return cdl_fail(CDL_STATUS_USAGE, "there is no option %s; options begin with two dashes",
                      argument);
    else
      CDL_TRY(add_operand(r->line, argument));
  }
  return CDL_STATUS_OK;
}

cdl_status base_command_line_read(const base_command_line *line, int count, char **arguments)
{
  reading r = {.line = line,
               .arguments = arguments,
               .count = count,
               .seen = calloc(line->options.count + line->settings.count + line->common.count + 1,
                              sizeof *r.seen)};
  if (r.seen == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the command line");
  const cdl_status status = read_all(&r);
  free(r.seen);
  return status;
}

bool base_command_line_has(int count, char **arguments, const char *name)
{
  for (int i = 0; i < count && strcmp(arguments[i], "--") != 0; i++)
    if (strcmp(arguments[i], name) == 0)
      return true;
  return false;
}

/* ---- Help ---- */

enum { HELP_COLUMN = 29 };

/* `text` broken at spaces, from column `at` on, further lines at `indent`; a newline of the text's
 * own is kept. */
static void print_wrapped(FILE *to, const char *text, size_t at, size_t indent, size_t width)
{
  while (*text != '\0') {
    const size_t word = strcspn(text, " \n");
    if (at > indent && at + 1 + word > width) {
      fprintf(to, "\n%*s", (int)indent, "");
      at = indent;
    } else if (at > indent) {
      putc(' ', to);
      at++;
    }
    fwrite(text, 1, word, to);
    at += word;
    text += word;
    if (*text == '\n') {
      fprintf(to, "\n%*s", (int)indent, "");
      at = indent;
    }
    if (*text != '\0')
      text++;
  }
  putc('\n', to);
}

static void print_option(FILE *to, const char *name, const char *placeholder, const char *help,
                         size_t width)
{
  const int used = fprintf(to, "  %s%s%s", name, placeholder != NULL ? " " : "",
                           placeholder != NULL ? placeholder : "");
  if (used + 2 > HELP_COLUMN)
    fprintf(to, "\n%*s", HELP_COLUMN, "");
  else
    fprintf(to, "%*s", HELP_COLUMN - used, "");
  print_wrapped(to, help, HELP_COLUMN, HELP_COLUMN, width);
}

static void print_options(FILE *to, const base_options *table, size_t width)
{
  for (size_t i = 0; i < table->count; i++) {
    const base_option *o = &table->item[i];
    if (o->kind == BASE_OPTION_SECTION)
      fprintf(to, "\n%s\n", o->help);
    else
      print_option(to, base_option_shown(o->name).text, o->placeholder,
                   base_option_help_of(o, table->shows_defaults).text, width);
  }
}

static void print_words(FILE *to, const base_command_line *line, size_t width)
{
  enum { WORD_COLUMN = 15 };
  for (size_t i = 0; i < line->word_count; i++)
    if (line->words[i].help != NULL) {
      fprintf(to, "%s  %-*s", i == 0 ? "\n" : "", WORD_COLUMN - 2, line->words[i].word);
      print_wrapped(to, line->words[i].help, WORD_COLUMN, WORD_COLUMN, width);
    }
}

void base_command_line_help(const base_command_line *line, FILE *to, size_t width)
{
  fputs("usage: ", to);
  for (const char *usage = line->usage; usage != NULL;) {
    const char *end = strchrnul(usage, '\n');
    fprintf(to, "%.*s\n%s", (int)(end - usage), usage, *end != '\0' ? "       " : "");
    usage = *end != '\0' ? end + 1 : NULL;
  }
  putc('\n', to);
  print_wrapped(to, line->summary, 0, 0, width);
  print_words(to, line, width);
  print_options(to, &line->settings, width);
  if (line->options.count > 0 && line->options.item[0].kind != BASE_OPTION_SECTION)
    putc('\n', to);
  print_options(to, &line->options, width);
  print_options(to, &line->common, width);
  print_option(to, "--help", NULL, "this text", width);
  if (line->notes != NULL) {
    putc('\n', to);
    print_wrapped(to, line->notes, 0, 0, width);
  }
}

json_t *base_command_line_describe(const base_command_line *line)
{
  json_t *object = json_object();
  base_json_set_text(&object, "usage", line->usage);
  json_t *words = json_array();
  for (size_t i = 0; i < line->word_count; i++)
    base_json_append(&words, json_string(line->words[i].word));
  base_json_set(&object, "words", words);
  base_json_set(&object, "operands", json_integer((json_int_t)line->operands_most));
  json_t *rows = base_options_describe(&line->settings),
         *others[] = {base_options_describe(&line->options), base_options_describe(&line->common)};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    if (rows == NULL || json_array_extend(rows, others[i]) != 0) {
      json_decref(rows);
      rows = NULL;
    }
    json_decref(others[i]);
  }
  base_json_set(&object, "options", rows);
  return object;
}
