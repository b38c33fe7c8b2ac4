/* Which files may be run as code: plug-ins, libraries in a named folder, compiled kernels, scripts.
 *
 * A file is trusted if nobody can change it except root, the user, and the owner of the program (or
 * of the library) that loads it.
 *   - The file and its folder belong to one of these three.
 *   - So does each folder above, up to the root, and each link on the way. A folder above may
 *     belong to another user if the program itself lies below it: a user who can exchange the
 *     program gains nothing.
 *   - Others may not write to any of them, and neither may a group, unless it is the owner's own
 *     group: it has the owner's name and no other member. In a folder with the sticky bit, such as
 *     /tmp, others may add files but not exchange them; that is allowed.
 * So nobody else can exchange a trusted file, neither before nor after it is opened. */
#ifndef CONDLORA_BASE_TRUST_H
#define CONDLORA_BASE_TRUST_H

#include <limits.h>
#include <stdbool.h>

enum { BASE_DISTRUST_BYTES = 512 };

/* Returns whether the regular file at the absolute or relative `path` is trusted. `resolved` is its
 * path without links, which the caller opens. Otherwise `reason` says why not: "it belongs to user
 * 1001, …". */
bool base_trust(const char *path, char resolved[PATH_MAX], char reason[BASE_DISTRUST_BYTES]);

#endif
