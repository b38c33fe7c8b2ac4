/* libcurl, opened when the first file has to be downloaded. */
#ifndef CONDLORA_MODEL_HUB_LIBCURL_H
#define CONDLORA_MODEL_HUB_LIBCURL_H

/* Functions are members of a table here: curl's macros that check options by their type do not fit
 * them. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "condlora/status.h"

typedef struct {
  void *library;
#define FUNCTION(result, name, parameters) result(*name) parameters;
#include "model/hub/api.def"
#undef FUNCTION
} hub_libcurl;

/* Opens it once for the process. It stays open, because another part of the process may use it.
 * *curl is shared and constant. Errors: ABSENT, naming the library and its package. */
CDL_MUST_USE cdl_status hub_libcurl_open(const hub_libcurl **curl);

#endif
