#include "tools/study/optuna_study.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

/* ---- The facts of a study ---- */

const char *study_search_objective_name(const study_search *s)
{
  return s->objective == TRAIN_KEEP_BEST ? "best" : "last";
}

/* Returns what must be equal for values to be comparable: every setting that is not searched, with
 * the contents of model and data instead of their paths. */
static json_t *facts(const study_search *s)
{
  static const char *const paths[] = {"model", "data", "train", "dev"};
  json_t *object = train_settings_json(&s->settings, true);
  if (object == NULL)
    return NULL;
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
    json_object_del(object, paths[i]);
  for (size_t i = 0; i < s->space.count; i++)
    json_object_del(object, s->space.item[i].setting->name);
  char model[20], examples[20];
  uint64_t hash;
  if (train_session_examples_hash(&s->session, &hash) != CDL_STATUS_OK) {
    json_decref(object);
    return NULL;
  }
  snprintf(model, sizeof model, "%016" PRIx64, s->session.model.loaded.fingerprint);
  snprintf(examples, sizeof examples, "%016" PRIx64, hash);
  base_json_set(&object, "base model", json_string(model));
  base_json_set(&object, "set of examples", json_string(examples));
  base_json_set(&object, "metric", json_string(cdl_metric_name(s->session.metric)));
  base_json_set(&object, "objective", json_string(study_search_objective_name(s)));
  return object;
}

/* ---- Replies ---- */

static cdl_status strange_reply(const char *request)
{
  return cdl_fail(CDL_STATUS_DATA,
                  "the bridge to Optuna does not answer '%s' as docs/search.md says", request);
}

void study_search_trial_release(study_search_trial *trial)
{
  json_decref(trial->parameters);
  *trial = (study_search_trial){0};
}

/* Reads {"number": 3, "parameters": {…}}. */
static cdl_status read_trial(const char *request, const json_t *reply, study_search_trial *trial)
{
  const json_t *number = json_object_get(reply, "number");
  json_t *parameters = json_object_get(reply, "parameters");
  if (!json_is_integer(number) || json_integer_value(number) < 0 || !json_is_object(parameters))
    return strange_reply(request);
  *trial = (study_search_trial){.number = json_integer_value(number),
                                .parameters = json_incref(parameters)};
  return CDL_STATUS_OK;
}

cdl_status study_optuna_resumed(const json_t *entry, study_search_trial *trial)
{
  CDL_TRY(read_trial("open", entry, trial));
  trial->resumed = true;
  trial->prune = json_is_true(json_object_get(entry, "prune"));
  return CDL_STATUS_OK;
}

/* ---- Requests ---- */

cdl_status study_optuna_open(study_search *s, json_t **resumed)
{
  enum { PROTOCOL_VERSION = 1 };
  json_t *reply;
  *resumed = NULL;
  CDL_TRY(study_optuna_client_call(
      s->client,
      json_pack("{ss si ss ss ss ss ss sI sI so ss so so}", "do", "open", "version",
                PROTOCOL_VERSION, "direction",
                cdl_metric_is_minimized(s->session.metric) ? "minimize" : "maximize", "storage",
                s->storage, "study", s->study, "sampler", s->sampler, "pruner", s->pruner, "seed",
                (json_int_t)s->settings.seed, "trials", (json_int_t)s->trials, "grace",
                s->grace_period > 0 ? json_integer(s->grace_period) : json_null(), "owner",
                s->owner, "space", study_search_space_json(&s->space), "facts", facts(s)),
      &reply));
  const json_t *version = json_object_get(reply, "version");
  json_t *list = json_object_get(reply, "resumed");
  cdl_status status = CDL_STATUS_OK;
  if (!json_is_integer(version) || !json_is_array(list))
    status = strange_reply("open");
  else if (json_integer_value(version) != PROTOCOL_VERSION)
    status = cdl_fail(CDL_STATUS_UNSUPPORTED, "the bridge to Optuna speaks version %lld, not %d",
                      (long long)json_integer_value(version), PROTOCOL_VERSION);
  else
    *resumed = json_incref(list);
  json_decref(reply);
  return status;
}

cdl_status study_optuna_ask(study_search *s, study_search_trial *trial, study_optuna_wait *wait)
{
  json_t *reply;
  *trial = (study_search_trial){0};
  CDL_TRY(study_optuna_client_call(s->client, json_pack("{ss}", "do", "ask"), &reply));
  *wait = (study_optuna_wait){.done = json_is_true(json_object_get(reply, "done")),
                              .seconds = json_number_value(json_object_get(reply, "wait")),
                              .others = json_integer_value(json_object_get(reply, "others"))};
  cdl_status status = CDL_STATUS_OK;
  if (!wait->done && !(wait->seconds > 0))
    status = read_trial("ask", reply, trial);
  json_decref(reply);
  return status;
}

cdl_status study_optuna_report(study_search *s, int64_t number, int64_t step, double value,
                               bool *prune)
{
  json_t *reply;
  CDL_TRY(study_optuna_client_call(s->client,
                                   json_pack("{ss sI sI sf}", "do", "report", "number",
                                             (json_int_t)number, "step", (json_int_t)step, "value",
                                             value),
                                   &reply));
  const json_t *answer = json_object_get(reply, "prune");
  const cdl_status status = json_is_boolean(answer) ? CDL_STATUS_OK : strange_reply("report");
  *prune = json_is_true(answer);
  json_decref(reply);
  return status;
}

cdl_status study_optuna_tell(study_search *s, int64_t number, const char *state, double value,
                             const char *note, bool *lost)
{
  json_t *reply;
  *lost = false;
  json_t *request = json_pack("{ss sI ss ss?}", "do", "tell", "number", (json_int_t)number, "state",
                              state, "note", note);
  if (request != NULL && strcmp(state, "complete") == 0)
    base_json_set(&request, "value", json_real(value));
  CDL_TRY(study_optuna_client_call(s->client, request, &reply));
  *lost = json_is_true(json_object_get(reply, "lost"));
  json_decref(reply);
  return CDL_STATUS_OK;
}

cdl_status study_optuna_list(study_search *s, json_t **trials)
{
  json_t *reply;
  *trials = NULL;
  CDL_TRY(study_optuna_client_call(s->client, json_pack("{ss}", "do", "list"), &reply));
  json_t *list = json_object_get(reply, "trials");
  cdl_status status = json_is_array(list) ? CDL_STATUS_OK : strange_reply("list");
  for (size_t i = 0; status == CDL_STATUS_OK && i < json_array_size(list); i++) {
    const json_t *trial = json_array_get(list, i);
    if (!json_is_integer(json_object_get(trial, "number")) ||
        !json_is_string(json_object_get(trial, "state")) ||
        !json_is_object(json_object_get(trial, "parameters")))
      status = strange_reply("list");
  }
  if (status == CDL_STATUS_OK)
    *trials = json_incref(list);
  json_decref(reply);
  return status;
}
