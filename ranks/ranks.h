/* Several processes that train or evaluate as one job: what a launcher such as mpirun starts.
 *
 * A process that no launcher started is the one rank of a job, for which `job` is NULL; every
 * function takes NULL. MPI is opened only where a launcher started several processes.
 *
 * Collective functions are called by all ranks in the same order, each from the thread that opened
 * the job. They end within a bounded time (CDL_RANKS_TIMEOUT, in seconds): if a rank does not come,
 * the others fail with DEVICE and a message that names it, and each later call fails so at once.
 * What one rank meets alone goes through ranks_agree, so that all ranks return the same status.
 *
 * Memory is the host's. Where all ranks compute on GPUs of one kind, their own library may carry
 * bytes instead of MPI; ranks/tree.h does not depend on who carries them. */
#ifndef CONDLORA_RANKS_RANKS_H
#define CONDLORA_RANKS_RANKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

typedef struct ranks_job ranks_job;

/* ---- Opening and closing ---- */

/* Opens MPI if the environment says that a launcher started several processes; *job is NULL
 * otherwise. `program` is what this process runs, with its version; all ranks must run the same.
 * Call it once in a process, and ranks_close in any case. Errors: USAGE if the launcher has no MPI
 * interface, the MPI that was opened is not the launcher's, or a rank runs another program; ABSENT
 * if no MPI can be opened. */
CDL_MUST_USE cdl_status ranks_open(ranks_job **job, const char *program);

/* Ends the job. `status` is how this process ends. If it is a failure that the ranks did not agree
 * on, the job is aborted: the launcher ends all processes, and this function may not return. */
void ranks_close(ranks_job *job, cdl_status status);

/* Whether this process prints the failure that it has met: the only one that has it, or the first
 * of those that have. */
bool ranks_speaks(const ranks_job *job);
/* Puts this rank's name before the thread's message if the failure is this rank's alone. Returns
 * `status`. */
cdl_status ranks_name_failure(const ranks_job *job, cdl_status status);

/* Returns how many processes the launcher started, before anything is opened; 1 without one.
 * *name: the launcher; *first: whether this process speaks for those of its host. */
int ranks_launched(const char **name, bool *first);

/* ---- Facts ---- */

typedef struct {
  char host[65];
  int64_t process;
  int32_t local_rank; /* among the ranks of the host, from 0 */
  uint64_t devices;   /* hash of the variable that says which devices a process sees */
} ranks_peer;

int ranks_size(const ranks_job *job);
int ranks_rank(const ranks_job *job);
/* The ranks on this host, and this one's place among them. */
int ranks_local_size(const ranks_job *job);
int ranks_local_rank(const ranks_job *job);
int ranks_hosts(const ranks_job *job);
/* Whether two ranks are on one host. */
bool ranks_same_host(const ranks_job *job, int one, int other);
/* Counts the ranks of this host that see the same devices, and gives this one's number among them.
 * A launcher may give each rank devices of its own (CUDA_VISIBLE_DEVICES). */
void ranks_share_devices(const ranks_job *job, int *number, int *count);
/* Borrowed; NULL if the job is one rank. */
const ranks_peer *ranks_peer_of(const ranks_job *job, int rank);
/* Returns the library's version, such as "Open MPI v4.1.4"; "" if the job is one rank. */
const char *ranks_library(const ranks_job *job);
/* Returns the seconds within which all ranks come to a meeting. */
double ranks_limit(const ranks_job *job);
/* Returns the seconds that this rank has waited in collective functions. */
double ranks_waited(const ranks_job *job);

/* Called at the end of each meeting, with its name and when this rank came and left, in
 * base_process_seconds. NULL: no more. */
typedef void ranks_observer(void *user, const char *what, double came, double left);
void ranks_observe(ranks_job *job, ranks_observer *observer, void *user);

/* ---- Collective functions; `what` names the meeting in messages: "step 12" ---- */

CDL_MUST_USE cdl_status ranks_barrier(ranks_job *job, const char *what);

/* Gives every rank the `count` bytes of rank `root`. */
CDL_MUST_USE cdl_status ranks_broadcast(ranks_job *job, void *bytes, size_t count, int root,
                                        const char *what);

/* Gives every rank the bytes of all, one rank's after the other's: `all` [size * count]. */
CDL_MUST_USE cdl_status ranks_gather(ranks_job *job, const void *mine, size_t count, void *all,
                                     const char *what);
/* The same for counts that differ; all ranks know `counts` [size]. Errors: ARGUMENT if they add up
 * to more than INT_MAX. */
CDL_MUST_USE cdl_status ranks_gather_each(ranks_job *job, const void *mine, const size_t *counts,
                                          void *all, const char *what);

/* Returns OK if `status` is OK on all ranks. Otherwise every rank gets the status and the message
 * of the first rank that failed; the message begins with the rank's name if the others did not
 * fail. */
CDL_MUST_USE cdl_status ranks_agree(ranks_job *job, cdl_status status, const char *what);
/* Whether all ranks have met the last failure that this rank has met: it came from ranks_agree, and
 * they have agreed on nothing since. A rank that has failed alone must not go on to a meeting. */
bool ranks_agreed(const ranks_job *job);

/* What must be equal on all ranks: {"model", "8f3a…"}. */
typedef struct {
  const char *name, *value;
} ranks_fact;

/* Compares facts [count] over the ranks. Errors: DATA if one differs from rank 0's; the message
 * names the rank, its host and both values. Further differences are logged in lines of that form.
 */
CDL_MUST_USE cdl_status ranks_compare(ranks_job *job, const ranks_fact *facts, size_t count);

#endif
