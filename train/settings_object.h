/* The members of a cdl_settings. */
#ifndef CONDLORA_TRAIN_SETTINGS_OBJECT_H
#define CONDLORA_TRAIN_SETTINGS_OBJECT_H

#include "condlora/settings.h"
#include "train/settings.h"

struct cdl_settings {
  train_settings settings;
  bool given[TRAIN_SETTINGS_MAX]; /* set by the caller; by index in train_setting_list */
  char *text;                     /* the last result of a getter */
};

/* Makes a copy; destroy it with cdl_settings_destroy. Errors: MEMORY. */
CDL_MUST_USE cdl_status train_settings_object_copy(const cdl_settings *settings,
                                                   cdl_settings **copy);

#endif
