/* Paths of files that are installed with the programs. */
#ifndef CONDLORA_TOOLS_STUDY_DATA_PATH_H
#define CONDLORA_TOOLS_STUDY_DATA_PATH_H

/* Returns the path of share/condlora/NAME. It is searched below the folder of an installed program
 * (which may have been moved), in the build folder of an uninstalled program, and in the configured
 * place. The caller frees it. NULL if it is in none of these. */
char *study_data_path(const char *name);

#endif
