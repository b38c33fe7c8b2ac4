#include "model/hub/resolve.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/process.h"
#include "base/sized.h"
#include "condlora/log.h"
#include "model/hub/address.h"
#include "model/hub/exchange.h"
#include "model/hub/files.h"
#include "model/hub/refusal.h"

/* An index can bring up shards, and a missing file the next one in order. */
enum { ROUNDS = 8 };
enum { SMALL_MOST = 1 << 28 };
static const int64_t large_most = INT64_C(1) << 40;
static const double between_reports = 0.2; /* seconds */

struct cdl_hub_source {
  char *folder, *name;
  char commit[HUB_COMMIT_BYTES];
};

/* A name that is being resolved. */
typedef struct {
  const char *text; /* as it was given */
  hub_name name;
  cdl_hub_options options;
  hub_settings settings;
  hub_cache cache;
  hub_exchange exchange;
  char commit[HUB_COMMIT_BYTES]; /* "" until it is known */
  /* of the downloads under way */
  hub_download *downloads;
  size_t count;
  double reported;
} resolution;

static cdl_status no_memory(const char *text)
{
  return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", text);
}

/* ---- Defaults ---- */

static pthread_mutex_t defaults_guard = PTHREAD_MUTEX_INITIALIZER;
static cdl_hub_options defaults;

cdl_status cdl_hub_use(const cdl_hub_options *options)
{
  cdl_hub_options taken;
  CDL_TRY(base_sized_read(&taken, sizeof taken, options, "cdl_hub_options"));
  pthread_mutex_lock(&defaults_guard);
  defaults = taken;
  pthread_mutex_unlock(&defaults_guard);
  return CDL_STATUS_OK;
}

/* Only a kind is given: the rest is the process's. */
static cdl_status read_options(cdl_hub_options *to, const cdl_hub_options *given)
{
  CDL_TRY(base_sized_read(to, sizeof *to, given, "cdl_hub_options"));
  if ((int)to->kind < CDL_HUB_ANY || to->kind > CDL_HUB_TOKENIZER)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_hub_options: there is no kind %d", (int)to->kind);
  pthread_mutex_lock(&defaults_guard);
  if (to->progress == NULL) {
    to->progress = defaults.progress;
    to->user = defaults.user;
  }
  to->offline = to->offline || defaults.offline;
  pthread_mutex_unlock(&defaults_guard);
  return CDL_STATUS_OK;
}

/* ---- Progress ---- */

static cdl_hub_progress progress_of(const resolution *r, bool finished)
{
  cdl_hub_progress p = {.size = sizeof p, .name = r->text, .files = r->count, .finished = finished};
  for (size_t i = 0; i < r->count; i++) {
    p.bytes += r->downloads[i].bytes;
    p.total += r->downloads[i].size;
  }
  return p;
}

static cdl_status report(void *user)
{
  resolution *r = user;
  const double now = base_process_seconds();
  if (r->options.progress == NULL || r->count == 0 || now < r->reported + between_reports)
    return CDL_STATUS_OK;
  r->reported = now;
  const cdl_hub_progress p = progress_of(r, false);
  if (r->options.progress(r->options.user, &p) == 0)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_CANCELLED,
                  "%s: the download was stopped; another call goes on with it", r->text);
}

/* ---- Requests ---- */

/* Who typed the name of a folder wants to hear that it is missing, too. */
static cdl_status run_requests(resolution *r, hub_request *requests, size_t count)
{
  const cdl_status status = hub_exchange_run(&r->exchange, requests, count);
  return status == CDL_STATUS_IO && !r->exchange.reached
             ? cdl_context(status, "%s: no such folder, and %s in %s; the hub", r->text,
                           r->commit[0] != '\0' ? "not all its files are" : "it is not",
                           r->settings.cache)
             : cdl_context(status, "%s", r->text);
}

/* ---- Downloads ---- */

