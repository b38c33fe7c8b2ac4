#include "model/hub/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Writes `text` with all characters but letters, digits, "-._~" and those of `safe` as %xx. */
static char *quote(char *to, const char *text, const char *safe)
{
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  for (; *text != '\0'; text++) {
    if (strchr(plain, *text) != NULL || strchr(safe, *text) != NULL)
      *to++ = *text;
    else
      to += sprintf(to, "%%%02X", (unsigned)(unsigned char)*text);
  }
  *to = '\0';
  return to;
}

char *hub_address_of(const char *endpoint, const char *repository, const char *revision,
                     const char *file)
{
  static const char resolve[] = "/resolve/";
  char *address = malloc(strlen(endpoint) + strlen(repository) + sizeof resolve +
                         3 * (strlen(revision) + strlen(file)) + 3);
  if (address == NULL)
    return NULL;
  char *end = address + sprintf(address, "%s/%s%s", endpoint, repository, resolve);
  end = quote(end, revision, "");
  *end++ = '/';
  quote(end, file, "/");
  return address;
}

static size_t scheme_length(const char *address)
{
  return strncasecmp(address, "https://", 8) == 0  ? 8
         : strncasecmp(address, "http://", 7) == 0 ? 7
                                                   : 0;
}

size_t hub_address_origin(const char *address)
{
  const size_t scheme = scheme_length(address);
  for (const char *c = address; *c != '\0'; c++)
    if (*c <= ' ' || *c > '~' || *c == '\\')
      return 0;
  const size_t host = strcspn(address + scheme, "/?#");
  return scheme > 0 && host > 0 ? scheme + host : 0;
}

bool hub_address_same_origin(const char *one, const char *other)
{
  const size_t length = hub_address_origin(one);
  return length > 0 && length == hub_address_origin(other) && strncasecmp(one, other, length) == 0;
}

bool hub_address_may_follow(const char *from, const char *to)
{
  return hub_address_origin(to) > 0 && scheme_length(to) >= scheme_length(from);
}
