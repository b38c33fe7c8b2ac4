#include "ranks/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void *watch_over(void *user)
{
  ranks_watch *w = user;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += (time_t)w->seconds + 1;
  pthread_mutex_lock(&w->lock);
  int waited = 0;
  while (!w->over && waited != ETIMEDOUT)
    waited = pthread_cond_timedwait(&w->changed, &w->lock, &until);
  const bool late = !w->over;
  pthread_mutex_unlock(&w->lock);
  if (late) {
    fprintf(stderr, "%s\n", w->text);
    _exit(EXIT_FAILURE); /* the launcher ends the other ranks */
  }
  return NULL;
}

void ranks_watch_begin(ranks_watch *w, double seconds, const char *text)
{
  *w = (ranks_watch){.seconds = seconds, .text = text};
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->changed, &monotonic);
  pthread_condattr_destroy(&monotonic);
  sigset_t all, before; /* signals are for the program's threads */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  w->runs = pthread_create(&w->thread, NULL, watch_over, w) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void ranks_watch_end(ranks_watch *w)
{
  pthread_mutex_lock(&w->lock);
  w->over = true;
  pthread_cond_signal(&w->changed);
  pthread_mutex_unlock(&w->lock);
  if (w->runs)
    pthread_join(w->thread, NULL);
  pthread_cond_destroy(&w->changed);
  pthread_mutex_destroy(&w->lock);
}
