#include "tools/cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/number.h"
#include "tools/cli/terminal.h"

enum { NAME_BYTES = 64, NAMES_MAX = TRAIN_SETTINGS_MAX + 64, MOST_THREADS = 4096 };

/* ---- Names ---- */

typedef struct {
  char text[NAME_BYTES];
} option_name;

/* "batch_size" as it is typed: "batch-size". */
static option_name dashed(const char *field)
{
  option_name name;
  snprintf(name.text, sizeof name.text, "%s", field);
  for (char *c = name.text; *c != '\0'; c++)
    if (*c == '_')
      *c = '-';
  return name;
}

static cdl_status unknown_option(const cli_grammar *g, const char *name)
{
  option_name spelled[NAMES_MAX];
  const char *names[NAMES_MAX];
  size_t count = 0, listed = 0;
  for (size_t i = 0; i < g->option_count && count < NAMES_MAX - 1; i++)
    if (g->options[i].kind != CLI_GROUP)
      names[count++] = g->options[i].name;
  const train_setting *list = g->settings != NULL ? train_setting_list(&listed) : NULL;
  for (size_t i = 0; i < listed && count < NAMES_MAX - 1; i++)
    if (list[i].kind != TRAIN_KIND_GROUP) {
      spelled[count] = dashed(list[i].field);
      names[count] = spelled[count].text;
      count++;
    }
  names[count++] = "help";
  return cdl_fail(CDL_STATUS_USAGE, "there is no option --%s; %s", name,
                  base_hint_for(name, names, count, "--").text);
}

/* ---- Reading ---- */

static cdl_status read_whole(const char *name, const char *value, int64_t *number)
{
  char *end;
  errno = 0;
  const long long read = strtoll(value, &end, 10);
  if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno != 0)
    return cdl_fail(CDL_STATUS_USAGE, "--%s wants a whole number from 0, not '%s'", name, value);
  *number = read;
  return CDL_STATUS_OK;
}

static cdl_status set_option(const cli_option *o, const char *value)
{
  switch (o->kind) {
  case CLI_TEXT:
    if (strchr(o->placeholder, '|') != NULL && !base_is_listed(o->placeholder, value))
      return cdl_fail(CDL_STATUS_USAGE, "--%s is one of %s, not '%s'", o->name, o->placeholder,
                      value);
    *(const char **)o->target = value;
    return CDL_STATUS_OK;
  case CLI_TEXTS: {
    cli_texts *texts = o->target;
    if (texts->count == CLI_TEXTS_MAX)
      return cdl_fail(CDL_STATUS_USAGE, "--%s is given more than %d times", o->name, CLI_TEXTS_MAX);
    texts->item[texts->count++] = value;
    return CDL_STATUS_OK;
  }
  case CLI_WHOLE:
    return read_whole(o->name, value, o->target);
  case CLI_THREADS: {
    int64_t number = 0;
    CDL_TRY(read_whole(o->name, value, &number));
    if (number > MOST_THREADS)
      return cdl_fail(CDL_STATUS_USAGE, "--%s is at most %d, not %s", o->name, MOST_THREADS, value);
    *(int *)o->target = (int)number;
    return CDL_STATUS_OK;
  }
  case CLI_REAL:
    if (!base_number_parse(value, strlen(value), o->target))
      return cdl_fail(CDL_STATUS_USAGE, "--%s wants a number, not '%s'", o->name, value);
    return CDL_STATUS_OK;
  case CLI_FLAG:
    if (value != NULL && !base_is_listed("true|false", value))
      return cdl_fail(CDL_STATUS_USAGE, "--%s is true or false, not '%s'", o->name, value);
    *(bool *)o->target = value == NULL || strcmp(value, "true") == 0;
    return CDL_STATUS_OK;
  case CLI_GROUP:
    break;
  }
  return cdl_fail(CDL_STATUS_ARGUMENT, "a group is no option");
}

/* The option of a name: one of the command's own, or a setting. */
typedef struct {
  const cli_option *own;
  const train_setting *setting;
  bool *seen;
} found_option;

