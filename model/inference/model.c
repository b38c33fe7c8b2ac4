/* cdl_model: opening, facts and classifying. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/sized.h"
#include "model/hub/resolve.h"
#include "model/inference/base.h"
#include "model/inference/evaluation.h"
#include "model/inference/inference.h"
#include "model/inference/model_state.h"
#include "model/inference/texts.h"

static cdl_status no_memory(const char *what)
{
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", what);
}

/* ---- What a path is ---- */

/* Keeps the source of the base, and its folder. */
static cdl_status keep_base(cdl_model *m, cdl_hub_source *source)
{
  m->base_source = source;
  m->base_folder = strdup(cdl_hub_source_folder(source));
  return m->base_folder != NULL ? CDL_STATUS_OK : no_memory("a model");
}

static cdl_status find_base(cdl_model *m, const char *given, bool *changes_base)
{
  cdl_hub_source *source;
  CDL_TRY(inference_resolve_base(m->adapter_folder, given, &source, changes_base));
  return keep_base(m, source);
}

/* Adapter's folder, run's folder or whole model's: sets base_folder, and adapter_folder for the
 * first two. */
static cdl_status look_at_folder(cdl_model *m, const char *path, const char *given_base,
                                 bool *changes_base)
{
  char *adapter = adapter_folder_find(path);
  if (adapter == NULL)
    return no_memory(path);
  bool there;
  const cdl_status looked = inference_has_file(adapter, "adapter_config.json", &there);
  if (looked == CDL_STATUS_OK && there) {
    m->adapter_folder = adapter;
    return find_base(m, given_base, changes_base);
  }
  free(adapter);
  CDL_TRY(looked);
  if (given_base != NULL)
    return cdl_fail(CDL_STATUS_USAGE, "%s: there is no adapter in it, for which a base is named",
                    path);
  CDL_TRY(inference_find_whole(path, &m->base_folder));
  if (m->base_folder == NULL)
    m->base_folder = strdup(path);
  return m->base_folder != NULL ? CDL_STATUS_OK : no_memory(path);
}

static cdl_status find_folders(cdl_model *m, const char *path, const char *given_base,
                               bool *changes_base)
{
  cdl_hub_source *source;
  CDL_TRY(hub_resolve(path, CDL_HUB_ANY, &source));
  const cdl_status status =
      look_at_folder(m, cdl_hub_source_folder(source), given_base, changes_base);
  if (m->adapter_folder == NULL)
    m->base_source = source;
  else
    cdl_hub_source_close(source);
  return status;
}

/* ---- Opening ---- */

static cdl_status open_alone(cdl_model *m)
{
  m->settings.part = INFERENCE_OPEN_MODEL;
  CDL_TRY(inference_open(&m->base, &m->settings));
  inference_member *member = calloc(1, sizeof *member);
  if (member == NULL || (member->name = strdup("default")) == NULL) {
    free(member);
    return no_memory("an adapter");
  }
  m->alone = true;
  member->model = m->base; /* a view */
  const cdl_status status = inference_model_add(m, member);
  if (status != CDL_STATUS_OK) {
    free(member->name);
    free(member);
  }
  return status;
}

static cdl_status open_adapted(cdl_model *m, bool changes_base)
{
  if (changes_base)
    return open_alone(m);
  m->settings.part = INFERENCE_OPEN_BESIDE;
  CDL_TRY(inference_open(&m->base, &m->settings));
  m->base_has_head = !m->base.loaded.fresh_head;
  m->settings.part = INFERENCE_OPEN_MODEL;
  inference_member *member;
  CDL_TRY(inference_member_create(m, "default", 0, &member));
  cdl_status status = inference_open_with_adapter(&member->model, &m->settings);
  if (status == CDL_STATUS_OK)
    status = inference_model_add(m, member);
  if (status == CDL_STATUS_OK)
    return CDL_STATUS_OK;
  inference_member_free(member);
  if (status != CDL_STATUS_UNSUPPORTED)
    return status;
  inference_close(&m->base); /* of what stands in its file, more is trained than its config says */
  return open_alone(m);
}

