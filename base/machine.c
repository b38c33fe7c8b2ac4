#include "base/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/process.h"

/* Copies the first line of a file, without its newline. */
static void read_line(const char *path, char *text, size_t bytes)
{
  text[0] = '\0';
  FILE *file = fopen(path, "re");
  if (file == NULL)
    return;
  if (fgets(text, (int)bytes, file) == NULL)
    text[0] = '\0';
  text[strcspn(text, "\n")] = '\0';
  fclose(file);
}

/* x86 has a "model name"; others have at most a "Model" or "Hardware", at the end. */
static void find_processor(char *text, size_t bytes)
{
  static const char *const keys[] = {"model name", "cpu model", "Model", "Hardware"};
  char line[512];
  size_t best = sizeof keys / sizeof keys[0];
  text[0] = '\0';
  FILE *file = fopen("/proc/cpuinfo", "re");
  while (file != NULL && best > 0 && fgets(line, sizeof line, file) != NULL)
    for (size_t k = 0; k < best; k++) {
      const size_t length = strlen(keys[k]);
      const char *colon = strchr(line, ':');
      if (strncmp(line, keys[k], length) != 0 || colon == NULL ||
          strspn(line + length, " \t") != (size_t)(colon - line) - length)
        continue;
      const char *value = colon + 1 + strspn(colon + 1, " \t");
      snprintf(text, bytes, "%.*s", (int)strcspn(value, "\n"), value);
      best = k;
    }
  if (file != NULL)
    fclose(file);
}

base_machine base_machine_look(void)
{
  base_machine m = {.processors = base_process_processors(), .load = -1, .busy = -1};
  struct utsname names;
  double loads[1];
  if (uname(&names) == 0) {
    snprintf(m.host, sizeof m.host, "%.*s", (int)sizeof m.host - 1, names.nodename);
    snprintf(m.system, sizeof m.system, "%.40s %.80s %.30s", names.sysname, names.release,
             names.machine);
  }
  find_processor(m.processor, sizeof m.processor);
  read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", m.governor, sizeof m.governor);
  if (getloadavg(loads, 1) == 1) {
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    m.load = loads[0];
    m.busy = loads[0] / (double)(online > 0 ? online : 1);
  }
  return m;
}

static json_t *text_or_null(const char *text)
{
  return base_json_string_of(text[0] != '\0' ? text : NULL);
}

json_t *base_machine_json(const base_machine *m)
{
  json_t *object = json_object();
  base_json_set(&object, "host", text_or_null(m->host));
  base_json_set(&object, "system", text_or_null(m->system));
  base_json_set(&object, "processor", text_or_null(m->processor));
  base_json_set(&object, "processors", json_integer((json_int_t)m->processors));
  return object;
}

base_time base_time_now(void)
{
  base_time now;
  struct timespec t;
  struct tm parts;
  clock_gettime(CLOCK_REALTIME, &t);
  gmtime_r(&t.tv_sec, &parts);
  const size_t used = strftime(now.text, sizeof now.text, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(now.text + used, sizeof now.text - used, ".%03ldZ", t.tv_nsec / 1000000);
  return now;
}

double base_time_seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