static found_option find_option(const cli_grammar *g, const char *name, bool *own_seen)
{
  for (size_t i = 0; i < g->option_count; i++)
    if (g->options[i].kind != CLI_GROUP && strcmp(g->options[i].name, name) == 0)
      return (found_option){.own = &g->options[i], .seen = &own_seen[i]};
  if (g->settings != NULL && strchr(name, '_') == NULL) {
    size_t count;
    const train_setting *list = train_setting_list(&count), *setting = train_setting_find(name);
    if (setting != NULL)
      return (found_option){.setting = setting, .seen = &g->given[setting - list]};
  }
  return (found_option){0};
}

/* Reads the option at arguments[*at] and its value, perhaps the next argument. */
static cdl_status read_option(const cli_grammar *g, int count, char **arguments, int *at,
                              bool *own_seen)
{
  const char *argument = arguments[*at] + 2, *equals = strchr(argument, '=');
  char name[NAME_BYTES];
  snprintf(name, sizeof name, "%.*s",
           equals != NULL ? (int)(equals - argument) : (int)strlen(argument), argument);
  const found_option o = find_option(g, name, own_seen);
  if (o.seen == NULL)
    return unknown_option(g, name);
  if (*o.seen && (o.own == NULL || o.own->kind != CLI_TEXTS))
    return cdl_fail(CDL_STATUS_USAGE, "--%s is given twice", name);
  *o.seen = true;

  const bool flag = o.own != NULL ? o.own->kind == CLI_FLAG : o.setting->kind == TRAIN_KIND_FLAG;
  const char *value = equals != NULL ? equals + 1 : NULL;
  if (value == NULL && !flag) {
    if (*at + 1 == count || strncmp(arguments[*at + 1], "--", 2) == 0)
      return cdl_fail(CDL_STATUS_USAGE, "--%s wants a value: %s", name,
                      o.own != NULL ? o.own->placeholder : o.setting->placeholder);
    value = arguments[++*at];
  }
  if (!flag && value[0] == '\0')
    return cdl_fail(CDL_STATUS_USAGE, "--%s wants a value, not an empty one", name);
  return o.own != NULL ? set_option(o.own, value)
                       : train_settings_set(g->settings, o.setting, value);
}

static void print_help(const cli_grammar *grammar);

static bool asks_for_help(int count, char **arguments)
{
  for (int i = 0; i < count && strcmp(arguments[i], "--") != 0; i++)
    if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0)
      return true;
  return false;
}

cdl_status cli_options_read(const cli_grammar *g, int count, char **arguments, bool *helped)
{
  bool own_seen[NAMES_MAX] = {false}, options_over = false;
  *helped = asks_for_help(count, arguments);
  if (*helped) {
    print_help(g);
    return CDL_STATUS_OK;
  }
  for (int i = 0; i < count; i++) {
    const char *argument = arguments[i];
    if (!options_over && strcmp(argument, "--") == 0)
      options_over = true;
    else if (!options_over && strncmp(argument, "--", 2) == 0)
      CDL_TRY(read_option(g, count, arguments, &i, own_seen));
    else if (!options_over && argument[0] == '-' && argument[1] != '\0')
      return cdl_fail(CDL_STATUS_USAGE, "there is no option %s; options begin with two dashes",
                      argument);
    else if (g->operand == NULL || *g->operand != NULL)
      return cdl_fail(CDL_STATUS_USAGE, "unexpected argument '%s'; options begin with two dashes",
                      argument);
    else
      *g->operand = argument;
  }
  return CDL_STATUS_OK;
}

/* ---- Help ---- */

enum { HELP_COLUMN = 29, HELP_WIDTH_MAX = 100, HELP_WIDTH_MIN = 60 };

/* `text` broken at spaces, from column `at` on, further lines at `indent`; a newline of the text's
 * own is kept. */
