/* run.json as a source of settings: to resume a run, and as a config that repeats it. */
#ifndef CONDLORA_TRAIN_RUN_RECORD_H
#define CONDLORA_TRAIN_RUN_RECORD_H

#include "train/settings.h"

/* Returns the settings of a run's record `object` as a config. Settings of output and invocation
 * (output, resume, dry_run, trace) and unset numbers (below 0) are removed from `object`. The other
 * entries of a record (versions, backend, seeds, modules) follow from the settings. Borrowed from
 * `object`. NULL if `object` is not a record, or memory is out. */
json_t *train_run_record_settings(json_t *object);

/* Returns whether a resumed run may change this setting: the length of the run, and the paths of
 * base and examples, whose contents are compared instead. */
bool train_run_record_may_change(const char *field);

/* For --resume: takes settings that are not marked in `given` (by index in train_setting_list) from
 * the record in the output folder. Errors: USAGE if a given setting that affects the result
 * differs; ABSENT if there is no record. */
CDL_MUST_USE cdl_status train_run_record_resume(train_settings *settings, const bool *given);

#endif
