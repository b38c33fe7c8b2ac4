/* cdl_hub_resolve for the library's own opening of models and adapters. */
#ifndef CONDLORA_MODEL_HUB_RESOLVE_H
#define CONDLORA_MODEL_HUB_RESOLVE_H

#include "condlora/hub.h"

/* With the process's options. */
CDL_MUST_USE cdl_status hub_resolve(const char *name, cdl_hub_kind kind, cdl_hub_source **source);

#endif
