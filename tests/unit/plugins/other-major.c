/* A table of another major version. */
#include "tests/unit/plugins/table.h"

static const cdl_backend_table table = {
    .header = {CDL_PLUGIN_MAGIC, CDL_ABI_MAJOR + 1, 5, sizeof(cdl_backend_table)},
    .name = "other-major",
    TABLE_FUNCTIONS,
#include "condlora/ops.def"
};

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  KEEP_QUIET_ABOUT_UNUSED;
  host = given;
  return &table;
}
