/* An open backend as the core keeps it. Callers and plug-ins do not see this. */
#ifndef CONDLORA_BACKENDS_CORE_BACKEND_H
#define CONDLORA_BACKENDS_CORE_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/message.h"
#include "condlora/backend.h"
#include "condlora/plugin.h"

enum { CORE_MESSAGE_BYTES = 1024 };

struct cdl_backend {
  const cdl_backend_table *table;
  void *device;
  bool is_host; /* the built-in backend, whose memory and LAPACK are the host's */
  bool no_fallback;
  int threads;
  atomic_bool prefer_composed;
  atomic_size_t buffers, weights, queues, events, groups; /* numbers of those that exist */
  atomic_size_t used_bytes, peak_bytes, mapped_bytes;
  pthread_mutex_t host_lock;
  struct cdl_backend *host; /* runs the host path; opened by the first op that needs it */
  atomic_uint_fast64_t calls[CDL_OP_COUNT][CDL_DTYPE_COUNT][CDL_PATH_NONE];
  cdl_observer observer; /* NULL: none */
  void *observer_user;
};

#endif
