/* The matrices that CondLoRA's shared layers are applied to: each layer's own weight, or, to tell
 * what the weight is worth, one that is not the layer's. */
#ifndef CONDLORA_MODEL_ADAPTER_METHODS_CONDITION_H
#define CONDLORA_MODEL_ADAPTER_METHODS_CONDITION_H

#include "model/adapter/state.h"

/*   weight    W_l
 *   random    Q_l W_l P_lᵀ, Q_l [out, out] and P_l [in, in] random and orthogonal: a random matrix
 *             with W_l's singular values
 *   permuted  the weight of another of the group's n layers: ⌊n / 2⌋ further on, cyclically */
typedef enum { CONDITION_WEIGHT, CONDITION_RANDOM, CONDITION_PERMUTED } condition_kind;
#define CONDITION_WORDS "weight|random|permuted"

typedef struct {
  condition_kind kind;
  bool made;
  uint64_t seed;      /* of `random` */
  cdl_buffer *buffer; /* NULL: the runs' weights are the layers' own */
} condition;

/* The key of adapter_config.json under which `random` keeps its seed. */
extern const char condition_seed_key[];

/* Gives the runs memory for other matrices if `kind` needs it. USAGE if a group has no other layer,
 * or if the adapter's folder does not record the seed. */
CDL_MUST_USE cdl_status condition_create(condition *c, model_adapter *adapter, cdl_queue *queue);
/* Makes the matrices, from the seed of the initial values; the layers' weights are there. */
CDL_MUST_USE cdl_status condition_begin(condition *c, model_adapter *adapter, cdl_queue *queue);
/* Makes them where they are not made, as for an adapter that has been read. */
CDL_MUST_USE cdl_status condition_make(condition *c, model_adapter *adapter, cdl_queue *queue);
/* {"condition_seed": …} of `random`, else {}; NULL when memory is out. */
json_t *condition_extra(const condition *c);
void condition_release(condition *c);

#endif
