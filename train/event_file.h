/* TensorBoard's event files: curves of a run for whoever watches it. A file is a series of records,
 * each with its length and two checksums (TFRecord); each is a protobuf message, events.proto. */
#ifndef CONDLORA_TRAIN_EVENT_FILE_H
#define CONDLORA_TRAIN_EVENT_FILE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

typedef struct train_event_file train_event_file;

typedef struct {
  const char *tag; /* "train/loss" */
  double value;
} train_scalar;

/* Makes a new file "events.out.tfevents.SECONDS.HOST.PROCESS" in `folder`, which is made if it is
 * missing. Its name sorts behind those of earlier runs there. Points of earlier files at
 * `first_step` and later are void: a resumed run writes them again. `settings` is an object of the
 * run's settings for the page "HParams"; those that are null are left out. Each record reaches the
 * system at once, so that a live run can be watched. */
CDL_MUST_USE cdl_status train_event_file_open(const char *folder, int64_t first_step,
                                              const json_t *settings, train_event_file **file);
/* Adds a point to each of `count` curves. */
CDL_MUST_USE cdl_status train_event_file_add(train_event_file *file, int64_t step,
                                             const train_scalar *scalars, size_t count);
/* Notes that the run is finished. */
CDL_MUST_USE cdl_status train_event_file_finish(train_event_file *file, int64_t step);
/* NULL is allowed. */
void train_event_file_close(train_event_file *file);

#endif
