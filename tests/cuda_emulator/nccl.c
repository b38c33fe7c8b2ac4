/* libnccl.so.2: communicators of processes of this host. Their members share a board, a file of
 * shared memory that the unique id names. A gather is a piece of work that is not ready before all
 * members have put their bytes there; as on a device, it never ends where one does not come. While
 * there is a communicator, a thread lets work run: a device goes on when the host waits for
 * something else, and other members need what it gives. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/cuda_emulator/emulator.h"

enum { MEMBERS_MAX = 16, SLOT_BYTES = 1 << 26 }; /* pages that nobody writes take no memory */

typedef struct {
  atomic_int process, device; /* process 0: it has not joined */
  atomic_size_t bytes;
  atomic_ullong put, taken; /* gathers whose bytes it has put there, and taken from all */
} member;

typedef struct {
  atomic_int joined, size;
  member members[MEMBERS_MAX];
} board;

/* Counted by its handle and by the gathers that are enqueued or recorded. */
typedef struct {
  board *board;
  int rank, size, users;
  unsigned long long done; /* gathers */
  bool has_put;            /* its bytes of the next one */
  atomic_bool aborted, ends;
  pthread_t thread;
} group;

static const size_t board_bytes = 4096 + (size_t)MEMBERS_MAX * SLOT_BYTES;

static unsigned char *slot_of(const group *g, int rank)
{
  return (unsigned char *)g->board + 4096 + (size_t)rank * SLOT_BYTES;
}

_Static_assert(sizeof(board) <= 4096, "slots begin after the board");

static void group_release(group *g)
{
  if (--g->users > 0)
    return;
  munmap(g->board, board_bytes);
  free(g);
}

static group *group_find(ncclComm_t handle)
{
  group **found = object_find(OBJECT_GROUP, handle);
  return found != NULL ? *found : NULL;
}

/* ---- The thread ---- */

static void *let_work_run(void *user)
{
  group *g = user;
  while (!atomic_load(&g->ends)) {
    emulator_lock();
    stream_stir();
    emulator_unlock();
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
  }
  return NULL;
}

/* Ends it, without the lock that it may wait for. */
static void end_thread(group *g)
{
  atomic_store(&g->ends, true);
  emulator_unlock();
  pthread_join(g->thread, NULL);
  emulator_lock();
}

/* ---- Communicators ---- */

ncclResult_t ncclGetVersion(int *version)
{
  ENTER_OR(ncclInternalError);
  *version = setting_nccl();
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
  static int given;
  ENTER_OR(ncclSystemError);
  memset(id, 0, sizeof *id);
  snprintf(id->internal, sizeof id->internal, "/condlora-emulated-nccl-%d-%d", getpid(), given++);
  return ncclSuccess;
}

