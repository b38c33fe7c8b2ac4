/* Training settings from --recipe and --config. */
#ifndef CONDLORA_TOOLS_STUDY_SETTING_FILES_H
#define CONDLORA_TOOLS_STUDY_SETTING_FILES_H

#include "train/settings.h"

/* Reads --config and --recipe; each may be NULL. The command line, whose settings `given` marks,
 * overrides the config, and the config overrides the recipe; settings of files are marked as given
 * too. With `space`, `*space` is the config's "space", a new reference or NULL; without it, "space"
 * is an unknown setting. Errors: USAGE, DATA, those of files. */
CDL_MUST_USE cdl_status study_setting_files_read(train_settings *settings, bool *given,
                                                 const char *recipe, const char *config,
                                                 json_t **space);

#endif
