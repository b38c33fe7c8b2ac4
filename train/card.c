#include "train/card.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/nearest.h"
#include "base/path.h"
#include "model/export/card.h"

enum { SCORES = CDL_METRIC_COUNT, NAME_BYTES = 300, LABELS_SHOWN = 100 };

/* ---- The head ---- */

/* What the head borrows from. */
typedef struct {
  char name[NAME_BYTES], dataset[NAME_BYTES], config[32];
  export_card_score scores[SCORES];
} head_texts;

/* Tells the name of the data: the task's, or that of the file of examples. */
static cdl_status describe_data(const train_session *session, const train_settings *s, bool on_dev,
                                export_card_head *head, head_texts *texts)
{
  const char *held_out = on_dev ? "" : ", held out of train";
  if (session->task != NULL) {
    size_t used = 0;
    snprintf(texts->dataset, NAME_BYTES, "GLUE %s%s", session->task->name, held_out);
    snprintf(texts->name, NAME_BYTES, "%s-%s", train_method_name(s), session->task->name);
    for (const char *c = session->task->name; *c != '\0' && used + 1 < sizeof texts->config; c++)
      if (isalnum((unsigned char)*c))
        texts->config[used++] = (char)tolower((unsigned char)*c);
    texts->config[used] = '\0';
    head->dataset_type = "nyu-mll/glue";
    head->dataset_config = texts->config;
    return CDL_STATUS_OK;
  }
  char *file = base_path_last(on_dev ? s->dev : s->train);
  if (file == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: README.md");
  const char *ending = strrchr(file, '.');
  const bool json =
      ending != NULL && (strcasecmp(ending, ".jsonl") == 0 || strcasecmp(ending, ".ndjson") == 0);
  snprintf(texts->dataset, NAME_BYTES, "%.200s%s", file, held_out);
  snprintf(texts->name, NAME_BYTES, "%s-%.*s", train_method_name(s),
           (int)(ending != NULL ? ending - file : (ptrdiff_t)strlen(file)), file);
  head->dataset_type = json ? "json" : "csv"; /* names of the loaders that read it on the hub */
  free(file);
  return CDL_STATUS_OK;
}

static bool has_metric(const train_session *session, cdl_metric metric)
{
  return cdl_metric_applies(metric, session->model.problem, (size_t)session->model.labels);
}

static size_t list_scores(const train_session *session, const train_result *result,
                          export_card_score scores[SCORES])
{
  size_t count = 0;
  for (int m = 0; m < CDL_METRIC_COUNT; m++)
    if (has_metric(session, (cdl_metric)m) && isfinite(result->scores.value[m]))
      scores[count++] =
          (export_card_score){cdl_metric_name((cdl_metric)m), result->scores.value[m]};
  return count;
}

static cdl_status make_head(const train_session *session, const train_settings *s,
                            const train_summary *summary, export_card_head *head, head_texts *texts)
{
  static const char *const of_peft[] = {"lora", "adalora", "vera"};
  const char *method = train_method_name(s);
  const bool whole = adapter_is_whole_model(method),
             peft = base_is_one_of(method, of_peft, sizeof of_peft / sizeof of_peft[0]);
  *head = (export_card_head){.base = session->model.adapter_config.base_model,
                             .relation = whole ? "finetune" : "adapter",
                             .library = whole  ? "transformers"
                                        : peft ? "peft"
                                               : "condlora",
                             .tags = {whole ? "text-classification" : method,
                                      strcmp(method, "condlora") != 0 ? "condlora" : NULL}};
  if (!summary->has_dev && !summary->has_valid)
    return CDL_STATUS_OK;
  head->name = texts->name;
  head->dataset = texts->dataset;
  head->split = summary->has_dev ? "validation" : "train";
  head->scores = texts->scores;
  head->score_count =
      list_scores(session, summary->has_dev ? &summary->dev : &summary->valid, texts->scores);
  return describe_data(session, s, summary->has_dev, head, texts);
}

/* ---- The body ---- */

static void put_results(FILE *to, const train_session *session, const train_settings *s,
                        const train_summary *summary)
{
  const train_result *results[2];
  const char *names[2];
  size_t splits = 0;
  if (summary->has_valid) {
    results[splits] = &summary->valid;
    names[splits++] = "valid";
  }
  if (summary->has_dev) {
    results[splits] = &summary->dev;
    names[splits++] = "dev";
  }
  if (splits == 0)
    return;
  fprintf(to,
          splits > 1 ? "## Results\n\n| | %s | %s |\n|---|---:|---:|\n"
                     : "## Results\n\n| | %s |\n|---|---:|\n",
          names[0], splits > 1 ? names[1] : "");
  fprintf(to, "| examples |");
  for (size_t i = 0; i < splits; i++)
    fprintf(to, " %zu |", results[i]->examples);
  fputc('\n', to);
  for (int m = 0; m < CDL_METRIC_COUNT; m++) {
    if (!has_metric(session, (cdl_metric)m))
      continue;
    fprintf(to, "| %s |", cdl_metric_name((cdl_metric)m));
    for (size_t i = 0; i < splits; i++) {
      const double value = results[i]->scores.value[m];
      if (isfinite(value))
        fprintf(to, " %.4f |", value);
      else
        fprintf(to, " |");
    }
    fputc('\n', to);
  }
  fprintf(to, "\nThey are those of step %" PRId64 " of %" PRId64 ", %s.\n\n", summary->best_step,
          summary->steps,
          s->keep == TRAIN_KEEP_BEST ? "the best evaluation" : "the last evaluation");
  if (summary->has_valid)
    fprintf(to, "`valid` was held out of the training examples.\n\n");
}

/* Prints text that nothing reads as markup: a line of an indented block. Returns false if memory is
 * out. */
static bool put_line(FILE *to, const char *key, const json_t *value)
{
  char *text = base_json_line(value);
  const bool whole = text != NULL;
  if (whole)
    fprintf(to, "    %s: %s\n", key, text);
  free(text);
  return whole;
}

static bool put_labels(FILE *to, const train_session *session)
{
  const int shown = session->model.labels < LABELS_SHOWN ? session->model.labels : LABELS_SHOWN;
  if (session->model.label_names == NULL)
    return true;
  fprintf(to, "## Labels\n\n");
  for (int i = 0; i < shown; i++) {
    char id[16];
    json_t *name = base_json_string_of(session->model.label_names[i]);
    snprintf(id, sizeof id, "%d", i);
    const bool whole = put_line(to, id, name);
    json_decref(name);
    if (!whole)
      return false;
  }
  if (shown < session->model.labels)
    fprintf(to, "\nand %d more.\n", session->model.labels - shown);
  fputc('\n', to);
  return true;
}

/* Paths say nothing to others. */
static bool put_settings(FILE *to, const train_settings *s)
{
  static const char *const paths[] = {"model", "data", "train", "dev", "init_adapter"};
  json_t *settings = train_settings_json(s, true), *value;
  const char *key;
  if (settings == NULL)
    return false;
  bool whole = true;
  fprintf(to, "## Settings\n\n");
  json_object_foreach(settings, key, value)
  {
    if (!json_is_null(value) && !base_is_one_of(key, paths, sizeof paths / sizeof paths[0]))
      whole = put_line(to, key, value) && whole;
  }
  fputc('\n', to);
  json_decref(settings);
  return whole;
}

static void put_use(FILE *to, const train_settings *s)
{
  if (adapter_is_whole_model(train_method_name(s))) {
    fprintf(to, "## Use\n\n    condlora predict --model FOLDER --input texts.txt\n\n"
                "or any program that reads Hugging Face's folders:\n\n"
                "    from transformers import pipeline\n\n"
                "    classify = pipeline(\"text-classification\", model=\"FOLDER\")\n");
    return;
  }
  fprintf(to, "The base model is frozen and no part of these files; its own card and licence "
              "apply.\n\n## Use\n\n"
              "    condlora predict --model BASE --adapter FOLDER --input texts.txt\n\n");
  if (adapter_is_low_rank(train_method_name(s)))
    fprintf(to, "As a LoRA for PEFT, with labels and tokenizer:\n\n"
                "    condlora export --model BASE --adapter FOLDER --output LORA\n");
  else
    fprintf(to, "As a model for Transformers:\n\n"
                "    condlora merge --model BASE --adapter FOLDER --output MODEL\n");
}

static bool put_body(FILE *to, const train_session *session, const train_settings *s,
                     const train_summary *summary)
{
  const char *method = train_method_name(s);
  const bool whole = adapter_is_whole_model(method);
  fprintf(to, "# %s for %s\n\n", whole ? "A model" : "An adapter",
          session->model.problem == CDL_PROBLEM_REGRESSION ? "regression on texts"
                                                           : "text classification");
  fprintf(to,
          "Trained by condlora %s with the method `%s`: %" PRId64
          " trained parameters, and %" PRId64 " of the head.\n\n",
          cdl_version(), method, summary->adapter_numbers, summary->head_numbers);
  put_results(to, session, s, summary);
  if (!put_labels(to, session) || !put_settings(to, s))
    return false;
  put_use(to, s);
  return true;
}

cdl_status train_card_write(const char *folder, const train_session *session,
                            const train_settings *settings, const train_summary *summary)
{
  export_card_head head;
  head_texts texts = {0};
  char *body = NULL;
  size_t bytes = 0;
  CDL_TRY(make_head(session, settings, summary, &head, &texts));
  FILE *to = open_memstream(&body, &bytes);
  bool whole = to != NULL && put_body(to, session, settings, summary);
  whole = to != NULL && ferror(to) == 0 && whole;
  whole = to != NULL && fclose(to) == 0 && body != NULL && whole;
  const cdl_status status = whole ? export_card_write(folder, &head, body)
                                  : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  free(body);
  return status;
}
