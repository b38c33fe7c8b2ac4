/* The commit of the build. The build writes commit.c; it is a library of its own, so that a commit
 * links again only what records it. */
#ifndef CONDLORA_BASE_COMMIT_H
#define CONDLORA_BASE_COMMIT_H

/* Returns "0123456789ab", with "-dirty" after it if the tree had other changes; empty if the
 * sources were not a git repository. */
const char *base_commit(void);

#endif
