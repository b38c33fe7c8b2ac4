/* A backend that cannot work here, and says why. */
#include "condlora/plugin.h"

CDL_EXPORT const cdl_backend_table *cdl_plugin(const cdl_host *host);

const cdl_backend_table *cdl_plugin(const cdl_host *host)
{
  host->fail(CDL_STATUS_ABSENT, "no driver of version %d", 7);
  return NULL;
}
