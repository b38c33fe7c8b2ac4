/* Names of models on Hugging Face's hub, and what a name or a commit must look like before it
 * becomes a part of a path or of an address. */
#ifndef CONDLORA_MODEL_HUB_NAME_H
#define CONDLORA_MODEL_HUB_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum { HUB_REPOSITORY_BYTES = 97, HUB_REVISION_BYTES = 129, HUB_COMMIT_BYTES = 41 };
enum { HUB_HASH_BYTES = 65, HUB_FILE_BYTES = 200 };

typedef struct {
  char repository[HUB_REPOSITORY_BYTES]; /* "roberta-base", "owner/model" */
  char revision[HUB_REVISION_BYTES];     /* "main" if the text names none */
} hub_name;

/* Reads `model`, `owner/model` or either with `@revision`. Returns false for other text, by the
 * rules of huggingface_hub (validate_repo_id): each part has letters, digits, '.', '_' and '-',
 * begins and ends with a letter, a digit or '_', and has neither "--" nor ".."; all have at most 96
 * bytes. */
bool hub_name_read(const char *text, hub_name *name);

/* Returns whether `text` is a full commit: 40 hexadecimal digits in lower case. */
bool hub_is_commit(const char *text);
/* Returns whether `text` is a name of a blob that can be checked: 40 such digits for git's hash of
 * a file, 64 for SHA-256. */
bool hub_is_hash(const char *text);
/* Returns whether `path` stays below the folder that it is put into: relative, without empty parts,
 * "." and "..", and with printable ASCII except '\\' alone. */
bool hub_is_inner_path(const char *path);

#endif
