/* Streams: lists of work that run when something waits for them, or at a random moment. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/cuda_emulator/emulator.h"

enum { STIR_ITEMS = 4 };

struct recording {
  work *first, **end;
  int users;
};

typedef enum { CAPTURE_NONE, CAPTURE_ACTIVE, CAPTURE_INVALID } capture_state;

struct stream {
  stream *next;
  int device;         /* -1: that of the current context */
  const void *handle; /* NULL: destroyed, with work left, or the default stream */
  work *first, **end;
  capture_state capture;
  pthread_t capturing_thread;
  recording *recorded;
};

/* A point in a stream that an event marks. */
typedef struct {
  stream *where; /* valid while not passed */
  bool passed, captured;
  int users;
  uint64_t nanoseconds;
} mark;

struct event {
  bool timed;
  mark *latest; /* NULL: never recorded */
};

static stream *streams;
static stream default_stream = {.device = -1, .end = &default_stream.first};

/* ---- Work ---- */

work *work_create(const char *call, size_t bytes, void (*run)(work *item))
{
  work *item = calloc(1, sizeof *item + bytes);
  if (item == NULL)
    abort();
  item->call = call;
  item->run = run;
  return item;
}

void work_destroy(work *item)
{
  if (item->destroy != NULL)
    item->destroy(item);
  free(item);
}

/* After a fault the context is lost, and nothing runs any more but what passes marks. */
static void run_item(work *item)
{
  if (!item->always && emulator_fault_code() == CUDA_SUCCESS && emulator_late_fault())
    emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
  if (item->always || emulator_fault_code() == CUDA_SUCCESS)
    item->run(item);
}

/* Returns whether the item could run. */
static bool run_first(stream *target)
{
  work *item = target->first;
  const int before = target->device >= 0 ? context_act_as(target->device) : -1;
  const bool ready =
      item->ready == NULL || emulator_fault_code() != CUDA_SUCCESS || item->ready(item);
  if (ready) {
    target->first = item->next;
    if (target->first == NULL)
      target->end = &target->first;
    run_item(item);
    work_destroy(item);
  }
  if (target->device >= 0)
    context_act_as(before);
  return ready;
}

/* ---- Streams ---- */

/* NULL and CU_STREAM_LEGACY. */
static bool is_default(CUstream handle)
{
  return (uintptr_t)handle <= 1;
}

stream *stream_find(CUstream handle)
{
  if (is_default(handle))
    return &default_stream;
  stream **found = object_find(OBJECT_STREAM, handle);
  return found != NULL ? *found : NULL;
}

CUresult stream_create(CUstream *handle)
{
  stream *made = calloc(1, sizeof *made), **slot;
  if (made == NULL)
    abort();
  void *object = object_create(OBJECT_STREAM, sizeof made, (void **)&slot);
  *slot = made;
  *made =
      (stream){.next = streams, .device = context_device(), .handle = object, .end = &made->first};
  streams = made;
  *handle = object;
  return CUDA_SUCCESS;
}

static void free_stream(stream *dead)
{
  stream **place = &streams;
  while (*place != dead)
    place = &(*place)->next;
  *place = dead->next;
  while (dead->first != NULL) {
    work *item = dead->first;
    dead->first = item->next;
    work_destroy(item);
  }
  if (dead->recorded != NULL)
    recording_release(dead->recorded);
  free(dead);
}

