/* The folders that may hold files of this library or program: plug-ins and other shared objects
 * that are opened at need. */
#ifndef CONDLORA_BASE_LIBRARY_FOLDERS_H
#define CONDLORA_BASE_LIBRARY_FOLDERS_H

#include "base/place.h"

/* Calls `visit` for each folder, in order and each once, until it returns true. Returns whether it
 * did.
 *   - the folder of the library that contains this code, or of the program if it is linked in;
 *   - for a program, the library folder beside it, so that an installation may be moved;
 *   - the folders of the file's run path, which an uninstalled program has for its build folder;
 *   - the configured library folder.
 * No folder depends on what lies around the program. */
bool base_each_library_folder(base_visit_folder *visit, void *user);

#endif
