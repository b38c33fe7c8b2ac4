/* Opening a job, and its collective functions in bounded time. */
#include "ranks/ranks.h"

#include <assert.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/dispositions.h"
#include "base/hash.h"
#include "base/machine.h"
#include "base/process.h"
#include "condlora/log.h"
#include "ranks/library.h"
#include "ranks/watch.h"

struct ranks_job {
  const ranks_mpi_table *mpi;
  ranks_launcher_kind launcher;
  char library[RANKS_MPI_TEXT];
  int rank, size;
  ranks_peer *peer;     /* [size] */
  int *counts, *starts; /* [size] of a gather */
  bool *present;        /* [size] of a roll call */
  double limit;         /* seconds of a meeting */
  double waited;
  ranks_observer *observer;
  void *observing;
  int64_t meetings; /* that this rank has come to */
  /* Of the failure that this rank has met: all ranks know it; it names ranks; another prints it. */
  bool agreed, named, silent;
  char broken[1024]; /* how a meeting has failed: none comes about after it; "": none has */
};

/* ---- Facts ---- */

int ranks_size(const ranks_job *job)
{
  return job != NULL ? job->size : 1;
}

int ranks_rank(const ranks_job *job)
{
  return job != NULL ? job->rank : 0;
}

const ranks_peer *ranks_peer_of(const ranks_job *job, int rank)
{
  return job != NULL ? &job->peer[rank] : NULL;
}

int ranks_local_rank(const ranks_job *job)
{
  return job != NULL ? job->peer[job->rank].local_rank : 0;
}

bool ranks_same_host(const ranks_job *job, int one, int other)
{
  return job == NULL || strcmp(job->peer[one].host, job->peer[other].host) == 0;
}

int ranks_local_size(const ranks_job *job)
{
  int count = 0;
  for (int i = 0; job != NULL && i < job->size; i++)
    count += ranks_same_host(job, i, job->rank);
  return job != NULL ? count : 1;
}

int ranks_hosts(const ranks_job *job)
{
  int count = 0;
  for (int i = 0; job != NULL && i < job->size; i++)
    count += job->peer[i].local_rank == 0;
  return job != NULL ? count : 1;
}

void ranks_share_devices(const ranks_job *job, int *number, int *count)
{
  *number = *count = 0;
  for (int i = 0; job != NULL && i < job->size; i++) {
    const ranks_peer *peer = &job->peer[i], *own = &job->peer[job->rank];
    if (!ranks_same_host(job, i, job->rank) || peer->devices != own->devices)
      continue;
    *number += i < job->rank;
    ++*count;
  }
}

const char *ranks_library(const ranks_job *job)
{
  return job != NULL ? job->library : "";
}

double ranks_limit(const ranks_job *job)
{
  return job != NULL ? job->limit : 0;
}

double ranks_waited(const ranks_job *job)
{
  return job != NULL ? job->waited : 0;
}

void ranks_observe(ranks_job *job, ranks_observer *observer, void *user)
{
  if (job == NULL)
    return;
  job->observer = observer;
  job->observing = user;
}

bool ranks_speaks(const ranks_job *job)
{
  return job == NULL || !job->silent;
}

cdl_status ranks_name_failure(const ranks_job *job, cdl_status status)
{
  if (job == NULL || job->named)
    return status;
  return cdl_context(status, "rank %d (%s)", job->rank, job->peer[job->rank].host);
}

int ranks_launched(const char **name, bool *first)
{
  const ranks_launcher launcher = ranks_launcher_find();
  *name = launcher.name;
  *first = ranks_launcher_speaks(&launcher);
  return launcher.size > 0 ? launcher.size : 1;
}

/* ---- Waiting ---- */

static cdl_status failed(const ranks_job *job, int code, const char *what)
{
  char text[RANKS_MPI_TEXT] = "";
  job->mpi->explain(code, text);
  return cdl_fail(CDL_STATUS_DEVICE, "%s: %s: %s", job->library, what, text);
}

enum { ASK, ANSWER };

/* Answers ranks that ask who is there, and notes who has answered. */
static int attend(ranks_job *job)
{
  for (;;) {
    int from;
    int64_t message[RANKS_MPI_MESSAGE];
    int code = job->mpi->receive(&from, message);
    if (code != 0 || from < 0)
      return code;
    /* A rank that waits at another meeting is there, too: it waits for somebody else. */
    job->present[from] = true;
    const int64_t answer[RANKS_MPI_MESSAGE] = {ANSWER, job->meetings};
    if (message[0] == ASK && (code = job->mpi->send(from, answer)) != 0)
      return code;
  }
}

/* The processes may be more than the cores: who waits leaves its core to the others. */
static void pause_for(unsigned turn)
{
  enum { SPINS = 64, YIELDS = 2048, NAP_NS = 50000 };
  if (turn >= YIELDS)
    nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
  else if (turn >= SPINS)
    sched_yield();
}

