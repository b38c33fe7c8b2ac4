/* A session on each rank of a job: what must be equal is compared before the first step. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/nearest.h"
#include "condlora/backend.h"
#include "train/rank_group.h"
#include "train/run_record.h"
#include "train/session.h"
#include "train/trainer.h"

enum { OWN_FACTS = 6, FACTS_MAX = TRAIN_SETTINGS_MAX + OWN_FACTS };

/* The settings that decide what is computed, each with its value as JSON. `names` and `values`
 * [TRAIN_SETTINGS_MAX] are freed by the caller. */
static size_t list_settings(json_t *settings, char **names, char **values)
{
  /* A host may have them elsewhere. */
  static const char *const inputs[] = {"model", "data", "train", "dev"};
  const char *key;
  json_t *value;
  size_t count = 0;
  json_object_foreach(settings, key, value)
  {
    if (base_is_one_of(key, inputs, sizeof inputs / sizeof inputs[0]) ||
        count == TRAIN_SETTINGS_MAX)
      continue;
    values[count] = base_json_line(value);
    if (asprintf(&names[count], "the setting %s", key) < 0)
      names[count] = NULL;
    count++;
  }
  return count;
}

static cdl_status compare(const train_session *session, const train_settings *settings,
                          ranks_job *job)
{
  char model[20], examples[20];
  uint64_t hash;
  CDL_TRY(train_session_examples_hash(session, &hash));
  snprintf(model, sizeof model, "%016" PRIx64, session->model.loaded.fingerprint);
  snprintf(examples, sizeof examples, "%016" PRIx64, hash);
  char *kernels = train_kernel_set(session->model.backend), *backend = NULL;
  if (kernels != NULL &&
      asprintf(&backend, "%s, %s", cdl_backend_name(session->model.backend), kernels) < 0)
    backend = NULL;
  free(kernels);
  char *names[TRAIN_SETTINGS_MAX] = {NULL}, *values[TRAIN_SETTINGS_MAX] = {NULL};
  json_t *object = train_settings_json(settings, true);
  ranks_fact facts[FACTS_MAX] = {{"the base model", model},
                                 {"the set of examples", examples},
                                 {"the backend", backend},
                                 {"--resume", settings->resume ? "given" : "not given"},
                                 {"--dry-run", settings->dry_run ? "given" : "not given"},
                                 {"--trace", settings->trace != NULL ? "given" : "not given"}};
  const size_t count = list_settings(object, names, values);
  bool complete = backend != NULL && object != NULL;
  for (size_t i = 0; i < count; i++) {
    complete = complete && names[i] != NULL && values[i] != NULL;
    facts[OWN_FACTS + i] = (ranks_fact){names[i], values[i]};
  }
  const cdl_status status = complete
                                ? ranks_compare(job, facts, OWN_FACTS + count)
                                : cdl_fail(CDL_STATUS_MEMORY, "out of memory: a job's settings");
  for (size_t i = 0; i < count; i++) {
    free(names[i]);
    free(values[i]);
  }
  json_decref(object);
  free(backend);
  return status;
}

/* Lets the ranks meet after each has opened the session with the status `own`. */
static cdl_status meet(train_session *session, const train_settings *settings, cdl_status own,
                       ranks_job *job)
{
  if (own != CDL_STATUS_OK && session->met && ranks_agreed(job))
    return own;
  cdl_status status = ranks_agree(job, own, "the opening of inputs");
  if (status == CDL_STATUS_OK && job != NULL)
    status = compare(session, settings, job);
  if (status != CDL_STATUS_OK && own == CDL_STATUS_OK)
    train_session_close(session);
  return status;
}

cdl_status train_session_open_ranks(train_session *session, train_settings *settings,
                                    const bool *given, ranks_job *job)
{
  CDL_TRY(meet(session, settings, train_session_open(session, settings, given, job), job));
  const cdl_status status =
      settings->dry_run ? CDL_STATUS_OK : train_rank_group_open(session, (int)settings->shards);
  if (status != CDL_STATUS_OK)
    train_session_close(session);
  return status;
}

cdl_status train_session_open_base_ranks(train_session *session, train_settings *settings,
                                         const bool *given, ranks_job *job)
{
  return meet(session, settings, train_session_open_base(session, settings, given, job), job);
}
