#include "backends/cpu/openblas.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "backends/cpu/coretype.h"
#include "base/trust.h"
#include "condlora/log.h"

static const char openblas_file[] = "libopenblas.so.0";
static const char openblas_package[] = "libopenblas0-pthread";
static const char lapacke_file[] = "liblapacke.so.3";
static const char lapacke_package[] = "liblapacke";
/* Names an OpenBLAS that has LAPACKE within, as the one of PyPI's scipy-openblas32. */
static const char named_variable[] = "CDL_OPENBLAS";

/* *set: whether it must be unset again. Returns false if memory is out. */
static bool set_for_now(const char *variable, const char *value, bool *set)
{
  const char *present = getenv(variable);
  *set = value != NULL && (present == NULL || present[0] == '\0');
  return !*set || setenv(variable, value, 1) == 0;
}

/* Gives the path that the user names, "" for none. */
static cdl_status named_library(char path[PATH_MAX])
{
  char reason[BASE_DISTRUST_BYTES];
  const char *named = secure_getenv(named_variable);
  path[0] = '\0';
  if (named == NULL || named[0] == '\0')
    return CDL_STATUS_OK;
  if (named[0] != '/')
    return cdl_fail(CDL_STATUS_ABSENT, "cpu: %s: '%s' is not an absolute path", named_variable,
                    named);
  if (!base_trust(named, path, reason))
    return cdl_fail(CDL_STATUS_ABSENT, "cpu: %s: %s is not loaded: %s", named_variable, named,
                    reason);
  return CDL_STATUS_OK;
}

/* OpenBLAS reads the environment once, while it is loaded. Returns NULL with *no_memory, or as
 * dlopen. */
static void *open_openblas(const char *file, bool *no_memory)
{
  static pthread_mutex_t environment = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&environment);
  bool core_set, threads_set = false;
  *no_memory = !set_for_now("OPENBLAS_CORETYPE", cpu_coretype(), &core_set) ||
               /* so that it starts no threads */
               !set_for_now("OPENBLAS_NUM_THREADS", "1", &threads_set);
  void *library = *no_memory ? NULL : dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (core_set)
    unsetenv("OPENBLAS_CORETYPE");
  if (threads_set)
    unsetenv("OPENBLAS_NUM_THREADS");
  pthread_mutex_unlock(&environment);
  return library;
}

/* Returns the set that the user asks for, "" for none. */
static const char *wanted_set(void)
{
  const char *wanted = getenv("OPENBLAS_CORETYPE");
  return wanted != NULL ? wanted : "";
}

static cdl_status check_wanted_set(void)
{
  const char *lacking;
  if (cpu_coretype_runs(wanted_set(), &lacking))
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_UNSUPPORTED,
                  "OPENBLAS_CORETYPE is %s, whose kernels need %s, which this processor does "
                  "not have",
                  wanted_set(), lacking);
}

/* OpenBLAS does not report a name that it does not have. */
static void say_other_set(const cpu_libraries *libraries)
{
  const char *taken = libraries->openblas_get_corename();
  if (wanted_set()[0] != '\0' && strcasecmp(wanted_set(), taken) != 0)
    cdl_log(CDL_LOG_NOTICE,
            "cpu: OPENBLAS_CORETYPE is %s, which this OpenBLAS does not have: it uses %s",
            wanted_set(), taken);
}

/* OpenBLAS maps working memory at a thread's first call, and if the system refuses, it asks again
 * forever. So this checks that the address space is large enough (ulimit -v). */
static cdl_status check_address_space(void)
{
  enum { BYTES = 134221824 }; /* of Debian's 0.3.21 */
  void *probe = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (probe == MAP_FAILED)
    return cdl_fail(CDL_STATUS_MEMORY,
                    "cpu: OpenBLAS wants %d MiB of address space and the system refuses it; a "
                    "higher limit (ulimit -v) helps",
                    BYTES >> 20);
  munmap(probe, BYTES);
  return CDL_STATUS_OK;
}

static cdl_status absent(const char *package)
{
  const char *reason = dlerror();
  if (reason == NULL)
    reason = "a library is missing";
  return package != NULL
             ? cdl_fail(CDL_STATUS_ABSENT,
                        "cpu: %s (Debian's package %s has it; %s may name another OpenBLAS)",
                        reason, package, named_variable)
             : cdl_fail(CDL_STATUS_ABSENT, "cpu: %s: %s", named_variable, reason);
}

