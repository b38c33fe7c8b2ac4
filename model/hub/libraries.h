/* libcurl and libcrypto, opened when the first file has to be downloaded. */
#ifndef CONDLORA_MODEL_HUB_LIBRARIES_H
#define CONDLORA_MODEL_HUB_LIBRARIES_H

/* Functions are members of a table here: curl's macros that check options by their type do not fit
 * them. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "condlora/status.h"

typedef struct {
  void *curl, *crypto;
#define FUNCTION(library, result, name, parameters) result(*name) parameters;
#include "model/hub/api.def"
#undef FUNCTION
} hub_libraries;

/* Opens both once for the process; they stay open, because libcurl may not be unloaded while
 * another part of the process may use it. *libraries is shared and constant. Errors: ABSENT, naming
 * the library and its package. */
CDL_MUST_USE cdl_status hub_libraries_open(const hub_libraries **libraries);

#endif
