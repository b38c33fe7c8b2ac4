/* A cdl_model inside: a base, and adapters on it. */
#ifndef CONDLORA_MODEL_INFERENCE_MODEL_STATE_H
#define CONDLORA_MODEL_INFERENCE_MODEL_STATE_H

#include "condlora/model.h"
#include "model/inference/state.h"

/* An adapter, or none, on an encoder of its own over the base's body. Backend, queue and tokenizer
 * of its model are the base's. */
typedef struct {
  char *name; /* NULL: without an adapter */
  inference_model model;
} inference_member;

struct cdl_model {
  inference_settings settings; /* as it was opened; its texts are below */
  char *base_folder, *adapter_folder, *backend_name;
  cdl_hub_source *base_source; /* of base_folder; NULL for a folder inside a run's */
  inference_model base;
  bool base_has_head;        /* of the checkpoint, so that it classifies without an adapter */
  bool alone;                /* the only member works on the base itself, which it changes */
  inference_member **member; /* [count] adapters, in the order in which they came */
  size_t count;
  inference_member *bare;   /* made when it is first wanted */
  inference_member *active; /* one of these */
  bool planned, merged;     /* of the active one: for any batch of texts; into the base's weights */
  char *json;               /* what cdl_model_adapter_config returned */
};

/* Merges the active member. Errors: MEMORY; those of the queue. It stays so, after a failure too,
 * whose message more work would replace. */
CDL_MUST_USE cdl_status inference_model_merge(cdl_model *model);
/* The base's weights as they were, and no plan: before anything but a pass is done with the model.
 */
void inference_model_settle(cdl_model *model);

/* A member over the base's body, without an adapter; what ends with inference_member_free. `seed`
 * is that of what is drawn. */
CDL_MUST_USE cdl_status inference_member_create(cdl_model *model, const char *name, uint64_t seed,
                                                inference_member **member);
void inference_member_free(inference_member *member);
/* Takes the member over, as the last one. Errors: MEMORY, and the member stays the caller's. */
CDL_MUST_USE cdl_status inference_model_add(cdl_model *model, inference_member *member);
/* ARGUMENT for no name or one that is taken; UNSUPPORTED where no member can be added. */
CDL_MUST_USE cdl_status inference_model_check_name(const cdl_model *model, const char *name);
/* The member of a name; ARGUMENT, naming those there are. */
CDL_MUST_USE cdl_status inference_model_find(const cdl_model *model, const char *name,
                                             inference_member **member);

#endif
