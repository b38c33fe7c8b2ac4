#include "model/hub/libcurl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>

/* The names of one interface: the builds with OpenSSL and with GnuTLS, and macOS's. */
static const char *const files[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib"};
static const char package[] = "libcurl4";

static cdl_status open_library(hub_libcurl *curl)
{
  for (size_t i = 0; i < sizeof files / sizeof files[0] && curl->library == NULL; i++)
    curl->library = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
  if (curl->library != NULL)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_ABSENT,
                  "%s is not here (Debian's package %s has it; without it, Python's `hf download' "
                  "fills the cache)",
                  files[0], package);
}

static cdl_status find_functions(hub_libcurl *curl)
{
#define FUNCTION(result, name, parameters)                                                         \
  *(void **)(void *)&curl->name = dlsym(curl->library, #name);                                     \
  if (curl->name == NULL)                                                                          \
    return cdl_fail(CDL_STATUS_ABSENT, "%s has no %s (Debian's package %s does)", files[0], #name, \
                    package);
#include "model/hub/api.def"
#undef FUNCTION
  return CDL_STATUS_OK;
}

static cdl_status open_all(hub_libcurl *curl)
{
  CDL_TRY(open_library(curl));
  CDL_TRY(find_functions(curl));
  if (curl->curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return cdl_fail(CDL_STATUS_MEMORY, "libcurl could not be initialized");
  return CDL_STATUS_OK;
}

cdl_status hub_libcurl_open(const hub_libcurl **curl)
{
  static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
  static hub_libcurl opened;
  static bool is_open;
  pthread_mutex_lock(&guard);
  const cdl_status status = is_open ? CDL_STATUS_OK : open_all(&opened);
  is_open = status == CDL_STATUS_OK;
  pthread_mutex_unlock(&guard);
  *curl = status == CDL_STATUS_OK ? &opened : NULL;
  return status;
}
