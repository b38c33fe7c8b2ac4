/* A folder that a command makes: there whole or not at all. It is filled beside its place and
 * renamed. */
#ifndef CONDLORA_CLI_NEW_FOLDER_H
#define CONDLORA_CLI_NEW_FOLDER_H

#include "condlora/status.h"

/* The name of the folder to fill, "PATH.tmp-PID", which is made, with what is missing above it; to
 * be freed by the caller. ARGUMENT where PATH exists already. */
CDL_MUST_USE cdl_status cli_new_folder_begin(const char *path, char **temporary);
/* Renames it where `status`, that of the filling, is OK; else removes what is there. Returns the
 * first failure. Frees `temporary`. */
CDL_MUST_USE cdl_status cli_new_folder_finish(const char *path, char *temporary, cdl_status status);

#endif