static cdl_status run_downloads(resolution *r, const char *const *addresses)
{
  hub_request *requests = calloc(r->count, sizeof *requests);
  if (requests == NULL)
    return no_memory(r->text);
  for (size_t i = 0; i < r->count; i++)
    requests[i] = (hub_request){.address = addresses[i], .download = &r->downloads[i]};
  cdl_status status = run_requests(r, requests, r->count);
  for (size_t i = 0; i < r->count && status == CDL_STATUS_OK; i++)
    if (requests[i].refused)
      status = hub_refusal_explain(&requests[i].answer, r->text, &r->name, &r->settings);
  free(requests);
  return status;
}

static void announce(const resolution *r)
{
  const cdl_hub_progress p = progress_of(r, false);
  if (r->options.progress == NULL)
    cdl_log(CDL_LOG_NOTICE, "%s: downloading %zu file%s (%.1f MB) from %s to %s", r->text, p.files,
            p.files == 1 ? "" : "s", (double)p.total / 1e6, r->settings.endpoint, r->cache.folder);
}

static cdl_status download_all(resolution *r, const char *const *addresses)
{
  announce(r);
  r->reported = 0;
  const cdl_status status = run_downloads(r, addresses);
  if (r->options.progress != NULL) {
    const cdl_hub_progress p = progress_of(r, true);
    (void)r->options.progress(r->options.user, &p);
  }
  return status;
}

/* ---- Questions ---- */

/* Adds the download of a file that the hub has. */
static cdl_status add_download(resolution *r, const char *file, const hub_answer *answer)
{
  const char *hash = hub_answer_hash(answer);
  const int64_t size = hub_answer_size(answer),
                most = hub_files_is_large(file) ? large_most : SMALL_MOST;
  if (hash == NULL || size < 0)
    return hub_refusal_explain(answer, r->text, &r->name, &r->settings);
  if (!hub_is_hash(hash))
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: %s: %s gives \"%s\" as the file's ETag, no hash of 40 or 64 hexadecimal "
                    "digits, so its content cannot be checked",
                    r->text, file, r->settings.endpoint, hash);
  if (size > most)
    return cdl_fail(CDL_STATUS_DATA, "%s: %s: is said to have %" PRId64 " bytes, at most %" PRId64,
                    r->text, file, size, most);
  return hub_download_begin(&r->downloads[r->count++], &r->cache, r->commit, file, hash,
                            (uint64_t)size);
}

static bool has_file(const hub_answer *answer)
{
  return answer->status >= 200 && answer->status < 400;
}

static cdl_status take_answer(resolution *r, const char *file, const hub_answer *answer,
                              const char *address, const char **addresses)
{
  if (hub_refusal_is_absence(answer, true))
    return hub_cache_set_absent(&r->cache, r->commit, file);
  if (!has_file(answer))
    return hub_refusal_explain(answer, r->text, &r->name, &r->settings);
  addresses[r->count] = address;
  return add_download(r, file, answer);
}

/* Asks for the files of a list, and downloads those that exist. `addresses` [count] and `requests`
 * [count] are all zero. */
static cdl_status ask(resolution *r, const hub_file_list *list, hub_request *requests,
                      char **addresses, const char **found)
{
  for (size_t i = 0; i < list->count; i++) {
    addresses[i] =
        hub_address_of(r->settings.endpoint, r->name.repository, r->commit, list->name[i]);
    if (addresses[i] == NULL)
      return no_memory(r->text);
    requests[i].address = addresses[i];
  }
  CDL_TRY(run_requests(r, requests, list->count));
  for (size_t i = 0; i < list->count; i++)
    CDL_TRY(take_answer(r, list->name[i], &requests[i].answer, addresses[i], found));
  return r->count > 0 ? download_all(r, found) : CDL_STATUS_OK;
}

static cdl_status bring_list(resolution *r, const hub_file_list *list)
{
  hub_request *requests = calloc(list->count, sizeof *requests);
  char **addresses = calloc(list->count, sizeof *addresses);
  const char **found = calloc(list->count, sizeof *found);
  r->downloads = calloc(list->count, sizeof *r->downloads);
  cdl_status status = no_memory(r->text);
  if (requests != NULL && addresses != NULL && found != NULL && r->downloads != NULL)
    status = ask(r, list, requests, addresses, found);
  for (size_t i = 0; i < r->count; i++)
    hub_download_release(&r->downloads[i]);
  for (size_t i = 0; addresses != NULL && i < list->count; i++)
    free(addresses[i]);
  free(r->downloads);
  r->downloads = NULL;
  r->count = 0;
  free(found);
  free(addresses);
  free(requests);
  return status;
}

