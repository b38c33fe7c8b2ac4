#include "model/hub/download.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/path.h"
#include "base/temporary.h"

enum { CHUNK = 1 << 18 };

static cdl_status failed(const char *path)
{
  return cdl_fail(CDL_STATUS_IO, "%s: %s", path, strerror(errno));
}

cdl_status hub_download_begin(hub_download *download, const hub_cache *cache, const char *commit,
                              const char *file, const char *hash, uint64_t size)
{
  hub_download *d = download;
  *d = (hub_download){.cache = cache, .commit = commit, .size = size, .lock = -1, .descriptor = -1};
  snprintf(d->file, sizeof d->file, "%s", file);
  snprintf(d->hash, sizeof d->hash, "%s", hash);
  CDL_TRY(hub_cache_blob(cache, hash, &d->blob));
  if (asprintf(&d->incomplete, "%s.incomplete", d->blob) >= 0)
    return CDL_STATUS_OK;
  d->incomplete = NULL;
  return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", d->blob);
}

/* Another process may go on at once. */
static void close_files(hub_download *d)
{
  if (d->descriptor >= 0)
    close(d->descriptor);
  if (d->lock >= 0)
    close(d->lock);
  d->descriptor = d->lock = -1;
}

void hub_download_release(hub_download *download)
{
  close_files(download);
  free(download->blob);
  free(download->incomplete);
  *download = (hub_download){.lock = -1, .descriptor = -1};
}

/* ---- Beginning ---- */

/* A file system that does not say how much room it has is no error. */
static cdl_status check_room(const hub_download *d)
{
  struct statvfs facts;
  if (fstatvfs(d->descriptor, &facts) != 0 || facts.f_blocks == 0)
    return CDL_STATUS_OK;
  const uint64_t room = (uint64_t)facts.f_bavail * facts.f_frsize;
  if (d->size - d->bytes <= room)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_IO,
                  "%s: the disk has room for %" PRIu64 " MB, %s has %" PRIu64
                  " MB more (HF_HUB_CACHE names another place)",
                  d->incomplete, room / 1000000, d->file, (d->size - d->bytes) / 1000000);
}

/* Hashes what is there. */
static cdl_status read_old(hub_download *d)
{
  char *chunk = malloc(CHUNK);
  if (chunk == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", d->incomplete);
  cdl_status status = CDL_STATUS_OK;
  for (uint64_t at = 0; at < d->bytes && status == CDL_STATUS_OK;) {
    const ssize_t count = pread(d->descriptor, chunk, CHUNK, (off_t)at);
    if (count <= 0) {
      status = failed(d->incomplete);
      break;
    }
    base_sha_add(&d->digest, chunk, (size_t)count);
    at += (uint64_t)count;
  }
  free(chunk);
  return status;
}

cdl_status hub_download_restart(hub_download *download)
{
  hub_download *d = download;
  if (ftruncate(d->descriptor, 0) != 0)
    return failed(d->incomplete);
  d->bytes = 0;
  d->is_old = false;
  hub_digest_begin(&d->digest, d->hash, d->size);
  return CDL_STATUS_OK;
}

static cdl_status open_incomplete(hub_download *d)
{
  struct stat facts;
  CDL_TRY(hub_cache_make_parent(d->incomplete));
  d->descriptor = open(d->incomplete, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (d->descriptor < 0 || fstat(d->descriptor, &facts) != 0)
    return failed(d->incomplete);
  d->bytes = (uint64_t)facts.st_size;
  if (!S_ISREG(facts.st_mode))
    return cdl_fail(CDL_STATUS_IO, "%s: is no file", d->incomplete);
  if (d->bytes > d->size)
    CDL_TRY(hub_download_restart(d));
  CDL_TRY(check_room(d));
  d->is_old = d->bytes > 0;
  hub_digest_begin(&d->digest, d->hash, d->size);
  return read_old(d);
}

/* ---- Ending ---- */

static cdl_status put_in_place(hub_download *d)
{
  if (base_sync_file(d->descriptor) != 0 || rename(d->incomplete, d->blob) != 0)
    return failed(d->incomplete);
  return hub_cache_link(d->cache, d->commit, d->file, d->hash);
}

/* Old bytes may be those of another writer that did not write in order: once they are thrown
 * away. */
static cdl_status end(hub_download *d, hub_download_state *state)
{
  const bool is_right = hub_digest_is(&d->digest, d->hash);
  *state = HUB_DOWNLOAD_WANTED;
  if (!is_right && d->is_old)
    return hub_download_restart(d);
  if (!is_right) {
    (void)unlink(d->incomplete);
    return cdl_fail(CDL_STATUS_DATA, "%s: %" PRIu64 " bytes came that do not have the hash %s",
                    d->file, d->bytes, d->hash);
  }
  CDL_TRY(put_in_place(d));
  close_files(d);
  *state = HUB_DOWNLOAD_DONE;
  return CDL_STATUS_OK;
}

static cdl_status take_blob(hub_download *d, hub_download_state *state)
{
  CDL_TRY(hub_cache_link(d->cache, d->commit, d->file, d->hash));
  d->bytes = d->size;
  close_files(d);
  *state = HUB_DOWNLOAD_DONE;
  return CDL_STATUS_OK;
}

cdl_status hub_download_prepare(hub_download *download, hub_download_state *state)
{
  hub_download *d = download;
  *state = HUB_DOWNLOAD_BUSY;
  if (d->lock < 0)
    CDL_TRY(hub_cache_lock(d->cache, d->hash, &d->lock));
  if (d->lock < 0)
    return CDL_STATUS_OK;
  if (d->descriptor < 0 && base_file_exists(d->blob))
    return take_blob(d, state);
  if (d->descriptor < 0)
    CDL_TRY(open_incomplete(d));
  if (d->bytes == d->size)
    return end(d, state);
  *state = HUB_DOWNLOAD_WANTED;
  return CDL_STATUS_OK;
}

bool hub_download_write(hub_download *download, const void *bytes, size_t count)
{
  hub_download *d = download;
  const char *from = bytes;
  if (count > d->size - d->bytes) {
    d->status =
        cdl_fail(CDL_STATUS_DATA, "%s: more than the %" PRIu64 " bytes come that the hub has said",
                 d->file, d->size);
    return false;
  }
  for (size_t done = 0; done < count;) {
    const ssize_t some = pwrite(d->descriptor, from + done, count - done, (off_t)(d->bytes + done));
    if (some <= 0 && errno != EINTR) {
      d->status = failed(d->incomplete);
      return false;
    }
    done += some > 0 ? (size_t)some : 0;
  }
  d->bytes += count;
  base_sha_add(&d->digest, bytes, count);
  return true;
}
