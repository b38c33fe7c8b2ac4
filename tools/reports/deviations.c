#include "tools/reports/deviations.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "model/files/config.h"

cdl_status report_describe_model(const report_source *source, report_described *d, bool *as_paper)
{
  enum { BASE_LAYERS = 12, BASE_WIDTH = 768 };
  model_config config;
  char *name = base_path_last(source->model), folder[128];
  if (name == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the model's name");
  base_make_visible(name, strlen(name), folder, sizeof folder);
  free(name);
  CDL_TRY(model_config_read(source->folder, &config));
  snprintf(d->text, sizeof d->text, "%.128s: %s, %" PRId64 " layers of width %" PRId64,
           report_document_foreign(folder).text, model_family_name(config.family), config.layers,
           config.hidden_size);
  *as_paper = config.family == MODEL_FAMILY_ROBERTA && config.layers == BASE_LAYERS &&
              config.hidden_size == BASE_WIDTH;
  model_config_release(&config);
  return CDL_STATUS_OK;
}

/* ---- Distinct values as text ---- */

static void value_text(const json_t *value, char *text, size_t size)
{
  if (json_is_string(value))
    base_make_visible(json_string_value(value), json_string_length(value), text, size);
  else if (json_is_number(value) && json_number_value(value) < 0)
    snprintf(text, size, "not set"); /* earlier versions wrote a negative number */
  else if (json_is_array(value)) {
    char list[512] = "";
    for (size_t i = 0; i < json_array_size(value); i++) {
      const size_t used = strlen(list);
      snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "",
               json_string_value(json_array_get(value, i)));
    }
    base_make_visible(list, strlen(list), text, size);
  } else if (json_is_integer(value))
    snprintf(text, size, "%" PRId64, (int64_t)json_integer_value(value));
  else if (json_is_real(value))
    snprintf(text, size, "%.6g", json_real_value(value));
  else
    snprintf(text, size, "%s",
             json_is_true(value)    ? "yes"
             : json_is_false(value) ? "no"
                                    : "not set");
}

/* Adds `text` to a comma-separated list if the list does not contain it. */
static void add_text(report_described *d, const char *text)
{
  const size_t length = strlen(text);
  for (const char *at = d->text; (at = strstr(at, text)) != NULL; at += length)
    if ((at == d->text || at[-1] == ' ') && (at[length] == '\0' || at[length] == ','))
      return;
  const size_t used = strlen(d->text);
  snprintf(d->text + used, sizeof d->text - used, "%s%s", used > 0 ? ", " : "", text);
}

static void add_value(report_described *d, const json_t *value)
{
  char text[128];
  value_text(value, text, sizeof text);
  add_text(d, report_document_foreign(text).text);
}

report_described report_setting_values(const report_comparison *c, const char *key)
{
  report_described d = {""};
  for (size_t i = 0; i < c->task_count * c->method_count * c->seed_count; i++) {
    const json_t *used = json_object_get(c->runs[i].used, key),
                 *set = json_object_get(c->runs[i].settings, key);
    if (used != NULL || set != NULL)
      add_value(&d, used != NULL && !json_is_null(used) ? used : set);
  }
  return d;
}

/* ---- Settings ---- */

static bool is_place(const char *key)
{
  return strcmp(key, "model") == 0 || strcmp(key, "data") == 0 || strcmp(key, "seed") == 0;
}

/* Returns the settings of a task and method with the first seed; those of other seeds differ in the
 * seed only. */
static const json_t *here(const report_comparison *c, size_t task, size_t method)
{
  return report_compared_run_at(c, task, method, 0)->settings;
}

/* Adds a row for `key` if any run's value differs from its recipe's. */
static void setting_row(const report_source *source, report_document *to, const char *key,
                        bool *begun)
{
  const report_comparison *c = source->comparison;
  report_described recipe = {""}, now = {""}, where = {""};
  size_t differing = 0;
  for (size_t t = 0; t < c->task_count; t++)
    for (size_t m = 0; m < c->method_count; m++) {
      const json_t *before = json_object_get(source->recipes[t * c->method_count + m], key),
                   *after = json_object_get(here(c, t, m), key);
      if (before == NULL || after == NULL || json_equal(before, after))
        continue;
      add_value(&recipe, before);
      add_value(&now, after);
      add_text(&where, c->methods[m]->name);
      differing++;
    }
  if (differing == 0)
    return;
  if (!*begun) {
    report_document_paragraph(to, "Settings in which runs differ from the recipes, which hold what "
                                  "the paper's scripts ran:");
    report_document_table_begin(to, 4);
    report_document_cell(to, "setting");
    report_document_cell(to, "recipes");
    report_document_cell(to, "here");
    report_document_cell(to, "methods");
  }
  *begun = true;
  report_document_cell(to, "`%s`", key);
  report_document_cell(to, "%s", recipe.text);
  report_document_cell(to, "%s", now.text);
  report_document_cell(to, "%s", differing == c->task_count * c->method_count ? "all" : where.text);
}

static bool is_in_one_before(const report_source *source, size_t recipe, const char *key)
{
  bool found = false;
  for (size_t i = 0; i < recipe && !found; i++)
    found = json_object_get(source->recipes[i], key) != NULL;
  return found;
}

static void setting_table(const report_source *source, report_document *to)
{
  const report_comparison *c = source->comparison;
  bool begun = false;
  for (size_t i = 0; i < c->task_count * c->method_count; i++) {
    const char *key;
    json_t *value;
    json_object_foreach(source->recipes[i], key, value)
    {
      if (!is_place(key) && !is_in_one_before(source, i, key))
        setting_row(source, to, key, &begun);
    }
  }
  if (begun)
    report_document_table_end(to);
  else
    report_document_paragraph(to,
                              "All settings are those of the recipes, which hold what the paper's "
                              "scripts ran.");
}

static void seed_items(const report_comparison *c, report_document *to)
{
  enum { PAPER_SEEDS = 3 };
  if (c->seed_count != PAPER_SEEDS)
    report_document_item(to, "Seeds: %zu; the paper has three.", c->seed_count);
  const json_t *settings = c->runs[0].settings;
  const json_t *data = json_object_get(settings, "seed_data"),
               *dropout = json_object_get(settings, "seed_dropout");
  if (json_is_integer(data) && json_is_integer(dropout))
    report_document_item(to,
                         "A run's seed is that of its initial values; as in the paper's code, the "
                         "order of the data and dropout have one seed in all runs: %" PRId64
                         " and %" PRId64 ".",
                         (int64_t)json_integer_value(data), (int64_t)json_integer_value(dropout));
}

cdl_status report_write_deviations(const report_source *source, report_document *to)
{
  const report_comparison *c = source->comparison;
  report_described model;
  bool as_paper;
  CDL_TRY(report_describe_model(source, &model, &as_paper));
  report_document_heading(to, "What is not as in the paper");
  report_document_item(to,
                       as_paper ? "Model: %s, which has RoBERTa-base's shape."
                                : "Model: %s; the paper's is RoBERTa-base, 12 layers of width 768.",
                       model.text);
  seed_items(c, to);
  for (size_t m = 0; m < c->method_count; m++)
    if (!c->methods[m]->has_recipe)
      report_document_item(to, "The paper has no settings for %s; those of %s are used.",
                           report_method_title(c->methods[m]).text,
                           strcmp(c->methods[m]->recipe, "lora") == 0 ? "LoRA" : "CondLoRA");
  setting_table(source, to);
  return CDL_STATUS_OK;
}
