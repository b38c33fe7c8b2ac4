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

/* Returns the name on the hub, which the caller frees: of "owner/name@revision", and of a snapshot
 * in Hugging Face's cache, ".../models--owner--name/snapshots/COMMIT". NULL if there is none. */
static char *hub_name_of(const char *base)
{
  static const char cached[] = "models--";
  const char *begin = base, *snapshots = strstr(base, "/snapshots/");
  size_t length = strcspn(base, "@");
  const bool there = base_file_exists(base);
  if (there && snapshots == NULL)
    return NULL;
  if (there) {
    for (begin = snapshots; begin > base && begin[-1] != '/'; begin--)
      ;
    if (strncmp(begin, cached, sizeof cached - 1) != 0)
      return NULL;
    begin += sizeof cached - 1;
    length = (size_t)(snapshots - begin);
  }
  char *name = strndup(begin, length), *dashes = there && name != NULL ? strstr(name, "--") : NULL;
  if (dashes != NULL) {
    *dashes = '/';
    memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
  }
  if (name == NULL || is_hub_name(name))
    return name;
  free(name);
  return NULL;
}

/* The hub's names of licences are short and plain. */
static char *plain_word(const char *text, size_t bytes)
{
  while (bytes > 0 && strchr(" \"'", text[0]) != NULL) {
    text++;
    bytes--;
  }
  while (bytes > 0 && strchr(" \"'\r", text[bytes - 1]) != NULL)
    bytes--;
  for (size_t i = 0; i < bytes; i++)
    if (!is_name_character(text[i]))
      return NULL;
  return bytes > 0 ? strndup(text, bytes) : NULL;
}

/* Returns the licence that the base's own card names, which the caller frees; NULL if none. */
static char *license_of(const char *folder)
{
  static const char key[] = "license:", fence[] = "---";
  char *path = base_path_join(folder, "README.md"), *license = NULL;
  base_mapping card;
  const bool there = path != NULL && base_file_exists(path);
  const cdl_status status = there ? base_file_map(path, &card) : CDL_STATUS_ABSENT;
  free(path);
  if (status != CDL_STATUS_OK)
    return NULL;
  const char *text = (const char *)card.data, *end = text + card.size;
  for (size_t line = 0; text < end && license == NULL; line++) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    const size_t bytes = (size_t)((newline != NULL ? newline : end) - text);
    const bool fenced = bytes >= sizeof fence - 1 && memcmp(text, fence, sizeof fence - 1) == 0;
    if (fenced != (line == 0))
      break;
    if (bytes >= sizeof key && memcmp(text, key, sizeof key - 1) == 0)
      license = plain_word(text + sizeof key - 1, bytes - (sizeof key - 1));
    text += bytes + (newline != NULL);
  }
  base_file_unmap(&card);
  return license;
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

char *export_card_head_text(const export_card_head *head)
{
  char *text = NULL;
  size_t bytes = 0;
  bool whole = true;
  FILE *to = open_memstream(&text, &bytes);
  if (to == NULL)
    return NULL;
  char *base = head->base != NULL ? hub_name_of(head->base) : NULL,
       *license = head->base != NULL ? license_of(head->base) : NULL;
  put_head(to, head, base, license, &whole);
  free(base);
  free(license);
  whole = fclose(to) == 0 && whole;
  if (whole)
    return text;
  free(text);
  return NULL;
}

cdl_status export_card_write(const char *folder, const export_card_head *head, const char *body)
{
  base_output *out = NULL;
  char *path = base_path_join(folder, "README.md"), *text = export_card_head_text(head);
  cdl_status status = path != NULL && text != NULL
                          ? base_output_begin(path, &out)
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
