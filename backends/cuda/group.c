/* Groups of devices by NCCL: gathers on a queue, which may be recorded, and waits that end.
 *
 * A gather whose member is gone never ends by itself, and a driver waits for it without bound. So
 * in a group the host asks whether the work is done, and meanwhile asks NCCL for errors. To give
 * up, ncclCommAbort runs on a thread of its own: it lets the kernels end, but it then waits until
 * the graphs that have gathers are destroyed, which is for the caller to do. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backends/cuda/device.h"

enum { CUDA_GROUP_WHY = 160 };

struct cuda_group {
  cuda_device *device;
  ncclComm_t communicator;
  double seconds;
  pthread_mutex_t lock; /* guards the members below */
  atomic_bool abandoned;
  bool has_aborter;
  pthread_t aborter;
  char why[CUDA_GROUP_WHY]; /* what was found; written before `abandoned` is set */
};

_Static_assert(sizeof(ncclUniqueId) == sizeof(cdl_group_key), "a key is NCCL's");

/* ---- Joining ---- */

cdl_status cuda_group_place(void *given, char place[CDL_GROUP_PLACE_BYTES])
{
  const cuda_device *device = given;
  CDL_TRY(cuda_api_open_groups());
  return CUDA_CALL(cuDeviceGetPCIBusId, place, CDL_GROUP_PLACE_BYTES, device->id);
}

cdl_status cuda_group_key(void *device, cdl_group_key *key)
{
  ncclUniqueId id;
  (void)device;
  CDL_TRY(cuda_api_open_groups());
  CDL_TRY(CUDA_GROUP_CALL(ncclGetUniqueId, &id));
  memcpy(key, &id, sizeof *key);
  return CDL_STATUS_OK;
}

cdl_status cuda_group_join(void *given, const cdl_group_key *key, int rank, int size,
                           double seconds, void **joined)
{
  cuda_device *device = given;
  ncclUniqueId id;
  memcpy(&id, key, sizeof id);
  CDL_TRY(cuda_api_open_groups());
  cuda_group *group = cuda_host->allocate(sizeof *group, 64);
  if (group == NULL)
    return cuda_host->fail(CDL_STATUS_MEMORY, "no host memory for a group");
  memset(group, 0, sizeof *group);
  group->device = device;
  group->seconds = seconds;
  cdl_status status = cuda_enter(device);
  if (status == CDL_STATUS_OK)
    status =
        cuda_leave(device, CUDA_GROUP_CALL(ncclCommInitRank, &group->communicator, size, id, rank));
  if (status != CDL_STATUS_OK) {
    cuda_host->release(group);
    return status;
  }
  pthread_mutex_init(&group->lock, NULL);
  atomic_store(&device->group, group);
  *joined = group;
  return CDL_STATUS_OK;
}

/* ---- Giving up ---- */

static void *abort_communicator(void *given)
{
  cuda_group *group = given;
  CUcontext popped;
  const bool entered = CUDA_CALL_OR_WARN(cuCtxPushCurrent_v2, group->device->context);
  const ncclResult_t answer = cuda_api.ncclCommAbort(group->communicator);
  if (answer != ncclSuccess)
    cuda_host->log(CDL_LOG_WARNING, "cuda: ncclCommAbort: %d", answer);
  if (entered)
    CUDA_CALL_OR_WARN(cuCtxPopCurrent_v2, &popped);
  return NULL;
}

