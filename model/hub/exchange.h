/* Requests to the hub, several at once. A request whose connection breaks, or that the hub puts
 * off, is tried again after a pause; a download then goes on where it was.
 *
 * Redirects are followed here, not by libcurl: the token goes only with requests to the host of
 * HF_ENDPOINT, and a question about a file (HEAD) follows a redirect only on that host, because the
 * answer before it says what is wanted. */
#ifndef CONDLORA_MODEL_HUB_EXCHANGE_H
#define CONDLORA_MODEL_HUB_EXCHANGE_H

#include "model/hub/answer.h"
#include "model/hub/download.h"
#include "model/hub/libcurl.h"
#include "model/hub/settings.h"

typedef struct {
  const hub_libcurl *curl; /* borrowed, as the next one */
  const hub_settings *settings;
  CURLM *multi;
  bool reached; /* a server has answered */
  /* Called a few times a second; a failure ends the exchange. */
  cdl_status (*tick)(void *user);
  void *user;
} hub_exchange;

/* One request. */
typedef struct {
  const char *address;    /* borrowed */
  hub_download *download; /* borrowed: GET into it; NULL: HEAD */
  hub_answer answer;      /* the last; for a download only if the hub refuses it */
  bool refused;           /* a download that got a status other than those of content */
  /* for hub_exchange_run alone */
  CURL *easy;
  struct curl_slist *headers;
  char *redirect; /* where the request goes instead of `address` */
  int redirects, tries;
  double at; /* monotonic clock: not before */
  uint64_t bytes_before, body;
  bool done;
  char reason[CURL_ERROR_SIZE];
} hub_request;

/* Errors: MEMORY, and those of hub_libcurl_open. */
CDL_MUST_USE cdl_status hub_exchange_begin(hub_exchange *exchange, const hub_settings *settings);
void hub_exchange_end(hub_exchange *exchange);

/* Runs all requests [count] to their ends. The first that fails ends all. An answer that is no
 * success is no failure. Errors: IO if the hub does not answer, or not in time; those of downloads
 * and of `tick`; MEMORY. */
CDL_MUST_USE cdl_status hub_exchange_run(hub_exchange *exchange, hub_request *requests,
                                         size_t count);

#endif
