/* The predictions of a finished run on dev. */
#ifndef CONDLORA_TOOLS_STUDY_PREDICT_H
#define CONDLORA_TOOLS_STUDY_PREDICT_H

#include "tools/study/reproduce_state.h"
#include "train/settings.h"

/* Takes the examples of dev and their logits [examples, labels]; both are borrowed. */
typedef cdl_status study_take_logits(void *user, const cdl_dataset *dataset, const float *logits,
                                     int labels);

/* Opens the adapter that the run left on disk, so that what is measured is what is kept, and gives
 * its logits on the task's dev set to `take`; NULL: another rank of the job takes them. Errors:
 * those of `take`, files and devices; NUMERIC for a logit that is not finite; CANCELLED after the
 * events' `stop`. */
CDL_MUST_USE cdl_status study_predict_dev(const study_reproduction *r,
                                          const train_settings *settings, const cdl_task *task,
                                          study_take_logits *take, void *user);

#endif