/* Asks which commit the revision is. */
static cdl_status find_commit(resolution *r)
{
  char *address = hub_address_of(r->settings.endpoint, r->name.repository, r->name.revision,
                                 hub_files_first(r->options.kind));
  if (address == NULL)
    return no_memory(r->text);
  hub_request request = {.address = address};
  const hub_answer *answer = &request.answer;
  const cdl_status status = run_requests(r, &request, 1);
  free(address);
  CDL_TRY(status);
  if (answer->commit[0] == '\0' || (!has_file(answer) && !hub_refusal_is_absence(answer, false)))
    return hub_refusal_explain(answer, r->text, &r->name, &r->settings);
  strcpy(r->commit, answer->commit);
  return hub_cache_set_commit(&r->cache, r->name.revision, r->commit);
}

/* ---- The cache, then the hub ---- */

static cdl_status bring_missing(resolution *r)
{
  if (r->commit[0] == '\0')
    CDL_TRY(find_commit(r));
  for (int i = 0; i < ROUNDS; i++) {
    hub_files files;
    cdl_status status = hub_files_look(&files, &r->cache, r->commit, r->options.kind, false);
    const bool all_known = files.unknown.count == 0;
    if (status == CDL_STATUS_OK && !all_known)
      status = bring_list(r, &files.unknown);
    hub_files_release(&files);
    CDL_TRY(status);
    if (all_known)
      return CDL_STATUS_OK;
  }
  return cdl_fail(CDL_STATUS_DATA, "%s: the hub's answers change", r->text);
}

static cdl_status ask_hub(resolution *r)
{
  if (r->options.offline || r->settings.offline)
    return cdl_fail(CDL_STATUS_ABSENT,
                    "%s: no such folder, and %s in %s; HF_HUB_OFFLINE forbids to ask the hub",
                    r->text, r->commit[0] != '\0' ? "not all its files are" : "it is not",
                    r->settings.cache);
  cdl_status status = hub_exchange_begin(&r->exchange, &r->settings);
  if (status == CDL_STATUS_ABSENT)
    status = cdl_context(status, "%s: no such folder, it is not in %s, and the hub cannot be asked",
                         r->text, r->settings.cache);
  if (status == CDL_STATUS_OK) {
    r->exchange.tick = report;
    r->exchange.user = r;
    status = bring_missing(r);
  }
  return status;
}

/* Looks at what is there. *enough: it can be opened; *known: nothing else can be there. */
static cdl_status look(const resolution *r, bool *enough, bool *known)
{
  hub_files files;
  *enough = *known = false;
  if (r->commit[0] == '\0')
    return CDL_STATUS_OK;
  cdl_status status = hub_files_look(&files, &r->cache, r->commit, r->options.kind, false);
  *known = status == CDL_STATUS_OK && files.unknown.count == 0;
  hub_files_release(&files);
  CDL_TRY(status);
  status = hub_files_look(&files, &r->cache, r->commit, r->options.kind, true);
  *enough = status == CDL_STATUS_OK && files.lacks == NULL;
  hub_files_release(&files);
  return status;
}

/* The hub knows all files, and one that is needed is not among them. A tokenizer may be missing:
 * who opens the folder says which one. */
static cdl_status check_whole(const resolution *r)
{
  hub_files files;
  cdl_status status = hub_files_look(&files, &r->cache, r->commit, r->options.kind, false);
  const bool tokenizer_only = files.lacks != NULL && strchr(files.lacks, '.') == NULL;
  if (status == CDL_STATUS_OK && files.lacks != NULL && !tokenizer_only)
    status = cdl_fail(CDL_STATUS_ABSENT, "%s: %s/%s has no %s at commit %.10s", r->text,
                      r->settings.endpoint, r->name.repository, files.lacks, r->commit);
  hub_files_release(&files);
  return status;
}

