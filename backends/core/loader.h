/* Plug-ins as files, and what a backend's table must contain. */
#ifndef CONDLORA_BACKENDS_CORE_LOADER_H
#define CONDLORA_BACKENDS_CORE_LOADER_H

#include "condlora/backend.h"
#include "condlora/plugin.h"

/* Loads the table of a built-in backend or of the plug-in at the path `file`. */
cdl_status core_load(const char *file, const cdl_backend_table **table);
/* Checks and takes over a table that an entry function returned: versions, required functions and
 * ops. `whose` begins the messages. */
cdl_status core_adopt(const cdl_backend_table *given, const char *whose, cdl_backend_table *table);
/* Finds the plug-in's file for a backend's name; ABSENT names the searched folders. The caller
 * frees *path. */
cdl_status core_find_plugin(const char *name, char **path);
/* Calls `each` for every file condlora-NAME.so in the searched folders, in their order. */
void core_each_plugin(void (*each)(void *user, const char *name, const char *path), void *user);
/* Opens a device of a table that core_adopt gave, for a program with a backend of its own that no
 * name leads to. The table must live as long as the backend. */
cdl_status core_open(const cdl_backend_table *table, const char *device,
                     const cdl_backend_options *options, cdl_backend **backend);
extern const cdl_host core_host;

#endif
