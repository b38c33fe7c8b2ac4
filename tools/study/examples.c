#include "tools/study/examples.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "condlora/log.h"
#include "train/data/split.h"
#include "train/data/table_kind.h"
#include "train/examples.h"

cdl_status study_examples_check(const study_example_source *s)
{
  if ((s->task != NULL) == (s->input != NULL))
    return cdl_fail(CDL_STATUS_USAGE, "expected --task with --data, or --input with a file");
  if (s->task != NULL && s->data == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "--task needs --data: the folder that holds %s/dev.tsv",
                    s->task);
  if (s->task != NULL && (s->text_columns != NULL || s->label_column != NULL))
    return cdl_fail(CDL_STATUS_USAGE,
                    "--text-columns and --label-column go with --input, not with --task");
  if (s->input != NULL && (s->data != NULL || s->split != NULL))
    return cdl_fail(CDL_STATUS_USAGE, "--data and --split go with --task, not with --input");
  if (s->input != NULL && !isnan(s->dev_fraction))
    return cdl_fail(CDL_STATUS_USAGE, "--dev-fraction goes with --task, not with --input");
  if (s->skip_label != NULL && s->input == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "--skip-label goes with --input");
  if (!isnan(s->dev_fraction) && !(s->dev_fraction >= 0 && s->dev_fraction < 1))
    return cdl_fail(CDL_STATUS_USAGE, "--dev-fraction must be at least 0 and below 1, not %g",
                    s->dev_fraction);
  return CDL_STATUS_OK;
}

/* ---- Labels ---- */

/* Returns whether the labels have no names but "0" or "LABEL_0". */
static bool is_nameless(const inference_model *model)
{
  for (int i = 0; i < model->labels; i++) {
    char number[16], numbered[24];
    snprintf(number, sizeof number, "%d", i);
    snprintf(numbered, sizeof numbered, "LABEL_%d", i);
    if (strcmp(model->label_names[i], number) != 0 && strcmp(model->label_names[i], numbered) != 0)
      return false;
  }
  return true;
}

static cdl_status take_names(inference_model *model, const cdl_task *task)
{
  for (int i = 0; i < model->labels; i++) {
    char *name = strdup(task->labels[i]);
    if (name == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: labels");
    free(model->label_names[i]);
    model->label_names[i] = name;
  }
  return CDL_STATUS_OK;
}

static cdl_status fit_task(inference_model *model, const cdl_task *task)
{
  const bool is_regression = cdl_task_is_regression(task);
  const cdl_problem problem = is_regression ? CDL_PROBLEM_REGRESSION : CDL_PROBLEM_SINGLE_LABEL;
  if (problem != model->problem)
    return cdl_fail(CDL_STATUS_DATA, "%s is a %s, the model does %s", task->name,
                    is_regression ? "regression" : "classification",
                    model->problem == CDL_PROBLEM_SINGLE_LABEL  ? "classification"
                    : model->problem == CDL_PROBLEM_MULTI_LABEL ? "multi-label classification"
                                                                : "regression");
  if (is_regression && model->labels == 1)
    return CDL_STATUS_OK;
  if (is_regression)
    return cdl_fail(CDL_STATUS_DATA, "%s has one number, the model %d", task->name, model->labels);
  if (task->label_count != (size_t)model->labels)
    return cdl_fail(CDL_STATUS_DATA, "%s has %zu labels, the model %d", task->name,
                    task->label_count, model->labels);
  if (is_nameless(model))
    return take_names(model, task);
  for (int i = 0; i < model->labels; i++)
    if (strcmp(model->label_names[i], task->labels[i]) != 0)
      return cdl_fail(CDL_STATUS_DATA, "label %d of %s is '%s', the model's is '%s'", i, task->name,
                      task->labels[i], model->label_names[i]);
  return CDL_STATUS_OK;
}

/* ---- Reading ---- */

/* Takes the examples that training held out, in their order, as the adapter records it. An adapter
 * that names its task but no held-out part comes from a version that had the reference's split
 * only. Every other adapter, and a whole model, counts as trained with train's defaults. */
static cdl_status take_held_out(const study_example_source *s, const inference_model *model,
                                study_examples *e)
{
  const double usual = 0.1;
  adapter_held_out held_out = {.fraction = usual,
                               .reference_split =
                                   model != NULL &&
                                   (model->types_zero || model->adapter_config.task != NULL)};
  if (model != NULL && model->adapter_config.held_out.known)
    held_out = model->adapter_config.held_out;
  if (!isnan(s->dev_fraction)) {
    if (held_out.known && s->dev_fraction != held_out.fraction)
      cdl_log(CDL_LOG_WARNING,
              "--dev-fraction is %g, but training held out %g: examples measured here may be ones "
              "that the adapter was trained on",
              s->dev_fraction, held_out.fraction);
    held_out.fraction = s->dev_fraction;
  }
  data_split split;
  CDL_TRY(data_split_dataset(
      e->dataset, held_out.fraction,
      held_out.reference_split ? DATA_SPLIT_REFERENCE : DATA_SPLIT_STRATIFIED, &split));
  e->count = split.valid_count;
  e->rows = train_all_rows(split.valid_count);
  if (e->rows != NULL)
    memcpy(e->rows, split.valid, split.valid_count * sizeof *e->rows);
  data_split_release(&split);
  if (e->rows == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the valid split");
  return e->count > 0
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_USAGE, "holding out %g of %zu examples leaves no valid split",
                        held_out.fraction, cdl_dataset_count(e->dataset));
}

static cdl_status read_task(const study_example_source *s, study_label_need need,
                            inference_model *model, study_examples *e)
{
  e->split = s->split != NULL ? s->split : "dev";
  const bool held_out = strcmp(e->split, "valid") == 0;
  CDL_TRY(cdl_task_find(s->task, &e->task));
  if (model != NULL)
    CDL_TRY(fit_task(model, e->task));
  CDL_TRY(cdl_dataset_read_task(e->task, s->data, held_out ? "train" : e->split, &e->dataset));
  if (need == STUDY_LABELS_REQUIRED && !cdl_dataset_has_labels(e->dataset))
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: the examples have no labels, which eval needs; use predict",
                    cdl_dataset_get_part(e->dataset, 0).path);
  return held_out ? take_held_out(s, model, e) : CDL_STATUS_OK;
}

