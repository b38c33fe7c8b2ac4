/* Figures of classes as metrics.json and eval have them. */
#ifndef CONDLORA_TRAIN_CLASS_JSON_H
#define CONDLORA_TRAIN_CLASS_JSON_H

#include <jansson.h>

#include "train/evaluate.h"

/* Up to so many classes all of them are listed, and every pair of two. */
enum { TRAIN_CLASSES_LISTED = 64 };

/* An object with the figures of each class, "per_class", and which is taken for which: as a matrix,
 * "confusion", row = true class, column = predicted class. Of more than TRAIN_CLASSES_LISTED classes
 * those with most examples are listed, "classes" says how many there are, and in place of the matrix,
 * which grows with their square, stand the commonest mistakes, "confused". Without members for a
 * regression, whose `details` are empty; NULL when memory is out. */
json_t *train_class_json(char *const *names, size_t classes, const train_class_details *details,
                         size_t examples);

#endif
