/* Files that the library reads through a mapping, for a host's handler of SIGBUS: the signal that
 * comes when such a file is cut short by another program, or its disk fails. */
#ifndef CONDLORA_MAPPED_H
#define CONDLORA_MAPPED_H

#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The path, as it was opened, of the mapped file that the address lies in (siginfo_t's si_addr);
 * NULL where it lies in none. To be called from handlers of signals, in any thread. The library
 * installs no handler: what is left to do is to name the file and to end. */
CDL_API const char *cdl_mapped_file(const void *address);

#ifdef __cplusplus
}
#endif
#endif