/* How a file is read if the command line names no columns. */
typedef enum { READ_LINES, READ_TABLE, READ_BY_FIRST_BYTE } reading_way;

/* Finds the way by the file's name, so that predict reads a table where train and eval do. */
static cdl_status find_way(const char *path, reading_way *way)
{
  const char *slash = strrchr(path, '/'), *dot = strrchr(slash != NULL ? slash : path, '.');
  cdl_data_format format;
  *way = dot == NULL                    ? READ_BY_FIRST_BYTE /* such as standard input */
         : strcasecmp(dot, ".txt") == 0 ? READ_LINES
                                        : READ_TABLE;
  if (*way != READ_TABLE || data_table_format_of_name(path, &format) == CDL_STATUS_OK)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_USAGE, "%s, or in .txt for one text a line", cdl_error_message());
}

/* A regression of several numbers has a column for each; several labels may. */
static cdl_status check_label_columns(const study_example_source *s, const inference_model *model,
                                      size_t columns)
{
  const size_t outputs = (size_t)model->labels;
  const bool fits = model->problem == CDL_PROBLEM_REGRESSION    ? columns == outputs
                    : model->problem == CDL_PROBLEM_MULTI_LABEL ? columns == 1 || columns == outputs
                                                                : columns == 1;
  return fits ? CDL_STATUS_OK
              : cdl_fail(CDL_STATUS_USAGE,
                         "%s: --label-column names %zu column%s; the model is for %s with %zu "
                         "output%s",
                         s->input, columns, columns == 1 ? "" : "s",
                         cdl_problem_name(model->problem), outputs, outputs == 1 ? "" : "s");
}

/* Describes the file; columns that the command line does not name are those of training. */
static cdl_status describe_source(const study_example_source *s, study_label_need need,
                                  const inference_model *model, const study_user_file *file,
                                  cdl_dataset_source *source)
{
  const base_list *columns = &file->columns;
  const adapter_config *trained = model != NULL ? &model->adapter_config : NULL;
  char *const *names = columns->item;
  size_t count = columns->count;
  *source = (cdl_dataset_source){.size = sizeof(cdl_dataset_source),
                                 .path = s->input,
                                 .label_optional = need == STUDY_LABELS_OPTIONAL};
  if (s->text_columns == NULL) {
    reading_way way = READ_TABLE;
    if (need != STUDY_LABELS_REQUIRED)
      CDL_TRY(find_way(s->input, &way));
    source->plain_lines = way != READ_TABLE;
    source->format = way == READ_LINES ? CDL_DATA_TSV : CDL_DATA_BY_NAME;
    source->unnamed = "--text-columns";
    names = trained != NULL ? trained->text_columns.item : NULL;
    count = trained != NULL ? trained->text_columns.count : 0;
  }
  if (count > 2)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--text-columns: expected one column, or two for pairs, not %zu", count);
  for (size_t i = 0; i < count; i++)
    source->text_column[i] = names[i];
  if (need == STUDY_LABELS_IGNORED)
    return CDL_STATUS_OK;
  const base_list *labels = &file->label_columns;
  if (need == STUDY_LABELS_REQUIRED && s->label_column == NULL) {
    labels = &trained->label_columns;
    source->unnamed =
        s->text_columns == NULL ? "--text-columns and --label-column" : "--label-column";
    if (labels->count == 0)
      source->text_column[0] = source->text_column[1] = NULL;
  }
  source->label_columns = (const char *const *)labels->item;
  source->label_column_count = labels->count;
  if (labels->count > 0) {
    source->skip_label = s->skip_label;
    source->regression = model->problem == CDL_PROBLEM_REGRESSION;
    source->multi_label = model->problem == CDL_PROBLEM_MULTI_LABEL;
    source->labels = (const char *const *)model->label_names;
    source->label_count = model->label_names != NULL ? (size_t)model->labels : 0;
    source->label_separator =
        s->label_separator != NULL ? s->label_separator : trained->label_separator;
    return check_label_columns(s, model, labels->count);
  }
  return CDL_STATUS_OK;
}

