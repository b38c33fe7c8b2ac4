/* The table. */
#include <stdlib.h>

#include "device.h"
#include "probe.h"

static const cdl_host *host(void)
{
  return opencl_host;
}

static const kernel_driver driver = {
    .host = host,
    .launch = opencl_launch,
    .multiply = opencl_multiply,
    .allocate = opencl_allocate,
    .release = opencl_free,
};

static cdl_status enumerate(int *count)
{
  opencl_found *found;
  CDL_TRY(opencl_find_devices(&found, count));
  free(found);
  return CDL_STATUS_OK;
}

static cdl_status open_device(const char *device_name, const cdl_open_options *options,
                              void **device)
{
  if (options->precision != CDL_PRECISION_FP32)
    return opencl_host->fail(CDL_STATUS_UNSUPPORTED, "has the precision fp32 alone");
  if (options->automatic)
    CDL_TRY(opencl_probe());
  opencl_found *found;
  int count, chosen;
  CDL_TRY(opencl_find_devices(&found, &count));
  cdl_status status = opencl_choose(found, count, device_name, &chosen);
  if (status == CDL_STATUS_OK)
    status = opencl_open(&driver, &found[chosen], device);
  if (status == CDL_STATUS_OK)
    ((opencl_device *)*device)->number = chosen;
  free(found);
  return status;
}

/* A device stays prepared: see opencl_open. */
static void close_device(void *device)
{
  (void)device;
}

static const char *description(void *device)
{
  return ((const opencl_device *)device)->description;
}

static bool supports(void *device, cdl_op op, const void *args)
{
  return kernel_supports(device, op, args);
}

static uint64_t compile_nanoseconds(void *device)
{
  return ((opencl_device *)device)->compile_ns;
}

static const cdl_backend_table table = {
    .header = CDL_TABLE_HEADER,
    .name = "opencl",
    .enumerate = enumerate,
    .open = open_device,
    .close = close_device,
    .description = description,
    .memory_info = opencl_memory_info,
    .queue_create = opencl_queue_create,
    .queue_destroy = opencl_queue_destroy,
    .sync = opencl_sync,
    .allocate = opencl_allocate,
    .free = opencl_free,
    .upload = opencl_upload,
    .download = opencl_download,
    .supports = supports,
    .event_create = opencl_event_create,
    .event_destroy = opencl_event_destroy,
    .event_record = opencl_event_record,
    .event_elapsed = opencl_event_elapsed,
    .wrap_memory = opencl_wrap_memory,
    .wrap_queue = opencl_wrap_queue,
    KERNEL_OPS,
    .compile_nanoseconds = compile_nanoseconds,
    .auto_priority = 200,
    .memory_address = opencl_memory_address,
};

CDL_EXPORT const cdl_backend_table *cdl_plugin(const cdl_host *given);

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  opencl_host = given;
  return &table;
}
