#include "model/hub/name.h"

#include <stdio.h>
#include <string.h>

static bool is_word(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_part(const char *part, size_t length)
{
  if (length == 0 || !is_word(part[0]) || !is_word(part[length - 1]))
    return false;
  for (size_t i = 0; i < length; i++) {
    if (!is_word(part[i]) && part[i] != '.' && part[i] != '-')
      return false;
    if (i > 0 && part[i] == part[i - 1] && !is_word(part[i]))
      return false; /* ".." or "--" */
  }
  return true;
}

static bool is_repository(const char *text, size_t length)
{
  static const char git[] = ".git";
  const char *slash = memchr(text, '/', length);
  const size_t first = slash != NULL ? (size_t)(slash - text) : length;
  if (length >= HUB_REPOSITORY_BYTES || !is_part(text, first))
    return false;
  if (slash != NULL && !is_part(slash + 1, length - first - 1))
    return false;
  return length < sizeof git || memcmp(text + length - (sizeof git - 1), git, sizeof git - 1) != 0;
}

/* Git's rules for names of refs (git check-ref-format) forbid what is left out here. */
static bool is_revision(const char *text)
{
  return strlen(text) < HUB_REVISION_BYTES && strpbrk(text, " ~^:?*[") == NULL &&
         hub_is_inner_path(text);
}

bool hub_name_read(const char *text, hub_name *name)
{
  const size_t length = strcspn(text, "@");
  const char *revision = text[length] == '@' ? text + length + 1 : "main";
  if (!is_repository(text, length) || !is_revision(revision))
    return false;
  snprintf(name->repository, sizeof name->repository, "%.*s", (int)length, text);
  snprintf(name->revision, sizeof name->revision, "%s", revision);
  return true;
}

static bool is_hexadecimal(const char *text, size_t length)
{
  return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

bool hub_is_commit(const char *text)
{
  return is_hexadecimal(text, HUB_COMMIT_BYTES - 1);
}

bool hub_is_hash(const char *text)
{
  return is_hexadecimal(text, 40) || is_hexadecimal(text, 64);
}

bool hub_is_inner_path(const char *path)
{
  for (const char *part = path;; part++) {
    const size_t length = strcspn(part, "/");
    if (length == 0 || (length <= 2 && strspn(part, ".") >= length))
      return false;
    for (size_t i = 0; i < length; i++)
      if (part[i] < ' ' || part[i] > '~' || part[i] == '\\')
        return false;
    part += length;
    if (*part == '\0')
      return true;
  }
}
