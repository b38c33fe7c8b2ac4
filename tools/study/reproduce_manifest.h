/* The manifest of an output folder: what all runs in it share. */
#ifndef CONDLORA_TOOLS_STUDY_REPRODUCE_MANIFEST_H
#define CONDLORA_TOOLS_STUDY_REPRODUCE_MANIFEST_H

#include "tools/study/reproduce_state.h"

/* Writes reproduce.json: the request, and hashes of the model and of the tasks' files. Errors:
 * USAGE, naming the difference, if an earlier call had another request; DATA if files have changed
 * since. */
CDL_MUST_USE cdl_status study_reproduce_manifest(const study_reproduction *r);

/* Hashes of the base model's weights, and of the files of a task that its runs read. */
CDL_MUST_USE cdl_status study_hash_model(const char *folder, uint64_t *hash);
CDL_MUST_USE cdl_status study_hash_task(const cdl_task *task, const char *data, uint64_t *hash);

#endif
