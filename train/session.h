/* Opens all that a training run works with, in order: data, backend, model, tokenizer, adapter. */
#ifndef CONDLORA_TRAIN_SESSION_H
#define CONDLORA_TRAIN_SESSION_H

#include "train/session_state.h"

/* For training: `given` marks the settings that were set by hand (by place in train_setting_list;
 * NULL: none), which --init-adapter must not contradict. Settings that the adapter decides are
 * changed in place. On failure nothing stays open. */
CDL_MUST_USE cdl_status train_session_open(train_session *session, train_settings *settings,
                                           const bool *given);

/* The same in two halves, for several runs one after another on one base: all but the adapter, as far
 * as `settings` say it; then for each run its adapter and a head as fresh as train_session_open's, under
 * its own settings, which differ from the first in nothing that the base depends on (data, model,
 * backend, compat, init_adapter). train_session_end_run frees all that a run took on the backend. */
CDL_MUST_USE cdl_status train_session_open_base(train_session *session, train_settings *settings,
                                                const bool *given);
CDL_MUST_USE cdl_status train_session_begin_run(train_session *session, train_settings *settings,
                                                const bool *given);
void train_session_end_run(train_session *session);

/* For runs side by side on one base: a session of its own for each, that borrows all but encoder (over
 * the base's body) and adapter. USAGE for settings that change the body. Ends with train_session_unshare,
 * before the base, on which no run has begun itself meanwhile; after the last, all that runs took on
 * the backend is free. */
CDL_MUST_USE cdl_status train_session_share(train_session *base, train_settings *settings,
                                            const bool *given, train_session *session);
void train_session_unshare(train_session *session);

/* A run's adapter on the session's encoder, with the values that training begins with. What it leaves
 * on failure goes with the session. */
CDL_MUST_USE cdl_status train_session_make_adapter(train_session *session,
                                                   train_settings *settings);

void train_session_close(train_session *session);

/* The one that chooses the best: the task's first, else Pearson's correlation or accuracy. */
cdl_metric train_session_main_metric(const train_session *session);

/* 64 bits (FNV-1a) over ids and labels of all examples, once tokenized. */
uint64_t train_session_examples_hash(const train_session *session);
#endif
