/* A backend with weights of its own: it notes what becomes of them in `weights_seen`. */
#include "tests/unit/plugins/table.h"

CDL_EXPORT int weights_seen[3];

static cdl_status weight_create(void *queue, const cdl_tensor *sources, size_t count, void **handle,
                                size_t *bytes)
{
  (void)queue, (void)sources;
  *handle = &weights_seen[count % 2];
  *bytes = 100 * count;
  weights_seen[0]++;
  return CDL_STATUS_OK;
}

static cdl_status weight_update(void *queue, void *handle, const cdl_tensor *sources, size_t count)
{
  (void)queue, (void)handle, (void)sources, (void)count;
  weights_seen[1]++;
  return CDL_STATUS_OK;
}

static void weight_destroy(void *device, void *handle)
{
  (void)device, (void)handle;
  weights_seen[2]++;
}

static cdl_backend_table table = {
    .header = CDL_TABLE_HEADER,
    .name = "weights",
    TABLE_FUNCTIONS,
#include "condlora/ops.def"
};

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  KEEP_QUIET_ABOUT_UNUSED;
  host = given;
  table.weight_create = weight_create;
  table.weight_update = weight_update;
  table.weight_destroy = weight_destroy;
  return &table;
}
