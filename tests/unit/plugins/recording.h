/* What a recording plug-in has seen, and how it is to fail: its exported variable `recorded`. */
#ifndef CONDLORA_TESTS_UNIT_PLUGINS_RECORDING_H
#define CONDLORA_TESTS_UNIT_PLUGINS_RECORDING_H

#include "condlora/ops.h"
#include "condlora/status.h"

typedef struct {
  int calls[CDL_OP_COUNT];
  int syncs, open, threads;
  char device_name[32];
  int fail_op; /* this op fails… */
  cdl_status fail_status;
  bool mute; /* …without a word */
  bool fail_sync;
  int refuse_op; /* supports() says no */
} recording;

#endif
