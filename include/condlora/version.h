/* The version of these headers, and the version of the library at run time. docs/library.md says
 * what a version guarantees. */
#ifndef CONDLORA_VERSION_H
#define CONDLORA_VERSION_H

#include "condlora/export.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CDL_VERSION_MAJOR 0
#define CDL_VERSION_MINOR 1
#define CDL_VERSION_PATCH 0
#define CDL_VERSION_STRING "0.1.0"

/* True if these headers have this version or a later one: #if CDL_VERSION_AT_LEAST(0, 2, 0) */
#define CDL_VERSION_AT_LEAST(major, minor, patch) \
  (CDL_VERSION_MAJOR > (major) ||                 \
   (CDL_VERSION_MAJOR == (major) &&               \
    (CDL_VERSION_MINOR > (minor) ||               \
     (CDL_VERSION_MINOR == (minor) && CDL_VERSION_PATCH >= (patch)))))

/* Returns the version of the library at run time, such as "0.1.0"; static. */
CDL_API const char *cdl_version(void);

#ifdef __cplusplus
}
#endif
#endif
