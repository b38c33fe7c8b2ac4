/* The folders that may hold files of this library or program: plug-ins and other shared objects
 * that are opened at need. */
#ifndef CONDLORA_BASE_LIBRARY_FOLDERS_H
#define CONDLORA_BASE_LIBRARY_FOLDERS_H

#include "base/place.h"

/* Calls `visit` for each folder, in order and each once, until it returns true. Returns whether it
 * did.
 *   - the folder of the library that contains this code, or of the program if it is linked in;
 *   - `condlora` in that folder for a library, in the library folder beside it for a program, so
 *     that an installation may be moved;
 *   - the folders of the file's run path, which an uninstalled program has for its build folder;
 *   - `condlora` in the configured library folder.
 * No folder depends on what lies around the program. */
bool base_each_library_folder(base_visit_folder *visit, void *user);

#endif
