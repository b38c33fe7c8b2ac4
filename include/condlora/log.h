/* Log messages of the library. They go to one callback; without a callback the library is
 * silent. */
#ifndef CONDLORA_LOG_H
#define CONDLORA_LOG_H

#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { CDL_LOG_DEBUG, CDL_LOG_NOTICE, CDL_LOG_WARNING } cdl_log_level;

/* Receives one message. `line` has no final newline and is borrowed. The library may call this from
 * any thread, but never from two at once. */
typedef void cdl_log_callback(void *user, cdl_log_level level, const char *line);

/* Sets the callback of the process; NULL turns messages off. Do not call this while another thread
 * is inside the library. */
CDL_API void cdl_log_to(cdl_log_callback *callback, void *user);

CDL_API void cdl_log(cdl_log_level level, const char *format, ...) CDL_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
