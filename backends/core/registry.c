/* Backends by name. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/core/backend.h"
#include "backends/core/loader.h"
#include "base/dispositions.h"
#include "base/sized.h"
#include "base/trust.h"

const char *cdl_version(void)
{
  return CDL_VERSION;
}

enum { LISTED = 64, NAME_BYTES = 64 }; /* more backends and longer names are skipped */

/* ---- Built in ---- */

#define BUILTIN(name) cdl_plugin_entry name##_plugin;
#include "builtin.def"
#undef BUILTIN

static const struct {
  const char *name;
  cdl_plugin_entry *entry;
} builtins[] = {
#define BUILTIN(name) {#name, name##_plugin},
#include "builtin.def"
#undef BUILTIN
    {NULL, NULL}};

enum { BUILTIN_SLOTS = sizeof builtins / sizeof builtins[0] };

static pthread_mutex_t builtins_lock = PTHREAD_MUTEX_INITIALIZER;
static cdl_backend_table builtin_tables[BUILTIN_SLOTS];

static int builtin_index(const char *name)
{
  for (int i = 0; builtins[i].name != NULL; i++)
    if (strcmp(builtins[i].name, name) == 0)
      return i;
  return -1;
}

static cdl_status load_builtin(int index, const cdl_backend_table **table)
{
  pthread_mutex_lock(&builtins_lock);
  cdl_status status = CDL_STATUS_OK;
  if (builtin_tables[index].name == NULL) {
    cdl_backend_table adopted;
    base_clear_message();
    const cdl_backend_table *given = builtins[index].entry(&core_host);
    status = given == NULL
                 ? cdl_context(base_give_reason(CDL_STATUS_ABSENT), "%s", builtins[index].name)
                 : core_adopt(given, builtins[index].name, &adopted);
    if (status == CDL_STATUS_OK)
      builtin_tables[index] = adopted;
  }
  *table = &builtin_tables[index];
  pthread_mutex_unlock(&builtins_lock);
  return status;
}

/* ---- Precision ---- */

static const char *const precisions[] = {"fp32", "tf32", "bf16", "int8"};

const char *cdl_precision_name(cdl_precision precision)
{
  return (unsigned)precision <= CDL_PRECISION_INT8 ? precisions[precision] : "?";
}

cdl_status cdl_precision_find(const char *name, cdl_precision *precision)
{
  for (int i = 0; i <= CDL_PRECISION_INT8; i++)
    if (strcmp(name, precisions[i]) == 0) {
      *precision = (cdl_precision)i;
      return CDL_STATUS_OK;
    }
  return cdl_fail(CDL_STATUS_UNSUPPORTED,
                  "no precision is called '%s': expected fp32, tf32, bf16 or int8", name);
}

/* ---- Opening ---- */

/* The request, and whether it was by name. */
typedef struct {
  cdl_backend_options options;
  bool automatic;
} request;

