#include "tuning.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/opencl/tuning_path.h"

static const struct {
  cl_device_type type;
  const char *parameters; /* a line of a file */
} shipped[] = {
#define TUNED(type, parameters) {type, parameters},
#include "tuned.def"
#undef TUNED
};

/* ---- One line ---- */

enum { MOST_PARAMETERS = 32 };

typedef struct {
  const char *kernel;
  unsigned precision;
  size_t count;
  const char *names[MOST_PARAMETERS];
  size_t values[MOST_PARAMETERS];
} parameters;

static bool number(const char *text, size_t *value)
{
  if (text == NULL || text[0] == '\0' || text[strspn(text, "0123456789")] != '\0' ||
      strlen(text) > 9)
    return false;
  *value = strtoul(text, NULL, 10);
  return true;
}

/* Cuts the line into pieces; the names point into it. Returns NULL, or what is wrong with it. */
static const char *parse(char *line, parameters *out)
{
  char *rest = line;
  size_t precision;
  out->count = 0;
  out->kernel = strtok_r(line, " \t", &rest);
  if (!number(strtok_r(NULL, " \t", &rest), &precision) || (precision != 32 && precision != 64))
    return "expected a kernel's name and 32 or 64";
  out->precision = precision == 32 ? CLBlastPrecisionSingle : CLBlastPrecisionDouble;
  for (char *word; (word = strtok_r(NULL, " \t", &rest)) != NULL; out->count++) {
    char *equals = strchr(word, '=');
    if (out->count == MOST_PARAMETERS)
      return "has too many parameters";
    if (equals == NULL || equals == word || !number(equals + 1, &out->values[out->count]))
      return "expected NAME=VALUE after the precision";
    *equals = '\0';
    out->names[out->count] = word;
  }
  return out->count > 0 ? NULL : "has no parameters";
}

static int give(const opencl_device *device, parameters *given)
{
  if (given->precision == CLBlastPrecisionDouble && !device->common.has_f64)
    return CL_SUCCESS;
  return cl.CLBlastOverrideParameters(device->id, given->kernel, given->precision, given->count,
                                      given->names, given->values);
}

/* ---- Shipped parameters ---- */

cdl_status opencl_tune_shipped(const opencl_device *device, cl_device_type type)
{
  for (size_t i = 0; i < sizeof shipped / sizeof shipped[0]; i++) {
    if ((shipped[i].type & type) == 0)
      continue;
    char line[512];
    parameters given;
    snprintf(line, sizeof line, "%s", shipped[i].parameters);
    const char *wrong = parse(line, &given);
    if (wrong != NULL)
      return opencl_host->fail(CDL_STATUS_UNSUPPORTED, "shipped parameters of CLBlast %s: %s",
                               wrong, shipped[i].parameters);
    const int code = give(device, &given);
    /* parameters of another version of CLBlast: its own are slower, but not wrong */
    if (code != CL_SUCCESS)
      opencl_host->log(CDL_LOG_NOTICE,
                       "opencl: this CLBlast does not take the tuned parameters "
                       "of %s (%s); its own are used",
                       given.kernel, opencl_code_name(code));
  }
  return CDL_STATUS_OK;
}

/* ---- The user's parameters ---- */

typedef struct {
  const opencl_device *device;
  const char *path;
  int line;
  bool begun;
} reading;

static cdl_status refuse(const reading *r, const char *what)
{
  return opencl_host->fail(CDL_STATUS_DATA, "%s:%d: %s", r->path, r->line, what);
}

static cdl_status take_line(reading *r, char *line)
{
  static const char first[] = "condlora-opencl-tuning 1", device[] = "device ",
                    driver[] = "driver ";
  parameters given;
  if (!r->begun) {
    r->begun = strcmp(line, first) == 0;
    return r->begun ? CDL_STATUS_OK
                    : refuse(r, "expected 'condlora-opencl-tuning 1': not a file of parameters");
  }
  if (strncmp(line, device, sizeof device - 1) == 0)
    return strcmp(line + sizeof device - 1, r->device->name) == 0
               ? CDL_STATUS_OK
               : opencl_host->fail(CDL_STATUS_DATA, "%s:%d: tuned for %s, this is %s", r->path,
                                   r->line, line + sizeof device - 1, r->device->name);
  if (strncmp(line, driver, sizeof driver - 1) == 0)
    return CDL_STATUS_OK;
  const char *wrong = parse(line, &given);
  if (wrong != NULL)
    return refuse(r, wrong);
  const int code = give(r->device, &given);
  if (code == CL_SUCCESS)
    return CDL_STATUS_OK;
  const char *name = opencl_code_name(code);
  return opencl_host->fail(CDL_STATUS_DATA, "%s:%d: CLBlast refuses the parameters of %s: %s",
                           r->path, r->line, given.kernel, name != NULL ? name : "unknown code");
}

static cdl_status take_file(const opencl_device *device, const char *path, FILE *file)
{
  reading r = {device, path, 0, false};
  cdl_status status = CDL_STATUS_OK;
  char *line = NULL;
  size_t capacity = 0;
  ssize_t length;
  while (status == CDL_STATUS_OK && (length = getline(&line, &capacity, file)) >= 0) {
    r.line++;
    while (length > 0 && isspace((unsigned char)line[length - 1]))
      line[--length] = '\0';
    if (strlen(line) != (size_t)length)
      status = refuse(&r, "has a zero byte");
    else if (length > 0 && line[0] != '#')
      status = take_line(&r, line);
  }
  if (status == CDL_STATUS_OK && ferror(file))
    status = opencl_host->fail(CDL_STATUS_IO, "%s: %s", path, strerror(errno));
  else if (status == CDL_STATUS_OK && !r.begun)
    status = refuse(&r, "an empty file, expected 'condlora-opencl-tuning 1'");
  free(line);
  return status;
}

static cdl_status give_own(const opencl_device *device)
{
  char kept[PATH_MAX];
  const char *path = secure_getenv("CDL_OPENCL_TUNING");
  const bool named = path != NULL && path[0] != '\0';
  if (!named && !opencl_tuning_path(kept, device->name))
    return CDL_STATUS_OK;
  if (!named)
    path = kept;
  FILE *file = fopen(path, "re");
  if (file == NULL)
    return named ? opencl_host->fail(CDL_STATUS_IO, "CDL_OPENCL_TUNING: %s: %s", path,
                                     strerror(errno))
                 : CDL_STATUS_OK;
  const cdl_status status = take_file(device, path, file);
  fclose(file);
  if (status == CDL_STATUS_OK)
    opencl_host->log(CDL_LOG_DEBUG, "opencl: parameters of CLBlast taken from %s", path);
  return status;
}

cdl_status opencl_tune(const opencl_device *device)
{
  cl_device_type type = 0;
  CDL_TRY(opencl_check(cl.clGetDeviceInfo(device->id, CL_DEVICE_TYPE, sizeof type, &type, NULL),
                       "clGetDeviceInfo"));
  CDL_TRY(opencl_tune_shipped(device, type));
  return give_own(device);
}
