/* Files that the library reads through a memory mapping. A program needs them in its handler of
 * SIGBUS, the signal that arrives if another program cuts a mapped file short or its disk fails. */
#ifndef CONDLORA_MAPPED_H
#define CONDLORA_MAPPED_H

#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Returns the path, as it was opened, of the mapped file that contains `address` (siginfo_t's
 * si_addr), or NULL if no mapped file does. Safe to call in a signal handler, in any thread. The
 * library installs no handler itself: a handler can only name the file and end the program. */
CDL_API const char *cdl_mapped_file(const void *address);

#ifdef __cplusplus
}
#endif
#endif
