#include "ranks/host_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the first rank of a host has made the memory. Its inode tells it from what a process of the
 * same number has in another container. */
typedef struct {
  int64_t process, descriptor;
  uint64_t device, inode;
} place;

static const char what[] = "the shared memory";

/* A file in memory counts as the processes' own in a container's quota, and /dev/shm's limit is not
 * its limit. */
static cdl_status make(size_t bytes, int *file, place *p)
{
  struct stat facts;
  *file = memfd_create("condlora", MFD_CLOEXEC);
  int error = *file >= 0 ? 0 : errno;
  if (error == 0) /* pages that are missing are an error here and no signal later */
    error = posix_fallocate(*file, 0, (off_t)bytes);
  if (error == 0 && fstat(*file, &facts) != 0)
    error = errno;
  if (error != 0)
    return cdl_fail(CDL_STATUS_MEMORY, "%zu bytes for the ranks of a host: %s", bytes,
                    strerror(error));
  *p = (place){getpid(), *file, facts.st_dev, facts.st_ino};
  return CDL_STATUS_OK;
}

static cdl_status reach(const place *p, int *file)
{
  char path[64];
  struct stat facts;
  snprintf(path, sizeof path, "/proc/%lld/fd/%lld", (long long)p->process,
           (long long)p->descriptor);
  *file = open(path, O_RDWR | O_CLOEXEC);
  if (*file < 0)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "the memory of another rank: %s: %s", path,
                    strerror(errno));
  if (fstat(*file, &facts) != 0 || facts.st_dev != p->device || facts.st_ino != p->inode)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "the memory of another rank: %s is something else",
                    path);
  return CDL_STATUS_OK;
}

static cdl_status map(int file, ranks_host_memory *memory)
{
  memory->at = mmap(NULL, memory->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory->at != MAP_FAILED)
    return CDL_STATUS_OK;
  memory->at = NULL;
  return cdl_fail(CDL_STATUS_MEMORY, "%zu bytes for the ranks of a host: %s", memory->bytes,
                  strerror(errno));
}

/* The first rank of this rank's host. */
static int first_of_host(const ranks_job *job)
{
  int first = 0;
  while (!ranks_same_host(job, first, ranks_rank(job)))
    first++;
  return first;
}

cdl_status ranks_host_memory_open(ranks_job *job, size_t bytes, ranks_host_memory *memory)
{
  const int first = first_of_host(job);
  const bool makes = first == ranks_rank(job);
  *memory = (ranks_host_memory){.bytes = bytes > 0 ? bytes : 1};
  int file = -1;
  place mine = {0}, *all = calloc((size_t)ranks_size(job), sizeof *all);
  cdl_status status = all != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d ranks", ranks_size(job));
  if (status == CDL_STATUS_OK && makes)
    status = make(memory->bytes, &file, &mine);
  status = ranks_agree(job, status, what);
  if (status == CDL_STATUS_OK)
    status = ranks_gather(job, &mine, sizeof mine, all, what);
  if (status == CDL_STATUS_OK) {
    if (!makes)
      status = reach(&all[first], &file);
    if (status == CDL_STATUS_OK)
      status = map(file, memory);
    status = ranks_agree(job, status, what); /* the file stays open until all have reached it */
  }
  if (file >= 0)
    close(file);
  free(all);
  if (status != CDL_STATUS_OK)
    ranks_host_memory_close(memory);
  return status;
}

cdl_status ranks_host_memory_seal(ranks_job *job, ranks_host_memory *memory)
{
  const cdl_status status = mprotect(memory->at, memory->bytes, PROT_READ) == 0
                                ? CDL_STATUS_OK
                                : cdl_fail(CDL_STATUS_MEMORY, "%s: %s", what, strerror(errno));
  return ranks_agree(job, status, what);
}

void ranks_host_memory_close(ranks_host_memory *memory)
{
  if (memory->at != NULL)
    munmap(memory->at, memory->bytes);
  *memory = (ranks_host_memory){0};
}
