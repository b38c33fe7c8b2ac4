/* Time, memory and processors of this process. */
#ifndef CONDLORA_BASE_PROCESS_H
#define CONDLORA_BASE_PROCESS_H

#include <stddef.h>

/* Seconds of the monotonic clock. */
double base_process_seconds(void);
/* The largest memory that the process has held at once, in bytes. */
size_t base_process_peak_bytes(void);
/* The number of online processors, at least 1. */
unsigned base_process_processors(void);

#endif
