/* SIGBUS in a mapped file: the file was cut short while it was read, or its disk fails. */
#ifndef CONDLORA_BASE_MAP_FAULTS_H
#define CONDLORA_BASE_MAP_FAULTS_H

/* Installs a handler that ends the program with status 1 and a line with the program's name and the
 * file's. The handler calls `before` first; NULL: nothing. */
void base_map_faults_begin(const char *program, void (*before)(void));

#endif
