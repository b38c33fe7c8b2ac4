/* What a hub sends, and what becomes of it: the head of an answer, a name as a user types it, an
 * address that a redirect gives. What is taken as a commit, a hash or a name is a safe part of a
 * path. */
#include <stdlib.h>
#include <string.h>

#include "model/hub/address.h"
#include "model/hub/answer.h"
#include "tests/fuzz/fuzz.h"

static void must(int holds)
{
  if (!holds)
    abort();
}

static char *text_of(fuzz_part part)
{
  char *text = malloc(part.size + 1);
  must(text != NULL);
  memcpy(text, part.data, part.size);
  text[part.size] = '\0';
  return text;
}

static void read_head(fuzz_part head)
{
  hub_answer answer;
  hub_answer_clear(&answer);
  while (head.size > 0) {
    const uint8_t *end = memchr(head.data, '\n', head.size);
    const size_t length = end != NULL ? (size_t)(end - head.data) + 1 : head.size;
    char *line = malloc(length); /* of its very size, so that a read beyond it is seen */
    must(line != NULL);
    memcpy(line, head.data, length);
    hub_answer_read(&answer, line, length);
    free(line);
    head.data += length;
    head.size -= length;
  }
  must(answer.commit[0] == '\0' || hub_is_commit(answer.commit));
  must(answer.status >= 0 && answer.status <= 999);
  must(hub_answer_size(&answer) >= -1 && answer.range_start >= -1 && answer.retry_after >= -1);
  const char *hash = hub_answer_hash(&answer);
  must(hash == NULL || (hash[0] != '\0' && strlen(hash) < HUB_TAG_BYTES));
  must(hash == NULL || !hub_is_hash(hash) || (strlen(hash) >= 40 && strpbrk(hash, "/.") == NULL));
}

static void read_name(const char *text)
{
  hub_name name;
  if (!hub_name_read(text, &name))
    return;
  must(hub_is_inner_path(name.repository) && hub_is_inner_path(name.revision));
  must(strstr(name.repository, "..") == NULL && strstr(name.revision, "/../") == NULL);
  char *address = hub_address_of("https://hub", name.repository, name.revision, "a b/c.json");
  must(address != NULL && hub_address_origin(address) == strlen("https://hub"));
  must(strchr(address, '@') == NULL && strchr(address, '?') == NULL);
  free(address);
}

static void read_address(const char *address)
{
  static const char hub[] = "https://hub.example";
  const size_t length = hub_address_origin(address);
  must(length <= strlen(address));
  if (hub_address_same_origin(address, hub))
    must(length == strlen(hub) && strchr("/?#", address[length]) != NULL);
  must(!hub_address_may_follow(hub, address) || length > strlen("https://"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_part rest = {data, size};
  read_head(fuzz_next(&rest));
  char *name = text_of(fuzz_next(&rest)), *address = text_of(fuzz_next(&rest));
  read_name(name);
  read_address(address);
  free(name);
  free(address);
  return 0;
}
