#include "model/frozen/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/trust.h"
#include "condlora/log.h"

enum { VERSION = 1, IDENTITY_MOST = 4096 };
#define MAGIC "cdlstate"
#define ENTRY_MAGIC UINT32_C(0x74617473) /* "stat" */

/* The start of a file; the identity follows. */
typedef struct {
  char magic[8];
  uint32_t version, identity_bytes;
  uint64_t checksum; /* of the identity */
} file_head;

/* The start of an entry; its data follow. */
typedef struct {
  uint32_t magic, tokens;
  uint64_t hash, bytes, checksum; /* the last two are of the data */
} entry_head;

_Static_assert(sizeof(entry_head) == FROZEN_FILE_ENTRY_BYTES, "docs/files.md gives its size");

struct frozen_file {
  char *path, *identity;
  int descriptor;
  uint64_t end; /* of the entries that are known */
  frozen_file_found *found;
  void *user;
  bool closed_to_writes, told; /* a notice was given */
};

/* One notice is enough: what follows it has the same cause. */
static void tell(frozen_file *f, const char *what)
{
  if (!f->told)
    cdl_log(CDL_LOG_NOTICE, "%s: %s", f->path, what);
  f->told = true;
}

/* ---- Locking ---- */

static bool lock_call(int descriptor, short type)
{
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
  return fcntl(descriptor, F_OFD_SETLK, &lock) == 0;
}

/* Others hold the lock for an append. One that is stopped in the middle is not waited for. */
static bool lock(int descriptor)
{
  enum { TRIES = 200 };
  for (int i = 0; i < TRIES; i++) {
    if (lock_call(descriptor, F_WRLCK))
      return true;
    if (errno != EAGAIN && errno != EACCES && errno != EINTR)
      return false;
    const struct timespec millisecond = {.tv_nsec = 1000000};
    nanosleep(&millisecond, NULL);
  }
  errno = EBUSY;
  return false;
}

void frozen_file_unlock(frozen_file *f)
{
  (void)lock_call(f->descriptor, F_UNLCK);
}

/* ---- Reading and writing ---- */

static bool read_at(int descriptor, uint64_t offset, void *data, size_t bytes)
{
  for (size_t done = 0; done < bytes;) {
    const ssize_t got =
        pread(descriptor, (char *)data + done, bytes - done, (off_t)(offset + done));
    if (got == 0 || (got < 0 && errno != EINTR))
      return false;
    done += got > 0 ? (size_t)got : 0;
  }
  return true;
}

/* Writes `head` and what follows it. */
static bool write_at(int descriptor, uint64_t offset, const void *head, size_t head_bytes,
                     const void *data, size_t bytes)
{
  const size_t all = head_bytes + bytes;
  for (size_t done = 0; done < all;) {
    const size_t of_head = done < head_bytes ? done : head_bytes, of_data = done - of_head;
    const struct iovec parts[] = {
        {(char *)(uintptr_t)head + of_head, head_bytes - of_head},
        {(char *)(uintptr_t)data + of_data, bytes - of_data},
    };
    const ssize_t put = pwritev(descriptor, parts, 2, (off_t)(offset + done));
    if (put < 0 && errno != EINTR)
      return false;
    done += put > 0 ? (size_t)put : 0;
  }
  return true;
}

static uint64_t size_of(int descriptor)
{
  struct stat facts;
  return fstat(descriptor, &facts) == 0 ? (uint64_t)facts.st_size : 0;
}

static uint64_t checksum(uint32_t tokens, uint64_t hash, const void *data, size_t bytes)
{
  return base_hash_words(base_hash_words(hash, &tokens, sizeof tokens), data, bytes);
}

/* Takes over the entries from f->end on. A part of an entry at the end is cut off by the next
 * append. Returns false if something else than entries is there. */
static bool scan(frozen_file *f)
{
  const uint64_t size = size_of(f->descriptor);
  entry_head head;
  if (size < f->end)
    return false;
  while (size - f->end >= sizeof head) {
    if (!read_at(f->descriptor, f->end, &head, sizeof head) || head.magic != ENTRY_MAGIC)
      return false;
    if (head.bytes > size - f->end - sizeof head)
      return true;
    const frozen_file_entry entry = {.hash = head.hash, .offset = f->end, .tokens = head.tokens};
    if (!f->found(f->user, &entry, head.bytes))
      return false;
    f->end += sizeof head + head.bytes;
  }
  return true;
}

/* ---- Opening ---- */

static bool begin_file(frozen_file *f)
{
  const size_t bytes = strlen(f->identity);
  file_head head = {.version = VERSION,
                    .identity_bytes = (uint32_t)bytes,
                    .checksum = base_hash_words(BASE_FNV_START, f->identity, bytes)};
  memcpy(head.magic, MAGIC, sizeof head.magic);
  f->end = sizeof head + bytes;
  return ftruncate(f->descriptor, 0) == 0 &&
         write_at(f->descriptor, 0, &head, sizeof head, f->identity, bytes);
}

