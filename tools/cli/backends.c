/* condlora backends */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/json.h"
#include "base/quota.h"
#include "base/visible.h"
#include "condlora/backend.h"
#include "condlora/log.h"
#include "tools/cli/command.h"
#include "tools/cli/options.h"
#include "tools/console/output.h"

typedef struct {
  bool why, as_json;
  json_t *list, *folders, *log, *decompositions; /* the last one is NULL without --why */
  size_t usable;
} listing;

/* Reads the value of the line "KEY : …" of a /proc file; "" if file or line is missing. */
static void read_fact(const char *path, const char *key, char *value, size_t bytes)
{
  char line[512];
  value[0] = '\0';
  FILE *file = fopen(path, "r");
  while (file != NULL && value[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
    const char *colon = strchr(line, ':');
    if (colon == NULL || strncmp(line, key, strlen(key)) != 0)
      continue;
    colon += 1 + strspn(colon + 1, " \t");
    snprintf(value, bytes, "%.*s", (int)strcspn(colon, "\n"), colon);
  }
  if (file != NULL)
    fclose(file);
}

typedef struct {
  char system[256], processor[256];
  long cores;
  int usable_cores; /* this process may use, under its limits */
  double memory_gb, usable_memory_gb;
} machine;

static machine describe_machine(void)
{
  machine m = {.cores = sysconf(_SC_NPROCESSORS_ONLN),
               .usable_cores = base_usable_processors(),
               .memory_gb = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 1e9,
               .usable_memory_gb = (double)base_usable_memory().total_bytes / 1e9};
  struct utsname name;
  if (uname(&name) == 0)
    snprintf(m.system, sizeof m.system, "%.64s %.64s %.64s", name.sysname, name.release,
             name.machine);
  read_fact("/proc/cpuinfo", "model name", m.processor, sizeof m.processor);
  if (m.processor[0] == '\0')
    snprintf(m.processor, sizeof m.processor, "unknown");
  return m;
}

static json_t *backend_json(const cdl_backend_listing *b)
{
  json_t *object = json_pack("{ss sb}", "name", b->name, "usable", b->reason == NULL);
  base_json_set_text(&object, "device", b->device);
  base_json_set_text(&object, "description", b->description);
  base_json_set_text(&object, "reason", b->reason);
  base_json_set_text(&object, "path", b->path);
  return object;
}

/* Also prints the limits of this process where they are below the machine's: in a container or a
 * batch session. */
static void print_machine(const machine *m)
{
  printf("%-12s%s\n%-12s%s\n%-12s%s, %ld cores", "condlora", cdl_version(), "system", m->system,
         "processor", m->processor, m->cores);
  if (m->usable_cores < m->cores)
    printf(", of which this process may use %d", m->usable_cores);
  printf("\n%-12s%.1f GB", "memory", m->memory_gb);
  if (m->usable_memory_gb < 0.999 * m->memory_gb)
    printf(", of which this process may use %.1f GB", m->usable_memory_gb);
  printf("\n\n");
}

static void on_backend(void *user, const cdl_backend_listing *b)
{
  listing *l = user;
  l->usable += b->reason == NULL;
  if (b->reason != NULL && !l->why)
    return;
  if (l->as_json)
    base_json_append(&l->list, backend_json(b));
  else if (b->reason != NULL) {
    printf("%-12snot taken: %s\n", base_visible(b->name).text, base_visible(b->reason).text);
    if (b->path != NULL)
      printf("%-12s%s\n", "", base_visible(b->path).text);
  } else {
    printf("%-12s%s\n", base_visible(b->name).text,
           base_visible(b->description != NULL ? b->description : b->device).text);
    if (b->path != NULL)
      printf("%-12s%s\n", "", base_visible(b->path).text);
  }
}

static void on_folder(void *user, const char *folder, const char *reason)
{
  listing *l = user;
  if (l->as_json) {
    json_t *object = json_pack("{so}", "path", base_json_string_of(folder));
    base_json_set_text(&object, "reason", reason);
    base_json_append(&l->folders, object);
  } else
    printf("%-12s%s%s%s\n", reason == NULL ? "searched" : "skipped", base_visible(folder).text,
           reason == NULL ? "" : ": ", base_visible(reason).text);
}

/* What the backends took, and from where: libraries, kernels. */
static void on_line(void *user, const char *line)
{
  listing *l = user;
  base_json_append(&l->log, base_json_string_of(line));
}

static void print_log(const listing *l)
{
  size_t i;
  json_t *line;
  json_array_foreach(l->log, i, line)
      printf("%-12s%s\n", "log", base_visible(json_string_value(line)).text);
}

/* Runs the smallest decomposition, which opens the library. Gives its name, NULL with *reason if it
 * is not to be had; the caller frees both. */
static void try_decompositions(char **name, char **reason)
{
  cdl_backend *backend = NULL;
  cdl_queue *queue = NULL;
  cdl_buffer *buffer = NULL;
  *name = *reason = NULL;
  cdl_status status = cdl_backend_open("cpu", NULL, &backend);
  if (status == CDL_STATUS_OK)
    status = cdl_queue_create(backend, &queue);
  if (status == CDL_STATUS_OK)
    status = cdl_buffer_create(backend, 2 * sizeof(float), &buffer);
  if (status == CDL_STATUS_OK) {
    const float one = 1;
    const cdl_tensor a = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, 1, 1);
    cdl_queue_upload(queue, a, &one, sizeof one);
    cdl_eigh(queue, CDL_ARGS(eigh, .a = a, .values = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 1, 1)));
    status = cdl_queue_sync(queue);
  }
  const char *found = status == CDL_STATUS_OK ? cdl_backend_decompositions(backend) : NULL;
  if (found != NULL)
    *name = strdup(found);
  else
    *reason = strdup(cdl_error_message());
  cdl_buffer_destroy(buffer);
  cdl_queue_destroy(queue);
  if (cdl_backend_close(backend) != CDL_STATUS_OK)
    cdl_log(CDL_LOG_WARNING, "%s", cdl_error_message());
}

