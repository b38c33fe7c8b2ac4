#include "train/run_facts.h"

#include <sys/stat.h>

#include "base/commit.h"
#include "base/json.h"
#include "base/machine.h"
#include "base/sha.h"
#include "condlora/backend.h"

static json_t *file_json(const char *path)
{
  char digest[BASE_SHA_TEXT];
  size_t bytes;
  struct stat facts;
  /* Opening a pipe would wait for its writer. */
  const bool hashed = stat(path, &facts) == 0 && S_ISREG(facts.st_mode) &&
                      base_sha256_file(path, digest, &bytes) == CDL_STATUS_OK;
  json_t *object = json_object();
  base_json_set(&object, "path", base_json_string_of(path));
  base_json_set(&object, "bytes", hashed ? json_integer((json_int_t)bytes) : json_null());
  base_json_set(&object, "sha256", hashed ? json_string(digest) : json_null());
  return object;
}

static json_t *files_json(const cdl_dataset *dataset)
{
  json_t *array = json_array();
  for (size_t p = 0; p < cdl_dataset_part_count(dataset); p++)
    base_json_append(&array, file_json(cdl_dataset_get_part(dataset, p).path));
  return array;
}

json_t *train_inputs_json(const train_session *session)
{
  json_t *object = json_object();
  base_json_set(&object, "train", files_json(session->train));
  if (session->dev != NULL)
    base_json_set(&object, "dev", files_json(session->dev));
  return object;
}

json_t *train_process_json(const char *started, int64_t step)
{
  const base_machine machine = base_machine_look();
  json_t *object = json_object();
  base_json_set(&object, "started", json_string(started));
  base_json_set(&object, "step", json_integer((json_int_t)step));
  base_json_set(&object, "condlora", json_string(cdl_version()));
  base_json_set(&object, "commit",
                base_json_string_of(base_commit()[0] != '\0' ? base_commit() : NULL));
  base_json_update(&object, base_machine_json(&machine));
  return object;
}
