#include "model/hub/exchange.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/process.h"
#include "condlora/version.h"
#include "model/hub/address.h"

enum { AT_ONCE = 8, REDIRECTS = 10, TRIES = 5, POLL_MS = 100 };
enum { PAUSE_MOST = 8, RETRY_AFTER_MOST = 60, ERROR_BODY_MOST = 1 << 16 };
static const double while_locked = 0.1; /* seconds between looks at another process's lock */

cdl_status hub_exchange_begin(hub_exchange *exchange, const hub_settings *settings)
{
  *exchange = (hub_exchange){.settings = settings};
  CDL_TRY(hub_libcurl_open(&exchange->curl));
  exchange->multi = exchange->curl->curl_multi_init();
  return exchange->multi != NULL ? CDL_STATUS_OK
                                 : cdl_fail(CDL_STATUS_MEMORY, "out of memory: libcurl");
}

void hub_exchange_end(hub_exchange *exchange)
{
  if (exchange->multi != NULL)
    (void)exchange->curl->curl_multi_cleanup(exchange->multi);
  *exchange = (hub_exchange){0};
}

static const char *goes_to(const hub_request *r)
{
  return r->redirect != NULL ? r->redirect : r->address;
}

/* "https://host" of the request: the rest of an address may hold a signature. */
static int host_length(const hub_request *r)
{
  return (int)hub_address_origin(goes_to(r));
}

/* What messages call the request's file; a question names its address. */
static const char *subject(const hub_request *r)
{
  return r->download != NULL ? r->download->file : r->address;
}

/* ---- What libcurl calls ---- */

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
  hub_request *r = user;
  hub_answer_read(&r->answer, line, size * count);
  return size * count;
}

/* Content of a server that ignores the range begins at the start. */
static bool take_content(hub_request *r, const char *bytes, size_t count)
{
  hub_download *d = r->download;
  const bool is_first = r->body == 0;
  if (is_first && d->bytes > 0 && r->answer.status == 200)
    d->status = hub_download_restart(d);
  if (is_first && r->answer.status == 206 && r->answer.range_start != (int64_t)d->bytes)
    d->status = cdl_fail(CDL_STATUS_DATA, "%s: another part comes than was asked for", d->file);
  r->body += count;
  return d->status == CDL_STATUS_OK && hub_download_write(d, bytes, count);
}

static bool is_content(const hub_request *r)
{
  return r->download != NULL && (r->answer.status == 200 || r->answer.status == 206);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
  hub_request *r = user;
  const size_t all = size * count;
  if (is_content(r))
    return take_content(r, bytes, all) ? all : 0;
  r->body += all; /* a page that explains an error: its head says what is needed */
  return r->body <= ERROR_BODY_MOST ? all : 0;
}

/* ---- Starting ---- */

static bool add_header(const hub_exchange *x, hub_request *r, const char *line)
{
  struct curl_slist *longer = x->curl->curl_slist_append(r->headers, line);
  if (longer != NULL)
    r->headers = longer;
  return longer != NULL;
}

static bool add_token(const hub_exchange *x, hub_request *r)
{
  char line[HUB_TOKEN_BYTES + 32];
  if (x->settings->token[0] == '\0' || !hub_address_same_origin(goes_to(r), x->settings->endpoint))
    return true;
  snprintf(line, sizeof line, "Authorization: Bearer %s", x->settings->token);
  const bool added = add_header(x, r, line);
  explicit_bzero(line, sizeof line);
  return added;
}

static bool set_up(const hub_exchange *x, hub_request *r)
{
  char range[32];
  const hub_libcurl *l = x->curl;
  const long seconds = x->settings->seconds;
  bool ok = add_header(x, r, "Accept-Encoding: identity") && add_token(x, r);
#define SET(option, value) ok = ok && l->curl_easy_setopt(r->easy, option, value) == CURLE_OK
  SET(CURLOPT_URL, goes_to(r));
  SET(CURLOPT_HTTPHEADER, r->headers);
  SET(CURLOPT_USERAGENT, "condlora/" CDL_VERSION_STRING);
  SET(CURLOPT_ERRORBUFFER, r->reason);
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, r);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, r);
  SET(CURLOPT_PRIVATE, r);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  SET(CURLOPT_CONNECTTIMEOUT, seconds);
  SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
  SET(CURLOPT_LOW_SPEED_TIME, seconds);
  if (x->settings->certificates != NULL)
    SET(CURLOPT_CAINFO, x->settings->certificates);
  if (r->download == NULL) {
    SET(CURLOPT_NOBODY, 1L);
    SET(CURLOPT_TIMEOUT, 2 * seconds);
  } else if (r->download->bytes > 0) {
    snprintf(range, sizeof range, "%llu-", (unsigned long long)r->download->bytes);
    SET(CURLOPT_RANGE, range);
  }
