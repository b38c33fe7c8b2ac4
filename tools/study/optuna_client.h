/* The client of Optuna: scripts/optuna-bridge runs as a child process, which gets a line of JSON
 * and answers with one (docs/search.md). */
#ifndef CONDLORA_TOOLS_STUDY_OPTUNA_CLIENT_H
#define CONDLORA_TOOLS_STUDY_OPTUNA_CLIENT_H

#include <jansson.h>

#include "ranks/ranks.h"

typedef struct study_optuna_client study_optuna_client;

/* Starts the bridge with the Python that CDL_PYTHON names, by default python3. Stop it with
 * study_optuna_client_stop. Of the ranks of a job (borrowed; NULL: one rank) the first starts it
 * and tells the others each reply, so that all make the same calls; all return the same status.
 * Errors: ABSENT if there is no Python or no bridge. */
CDL_MUST_USE cdl_status study_optuna_client_start(ranks_job *job, study_optuna_client **client);
/* Ends the bridge and waits for its end. `client` may be NULL. */
void study_optuna_client_stop(study_optuna_client *client);

/* Sends `request`, whose reference it takes (NULL is reported as MEMORY), and waits for the reply,
 * which the caller releases. Errors: IO with the bridge's own message if it reports one or has
 * ended; DATA if the reply is no JSON object. */
CDL_MUST_USE cdl_status study_optuna_client_call(study_optuna_client *client, json_t *request,
                                                 json_t **reply);

#endif