static void name_absent(const ranks_job *job, char *text, size_t room)
{
  enum { NAMED = 4 };
  int absent = 0;
  size_t used = 0;
  for (int i = 0; i < job->size; i++) {
    if (job->present[i] || absent++ >= NAMED)
      continue;
    const ranks_peer *p = &job->peer[i];
    const int wrote = snprintf(text + used, room - used, "%srank %d (%s, process %lld)",
                               used > 0 ? ", " : "", i, p->host, (long long)p->process);
    used += wrote > 0 && (size_t)wrote < room - used ? (size_t)wrote : 0;
  }
  if (absent > NAMED)
    snprintf(text + used, room - used, " and %d more", absent - NAMED);
}

/* Asks all ranks who is there; a rank that computes or is stopped does not answer. */
static cdl_status call_roll(ranks_job *job, const char *what)
{
  enum { GRACE = 3 };
  const int64_t question[RANKS_MPI_MESSAGE] = {ASK, job->meetings};
  memset(job->present, 0, (size_t)job->size * sizeof *job->present);
  job->present[job->rank] = true;
  int code = 0;
  for (int i = 0; code == 0 && i < job->size; i++)
    if (i != job->rank)
      code = job->mpi->send(i, question);
  const double until = base_process_seconds() + GRACE;
  while (code == 0 && base_process_seconds() < until) {
    code = attend(job);
    pause_for(UINT_MAX);
  }
  if (code != 0)
    return failed(job, code, what);
  int first = 0, there = 0;
  while (!job->present[first])
    first++;
  for (int i = 0; i < job->size; i++)
    there += job->present[i];
  job->silent = first != job->rank;
  job->named = true;
  if (there == job->size)
    return cdl_fail(CDL_STATUS_DEVICE,
                    "%s: the ranks have waited for each other for %.0f s: %s does not bring them "
                    "together",
                    what, job->limit, job->library);
  char absent[512] = "";
  name_absent(job, absent, sizeof absent);
  return cdl_fail(CDL_STATUS_DEVICE, "%s: %s did not come within %.0f s; the job ends", what,
                  absent, job->limit);
}

static cdl_status wait_until_done(ranks_job *job, int code, const char *what)
{
  enum { TURNS_OF_ATTENDING = 256 };
  const double began = base_process_seconds();
  for (unsigned turn = 0; code == 0; turn += turn < UINT_MAX) {
    int done = 0;
    code = job->mpi->test(&done);
    if (code != 0)
      break;
    const double now = base_process_seconds();
    if (done) {
      job->waited += now - began;
      if (job->observer != NULL)
        job->observer(job->observing, what, began, now);
      return CDL_STATUS_OK;
    }
    if (now - began > job->limit)
      return call_roll(job, what);
    if (turn % TURNS_OF_ATTENDING == TURNS_OF_ATTENDING - 1)
      code = attend(job);
    pause_for(turn);
  }
  return failed(job, code, what);
}

static cdl_status wait_for(ranks_job *job, int code, const char *what)
{
  const cdl_status status = wait_until_done(job, code, what);
  if (status != CDL_STATUS_OK)
    snprintf(job->broken, sizeof job->broken, "%s", cdl_error_message());
  return status;
}

/* ---- Collective functions ---- */

static cdl_status come(ranks_job *job)
{
  if (job->broken[0] != '\0')
    return cdl_fail(CDL_STATUS_DEVICE, "%s", job->broken);
  job->meetings++;
  return CDL_STATUS_OK;
}

cdl_status ranks_barrier(ranks_job *job, const char *what)
{
  if (job == NULL)
    return CDL_STATUS_OK;
  CDL_TRY(come(job));
  return wait_for(job, job->mpi->barrier(), what);
}

cdl_status ranks_broadcast(ranks_job *job, void *bytes, size_t count, int root, const char *what)
{
  enum { MOST = 1 << 30 };
  uint8_t *at = bytes;
  while (job != NULL && count > 0) {
    const int part = count < MOST ? (int)count : MOST;
    CDL_TRY(come(job));
    CDL_TRY(wait_for(job, job->mpi->broadcast(at, part, root), what));
    at += part;
    count -= (size_t)part;
  }
  return CDL_STATUS_OK;
}

cdl_status ranks_gather_each(ranks_job *job, const void *mine, const size_t *counts, void *all,
                             const char *what)
{
  if (job == NULL) {
    memcpy(all, mine, counts[0]);
    return CDL_STATUS_OK;
  }
  size_t total = 0;
  for (int i = 0; i < job->size; i++) {
    if (counts[i] > INT_MAX - total)
      return cdl_fail(CDL_STATUS_ARGUMENT, "%s: the ranks' bytes are more than %d", what, INT_MAX);
    job->counts[i] = (int)counts[i];
    job->starts[i] = (int)total;
    total += counts[i];
  }
  CDL_TRY(come(job));
  return wait_for(
      job, job->mpi->gather(mine, job->counts[job->rank], all, job->counts, job->starts), what);
}

