#include "tools/study/optuna_client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/trust.h"
#include "tools/study/data_path.h"

extern char **environ;

struct study_optuna_client {
  ranks_job *job;
  pid_t process;
  int to, from; /* -1: closed */
  FILE *words;  /* its stderr, an unnamed temporary file */
};

static const char *python(void)
{
  const char *set = secure_getenv("CDL_PYTHON");
  return set != NULL && set[0] != '\0' ? set : "python3";
}

/* ---- Starting ---- */

/* The child gets its own process group, so that Ctrl-C on the terminal reaches this program only.
 * A cluster signals every process of a job: the signals that ask this program to stop are blocked
 * in the child, which ends when its input ends. */
static cdl_status spawn(study_optuna_client *c, const char *script, int input, int output)
{
  char *const arguments[] = {(char *)(uintptr_t)python(), (char *)(uintptr_t)script, NULL};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  static const int asking[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1};
  sigset_t restored, blocked;
  sigemptyset(&blocked);
  for (size_t i = 0; i < sizeof asking / sizeof asking[0]; i++)
    sigaddset(&blocked, asking[i]);
  sigemptyset(&restored);
  sigaddset(&restored, SIGPIPE);
  sigaddset(&restored, SIGXFSZ);
  if (posix_spawn_file_actions_init(&actions) != 0)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the bridge to Optuna");
  if (posix_spawnattr_init(&attributes) != 0) {
    posix_spawn_file_actions_destroy(&actions);
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the bridge to Optuna");
  }
  int failed = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO) |
               posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) |
               posix_spawn_file_actions_adddup2(&actions, fileno(c->words), STDERR_FILENO) |
               posix_spawnattr_setsigdefault(&attributes, &restored) |
               posix_spawnattr_setsigmask(&attributes, &blocked) |
               posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                                         POSIX_SPAWN_SETSIGMASK);
  if (failed == 0)
    failed = posix_spawnp(&c->process, arguments[0], &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failed == 0)
    return CDL_STATUS_OK;
  c->process = 0;
  return cdl_fail(CDL_STATUS_ABSENT,
                  "%s cannot be started (%s): a search needs Python 3 with Optuna, from "
                  "CDL_PYTHON or as python3",
                  python(), strerror(failed));
}

static cdl_status connect_client(study_optuna_client *c, const char *script)
{
  int there[2] = {-1, -1}, back[2] = {-1, -1};
  c->words = tmpfile();
  cdl_status status = CDL_STATUS_OK;
  if (c->words == NULL || fcntl(fileno(c->words), F_SETFD, FD_CLOEXEC) != 0 ||
      pipe2(there, O_CLOEXEC) != 0 || pipe2(back, O_CLOEXEC) != 0)
    status = cdl_fail(CDL_STATUS_IO, "the bridge to Optuna: %s", strerror(errno));
  if (status == CDL_STATUS_OK)
    status = spawn(c, script, there[0], back[1]);
  if (there[0] >= 0)
    close(there[0]);
  if (back[1] >= 0)
    close(back[1]);
  c->to = there[1];
  c->from = back[0];
  return status;
}

static cdl_status start(study_optuna_client *c)
{
  char *script = study_data_path("scripts/optuna-bridge");
  if (script == NULL)
    return cdl_fail(CDL_STATUS_ABSENT, "scripts/optuna-bridge is not installed; expected it in %s",
                    STUDY_DATA);
  char resolved[PATH_MAX], reason[BASE_DISTRUST_BYTES];
  if (!base_trust(script, resolved, reason)) {
    const cdl_status refused = cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: not run: %s", script, reason);
    free(script);
    return refused;
  }
  const cdl_status status = connect_client(c, resolved);
  free(script);
  return status;
}

