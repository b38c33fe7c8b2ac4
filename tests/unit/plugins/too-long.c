/* A table that says it is longer than its own version's. */
#include "tests/unit/plugins/table.h"

static const cdl_backend_table table = {
    .header = {CDL_PLUGIN_MAGIC, CDL_ABI_MAJOR, CDL_ABI_MINOR, sizeof(cdl_backend_table) + 8},
    .name = "too-long",
    TABLE_FUNCTIONS,
#include "condlora/ops.def"
};

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  KEEP_QUIET_ABOUT_UNUSED;
  host = given;
  return &table;
}
