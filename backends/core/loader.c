/* Plug-ins: where they are searched, and the checks before one is used. */
#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/core/backend.h"
#include "backends/core/loader.h"
#include "base/dispositions.h"
#include "base/library_folders.h"
#include "base/trust.h"

static const char prefix[] = "condlora-", suffix[] = ".so";

static void *host_allocate(size_t bytes, size_t alignment)
{
  void *memory;
  const size_t least = alignment < sizeof(void *) ? sizeof(void *) : alignment;
  return posix_memalign(&memory, least, bytes > 0 ? bytes : 1) == 0 ? memory : NULL;
}

const cdl_host core_host = {
    .struct_size = sizeof(cdl_host),
    .abi_major = CDL_ABI_MAJOR,
    .abi_minor = CDL_ABI_MINOR,
    .fail = cdl_fail,
    .log = cdl_log,
    .allocate = host_allocate,
    .release = free,
};

/* ---- What a table must hold ---- */

static cdl_status check_header(const cdl_table_header *header, const char *whose)
{
  if (header->magic != CDL_PLUGIN_MAGIC)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: its table does not begin with the mark of a condlora backend", whose);
  if (header->abi_major != CDL_ABI_MAJOR)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: built for version %u.%u of the backend interface, this library has %d.%d",
                    whose, header->abi_major, header->abi_minor, CDL_ABI_MAJOR, CDL_ABI_MINOR);
  const bool newer = header->abi_minor > CDL_ABI_MINOR;
  if (header->struct_size < sizeof(cdl_table_header) + sizeof(char *) ||
      (header->struct_size > sizeof(cdl_backend_table) && !newer))
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: its table has %u bytes, version %u.%u of the backend interface has %zu",
                    whose, header->struct_size, header->abi_major, header->abi_minor,
                    sizeof(cdl_backend_table));
  return CDL_STATUS_OK;
}

static cdl_status check_name(const char *name, const char *whose)
{
  bool fits = name != NULL && name[0] != '\0' && strlen(name) < 64;
  for (const char *at = name; fits && *at != '\0'; at++)
    fits = isalnum((unsigned char)*at) || *at == '-';
  return fits ? CDL_STATUS_OK
              : cdl_fail(CDL_STATUS_UNSUPPORTED,
                         "%s: its name is '%s', expected letters, digits and '-'", whose,
                         name != NULL ? name : "");
}

static cdl_status check_functions(const cdl_backend_table *table, const char *whose)
{
#define NEED(member)         \
  if (table->member == NULL) \
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: lacks the required function '%s'", whose, #member);
  NEED(enumerate)
  NEED(open)
  NEED(close)
  NEED(description)
  NEED(queue_create)
  NEED(queue_destroy)
  NEED(sync)
  NEED(allocate)
  NEED(free)
  NEED(upload)
  NEED(download)
#undef NEED
  return CDL_STATUS_OK;
}