/* `why` is kept for what fails later. */
static void give_up(cuda_group *group, const char *why)
{
  pthread_mutex_lock(&group->lock);
  if (!atomic_load(&group->abandoned)) {
    snprintf(group->why, sizeof group->why, "%s", why);
    atomic_store(&group->abandoned, true);
    sigset_t all, before; /* signals are for the program's threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    group->has_aborter = pthread_create(&group->aborter, NULL, abort_communicator, group) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!group->has_aborter)
      abort_communicator(group);
  }
  pthread_mutex_unlock(&group->lock);
}

void cuda_group_abandon(void *group)
{
  give_up(group, "");
}

void cuda_group_leave(void *given)
{
  cuda_group *group = given;
  cuda_device *device = group->device;
  CUcontext popped;
  atomic_store(&device->group, NULL);
  if (group->has_aborter)
    pthread_join(group->aborter, NULL);
  if (!atomic_load(&group->abandoned)) {
    const bool entered = CUDA_CALL_OR_WARN(cuCtxPushCurrent_v2, device->context);
    const ncclResult_t answer = cuda_api.ncclCommDestroy(group->communicator);
    if (answer != ncclSuccess)
      cuda_host->log(CDL_LOG_WARNING, "cuda: ncclCommDestroy: %d", answer);
    if (entered)
      CUDA_CALL_OR_WARN(cuCtxPopCurrent_v2, &popped);
  }
  pthread_mutex_destroy(&group->lock);
  cuda_host->release(group);
}

/* ---- Gathers ---- */

/* Asks NCCL for errors; *why is "" without one. A communicator that is aborted is asked nothing. */
static void find_failure(cuda_group *group, char why[CUDA_GROUP_WHY])
{
  ncclResult_t error = ncclSuccess, answer = ncclSuccess;
  pthread_mutex_lock(&group->lock);
  if (!atomic_load(&group->abandoned))
    answer = cuda_api.ncclCommGetAsyncError(group->communicator, &error);
  pthread_mutex_unlock(&group->lock);
  if (answer == ncclSuccess && error != ncclInProgress)
    answer = error;
  why[0] = '\0';
  if (answer != ncclSuccess)
    snprintf(why, CUDA_GROUP_WHY, "another member of the group is lost: NCCL says %s (%d)",
             cuda_group_error_name(answer), answer);
}

/* Gives the group up if a member is lost, or more than its seconds have passed. */
static cdl_status check_members(cuda_group *group, double waited)
{
  char why[CUDA_GROUP_WHY];
  find_failure(group, why);
  if (why[0] == '\0' && waited > group->seconds)
    snprintf(why, sizeof why, "another member of the group did not come within %.0f s",
             group->seconds);
  if (why[0] != '\0')
    give_up(group, why);
  return atomic_load(&group->abandoned)
             ? cuda_host->fail(CDL_STATUS_DEVICE, "%s",
                               group->why[0] != '\0' ? group->why : "the group was given up")
             : CDL_STATUS_OK;
}

cdl_status cuda_gather(void *given, void *of, cdl_buffer *out, size_t out_offset,
                       const cdl_buffer *x, size_t offset, size_t bytes)
{
  const cuda_queue *queue = given;
  cuda_group *group = of;
  CDL_TRY(check_members(group, 0));
  CDL_TRY(cuda_enter(group->device));
  return cuda_leave(group->device,
                    CUDA_GROUP_CALL(ncclAllGather, (void *)(uintptr_t)(cuda_address(x) + offset),
                                    (void *)(uintptr_t)(cuda_address(out) + out_offset), bytes,
                                    ncclInt8, group->communicator, queue->stream));
}

/* ---- Waits ---- */

static double now_seconds(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool is_pending(CUstream stream, CUevent event)
{
  return (event != NULL ? cuda_api.cuEventQuery(event) : cuda_api.cuStreamQuery(stream)) ==
         CUDA_ERROR_NOT_READY;
}

/* Returns when the work is done or has failed, which the driver then says itself. */
static cdl_status watch(cuda_group *group, CUstream stream, CUevent event)
{
  enum { SPINS = 2000, NAP_NS = 100000 };
  const double began = now_seconds();
  for (unsigned turn = 0; is_pending(stream, event); turn++) {
    if (turn < SPINS) {
      sched_yield();
      continue;
    }
    CDL_TRY(check_members(group, now_seconds() - began));
    nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
  }
  return CDL_STATUS_OK;
}

static cuda_group *group_of(cuda_device *device)
{
  cuda_group *group = atomic_load(&device->group);
  return group != NULL && !atomic_load(&group->abandoned) ? group : NULL;
}

cdl_status cuda_wait(cuda_device *device, CUstream stream)
{
  cuda_group *group = group_of(device);
  if (group != NULL)
    CDL_TRY(watch(group, stream, NULL));
  return CUDA_DEVICE_CALL(device, cuStreamSynchronize, stream);
}

cdl_status cuda_wait_event(cuda_device *device, CUevent event)
{
  cuda_group *group = group_of(device);
  if (group != NULL)
    CDL_TRY(watch(group, NULL, event));
  return CUDA_DEVICE_CALL(device, cuEventSynchronize, event);
}

void cuda_watch(cuda_device *device, CUstream stream)
{
  cuda_group *group = group_of(device);
  if (group != NULL)
    (void)watch(group, stream, NULL);
}