cdl_status study_user_file_describe(const study_example_source *s, study_label_need need,
                                    const inference_model *model, study_user_file *file)
{
  *file = (study_user_file){0};
  if (s->text_columns != NULL)
    CDL_TRY(base_list_split("--text-columns", s->text_columns, &file->columns));
  cdl_status status = s->label_column != NULL
                          ? base_list_split("--label-column", s->label_column, &file->label_columns)
                          : CDL_STATUS_OK;
  if (status == CDL_STATUS_OK)
    status = describe_source(s, need, model, file, &file->source);
  if (status != CDL_STATUS_OK)
    study_user_file_release(file);
  return status;
}

void study_user_file_release(study_user_file *file)
{
  base_list_release(&file->columns);
  base_list_release(&file->label_columns);
  *file = (study_user_file){0};
}

static cdl_status read_user_file(const study_example_source *s, study_label_need need,
                                 const inference_model *model, study_examples *e)
{
  study_user_file file;
  e->split = s->input;
  CDL_TRY(study_user_file_describe(s, need, model, &file));
  const cdl_status status = cdl_dataset_read_file(&file.source, &e->dataset);
  study_user_file_release(&file);
  return status;
}

cdl_status study_examples_check_pairs(const inference_model *model, const cdl_dataset *dataset)
{
  const base_list *trained = &model->adapter_config.text_columns;
  const bool pair = cdl_dataset_is_pair(dataset);
  if (trained->count == 0 || pair == (trained->count == 2))
    return CDL_STATUS_OK;
  const char *path = cdl_dataset_get_part(dataset, 0).path;
  return pair ? cdl_fail(CDL_STATUS_DATA,
                         "%s: pairs of texts, but the model was trained on single texts, '%s'",
                         path, trained->item[0])
              : cdl_fail(CDL_STATUS_DATA,
                         "%s: single texts, but the model was trained on pairs, '%s' and '%s'",
                         path, trained->item[0], trained->item[1]);
}

cdl_status study_examples_read(const study_example_source *source, study_label_need need,
                               inference_model *model, study_examples *e)
{
  *e = (study_examples){0};
  cdl_status status = source->task != NULL ? read_task(source, need, model, e)
                                           : read_user_file(source, need, model, e);
  if (status == CDL_STATUS_OK && model != NULL)
    status = study_examples_check_pairs(model, e->dataset);
  if (status == CDL_STATUS_OK && e->rows == NULL) {
    e->count = cdl_dataset_count(e->dataset);
    e->rows = train_all_rows(e->count);
    if (e->rows == NULL)
      status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu examples", e->count);
  }
  if (status != CDL_STATUS_OK)
    study_examples_close(e);
  return status;
}

void study_examples_close(study_examples *e)
{
  cdl_dataset_close(e->dataset);
  free(e->rows);
  *e = (study_examples){0};
}

/* ---- Inference ---- */

cdl_status study_examples_open_model(const inference_settings *settings,
                                     const study_example_source *source, inference_model *model)
{
  if (settings->model == NULL && settings->adapter == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "expected --adapter: the folder of an adapter or a run, or "
                                      "--model: the folder of a fine-tuned model");
  CDL_TRY(study_examples_check(source));
  return inference_open(model, settings);
}

cdl_status study_examples_open(const inference_settings *settings,
                               const study_example_source *source, study_label_need need,
                               inference_model *model, study_examples *examples)
{
  CDL_TRY(study_examples_open_model(settings, source, model));
  cdl_status status = study_examples_read(source, need, model, examples);
  if (status == CDL_STATUS_OK) {
    status = train_tokenize(model, examples->dataset);
    if (status != CDL_STATUS_OK)
      study_examples_close(examples);
  }
  if (status != CDL_STATUS_OK)
    inference_close(model);
  return status;
}

cdl_status study_examples_logits(inference_model *model, const study_examples *e,
                                 const volatile int *stop, float **logits)
{
  return train_logits(model, e->dataset, e->split, e->rows, e->count, stop, logits);
}
