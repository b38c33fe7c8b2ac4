/* What the headers of one answer say, read line by line. */
#ifndef CONDLORA_MODEL_HUB_ANSWER_H
#define CONDLORA_MODEL_HUB_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "model/hub/name.h"

enum { HUB_TAG_BYTES = 80, HUB_CODE_BYTES = 32, HUB_MESSAGE_BYTES = 256 };

typedef struct {
  int status;                      /* of HTTP; 0 before the first line */
  char commit[HUB_COMMIT_BYTES];   /* X-Repo-Commit; "" if it is missing or no commit */
  char tag[HUB_TAG_BYTES];         /* ETag without W/ and quotes */
  char linked_tag[HUB_TAG_BYTES];  /* X-Linked-Etag: of the content behind a redirect */
  int64_t length, linked_length;   /* Content-Length, X-Linked-Size; -1 if missing */
  int64_t range_start;             /* of Content-Range; -1 if missing */
  int64_t retry_after;             /* seconds; -1 if missing or a date */
  char code[HUB_CODE_BYTES];       /* X-Error-Code, such as "EntryNotFound" */
  char message[HUB_MESSAGE_BYTES]; /* X-Error-Message */
} hub_answer;

/* Forgets everything. */
void hub_answer_clear(hub_answer *answer);
/* Reads one line [bytes] of a head, with its line break. A status line begins a new answer. Lines
 * and values that are unknown, too long or ill-formed say nothing. */
void hub_answer_read(hub_answer *answer, const char *line, size_t bytes);

/* The name of the content's blob, and its size; NULL and -1 if the answer does not say. */
const char *hub_answer_hash(const hub_answer *answer);
int64_t hub_answer_size(const hub_answer *answer);

#endif
