/* The settings of a training run: those of the command `condlora train`, by the same names. */
#ifndef CONDLORA_SETTINGS_H
#define CONDLORA_SETTINGS_H

#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All settings, each with a default. docs/training.md explains them. */
typedef struct cdl_settings cdl_settings;

/* Settings that are all at their defaults. Errors: MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_settings_create(cdl_settings **settings);
CDL_API void cdl_settings_destroy(cdl_settings *settings);

/* Sets one from text, as on a command line: cdl_settings_set(s, "lr", "1e-3"). '-' and '_' in a
 * name are the same. A switch takes "true" or "false"; a list its items with commas between. A
 * later call wins over an earlier one. Errors: USAGE, naming the setting and what was expected. */
CDL_API CDL_MUST_USE cdl_status cdl_settings_set(cdl_settings *settings, const char *name,
                                                 const char *value);
/* Sets those that a JSON object names: {"lr": 0.001, "targets": ["query", "value"]}. The file may
 * be a run's run.json too. Where it fails, nothing is set. Errors: USAGE for an unknown name or a
 * value that cannot be; DATA for text that is no JSON object; ABSENT and IO for the file. */
CDL_API CDL_MUST_USE cdl_status cdl_settings_parse(cdl_settings *settings, const char *json);
CDL_API CDL_MUST_USE cdl_status cdl_settings_read(cdl_settings *settings, const char *path);

/* One setting as text, "" where it is not set or the method or schedule does not have it; all that
 * these have as a JSON object, null where one is not set. Borrowed: valid until the next call with this object. Errors: USAGE for an unknown name;
 * MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_settings_get(cdl_settings *settings, const char *name,
                                                 const char **value);
CDL_API CDL_MUST_USE cdl_status cdl_settings_json(cdl_settings *settings, const char **json);

#ifdef __cplusplus
}
#endif
#endif
