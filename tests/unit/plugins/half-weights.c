/* A backend that creates weights and never destroys them. */
#include "tests/unit/plugins/table.h"

static cdl_status weight_create(void *queue, const cdl_tensor *sources, size_t count, void **handle,
                                size_t *bytes)
{
  (void)queue, (void)sources, (void)count;
  *handle = NULL;
  *bytes = 0;
  return CDL_STATUS_OK;
}

static cdl_backend_table table = {
    .header = CDL_TABLE_HEADER,
    .name = "half-weights",
    TABLE_FUNCTIONS,
#include "condlora/ops.def"
};

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  KEEP_QUIET_ABOUT_UNUSED;
  host = given;
  table.weight_create = weight_create;
  return &table;
}
