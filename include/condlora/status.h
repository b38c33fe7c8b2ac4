/* Status codes, and the message of the last failure. */
#ifndef CONDLORA_STATUS_H
#define CONDLORA_STATUS_H

#include <stdarg.h>

#include "condlora/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/*      code              meaning */
#define CDL_STATUS_LIST(X)                                    \
  X(OK, "done")                                               \
  X(USAGE, "an invalid option or setting")                    \
  X(ARGUMENT, "a call whose arguments break its contract")    \
  X(DATA, "a file with invalid content")                      \
  X(IO, "a read or a write failed")                           \
  X(MEMORY, "out of memory")                                  \
  X(ABSENT, "not found: a device, a library, a file")         \
  X(UNSUPPORTED, "not supported by this backend or version")  \
  X(DEVICE, "a device or its library failed")                 \
  X(NUMERIC, "a value that is not finite, a singular matrix") \
  X(CANCELLED, "stopped on request")

typedef enum {
#define CDL_STATUS_ENUM(code, meaning) CDL_STATUS_##code,
  CDL_STATUS_LIST(CDL_STATUS_ENUM)
#undef CDL_STATUS_ENUM
} cdl_status;

/* Returns the name of a code, such as "MEMORY"; static. */
CDL_API const char *cdl_status_name(cdl_status status);

/* Returns the message of the last failure in this thread: one line without a final newline; ""
 * before the first failure. Borrowed until the next failing call of the thread. */
CDL_API const char *cdl_error_message(void);

/* Records a message for this thread, formatted as by printf, and returns `status`, so that a
 * function can fail in one statement: return cdl_fail(CDL_STATUS_DATA, "%s: …", path). Messages
 * are cut at 1023 bytes. Control characters, such as a newline in a file's name, are replaced by
 * '?'. */
CDL_API cdl_status cdl_fail(cdl_status status, const char *format, ...) CDL_PRINTF(2, 3);
CDL_API cdl_status cdl_fail_v(cdl_status status, const char *format, va_list arguments)
    CDL_PRINTF(2, 0);

/* Puts "context: " before this thread's message. Returns `status`; does nothing for
 * CDL_STATUS_OK. */
CDL_API cdl_status cdl_context(cdl_status status, const char *format, ...) CDL_PRINTF(2, 3);

/* Returns from the calling function if `expression` fails. */
#define CDL_TRY(expression)                         \
  do {                                              \
    const cdl_status cdl_try_status = (expression); \
    if (cdl_try_status != CDL_STATUS_OK)            \
      return cdl_try_status;                        \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
