/* The CPU backend: built into the library, the same table as a plug-in's. */
#ifndef CONDLORA_BACKENDS_CPU_CPU_H
#define CONDLORA_BACKENDS_CPU_CPU_H

#include "condlora/plugin.h"

const cdl_backend_table *cpu_plugin(const cdl_host *host);

#endif
