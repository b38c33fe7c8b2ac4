/* What the environment says of the hub, by the names and defaults of Python's huggingface_hub
 * (huggingface_hub/constants.py). Empty variables count as unset. */
#ifndef CONDLORA_MODEL_HUB_SETTINGS_H
#define CONDLORA_MODEL_HUB_SETTINGS_H

#include <stdbool.h>

#include "condlora/status.h"

enum { HUB_TOKEN_BYTES = 512 };

typedef struct {
  char *endpoint;     /* HF_ENDPOINT without a slash at its end, or https://huggingface.co */
  char *cache;        /* HF_HUB_CACHE, else "hub" in HF_HOME, else in ~/.cache/huggingface */
  char *certificates; /* REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE; NULL: libcurl's own */
  char token[HUB_TOKEN_BYTES]; /* HF_TOKEN, else the file's; "": none. Never in a message */
  bool offline;                /* HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE */
  long seconds;                /* HF_HUB_DOWNLOAD_TIMEOUT, of silence */
} hub_settings;

/* Errors: USAGE for a value that cannot be used, naming the variable; MEMORY. */
CDL_MUST_USE cdl_status hub_settings_read(hub_settings *settings);
/* Forgets the token, too. */
void hub_settings_release(hub_settings *settings);

#endif
