/* A table that ends before its host ops, as an older minor version's would: its svd lies past the
 * end. */
#include "tests/unit/plugins/table.h"

static const cdl_backend_table table = {
    .header = {CDL_PLUGIN_MAGIC, CDL_ABI_MAJOR, 0, offsetof(cdl_backend_table, svd)},
    .name = "older",
    TABLE_FUNCTIONS,
#include "condlora/ops.def"
};

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  KEEP_QUIET_ABOUT_UNUSED;
  host = given;
  return &table;
}
