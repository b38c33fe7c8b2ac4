/* The folders in which the files that belong to this library or program may lie: plug-ins and other
 * shared objects that are opened at need. */
#ifndef CONDLORA_BASE_LIBRARY_FOLDERS_H
#define CONDLORA_BASE_LIBRARY_FOLDERS_H

#include "base/place.h"

/* Calls `visit` for each folder, in order and each once, until it returns true; whether it did:
 *   - the folder of the library that this code is in, or of the program where it is linked in;
 *   - for a program, the folder of libraries beside it, so that an installation may be moved;
 *   - the folders of the file's run path: what is not installed finds its build folder there;
 *   - the folder of libraries that was configured.
 * No folder depends on what lies around the program. */
bool base_each_library_folder(base_visit_folder *visit, void *user);

#endif