static cdl_status open_device(const cdl_backend_table *table, bool is_host, const char *device,
                              const request *wanted, cdl_backend **backend)
{
  const cdl_backend_options *options = &wanted->options;
  if (options->precision != CDL_PRECISION_FP32 && table->header.abi_minor < 1)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: it was built before there were precisions: fp32 alone", table->name);
  cdl_backend *opened = calloc(1, sizeof *opened);
  if (opened == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", table->name);
  opened->table = table;
  opened->is_host = is_host;
  opened->no_fallback = options->no_fallback;
  opened->threads = options->threads;
  pthread_mutex_init(&opened->host_lock, NULL);
  base_clear_message();
  const cdl_open_options chosen = {sizeof chosen, options->threads, options->precision,
                                   wanted->automatic};
  base_dispositions kept;
  base_dispositions_keep(&kept);
  const cdl_status status = table->open(device, &chosen, &opened->device);
  base_dispositions_restore(&kept);
  if (status != CDL_STATUS_OK) {
    pthread_mutex_destroy(&opened->host_lock);
    free(opened);
    return cdl_context(base_give_reason(status), "%s", table->name);
  }
  *backend = opened;
  return CDL_STATUS_OK;
}

/* Opens the device of this process's number. If there are too few, one is opened all the same,
 * since the backend itself may refuse to be taken automatically. */
static cdl_status open_own(const cdl_backend_table *table, bool is_host, const char *device,
                           const request *wanted, cdl_backend **backend)
{
  const int processes = wanted->options.processes, process = wanted->options.process;
  if (is_host || device[0] != '\0' || processes <= 1)
    return open_device(table, is_host, device, wanted, backend);
  int count;
  char number[16];
  base_clear_message();
  base_dispositions kept;
  base_dispositions_keep(&kept);
  const cdl_status status = table->enumerate(&count);
  base_dispositions_restore(&kept);
  if (status != CDL_STATUS_OK)
    return cdl_context(base_give_reason(status), "%s", table->name);
  snprintf(number, sizeof number, "%d", process < count ? process : 0);
  CDL_TRY(open_device(table, is_host, number, wanted, backend));
  if (processes <= count)
    return CDL_STATUS_OK;
  CDL_TRY(cdl_backend_close(*backend));
  *backend = NULL;
  return cdl_fail(CDL_STATUS_USAGE,
                  "%s: %d processes of this host would share %d device%s: start %d, or name the "
                  "device that all of them take, such as %s:0",
                  table->name, processes, count, count == 1 ? "" : "s", count, table->name);
}

cdl_status core_open(const cdl_backend_table *table, const char *device,
                     const cdl_backend_options *options, cdl_backend **backend)
{
  request wanted = {.automatic = false};
  *backend = NULL;
  CDL_TRY(base_sized_read(&wanted.options, sizeof wanted.options, options, "cdl_backend_options"));
  return open_device(table, false, device, &wanted, backend);
}

static cdl_status open_file(const char *file, const char *device, const request *wanted,
                            cdl_backend **backend)
{
  const cdl_backend_table *table;
  CDL_TRY(core_load(file, &table));
  return open_own(table, false, device, wanted, backend);
}

/* Finds the table of the built-in backend or of the first plug-in with this name. */
static cdl_status find_table(const char *name, const cdl_backend_table **table, bool *is_host)
{
  const int index = builtin_index(name);
  *is_host = index >= 0;
  if (*is_host)
    return load_builtin(index, table);
  char *file;
  CDL_TRY(core_find_plugin(name, &file));
  const cdl_status status = core_load(file, table);
  free(file);
  return status;
}

static cdl_status open_named(const char *name, const char *device, const request *wanted,
                             cdl_backend **backend)
{
  const cdl_backend_table *table;
  bool is_host;
  CDL_TRY(find_table(name, &table, &is_host));
  return open_own(table, is_host, device, wanted, backend);
}

/* Reads "PATH:DEVICE", unless a file has the whole name. */
static cdl_status open_path(char *path, const request *wanted, cdl_backend **backend)
{
  char *colon = strchr(strrchr(path, '/'), ':');
  if (colon == NULL || access(path, F_OK) == 0)
    return open_file(path, "", wanted, backend);
  *colon = '\0';
  return open_file(path, colon + 1, wanted, backend);
}

/* ---- The best that is here ---- */

typedef struct {
  char name[NAME_BYTES];
  const cdl_backend_table *table;
  bool is_host;
  uint32_t priority; /* 0: never chosen, and known so that it is not checked twice */
  size_t place;      /* order in which it was found */
} candidate;

typedef struct {
  size_t count;
  candidate list[LISTED];
} candidates;

static void add_candidate(void *user, const char *name, const char *path)
{
  (void)path; /* not loaded from it: the first loadable file of a name is its backend */
  candidates *found = user;
  if (found->count == LISTED || strlen(name) >= NAME_BYTES)
    return;
  for (size_t i = 0; i < found->count; i++)
    if (strcmp(found->list[i].name, name) == 0)
      return;
  candidate *c = &found->list[found->count];
  *c = (candidate){.place = found->count++};
  strcpy(c->name, name);
  if (find_table(name, &c->table, &c->is_host) == CDL_STATUS_OK)
    c->priority = c->table->auto_priority;
  else
    cdl_log(CDL_LOG_DEBUG, "auto: not %s: %s", name, cdl_error_message());
}

static int higher_priority_first(const void *a, const void *b)
{
  const candidate *one = a, *other = b;
  if (one->priority != other->priority)
    return one->priority > other->priority ? -1 : 1;
  return one->place < other->place ? -1 : one->place > other->place;
}

static cdl_status open_best(const cdl_backend_options *options, cdl_backend **backend)
{
  candidates found = {.count = 0};
  const request wanted = {*options, .automatic = true};
  for (int i = 0; builtins[i].name != NULL; i++)
    add_candidate(&found, builtins[i].name, NULL);
  core_each_plugin(add_candidate, &found);
  qsort(found.list, found.count, sizeof found.list[0], higher_priority_first);
  cdl_status status =
      cdl_fail(CDL_STATUS_ABSENT, "none that was found lets itself be taken by auto");
  for (size_t i = 0; i < found.count && found.list[i].priority > 0; i++) {
    const candidate *c = &found.list[i];
    status = open_own(c->table, c->is_host, "", &wanted, backend);
    if (status == CDL_STATUS_OK || status == CDL_STATUS_USAGE)
      return status;
    /* A device that is there but busy, full or broken is no reason to go on silently without it. */
    const bool expected = status != CDL_STATUS_DEVICE && status != CDL_STATUS_MEMORY;
    cdl_log(expected ? CDL_LOG_DEBUG : CDL_LOG_NOTICE, "auto: not %s: %s", c->name,
            cdl_error_message());
  }
  return cdl_context(status, "auto: no backend opens");
}

static bool is_name(const char *text)
{
  if (*text == '\0')
    return false;
  for (; *text != '\0'; text++)
    if (!isalnum((unsigned char)*text) && *text != '-')
      return false;
  return true;
}

cdl_status cdl_backend_open(const char *name, const cdl_backend_options *options,
                            cdl_backend **backend)
{
  if (name == NULL || backend == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_backend_open: %s is NULL",
                    name == NULL ? "name" : "backend");
  cdl_backend_options chosen;
  *backend = NULL;
  CDL_TRY(base_sized_read(&chosen, sizeof chosen, options, "cdl_backend_options"));
  if (chosen.threads < 0)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_backend_open: threads is %d, expected at least 0",
                    chosen.threads);
  char *copy = strdup(name);
  if (copy == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", name);
  const request wanted = {.options = chosen};
  char *colon = strchr(copy, ':');
  cdl_status status;
  if (strcmp(copy, "auto") == 0) {
    status = open_best(&chosen, backend);
  } else if (strchr(copy, '/') != NULL) {
    status = open_path(copy, &wanted, backend);
  } else {
    if (colon != NULL)
      *colon = '\0';
    if (is_name(copy))
      status = open_named(copy, colon != NULL ? colon + 1 : "", &wanted, backend);
    else
      status = cdl_fail(
          CDL_STATUS_ABSENT,
          "no backend is called '%s'; expected auto, cpu, NAME, NAME:DEVICE or a plug-in's "
          "path with a slash",
          name);
  }
  free(copy);
  return status;
}

cdl_status cdl_backend_close(cdl_backend *backend)
{
  if (backend == NULL)
    return CDL_STATUS_OK;
  const size_t buffers = atomic_load(&backend->buffers), weights = atomic_load(&backend->weights);
  const size_t queues = atomic_load(&backend->queues), events = atomic_load(&backend->events);
  const size_t groups = atomic_load(&backend->groups);
  if (buffers + weights + queues + events + groups > 0)
    return cdl_fail(CDL_STATUS_ARGUMENT,
                    "%s: still alive: %zu buffers, %zu weights, %zu queues, %zu events, %zu groups",
                    backend->table->name, buffers, weights, queues, events, groups);
  CDL_TRY(cdl_backend_close(backend->host));
  backend->table->close(backend->device);
  pthread_mutex_destroy(&backend->host_lock);
  free(backend);
  return CDL_STATUS_OK;
}

const char *cdl_backend_name(const cdl_backend *backend)
{
  return backend->table->name;
}

const char *cdl_backend_description(const cdl_backend *backend)
{
  const char *description = backend->table->description(backend->device);
  return description != NULL ? description : "";
}

const char *cdl_backend_kernels(const cdl_backend *backend)
{
  const cdl_backend_table *table = backend->table;
  return table->kernels != NULL ? table->kernels(backend->device)
                                : cdl_backend_description(backend);
}

/* Those of a device without its own run on the host's backend. */
const char *cdl_backend_decompositions(cdl_backend *backend)
{
  const cdl_backend_table *table = backend->table;
  const char *name = table->decompositions != NULL ? table->decompositions(backend->device) : NULL;
  pthread_mutex_lock(&backend->host_lock);
  cdl_backend *host = backend->host;
  pthread_mutex_unlock(&backend->host_lock);
  return name == NULL && host != NULL ? cdl_backend_decompositions(host) : name;
}

uint64_t cdl_backend_compile_ns(const cdl_backend *backend)
{
  const cdl_backend_table *table = backend->table;
  return table->compile_nanoseconds != NULL ? table->compile_nanoseconds(backend->device) : 0;
}

void cdl_backend_observe(cdl_backend *backend, cdl_observer observer, void *user)
{
  backend->observer = observer;
  backend->observer_user = user;
}

void cdl_backend_prefer_composed(cdl_backend *backend, bool prefer)
{
  atomic_store_explicit(&backend->prefer_composed, prefer, memory_order_relaxed);
}

/* ---- Listing ---- */

typedef struct {
  void (*each)(void *user, const cdl_backend_listing *listing);
  void *user;
  /* a name that is found twice is opened only from the first folder */
  char seen[LISTED][NAME_BYTES];
  char *path[LISTED]; /* the first path; NULL: none */
  size_t seen_count;
  bool refused[LISTED]; /* no trusted file of the name so far */
} lister;

static void say_absent(const lister *l, const char *name, const char *device, const char *path)
{
  char reason[CORE_MESSAGE_BYTES];
  snprintf(reason, sizeof reason, "%s", cdl_error_message());
  l->each(l->user,
          &(cdl_backend_listing){.name = name, .device = device, .reason = reason, .path = path});
}

static void list_devices(const lister *l, const cdl_backend_table *table, bool is_host,
                         const char *name, const char *path)
{
  int count = 0;
  base_clear_message();
  base_dispositions kept;
  base_dispositions_keep(&kept);
  const cdl_status status = table->enumerate(&count);
  base_dispositions_restore(&kept);
  if (status != CDL_STATUS_OK || count <= 0) {
    if (status == CDL_STATUS_OK)
      cdl_fail(CDL_STATUS_ABSENT, "no device");
    base_give_reason(status);
    say_absent(l, name, NULL, path);
    return;
  }
  for (int i = 0; i < count; i++) {
    char device[16];
    cdl_backend *backend = NULL;
    snprintf(device, sizeof device, "%d", i);
    if (open_device(table, is_host, device, &(request){0}, &backend) != CDL_STATUS_OK ||
        backend == NULL) {
      say_absent(l, name, device, path);
      continue;
    }
    l->each(l->user, &(cdl_backend_listing){.name = name,
                                            .device = device,
                                            .description = cdl_backend_description(backend),
                                            .path = path});
    if (cdl_backend_close(backend) != CDL_STATUS_OK)
      cdl_log(CDL_LOG_WARNING, "%s", cdl_error_message());
  }
}

/* An untrusted file does not hide a trusted one of the same name. */
static bool is_refused(lister *l, const char *name, const char *path)
{
  char resolved[PATH_MAX], reason[BASE_DISTRUST_BYTES];
  struct stat at;
  if (stat(path, &at) != 0 || !S_ISREG(at.st_mode) || base_trust(path, resolved, reason))
    return false;
  cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: not loaded: %s", path, reason);
  say_absent(l, name, NULL, path);
  for (size_t i = 0; i < l->seen_count; i++)
    if (strcmp(l->seen[i], name) == 0)
      return true;
  if (l->seen_count < LISTED && strlen(name) < sizeof l->seen[0]) {
    l->refused[l->seen_count] = true;
    strcpy(l->seen[l->seen_count++], name);
  }
  return true;
}

/* *earlier: the path of an earlier call, borrowed. */
static bool first_time(lister *l, const char *name, const char *path, const char **earlier)
{
  *earlier = NULL;
  for (size_t i = 0; i < l->seen_count; i++)
    if (strcmp(l->seen[i], name) == 0) {
      const bool refused = l->refused[i] && path != NULL;
      *earlier = l->path[i];
      if (refused) {
        l->refused[i] = false;
        l->path[i] = strdup(path);
      }
      return refused;
    }
  if (l->seen_count == LISTED || strlen(name) >= sizeof l->seen[0])
    return false;
  l->path[l->seen_count] = path != NULL ? strdup(path) : NULL;
  strcpy(l->seen[l->seen_count++], name);
  return true;
}

static bool same_file(const char *a, const char *b)
{
  struct stat first, second;
  return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

static void list_file(void *user, const char *name, const char *path)
{
  lister *l = user;
  const cdl_backend_table *table;
  const char *earlier;
  if (builtin_index(name) >= 0) {
    cdl_fail(CDL_STATUS_UNSUPPORTED, "%s is built in", name);
    say_absent(l, name, NULL, path);
    return;
  }
  if (is_refused(l, name, path))
    return;
  if (!first_time(l, name, path, &earlier)) {
    if (earlier == NULL || same_file(earlier, path))
      return;
    cdl_fail(CDL_STATUS_UNSUPPORTED, "%s comes first", earlier);
    say_absent(l, name, NULL, path);
    return;
  }
  if (core_load(path, &table) != CDL_STATUS_OK)
    say_absent(l, name, NULL, path);
  else
    list_devices(l, table, false, name, path);
}

cdl_status cdl_backend_list(void (*each)(void *user, const cdl_backend_listing *listing),
                            void *user)
{
  static const char *const expected[] = {
#define OWN_PLUGIN(name) #name,
#include "own_plugins.def"
#undef OWN_PLUGIN
  };
  if (each == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_backend_list: each is NULL");
  lister *l = calloc(1, sizeof *l);
  if (l == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for the list of backends");
  l->each = each;
  l->user = user;
  for (int i = 0; builtins[i].name != NULL; i++) {
    const cdl_backend_table *table;
    if (load_builtin(i, &table) != CDL_STATUS_OK)
      say_absent(l, builtins[i].name, NULL, NULL);
    else
      list_devices(l, table, true, builtins[i].name, NULL);
  }
  core_each_plugin(list_file, l);
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    char *path;
    const char *earlier;
    if (!first_time(l, expected[i], NULL, &earlier))
      continue;
    if (core_find_plugin(expected[i], &path) == CDL_STATUS_OK)
      free(path);
    else
      say_absent(l, expected[i], NULL, NULL);
  }
  for (size_t i = 0; i < l->seen_count; i++)
    free(l->path[i]);
  free(l);
  return CDL_STATUS_OK;
}
