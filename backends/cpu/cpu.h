/* The CPU backend: built into the library, the same table as a plug-in's. */
#ifndef CDL_CPU_H
#define CDL_CPU_H

#include "condlora/plugin.h"

const cdl_backend_table *cdl_cpu_plugin(const cdl_host *host);

#endif
