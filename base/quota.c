#include "base/quota.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 2 * PATH_MAX };

/* ---- Small files ---- */

/* Reads at most two numbers of a file's first line and returns how many there are. "max" and
 * negative numbers are UINT64_MAX. */
static int read_numbers(const char *folder, const char *name, uint64_t number[2])
{
  char path[LINE_BYTES], line[128] = "";
  if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
    return 0;
  FILE *file = fopen(path, "re");
  if (file == NULL)
    return 0;
  const bool any = fgets(line, sizeof line, file) != NULL;
  fclose(file);
  int count = 0;
  char *rest = line;
  for (const char *word; any && count < 2 && (word = strtok_r(NULL, " \n", &rest)) != NULL; count++)
    number[count] = word[0] < '0' || word[0] > '9' ? UINT64_MAX : strtoull(word, NULL, 10);
  return count;
}

/* Returns the value of a line "key value" or "key: value kB", in bytes; 0 if there is none. */
static uint64_t read_entry(const char *path, const char *key)
{
  char line[256];
  uint64_t value = 0;
  const size_t length = strlen(key);
  FILE *file = fopen(path, "re");
  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, key, length) == 0 && (line[length] == ' ' || line[length] == ':')) {
      value = strtoull(line + length + 1, NULL, 10) * (strstr(line, " kB") != NULL ? 1024 : 1);
      break;
    }
  if (file != NULL)
    fclose(file);
  return value;
}

/* ---- One group ---- */

static void limit_processors(base_quota *limits, const char *folder, bool unified)
{
  uint64_t quota[2] = {UINT64_MAX, 100000}, period[2];
  if (unified) {
    if (read_numbers(folder, "cpu.max", quota) < 1)
      return;
  } else if (read_numbers(folder, "cpu.cfs_quota_us", quota) < 1 ||
             read_numbers(folder, "cpu.cfs_period_us", period) < 1)
    return;
  else
    quota[1] = period[0];
  if (quota[0] != UINT64_MAX && quota[0] > 0 && quota[1] > 0 && quota[1] != UINT64_MAX)
    limits->processors = fmin(limits->processors, (double)quota[0] / (double)quota[1]);
}

/* Returns the memory that the kernel reclaims by itself before it refuses more. */
static uint64_t reclaimable(const char *folder, bool unified)
{
  char path[LINE_BYTES];
  if (snprintf(path, sizeof path, "%s/memory.stat", folder) >= (int)sizeof path)
    return 0;
  const uint64_t cached = read_entry(path, unified ? "file" : "total_cache"),
                 shared = read_entry(path, unified ? "shmem" : "total_shmem");
  return cached > shared ? cached - shared : 0;
}

static void limit_memory(base_quota *limits, const char *folder, bool unified)
{
  /* A process above the high mark is not refused memory, but it hardly runs. */
  static const char *const names[][2] = {{"memory.limit_in_bytes", NULL},
                                         {"memory.max", "memory.high"}};
  const uint64_t none = UINT64_C(1) << 62; /* version 1 writes the largest possible number */
  uint64_t limit = UINT64_MAX, number[2], used = 0;
  for (int i = 0; i < (unified ? 2 : 1); i++)
    if (read_numbers(folder, names[unified][i], number) > 0 && number[0] < limit)
      limit = number[0];
  if (limit >= none)
    return;
  if (read_numbers(folder, unified ? "memory.current" : "memory.usage_in_bytes", number) > 0)
    used = number[0];
  const uint64_t back = reclaimable(folder, unified);
  used = used > back ? used - back : 0;
  const uint64_t left = limit > used ? limit - used : 0;
  limits->memory_bytes = limit < limits->memory_bytes ? limit : limits->memory_bytes;
  limits->free_bytes = left < limits->free_bytes ? left : limits->free_bytes;
}

/* ---- Where the groups are ---- */

/* One hierarchy: its mount point, and the group that is mounted there. */
typedef struct {
  bool unified, processors, memory;
  char top[PATH_MAX], place[PATH_MAX];
} hierarchy;

static bool lists(const char *list, const char *word)
{
  const size_t length = strlen(word);
  for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
    if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
      return true;
  return false;
}

/* Spaces and similar characters are written as "\040". */
static void unescape(char *text)
{
  char *out = text;
  for (const char *in = text; *in != '\0'; out++) {
    if (in[0] == '\\' && strspn(in + 1, "01234567") >= 3) {
      const char digits[4] = {in[1], in[2], in[3], '\0'};
      *out = (char)strtoul(digits, NULL, 8);
      in += 4;
    } else {
      *out = *in++;
    }
  }
  *out = '\0';
}