static board *board_open(const char *name)
{
  const int file = shm_open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void *memory = MAP_FAILED;
  if (file >= 0 && ftruncate(file, (off_t)board_bytes) == 0)
    memory = mmap(NULL, board_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
  if (file >= 0)
    close(file);
  return memory != MAP_FAILED ? memory : NULL;
}

/* Two members on one device are refused, as NVIDIA's does; all members see it. */
static bool shares_a_device(const board *b, int size)
{
  for (int i = 0; i < size; i++)
    for (int k = 0; k < i; k++)
      if (atomic_load(&b->members[i].device) == atomic_load(&b->members[k].device))
        return true;
  return false;
}

ncclResult_t ncclCommInitRank(ncclComm_t *created, int size, ncclUniqueId id, int rank)
{
  ENTER_OR(ncclUnhandledCudaError);
  if (context_check() != CUDA_SUCCESS)
    return ncclUnhandledCudaError;
  if (size < 1 || size > MEMBERS_MAX || rank < 0 || rank >= size || id.internal[0] != '/')
    return ncclInvalidArgument;
  board *b = board_open(id.internal);
  if (b == NULL)
    return ncclSystemError;
  atomic_store(&b->members[rank].device, context_device());
  atomic_store(&b->members[rank].process, getpid());
  if (atomic_fetch_add(&b->joined, 1) + 1 == size)
    shm_unlink(id.internal);
  while (atomic_load(&b->joined) < size)
    emulator_pause();
  if (shares_a_device(b, size)) {
    munmap(b, board_bytes);
    return ncclInvalidUsage;
  }
  group *g = calloc(1, sizeof *g), **slot;
  if (g == NULL)
    abort();
  *g = (group){.board = b, .rank = rank, .size = size, .users = 1};
  if (pthread_create(&g->thread, NULL, let_work_run, g) != 0)
    abort();
  *created = object_create(OBJECT_GROUP, sizeof g, (void **)&slot);
  *slot = g;
  return ncclSuccess;
}

/* NVIDIA's waits here until no graph has a gather of the communicator any more. */
ncclResult_t ncclCommDestroy(ncclComm_t handle)
{
  ENTER();
  group *g = group_find(handle);
  if (g == NULL)
    return ncclInvalidArgument;
  if (g->users > 1)
    emulator_violation("ncclCommDestroy: %d gathers of it are enqueued or recorded", g->users - 1);
  end_thread(g);
  object_destroy(OBJECT_GROUP, handle);
  group_release(g);
  return this_call.fails ? ncclInternalError : ncclSuccess;
}

/* Gathers that wait end at once. */
ncclResult_t ncclCommAbort(ncclComm_t handle)
{
  ENTER();
  group *g = group_find(handle);
  if (g == NULL)
    return ncclInvalidArgument;
  atomic_store(&g->aborted, true);
  while (g->users > 1) /* as NVIDIA's does, for graphs */
    emulator_pause();
  end_thread(g);
  object_destroy(OBJECT_GROUP, handle);
  group_release(g);
  return this_call.fails ? ncclInternalError : ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t handle, ncclResult_t *error)
{
  ENTER_OR(ncclInternalError);
  const group *g = group_find(handle);
  if (g == NULL)
    return ncclInvalidArgument;
  *error = ncclSuccess;
  for (int i = 0; i < g->size; i++)
    if (kill(atomic_load(&g->board->members[i].process), 0) != 0 && errno == ESRCH)
      *error = ncclRemoteError;
  return ncclSuccess;
}

/* ---- Gathers ---- */

typedef struct {
  group *group;
  uintptr_t x, out;
  size_t bytes;
} gather;

/* A slot is free when all members have taken what was in it. */
static void put(const gather *w, const char *call)
{
  group *g = w->group;
  for (int i = 0; i < g->size; i++)
    if (atomic_load(&g->board->members[i].taken) < g->done)
      return;
  const void *view = memory_view(w->x, w->bytes, call);
  if (view == NULL) {
    emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
    return;
  }
  member *own = &g->board->members[g->rank];
  memcpy(slot_of(g, g->rank), view, w->bytes);
  atomic_store(&own->bytes, w->bytes);
  atomic_store(&own->put, g->done + 1);
  g->has_put = true;
}

static bool gather_is_ready(work *item)
{
  const gather *w = (const void *)item->payload;
  group *g = w->group;
  if (atomic_load(&g->aborted))
    return true;
  if (!g->has_put)
    put(w, item->call);
  for (int i = 0; i < g->size; i++)
    if (atomic_load(&g->board->members[i].put) < g->done + 1)
      return emulator_fault_code() != CUDA_SUCCESS;
  return true;
}

static void run_gather(work *item)
{
  const gather *w = (const void *)item->payload;
  group *g = w->group;
  if (atomic_load(&g->aborted))
    return;
  unsigned char *view = memory_view(w->out, w->bytes * (size_t)g->size, item->call);
  if (view == NULL) {
    emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
    return;
  }
  for (int i = 0; i < g->size; i++) {
    if (atomic_load(&g->board->members[i].bytes) != w->bytes)
      emulator_violation("%s: rank %d gives %zu bytes, rank %d %zu", item->call, i,
                         (size_t)atomic_load(&g->board->members[i].bytes), g->rank, w->bytes);
    memcpy(view + (size_t)i * w->bytes, slot_of(g, i), w->bytes);
  }
  g->has_put = false;
  atomic_store(&g->board->members[g->rank].taken, ++g->done);
}

static void release_gather(work *item)
{
  group_release(((const gather *)(const void *)item->payload)->group);
}

ncclResult_t ncclAllGather(const void *x, void *out, size_t count, ncclDataType_t type,
                           ncclComm_t handle, cudaStream_t on)
{
  ENTER_OR(ncclUnhandledCudaError);
  group *g = group_find(handle);
  stream *target = stream_find(on);
  if (context_check() != CUDA_SUCCESS)
    return ncclUnhandledCudaError;
  if (g == NULL || target == NULL || type != ncclInt8 || count > SLOT_BYTES)
    return ncclInvalidArgument;
  const uintptr_t from = (uintptr_t)x, to = (uintptr_t)out;
  const uintptr_t own = to + (uintptr_t)g->rank * count;
  if (from != own && from < to + (uintptr_t)g->size * count && to < from + count) {
    emulator_violation("ncclAllGather: x is part of out, but not that of rank %d", g->rank);
    return ncclInvalidArgument;
  }
  work *item = work_create(__func__, sizeof(gather), run_gather);
  item->ready = gather_is_ready;
  item->destroy = release_gather;
  memcpy(item->payload, &(gather){g, from, to, count}, sizeof(gather));
  g->users++;
  return stream_enqueue(target, item) == CUDA_SUCCESS ? ncclSuccess : ncclUnhandledCudaError;
}
