/* Preloaded into a program: lists its calls into the system, or lets one of them fail.
 *
 *   SHIM_LIST=FILE [SHIM_DEPTH=n]        a line for each call whose way there is new:
 *                                        KIND NUMBER WAY OBJECT,OBJECT… (of the stack's frames);
 *                                        the same way is the same WAY in every run
 *   SHIM_FAIL=KIND:NUMBER:ERROR[:on]     the call of this number fails with this errno, and with
 *                                        ":on" all that follow it; ERROR "short": a write writes
 *                                        a part of its bytes
 *
 * The way to a call is its innermost SHIM_DEPTH frames in the program itself, and whatever lies
 * inside them; all frames without SHIM_DEPTH. Calls are counted by kind, over all threads. */
/* Both names of each call are given here. */
#undef _FILE_OFFSET_BITS
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

typedef enum {
  ALLOC,
  OPEN,
  READ,
  WRITE,
  FLUSH,
  SYNC,
  CLOSE,
  RENAME,
  UNLINK,
  MKDIR,
  STAT,
  MMAP,
  TRUNCATE,
  LOCK,
  THREAD,
  KINDS
} kind;
static const char *const kind_names[KINDS] = {"alloc", "open",  "read",     "write",  "flush",
                                              "sync",  "close", "rename",   "unlink", "mkdir",
                                              "stat",  "mmap",  "truncate", "lock",   "thread"};
enum { FRAMES = 96, SEEN = 1 << 17, NOT_FAILING = 0, SHORT = -1 };

static bool ready;
static __thread bool inside;
static uint64_t counts[KINDS], seen[SEEN];
static int list_file = -1, depth = FRAMES;
static kind failing = KINDS;
static uint64_t failing_number;
static int failing_error;
static bool failing_on;
static uintptr_t program_begin, program_end;

/* ---- What is known of the program ---- */

static int find_program(struct dl_phdr_info *info, size_t size, void *user)
{
  (void)size, (void)user;
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
      program_begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
      program_end = program_begin + info->dlpi_phdr[i].p_memsz;
    }
  return 1; /* the program comes first */
}

static void read_failure(const char *text)
{
  char name[16], error[16], on[4] = "";
  unsigned long long number;
  if (sscanf(text, "%15[^:]:%llu:%15[^:]:%3s", name, &number, error, on) < 3)
    return;
  for (int k = 0; k < KINDS; k++)
    if (strcmp(kind_names[k], name) == 0)
      failing = (kind)k;
  failing_number = number;
  failing_error = strcmp(error, "short") == 0 ? SHORT : atoi(error);
  failing_on = on[0] != '\0';
}

