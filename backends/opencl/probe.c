#include "backends/opencl/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_BYTES = 1024, PATIENCE_MS = 60000 };

/* The child's answer, in one piece, because a pipe takes so much at once. */
typedef struct {
  cdl_status status;
  char message[ANSWER_BYTES];
} answer;

static answer *answering; /* in the child: host->fail writes to it */

static cdl_status note_failure(cdl_status status, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(answering->message, sizeof answering->message, format, arguments);
  va_end(arguments);
  return status;
}

static void ignore_log(cdl_log_level level, const char *format, ...)
{
  (void)level;
  (void)format;
}

static cdl_status look(void)
{
  opencl_found *found;
  int count, chosen;
  CDL_TRY(opencl_find_devices(&found, &count));
  CDL_TRY(opencl_choose(found, count, "", &chosen));
  if ((found[chosen].type & CL_DEVICE_TYPE_CPU) == 0)
    return CDL_STATUS_OK;
  return opencl_host->fail(CDL_STATUS_ABSENT,
                           "its device %s is the host's processor; name it to use it",
                           found[chosen].name);
}

/* Does not return. Nothing of the program may run here: neither its signal handlers, nor its exit
 * handlers, nor its streams. */
static void answer_from_child(int to, pid_t parent)
{
  static answer said;
  cdl_host host = *opencl_host;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent)
    _exit(1);
  for (int number = 1; number < NSIG; number++)
    signal(number, SIG_DFL);
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int stream = STDIN_FILENO; nothing >= 0 && stream <= STDERR_FILENO; stream++)
    dup2(nothing, stream);
  /* The child must not keep the program's open files: a lock on a folder would outlive the
   * program. */
  if (to > STDERR_FILENO + 1)
    (void)close_range(STDERR_FILENO + 1, (unsigned)to - 1, 0);
  (void)close_range((unsigned)to + 1, UINT_MAX, 0);
  answering = &said;
  host.fail = note_failure;
  host.log = ignore_log;
  opencl_host = &host;
  said.status = look();
  _exit(write(to, &said, sizeof said) == sizeof said ? 0 : 1);
}

static bool receive(int from, answer *said)
{
  struct pollfd waiting = {.fd = from, .events = POLLIN};
  int ready;
  do
    ready = poll(&waiting, 1, PATIENCE_MS);
  while (ready < 0 && errno == EINTR);
  if (ready == 0)
    return false;
  ssize_t got;
  do
    got = read(from, said, sizeof *said);
  while (got < 0 && errno == EINTR);
  return got == sizeof *said;
}

cdl_status opencl_probe(void)
{
  int ends[2];
  answer said = {.status = CDL_STATUS_ABSENT};
  if (pipe2(ends, O_CLOEXEC) != 0)
    return opencl_host->fail(CDL_STATUS_ABSENT, "no look at its devices: %s", strerror(errno));
  const pid_t parent = getpid(), child = fork();
  if (child == 0)
    answer_from_child(ends[1], parent);
  const int reason = errno;
  close(ends[1]);
  const bool answered = child > 0 && receive(ends[0], &said);
  close(ends[0]);
  if (child < 0)
    return opencl_host->fail(CDL_STATUS_ABSENT, "no look at its devices: %s", strerror(reason));
  if (!answered)
    kill(child, SIGKILL);
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
  }
  if (!answered)
    return opencl_host->fail(CDL_STATUS_ABSENT, "its drivers crash or hang when they are asked for "
                                                "devices");
  said.message[ANSWER_BYTES - 1] = '\0';
  return said.status == CDL_STATUS_OK ? CDL_STATUS_OK
                                      : opencl_host->fail(CDL_STATUS_ABSENT, "%s", said.message);
}