/* What is left to do on it is done later, as on a device. */
CUresult stream_destroy(CUstream handle)
{
  stream *target = !is_default(handle) ? stream_find(handle) : NULL;
  if (target == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  if (target->capture != CAPTURE_NONE)
    emulator_violation("cuStreamDestroy: the stream is being captured");
  object_destroy(OBJECT_STREAM, handle);
  target->handle = NULL;
  if (target->first == NULL)
    free_stream(target);
  return CUDA_SUCCESS;
}

void stream_drain(stream *target)
{
  while (target->first != NULL)
    if (!run_first(target))
      emulator_pause();
}

bool stream_proceed(stream *target)
{
  if (target->first != NULL)
    (void)run_first(target);
  return target->first == NULL;
}

void stream_stir(void)
{
  size_t waiting = 0;
  for (const stream *each = streams; each != NULL; each = each->next)
    waiting += each->first != NULL;
  if (waiting == 0)
    return;
  size_t chosen = emulator_random() % waiting;
  stream *target = streams;
  while (target->first == NULL || chosen-- > 0)
    target = target->next;
  for (uint64_t left = 1 + emulator_random() % STIR_ITEMS; left > 0 && target->first != NULL;
       left--)
    if (!run_first(target))
      break;
  if (target->first == NULL && target->handle == NULL)
    free_stream(target);
}

int stream_release_all(void)
{
  int alive = 0;
  for (stream *each = streams, *next; each != NULL; each = next) {
    next = each->next;
    if (context_is_other(each->device))
      continue;
    if (each->handle != NULL) {
      object_destroy(OBJECT_STREAM, each->handle);
      alive++;
    }
    free_stream(each);
  }
  while (default_stream.first != NULL) {
    work *item = default_stream.first;
    default_stream.first = item->next;
    work_destroy(item);
  }
  default_stream.end = &default_stream.first;
  return alive;
}

/* ---- Capture ---- */

static void append(work ***end, work *item)
{
  item->next = NULL;
  **end = item;
  *end = &item->next;
}

CUresult stream_enqueue(stream *target, work *item)
{
  if (target->capture == CAPTURE_INVALID) {
    work_destroy(item);
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  }
  append(target->capture == CAPTURE_ACTIVE ? &target->recorded->end : &target->end, item);
  return CUDA_SUCCESS;
}

bool stream_any_capturing(void)
{
  for (const stream *each = streams; each != NULL; each = each->next)
    if (each->capture != CAPTURE_NONE)
      return true;
  return default_stream.capture != CAPTURE_NONE;
}

bool stream_is_capturing(const stream *target)
{
  return target->capture != CAPTURE_NONE;
}

void stream_invalidate_capture(stream *target)
{
  if (target->capture == CAPTURE_ACTIVE)
    target->capture = CAPTURE_INVALID;
}

/* In a relaxed capture a real driver lets a thread allocate; then an allocation that only happens
 * on some devices goes unseen. */
CUresult stream_check_no_capture(void)
{
  CUresult status = CUDA_SUCCESS;
  for (stream *each = streams; each != NULL; each = each->next)
    if (each->capture != CAPTURE_NONE && pthread_equal(each->capturing_thread, pthread_self())) {
      stream_invalidate_capture(each);
      status = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
  return status;
}

static recording *recording_create(void)
{
  recording *list = calloc(1, sizeof *list);
  if (list == NULL)
    abort();
  list->end = &list->first;
  list->users = 1;
  return list;
}

CUresult capture_begin(stream *target)
{
  if (target == &default_stream || target->capture != CAPTURE_NONE)
    return target == &default_stream ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : ERROR_ILLEGAL_STATE;
  target->capture = CAPTURE_ACTIVE;
  target->capturing_thread = pthread_self();
  target->recorded = recording_create();
  return CUDA_SUCCESS;
}

CUresult capture_end(stream *target, recording **list)
{
  *list = NULL;
  if (target->capture == CAPTURE_NONE)
    return ERROR_ILLEGAL_STATE;
  if (!pthread_equal(target->capturing_thread, pthread_self()))
    return ERROR_CAPTURE_WRONG_THREAD;
  const bool valid = target->capture == CAPTURE_ACTIVE;
  target->capture = CAPTURE_NONE;
  if (valid)
    *list = target->recorded;
  else
    recording_release(target->recorded);
  target->recorded = NULL;
  return valid ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
}

recording *recording_retain(recording *list)
{
  list->users++;
  return list;
}

void recording_release(recording *list)
{
  if (--list->users > 0)
    return;
  while (list->first != NULL) {
    work *item = list->first;
    list->first = item->next;
    work_destroy(item);
  }
  free(list);
}

/* One item of a recording, as a replay enqueues it. */
typedef struct {
  recording *list;
  work *recorded;
} replayed;

static replayed replayed_of(const work *item)
{
  replayed r;
  memcpy(&r, item->payload, sizeof r);
  return r;
}

static void run_replayed(work *item)
{
  run_item(replayed_of(item).recorded);
}

static bool replayed_is_ready(work *item)
{
  work *recorded = replayed_of(item).recorded;
  return recorded->ready == NULL || recorded->ready(recorded);
}

static void release_replayed(work *item)
{
  recording_release(replayed_of(item).list);
}

CUresult recording_replay(recording *list, stream *target)
{
  for (work *each = list->first; each != NULL; each = each->next) {
    work *item = work_create("cuGraphLaunch", sizeof(replayed), run_replayed);
    item->always = true; /* the recorded item decides */
    item->ready = replayed_is_ready;
    item->destroy = release_replayed;
    memcpy(item->payload, &(replayed){recording_retain(list), each}, sizeof(replayed));
    CHECK(stream_enqueue(target, item));
  }
  return CUDA_SUCCESS;
}

/* ---- Graphs, as they are and made executable: each has a share in what was recorded ---- */

typedef struct {
  recording *list;
} graph;

void *graph_create(object_kind kind, recording *list)
{
  graph *made;
  void *handle = object_create(kind, sizeof *made, (void **)&made);
  made->list = list;
  return handle;
}

recording *graph_find(object_kind kind, const void *handle)
{
  const graph *found = object_find(kind, handle);
  return found != NULL ? found->list : NULL;
}

CUresult graph_destroy(object_kind kind, const void *handle)
{
  recording *list = graph_find(kind, handle);
  if (list == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  recording_release(list);
  object_destroy(kind, handle);
  return CUDA_SUCCESS;
}

/* ---- Events ---- */

static void mark_release(mark *point)
{
  if (point != NULL && --point->users == 0)
    free(point);
}

static mark *mark_of(const work *item)
{
  mark *point;
  memcpy(&point, item->payload, sizeof point);
  return point;
}

static void release_mark(work *item)
{
  mark_release(mark_of(item));
}

static work *mark_work(const char *call, mark *point, void (*run)(work *item))
{
  work *item = work_create(call, sizeof point, run);
  item->destroy = release_mark;
  item->always = true;
  point->users++;
  memcpy(item->payload, &point, sizeof point);
  return item;
}

static void pass_mark(work *item)
{
  mark *point = mark_of(item);
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  point->nanoseconds = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  point->passed = true;
}

static void reach_mark(const mark *point)
{
  while (!point->passed && point->where->first != NULL)
    if (!run_first(point->where))
      emulator_pause();
}

CUresult event_create(CUevent *handle, bool timed)
{
  event *made;
  *handle = object_create(OBJECT_EVENT, sizeof *made, (void **)&made);
  made->timed = timed;
  return CUDA_SUCCESS;
}

CUresult event_destroy(CUevent handle)
{
  event *found = object_find(OBJECT_EVENT, handle);
  if (found == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  mark_release(found->latest);
  object_destroy(OBJECT_EVENT, handle);
  return CUDA_SUCCESS;
}

CUresult event_record(CUevent handle, stream *target)
{
  event *found = object_find(OBJECT_EVENT, handle);
  if (found == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  mark *point = calloc(1, sizeof *point);
  if (point == NULL)
    abort();
  *point = (mark){.where = target, .users = 1, .captured = target->capture != CAPTURE_NONE};
  mark_release(found->latest);
  found->latest = point;
  return stream_enqueue(target, mark_work("cuEventRecord", point, pass_mark));
}

CUresult event_wait(CUevent handle)
{
  const event *found = object_find(OBJECT_EVENT, handle);
  if (found == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  if (found->latest == NULL)
    return CUDA_SUCCESS;
  if (found->latest->captured)
    return ERROR_CAPTURED_EVENT;
  reach_mark(found->latest);
  return CUDA_SUCCESS;
}

CUresult event_query(CUevent handle)
{
  const event *found = object_find(OBJECT_EVENT, handle);
  if (found == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  if (found->latest == NULL || found->latest->passed)
    return CUDA_SUCCESS;
  if (found->latest->captured)
    return ERROR_CAPTURED_EVENT;
  (void)stream_proceed(found->latest->where);
  return found->latest->passed ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult event_elapsed(float *milliseconds, CUevent from, CUevent to)
{
  const event *first = object_find(OBJECT_EVENT, from), *last = object_find(OBJECT_EVENT, to);
  *milliseconds = 0;
  if (first == NULL || last == NULL || !first->timed || !last->timed || first->latest == NULL ||
      last->latest == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!first->latest->passed || !last->latest->passed)
    return CUDA_ERROR_NOT_READY;
  *milliseconds =
      (float)((double)(int64_t)(last->latest->nanoseconds - first->latest->nanoseconds) * 1e-6);
  return CUDA_SUCCESS;
}
