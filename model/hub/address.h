/* Addresses of the hub's files, and which host an address means. */
#ifndef CONDLORA_MODEL_HUB_ADDRESS_H
#define CONDLORA_MODEL_HUB_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* Returns ENDPOINT/REPOSITORY/resolve/REVISION/FILE, with %xx where needed; the caller frees it.
 * NULL if memory is out. */
char *hub_address_of(const char *endpoint, const char *repository, const char *revision,
                     const char *file);

/* Returns the length of "scheme://host:port" at the start of an address; 0 if it has neither
 * https:// nor http://, or a character that different programs read differently. */
size_t hub_address_origin(const char *address);
/* Returns whether both have the same scheme, host and port, by their letters. */
bool hub_address_same_origin(const char *one, const char *other);
/* Returns whether a request to `from` may be sent on to `to`: never from https:// to http://. */
bool hub_address_may_follow(const char *from, const char *to);

#endif
