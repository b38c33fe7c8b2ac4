/* AdaLoRA's budget of ranks (Zhang et al. 2023) on the host, free of any model: how many of all
 * triplets stay at a step, and which. PEFT 0.17's rules, but for two cases that it does not have:
 * a budget of all triplets is none to choose (PEFT fails), and a run without final steps ends with a
 * choice. */
#ifndef CONDLORA_MODEL_ADAPTER_METHODS_RANK_BUDGET_H
#define CONDLORA_MODEL_ADAPTER_METHODS_RANK_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

typedef struct {
  int64_t initial, target; /* triplets, of all layers together */
  int64_t first;           /* tinit: no choice up to this step */
  int64_t last;            /* tfinal: steps at the end of the run without another choice */
  int64_t interval;        /* deltaT: steps from one choice to the next */
  int64_t steps;           /* of the run */
} rank_budget;

typedef struct {
  bool measures; /* importance is updated */
  bool chooses;  /* triplets are chosen anew: `kept` of them */
  bool repeats;  /* the last choice is applied again */
  int64_t kept;
} rank_plan;

/* USAGE where the run has no step at which ranks fall. */
CDL_MUST_USE cdl_status rank_budget_check(const rank_budget *budget);

/* What is done after the 0-based step. */
rank_plan rank_plan_at(const rank_budget *budget, int64_t step);

/* keep[i] = 1 where scores[i] is above the (count − kept)-th smallest, else 0: ties at the threshold
 * go together, so that fewer than `kept` may stay. */
CDL_MUST_USE cdl_status rank_choose(const float *scores, size_t count, int64_t kept, float *keep);

#endif
