/* Bounds the time of a call that cannot be asked whether it is done: MPI's begin and end. */
#ifndef CONDLORA_RANKS_WATCH_H
#define CONDLORA_RANKS_WATCH_H

#include <pthread.h>
#include <stdbool.h>

typedef struct {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool runs, over;
  double seconds;
  const char *text; /* one line */
} ranks_watch;

/* From now on, the process ends with status 1 and the line `text` after `seconds`, unless
 * ranks_watch_end is called before. Where no thread can be made, nothing is watched. */
void ranks_watch_begin(ranks_watch *watch, double seconds, const char *text);
void ranks_watch_end(ranks_watch *watch);

#endif
