/* Groups: what is checked before a backend gathers. */
#include <stdlib.h>

#include "backends/core/check.h"
#include "backends/core/check_views.h"
#include "backends/core/queue.h"

struct cdl_group {
  cdl_backend *backend;
  void *handle;
  int size;
};

static cdl_status check_group(const cdl_backend *backend, const void *out, const char *what)
{
  if (backend == NULL || out == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "%s: an argument is NULL", what);
  return backend->table->group_join != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_UNSUPPORTED,
                        "%s: its devices exchange nothing between processes", backend->table->name);
}

static cdl_status answered(const cdl_backend *backend, cdl_status status)
{
  return status == CDL_STATUS_OK
             ? status
             : cdl_context(base_give_reason(status), "%s: group", backend->table->name);
}

cdl_status cdl_group_place(cdl_backend *backend, char place[CDL_GROUP_PLACE_BYTES])
{
  CDL_TRY(check_group(backend, place, "cdl_group_place"));
  base_clear_message();
  return answered(backend, backend->table->group_place(backend->device, place));
}

cdl_status cdl_group_key_create(cdl_backend *backend, cdl_group_key *key)
{
  CDL_TRY(check_group(backend, key, "cdl_group_key_create"));
  base_clear_message();
  return answered(backend, backend->table->group_key(backend->device, key));
}

cdl_status cdl_group_join(cdl_backend *backend, const cdl_group_key *key, int rank, int size,
                          double seconds, cdl_group **group)
{
  CDL_TRY(check_group(backend, group, "cdl_group_join"));
  *group = NULL;
  if (key == NULL || size < 1 || rank < 0 || rank >= size || !(seconds > 0))
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_group_join: rank %d of %d, %g seconds%s", rank, size,
                    seconds, key == NULL ? ", no key" : "");
  if (atomic_load(&backend->groups) > 0)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_group_join: %s is in a group already",
                    backend->table->name);
  cdl_group *joined = malloc(sizeof *joined);
  if (joined == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory for a group", backend->table->name);
  *joined = (cdl_group){.backend = backend, .size = size};
  base_clear_message();
  const cdl_status status =
      answered(backend, backend->table->group_join(backend->device, key, rank, size, seconds,
                                                   &joined->handle));
  if (status != CDL_STATUS_OK) {
    free(joined);
    return status;
  }
  atomic_fetch_add(&backend->groups, 1);
  *group = joined;
  return CDL_STATUS_OK;
}

void cdl_group_abandon(cdl_group *group)
{
  if (group != NULL)
    group->backend->table->group_abandon(group->handle);
}

void cdl_group_leave(cdl_group *group)
{
  if (group == NULL)
    return;
  group->backend->table->group_leave(group->handle);
  atomic_fetch_sub(&group->backend->groups, 1);
  free(group);
}

static cdl_status check_gather(const cdl_queue *queue, const cdl_group *group,
                               const cdl_tensor *out, const cdl_tensor *x)
{
  if (group == NULL || group->backend != queue->backend)
    return cdl_fail(CDL_STATUS_ARGUMENT, "gather: %s",
                    group == NULL ? "group is NULL" : "the group is of another backend");
  CDL_TRY(core_check_tensor(queue->backend, "gather", "out", out));
  CDL_TRY(core_check_tensor(queue->backend, "gather", "x", x));
  const int64_t wanted = cdl_tensor_elements(*x) * group->size;
  if (out->dtype != CDL_DTYPE_F32 || x->dtype != CDL_DTYPE_F32 || !core_is_dense(out) ||
      !core_is_dense(x) || cdl_tensor_elements(*out) != wanted)
    return cdl_fail(CDL_STATUS_ARGUMENT,
                    "gather: out and x must be dense F32, and out have %lld elements, %d times "
                    "those of x",
                    (long long)wanted, group->size);
  return CDL_STATUS_OK;
}

void cdl_queue_gather(cdl_queue *queue, cdl_group *group, cdl_tensor out, cdl_tensor x)
{
  if (queue->status != CDL_STATUS_OK)
    return;
  const size_t bytes = (size_t)cdl_tensor_elements(x) * sizeof(float);
  cdl_status status = check_gather(queue, group, &out, &x);
  if (status == CDL_STATUS_OK && bytes > 0) {
    base_clear_message();
    status =
        core_enqueued(queue, CORE_GATHER,
                      queue->backend->table->gather(queue->handle, group->handle, out.buffer,
                                                    (size_t)out.offset * sizeof(float), x.buffer,
                                                    (size_t)x.offset * sizeof(float), bytes));
    status = cdl_context(status, "gather of %zu bytes", bytes);
  }
  if (status != CDL_STATUS_OK)
    core_queue_fail(queue, status);
}
