/* Opens everything that a training run needs, in this order: data, backend, model, tokenizer,
 * adapter. */
#ifndef CONDLORA_TRAIN_SESSION_H
#define CONDLORA_TRAIN_SESSION_H

#include "train/session_state.h"

/* Opens a session for training. `given` marks the settings that the user set (by index in
 * train_setting_list; NULL: none); --init-adapter must not contradict them. Settings that the
 * adapter decides are changed in `settings`. `job` is borrowed: its ranks take different devices;
 * NULL: one rank. After an error nothing stays open, and session->met says whether the error may
 * have come from a meeting of the ranks. */
CDL_MUST_USE cdl_status train_session_open(train_session *session, train_settings *settings,
                                           const bool *given, ranks_job *job);

/* The same on all ranks of the job, which return the same status. Errors: also DATA if program,
 * model, examples, settings or backends differ between ranks; each difference is logged. */
CDL_MUST_USE cdl_status train_session_open_ranks(train_session *session, train_settings *settings,
                                                 const bool *given, ranks_job *job);

/* The same in two parts, for several runs one after another on one base. open_base opens everything
 * except the adapter. begin_run makes the adapter of a run, and a head as fresh as
 * train_session_open makes it. The settings of later runs must agree with the first in everything
 * that the base depends on (data, model, backend, compat, init_adapter). train_session_end_run
 * frees everything that the run allocated on the backend. */
CDL_MUST_USE cdl_status train_session_open_base(train_session *session, train_settings *settings,
                                                const bool *given, ranks_job *job);
/* open_base on all ranks of a job, like train_session_open_ranks. */
CDL_MUST_USE cdl_status train_session_open_base_ranks(train_session *session,
                                                      train_settings *settings, const bool *given,
                                                      ranks_job *job);
CDL_MUST_USE cdl_status train_session_begin_run(train_session *session, train_settings *settings,
                                                const bool *given);
void train_session_end_run(train_session *session);

/* For several runs at once on one base: a session for each run, with its own encoder (over the
 * base's body) and adapter; it borrows everything else. Errors: USAGE for settings that change the
 * body. Release it with train_session_unshare before closing the base; do not start a run on the
 * base itself meanwhile. After the last release, all memory of the runs on the backend is free. */
CDL_MUST_USE cdl_status train_session_share(train_session *base, train_settings *settings,
                                            const bool *given, train_session *session);
void train_session_unshare(train_session *session);

/* Makes a run's adapter on the session's encoder, with the initial values of training. After an
 * error the session releases what was made. */
CDL_MUST_USE cdl_status train_session_make_adapter(train_session *session,
                                                   train_settings *settings);

void train_session_close(train_session *session);

/* Computes a 64-bit hash (FNV-1a) of ids and labels of all examples, after tokenization. Errors:
 * MEMORY. */
CDL_MUST_USE cdl_status train_session_examples_hash(const train_session *session, uint64_t *hash);
#endif
