#include "backends/core/core.h"

void cdl_backend_observe(cdl_backend *backend, cdl_observer observer, void *user)
{
  backend->observer = observer;
  backend->observer_user = user;
}
