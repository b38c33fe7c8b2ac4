/* What the library has to say goes to one callback; without one it is silent. */
#ifndef CONDLORA_LOG_H
#define CONDLORA_LOG_H

#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { CDL_LOG_DEBUG, CDL_LOG_NOTICE, CDL_LOG_WARNING } cdl_log_level;

/* `line` has no final newline and is borrowed. May be called from any thread, never from two at
 * once. */
typedef void cdl_log_callback(void *user, cdl_log_level level, const char *line);

/* Sets the process's callback; NULL silences. Not to be called while another thread is inside the
 * library. */
CDL_API void cdl_log_to(cdl_log_callback *callback, void *user);

CDL_API void cdl_log(cdl_log_level level, const char *format, ...) CDL_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
