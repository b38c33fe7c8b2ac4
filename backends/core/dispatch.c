/* The steps of a call: check, choose a path, count it, run it, keep the first error. */
#include <stdio.h>
#include <string.h>

#include "backends/core/capture.h"
#include "backends/core/check.h"
#include "backends/core/compose.h"
#include "backends/core/host_ops.h"
#include "backends/core/op.h"
#include "backends/core/queue.h"

const char *cdl_path_name(cdl_path path)
{
  static const char *const names[] = {"native", "composed", "host", "none"};
  return (unsigned)path <= CDL_PATH_NONE ? names[path] : "?";
}

/* ---- Paths ---- */

/* BF16 activations came with 1.4, and the compositions are F32's. */
static cdl_path narrow_path_of(const cdl_backend *backend, cdl_op op, const void *args)
{
  enum { FIRST_MINOR = 4 };
  const cdl_backend_table *table = backend->table;
  return table->header.abi_minor >= FIRST_MINOR && core_has_op(table, op) &&
                 !core_sets_additions(backend, op, args) && table->supports != NULL &&
                 table->supports(backend->device, op, args)
             ? CDL_PATH_NATIVE
             : CDL_PATH_NONE;
}

static cdl_path path_of(const cdl_backend *backend, cdl_op op, const void *args)
{
  const core_tier tier = core_op_tier(op);
  const cdl_backend_table *table = backend->table;
  if (core_has_narrow_activations(op, args))
    return narrow_path_of(backend, op, args);
  const bool own = core_has_op(table, op) && !core_sets_additions(backend, op, args) &&
                   (table->supports == NULL || table->supports(backend->device, op, args));
  if (own && !(tier == CORE_COMPOSED &&
               atomic_load_explicit(&backend->prefer_composed, memory_order_relaxed)))
    return CDL_PATH_NATIVE;
  if (tier == CORE_COMPOSED)
    return CDL_PATH_COMPOSED;
  return tier == CORE_HOST && !backend->is_host ? CDL_PATH_HOST : CDL_PATH_NONE;
}

cdl_path cdl_op_path(const cdl_backend *backend, cdl_op op, const void *args)
{
  if (backend == NULL || args == NULL || (unsigned)op >= CDL_OP_COUNT)
    return CDL_PATH_NONE;
  core_args room;
  return path_of(backend, op, core_complete_args(op, args, &room));
}

/* svd's first output may be absent; its second never is. */
static cdl_dtype first_output_dtype(cdl_op op, const void *args)
{
  const core_op_spec *spec = core_spec(op);
  for (int k = 0; k < spec->operand_count; k++) {
    const cdl_tensor *t = core_operand_of(spec, k, args);
    if ((spec->operands[k].role & OUT) && t->buffer != NULL)
      return t->dtype;
  }
  return CDL_DTYPE_F32;
}

static void count_call(cdl_backend *backend, cdl_op op, const void *args, cdl_path path)
{
  const cdl_dtype dtype = first_output_dtype(op, args);
  if (atomic_fetch_add_explicit(&backend->calls[op][dtype][path], 1, memory_order_relaxed) > 0)
    return;
  cdl_log(path == CDL_PATH_NATIVE ? CDL_LOG_DEBUG : CDL_LOG_NOTICE, "%s %s on %s: %s",
          cdl_op_name(op), cdl_dtype_name(dtype), backend->table->name, cdl_path_name(path));
}

size_t cdl_path_counts(const cdl_backend *backend, cdl_path_count *counts, size_t capacity)
{
  size_t found = 0;
  for (unsigned op = 0; op < CDL_OP_COUNT; op++)
    for (unsigned dtype = 0; dtype < CDL_DTYPE_COUNT; dtype++)
      for (unsigned path = 0; path < CDL_PATH_NONE; path++) {
        const uint64_t calls =
            atomic_load_explicit(&backend->calls[op][dtype][path], memory_order_relaxed);
        if (calls == 0)
          continue;
        if (found < capacity)
          counts[found] = (cdl_path_count){(cdl_op)op, (cdl_dtype)dtype, (cdl_path)path, calls};
        found++;
      }
  return found;
}

/* ---- Calls ---- */

static cdl_status run_on_path(cdl_queue *queue, cdl_op op, const void *args, cdl_path path)
{
  switch (path) {
  case CDL_PATH_NATIVE:
    return core_run_native(queue->backend->table, queue->handle, op, args);
  case CDL_PATH_COMPOSED:
    return core_run_composed(queue, op, args);
  case CDL_PATH_HOST:
    return core_run_on_host(queue, op, args);
  case CDL_PATH_NONE:
    break;
  }
  return cdl_fail(CDL_STATUS_UNSUPPORTED, "the backend %s does not do this",
                  queue->backend->table->name);
}

static cdl_status refuse_fallback(const cdl_backend *backend, cdl_op op)
{
  return cdl_fail(
      CDL_STATUS_UNSUPPORTED,
      "%s: %s has none of its own and would run it on the host, which no-fallback forbids",
      cdl_op_name(op), backend->table->name);
}

static void observe(cdl_queue *queue, cdl_op op, const void *args, cdl_path path, bool after)
{
  const cdl_backend *backend = queue->backend;
  if (backend->observer == NULL)
    return;
  const cdl_observation seen = {queue, op, args, path, after};
  backend->observer(backend->observer_user, &seen);
}

static void run(cdl_queue *queue, cdl_op op, const void *given)
{
  if (queue->status != CDL_STATUS_OK)
    return;
  cdl_backend *backend = queue->backend;
  core_args room;
  const void *args = core_complete_args(op, given, &room);
  bool nothing;
  cdl_status status = core_check(backend, op, args, &nothing);
  if (status != CDL_STATUS_OK) {
    core_queue_fail(queue, status);
    return;
  }
  if (nothing)
    return;
  const cdl_path path = path_of(backend, op, args);
  if (path == CDL_PATH_HOST && backend->no_fallback) {
    core_queue_fail(queue, refuse_fallback(backend, op));
    return;
  }
  status = queue->recording ? core_check_recordable(queue, op, path) : CDL_STATUS_OK;
  if (status != CDL_STATUS_OK) {
    core_queue_fail(queue, status);
    return;
  }
  if (path != CDL_PATH_NONE)
    count_call(backend, op, args, path);
  observe(queue, op, args, path, false);
  if (queue->status != CDL_STATUS_OK) /* the observer has synced */
    return;
  base_clear_message();
  status = core_enqueued(queue, (int)op, run_on_path(queue, op, args, path));
  if (status == CDL_STATUS_OK) {
    observe(queue, op, args, path, true);
    return;
  }
  char call[CORE_MESSAGE_BYTES / 2];
  core_describe(op, args, call, sizeof call);
  core_queue_fail(queue,
                  cdl_context(status, "%s%s", call, path == CDL_PATH_COMPOSED ? ", composed" : ""));
}

#define CDL_OP(name, tier)                                         \
  void cdl_##name(cdl_queue *queue, const cdl_##name##_args *args) \
  {                                                                \
    run(queue, CDL_OP_##name, args);                               \
  }
#include "condlora/ops.def"
#undef CDL_OP
