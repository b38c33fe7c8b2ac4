/* The way to Optuna: scripts/optuna-bridge as a child process, a line of JSON there and one back
 * (docs/search.md). */
#ifndef CONDLORA_TOOLS_STUDY_OPTUNA_CLIENT_H
#define CONDLORA_TOOLS_STUDY_OPTUNA_CLIENT_H

#include <jansson.h>

#include "condlora/status.h"

typedef struct cli_bridge cli_bridge;

/* Starts the bridge with the Python of CDL_PYTHON, else python3. ABSENT where there is none. */
CDL_MUST_USE cdl_status cli_bridge_start(cli_bridge **bridge);
/* Ends it, and waits until it has. NULL is nothing to end. */
void cli_bridge_stop(cli_bridge *bridge);

/* Sends `request`, which it takes over (NULL counts as memory that is out), and waits for the reply,
 * to be released by the caller. IO with the bridge's own words where it reports an error, and where
 * it is no longer there; DATA for a reply that is no JSON object. */
CDL_MUST_USE cdl_status cli_bridge_call(cli_bridge *bridge, json_t *request, json_t **reply);

#endif
