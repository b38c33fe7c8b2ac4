/* Files through the library, for files_roundtrip.py, which compares them with what the real
 * libraries see.
 *   files-probe values PATH NAME OUT        a tensor as raw float32
 *   files-probe copy IN OUT                 every tensor of a safetensors file, types kept
 *   files-probe adapter IN OUT              an adapter folder, read and written
 *   files-probe config PATH OUT             config.json of a fine-tuned classifier, "no" or "yes"
 *   files-probe model FOLDER                checks a folder, prints fingerprint and milliseconds
 * If something is refused, exits with 1 and the error's line on stderr. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "condlora/safetensors.h"
#include "model/adapter/folder.h"
#include "model/files/checkpoint.h"
#include "model/files/config.h"

static cdl_status values(const char *path, const char *name, const char *out)
{
  cdl_safetensors *file;
  CDL_TRY(cdl_safetensors_open(path, &file));
  cdl_status status = CDL_STATUS_OK;
  const cdl_stored_tensor *tensor = cdl_safetensors_find(file, name);
  if (tensor == NULL)
    status = cdl_fail(CDL_STATUS_DATA, "%s: no tensor \"%s\"", path, name);
  else {
    const size_t count = tensor->bytes / cdl_stored_type_bytes(tensor->type);
    float *read = malloc(count * sizeof *read + 1);
    FILE *stream = fopen(out, "wb");
    status = cdl_safetensors_read(file, tensor, tensor->rank, tensor->shape, read);
    fwrite(read, sizeof *read, count, stream);
    fclose(stream);
    free(read);
  }
  cdl_safetensors_close(file);
  return status;
}

static cdl_status copy(const char *in, const char *out)
{
  cdl_safetensors *file;
  CDL_TRY(cdl_safetensors_open(in, &file));
  const cdl_metadata metadata = {"format", "pt"};
  const cdl_status status = cdl_safetensors_write(out, cdl_safetensors_get(file, 0),
                                                  cdl_safetensors_count(file), &metadata, 1);
  cdl_safetensors_close(file);
  return status;
}

static cdl_status adapter(const char *in, const char *out)
{
  adapter_config config;
  cdl_safetensors *file;
  CDL_TRY(adapter_folder_open(in, &config, &file));
  const cdl_status status =
      adapter_folder_write(out, &config, cdl_safetensors_get(file, 0), cdl_safetensors_count(file));
  cdl_safetensors_close(file);
  adapter_config_free(&config);
  return status;
}

static double milliseconds(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static cdl_status model(const char *folder)
{
  model_checkpoint *checkpoint;
  const double start = milliseconds();
  CDL_TRY(model_checkpoint_open(folder, NULL, &checkpoint));
  const double opened = milliseconds();
  const uint64_t fingerprint = model_checkpoint_fingerprint(checkpoint);
  const double done = milliseconds();
  printf("{\"fingerprint\": \"%016" PRIx64
         "\", \"open_ms\": %.2f, \"fingerprint_ms\": %.2f, \"labels\": %" PRId64 "}\n",
         fingerprint, opened - start, done - opened, model_checkpoint_head_labels(checkpoint));
  model_checkpoint_close(checkpoint);
  return CDL_STATUS_OK;
}

int main(int count, char **argument)
{
  static const char *const labels[] = {"no", "yes"};
  const char *command = count > 1 ? argument[1] : "";
  cdl_status status;
  if (strcmp(command, "values") == 0 && count == 5)
    status = values(argument[2], argument[3], argument[4]);
  else if (strcmp(command, "copy") == 0 && count == 4)
    status = copy(argument[2], argument[3]);
  else if (strcmp(command, "adapter") == 0 && count == 4)
    status = adapter(argument[2], argument[3]);
  else if (strcmp(command, "config") == 0 && count == 4)
    status = model_config_write(argument[2], argument[3], 2, labels, CDL_PROBLEM_SINGLE_LABEL);
  else if (strcmp(command, "model") == 0 && count == 3)
    status = model(argument[2]);
  else
    return 2;
  if (status != CDL_STATUS_OK)
    fprintf(stderr, "%s\n", cdl_error_message());
  return status != CDL_STATUS_OK;
}
