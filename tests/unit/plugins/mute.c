/* A backend that cannot work here, and does not say why. */
#include "condlora/plugin.h"

CDL_EXPORT const cdl_backend_table *cdl_plugin(const cdl_host *host);

const cdl_backend_table *cdl_plugin(const cdl_host *host)
{
  (void)host;
  return NULL;
}
