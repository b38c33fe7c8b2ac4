/* Whose files may be run as code: plug-ins, libraries in a folder that is named, compiled kernels,
 * scripts.
 *
 * The rule: a file is taken where none can change it but root, the user, and the owner of the
 * program that takes it (or of the library that this is part of).
 *   - The file and its folder belong to one of these three.
 *   - So does each folder above, up to the root, and each link on the way. A folder above may also
 *     belong to another where the program itself lies below it: who can exchange the program there
 *     gains nothing.
 *   - None of them may be written to by others, nor by a group unless it is its owner's own, one
 *     that carries the owner's name and has no other member. In a folder with the sticky bit, such as
 *     /tmp, others may add files but not exchange them: those are no matter.
 * So nobody else can put another file in the place of one that has passed, neither before it is
 * opened nor after. */
#ifndef CONDLORA_BASE_TRUST_H
#define CONDLORA_BASE_TRUST_H

#include <limits.h>
#include <stdbool.h>

enum { BASE_DISTRUST_BYTES = 512 };

/* Whether the regular file at the absolute or relative `path` may be taken; its path without links,
 * which is the one to open. Else why not: "it belongs to user 1001, …". */
bool base_trust(const char *path, char resolved[PATH_MAX], char reason[BASE_DISTRUST_BYTES]);

#endif
