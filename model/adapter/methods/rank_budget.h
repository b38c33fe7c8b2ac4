/* AdaLoRA's budget of ranks (Zhang et al. 2023), on the host and without a model: how many of all
 * triplets are kept at a step, and which. The rules are PEFT 0.17's, except in two cases that PEFT
 * does not handle. A budget of all triplets makes no choice (PEFT fails), and a run without final
 * steps ends with a choice. */
#ifndef CONDLORA_MODEL_ADAPTER_METHODS_RANK_BUDGET_H
#define CONDLORA_MODEL_ADAPTER_METHODS_RANK_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

typedef struct {
  int64_t initial, target; /* numbers of triplets, in all layers together */
  int64_t first;           /* tinit: no choice up to this step */
  int64_t last;            /* tfinal: steps without a choice at the end of the run */
  int64_t interval;        /* deltaT: steps between choices */
  int64_t steps;           /* of the run */
} rank_budget;

typedef struct {
  bool measures; /* update the importance */
  bool chooses;  /* choose `kept` triplets anew */
  bool repeats;  /* apply the last choice again */
  int64_t kept;
} rank_plan;

/* Errors: USAGE if no step of the run lowers the ranks. */
CDL_MUST_USE cdl_status rank_budget_check(const rank_budget *budget);

/* Returns what to do after the 0-based step. */
rank_plan rank_plan_at(const rank_budget *budget, int64_t step);

/* Sets keep[i] = 1 if scores[i] is above the (count − kept)-th smallest score, else 0. All scores
 * equal to the threshold are dropped, so fewer than `kept` may remain. */
CDL_MUST_USE cdl_status rank_choose(const float *scores, size_t count, int64_t kept, float *keep);

#endif