/* Reads a line of mountinfo: "36 35 98:0 ROOT MOUNTED OPTIONS [FIELDS] - TYPE SOURCE OPTIONS". */
static bool parse_mount(char *line, hierarchy *h)
{
  char *words[6], *rest = line, *after = strstr(line, " - ");
  if (after == NULL)
    return false;
  *after = '\0';
  for (int i = 0; i < 5; i++)
    if ((words[i] = strtok_r(NULL, " ", &rest)) == NULL)
      return false;
  rest = after + 3;
  const char *type = strtok_r(NULL, " ", &rest);
  (void)strtok_r(NULL, " ", &rest);
  const char *options = strtok_r(NULL, " \n", &rest);
  if (type == NULL || (strcmp(type, "cgroup") != 0 && strcmp(type, "cgroup2") != 0))
    return false;
  *h = (hierarchy){.unified = strcmp(type, "cgroup2") == 0};
  h->processors = h->unified || (options != NULL && lists(options, "cpu"));
  h->memory = h->unified || (options != NULL && lists(options, "memory"));
  unescape(words[3]);
  unescape(words[4]);
  return (h->processors || h->memory) &&
         snprintf(h->top, sizeof h->top, "%s", words[3]) < (int)sizeof h->top &&
         snprintf(h->place, sizeof h->place, "%s", words[4]) < (int)sizeof h->place;
}

/* Finds the group of this process in a hierarchy: a line "NUMBER:CONTROLLERS:PATH" of
 * /proc/self/cgroup, without controllers for the unified one. */
static bool find_group(const char *root, const hierarchy *h, char group[PATH_MAX])
{
  char path[PATH_MAX], line[LINE_BYTES];
  bool found = false;
  if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= (int)sizeof path)
    return false;
  FILE *file = fopen(path, "re");
  while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':'), *of = NULL;
    if (controllers != NULL)
      of = strchr(++controllers, ':');
    if (of == NULL)
      continue;
    *of++ = '\0';
    found = (h->unified ? controllers[0] == '\0'
                        : (h->processors && lists(controllers, "cpu")) ||
                              (h->memory && lists(controllers, "memory"))) &&
            snprintf(group, PATH_MAX, "%s", of) < PATH_MAX;
  }
  if (file != NULL)
    fclose(file);
  return found;
}

/* Returns the part of `group` below the mounted group. A group beside or above it, which a name
 * space or a container's mount may show, is not visible: then the mounted group counts. */
static const char *below(const hierarchy *h, const char *group)
{
  const size_t length = strcmp(h->top, "/") == 0 ? 0 : strlen(h->top);
  if (strncmp(group, h->top, length) != 0 || (group[length] != '/' && group[length] != '\0') ||
      strstr(group, "/..") != NULL)
    return "";
  return strcmp(group + length, "/") == 0 ? "" : group + length;
}

/* Applies the limits of the group and of all groups above it that are mounted. */
static void limit(base_quota *limits, const char *root, const hierarchy *h)
{
  char group[PATH_MAX], folder[LINE_BYTES];
  if (!find_group(root, h, group))
    return;
  const int top = snprintf(folder, sizeof folder, "%s%s", root, h->place);
  if (snprintf(folder + top, sizeof folder - (size_t)top, "%s", below(h, group)) >=
      (int)(sizeof folder - (size_t)top))
    return;
  for (;;) {
    if (h->processors)
      limit_processors(limits, folder, h->unified);
    if (h->memory)
      limit_memory(limits, folder, h->unified);
    char *slash = strrchr(folder, '/');
    if ((int)strlen(folder) <= top || slash == NULL)
      return;
    *slash = '\0';
  }
}

base_quota base_quota_read(const char *root)
{
  base_quota limits = {INFINITY, UINT64_MAX, UINT64_MAX};
  char path[PATH_MAX], line[LINE_BYTES];
  if (snprintf(path, sizeof path, "%s/proc/self/mountinfo", root) >= (int)sizeof path)
    return limits;
  FILE *file = fopen(path, "re");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    hierarchy h;
    if (parse_mount(line, &h))
      limit(&limits, root, &h);
  }
  if (file != NULL)
    fclose(file);
  return limits;
}

/* ---- The machine ---- */

static int allowed_processors(void)
{
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    return CPU_COUNT(&set);
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (int)online : 1;
}

int base_usable_processors(void)
{
  const int allowed = allowed_processors();
  const double quota = ceil(base_quota_read("").processors);
  return quota < allowed ? (int)quota : allowed;
}

base_memory base_usable_memory(void)
{
  const base_quota limits = base_quota_read("");
  base_memory memory = {read_entry("/proc/meminfo", "MemTotal"),
                        read_entry("/proc/meminfo", "MemAvailable")};
  if (limits.memory_bytes < memory.total_bytes || memory.total_bytes == 0)
    memory.total_bytes = limits.memory_bytes != UINT64_MAX ? limits.memory_bytes : 0;
  if (limits.free_bytes < memory.free_bytes)
    memory.free_bytes = limits.free_bytes;
  return memory;
}
