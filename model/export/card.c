#include "model/export/card.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"

/* ---- The base ---- */

static bool is_name_character(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

/* Whether a text is "name" or "owner/name". */
static bool is_hub_name(const char *text)
{
  size_t slashes = 0;
  for (const char *c = text; *c != '\0'; c++) {
    const bool slash = *c == '/';
    if ((!slash && !is_name_character(*c)) || (slash && (c == text || c[1] == '\0')))
      return false;
    slashes += slash;
  }
  return text[0] != '\0' && text[0] != '.' && slashes <= 1;
}

/* Gives the part of a path in Hugging Face's cache that names the model: "owner--name" of
 * ".../models--owner--name/snapshots/COMMIT". NULL for another path. */
static const char *cached_name(const char *path, size_t *length)
{
  static const char cached[] = "models--";
  const char *end = strstr(path, "/snapshots/"), *begin = end;
  while (begin != NULL && begin > path && begin[-1] != '/')
    begin--;
  if (begin == NULL || strncmp(begin, cached, sizeof cached - 1) != 0)
    return NULL;
  begin += sizeof cached - 1;
  *length = (size_t)(end - begin);
  return begin;
}

/* Gives the name on the hub, which the caller frees: of "owner/name@revision", and of a snapshot in
 * the cache. NULL if there is none. Errors: IO, MEMORY. */
static cdl_status find_name(const char *base, char **name)
{
  bool there;
  size_t length = strcspn(base, "@");
  *name = NULL;
  CDL_TRY(base_file_find(base, &there));
  const char *begin = there ? cached_name(base, &length) : base;
  if (begin == NULL)
    return CDL_STATUS_OK;
  char *copy = strndup(begin, length), *dashes = there && copy != NULL ? strstr(copy, "--") : NULL;
  if (copy == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", base);
  if (dashes != NULL) {
    *dashes = '/';
    memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
  }
  if (is_hub_name(copy))
    *name = copy;
  else
    free(copy);
  return CDL_STATUS_OK;
}

/* The hub's names of licences are short and plain; anything else is none. */
static const char *plain_word(const char *text, size_t *bytes)
{
  while (*bytes > 0 && strchr(" \"'", text[0]) != NULL) {
    text++;
    (*bytes)--;
  }
  while (*bytes > 0 && strchr(" \"'\r", text[*bytes - 1]) != NULL)
    (*bytes)--;
  for (size_t i = 0; i < *bytes; i++)
    if (!is_name_character(text[i]))
      return NULL;
  return *bytes > 0 ? text : NULL;
}

/* Finds the licence in the metadata of a card. */
static const char *find_in_card(const char *text, const char *end, size_t *length)
{
  static const char key[] = "license:", fence[] = "---";
  for (size_t line = 0; text < end; line++) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    const size_t bytes = (size_t)((newline != NULL ? newline : end) - text);
    const bool fenced = bytes >= sizeof fence - 1 && memcmp(text, fence, sizeof fence - 1) == 0;
    if (fenced != (line == 0))
      return NULL;
    if (bytes >= sizeof key && memcmp(text, key, sizeof key - 1) == 0) {
      *length = bytes - (sizeof key - 1);
      return plain_word(text + sizeof key - 1, length);
    }
    text += bytes + (newline != NULL);
  }
  return NULL;
}

static cdl_status read_license(const char *path, char **license)
{
  base_mapping card;
  bool there;
  CDL_TRY(base_file_find(path, &there));
  if (!there)
    return CDL_STATUS_OK;
  CDL_TRY(base_file_map(path, &card));
  const char *text = (const char *)card.data;
  size_t length;
  const char *word = find_in_card(text, text + card.size, &length);
  if (word != NULL)
    *license = strndup(word, length);
  base_file_unmap(&card);
  return word == NULL || *license != NULL ? CDL_STATUS_OK
                                          : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

/* Gives the licence that the base's own card names, which the caller frees; NULL if none. Errors:
 * those of files. */
static cdl_status find_license(const char *folder, char **license)
{
  char *path = base_path_join(folder, "README.md");
  *license = NULL;
  const cdl_status status = path != NULL ? read_license(path, license)
                                         : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  free(path);
  return status;
}

/* ---- The head ---- */

/* A string of JSON is one of YAML too, whatever is in it. */
static void put_quoted(FILE *to, const char *before, const char *text, bool *whole)
{
  char *joined = NULL, *quoted = NULL;
  if (asprintf(&joined, "%s%s", before, text) >= 0) {
    json_t *string = base_json_string_of(joined);
    quoted = base_json_line(string);
    json_decref(string);
    free(joined);
  }
  *whole = *whole && quoted != NULL;
  fprintf(to, "%s\n", quoted != NULL ? quoted : "");
  free(quoted);
}

/* Metrics as the hub's library `evaluate` calls them. */
static const struct {
  const char *metric, *type, *name;
} metrics[] = {{"accuracy", "accuracy", "Accuracy"},
               {"f1", "f1", "F1"},
               {"macro_f1", "f1", "Macro F1"},
               {"micro_f1", "f1", "Micro F1"},
               {"mcc", "matthews_correlation", "Matthews correlation"},
               {"pearson", "pearsonr", "Pearson correlation"},
               {"spearman", "spearmanr", "Spearman correlation"},
               {"mae", "mae", "Mean absolute error"},
               {"r2", "r_squared", "R squared"}};
enum { METRICS = sizeof metrics / sizeof metrics[0] };

static size_t metric_row(const char *metric)
{
  size_t row = 0;
  while (row < METRICS && strcmp(metrics[row].metric, metric) != 0)
    row++;
  return row;
}

static const char *type_of(const char *metric)
{
  const size_t row = metric_row(metric);
  return row < METRICS ? metrics[row].type : metric;
}

static const char *name_of(const char *metric)
{
  const size_t row = metric_row(metric);
  return row < METRICS ? metrics[row].name : metric;
}

static void put_metrics(FILE *to, const export_card_head *h)
{
  fprintf(to, "metrics:\n");
  for (size_t i = 0; i < h->score_count; i++) {
    bool listed = strcmp(h->scores[i].metric, "loss") == 0;
    for (size_t k = 0; k < i; k++)
      listed = listed || strcmp(type_of(h->scores[k].metric), type_of(h->scores[i].metric)) == 0;
    if (!listed)
      fprintf(to, "- %s\n", type_of(h->scores[i].metric));
  }
}

static void put_results(FILE *to, const export_card_head *h, bool *whole)
{
  fprintf(to, "model-index:\n- name: ");
  put_quoted(to, "", h->name, whole);
  fprintf(to, "  results:\n  - task:\n      type: text-classification\n"
              "      name: Text Classification\n    dataset:\n      name: ");
  put_quoted(to, "", h->dataset, whole);
  fprintf(to, "      type: %s\n", h->dataset_type);
  if (h->dataset_config != NULL)
    fprintf(to, "      config: %s\n", h->dataset_config);
  fprintf(to, "      split: %s\n    metrics:\n", h->split);
  for (size_t i = 0; i < h->score_count; i++) {
    char number[BASE_JSON_REAL_BYTES];
    base_json_real_text(number, h->scores[i].value);
    fprintf(to, "    - type: %s\n      name: %s\n      value: %s\n", type_of(h->scores[i].metric),
            name_of(h->scores[i].metric), number);
  }
}

/* `base` and `license` may be NULL. */
static void put_head(FILE *to, const export_card_head *h, const char *base, const char *license,
                     bool *whole)
{
  fprintf(to, "---\n");
  if (base != NULL) {
    fprintf(to, "base_model: ");
    put_quoted(to, "", base, whole);
  }
  fprintf(to, "library_name: %s\n", h->library);
  if (license != NULL)
    fprintf(to, "license: %s\n", license);
  fprintf(to, "pipeline_tag: text-classification\ntags:\n");
  if (base != NULL) {
    char before[64];
    snprintf(before, sizeof before, "base_model:%s:", h->relation);
    fprintf(to, "- ");
    put_quoted(to, before, base, whole);
  }
  for (size_t i = 0; i < EXPORT_CARD_TAGS && h->tags[i] != NULL; i++)
    fprintf(to, "- %s\n", h->tags[i]);
  if (h->name != NULL && h->score_count > 0) {
    put_metrics(to, h);
    put_results(to, h, whole);
  }
  fprintf(to, "---\n\n");
}

static cdl_status make_text(const export_card_head *head, const char *base, const char *license,
                            char **text)
{
  size_t bytes = 0;
  bool whole = true;
  FILE *to = open_memstream(text, &bytes);
  if (to != NULL) {
    put_head(to, head, base, license, &whole);
    whole = ferror(to) == 0 && whole;
    whole = fclose(to) == 0 && *text != NULL && whole;
  }
  if (to != NULL && whole)
    return CDL_STATUS_OK;
  free(*text);
  *text = NULL;
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: README.md");
}

cdl_status export_card_head_make(const export_card_head *head, char **text)
{
  char *base = NULL, *license = NULL;
  cdl_status status = CDL_STATUS_OK;
  *text = NULL;
  if (head->base != NULL)
    status = find_name(head->base, &base);
  if (status == CDL_STATUS_OK && head->base != NULL)
    status = find_license(head->base, &license);
  if (status == CDL_STATUS_OK)
    status = make_text(head, base, license, text);
  free(base);
  free(license);
  return status;
}

cdl_status export_card_write(const char *folder, const export_card_head *head, const char *body)
{
  base_output *out = NULL;
  char *text;
  CDL_TRY(export_card_head_make(head, &text));
  char *path = base_path_join(folder, "README.md");
  cdl_status status = path != NULL ? base_output_begin(path, &out)
                                   : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  if (status == CDL_STATUS_OK) {
    base_output_write(out, text, strlen(text));
    base_output_write(out, body, strlen(body));
    status = base_output_commit(out);
  }
  free(path);
  free(text);
  return status;
}
