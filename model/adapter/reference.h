/* Adapters that the paper's own code saved (github.com/CyberAgentAILab/CondLoRA): `peft_type`
 * "ConditionalLORA", and the shared layers under flat names, "query.linear_for_lora_A". */
#ifndef CONDLORA_MODEL_ADAPTER_REFERENCE_H
#define CONDLORA_MODEL_ADAPTER_REFERENCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "condlora/status.h"

/* Whether adapter_config.json is one of them. */
bool adapter_reference_is(const json_t *config);
/* Puts the keys that the same adapter has here in their places. */
CDL_MUST_USE cdl_status adapter_reference_config(const char *path, json_t *config);

/* Of a parameter of CondLoRA, "attention.self.query.condlora_A.weight", the name that it has there;
 * false when it has none. */
bool adapter_reference_name(const char *parameter, char *name, size_t bytes);
/* Whether a tensor has such a name. */
bool adapter_reference_has(const char *tensor);

#endif
