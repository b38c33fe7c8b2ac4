/* A table of version 1.0, which ended with the ops of ops.def as they were then. low_rank is its
 * own, too. */
#include "tests/unit/plugins/table.h"

static const cdl_backend_table table = {
    .header = {CDL_PLUGIN_MAGIC, 1, 0, offsetof(cdl_backend_table, eigh) + sizeof(void *)},
    .name = "version-1-0",
    TABLE_FUNCTIONS,
    .low_rank = record_low_rank,
#include "condlora/ops.def"
};

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  KEEP_QUIET_ABOUT_UNUSED;
  host = given;
  return &table;
}
