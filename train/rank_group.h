/* The devices of a job's ranks as one group, so that sums pass from device to device. */
#ifndef CONDLORA_TRAIN_RANK_GROUP_H
#define CONDLORA_TRAIN_RANK_GROUP_H

#include "train/session_state.h"

/* Collective: joins the ranks' devices to session->group, if their backend has groups and `shards`
 * (0: one for each rank) are equally many for each rank. Otherwise the group stays NULL; if a
 * library is missing, or ranks share a device, a notice says so. Errors: those of the job. */
CDL_MUST_USE cdl_status train_rank_group_open(train_session *session, int shards);

/* Collective, after the last step, once this rank's queue is at rest: from now on the group may be
 * left as it should be. */
CDL_MUST_USE cdl_status train_rank_group_rest(train_session *session);

/* This rank fails with the thread's message: other ranks no longer come to what its device waits
 * for. The process ends within a minute, with that message, even if the device's libraries do not
 * return. Nothing without a group. */
void train_rank_group_fail(train_session *session);

/* Leaves the group, if there is one; what was recorded with it is destroyed before. */
void train_rank_group_close(train_session *session);

#endif