__attribute__((constructor)) static void begin(void)
{
  void *frames[4];
  inside = true;
  backtrace(frames, 4); /* loads what it needs */
  dl_iterate_phdr(find_program, NULL);
  const char *list = getenv("SHIM_LIST"), *fail = getenv("SHIM_FAIL"), *far = getenv("SHIM_DEPTH");
  if (far != NULL)
    depth = atoi(far);
  if (list != NULL) {
    const long file =
        syscall(SYS_openat, AT_FDCWD, list, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    list_file = fcntl((int)file, F_DUPFD_CLOEXEC, 200);
    syscall(SYS_close, file);
  }
  if (fail != NULL)
    read_failure(fail);
  inside = false;
  ready = true;
}

/* ---- A call ---- */

/* How many frames the way has. */
static int way_length(void *const *frames, int count)
{
  int own = 0, i = 0;
  for (; i < count && own < depth; i++)
    own += (uintptr_t)frames[i] >= program_begin && (uintptr_t)frames[i] < program_end;
  return i;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

static bool is_new(uint64_t way)
{
  for (size_t slot = way % SEEN;; slot = (slot + 1) % SEEN) {
    if (seen[slot] == way)
      return false;
    if (seen[slot] == 0) {
      seen[slot] = way;
      return true;
    }
  }
}

static void list_call(kind k, uint64_t number, void *const *frames, int count, int length)
{
  char line[1024];
  const char *before = "";
  Dl_info info;
  uint64_t way = k;
  for (int i = 0; i < length; i++)
    way = mix(way,
              dladdr(frames[i], &info) != 0 ? (uintptr_t)frames[i] - (uintptr_t)info.dli_fbase : 0);
  int used = snprintf(line, sizeof line, "%s %llu %016llx ", kind_names[k],
                      (unsigned long long)number, (unsigned long long)way);
  for (int i = 0; i < count && used < 900; i++) {
    if (dladdr(frames[i], &info) == 0 || info.dli_fname == NULL)
      continue;
    const char *slash = strrchr(info.dli_fname, '/');
    const char *name = slash != NULL ? slash + 1 : info.dli_fname;
    if (strcmp(name, before) != 0)
      used += snprintf(line + used, sizeof line - (size_t)used, "%.60s,", name);
    before = name;
  }
  line[used++] = '\n';
  syscall(SYS_write, list_file, line, used);
}

/* NOT_FAILING, SHORT or an errno. */
static int fate(kind k)
{
  if (!ready || inside)
    return NOT_FAILING;
  inside = true;
  const int error = errno;
  const uint64_t number = __atomic_add_fetch(&counts[k], 1, __ATOMIC_SEQ_CST);
  if (list_file >= 0) {
    void *frames[FRAMES];
    const int count = backtrace(frames, FRAMES) - 2, length = way_length(frames + 2, count);
    uint64_t way = (uint64_t)k;
    for (int i = 0; i < length; i++)
      way = mix(way, (uintptr_t)frames[i + 2]);
    if (is_new(way | 1))
      list_call(k, number, frames + 2, count, length);
  }
  errno = error;
  inside = false;
  const bool now =
      k == failing && (failing_on ? number >= failing_number : number == failing_number);
  return now ? failing_error : NOT_FAILING;
}

static bool fails(kind k)
{
  const int error = fate(k);
  if (error > 0)
    errno = error;
  return error > 0;
}

/* The function that the program would have called. */
static void *next(const char *name)
{
  const bool before = inside;
  inside = true;
  void *found = dlsym(RTLD_NEXT, name);
  inside = before;
  return found;
}
#define NEXT(name, result, ...)              \
  static result (*next_##name)(__VA_ARGS__); \
  if (next_##name == NULL)                   \
  *(void **)(void *)&next_##name = next(#name)

/* ---- Memory ---- */

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *at, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

SHOWN void *malloc(size_t bytes)
{
  return fails(ALLOC) ? NULL : __libc_malloc(bytes);
}

SHOWN void *calloc(size_t count, size_t bytes)
{
  return fails(ALLOC) ? NULL : __libc_calloc(count, bytes);
}

SHOWN void *realloc(void *at, size_t bytes)
{
  return fails(ALLOC) ? NULL : __libc_realloc(at, bytes);
}

SHOWN void *memalign(size_t alignment, size_t bytes)
{
  return fails(ALLOC) ? NULL : __libc_memalign(alignment, bytes);
}

SHOWN void *aligned_alloc(size_t alignment, size_t bytes)
{
  return fails(ALLOC) ? NULL : __libc_memalign(alignment, bytes);
}

SHOWN int posix_memalign(void **at, size_t alignment, size_t bytes)
{
  const int error = fate(ALLOC);
  if (error != NOT_FAILING)
    return error;
  *at = __libc_memalign(alignment, bytes);
  return *at != NULL ? 0 : ENOMEM;
}

SHOWN void *mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset)
{
  if (fails(MMAP))
    return MAP_FAILED;
  return (void *)syscall(SYS_mmap, at, bytes, protection, flags, file, offset);
}

SHOWN void *mmap64(void *at, size_t bytes, int protection, int flags, int file, off_t offset)
{
  return mmap(at, bytes, protection, flags, file, offset);
}

/* ---- Files ---- */

static int open_at(int folder, const char *path, int flags, mode_t mode)
{
  return fails(OPEN) ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define MODE_OF(flags, mode)                    \
  mode_t mode = 0;                              \
  if (((flags) & (O_CREAT | O_TMPFILE)) != 0) { \
    va_list more;                               \
    va_start(more, flags);                      \
    mode = (mode_t)va_arg(more, int);           \
    va_end(more);                               \
  }

SHOWN int open(const char *path, int flags, ...)
{
  MODE_OF(flags, mode)
  return open_at(AT_FDCWD, path, flags, mode);
}

SHOWN int open64(const char *path, int flags, ...)
{
  MODE_OF(flags, mode)
  return open_at(AT_FDCWD, path, flags, mode);
}

SHOWN int openat(int folder, const char *path, int flags, ...)
{
  MODE_OF(flags, mode)
  return open_at(folder, path, flags, mode);
}

SHOWN int openat64(int folder, const char *path, int flags, ...)
{
  MODE_OF(flags, mode)
  return open_at(folder, path, flags, mode);
}

SHOWN FILE *fopen(const char *path, const char *mode)
{
  NEXT(fopen, FILE *, const char *, const char *);
  return fails(OPEN) ? NULL : next_fopen(path, mode);
}

SHOWN FILE *fopen64(const char *path, const char *mode)
{
  return fopen(path, mode);
}

SHOWN DIR *opendir(const char *path)
{
  NEXT(opendir, DIR *, const char *);
  return fails(OPEN) ? NULL : next_opendir(path);
}

SHOWN ssize_t read(int file, void *bytes, size_t count)
{
  return fails(READ) ? -1 : syscall(SYS_read, file, bytes, count);
}

SHOWN ssize_t write(int file, const void *bytes, size_t count)
{
  const int error = fate(WRITE);
  if (error == SHORT)
    count = count > 1 ? count / 2 : count;
  else if (error != NOT_FAILING) {
    errno = error;
    return -1;
  }
  return syscall(SYS_write, file, bytes, count);
}

SHOWN int fflush(FILE *file)
{
  NEXT(fflush, int, FILE *);
  return file != stderr && fails(FLUSH) ? EOF : next_fflush(file);
}

SHOWN int fsync(int file)
{
  return fails(SYNC) ? -1 : (int)syscall(SYS_fsync, file);
}

SHOWN int close(int file)
{
  const bool failed = fails(CLOSE);
  const int error = errno, result = (int)syscall(SYS_close, file);
  if (!failed)
    return result;
  errno = error;
  return -1;
}

SHOWN int rename(const char *from, const char *to)
{
  return fails(RENAME) ? -1 : (int)syscall(SYS_rename, from, to);
}

SHOWN int renameat2(int folder, const char *from, int other, const char *to, unsigned flags)
{
  return fails(RENAME) ? -1 : (int)syscall(SYS_renameat2, folder, from, other, to, flags);
}

SHOWN int unlink(const char *path)
{
  return fails(UNLINK) ? -1 : (int)syscall(SYS_unlink, path);
}

SHOWN int unlinkat(int folder, const char *path, int flags)
{
  return fails(UNLINK) ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
}

SHOWN int rmdir(const char *path)
{
  return fails(UNLINK) ? -1 : (int)syscall(SYS_rmdir, path);
}

SHOWN int mkdir(const char *path, mode_t mode)
{
  return fails(MKDIR) ? -1 : (int)syscall(SYS_mkdir, path, mode);
}

SHOWN int ftruncate(int file, off_t length)
{
  return fails(TRUNCATE) ? -1 : (int)syscall(SYS_ftruncate, file, length);
}

SHOWN int ftruncate64(int file, off_t length)
{
  return ftruncate(file, length);
}

SHOWN int flock(int file, int operation)
{
  return fails(LOCK) ? -1 : (int)syscall(SYS_flock, file, operation);
}

static int stat_at(int folder, const char *path, struct stat *facts, int flags)
{
  return fails(STAT) ? -1 : (int)syscall(SYS_newfstatat, folder, path, facts, flags);
}

SHOWN int stat(const char *path, struct stat *facts)
{
  return stat_at(AT_FDCWD, path, facts, 0);
}

SHOWN int lstat(const char *path, struct stat *facts)
{
  return stat_at(AT_FDCWD, path, facts, AT_SYMLINK_NOFOLLOW);
}

SHOWN int fstat(int file, struct stat *facts)
{
  return stat_at(file, "", facts, AT_EMPTY_PATH);
}

SHOWN int fstatat(int folder, const char *path, struct stat *facts, int flags)
{
  return stat_at(folder, path, facts, flags);
}

#ifdef __USE_LARGEFILE64
SHOWN int stat64(const char *path, struct stat64 *facts)
{
  return stat_at(AT_FDCWD, path, (struct stat *)facts, 0);
}

SHOWN int lstat64(const char *path, struct stat64 *facts)
{
  return stat_at(AT_FDCWD, path, (struct stat *)facts, AT_SYMLINK_NOFOLLOW);
}

SHOWN int fstat64(int file, struct stat64 *facts)
{
  return stat_at(file, "", (struct stat *)facts, AT_EMPTY_PATH);
}

SHOWN int fstatat64(int folder, const char *path, struct stat64 *facts, int flags)
{
  return stat_at(folder, path, (struct stat *)facts, flags);
}
#endif

/* ---- Threads ---- */

SHOWN int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                         void *user)
{
  NEXT(pthread_create, int, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  const int error = fate(THREAD);
  return error != NOT_FAILING ? error : next_pthread_create(thread, attributes, run, user);
}
