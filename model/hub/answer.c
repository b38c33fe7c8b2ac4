#include "model/hub/answer.h"

#include <string.h>
#include <strings.h>

#include "base/number.h"

void hub_answer_clear(hub_answer *answer)
{
  *answer = (hub_answer){.length = -1, .linked_length = -1, .range_start = -1, .retry_after = -1};
}

/* Takes a value that fits. */
static void take_text(char *to, size_t room, const char *value, size_t length)
{
  if (length >= room)
    return;
  memcpy(to, value, length);
  to[length] = '\0';
}

static void take_commit(hub_answer *a, const char *value, size_t length)
{
  take_text(a->commit, sizeof a->commit, value, length);
  if (!hub_is_commit(a->commit))
    a->commit[0] = '\0';
}

static void take_tag(char tag[HUB_TAG_BYTES], const char *value, size_t length)
{
  if (length >= 2 && memcmp(value, "W/", 2) == 0) {
    value += 2;
    length -= 2;
  }
  if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
    value++;
    length -= 2;
  }
  take_text(tag, HUB_TAG_BYTES, value, length);
}

static void take_number(int64_t *to, const char *value, size_t length)
{
  int64_t number;
  if (base_integer_parse(value, length, &number))
    *to = number;
}

/* "bytes 100-199/200" */
static void take_range(hub_answer *a, const char *value, size_t length)
{
  static const char unit[] = "bytes ";
  const size_t before = sizeof unit - 1;
  const char *dash = length > before ? memchr(value, '-', length) : NULL;
  if (dash != NULL && strncasecmp(value, unit, before) == 0 && dash > value + before)
    take_number(&a->range_start, value + before, (size_t)(dash - value) - before);
}

static void take(hub_answer *a, const char *name, size_t name_length, const char *value,
                 size_t length)
{
  static const char *const names[] = {"X-Repo-Commit",  "ETag",          "X-Linked-Etag",
                                      "Content-Length", "X-Linked-Size", "Content-Range",
                                      "Retry-After",    "X-Error-Code",  "X-Error-Message"};
  enum { COMMIT, TAG, LINKED_TAG, LENGTH, LINKED_LENGTH, RANGE, RETRY, CODE, MESSAGE, COUNT };
  int which = 0;
  while (which < COUNT &&
         (strlen(names[which]) != name_length || strncasecmp(names[which], name, name_length) != 0))
    which++;
  switch (which) {
  case COMMIT:
    take_commit(a, value, length);
    break;
  case TAG:
    take_tag(a->tag, value, length);
    break;
  case LINKED_TAG:
    take_tag(a->linked_tag, value, length);
    break;
  case LENGTH:
    take_number(&a->length, value, length);
    break;
  case LINKED_LENGTH:
    take_number(&a->linked_length, value, length);
    break;
  case RANGE:
    take_range(a, value, length);
    break;
  case RETRY:
    take_number(&a->retry_after, value, length);
    break;
  case CODE:
    take_text(a->code, sizeof a->code, value, length);
    break;
  case MESSAGE:
    take_text(a->message, sizeof a->message, value, length);
    break;
  default:
    break;
  }
}

static size_t without_space(const char *text, size_t length)
{
  while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL && text[length - 1] != '\0')
    length--;
  return length;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200" */
static void read_status(hub_answer *answer, const char *line, size_t bytes)
{
  const char *space = memchr(line, ' ', bytes);
  int64_t status = 0;
  hub_answer_clear(answer);
  if (space != NULL && line + bytes - space > 3)
    take_number(&status, space + 1, 3);
  answer->status = (int)status;
}

void hub_answer_read(hub_answer *answer, const char *line, size_t bytes)
{
  static const char http[] = "HTTP/";
  if (bytes >= sizeof http && strncasecmp(line, http, sizeof http - 1) == 0) {
    read_status(answer, line, bytes);
    return;
  }
  const char *colon = memchr(line, ':', bytes);
  if (colon == NULL)
    return;
  const char *value = colon + 1, *end = line + bytes;
  while (value < end && (*value == ' ' || *value == '\t'))
    value++;
  take(answer, line, (size_t)(colon - line), value, without_space(value, (size_t)(end - value)));
}

const char *hub_answer_hash(const hub_answer *answer)
{
  const char *hash = answer->linked_tag[0] != '\0' ? answer->linked_tag : answer->tag;
  return hash[0] != '\0' ? hash : NULL;
}

int64_t hub_answer_size(const hub_answer *answer)
{
  return answer->linked_length >= 0 ? answer->linked_length : answer->length;
}
