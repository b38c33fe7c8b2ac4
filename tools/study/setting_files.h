/* Training settings from files, beside those of the command line. */
#ifndef CONDLORA_TOOLS_STUDY_SETTING_FILES_H
#define CONDLORA_TOOLS_STUDY_SETTING_FILES_H

#include "train/settings.h"

/* Reads --config and --recipe, either of which may be NULL. The command line, which `given` marks,
 * wins over the config, the config over the recipe; what a file says is marked as given too. With
 * `space` the config's "space", a new reference or NULL, is left there; without, it is an unknown
 * setting. */
CDL_MUST_USE cdl_status study_setting_files_read(train_settings *settings, bool *given,
                                                 const char *recipe, const char *config,
                                                 json_t **space);

#endif
