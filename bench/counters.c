#include "bench/counters.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Instructions ---- */

static int counter = -1; /* of the process: there is one clock */

cdl_status bench_instructions_begin(void)
{
  struct perf_event_attr what = {.type = PERF_TYPE_HARDWARE,
                                 .size = sizeof what,
                                 .config = PERF_COUNT_HW_INSTRUCTIONS,
                                 .inherit = 1, /* threads too */
                                 .exclude_kernel = 1,
                                 .exclude_hv = 1};
  if (counter >= 0)
    return CDL_STATUS_OK;
  counter = (int)syscall(SYS_perf_event_open, &what, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
  if (counter >= 0)
    return CDL_STATUS_OK;
  const int why = errno;
  return cdl_fail(CDL_STATUS_UNSUPPORTED, "--clock instructions: perf_event_open: %s%s",
                  strerror(why),
                  why == EACCES || why == EPERM
                      ? "; the administrator allows it with sysctl kernel.perf_event_paranoid=2"
                  : why == ENOENT || why == EOPNOTSUPP || why == ENODEV
                      ? "; this machine, perhaps a virtual one, has no counter of instructions"
                      : "");
}

double bench_instructions(void)
{
  uint64_t count = 0;
  if (counter < 0 || read(counter, &count, sizeof count) != (ssize_t)sizeof count)
    return (double)NAN;
  return (double)count;
}

/* ---- Energy ---- */

static bool read_number(const char *folder, const char *name, double *number)
{
  char path[160];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "re");
  if (file == NULL)
    return false;
  const bool found = fscanf(file, "%lf", number) == 1;
  fclose(file);
  return found;
}

/* Whether a name is that of a package: "intel-rapl:0" (AMD's have it too), not its part
 * "intel-rapl:0:0" nor the same counter by another way, "intel-rapl-mmio:0". */
static bool is_package(const char *name)
{
  static const char start[] = "intel-rapl:";
  if (strncmp(name, start, sizeof start - 1) != 0)
    return false;
  const char *number = name + sizeof start - 1;
  return isdigit((unsigned char)number[0]) && number[strspn(number, "0123456789")] == '\0';
}

bench_energy bench_energy_begin(const char *folder)
{
  bench_energy e = {.count = 0};
  DIR *names = opendir(folder);
  for (const struct dirent *entry; names != NULL && (entry = readdir(names)) != NULL;) {
    const int at = e.count;
    if (!is_package(entry->d_name) || at == BENCH_ENERGY_ZONES ||
        strlen(folder) + strlen(entry->d_name) + 2 > sizeof e.path[0])
      continue;
    snprintf(e.path[at], sizeof e.path[at], "%.90s/%.30s", folder, entry->d_name);
    if (read_number(e.path[at], "energy_uj", &e.last[at]) &&
        read_number(e.path[at], "max_energy_range_uj", &e.range[at]))
      e.count++;
  }
  if (names != NULL)
    closedir(names);
  return e;
}

double bench_energy_joules(bench_energy *e)
{
  for (int i = 0; i < e->count; i++) {
    double now;
    if (!read_number(e->path[i], "energy_uj", &now))
      return (double)NAN;
    const double spent = now >= e->last[i] ? now - e->last[i] : now - e->last[i] + e->range[i];
    e->joules += spent * 1e-6;
    e->last[i] = now;
  }
  return e->count > 0 ? e->joules : (double)NAN;
}