static cdl_status open_all(cdl_model *m, const char *path, const cdl_model_options *o)
{
  bool changes_base = false;
  CDL_TRY(find_folders(m, path, o->base, &changes_base));
  m->backend_name = strdup(o->backend != NULL ? o->backend : "auto");
  if (m->backend_name == NULL)
    return no_memory("a model");
  if (o->max_length > INT32_MAX || o->threads < 0)
    return cdl_fail(CDL_STATUS_USAGE,
                    "max_length is %zu and threads %d; expected up to %d and from 0", o->max_length,
                    o->threads, INT32_MAX);
  m->settings = (inference_settings){.model = m->base_folder,
                                     .adapter = m->adapter_folder,
                                     .backend = m->backend_name,
                                     .precision = cdl_precision_name(o->precision),
                                     .threads = o->threads,
                                     .no_fallback = o->no_fallback,
                                     .max_length = (int64_t)o->max_length,
                                     .rank = o->rank};
  if (m->adapter_folder != NULL) {
    CDL_TRY(open_adapted(m, changes_base));
    m->active = m->member[0];
    return CDL_STATUS_OK;
  }
  CDL_TRY(inference_open(&m->base, &m->settings));
  m->base_has_head = true;
  return cdl_model_set_adapter(m, NULL);
}

cdl_status cdl_model_open(const char *path, const cdl_model_options *options, cdl_model **model)
{
  cdl_model_options o;
  *model = NULL;
  CDL_TRY(base_sized_read(&o, sizeof o, options, "cdl_model_options"));
  cdl_model *m = calloc(1, sizeof *m);
  if (m == NULL)
    return no_memory("a model");
  const cdl_status status = open_all(m, path, &o);
  if (status == CDL_STATUS_OK)
    *model = m;
  else
    cdl_model_close(m);
  return status;
}

void cdl_model_close(cdl_model *m)
{
  if (m == NULL)
    return;
  for (size_t i = 0; i < m->count; i++) {
    if (m->alone) {
      free(m->member[i]->name);
      free(m->member[i]);
    } else
      inference_member_free(m->member[i]);
  }
  inference_member_free(m->bare);
  inference_close(&m->base);
  free(m->member);
  cdl_hub_source_close(m->base_source);
  free(m->base_folder);
  free(m->adapter_folder);
  free(m->backend_name);
  free(m->json);
  free(m);
}

/* ---- Facts ---- */

size_t cdl_model_label_count(const cdl_model *model)
{
  return (size_t)model->active->model.labels;
}

const char *cdl_model_label_name(const cdl_model *model, size_t label)
{
  const inference_model *m = &model->active->model;
  return m->label_names != NULL && label < (size_t)m->labels ? m->label_names[label] : NULL;
}

bool cdl_model_is_regression(const cdl_model *model)
{
  return model->active->model.problem == CDL_PROBLEM_REGRESSION;
}

cdl_problem cdl_model_problem(const cdl_model *model)
{
  return model->active->model.problem;
}

double cdl_model_threshold(const cdl_model *model, size_t label)
{
  const inference_model *m = &model->active->model;
  return m->problem == CDL_PROBLEM_MULTI_LABEL && label < (size_t)m->labels
             ? inference_threshold(m, (int)label)
             : (double)NAN;
}

/* A whole model's columns are the base's. */
static const base_list *columns_of(const cdl_model *model)
{
  return model->adapter_folder == NULL && model->active == model->bare
             ? &model->base.adapter_config.text_columns
             : &model->active->model.adapter_config.text_columns;
}

bool cdl_model_is_pair(const cdl_model *model)
{
  return columns_of(model)->count == 2;
}

size_t cdl_model_max_length(const cdl_model *model)
{
  return model->base.max_length;
}

cdl_backend *cdl_model_backend(const cdl_model *model)
{
  return model->base.backend;
}

/* ---- Classifying ---- */

