/* A backend that asks to be taken before any of the project's; with EAGER_REFUSES in the
 * environment it says that it has no device for who does not ask by name. */
#include "tests/unit/plugins/table.h"

static cdl_status open_eager(const char *device_name, const cdl_open_options *options,
                             void **device)
{
  if (options->automatic && getenv("EAGER_REFUSES") != NULL)
    return host->fail(CDL_STATUS_ABSENT, "no accelerator");
  return open_device(device_name, options, device);
}

#define open_device open_eager
static const cdl_backend_table table = {
    .header = CDL_TABLE_HEADER,
    .name = "eager",
    TABLE_FUNCTIONS,
#include "condlora/ops.def"
    .auto_priority = 1000,
};
#undef open_device

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  KEEP_QUIET_ABOUT_UNUSED;
  host = given;
  return &table;
}
