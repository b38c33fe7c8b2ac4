#include "condlora/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/visible.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static cdl_log_callback *callback;
static void *callback_user;

void cdl_log_to(cdl_log_callback *new_callback, void *user)
{
  pthread_mutex_lock(&lock);
  callback = new_callback;
  callback_user = user;
  pthread_mutex_unlock(&lock);
}

void cdl_log(cdl_log_level level, const char *format, ...)
{
  char text[1024], line[1024]; /* one line, whatever a file or its name contains */
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  base_make_visible(text, strlen(text), line, sizeof line);

  pthread_mutex_lock(&lock);
  if (callback != NULL)
    callback(callback_user, level, line);
  pthread_mutex_unlock(&lock);
}
