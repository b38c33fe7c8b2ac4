#include "model/hub/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/number.h"
#include "base/path.h"

enum { SECONDS = 10, SECONDS_MOST = 3600 };

static const char *variable(const char *name)
{
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0' ? value : NULL;
}

static const char *either(const char *first, const char *second)
{
  const char *value = variable(first);
  return value != NULL ? value : variable(second);
}

static bool is_true(const char *value)
{
  static const char *const words[] = {"1", "on", "yes", "true"};
  for (size_t i = 0; value != NULL && i < sizeof words / sizeof words[0]; i++)
    if (strcasecmp(value, words[i]) == 0)
      return true;
  return false;
}

static cdl_status no_memory(void)
{
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the hub's settings");
}

/* ---- Folders ---- */

static cdl_status home(const char **folder)
{
  *folder = variable("HOME");
  if (*folder == NULL) {
    const struct passwd *user = getpwuid(geteuid());
    *folder = user != NULL ? user->pw_dir : NULL;
  }
  return *folder != NULL ? CDL_STATUS_OK
                         : cdl_fail(CDL_STATUS_USAGE, "HOME is not set, and HF_HOME neither: there "
                                                      "is no place for models of the hub");
}

/* A path as the user wrote it, with "~" for the home folder. */
static cdl_status expand(const char *path, char **expanded)
{
  const char *folder;
  if (path[0] == '~' && (path[1] == '/' || path[1] == '\0')) {
    CDL_TRY(home(&folder));
    *expanded = base_path_join(folder, path[1] == '/' ? path + 2 : "");
  } else
    *expanded = strdup(path);
  return *expanded != NULL ? CDL_STATUS_OK : no_memory();
}

static cdl_status join(const char *folder, const char *name, char **path)
{
  *path = base_path_join(folder, name);
  return *path != NULL ? CDL_STATUS_OK : no_memory();
}

/* HF_HOME, else "huggingface" in XDG_CACHE_HOME, else in ~/.cache. */
static cdl_status find_home(char **folder)
{
  const char *own = variable("HF_HOME"), *caches = variable("XDG_CACHE_HOME");
  if (own != NULL)
    return expand(own, folder);
  if (caches != NULL)
    return join(caches, "huggingface", folder);
  return expand("~/.cache/huggingface", folder);
}

/* ---- The token ---- */

/* Without spaces and line breaks at both ends. A token goes into a header of a request, which it
 * must not end; `where` is named instead of it. */
static cdl_status take_token(hub_settings *s, const char *text, const char *where)
{
  const char *start = text + strspn(text, " \t\r\n");
  size_t length = strlen(start);
  while (length > 0 && strchr(" \t\r\n", start[length - 1]) != NULL)
    length--;
  for (size_t i = 0; i < length; i++)
    if (start[i] <= ' ' || start[i] > '~')
      return cdl_fail(CDL_STATUS_USAGE, "%s: the token has a character that no token has", where);
  if (length >= sizeof s->token)
    return cdl_fail(CDL_STATUS_USAGE, "%s: the token is longer than %zu characters", where,
                    sizeof s->token - 1);
  memcpy(s->token, start, length);
  s->token[length] = '\0';
  return CDL_STATUS_OK;
}

static cdl_status read_token_file(hub_settings *s, const char *path)
{
  char text[2 * HUB_TOKEN_BYTES] = "";
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return CDL_STATUS_OK; /* the user has not logged in */
  const ssize_t length = read(descriptor, text, sizeof text - 1);
  close(descriptor);
  if (length < 0)
    return cdl_fail(CDL_STATUS_IO, "%s: cannot be read: %s", path, strerror(errno));
  const cdl_status status = take_token(s, text, path);
  explicit_bzero(text, sizeof text);
  return status;
}

static cdl_status find_token(hub_settings *s, const char *home_folder)
{
  const char *own = either("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"), *file = variable("HF_TOKEN_PATH");
  char *path;
  if (is_true(variable("HF_HUB_DISABLE_IMPLICIT_TOKEN")))
    return CDL_STATUS_OK;
  if (own != NULL)
    return take_token(s, own, "HF_TOKEN");
  CDL_TRY(file != NULL ? expand(file, &path) : join(home_folder, "token", &path));
  const cdl_status status = read_token_file(s, path);
  free(path);
  return status;
}

/* ---- All ---- */

static cdl_status find_endpoint(hub_settings *s)
{
  const char *given = variable("HF_ENDPOINT");
  s->endpoint = strdup(given != NULL ? given : "https://huggingface.co");
  if (s->endpoint == NULL)
    return no_memory();
  size_t length = strlen(s->endpoint);
  while (length > 0 && s->endpoint[length - 1] == '/')
    s->endpoint[--length] = '\0';
  for (size_t i = 0; i < length; i++)
    if (s->endpoint[i] <= ' ' || s->endpoint[i] > '~' || s->endpoint[i] == '@')
      return cdl_fail(CDL_STATUS_USAGE,
                      "HF_ENDPOINT: expected an address without spaces and names of users");
  if (strncasecmp(s->endpoint, "https://", 8) == 0 || strncasecmp(s->endpoint, "http://", 7) == 0)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_USAGE, "HF_ENDPOINT is %s; expected https:// and a host", s->endpoint);
}

static cdl_status find_seconds(hub_settings *s)
{
  const char *given = variable("HF_HUB_DOWNLOAD_TIMEOUT");
  int64_t seconds = SECONDS;
  if (given != NULL && (!base_integer_parse(given, strlen(given), &seconds) || seconds < 1 ||
                        seconds > SECONDS_MOST))
    return cdl_fail(CDL_STATUS_USAGE, "HF_HUB_DOWNLOAD_TIMEOUT is %s; expected seconds, 1 to %d",
                    given, SECONDS_MOST);
  s->seconds = (long)seconds;
  return CDL_STATUS_OK;
}

static cdl_status read_all(hub_settings *s, const char *home_folder)
{
  const char *cache = either("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"),
             *certificates = either("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE");
  s->offline = is_true(either("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"));
  CDL_TRY(cache != NULL ? expand(cache, &s->cache) : join(home_folder, "hub", &s->cache));
  if (certificates != NULL && (s->certificates = strdup(certificates)) == NULL)
    return no_memory();
  CDL_TRY(find_endpoint(s));
  CDL_TRY(find_seconds(s));
  return find_token(s, home_folder);
}

cdl_status hub_settings_read(hub_settings *settings)
{
  char *home_folder;
  *settings = (hub_settings){0};
  CDL_TRY(find_home(&home_folder));
  const cdl_status status = read_all(settings, home_folder);
  free(home_folder);
  if (status != CDL_STATUS_OK)
    hub_settings_release(settings);
  return status;
}

void hub_settings_release(hub_settings *settings)
{
  explicit_bzero(settings->token, sizeof settings->token);
  free(settings->endpoint);
  free(settings->cache);
  free(settings->certificates);
  *settings = (hub_settings){0};
}
