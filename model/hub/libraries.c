#include "model/hub/libraries.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>

/* The names of one interface of libcurl: OpenSSL's build, GnuTLS's, macOS's. */
static const char *const curl_files[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib"};
static const char *const crypto_files[] = {"libcrypto.so.3", "libcrypto.so.1.1",
                                           "libcrypto.3.dylib"};
enum { FILES = 3 };
static const char curl_package[] = "libcurl4";
static const char crypto_package[] = "libssl3";

static cdl_status open_library(const char *const *files, const char *package, void **library)
{
  for (int i = 0; i < FILES && *library == NULL; i++)
    *library = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
  if (*library != NULL)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_ABSENT, "%s is not here (Debian's package %s has it)", files[0],
                  package);
}

static cdl_status find_functions(hub_libraries *libraries)
{
#define FUNCTION(library, result, name, parameters)                               \
  *(void **)(void *)&libraries->name = dlsym(libraries->library, #name);          \
  if (libraries->name == NULL)                                                    \
    return cdl_fail(CDL_STATUS_ABSENT, "%s has no %s (Debian's package %s does)", \
                    library##_files[0], #name, library##_package);
#include "model/hub/api.def"
#undef FUNCTION
  return CDL_STATUS_OK;
}

static cdl_status open_all(hub_libraries *libraries)
{
  CDL_TRY(open_library(curl_files, curl_package, &libraries->curl));
  CDL_TRY(open_library(crypto_files, crypto_package, &libraries->crypto));
  CDL_TRY(find_functions(libraries));
  if (libraries->curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return cdl_fail(CDL_STATUS_MEMORY, "libcurl could not be initialized");
  return CDL_STATUS_OK;
}

cdl_status hub_libraries_open(const hub_libraries **libraries)
{
  static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
  static hub_libraries opened;
  static bool is_open;
  pthread_mutex_lock(&guard);
  const cdl_status status = is_open ? CDL_STATUS_OK : open_all(&opened);
  is_open = status == CDL_STATUS_OK;
  pthread_mutex_unlock(&guard);
  *libraries = status == CDL_STATUS_OK ? &opened : NULL;
  return status;
}
