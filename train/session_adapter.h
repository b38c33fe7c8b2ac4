/* A session's adapter: settings from one that training starts from, and the adapter of settings. */
#ifndef CONDLORA_TRAIN_SESSION_ADAPTER_H
#define CONDLORA_TRAIN_SESSION_ADAPTER_H

#include "train/session_state.h"

/* Method, rank, alpha, targets and whatever else an adapter's folder decides: taken over into
 * `settings`. USAGE where a setting that was `given` says something else. */
CDL_MUST_USE cdl_status train_adopt_adapter(train_settings *settings, const bool *given,
                                            const adapter_config *config);

/* What can be told from the settings alone: before anything is loaded. */
CDL_MUST_USE cdl_status train_check_adapter_settings(const train_settings *settings);

/* The adapter that the settings describe, on the session's encoder, and the config that it is saved
 * with. Where training starts from another, that is the session's initial one: what a method keeps there
 * goes on. */
CDL_MUST_USE cdl_status train_make_adapter(train_session *session, const train_settings *settings);

/* How a run with these settings holds examples out. */
data_split_form train_split_form_of(const train_settings *settings);

#endif
