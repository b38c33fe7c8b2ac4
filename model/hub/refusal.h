/* Why the hub does not give a file, in one line. */
#ifndef CONDLORA_MODEL_HUB_REFUSAL_H
#define CONDLORA_MODEL_HUB_REFUSAL_H

#include "model/hub/answer.h"
#include "model/hub/settings.h"

/* Returns whether the answer means that the commit has no such file. `commit_known`: the repository
 * and its commit exist. */
bool hub_refusal_is_absence(const hub_answer *answer, bool commit_known);

/* Fails with what an answer means that is neither content nor an absent file: ABSENT for a model or
 * a revision that does not exist, else IO. The token is not shown. */
cdl_status hub_refusal_explain(const hub_answer *answer, const char *text, const hub_name *name,
                               const hub_settings *settings);

#endif
