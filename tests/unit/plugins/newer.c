/* A table of a newer minor version, longer than ours. */
#include "tests/unit/plugins/table.h"

static const struct {
  cdl_backend_table table;
  void *added[4];
} longer = {
    .table =
        {
            .header = {CDL_PLUGIN_MAGIC, CDL_ABI_MAJOR, CDL_ABI_MINOR + 3, sizeof longer},
            .name = "newer",
            TABLE_FUNCTIONS,
#include "condlora/ops.def"
        },
    .added = {(void *)1, (void *)2, (void *)3, (void *)4},
};

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  KEEP_QUIET_ABOUT_UNUSED;
  host = given;
  return &longer.table;
}
