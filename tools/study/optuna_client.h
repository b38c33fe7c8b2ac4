/* The way to Optuna: scripts/optuna-bridge as a child process, a line of JSON there and one back
 * (docs/search.md). */
#ifndef CONDLORA_TOOLS_STUDY_OPTUNA_CLIENT_H
#define CONDLORA_TOOLS_STUDY_OPTUNA_CLIENT_H

#include <jansson.h>

#include "condlora/status.h"

typedef struct study_optuna_client study_optuna_client;

/* Starts the bridge with the Python of CDL_PYTHON, else python3. ABSENT where there is none. */
CDL_MUST_USE cdl_status study_optuna_client_start(study_optuna_client **client);
/* Ends it, and waits until it has. NULL is nothing to end. */
void study_optuna_client_stop(study_optuna_client *client);

/* Sends `request`, which it takes over (NULL counts as memory that is out), and waits for the reply,
 * to be released by the caller. IO with the bridge's own words where it reports an error, and where
 * it is no longer there; DATA for a reply that is no JSON object. */
CDL_MUST_USE cdl_status study_optuna_client_call(study_optuna_client *client, json_t *request,
                                                 json_t **reply);

#endif