/* Says what is wrong with the start of a file; NULL if nothing is. */
static const char *fault_of_start(frozen_file *f)
{
  char identity[IDENTITY_MOST];
  file_head head;
  if (!read_at(f->descriptor, 0, &head, sizeof head) ||
      memcmp(head.magic, MAGIC, sizeof head.magic) != 0)
    return "it is no file of states";
  if (head.version != VERSION)
    return "another version of condlora made it";
  if (head.identity_bytes > sizeof identity ||
      !read_at(f->descriptor, sizeof head, identity, head.identity_bytes) ||
      base_hash_words(BASE_FNV_START, identity, head.identity_bytes) != head.checksum)
    return "it is damaged";
  if (head.identity_bytes != strlen(f->identity) ||
      memcmp(identity, f->identity, head.identity_bytes) != 0)
    return "it is of another model";
  f->end = sizeof head + head.identity_bytes;
  return NULL;
}

static bool is_there(const frozen_file *f)
{
  struct stat opened, named;
  return fstat(f->descriptor, &opened) == 0 && lstat(f->path, &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* Opens the file and locks it. Another process may have replaced it in between; then another try
 * opens the new one. Returns NULL, or why it failed. */
static const char *open_locked(frozen_file *f, char reason[BASE_DISTRUST_BYTES])
{
  enum { TRIES = 10 };
  char resolved[PATH_MAX];
  for (int i = 0; i < TRIES; i++) {
    if (f->descriptor >= 0)
      close(f->descriptor);
    f->descriptor =
        open(f->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
    if (f->descriptor < 0)
      return strerror(errno);
    if (!base_trust(f->path, resolved, reason))
      return reason;
    if (!lock(f->descriptor))
      return strerror(errno);
    if (is_there(f))
      return NULL;
  }
  return "other processes replace it again and again";
}

/* Reads what the file holds. Returns NULL, or what is wrong with it. */
static const char *read_file(frozen_file *f)
{
  if (size_of(f->descriptor) == 0)
    return begin_file(f) ? NULL : strerror(errno);
  const char *fault = fault_of_start(f);
  if (fault != NULL)
    return fault;
  return scan(f) ? NULL : "it is damaged";
}

static void destroy(frozen_file *f)
{
  if (f->descriptor >= 0)
    close(f->descriptor);
  free(f->path);
  free(f->identity);
  free(f);
}

frozen_file *frozen_file_open(const char *path, const char *identity, frozen_file_found *found,
                              void *user)
{
  frozen_file *f = calloc(1, sizeof *f);
  if (f == NULL)
    return NULL;
  *f = (frozen_file){.path = strdup(path),
                     .identity = strdup(identity),
                     .descriptor = -1,
                     .found = found,
                     .user = user};
  char reason[BASE_DISTRUST_BYTES];
  const char *fault = f->path == NULL || f->identity == NULL ? strerror(ENOMEM) : NULL;
  for (int replaced = 0; fault == NULL && replaced < 2; replaced++) {
    const char *failed = open_locked(f, reason);
    const char *wrong = failed == NULL ? read_file(f) : NULL;
    if (failed == NULL && wrong == NULL) {
      (void)futimens(f->descriptor, NULL); /* it was used */
      frozen_file_unlock(f);
      return f;
    }
    if (failed != NULL || replaced > 0 || unlink(path) != 0) {
      fault = failed != NULL ? failed : wrong;
      break;
    }
    /* Whoever has the old one open keeps it. */
    cdl_log(CDL_LOG_NOTICE, "%s: %s; it is made anew", path, wrong);
  }
  cdl_log(CDL_LOG_NOTICE, "%s: not used for states of frozen layers: %s", path, fault);
  destroy(f);
  return NULL;
}

void frozen_file_close(frozen_file *f)
{
  if (f != NULL)
    destroy(f);
}

uint64_t frozen_file_bytes(const frozen_file *f)
{
  return f->end;
}

/* ---- Entries ---- */

bool frozen_file_read(frozen_file *f, const frozen_file_entry *entry, void *data, size_t bytes)
{
  entry_head head;
  const bool same = read_at(f->descriptor, entry->offset, &head, sizeof head) &&
                    head.magic == ENTRY_MAGIC && head.bytes == bytes &&
                    read_at(f->descriptor, entry->offset + sizeof head, data, bytes) &&
                    checksum(entry->tokens, entry->hash, data, bytes) == head.checksum;
  if (!same)
    tell(f, "damaged states are not used but computed");
  return same;
}

bool frozen_file_lock(frozen_file *f)
{
  if (f->closed_to_writes || !lock(f->descriptor))
    return false;
  if (scan(f))
    return true;
  tell(f, "it is damaged; no more states are written to it");
  f->closed_to_writes = true;
  frozen_file_unlock(f);
  return false;
}

bool frozen_file_append(frozen_file *f, frozen_file_entry *entry, const void *data, size_t bytes)
{
  const entry_head head = {.magic = ENTRY_MAGIC,
                           .tokens = entry->tokens,
                           .hash = entry->hash,
                           .bytes = bytes,
                           .checksum = checksum(entry->tokens, entry->hash, data, bytes)};
  if (ftruncate(f->descriptor, (off_t)f->end) == 0 &&
      write_at(f->descriptor, f->end, &head, sizeof head, data, bytes)) {
    entry->offset = f->end;
    f->end += sizeof head + bytes;
    return true;
  }
  cdl_log(CDL_LOG_NOTICE, "%s: no more states are written to it: %s", f->path, strerror(errno));
  f->closed_to_writes = true;
  (void)!ftruncate(f->descriptor, (off_t)f->end);
  return false;
}
