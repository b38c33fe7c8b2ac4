#include "model/hub/refusal.h"

#include <string.h>

#include "base/visible.h"

static bool has_code(const hub_answer *answer, const char *code)
{
  return strcmp(answer->code, code) == 0;
}

bool hub_refusal_is_absence(const hub_answer *answer, bool commit_known)
{
  return has_code(answer, "EntryNotFound") ||
         (answer->status == 404 && answer->code[0] == '\0' && commit_known);
}

static bool is_bad_token(const hub_answer *answer)
{
  return answer->status == 401 && strstr(answer->message, "Invalid credentials") != NULL;
}

cdl_status hub_refusal_explain(const hub_answer *answer, const char *text, const hub_name *name,
                               const hub_settings *settings)
{
  const char *hub = settings->endpoint, *model = name->repository;
  const bool has_token = settings->token[0] != '\0';
  if (is_bad_token(answer))
    return cdl_fail(CDL_STATUS_IO,
                    "%s: %s does not accept the token of HF_TOKEN or `hf auth login`", text, hub);
  if (has_code(answer, "GatedRepo"))
    return cdl_fail(CDL_STATUS_IO, "%s: the model is gated: ask for access at %s/%s%s", text, hub,
                    model,
                    has_token ? ", with the account of your token"
                              : ", then set HF_TOKEN to a token of your account");
  if (has_code(answer, "RevisionNotFound"))
    return cdl_fail(CDL_STATUS_ABSENT, "%s: %s/%s has no branch, tag or commit '%s'", text, hub,
                    model, name->revision);
  if (has_code(answer, "RepoNotFound") || answer->status == 401 || answer->status == 404)
    return cdl_fail(CDL_STATUS_ABSENT,
                    "%s: no such folder, and %s has no model of this name, or it is private%s",
                    text, hub,
                    has_token ? " and your token has no access" : " (HF_TOKEN is not set)");
  if (answer->status >= 200 && answer->status < 400)
    return cdl_fail(CDL_STATUS_IO,
                    "%s: %s answers without a commit, a hash or a size: is it a hub of models?",
                    text, hub);
  return cdl_fail(CDL_STATUS_IO, "%s: %s answers with HTTP status %d%s%s", text, hub,
                  answer->status, answer->message[0] != '\0' ? ": " : "",
                  base_visible(answer->message).text);
}