cdl_status ranks_gather(ranks_job *job, const void *mine, size_t count, void *all, const char *what)
{
  if (job == NULL) {
    memcpy(all, mine, count);
    return CDL_STATUS_OK;
  }
  size_t *counts = malloc((size_t)job->size * sizeof *counts);
  if (counts == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d ranks", job->size);
  for (int i = 0; i < job->size; i++)
    counts[i] = count;
  const cdl_status status = ranks_gather_each(job, mine, counts, all, what);
  free(counts);
  return status;
}

/* ---- Agreeing ---- */

typedef struct {
  int32_t status;
  char message[1024];
} outcome;

static cdl_status take_first(ranks_job *job, const outcome *all)
{
  int first = 0, failures = 0;
  for (int i = job->size; i-- > 0;)
    if (all[i].status != CDL_STATUS_OK) {
      first = i;
      failures++;
    }
  if (failures == 0)
    return CDL_STATUS_OK;
  job->agreed = job->named = true;
  job->silent = job->rank != 0;
  const outcome *o = &all[first];
  if (failures == job->size)
    return cdl_fail((cdl_status)o->status, "%s", o->message);
  return cdl_fail((cdl_status)o->status, "rank %d (%s): %s", first, job->peer[first].host,
                  o->message);
}

cdl_status ranks_agree(ranks_job *job, cdl_status status, const char *what)
{
  if (job == NULL)
    return status;
  int32_t *codes = malloc((size_t)job->size * sizeof *codes);
  outcome *all = calloc((size_t)job->size, sizeof *all), mine = {.status = (int32_t)status};
  cdl_status met = codes != NULL && all != NULL
                       ? CDL_STATUS_OK
                       : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d ranks", job->size);
  if (status != CDL_STATUS_OK)
    snprintf(mine.message, sizeof mine.message, "%s", cdl_error_message());
  if (met == CDL_STATUS_OK)
    met = ranks_gather(job, &mine.status, sizeof mine.status, codes, what);
  bool all_well = true;
  for (int i = 0; met == CDL_STATUS_OK && i < job->size; i++)
    all_well = all_well && codes[i] == CDL_STATUS_OK;
  if (met == CDL_STATUS_OK && !all_well) /* messages are exchanged only where there are any */
    met = ranks_gather(job, &mine, sizeof mine, all, what);
  if (met == CDL_STATUS_OK && !all_well)
    met = take_first(job, all);
  else if (met == CDL_STATUS_OK)
    job->agreed = job->named = job->silent = false;
  free(codes);
  free(all);
  return met;
}

bool ranks_agreed(const ranks_job *job)
{
  return job == NULL || job->agreed;
}

/* ---- Opening and closing ---- */

static double limit_of_meetings(void)
{
  enum { USUAL = 600 };
  const char *text = getenv("CDL_RANKS_TIMEOUT");
  char *end;
  const double seconds = text != NULL ? strtod(text, &end) : 0;
  return seconds >= 1 && *end == '\0' ? seconds : USUAL;
}

static cdl_status begin_mpi(ranks_job *job, const ranks_launcher *launcher)
{
  char late[256];
  snprintf(late, sizeof late,
           "condlora: %.100s: the processes did not find each other within %.0f s; is one of them "
           "missing?",
           job->library, job->limit);
  ranks_watch watch;
  base_dispositions kept;
  base_dispositions_keep(&kept);
  ranks_watch_begin(&watch, job->limit, late);
  const int code = job->mpi->begin(&job->rank, &job->size);
  ranks_watch_end(&watch);
  base_dispositions_restore(&kept);
  if (code != 0)
    return cdl_fail(CDL_STATUS_DEVICE, "%s does not start (its error %d)", job->library, code);
  if (launcher->size > 0 && job->size != launcher->size)
    return cdl_fail(CDL_STATUS_USAGE,
                    "%s started %d processes, but %s sees %d: start the program with the mpirun of "
                    "the MPI that it opens, or choose one with CDL_MPI",
                    launcher->name, launcher->size, job->library, job->size);
  return CDL_STATUS_OK;
}

static cdl_status allocate(ranks_job *job)
{
  const size_t size = (size_t)job->size;
  job->peer = calloc(size, sizeof *job->peer);
  job->counts = calloc(size, sizeof *job->counts);
  job->starts = calloc(size, sizeof *job->starts);
  job->present = calloc(size, sizeof *job->present);
  if (job->peer == NULL || job->counts == NULL || job->starts == NULL || job->present == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d ranks", job->size);
  return CDL_STATUS_OK;
}

/* The first words of a rank. Programs of other versions say them too, so their size stays. */
typedef struct {
  char host[64], program[192];
} greeting;
static_assert(sizeof(greeting) == 256, "programs of all versions exchange 256 bytes");

/* Programs that differ may not understand each other in anything else. */
static cdl_status greet(ranks_job *job, const char *program)
{
  greeting mine = {0}, *all = calloc((size_t)job->size, sizeof *all);
  if (all == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d ranks", job->size);
  const base_machine machine = base_machine_look();
  snprintf(mine.host, sizeof mine.host, "%.63s", machine.host);
  snprintf(mine.program, sizeof mine.program, "%s", program);
  cdl_status status = ranks_gather(job, &mine, sizeof mine, all, "the start");
  for (int i = 1; status == CDL_STATUS_OK && i < job->size; i++) {
    all[i].host[sizeof mine.host - 1] = all[i].program[sizeof mine.program - 1] = '\0';
    if (strcmp(all[0].program, all[i].program) == 0)
      continue;
    job->agreed = job->named = true;
    job->silent = job->rank != 0;
    status = cdl_fail(CDL_STATUS_USAGE,
                      "rank %d (%s) runs %s, rank 0 (%s) runs %s; all ranks of a job run the same",
                      i, all[i].host, all[i].program, all[0].host, all[0].program);
  }
  free(all);
  return status;
}

static cdl_status meet_peers(ranks_job *job)
{
  const base_machine machine = base_machine_look();
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  ranks_peer me = {.process = getpid(), .devices = BASE_FNV_START};
  if (visible != NULL)
    me.devices = base_fnv(BASE_FNV_START, visible, strlen(visible) + 1);
  snprintf(me.host, sizeof me.host, "%s", machine.host);
  job->peer[job->rank] = me;
  CDL_TRY(ranks_gather(job, &me, sizeof me, job->peer, "the start"));
  for (int i = 0; i < job->size; i++) {
    job->peer[i].local_rank = 0;
    for (int before = 0; before < i; before++)
      job->peer[i].local_rank += ranks_same_host(job, before, i);
  }
  return CDL_STATUS_OK;
}

static void release(ranks_job *job)
{
  free(job->peer);
  free(job->counts);
  free(job->starts);
  free(job->present);
  free(job);
}

cdl_status ranks_open(ranks_job **opened, const char *program)
{
  const ranks_launcher launcher = ranks_launcher_find();
  *opened = NULL;
  cdl_log(CDL_LOG_DEBUG, "ranks: %s, %d processes", launcher.name, launcher.size);
  if (launcher.size == 1)
    return CDL_STATUS_OK;
  if (launcher.kind == RANKS_LAUNCHER_BARE_SLURM)
    return cdl_fail(CDL_STATUS_USAGE,
                    "%s started %d processes without an MPI interface; give it --mpi=pmix (Open "
                    "MPI) or --mpi=pmi2 (MPICH), or -n 1",
                    launcher.name, launcher.size);
  ranks_job *job = calloc(1, sizeof *job);
  if (job == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a job of %d ranks", launcher.size);
  job->launcher = launcher.kind;
  job->limit = limit_of_meetings();
  cdl_status status = ranks_library_open(&launcher, &job->mpi, job->library);
  if (status == CDL_STATUS_OK)
    status = begin_mpi(job, &launcher);
  if (status == CDL_STATUS_OK)
    status = allocate(job);
  if (status == CDL_STATUS_OK)
    status = greet(job, program);
  if (status == CDL_STATUS_OK)
    status = meet_peers(job);
  if (status != CDL_STATUS_OK && !job->agreed) {
    release(job);
    return status;
  }
  *opened = job;
  return status;
}

void ranks_close(ranks_job *job, cdl_status status)
{
  enum { EXIT_OF_ABORT = 1, SECONDS_FOR_THE_LINE = 1, SECONDS_FOR_THE_SPEAKER = 3 };
  if (job == NULL)
    return;
  if (status != CDL_STATUS_OK && !job->agreed) {
    /* A launcher that aborts a job may drop what it has not yet passed on of a process's output. */
    sleep(job->silent ? SECONDS_FOR_THE_SPEAKER : SECONDS_FOR_THE_LINE);
    /* mpirun of Open MPI 4.1 may wait for itself forever after MPI_Abort. It also ends all
     * processes if one of them exits without MPI_Finalize. */
    if (job->launcher == RANKS_LAUNCHER_OPEN_MPI)
      _exit(EXIT_OF_ABORT);
    job->mpi->abort(EXIT_OF_ABORT);
  } else {
    ranks_watch watch;
    ranks_watch_begin(&watch, job->limit, "condlora: a rank did not come to the end of the job");
    (void)job->mpi->end();
    ranks_watch_end(&watch);
  }
  release(job);
}
