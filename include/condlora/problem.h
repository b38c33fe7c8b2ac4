/* What a model's outputs mean. */
#ifndef CONDLORA_PROBLEM_H
#define CONDLORA_PROBLEM_H

#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  CDL_PROBLEM_SINGLE_LABEL, /* one of several classes: softmax, cross entropy */
  CDL_PROBLEM_MULTI_LABEL,  /* any number of labels, also none: a sigmoid for each label */
  CDL_PROBLEM_REGRESSION,   /* one number or several: squared error */
  CDL_PROBLEM_COUNT
} cdl_problem;

/* Returns the name that Transformers gives to a problem in config.json ("problem_type"):
 * "single_label_classification", "multi_label_classification" or "regression"; static. */
CDL_API const char *cdl_problem_name(cdl_problem problem);

#ifdef __cplusplus
}
#endif
#endif
