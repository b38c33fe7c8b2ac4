/* Looks at the devices from a child process. */
#ifndef CONDLORA_BACKENDS_OPENCL_PROBE_H
#define CONDLORA_BACKENDS_OPENCL_PROBE_H

#include "backends/opencl/device.h"

/* Returns OK if the device that is chosen without a name is not the host's processor; otherwise
 * ABSENT with the reason. A child loads the drivers, because a driver's compiler takes memory,
 * threads and signals, which a process that then computes elsewhere would keep. A driver that
 * crashes or hangs does no harm there. */
cdl_status opencl_probe(void);

#endif
