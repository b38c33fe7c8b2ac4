/* Where, when and from what a run was made, for its records. */
#ifndef CONDLORA_TRAIN_RUN_FACTS_H
#define CONDLORA_TRAIN_RUN_FACTS_H

#include <jansson.h>

#include "condlora/status.h"

#include "ranks/ranks.h"
#include "train/session_state.h"

/* Lists the files of examples: {"train": [{"path", "bytes", "sha256"}], "dev": […]}, which the
 * caller releases. What is no regular file has null for its content. Errors: those of files. */
CDL_MUST_USE cdl_status train_inputs_json(const train_session *session, json_t **inputs);

/* Returns this process's part of a run, which it begins after `step` steps: {"started", "step",
 * "condlora", "commit", "host", "system", "processor", "processors"}, and for a job of several
 * ranks "ranks", "hosts" ([{"host", "ranks"}]) and "mpi". */
json_t *train_process_json(const ranks_job *job, const char *started, int64_t step);

#endif
