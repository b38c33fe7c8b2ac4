/* Adapters that the paper's own code saved (github.com/CyberAgentAILab/CondLoRA). Their `peft_type`
 * is "ConditionalLORA", and the shared layers have flat names such as "query.linear_for_lora_A". */
#ifndef CONDLORA_MODEL_ADAPTER_REFERENCE_H
#define CONDLORA_MODEL_ADAPTER_REFERENCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "condlora/status.h"

/* Returns whether an adapter_config.json is of this kind. */
bool adapter_reference_is(const json_t *config);
/* Replaces its keys by those that the same adapter has here. */
CDL_MUST_USE cdl_status adapter_reference_config(const char *path, json_t *config);

/* Gives the name in such a file of a parameter of CondLoRA, for example
 * "attention.self.query.condlora_A.weight". Returns false if it has none. */
bool adapter_reference_name(const char *parameter, char *name, size_t bytes);
/* Returns whether a tensor has such a name. */
bool adapter_reference_has(const char *tensor);

#endif
