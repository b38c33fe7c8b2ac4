/* Files that are installed with the programs. */
#ifndef CONDLORA_TOOLS_STUDY_DATA_PATH_H
#define CONDLORA_TOOLS_STUDY_DATA_PATH_H

/* The path of share/condlora/NAME: below an installed program wherever it was moved to, beside the
 * programs in a build tree, or where it was configured to be. To be freed by the caller; NULL where
 * it is in none of these. */
char *study_data_path(const char *name);

#endif
