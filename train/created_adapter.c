/* cdl_model_create_adapter. It is here because it takes the settings of a run. */
#include <stdlib.h>
#include <string.h>

#include "condlora/model.h"
#include "model/inference/inference.h"
#include "model/inference/model_state.h"
#include "train/session.h"
#include "train/session_adapter.h"
#include "train/settings_object.h"

/* Makes the adapter as at the beginning of a run. */
static cdl_status make(const cdl_model *m, train_settings *s, inference_model *made)
{
  if (s->init_adapter != NULL)
    return cdl_fail(CDL_STATUS_USAGE, "init_adapter: a fresh adapter begins with none");
  CDL_TRY(train_settings_set(s, train_setting_find("model"), m->base_folder));
  CDL_TRY(train_check_adapter_settings(s));
  CDL_TRY(inference_copy_labels(&m->active->model, made));
  free(made->adapter_config.thresholds); /* they belong to trained logits */
  made->adapter_config.thresholds = NULL;
  made->types_zero = s->compat == TRAIN_COMPAT_REFERENCE;
  train_session session = {.model = *made};
  session.model.base_source = m->base_source; /* its name is recorded */
  const cdl_status status = train_session_make_adapter(&session, s);
  session.model.base_source = NULL;
  *made = session.model;
  return status;
}

cdl_status cdl_model_create_adapter(cdl_model *m, const cdl_settings *settings, const char *name)
{
  CDL_TRY(inference_model_check_name(m, name));
  inference_model_settle(m);
  cdl_settings *own;
  CDL_TRY(train_settings_object_copy(settings, &own));
  inference_member *member = NULL;
  cdl_status status = inference_member_create(
      m, name, train_settings_seed(&own->settings, own->settings.seed_init), &member);
  if (status == CDL_STATUS_OK)
    status = make(m, &own->settings, &member->model);
  if (status == CDL_STATUS_OK)
    status = inference_model_add(m, member);
  if (status != CDL_STATUS_OK)
    inference_member_free(member);
  cdl_settings_destroy(own);
  return status;
}
