/* What this process and its machine say of themselves. */
#ifndef CONDLORA_BASE_PROCESS_H
#define CONDLORA_BASE_PROCESS_H

#include <stddef.h>

/* Seconds of the monotonic clock. */
double base_process_seconds(void);
/* The most memory that the process has held at once. */
size_t base_process_peak_bytes(void);
/* Processors that are online, at least 1. */
unsigned base_process_processors(void);

#endif
