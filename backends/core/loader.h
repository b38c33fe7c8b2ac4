/* Plug-ins as files, and what a backend's table must hold. */
#ifndef CONDLORA_BACKENDS_CORE_LOADER_H
#define CONDLORA_BACKENDS_CORE_LOADER_H

#include "condlora/plugin.h"

/* A built-in backend's table or a plug-in's. `file` is a path. */
cdl_status core_load(const char *file, const cdl_backend_table **table);
/* Takes over a table that an entry has given: versions, required functions and ops. `whose` begins
 * the messages. */
cdl_status core_adopt(const cdl_backend_table *given, const char *whose, cdl_backend_table *table);
/* The plug-in's file for a backend's name; ABSENT naming the folders searched. The caller frees
 * *path. */
cdl_status core_find_plugin(const char *name, char **path);
/* Calls `each` for every file condlora-NAME.so in the folders that are searched, in their order. */
void core_each_plugin(void (*each)(void *user, const char *name, const char *path), void *user);
extern const cdl_host core_host;

#endif