static void list_decompositions(listing *l)
{
  char *name, *reason;
  try_decompositions(&name, &reason);
  if (l->as_json) {
    l->decompositions = json_object();
    base_json_set_text(&l->decompositions, "library", name);
    base_json_set_text(&l->decompositions, "reason", reason);
  } else
    printf("\n%-12s%s%s\n", "LAPACK",
           name != NULL ? "" : "not here: ", base_visible(name != NULL ? name : reason).text);
  free(name);
  free(reason);
}

static cdl_status run(void *command, console_notices *notices)
{
  listing *l = command;
  const machine m = describe_machine();
  if (!l->as_json)
    print_machine(&m);
  l->list = json_array();
  l->folders = json_array();
  l->log = json_array();
  if (l->why) {
    notices->debug_user = l;
    notices->debug = on_line;
  }
  cdl_status status = cdl_backend_list(on_backend, l);
  if (status == CDL_STATUS_OK && l->why) {
    list_decompositions(l);
    if (!l->as_json)
      printf("\n");
    status = cdl_backend_folders(on_folder, l);
  }
  if (!l->as_json)
    print_log(l);
  if (status != CDL_STATUS_OK || !l->as_json) {
    json_decref(l->list);
    json_decref(l->folders);
    json_decref(l->log);
    json_decref(l->decompositions);
    return status;
  }
  return console_stdout_json(
      json_pack("{ss ss s{ss sI sI} sf sf so so so so*}", "condlora", cdl_version(), "system",
                m.system, "processor", "name", m.processor, "cores", (json_int_t)m.cores,
                "usable_cores", (json_int_t)m.usable_cores, "memory_gb", m.memory_gb,
                "usable_memory_gb", m.usable_memory_gb, "backends", l->list, "searched", l->folders,
                "log", l->log, "decompositions", l->decompositions));
}

cdl_status cli_backends(int count, char **arguments)
{
  listing l = {0};
  const base_option options[] = {
      BASE_OPTION(FLAG, "why", &l.why, NULL,
                  "also list absent backends, each with its reason, the "
                  "searched folders, what was opened, and the library of decompositions"),
      BASE_OPTION(FLAG, "json", &l.as_json, NULL, "print JSON")};
  const base_command_line line = {
      .usage = "condlora backends [--why] [--json]",
      .summary = "Lists the backends that this machine can use, with what a bug report needs.",
      .options = BASE_OPTIONS(options)};
  return cli_run(&line, count, arguments, run, &l);
}
