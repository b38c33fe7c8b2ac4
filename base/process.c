#include "base/process.h"

#include <sys/resource.h>
#include <time.h>

#include "base/quota.h"

double base_process_seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

size_t base_process_peak_bytes(void)
{
  enum { KILOBYTE = 1024 }; /* Linux's unit of ru_maxrss */
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (size_t)usage.ru_maxrss * KILOBYTE;
}

unsigned base_process_processors(void)
{
  return (unsigned)base_usable_processors();
}
