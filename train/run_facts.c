#include "train/run_facts.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/commit.h"
#include "base/json.h"
#include "base/machine.h"
#include "base/sha.h"
#include "condlora/backend.h"

/* Appends {"path", "bytes", "sha256"}. */
static cdl_status add_file(const char *path, json_t **files)
{
  char digest[BASE_SHA_TEXT];
  size_t bytes = 0;
  struct stat facts;
  /* Opening a pipe would wait for its writer. */
  const bool there = stat(path, &facts) == 0, regular = there && S_ISREG(facts.st_mode);
  if (!there && errno != ENOENT)
    return cdl_fail(CDL_STATUS_IO, "%s: %s", path, strerror(errno));
  if (regular)
    CDL_TRY(base_sha256_file(path, digest, &bytes));
  json_t *object = json_object();
  base_json_set(&object, "path", base_json_string_of(path));
  base_json_set(&object, "bytes", regular ? json_integer((json_int_t)bytes) : json_null());
  base_json_set(&object, "sha256", regular ? json_string(digest) : json_null());
  base_json_append(files, object);
  return *files != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

static cdl_status add_files(const cdl_dataset *dataset, const char *name, json_t **inputs)
{
  json_t *files = json_array();
  cdl_status status = CDL_STATUS_OK;
  for (size_t p = 0; status == CDL_STATUS_OK && p < cdl_dataset_part_count(dataset); p++)
    status = add_file(cdl_dataset_get_part(dataset, p).path, &files);
  base_json_set(inputs, name, files);
  return status;
}

cdl_status train_inputs_json(const train_session *session, json_t **inputs)
{
  *inputs = json_object();
  cdl_status status = add_files(session->train, "train", inputs);
  if (status == CDL_STATUS_OK && session->dev != NULL)
    status = add_files(session->dev, "dev", inputs);
  if (status == CDL_STATUS_OK && *inputs == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: the files of examples");
  if (status != CDL_STATUS_OK) {
    json_decref(*inputs);
    *inputs = NULL;
  }
  return status;
}

/* [{"host", "ranks"}] in the order of the hosts' first ranks. */
static json_t *hosts_json(const ranks_job *job)
{
  json_t *hosts = json_array();
  for (int i = 0; i < ranks_size(job); i++) {
    const ranks_peer *first = ranks_peer_of(job, i);
    int ranks = 0;
    for (int k = 0; first->local_rank == 0 && k < ranks_size(job); k++)
      ranks += strcmp(ranks_peer_of(job, k)->host, first->host) == 0;
    if (ranks > 0)
      base_json_append(&hosts, json_pack("{so sI}", "host", base_json_string_of(first->host),
                                         "ranks", (json_int_t)ranks));
  }
  return hosts;
}

json_t *train_process_json(const ranks_job *job, const char *started, int64_t step)
{
  const base_machine machine = base_machine_look();
  json_t *object = json_object();
  base_json_set(&object, "started", json_string(started));
  base_json_set(&object, "step", json_integer((json_int_t)step));
  base_json_set(&object, "condlora", json_string(cdl_version()));
  base_json_set(&object, "commit",
                base_json_string_of(base_commit()[0] != '\0' ? base_commit() : NULL));
  base_json_update(&object, base_machine_json(&machine));
  if (job != NULL) {
    base_json_set(&object, "ranks", json_integer(ranks_size(job)));
    base_json_set(&object, "hosts", hosts_json(job));
    base_json_set(&object, "mpi", base_json_string_of(ranks_library(job)));
  }
  return object;
}
