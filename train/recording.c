#include "train/recording.h"

#include <stdlib.h>
#include <string.h>

#include "condlora/log.h"

/* Whatever a driver or its libraries answer to a recording, nothing of it has run, so one that
 * fails is given up, with those to come. If the device itself is at fault, the work says so when it
 * runs. */
static void record(cdl_queue *q, bool *failed, cdl_graph **graph, train_work *work,
                   const void *context)
{
  cdl_status status = cdl_queue_capture_begin(q);
  if (status == CDL_STATUS_OK) {
    work(q, context);
    status = cdl_queue_capture_end(q, graph);
  }
  if (status == CDL_STATUS_OK)
    return;
  cdl_log(CDL_LOG_NOTICE, "steps are not recorded: %s", cdl_error_message());
  *failed = true;
}

cdl_status train_enqueue(cdl_queue *q, train_recording recording, cdl_graph **graph,
                         train_work *work, const void *context)
{
  CDL_TRY(cdl_queue_status(q));
  if (recording.wanted && !*recording.failed && *graph == NULL)
    record(q, recording.failed, graph, work, context);
  if (*graph != NULL)
    cdl_queue_replay(q, *graph);
  else
    work(q, context);
  return cdl_queue_status(q);
}

/* Rounds up to a multiple of 64, or, for larger counts, of the power of two that is at most 1/16 of
 * the count. So the superfluous rows of a long batch are below 1/16. */
static int32_t round_up(int32_t count, size_t bound)
{
  enum { LEAST = 64, PARTS = 16 };
  int32_t unit = LEAST;
  while (unit <= count / (2 * PARTS))
    unit *= 2;
  const int64_t rounded = ((int64_t)count + unit - 1) / unit * unit;
  return rounded < (int64_t)bound ? (int32_t)rounded : (int32_t)bound;
}

void train_round_shape(train_batch_shape *shape, encoder_batch_bound bound)
{
  shape->tokens = round_up(shape->tokens, bound.tokens);
  shape->longest = round_up(shape->longest, bound.longest);
}

static bool same(const train_batch_shape *a, const train_batch_shape *b, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (a[i].tokens != b[i].tokens || a[i].sequences != b[i].sequences ||
        a[i].longest != b[i].longest)
      return false;
  return true;
}

/* Returns false if there is no room for another. */
static bool make_room(train_recorded_passes *p)
{
  if (p->count < p->capacity)
    return true;
  const size_t capacity = p->capacity > 0 ? 2 * p->capacity : 16;
  if (capacity > TRAIN_RECORDED_PASSES)
    return false;
  train_recorded_pass *grown = realloc(p->pass, capacity * sizeof *grown);
  if (grown == NULL)
    return false;
  p->pass = grown;
  p->capacity = capacity;
  return true;
}

cdl_graph **train_recorded_pass_of(train_recorded_passes *p, const train_batch_shape *shapes,
                                   size_t count, bool *first)
{
  *first = false;
  for (size_t i = 0; i < p->count; i++)
    if (same(p->pass[i].shape, shapes, count))
      return &p->pass[i].graph;
  if (!make_room(p))
    return NULL;
  *first = true;
  train_recorded_pass *added = &p->pass[p->count++];
  *added = (train_recorded_pass){.graph = NULL};
  memcpy(added->shape, shapes, count * sizeof *shapes);
  return &added->graph;
}

void train_recorded_passes_release(train_recorded_passes *p)
{
  for (size_t i = 0; i < p->count; i++)
    cdl_graph_destroy(p->pass[i].graph);
  free(p->pass);
  *p = (train_recorded_passes){0};
}