static void print_wrapped(const char *text, size_t at, size_t indent, size_t width)
{
  while (*text != '\0') {
    const size_t word = strcspn(text, " \n");
    if (at > indent && at + 1 + word > width) {
      printf("\n%*s", (int)indent, "");
      at = indent;
    } else if (at > indent) {
      putchar(' ');
      at++;
    }
    fwrite(text, 1, word, stdout);
    at += word;
    text += word;
    if (*text == '\n') {
      printf("\n%*s", (int)indent, "");
      at = indent;
    }
    if (*text != '\0')
      text++;
  }
  putchar('\n');
}

static void print_option(const char *name, const char *placeholder, const char *help, size_t width)
{
  const int used = printf("  --%s%s%s", name, placeholder != NULL ? " " : "",
                          placeholder != NULL ? placeholder : "");
  if (used + 2 > HELP_COLUMN)
    printf("\n%*s", HELP_COLUMN, "");
  else
    printf("%*s", HELP_COLUMN - used, "");
  print_wrapped(help, HELP_COLUMN, HELP_COLUMN, width);
}

/* Of the method's own list. */
static void print_method_option(const train_setting *setting, size_t width)
{
  const adapter_option *o = setting->option;
  char text[512];
  if (o->kind == ADAPTER_OPTION_FLAG)
    snprintf(text, sizeof text, "%s", setting->help);
  else if (o->kind == ADAPTER_OPTION_CHOICE) {
    const adapter_word word = adapter_choice_text(o, (int)o->fallback);
    snprintf(text, sizeof text, "%s [%.*s]", setting->help, (int)word.bytes, word.text);
  } else
    snprintf(text, sizeof text, "%s [%g]", setting->help, o->fallback);
  print_option(dashed(setting->field).text, setting->placeholder, text, width);
}

/* "help [default]": flags, and what is not set, have none worth showing. */
static void print_setting(const train_setting *setting, const json_t *defaults, size_t width)
{
  if (setting->option != NULL) {
    print_method_option(setting, width);
    return;
  }
  const json_t *value = json_object_get(defaults, setting->field);
  char text[512] = "";
  if (json_is_string(value))
    snprintf(text, sizeof text, "%s [%s]", setting->help, json_string_value(value));
  else if (json_is_number(value))
    snprintf(text, sizeof text, "%s [%g]", setting->help, json_number_value(value));
  print_option(dashed(setting->field).text, setting->placeholder,
               text[0] != '\0' ? text : setting->help, width);
}

static void print_settings(size_t width)
{
  train_settings initial;
  json_t *defaults =
      train_settings_init(&initial) == CDL_STATUS_OK ? train_settings_json(&initial, false) : NULL;
  size_t count;
  const train_setting *list = train_setting_list(&count);
  for (size_t i = 0; i < count; i++)
    if (list[i].kind == TRAIN_KIND_GROUP)
      printf("\n%s\n", list[i].help);
    else
      print_setting(&list[i], defaults, width);
  json_decref(defaults);
  train_settings_release(&initial);
}

static void print_help(const cli_grammar *g)
{
  const size_t columns = cli_terminal_columns(stdout);
  const size_t width = columns == 0 || columns > HELP_WIDTH_MAX ? HELP_WIDTH_MAX
                       : columns < HELP_WIDTH_MIN               ? HELP_WIDTH_MIN
                                                                : columns;
  printf("usage: ");
  for (const char *line = g->usage; line != NULL;) {
    const char *end = strchrnul(line, '\n');
    printf("%.*s\n%s", (int)(end - line), line, *end != '\0' ? "       " : "");
    line = *end != '\0' ? end + 1 : NULL;
  }
  putchar('\n');
  print_wrapped(g->summary, 0, 0, width);
  if (g->settings != NULL)
    print_settings(width);
  if (g->option_count > 0 && g->options[0].kind != CLI_GROUP)
    putchar('\n');
  for (size_t i = 0; i < g->option_count; i++)
    if (g->options[i].kind == CLI_GROUP)
      printf("\n%s\n", g->options[i].help);
    else
      print_option(g->options[i].name, g->options[i].placeholder, g->options[i].help, width);
  print_option("help", NULL, "this text", width);
  if (g->notes != NULL) {
    putchar('\n');
    print_wrapped(g->notes, 0, 0, width);
  }
}
