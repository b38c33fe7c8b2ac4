/* The settings of a training run. They have the same names as the options of `condlora train`. */
#ifndef CONDLORA_SETTINGS_H
#define CONDLORA_SETTINGS_H

#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All settings; each has a default. docs/training.md explains them. */
typedef struct cdl_settings cdl_settings;

/* Creates settings with all defaults. Errors: MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_settings_create(cdl_settings **settings);
CDL_API void cdl_settings_destroy(cdl_settings *settings);

/* Sets one setting from text, as on a command line: cdl_settings_set(s, "lr", "1e-3"). '-' and '_'
 * in a name are equal. A switch takes "true" or "false"; a list takes its items separated by
 * commas. The last call for a name counts. Errors: USAGE, naming the setting and what was
 * expected. */
CDL_API CDL_MUST_USE cdl_status cdl_settings_set(cdl_settings *settings, const char *name,
                                                 const char *value);
/* Sets the settings that a JSON object names: {"lr": 0.001, "targets": ["query", "value"]}. A file
 * may also be the run.json of a run. After an error nothing is set. Errors: USAGE for an unknown
 * name or an invalid value; DATA for text that is not a JSON object; ABSENT and IO for the file. */
CDL_API CDL_MUST_USE cdl_status cdl_settings_parse(cdl_settings *settings, const char *json);
CDL_API CDL_MUST_USE cdl_status cdl_settings_read(cdl_settings *settings, const char *path);

/* The first gives one setting as text, "" if it is not set, or if the method or the schedule does
 * not have it. The second gives all settings that these have as a JSON object, null if one is not
 * set. Results are borrowed: they stay valid until the next call with this object. Errors: USAGE
 * for an unknown name; MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_settings_get(cdl_settings *settings, const char *name,
                                                 const char **value);
CDL_API CDL_MUST_USE cdl_status cdl_settings_json(cdl_settings *settings, const char **json);

#ifdef __cplusplus
}
#endif
#endif
