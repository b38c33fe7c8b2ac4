/* Scores of classes in the form of metrics.json and `condlora eval`. */
#ifndef CONDLORA_TRAIN_CLASS_JSON_H
#define CONDLORA_TRAIN_CLASS_JSON_H

#include <jansson.h>

#include "train/evaluate.h"

/* Up to this number of classes, all classes and all pairs are listed. */
enum { TRAIN_CLASSES_LISTED = 64 };

/* Returns an object with the scores of each class, "per_class", and the confusion matrix,
 * "confusion", with a row per true class and a column per predicted class. With more than
 * TRAIN_CLASSES_LISTED classes, it lists the classes with the most examples; "classes" has the
 * number of all classes, and "confused" lists the most common mistakes instead of the matrix, whose
 * size would be quadratic. Of several labels it has no
 * matrix, but the labels' "thresholds"; of a regression with several outputs the scores of each,
 * "per_output". It is empty for a regression with one output. NULL if memory is out. */
json_t *train_class_json(const inference_model *model, const train_class_details *details,
                         size_t examples);

#endif
