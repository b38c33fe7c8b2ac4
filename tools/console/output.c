#include "tools/console/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"

/* Devices and pipes are written to and never replaced. The same holds for the links in /dev that
 * lead to open files. */
static bool is_stream(const char *path)
{
  static const char devices[] = "/dev/", memory[] = "/dev/shm/"; /* holds ordinary files */
  struct stat facts;
  return (strncmp(path, devices, sizeof devices - 1) == 0 &&
          strncmp(path, memory, sizeof memory - 1) != 0) ||
         (stat(path, &facts) == 0 && !S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode));
}

cdl_status console_output_check(const char *path, const char *input)
{
  struct stat from, to;
  if (path == NULL || input == NULL || is_stream(path) || stat(path, &to) != 0)
    return CDL_STATUS_OK;
  const int found = strcmp(input, "-") == 0 ? fstat(STDIN_FILENO, &from) : stat(input, &from);
  if (found != 0 || from.st_dev != to.st_dev || from.st_ino != to.st_ino)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_USAGE, "--output %s is the file of --input, which would be lost",
                  path);
}

cdl_status console_output_begin(console_output *output, const char *path)
{
  *output = (console_output){.path = path};
  if (path == NULL || strcmp(path, "-") == 0) {
    output->path = "standard output";
    output->stream = stdout;
    return CDL_STATUS_OK;
  }
  if (!is_stream(path))
    return base_output_begin_named(path, &output->file);
  output->stream = fopen(path, "w");
  return output->stream != NULL ? CDL_STATUS_OK
                                : cdl_fail(CDL_STATUS_IO, "%s: %s", path, strerror(errno));
}

void console_output_printf(console_output *output, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  if (output->stream != NULL)
    vfprintf(output->stream, format, arguments);
  else
    base_output_vprintf(output->file, format, arguments);
  va_end(arguments);
}

static cdl_status flush(FILE *stream, const char *name)
{
  errno = 0;
  if (fflush(stream) != 0 || ferror(stream))
    return cdl_fail(CDL_STATUS_IO, "%s: %s", name, errno != 0 ? strerror(errno) : "a write failed");
  return CDL_STATUS_OK;
}

cdl_status console_output_flush(const console_output *output)
{
  return output->stream != NULL ? flush(output->stream, output->path) : CDL_STATUS_OK;
}

cdl_status console_output_finish(console_output *output, cdl_status status)
{
  if (output->stream != NULL) {
    if (status == CDL_STATUS_OK)
      status = flush(output->stream, output->path);
    if (output->stream != stdout)
      fclose(output->stream);
    return status;
  }
  if (status == CDL_STATUS_OK)
    return base_output_commit(output->file);
  base_output_abort(output->file);
  return status;
}

cdl_status console_stdout_json(json_t *object)
{
  char *text = object != NULL ? base_json_text(object) : NULL;
  json_decref(object);
  if (text == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the output");
  fputs(text, stdout);
  free(text);
  return console_stdout_flush();
}

cdl_status console_stdout_flush(void)
{
  return flush(stdout, "standard output");
}
