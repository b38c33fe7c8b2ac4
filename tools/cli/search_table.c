#include "tools/cli/search_table.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/visible.h"
#include "tools/console/log.h"

enum { VALUE_BYTES = 64 };

/* Formats a value as "0.00123" or "reference". */
static void format_parameter(const json_t *value, char text[VALUE_BYTES])
{
  if (json_is_string(value))
    snprintf(text, VALUE_BYTES, "%s", json_string_value(value));
  else if (json_is_integer(value))
    snprintf(text, VALUE_BYTES, "%lld", (long long)json_integer_value(value));
  else if (json_is_number(value))
    snprintf(text, VALUE_BYTES, "%.4g", json_number_value(value));
  else
    snprintf(text, VALUE_BYTES, "-");
}

static json_t *trial_json(const study_search *s, const study_trial_end *end)
{
  json_t *fields = json_object();
  base_json_set_text(&fields, "event", "trial");
  base_json_set(&fields, "trial", json_integer((json_int_t)end->number));
  base_json_set_text(&fields, "state", end->state);
  if (strcmp(end->state, "complete") == 0)
    base_json_set(&fields, study_search_metric(s), base_json_number(end->value));
  base_json_set(&fields, "parameters", json_incref((json_t *)(uintptr_t)end->parameters));
  base_json_set_text(&fields, "message", end->note);
  return fields;
}

void cli_search_print_trial(FILE *to, const study_search *s, const study_trial_end *end)
{
  if (console_log_is_json()) {
    console_log_object(CONSOLE_LOG_INFO, trial_json(s, end));
    return;
  }
  fprintf(to, "trial %" PRId64 ": ", end->number);
  if (strcmp(end->state, "complete") == 0)
    fprintf(to, "%s %.4f", study_search_metric(s), end->value);
  else
    fputs(strcmp(end->state, "fail") == 0 ? "failed" : end->state, to);
  for (size_t i = 0; i < s->space.count; i++) {
    const char *field = s->space.item[i].setting->name;
    char text[VALUE_BYTES];
    format_parameter(json_object_get(end->parameters, field), text);
    fprintf(to, "%s%s %s", i == 0 ? " (" : ", ", field, text);
  }
  fprintf(to, ")%s%s\n", end->note != NULL ? ": " : "", end->note != NULL ? end->note : "");
}

/* ---- The table ---- */

/* Formats a cell. Column 0 is the trial's number, 1 its state, 2 its value; the searched settings
 * follow. */
static void format_cell(const study_search *s, const json_t *trial, size_t column,
                        char text[VALUE_BYTES])
{
  const json_t *value = json_object_get(trial, "value");
  if (column == 0)
    snprintf(text, VALUE_BYTES, "%lld",
             (long long)json_integer_value(json_object_get(trial, "number")));
  else if (column == 1)
    snprintf(text, VALUE_BYTES, "%s", json_string_value(json_object_get(trial, "state")));
  else if (column == 2 && json_is_number(value))
    snprintf(text, VALUE_BYTES, "%.4f", json_number_value(value));
  else if (column == 2)
    snprintf(text, VALUE_BYTES, "-");
  else
    format_parameter(json_object_get(json_object_get(trial, "parameters"),
                                     s->space.item[column - 3].setting->name),
                     text);
}

static void format_head(const study_search *s, size_t column, char text[VALUE_BYTES])
{
  static const char *const first[] = {"trial", "state"};
  snprintf(text, VALUE_BYTES, "%s",
           column < 2    ? first[column]
           : column == 2 ? study_search_metric(s)
                         : s->space.item[column - 3].setting->name);
}

void cli_search_print_table(const study_search *s, const json_t *trials)
{
  const json_t *best = study_search_best(s, trials);
  const size_t columns = 3 + s->space.count;
  size_t width[3 + TRAIN_SETTINGS_MAX] = {0};
  char text[VALUE_BYTES];
  for (size_t c = 0; c < columns; c++) {
    format_head(s, c, text);
    width[c] = strlen(text);
    for (size_t i = 0; i < json_array_size(trials); i++) {
      format_cell(s, json_array_get(trials, i), c, text);
      width[c] = strlen(text) > width[c] ? strlen(text) : width[c];
    }
  }
  for (size_t i = 0; i <= json_array_size(trials); i++) {
    const json_t *trial = i > 0 ? json_array_get(trials, i - 1) : NULL;
    for (size_t c = 0; c < columns; c++) {
      if (trial == NULL)
        format_head(s, c, text);
      else
        format_cell(s, trial, c, text);
      printf(c == 1 ? "%s%-*s" : "%s%*s", c > 0 ? "  " : "", (int)width[c], text);
    }
    puts(trial != NULL && trial == best ? "  best" : "");
  }
}

void cli_search_print_best(const study_search *s, const json_t *trials)
{
  const json_t *best = study_search_best(s, trials);
  printf("\ntrial %lld is the best, %s %.4f: condlora train --config %s/best.json --output DIR\n",
         (long long)json_integer_value(json_object_get(best, "number")), study_search_metric(s),
         json_number_value(json_object_get(best, "value")), base_visible(s->settings.output).text);
}