/* Examples that are answered together: enough for batches that are full but for the last. The same
 * number as the command's, so that the same batches give the same bits. */
enum { WINDOW = 512 };

cdl_status inference_model_merge(cdl_model *model)
{
  const inference_model *m = &model->active->model;
  if (!model->merged)
    CDL_TRY(encoder_merge(m->encoder, m->queue));
  model->merged = true;
  return CDL_STATUS_OK;
}

void inference_model_settle(cdl_model *model)
{
  if (model->merged)
    encoder_unmerge(model->active->model.encoder, model->base.queue);
  model->merged = model->planned = false;
}

static cdl_status prepare(cdl_model *model)
{
  const inference_model *m = &model->active->model;
  if (!model->planned)
    CDL_TRY(encoder_plan(m->encoder, m->queue, (encoder_batch_limits){0},
                         inference_evaluation_most(m->max_length)));
  model->planned = true;
  return inference_model_merge(model);
}

static cdl_status check_pairs(const cdl_model *model, bool pairs)
{
  const base_list *columns = columns_of(model);
  if (columns->count == 0 || pairs == (columns->count == 2))
    return CDL_STATUS_OK;
  return pairs ? cdl_fail(CDL_STATUS_DATA,
                          "pairs of texts; the model was trained on single ones, '%s'",
                          columns->item[0])
               : cdl_fail(CDL_STATUS_DATA,
                          "single texts; the model was trained on pairs, '%s' and '%s'",
                          columns->item[0], columns->item[1]);
}

static cdl_status pass(const inference_model *m, const cdl_tokens *tokens, float *logits)
{
  uint32_t rows[WINDOW];
  for (uint32_t i = 0; i < tokens->count; i++)
    rows[i] = i;
  inference_evaluation evaluation;
  CDL_TRY(inference_evaluation_create(&evaluation, m, tokens, rows, tokens->count));
  const cdl_status status =
      inference_evaluation_pass(&evaluation, m->encoder, m->queue, logits, NULL);
  inference_evaluation_release(&evaluation);
  return status;
}

static cdl_status check_finite(const float *logits, size_t count, size_t labels, size_t before)
{
  for (size_t i = 0; i < count * labels; i++)
    if (!isfinite(logits[i]))
      return cdl_fail(CDL_STATUS_NUMERIC, "text %zu: the model's output is not finite",
                      before + i / labels);
  return CDL_STATUS_OK;
}

cdl_status cdl_model_classify(cdl_model *model, const char *const *texts, const char *const *pairs,
                              size_t count, float *logits)
{
  const inference_model *m = &model->active->model;
  const size_t labels = (size_t)m->labels;
  CDL_TRY(check_pairs(model, pairs != NULL));
  CDL_TRY(prepare(model));
  cdl_status status = CDL_STATUS_OK;
  for (size_t at = 0; at < count && status == CDL_STATUS_OK; at += WINDOW) {
    const size_t some = count - at < WINDOW ? count - at : WINDOW;
    inference_texts encoded;
    status = inference_texts_encode(&encoded, m, texts + at, pairs != NULL ? pairs + at : NULL,
                                    some, at);
    if (status == CDL_STATUS_OK)
      status = pass(m, &encoded.tokens, logits + at * labels);
    if (status == CDL_STATUS_OK)
      status = check_finite(logits + at * labels, some, labels, at);
    inference_texts_release(&encoded);
  }
  return status;
}

void cdl_model_probabilities(const cdl_model *model, const float *logits, double *probabilities)
{
  const inference_model *m = &model->active->model;
  if (m->problem != CDL_PROBLEM_REGRESSION)
    inference_scores(m, logits, probabilities);
  else
    for (int c = 0; c < m->labels; c++)
      probabilities[c] = 1;
}

void cdl_model_decide(const cdl_model *model, const float *logits, bool *chosen)
{
  inference_decide(&model->active->model, logits, chosen);
}

size_t cdl_model_best(const cdl_model *model, const float *logits)
{
  return (size_t)inference_argmax(logits, model->active->model.labels);
}
