#include "train/class_json.h"

#include <stdlib.h>

#include "base/json.h"

/* ---- Classes ---- */

typedef struct {
  uint64_t count, place;
} counted;

static int compare_counted(const void *a, const void *b)
{
  const counted *x = a, *y = b;
  if (x->count != y->count)
    return x->count > y->count ? -1 : 1;
  return x->place < y->place ? -1 : x->place > y->place;
}

static int compare_places(const void *a, const void *b)
{
  const counted *x = a, *y = b;
  return x->place < y->place ? -1 : x->place > y->place;
}

static json_t *score_json(const cdl_class_score *s)
{
  return json_pack("{sf sf sf sI}", "precision", s->precision, "recall", s->recall, "f1", s->f1,
                   "support", (json_int_t)s->support);
}

/* Lists the classes with the most examples (the first of equals), in the order of their ids. */
static json_t *scores_json(char *const *names, size_t classes, const cdl_class_counts *counts)
{
  cdl_class_score *scores = calloc(classes, sizeof *scores);
  counted *order = calloc(classes, sizeof *order);
  json_t *object = scores != NULL && order != NULL ? json_object() : NULL;
  if (object != NULL) {
    cdl_class_scores(counts, classes, scores);
    for (size_t c = 0; c < classes; c++)
      order[c] = (counted){.count = scores[c].support, .place = c};
    const size_t listed = classes < TRAIN_CLASSES_LISTED ? classes : TRAIN_CLASSES_LISTED;
    qsort(order, classes, sizeof *order, compare_counted);
    qsort(order, listed, sizeof *order, compare_places);
    for (size_t i = 0; i < listed; i++)
      base_json_set(&object, names[order[i].place], score_json(&scores[order[i].place]));
  }
  free(scores);
  free(order);
  return object;
}

/* ---- Confusion ---- */

static json_t *matrix_json(size_t classes, const train_class_details *details, size_t examples)
{
  json_int_t matrix[TRAIN_CLASSES_LISTED * TRAIN_CLASSES_LISTED] = {0};
  json_t *rows = json_array();
  for (size_t i = 0; i < examples; i++)
    matrix[details->cells[i]]++;
  for (size_t i = 0; i < classes; i++) {
    json_t *row = json_array();
    for (size_t j = 0; j < classes; j++)
      base_json_append(&row, json_integer(matrix[i * classes + j]));
    base_json_append(&rows, row);
  }
  return rows;
}

static int compare_cells(const void *a, const void *b)
{
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

/* Counts each kind of mistake, the most common first; `mistakes` [examples]. Returns their
 * number. */
static size_t count_mistakes(size_t classes, const train_class_details *details, size_t examples,
                             counted *mistakes)
{
  size_t count = 0;
  qsort(details->cells, examples, sizeof *details->cells, compare_cells);
  for (size_t i = 0; i < examples; i++) {
    const uint64_t cell = details->cells[i];
    if (cell / classes == cell % classes)
      continue;
    if (count > 0 && mistakes[count - 1].place == cell)
      mistakes[count - 1].count++;
    else
      mistakes[count++] = (counted){.count = 1, .place = cell};
  }
  qsort(mistakes, count, sizeof *mistakes, compare_counted);
  return count;
}

static json_t *mistakes_json(char *const *names, size_t classes, const train_class_details *details,
                             size_t examples)
{
  counted *mistakes = calloc(examples + 1, sizeof *mistakes);
  json_t *list = mistakes != NULL ? json_array() : NULL;
  if (list != NULL) {
    const size_t found = count_mistakes(classes, details, examples, mistakes),
                 listed = found < TRAIN_CLASSES_LISTED ? found : TRAIN_CLASSES_LISTED;
    for (size_t i = 0; i < listed; i++)
      base_json_append(&list, json_pack("{ss ss sI}", "label", names[mistakes[i].place / classes],
                                        "prediction", names[mistakes[i].place % classes],
                                        "examples", (json_int_t)mistakes[i].count));
  }
  free(mistakes);
  return list;
}

/* ---- Both ---- */

static json_t *thresholds_json(const inference_model *model)
{
  json_t *object = json_object();
  for (int i = 0; i < model->labels; i++)
    base_json_set(&object, model->label_names[i], json_real(inference_threshold(model, i)));
  return object;
}

static json_t *outputs_json(const inference_model *model, const cdl_scores *scores)
{
  json_t *object = json_object();
  for (int i = 0; i < model->labels; i++) {
    json_t *of = json_object();
    for (int m = 0; m < CDL_METRIC_COUNT; m++)
      if (m != CDL_METRIC_LOSS && cdl_metric_applies((cdl_metric)m, CDL_PROBLEM_REGRESSION, 1))
        base_json_set(&of, cdl_metric_name((cdl_metric)m), base_json_number(scores[i].value[m]));
    base_json_set(&object, model->label_names[i], of);
  }
  return object;
}

json_t *train_class_json(const inference_model *model, const train_class_details *details,
                         size_t examples)
{
  char *const *names = model->label_names;
  const size_t classes = (size_t)model->labels;
  json_t *object = json_object();
  if (details->outputs != NULL)
    base_json_set(&object, "per_output", outputs_json(model, details->outputs));
  if (details->counts == NULL)
    return object;
  const bool few = classes <= TRAIN_CLASSES_LISTED;
  if (!few)
    base_json_set(&object, "classes", json_integer((json_int_t)classes));
  base_json_set(&object, "per_class", scores_json(names, classes, details->counts));
  if (model->problem == CDL_PROBLEM_MULTI_LABEL)
    base_json_set(&object, "thresholds", thresholds_json(model));
  else if (few)
    base_json_set(&object, "confusion", matrix_json(classes, details, examples));
  else
    base_json_set(&object, "confused", mistakes_json(names, classes, details, examples));
  return object;
}
