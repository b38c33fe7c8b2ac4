/* A look at the devices from a process of its own. */
#ifndef CONDLORA_BACKENDS_OPENCL_PROBE_H
#define CONDLORA_BACKENDS_OPENCL_PROBE_H

#include "backends/opencl/device.h"

/* OK where the device that is chosen without a name is not the host's processor; else ABSENT, with
 * the reason. The drivers are loaded in a child, since a compiler that comes with one takes memory,
 * threads and signals, which a process that then computes elsewhere would keep; one that crashes or
 * hangs there does no harm here. */
cdl_status opencl_probe(void);

#endif
