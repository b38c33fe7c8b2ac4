/* The README.md of an exported adapter: the metadata for Hugging Face's hub, and how PEFT loads
 * it. */
#ifndef CONDLORA_MODEL_EXPORT_ADAPTER_CARD_H
#define CONDLORA_MODEL_EXPORT_ADAPTER_CARD_H

#include "model/adapter/folder.h"

/* Writes it into `folder`, which holds a LoRA with `config` and a head of `outputs`. */
CDL_MUST_USE cdl_status export_card_write(const char *folder, const adapter_config *config,
                                          int outputs);

#endif