#undef SET
  return ok;
}

static void stop(const hub_exchange *x, hub_request *r)
{
  if (r->easy != NULL) {
    (void)x->curl->curl_multi_remove_handle(x->multi, r->easy);
    x->curl->curl_easy_cleanup(r->easy);
  }
  if (r->headers != NULL)
    x->curl->curl_slist_free_all(r->headers);
  r->easy = NULL;
  r->headers = NULL;
}

static void redirect_to(hub_request *r, char *address)
{
  free(r->redirect);
  r->redirect = address;
}

static cdl_status start(const hub_exchange *x, hub_request *r)
{
  hub_answer_clear(&r->answer);
  r->body = 0;
  r->reason[0] = '\0';
  r->bytes_before = r->download != NULL ? r->download->bytes : 0;
  r->easy = x->curl->curl_easy_init();
  if (r->easy != NULL && set_up(x, r) &&
      x->curl->curl_multi_add_handle(x->multi, r->easy) == CURLM_OK)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a request to the hub");
}

/* Returns what is ready to start: nothing to download, or a lock that is free. */
static cdl_status try_to_start(const hub_exchange *x, hub_request *r, double now)
{
  hub_download_state state = HUB_DOWNLOAD_WANTED;
  if (r->download != NULL)
    CDL_TRY(hub_download_prepare(r->download, &state));
  r->done = state == HUB_DOWNLOAD_DONE;
  if (state == HUB_DOWNLOAD_BUSY)
    r->at = now + while_locked;
  return state == HUB_DOWNLOAD_WANTED ? start(x, r) : CDL_STATUS_OK;
}

/* ---- Ending ---- */

/* A host that does not exist or does not answer at all is tried once: most often there is no
 * network. */
static bool is_passing(const hub_exchange *x, CURLcode code)
{
  switch (code) {
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_CONNECT:
  case CURLE_OPERATION_TIMEDOUT:
    return x->reached;
  case CURLE_PARTIAL_FILE:
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
  case CURLE_HTTP2:
  case CURLE_HTTP2_STREAM:
  case CURLE_SSL_CONNECT_ERROR:
    return true;
  default:
    return false;
  }
}

/* A refusal by another host than the hub means that its signed address has become too old. */
static bool is_put_off(const hub_exchange *x, const hub_request *r)
{
  const int status = r->answer.status;
  return status == 408 || status == 429 || (status >= 500 && status != 501) ||
         (r->download != NULL && status == 416) ||
         (r->download != NULL && status == 403 &&
          !hub_address_same_origin(goes_to(r), x->settings->endpoint));
}

/* Plans another try, or fails with `why`. Bytes that came begin the count anew. */
static cdl_status try_again(hub_request *r, const char *why)
{
  const bool came = r->download != NULL && r->download->bytes > r->bytes_before;
  r->tries = came ? 1 : r->tries + 1;
  int64_t pause = INT64_C(1) << (r->tries - 1);
  if (pause > PAUSE_MOST)
    pause = PAUSE_MOST;
  if (r->answer.retry_after > pause)
    pause = r->answer.retry_after;
  if (r->tries >= TRIES || pause > RETRY_AFTER_MOST)
    return cdl_fail(CDL_STATUS_IO, "%s: %.*s: %s, %d time%s in a row%s", subject(r), host_length(r),
                    goes_to(r), why, r->tries, r->tries == 1 ? "" : "s",
                    pause > RETRY_AFTER_MOST ? "; it asks for more than a minute's pause" : "");
  if (r->download != NULL && r->answer.status == 416)
    CDL_TRY(hub_download_restart(r->download));
  redirect_to(r, NULL);
  r->redirects = 0;
  r->at = base_process_seconds() + (double)pause;
  return CDL_STATUS_OK;
}

/* A question is answered by the first head that says enough. */
static bool wants_redirect(const hub_request *r)
{
  const hub_answer *a = &r->answer;
  if (a->status < 300 || a->status > 399)
    return false;
  return r->download != NULL || a->commit[0] == '\0' || hub_answer_hash(a) == NULL;
}

static cdl_status follow(hub_request *r, char *to)
{
  const bool elsewhere = to == NULL || !hub_address_same_origin(r->address, to);
  if (r->download == NULL && elsewhere) {
    free(to);
    r->done = true; /* without what was asked for */
    return CDL_STATUS_OK;
  }
  if (to == NULL || !hub_address_may_follow(goes_to(r), to) || ++r->redirects > REDIRECTS) {
    free(to);
    return cdl_fail(CDL_STATUS_IO, "%s: %.*s: a redirect that is not followed: %s", subject(r),
                    host_length(r), goes_to(r),
                    r->redirects > REDIRECTS ? "there are too many" : "to no https address");
  }
  redirect_to(r, to);
  return CDL_STATUS_OK;
}

