/* The adapter of a session: the settings of an adapter that training starts from, and the adapter
 * that settings describe. */
#ifndef CONDLORA_TRAIN_SESSION_ADAPTER_H
#define CONDLORA_TRAIN_SESSION_ADAPTER_H

#include "train/session_state.h"

/* Copies method, rank, alpha, targets and all else that an adapter's folder decides to `settings`.
 * Errors: USAGE if a `given` setting differs. */
CDL_MUST_USE cdl_status train_adopt_adapter(train_settings *settings, const bool *given,
                                            const adapter_config *config);

/* Checks the settings as far as possible before anything is loaded. */
CDL_MUST_USE cdl_status train_check_adapter_settings(const train_settings *settings);

/* Makes the adapter that the settings describe on the session's encoder, and the config with which
 * it is saved. If training starts from another adapter, it is the session's initial one, and the
 * method's own keys are kept. */
CDL_MUST_USE cdl_status train_make_adapter(train_session *session, const train_settings *settings);

/* Returns how a run with these settings holds out examples. */
data_split_form train_split_form_of(const train_settings *settings);

#endif
