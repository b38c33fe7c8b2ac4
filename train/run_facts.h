/* Where, when and from what a run was made, for its records. */
#ifndef CONDLORA_TRAIN_RUN_FACTS_H
#define CONDLORA_TRAIN_RUN_FACTS_H

#include <jansson.h>

#include "train/session_state.h"

/* Returns the files of examples: {"train": [{"path", "bytes", "sha256"}], "dev": […]}. What is no
 * regular file has null for its content. */
json_t *train_inputs_json(const train_session *session);

/* Returns this process's part of a run, which it begins after `step` steps: {"started", "step",
 * "condlora", "commit", "host", "system", "processor", "processors"}. */
json_t *train_process_json(const char *started, int64_t step);

#endif