static cdl_status settle_answer(const hub_exchange *x, hub_request *r, char *location)
{
  char why[64];
  if (wants_redirect(r))
    return follow(r, location);
  free(location);
  if (is_put_off(x, r)) {
    snprintf(why, sizeof why, "HTTP status %d", r->answer.status);
    return try_again(r, why);
  }
  if (r->download == NULL || !is_content(r)) {
    r->done = true;
    r->refused = r->download != NULL;
    return CDL_STATUS_OK;
  }
  if (r->download->bytes < r->download->size)
    return try_again(r, "the content ends early");
  r->at = 0; /* hub_download_prepare checks it and puts it into its place */
  return CDL_STATUS_OK;
}

/* Of the handle that is about to be closed. NULL: no redirect, or out of memory. */
static char *location_of(const hub_exchange *x, const hub_request *r)
{
  char *location = NULL;
  (void)x->curl->curl_easy_getinfo(r->easy, CURLINFO_REDIRECT_URL, &location);
  return location != NULL ? strdup(location) : NULL;
}

static cdl_status settle(hub_exchange *x, hub_request *r, CURLcode code)
{
  char why[CURL_ERROR_SIZE + 64];
  const bool is_long_error = code == CURLE_WRITE_ERROR && !is_content(r);
  char *location = location_of(x, r);
  stop(x, r);
  x->reached = x->reached || r->answer.status > 0;
  if (r->download != NULL && r->download->status != CDL_STATUS_OK) {
    free(location);
    return r->download->status; /* its message is that of the thread */
  }
  if (code == CURLE_OK || is_long_error)
    return settle_answer(x, r, location);
  free(location);
  snprintf(why, sizeof why, "%s",
           r->reason[0] != '\0' ? r->reason : x->curl->curl_easy_strerror(code));
  if (is_passing(x, code))
    return try_again(r, why);
  return cdl_fail(CDL_STATUS_IO, "%.*s: %s", host_length(r), goes_to(r), why);
}

/* ---- All ---- */

static cdl_status start_some(const hub_exchange *x, hub_request *requests, size_t count,
                             size_t *open)
{
  const double now = base_process_seconds();
  size_t running = 0;
  *open = 0;
  for (size_t i = 0; i < count; i++)
    running += requests[i].easy != NULL;
  for (size_t i = 0; i < count; i++) {
    hub_request *r = &requests[i];
    if (!r->done && r->easy == NULL && r->at <= now && running < AT_ONCE) {
      CDL_TRY(try_to_start(x, r, now));
      running += r->easy != NULL;
    }
    *open += !r->done;
  }
  return CDL_STATUS_OK;
}

static cdl_status settle_some(hub_exchange *x)
{
  CURLMsg *message;
  int left;
  while ((message = x->curl->curl_multi_info_read(x->multi, &left)) != NULL) {
    char *private = NULL;
    if (message->msg != CURLMSG_DONE)
      continue;
    (void)x->curl->curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
    CDL_TRY(settle(x, (hub_request *)(void *)private, message->data.result));
  }
  return CDL_STATUS_OK;
}

static cdl_status run(hub_exchange *x, hub_request *requests, size_t count)
{
  for (;;) {
    size_t open;
    int running;
    CDL_TRY(start_some(x, requests, count, &open));
    if (open == 0)
      return CDL_STATUS_OK;
    CURLMcode code = x->curl->curl_multi_perform(x->multi, &running);
    CDL_TRY(settle_some(x));
    if (x->tick != NULL)
      CDL_TRY(x->tick(x->user));
    if (code == CURLM_OK)
      code = x->curl->curl_multi_poll(x->multi, NULL, 0, POLL_MS, NULL);
    if (code != CURLM_OK)
      return cdl_fail(CDL_STATUS_IO, "libcurl: %s", x->curl->curl_multi_strerror(code));
  }
}

/* OpenSSL writes to a connection that the server has closed: this thread must not get the signal.
 * Returns whether it was not held back before. */
static bool hold_back_pipe(sigset_t *before)
{
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  return pthread_sigmask(SIG_BLOCK, &pipe, before) == 0 && sigismember(before, SIGPIPE) == 0;
}

static void let_pipe_through(const sigset_t *before)
{
  const struct timespec at_once = {0};
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  while (sigtimedwait(&pipe, NULL, &at_once) < 0 && errno == EINTR)
    ;
  (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

cdl_status hub_exchange_run(hub_exchange *exchange, hub_request *requests, size_t count)
{
  sigset_t before;
  const bool held_back = hold_back_pipe(&before);
  const cdl_status status = run(exchange, requests, count);
  for (size_t i = 0; i < count; i++) {
    stop(exchange, &requests[i]);
    redirect_to(&requests[i], NULL);
  }
  if (held_back)
    let_pipe_through(&before);
  return status;
}
