#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

fuzz_part fuzz_next(fuzz_part *rest)
{
  static const char separator[] = FUZZ_SEPARATOR;
  enum { BYTES = sizeof separator - 1 };
  fuzz_part part = *rest;
  const uint8_t *at = rest->size > 0 ? memmem(rest->data, rest->size, separator, BYTES) : NULL;
  if (at == NULL) {
    *rest = (fuzz_part){rest->data + rest->size, 0};
    return part;
  }
  part.size = (size_t)(at - rest->data);
  rest->data = at + BYTES;
  rest->size -= part.size + BYTES;
  return part;
}

static char folder[64];

static void remove_folder(void)
{
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  if (system(command) != 0)
    fprintf(stderr, "%s stays\n", folder);
}

const char *fuzz_folder(void)
{
  if (folder[0] != '\0')
    return folder;
  snprintf(folder, sizeof folder, "%s/condlora-fuzz-XXXXXX",
           access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  if (mkdtemp(folder) == NULL)
    abort();
  atexit(remove_folder);
  return folder;
}

const char *fuzz_file(const char *name, fuzz_part part)
{
  static char paths[8][192];
  static unsigned next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", fuzz_folder(), name);
  if (part.size == 0) {
    unlink(path);
    return path;
  }
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0 || write(file, part.data, part.size) != (ssize_t)part.size || close(file) != 0)
    abort();
  return path;
}

int fuzz_ok(cdl_status status)
{
  if (status == CDL_STATUS_OK)
    return 1;
  const char *message = cdl_error_message();
  if (message[0] == '\0' || strchr(message, '\n') != NULL) {
    fprintf(stderr, "a failure without a message of one line: '%s'\n", message);
    abort();
  }
  if (getenv("CDL_FUZZ_SHOW") != NULL)
    fprintf(stderr, "%s\n", message);
  return 0;
}
