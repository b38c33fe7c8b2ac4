/* The backend's table, and the entry of the plug-in. */
#include "backends/cuda/device.h"

static const cdl_backend_table table = {
    .header = CDL_TABLE_HEADER,
    .name = "cuda",
    .enumerate = cuda_enumerate,
    .open = cuda_open,
    .close = cuda_close,
    .description = cuda_description,
    .memory_info = cuda_memory_info,
    .queue_create = cuda_queue_create,
    .queue_destroy = cuda_queue_destroy,
    .sync = cuda_sync,
    .allocate = cuda_allocate,
    .free = cuda_free,
    .upload = cuda_upload,
    .download = cuda_download,
    .weight_create = cuda_weight_create,
    .weight_update = cuda_weight_update,
    .weight_destroy = cuda_weight_destroy,
    .supports = cuda_supports,
    .event_create = cuda_event_create,
    .event_destroy = cuda_event_destroy,
    .event_record = cuda_event_record,
    .event_elapsed = cuda_event_elapsed,
    .capture_begin = cuda_capture_begin,
    .capture_end = cuda_capture_end,
    .replay = cuda_replay,
    .graph_destroy = cuda_graph_destroy,
    .pinned_allocate = cuda_pinned_allocate,
    .pinned_free = cuda_pinned_free,
    .wrap_memory = cuda_wrap_memory,
    .wrap_queue = cuda_wrap_queue,
    KERNEL_OPS,
    .svd = cuda_svd,
    .lu_solve = cuda_lu_solve,
    .lu_inverse = cuda_lu_inverse,
    .qr = cuda_qr,
    .eigh = cuda_eigh,
    .compile_nanoseconds = cuda_compile_nanoseconds,
    .auto_priority = 300,
    .memory_address = cuda_memory_address,
    .group_place = cuda_group_place,
    .group_key = cuda_group_key,
    .group_join = cuda_group_join,
    .gather = cuda_gather,
    .group_abandon = cuda_group_abandon,
    .group_leave = cuda_group_leave,
};

CDL_EXPORT const cdl_backend_table *cdl_plugin(const cdl_host *host);

const cdl_backend_table *cdl_plugin(const cdl_host *host)
{
  cuda_host = host;
  return &table;
}
