/* The machine that a program runs on, and the time of day: facts for records and reports. */
#ifndef CONDLORA_BASE_MACHINE_H
#define CONDLORA_BASE_MACHINE_H

#include <jansson.h>

/* A fact that the system does not tell is an empty text. */
typedef struct {
  char host[65];
  char system[160];    /* "Linux 6.1.0-18-amd64 x86_64" */
  char processor[128]; /* "AMD EPYC 7B13" */
  char governor[32];   /* of the frequency of the first processor: "performance" */
  unsigned processors; /* that this process may use */
  double load;         /* processes that ran or waited over the last minute; below 0: unknown */
  double busy;         /* load for each processor that the system has; below 0: unknown */
} base_machine;

base_machine base_machine_look(void);
/* {"host", "system", "processor", "processors"}; an unknown fact is null. NULL if memory is out. */
json_t *base_machine_json(const base_machine *machine);

/* The time of day as RFC 3339 has it, in UTC with milliseconds: "2026-02-03T04:05:06.789Z". */
typedef struct {
  char text[32];
} base_time;
base_time base_time_now(void);
/* Seconds since 1970. */
double base_time_seconds(void);

#endif
