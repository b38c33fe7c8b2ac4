/* The file that contains this code: the library it is part of, or the program it is linked into. A
 * plug-in that compiles this in gets its own file. */
#ifndef CONDLORA_BASE_PLACE_H
#define CONDLORA_BASE_PLACE_H

#include <limits.h>
#include <stdbool.h>

/* Gives the absolute path of the file, without links, or returns false if it is unknown. *program:
 * whether it is the running program rather than a library. */
bool base_own_file(char path[PATH_MAX], bool *program);

/* Calls `visit` for each absolute folder of the file's own run path (DT_RUNPATH, DT_RPATH) until it
 * returns true. Returns whether it did. The loader takes libraries from these folders. A built file
 * has the build's folders there and loses them when it is installed. */
typedef bool base_visit_folder(void *user, const char *folder);
bool base_each_run_path(base_visit_folder *visit, void *user);

#endif