/* SciPy's builds put scipy_ before every name, so that they can stand beside another OpenBLAS. */
static void *find_function(void *library, const char *name)
{
  char prefixed[64];
  void *function = dlsym(library, name);
  if (function == NULL &&
      snprintf(prefixed, sizeof prefixed, "scipy_%s", name) < (int)sizeof prefixed)
    function = dlsym(library, prefixed);
  return function;
}

static cdl_status find_functions(cpu_libraries *libraries, const char *named)
{
  const char *file, *package;
#define FUNCTION(library, result, name, parameters)                                                \
  file = library##_file;                                                                           \
  package = library##_package;                                                                     \
  *(void **)(void *)&libraries->name = find_function(libraries->library, #name);                   \
  if (libraries->name == NULL)                                                                     \
    return named[0] != '\0'                                                                        \
               ? cdl_fail(CDL_STATUS_ABSENT, "cpu: %s: %s has no %s", named_variable, named,       \
                          #name)                                                                   \
               : cdl_fail(CDL_STATUS_ABSENT, "cpu: %s has no %s (Debian's package %s does)", file, \
                          #name, package);
#include "backends/cpu/api.def"
#undef FUNCTION
  return CDL_STATUS_OK;
}

static void close_libraries(cpu_libraries *libraries)
{
  if (libraries->lapacke != NULL)
    dlclose(libraries->lapacke);
  if (libraries->openblas != NULL)
    dlclose(libraries->openblas);
  *libraries = (cpu_libraries){.openblas = NULL};
}

/* Debian's LAPACKE needs some liblapack.so.3 and libblas.so.3, which the system chooses. Those of
 * OpenBLAS are thin and find the library that was opened first under the same name; the reference
 * ones are slower and start no threads. A named library has both parts. */
static cdl_status open_libraries(cpu_libraries *libraries)
{
  char named[PATH_MAX];
  CDL_TRY(check_wanted_set());
  CDL_TRY(named_library(named));
  const bool by_name = named[0] != '\0';
  bool no_memory;
  libraries->openblas = open_openblas(by_name ? named : openblas_file, &no_memory);
  if (no_memory)
    return cdl_fail(CDL_STATUS_MEMORY, "cpu: out of memory: the environment");
  if (libraries->openblas == NULL)
    return absent(by_name ? NULL : openblas_package);
  libraries->lapacke = dlopen(by_name ? named : lapacke_file, RTLD_NOW | RTLD_LOCAL);
  CDL_TRY(libraries->lapacke != NULL ? find_functions(libraries, named)
                                     : absent(by_name ? NULL : lapacke_package));
  CDL_TRY(check_address_space());
  libraries->openblas_set_num_threads(1);
  say_other_set(libraries);
  return CDL_STATUS_OK;
}

/* ---- The libraries of a device ---- */

cpu_lapack cpu_lapack_closed(void)
{
  return (cpu_lapack){.lock = PTHREAD_MUTEX_INITIALIZER};
}

/* OpenBLAS's configuration begins with name and version. */
static void note_name(cpu_lapack *lapack)
{
  const char *config = lapack->libraries.openblas_get_config();
  int name_and_version = (int)strcspn(config, " ");
  if (config[name_and_version] != '\0')
    name_and_version += 1 + (int)strcspn(config + name_and_version + 1, " ");
  snprintf(lapack->text, sizeof lapack->text, "%.*s %s", name_and_version, config,
           lapack->libraries.openblas_get_corename());
  atomic_store(&lapack->name, lapack->text);
  cdl_log(CDL_LOG_DEBUG, "cpu: decompositions by %s of %s", lapack->text, cpu_lapack_file());
}

cdl_status cpu_lapack_use(cpu_lapack *lapack, const cpu_libraries **libraries)
{
  cdl_status status = CDL_STATUS_OK;
  pthread_mutex_lock(&lapack->lock);
  if (atomic_load(&lapack->name) == NULL) {
    status = open_libraries(&lapack->libraries);
    if (status == CDL_STATUS_OK)
      note_name(lapack);
    else
      close_libraries(&lapack->libraries);
  }
  pthread_mutex_unlock(&lapack->lock);
  *libraries = &lapack->libraries;
  return status;
}

void cpu_lapack_close(cpu_lapack *lapack)
{
  close_libraries(&lapack->libraries);
  pthread_mutex_destroy(&lapack->lock);
}

const char *cpu_lapack_file(void)
{
  const char *named = secure_getenv(named_variable);
  return named != NULL && named[0] != '\0' ? named : openblas_file;
}
