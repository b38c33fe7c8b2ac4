/* The card of an adapter that was exported for PEFT. */
#ifndef CONDLORA_MODEL_EXPORT_ADAPTER_CARD_H
#define CONDLORA_MODEL_EXPORT_ADAPTER_CARD_H

#include "model/adapter/folder.h"

/* Writes README.md into `folder`, which holds a LoRA with `config`, and the base's config.json with
 * the adapter's labels. */
CDL_MUST_USE cdl_status export_adapter_card_write(const char *folder, const adapter_config *config);

#endif
