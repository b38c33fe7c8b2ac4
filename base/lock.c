#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "condlora/log.h"

enum { OWNER_BYTES = 128 };

struct base_lock {
  char *folder, *path;
  int descriptor;
  bool made; /* the folder did not exist */
};

static cdl_status failed(const char *path)
{
  return cdl_fail(CDL_STATUS_IO, "%s: cannot be locked: %s", path, strerror(errno));
}

static cdl_status refuse(const char *folder, int descriptor)
{
  char owner[OWNER_BYTES + 1] = "", who[OWNER_BYTES + 8] = "";
  const ssize_t length = pread(descriptor, owner, OWNER_BYTES, 0);
  owner[length > 0 ? length : 0] = '\0';
  owner[strcspn(owner, "\n")] = '\0';
  if (owner[0] != '\0')
    snprintf(who, sizeof who, " (%s)", owner);
  return cdl_fail(CDL_STATUS_IO, "%s: another condlora%s is at work in this folder", folder, who);
}

static int lock_call(int descriptor, int command, struct flock *lock)
{
  /* The lock belongs to the open file, not to the process: closing another descriptor of the file
   * does not release it, and a second run in the same process is refused too. */
  *lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
  return fcntl(descriptor, command, lock);
}

cdl_status base_lock_check(const char *folder)
{
  char *path = base_path_join(folder, BASE_LOCK_NAME);
  if (path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  free(path);
  if (descriptor < 0)
    return CDL_STATUS_OK;
  struct flock lock;
  cdl_status status = CDL_STATUS_OK;
  if (lock_call(descriptor, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
    status = refuse(folder, descriptor);
  close(descriptor);
  return status;
}

/* Returns whether the name still means the open file: the process before may have removed it. */
static bool is_there(const base_lock *lock)
{
  struct stat opened, named;
  return fstat(lock->descriptor, &opened) == 0 && lstat(lock->path, &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

static void sign(const base_lock *lock)
{
  char host[64] = "an unnamed host", owner[OWNER_BYTES];
  if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0')
    strcpy(host, "an unnamed host");
  const int length = snprintf(owner, sizeof owner, "process %ld on %s\n", (long)getpid(), host);
  /* A full disk leaves the lock without its owner's name. */
  if (ftruncate(lock->descriptor, 0) == 0)
    (void)!pwrite(lock->descriptor, owner, (size_t)length, 0);
}

/* When the lock is taken, the file may be gone from the folder, because a process that ended in
 * between removed it. Then another try makes a new file. */
static cdl_status take(base_lock *lock)
{
  enum { TRIES = 100 };
  for (int i = 0; i < TRIES && (i == 0 || !is_there(lock)); i++) {
    struct flock how;
    if (lock->descriptor >= 0)
      close(lock->descriptor);
    lock->descriptor =
        open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (lock->descriptor < 0)
      return failed(lock->path);
    struct stat facts;
    if (fstat(lock->descriptor, &facts) == 0 && !S_ISREG(facts.st_mode))
      return cdl_fail(CDL_STATUS_IO, "%s: cannot be locked: it is no file", lock->path);
    if (lock_call(lock->descriptor, F_OFD_SETLK, &how) == 0)
      continue;
    if (errno == EAGAIN || errno == EACCES)
      return refuse(lock->folder, lock->descriptor);
    if (errno != ENOLCK && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
      return failed(lock->path);
    cdl_log(CDL_LOG_NOTICE,
            "%s: its file system has no locks (%s), so nothing keeps a second condlora out of it",
            lock->folder, strerror(errno));
    break;
  }
  sign(lock);
  return CDL_STATUS_OK;
}

static void destroy(base_lock *lock)
{
  if (lock->descriptor >= 0)
    close(lock->descriptor);
  if (lock->made && lock->folder != NULL)
    (void)rmdir(lock->folder);
  free(lock->folder);
  free(lock->path);
  free(lock);
}

cdl_status base_lock_take(const char *folder, base_lock **lock)
{
  *lock = NULL;
  base_lock *made = calloc(1, sizeof *made);
  if (made == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  made->descriptor = -1;
  made->folder = strdup(folder);
  made->path = base_path_join(folder, BASE_LOCK_NAME);
  if (made->folder == NULL || made->path == NULL) {
    destroy(made);
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  }
  const bool missing = !base_file_exists(folder);
  cdl_status status = base_folder_make(folder);
  if (status == CDL_STATUS_OK) {
    made->made = missing;
    status = take(made);
  }
  if (status == CDL_STATUS_OK)
    *lock = made;
  else
    destroy(made);
  return status;
}

void base_lock_release(base_lock *lock)
{
  if (lock == NULL)
    return;
  if (is_there(lock))
    (void)unlink(lock->path); /* while it is locked: no other process has it */
  destroy(lock);
}
