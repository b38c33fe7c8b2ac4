/* Status codes, and the message that goes with the last failure. */
#ifndef CONDLORA_STATUS_H
#define CONDLORA_STATUS_H

#include <stdarg.h>

#include "condlora/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/*      code              meaning */
#define CDL_STATUS_LIST(X)                                        \
  X(OK, "done")                                                   \
  X(USAGE, "an option or setting that cannot be")                 \
  X(ARGUMENT, "a call whose arguments break its contract")        \
  X(DATA, "a file whose content is not what it should be")        \
  X(IO, "the operating system refused a read or a write")         \
  X(MEMORY, "out of memory")                                      \
  X(ABSENT, "not on this machine: a device, a library, a file")   \
  X(UNSUPPORTED, "this backend or version does not do it")        \
  X(DEVICE, "a device or its library failed")                     \
  X(NUMERIC, "a value that is not finite, a matrix without rank") \
  X(CANCELLED, "stopped on request")

typedef enum {
#define CDL_STATUS_ENUM(code, meaning) CDL_STATUS_##code,
  CDL_STATUS_LIST(CDL_STATUS_ENUM)
#undef CDL_STATUS_ENUM
} cdl_status;

/* Name of a code, "MEMORY" say; static. */
CDL_API const char *cdl_status_name(cdl_status status);

/* The message of this thread's last failure: one line, no final newline, "" before the first.
 * Borrowed: valid until the thread's next failing call. */
CDL_API const char *cdl_error_message(void);

/* Records a message for this thread, formatted as by printf, and returns `status`, so that a
 * function can fail in one statement: return cdl_fail(CDL_STATUS_DATA, "%s: …", path). Messages are cut
 * at 1023 bytes; control characters (a newline in a file's name) are shown as '?'. */
CDL_API cdl_status cdl_fail(cdl_status status, const char *format, ...) CDL_PRINTF(2, 3);
CDL_API cdl_status cdl_fail_v(cdl_status status, const char *format, va_list arguments)
    CDL_PRINTF(2, 0);

/* Puts "context: " before this thread's message and returns `status` unchanged; CDL_STATUS_OK passes
 * through untouched. */
CDL_API cdl_status cdl_context(cdl_status status, const char *format, ...) CDL_PRINTF(2, 3);

/* Returns from the calling function when `expression` fails. */
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