/* Functions that are useless without each other. */
static cdl_status check_groups(const cdl_backend_table *table, const char *whose)
{
#define TOGETHER(what, ...)                                                                     \
  {                                                                                             \
    const bool here[] = {__VA_ARGS__};                                                          \
    for (size_t i = 1; i < sizeof here / sizeof here[0]; i++)                                   \
      if (here[i] != here[0])                                                                   \
        return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: has some of the functions %s but not all", \
                        whose, what);                                                           \
  }
#define HAS(member) (table->member != NULL)
  TOGETHER("weight_create, weight_update, weight_destroy", HAS(weight_create), HAS(weight_update),
           HAS(weight_destroy))
  TOGETHER("event_create, event_destroy, event_record, event_elapsed", HAS(event_create),
           HAS(event_destroy), HAS(event_record), HAS(event_elapsed))
  TOGETHER("capture_begin, capture_end, replay, graph_destroy", HAS(capture_begin),
           HAS(capture_end), HAS(replay), HAS(graph_destroy))
  TOGETHER("pinned_allocate, pinned_free", HAS(pinned_allocate), HAS(pinned_free))
  TOGETHER("group_place, group_key, group_join, gather, group_abandon, group_leave",
           HAS(group_place), HAS(group_key), HAS(group_join), HAS(gather), HAS(group_abandon),
           HAS(group_leave))
#undef HAS
#undef TOGETHER
  return CDL_STATUS_OK;
}

static cdl_status check_ops(const cdl_backend_table *table, const char *whose)
{
#define REQUIRED true
#define COMPOSED false
#define HOST false
#define CDL_OP(op, tier)           \
  if ((tier) && table->op == NULL) \
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: lacks the required op '%s'", whose, #op);
#include "condlora/ops.def"
#undef CDL_OP
#undef REQUIRED
#undef COMPOSED
#undef HOST
  return CDL_STATUS_OK;
}

cdl_status core_adopt(const cdl_backend_table *given, const char *whose, cdl_backend_table *table)
{
  cdl_table_header header; /* the part that is readable in a table of any version */
  memcpy(&header, given, sizeof header);
  CDL_TRY(check_header(&header, whose));
  *table = (cdl_backend_table){0};
  memcpy(table, given, header.struct_size < sizeof *table ? header.struct_size : sizeof *table);
  CDL_TRY(check_name(table->name, whose));
  CDL_TRY(check_functions(table, whose));
  CDL_TRY(check_groups(table, whose));
  return check_ops(table, whose);
}

/* ---- Loading ---- */

typedef struct plugin {
  struct plugin *next;
  dev_t device;
  ino_t inode;
  cdl_backend_table table;
} plugin;

/* A plug-in, and its table, stay for the life of the process. */
static pthread_mutex_t plugins_lock = PTHREAD_MUTEX_INITIALIZER;
static plugin *plugins;

/* Uses the path without links, every part of which has been checked: only trusted users can change
 * it. */
static cdl_status load_new(const char *resolved, const char *file, cdl_backend_table *table)
{
  base_dispositions kept;
  base_dispositions_keep(&kept);
  void *library = dlopen(resolved, RTLD_NOW | RTLD_LOCAL);
  base_dispositions_restore(&kept);
  if (library == NULL)
    return cdl_fail(CDL_STATUS_ABSENT, "%s: cannot be loaded: %s", file, dlerror());
  /* ISO C has no cast from an object's address to a function's; POSIX gives both one
   * representation. */
  void *symbol = dlsym(library, "cdl_plugin");
  if (symbol == NULL)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: exports no function cdl_plugin, so it is not a condlora backend", file);
  cdl_plugin_entry *entry;
  memcpy(&entry, &symbol, sizeof entry);
  base_clear_message();
  const cdl_backend_table *given = entry(&core_host);
  base_dispositions_restore(&kept);
  if (given == NULL)
    return cdl_context(base_give_reason(CDL_STATUS_ABSENT), "%s", file);
  return core_adopt(given, file, table);
}

static cdl_status load_locked(const char *file, const cdl_backend_table **table)
{
  char resolved[PATH_MAX], reason[BASE_DISTRUST_BYTES];
  struct stat at;
  if (stat(file, &at) != 0)
    return cdl_fail(CDL_STATUS_ABSENT, "%s: no such plug-in", file);
  if (!S_ISREG(at.st_mode))
    return cdl_fail(CDL_STATUS_ABSENT, "%s: not a file", file);
  if (!base_trust(file, resolved, reason))
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: not loaded: %s", file, reason);
  for (plugin *known = plugins; known != NULL; known = known->next)
    if (known->device == at.st_dev && known->inode == at.st_ino) {
      *table = &known->table;
      return CDL_STATUS_OK;
    }
  plugin *loaded = calloc(1, sizeof *loaded);
  if (loaded == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", file);
  const cdl_status status = load_new(resolved, file, &loaded->table);
  if (status != CDL_STATUS_OK) {
    free(loaded);
    return status;
  }
  loaded->device = at.st_dev;
  loaded->inode = at.st_ino;
  loaded->next = plugins;
  plugins = loaded;
  *table = &loaded->table;
  return CDL_STATUS_OK;
}

cdl_status core_load(const char *file, const cdl_backend_table **table)
{
  pthread_mutex_lock(&plugins_lock);
  const cdl_status status = load_locked(file, table);
  pthread_mutex_unlock(&plugins_lock);
  return status;
}

/* ---- Searching ---- */

static bool visit_path_variable(base_visit_folder *visit, base_visit_folder *skipped, void *user)
{
  const char *list = secure_getenv("CDL_BACKEND_PATH");
  char folder[PATH_MAX];
  while (list != NULL && *list != '\0') {
    const size_t length = strcspn(list, ":");
    if (length > 0 && length < sizeof folder) {
      memcpy(folder, list, length);
      folder[length] = '\0';
      /* A relative folder would depend on where the program is started. */
      if (folder[0] != '/' && skipped != NULL)
        skipped(user, folder);
      else if (folder[0] != '/')
        cdl_log(CDL_LOG_NOTICE,
                "CDL_BACKEND_PATH: '%s' is not an absolute path and is not searched", folder);
      else if (visit(user, folder))
        return true;
    }
    list += length + (list[length] == ':');
  }
  return false;
}

/* Calls `visit` for each searched folder, in order, until it returns true. Reports skipped folders
 * to `skipped`, or to the log if that is NULL. */
static void visit_folders(base_visit_folder *visit, base_visit_folder *skipped, void *user)
{
  if (!visit_path_variable(visit, skipped, user))
    (void)base_each_library_folder(visit, user);
}

typedef struct {
  void (*each)(void *user, const char *folder, const char *reason);
  void *user;
} folder_teller;

static bool tell_folder(void *user, const char *folder)
{
  const folder_teller *teller = user;
  struct stat at;
  const bool exists = stat(folder, &at) == 0 && S_ISDIR(at.st_mode);
  teller->each(teller->user, folder, exists ? NULL : "no such folder");
  return false;
}

static bool tell_relative(void *user, const char *folder)
{
  const folder_teller *teller = user;
  teller->each(teller->user, folder, "not an absolute path");
  return false;
}

cdl_status cdl_backend_folders(void (*each)(void *user, const char *folder, const char *reason),
                               void *user)
{
  if (each == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_backend_folders: each is NULL");
  folder_teller teller = {each, user};
  visit_folders(tell_folder, tell_relative, &teller);
  return CDL_STATUS_OK;
}

typedef struct {
  const char *name;
  char *found;
  char searched[CORE_MESSAGE_BYTES / 2], refused[BASE_DISTRUST_BYTES]; /* the first one */
} search;

static bool look_for(void *user, const char *folder)
{
  search *s = user;
  char path[PATH_MAX], resolved[PATH_MAX], reason[BASE_DISTRUST_BYTES];
  struct stat at;
  if (snprintf(path, sizeof path, "%s/%s%s%s", folder, prefix, s->name, suffix) >= (int)sizeof path)
    return false;
  if (stat(path, &at) == 0 && S_ISREG(at.st_mode) && !base_trust(path, resolved, reason)) {
    cdl_log(CDL_LOG_NOTICE, "%s is not loaded: %s", path, reason);
    if (s->refused[0] == '\0')
      snprintf(s->refused, sizeof s->refused, "; %.128s is not loaded: %.350s", path, reason);
  } else if (stat(path, &at) == 0) {
    s->found = strdup(path);
    return true;
  }
  const size_t used = strlen(s->searched);
  snprintf(s->searched + used, sizeof s->searched - used, "%s%s", used > 0 ? ", " : "", folder);
  return false;
}

cdl_status core_find_plugin(const char *name, char **path)
{
  search s = {.name = name};
  visit_folders(look_for, NULL, &s);
  if (s.found == NULL)
    return cdl_fail(s.refused[0] != '\0' ? CDL_STATUS_UNSUPPORTED : CDL_STATUS_ABSENT,
                    "no plug-in %s%s%s in %s%s", prefix, name, suffix, s.searched, s.refused);
  *path = s.found;
  return CDL_STATUS_OK;
}

typedef struct {
  void (*each)(void *user, const char *name, const char *path);
  void *user;
} listing;

static int is_plugin(const struct dirent *entry)
{
  const size_t length = strlen(entry->d_name), around = sizeof prefix - 1 + sizeof suffix - 1;
  return length > around && strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0 &&
         strcmp(entry->d_name + length - (sizeof suffix - 1), suffix) == 0;
}

static bool list_folder(void *user, const char *folder)
{
  const listing *l = user;
  struct dirent **entries;
  const int count = scandir(folder, &entries, is_plugin, alphasort);
  for (int i = 0; i < count; i++) {
    char path[PATH_MAX], *name = entries[i]->d_name + sizeof prefix - 1;
    const bool fits =
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name) < (int)sizeof path;
    name[strlen(name) - (sizeof suffix - 1)] = '\0';
    if (fits)
      l->each(l->user, name, path);
    free(entries[i]);
  }
  if (count >= 0)
    free(entries);
  return false;
}

void core_each_plugin(void (*each)(void *user, const char *name, const char *path), void *user)
{
  listing l = {each, user};
  visit_folders(list_folder, NULL, &l);
}
