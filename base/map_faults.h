/* SIGBUS under a mapped file: it was cut short while it was read, or its disk fails. */
#ifndef CONDLORA_BASE_MAP_FAULTS_H
#define CONDLORA_BASE_MAP_FAULTS_H

/* From here on it ends the program with 1 and a line that begins with the program's name and names
 * the file. `before` is called before that, in the handler; NULL: nothing. */
void cli_map_faults_begin(const char *program, void (*before)(void));

#endif
