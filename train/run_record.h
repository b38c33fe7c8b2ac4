/* run.json as a source of settings: of a run that is resumed, and as a config that repeats it. */
#ifndef CONDLORA_TRAIN_RUN_RECORD_H
#define CONDLORA_TRAIN_RUN_RECORD_H

#include "train/settings.h"

/* The record's settings as a config has them, if `object` is a run's record: without those that say
 * where it wrote and how it was called (output, resume, dry_run, trace), and without numbers below
 * 0, which mean that nothing was said. What else a record holds (versions, backend, seeds, modules)
 * follows from them. NULL when it is none, or memory is out; borrowed from `object`, in which the
 * keys are removed. */
json_t *train_run_record_settings(json_t *object);

/* Whether a resumed run may have another value: a schedule of another length, and where the base
 * and the examples lie, which are held against what they were by their content. */
bool train_run_record_may_change(const char *field);

/* For --resume: what is not marked in `given` (by place in train_setting_list) comes from the record
 * in the output folder. USAGE where a setting that was given, and changes the result, is another;
 * ABSENT where there is no record. */
CDL_MUST_USE cdl_status train_run_record_resume(train_settings *settings, const bool *given);

#endif