static bool is_refusal(cdl_status status)
{
  return status == CDL_STATUS_IO || status == CDL_STATUS_ABSENT;
}

static cdl_status bring(resolution *r)
{
  bool enough, known;
  CDL_TRY(hub_cache_commit(&r->cache, r->name.revision, r->commit));
  CDL_TRY(look(r, &enough, &known));
  if (!known && !(enough && (r->options.offline || r->settings.offline))) {
    const cdl_status status = ask_hub(r);
    if (status != CDL_STATUS_OK && !(enough && is_refusal(status)))
      return status;
    if (status != CDL_STATUS_OK)
      cdl_log(r->exchange.reached ? CDL_LOG_NOTICE : CDL_LOG_DEBUG,
              "%s; what the cache has is taken", cdl_error_message());
  }
  return enough ? CDL_STATUS_OK : check_whole(r);
}

static cdl_status fill_from_hub(cdl_hub_source *source, resolution *r)
{
  CDL_TRY(hub_settings_read(&r->settings));
  CDL_TRY(hub_cache_open(&r->cache, r->settings.cache, r->name.repository));
  CDL_TRY(bring(r));
  CDL_TRY(hub_cache_snapshot(&r->cache, r->commit, &source->folder));
  strcpy(source->commit, r->commit);
  source->name = strdup(r->name.repository);
  return source->name != NULL ? CDL_STATUS_OK : no_memory(r->text);
}

static const char *expected(cdl_hub_kind kind)
{
  switch (kind) {
  case CDL_HUB_MODEL:
    return "a model's, with config.json, weights and tokenizer";
  case CDL_HUB_ADAPTER:
    return "an adapter's, with adapter_config.json, or a run's";
  case CDL_HUB_TOKENIZER:
    return "a model's, with config.json and tokenizer";
  default:
    return "a model's (with config.json), an adapter's or a run's";
  }
}

static cdl_status fill(cdl_hub_source *source, const char *text, const cdl_hub_options *options)
{
  resolution r = {.text = text};
  CDL_TRY(read_options(&r.options, options));
  if (base_file_exists(text)) {
    source->folder = strdup(text);
    return source->folder != NULL ? CDL_STATUS_OK : no_memory(text);
  }
  if (!hub_name_read(text, &r.name))
    return cdl_fail(CDL_STATUS_ABSENT,
                    "%s: no such folder; expected %s, or a name of the hub: model, owner/model, "
                    "owner/model@revision",
                    text, expected(r.options.kind));
  const cdl_status status = fill_from_hub(source, &r);
  hub_exchange_end(&r.exchange);
  hub_cache_release(&r.cache);
  hub_settings_release(&r.settings);
  return status;
}

cdl_status cdl_hub_resolve(const char *name, const cdl_hub_options *options,
                           cdl_hub_source **source)
{
  *source = NULL;
  cdl_hub_source *made = calloc(1, sizeof *made);
  if (made == NULL)
    return no_memory(name);
  const cdl_status status = fill(made, name, options);
  if (status == CDL_STATUS_OK)
    *source = made;
  else
    cdl_hub_source_close(made);
  return status;
}

cdl_status hub_resolve(const char *name, cdl_hub_kind kind, cdl_hub_source **source)
{
  cdl_hub_options options = cdl_hub_options_init();
  options.kind = kind;
  return cdl_hub_resolve(name, &options, source);
}

const char *cdl_hub_source_folder(const cdl_hub_source *source)
{
  return source->folder;
}

const char *cdl_hub_source_name(const cdl_hub_source *source)
{
  return source->name;
}

const char *cdl_hub_source_commit(const cdl_hub_source *source)
{
  return source->name != NULL ? source->commit : NULL;
}

void cdl_hub_source_close(cdl_hub_source *source)
{
  if (source == NULL)
    return;
  free(source->folder);
  free(source->name);
  free(source);
}