cdl_status study_optuna_client_start(ranks_job *job, study_optuna_client **client)
{
  *client = NULL;
  study_optuna_client *c = calloc(1, sizeof *c);
  cdl_status status = CDL_STATUS_OK;
  if (c == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: the bridge to Optuna");
  else {
    *c = (study_optuna_client){.job = job, .to = -1, .from = -1};
    status = ranks_rank(job) == 0 ? start(c) : CDL_STATUS_OK;
  }
  status = ranks_agree(job, status, "the bridge to Optuna");
  if (status == CDL_STATUS_OK)
    *client = c;
  else
    study_optuna_client_stop(c);
  return status;
}

/* Closes the pipes. The bridge ends when its input ends. */
static void close_pipes(study_optuna_client *c)
{
  if (c->to >= 0)
    close(c->to);
  if (c->from >= 0)
    close(c->from);
  c->to = c->from = -1;
}

/* Returns the child's wait status, as waitpid gives it. */
static int wait_for_end(study_optuna_client *c)
{
  int how = 0;
  close_pipes(c);
  while (c->process > 0 && waitpid(c->process, &how, 0) < 0 && errno == EINTR) {
  }
  c->process = 0;
  return how;
}

void study_optuna_client_stop(study_optuna_client *c)
{
  if (c == NULL)
    return;
  (void)wait_for_end(c);
  if (c->words != NULL)
    fclose(c->words);
  free(c);
}

/* ---- Calling ---- */

/* Copies the last line of the bridge's stderr; "" if there is none. */
static void last_words(const study_optuna_client *c, char *text, size_t bytes)
{
  char line[512];
  text[0] = '\0';
  rewind(c->words);
  while (fgets(line, sizeof line, c->words) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    if (line[0] != '\0')
      snprintf(text, bytes, ": %s", line);
  }
}

static cdl_status fail_ended(study_optuna_client *c)
{
  const int how = wait_for_end(c);
  char words[520], end[48] = "";
  if (WIFSIGNALED(how))
    snprintf(end, sizeof end, " by signal %d", WTERMSIG(how));
  else if (WEXITSTATUS(how) != 0)
    snprintf(end, sizeof end, " with exit status %d", WEXITSTATUS(how));
  last_words(c, words, sizeof words);
  return cdl_fail(CDL_STATUS_IO, "the bridge to Optuna (%s) has ended%s%s", python(), end, words);
}

/* Returns false if the other end is closed. A driver's library may have installed signal handlers
 * that interrupt system calls. */
static bool send_line(const study_optuna_client *c, const char *line)
{
  for (size_t left = strlen(line); left > 0;) {
    const ssize_t written = write(c->to, line, left);
    if (written < 0 && errno != EINTR)
      return false;
    line += written > 0 ? written : 0;
    left -= written > 0 ? (size_t)written : 0;
  }
  return true;
}

/* Reads up to a newline; the caller frees the line. At most one reply is under way. Returns NULL at
 * the end of the input. */
static char *receive_line(const study_optuna_client *c, size_t *length)
{
  size_t capacity = 4096;
  char *line = malloc(capacity);
  *length = 0;
  while (line != NULL && (*length == 0 || line[*length - 1] != '\n')) {
    if (*length == capacity) {
      char *grown = realloc(line, capacity *= 2);
      if (grown == NULL)
        break;
      line = grown;
    }
    const ssize_t got = read(c->from, line + *length, capacity - *length);
    if (got == 0 || (got < 0 && errno != EINTR))
      break;
    *length += got > 0 ? (size_t)got : 0;
  }
  if (line != NULL && *length > 0 && line[*length - 1] == '\n') {
    line[--*length] = '\0';
    return line;
  }
  free(line);
  return NULL;
}

static cdl_status read_reply(const char *line, size_t bytes, json_t **reply)
{
  base_json_fault fault;
  *reply = base_json_load(line, bytes, &fault);
  if (*reply == NULL && fault.kind == BASE_JSON_MEMORY)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the bridge's answer");
  if (json_is_object(*reply)) {
    const char *message = json_string_value(json_object_get(*reply, "error"));
    if (message == NULL)
      return CDL_STATUS_OK;
    const cdl_status status = cdl_fail(CDL_STATUS_IO, "%s", message);
    json_decref(*reply);
    *reply = NULL;
    return status;
  }
  json_decref(*reply);
  *reply = NULL;
  return cdl_fail(CDL_STATUS_DATA,
                  "the bridge to Optuna (%s) answers '%.*s', which is no JSON object", python(),
                  (int)(bytes < 100 ? bytes : 100), line);
}

/* Sends a request and waits for the reply. */
static cdl_status exchange(study_optuna_client *c, const json_t *request, json_t **reply)
{
  char *text = base_json_line(request), *line = NULL;
  if (text == NULL || asprintf(&line, "%s\n", text) < 0) {
    free(text);
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a request to Optuna");
  }
  free(text);
  const bool sent = c->process > 0 && send_line(c, line);
  free(line);
  if (c->process <= 0)
    return cdl_fail(CDL_STATUS_IO, "the bridge to Optuna (%s) has ended", python());
  size_t length;
  line =
      receive_line(c, &length); /* a bridge that ended before it read may have written the reason */
  if (line == NULL)
    return fail_ended(c);
  const cdl_status status = read_reply(line, length, reply);
  free(line);
  if (status != CDL_STATUS_OK || sent)
    return status;
  json_decref(*reply);
  *reply = NULL;
  return fail_ended(c);
}

/* ---- Ranks ---- */

/* Gives every rank the first one's reply. */
static cdl_status share(ranks_job *job, json_t **reply)
{
  static const char what[] = "a reply of Optuna";
  const bool first = ranks_rank(job) == 0;
  char *text = first ? base_json_line(*reply) : NULL;
  uint64_t bytes = text != NULL ? strlen(text) : 0;
  CDL_TRY(ranks_broadcast(job, &bytes, sizeof bytes, 0, what));
  if (!first)
    text = malloc((size_t)bytes + 1);
  cdl_status status =
      text != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", what);
  status = ranks_agree(job, status, what);
  if (status == CDL_STATUS_OK)
    status = ranks_broadcast(job, text, (size_t)bytes, 0, what);
  if (status == CDL_STATUS_OK && !first)
    status = read_reply(text, (size_t)bytes, reply);
  free(text);
  return ranks_agree(job, status, what);
}

cdl_status study_optuna_client_call(study_optuna_client *c, json_t *request, json_t **reply)
{
  *reply = NULL;
  cdl_status status = request != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: a request to Optuna");
  if (status == CDL_STATUS_OK && ranks_rank(c->job) == 0)
    status = exchange(c, request, reply);
  json_decref(request);
  status = ranks_agree(c->job, status, "a request to Optuna");
  if (status == CDL_STATUS_OK && c->job != NULL)
    status = share(c->job, reply);
  if (status == CDL_STATUS_OK)
    return CDL_STATUS_OK;
  json_decref(*reply);
  *reply = NULL;
  return status;
}
