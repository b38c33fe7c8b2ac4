/* replay TARGET-ARGUMENTS: runs inputs once, those given and those in folders given: how builds
 * without libFuzzer test the seeds and what fuzzing has found. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static size_t inputs;

static void run_file(const char *path)
{
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
    perror(path);
    exit(EXIT_FAILURE);
  }
  const long size = ftell(file);
  /* Exactly as large as the input, so that a sanitizer sees a step beyond. */
  uint8_t *bytes = malloc(size > 0 ? (size_t)size : 1);
  rewind(file);
  if (bytes == NULL || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
    perror(path);
    exit(EXIT_FAILURE);
  }
  fclose(file);
  (void)LLVMFuzzerTestOneInput(bytes, (size_t)size);
  free(bytes);
  inputs++;
}

static void run_folder(const char *path)
{
  struct dirent **entries;
  const int count = scandir(path, &entries, NULL, alphasort);
  for (int i = 0; i < count; i++) {
    char file[4096];
    if (entries[i]->d_name[0] != '.' &&
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name) < (int)sizeof file)
      run_file(file);
    free(entries[i]);
  }
  if (count >= 0)
    free(entries);
}

int main(int count, char **arguments)
{
  for (int i = 1; i < count; i++) {
    struct stat facts;
    if (stat(arguments[i], &facts) != 0)
      continue; /* nothing was found for this target yet */
    if (S_ISDIR(facts.st_mode))
      run_folder(arguments[i]);
    else
      run_file(arguments[i]);
  }
  printf("%zu passed, 0 failed\n", inputs);
  return inputs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
