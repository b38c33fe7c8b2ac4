#include "base/trust.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/place.h"

enum { FOLDERS_MAX = PATH_MAX / 2, LINKS_MAX = 40, NAMES_BYTES = 16384 };

typedef struct {
  dev_t device;
  ino_t inode;
} identity;

typedef struct {
  uid_t owner; /* of the program; root if it is unknown */
  size_t above;
  identity folders[FOLDERS_MAX]; /* [above] the folders that contain the program */
  char at[PATH_MAX];             /* the folder reached so far, without links; "": the root */
  char rest[2 * PATH_MAX];       /* the rest of the path */
  int links;
  char *reason;
} walk;

__attribute__((format(printf, 2, 3))) static bool refuse(walk *w, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(w->reason, BASE_DISTRUST_BYTES, format, arguments);
  va_end(arguments);
  return false;
}

/* ---- Who ---- */

static void find_program(walk *w)
{
  char file[PATH_MAX];
  struct stat facts;
  bool program;
  if (!base_own_file(file, &program) || stat(file, &facts) != 0)
    return;
  w->owner = facts.st_uid;
  for (char *slash; (slash = strrchr(file, '/')) != NULL && w->above < FOLDERS_MAX;) {
    *slash = '\0';
    if (stat(file[0] != '\0' ? file : "/", &facts) == 0)
      w->folders[w->above++] = (identity){facts.st_dev, facts.st_ino};
  }
}

static bool is_above_program(const walk *w, const struct stat *facts)
{
  for (size_t i = 0; i < w->above; i++)
    if (w->folders[i].device == facts->st_dev && w->folders[i].inode == facts->st_ino)
      return true;
  return false;
}

static bool is_trusted(const walk *w, uid_t user)
{
  return user == 0 || user == geteuid() || user == w->owner;
}

/* Returns whether the group has only this user. If no user list has them, as in many containers,
 * equal numbers count. */
static bool is_own_group(uid_t user, gid_t number)
{
  char user_names[NAMES_BYTES], group_names[NAMES_BYTES];
  struct passwd owner, *found_owner = NULL;
  struct group group, *found_group = NULL;
  (void)getpwuid_r(user, &owner, user_names, sizeof user_names, &found_owner);
  (void)getgrgid_r(number, &group, group_names, sizeof group_names, &found_group);
  if (found_owner == NULL && found_group == NULL)
    return user == number;
  if (found_owner == NULL || found_group == NULL || owner.pw_gid != number ||
      strcmp(owner.pw_name, group.gr_name) != 0)
    return false;
  for (char **member = group.gr_mem; *member != NULL; member++)
    if (strcmp(*member, owner.pw_name) != 0)
      return false;
  return true;
}

/* ---- One file, folder or link ---- */

static bool check_owner(walk *w, const char *what, const struct stat *facts)
{
  return is_trusted(w, facts->st_uid) ||
         refuse(w,
                "%s belongs to user %lu, who is neither root, nor this user, nor the owner of the "
                "program",
                what, (unsigned long)facts->st_uid);
}

static bool check_writers(walk *w, const char *path, const char *what, const struct stat *facts)
{
  const unsigned mode = facts->st_mode & 07777;
  if ((mode & S_IWOTH) != 0)
    return refuse(w, "%s may be written to by others (mode %04o)", what, mode);
  if ((mode & S_IWGRP) == 0)
    return true;
  /* The group's bits are then the most that any entry of the list grants. */
  if (lgetxattr(path, "system.posix_acl_access", NULL, 0) > 0)
    return refuse(w, "%s may be written to by those in its access control list", what);
  return is_own_group(facts->st_uid, facts->st_gid) ||
         refuse(w, "%s may be written to by group %lu (mode %04o)", what,
                (unsigned long)facts->st_gid, mode);
}

static bool check_folder(walk *w, const struct stat *facts, bool holds_file)
{
  const char *folder = w->at[0] != '\0' ? w->at : "/";
  if ((holds_file || !is_above_program(w, facts)) && !check_owner(w, folder, facts))
    return false;
  return (facts->st_mode & S_ISVTX) != 0 || check_writers(w, folder, folder, facts);
}

/* ---- The way to it ---- */

/* Replaces the rest of the path by the target of the link `path`, in the folder w->at, followed by
 * `after`. */
static bool follow(walk *w, const char *path, const char *after)
{
  char target[PATH_MAX];
  const ssize_t length = readlink(path, target, sizeof target);
  if (++w->links > LINKS_MAX || length <= 0 || length == sizeof target)
    return refuse(w, "the link %s leads nowhere", path);
  char rest[sizeof w->rest];
  if (snprintf(rest, sizeof rest, "%.*s%s", (int)length, target, after) >= (int)sizeof rest)
    return refuse(w, "its path is too long");
  strcpy(w->rest, rest);
  if (target[0] == '/')
    w->at[0] = '\0';
  return true;
}

/* Goes to the next name of w->rest. Returns true at the file if it is trusted; otherwise *go_on
 * says whether there is more. */
static bool step(walk *w, bool *go_on)
{
  const char *name = w->rest + strspn(w->rest, "/"), *after = name + strcspn(name, "/");
  const size_t length = (size_t)(after - name);
  char path[2 * PATH_MAX];
  struct stat folder, facts;
  *go_on = false;
  if (length == 0)
    return refuse(w, "not a file");
  if (snprintf(path, sizeof path, "%s/%.*s", w->at, (int)length, name) >= PATH_MAX)
    return refuse(w, "its path is too long");
  if (length == 2 && strncmp(name, "..", 2) == 0) { /* in a folder without links */
    char *slash = strrchr(w->at, '/');
    if (slash != NULL)
      *slash = '\0';
    *go_on = true;
  } else if (length == 1 && name[0] == '.') {
    *go_on = true;
  } else if (lstat(w->at[0] != '\0' ? w->at : "/", &folder) != 0 || lstat(path, &facts) != 0) {
    return refuse(w, "%s: %s", path, strerror(errno));
  } else if (S_ISLNK(facts.st_mode)) {
    *go_on =
        check_folder(w, &folder, false) && check_owner(w, path, &facts) && follow(w, path, after);
    return false;
  } else if (S_ISDIR(facts.st_mode)) {
    *go_on = check_folder(w, &folder, false);
    strcpy(w->at, path);
  } else {
    if (!S_ISREG(facts.st_mode) || after[0] != '\0')
      return refuse(w, "not a file");
    const bool taken = check_folder(w, &folder, true) && check_owner(w, "it", &facts) &&
                       check_writers(w, path, "it", &facts);
    strcpy(w->at, path);
    return taken;
  }
  memmove(w->rest, after, strlen(after) + 1);
  return false;
}

bool base_trust(const char *path, char resolved[PATH_MAX], char reason[BASE_DISTRUST_BYTES])
{
  char folder[PATH_MAX] = "";
  walk *w = calloc(1, sizeof *w);
  reason[0] = '\0';
  if (w == NULL) {
    snprintf(reason, BASE_DISTRUST_BYTES, "out of memory");
    return false;
  }
  w->reason = reason;
  find_program(w);
  bool taken = false, go_on = true;
  if ((path[0] != '/' && getcwd(folder, sizeof folder) == NULL) ||
      snprintf(w->rest, sizeof w->rest, "%s/%s", folder, path) >= (int)sizeof w->rest)
    go_on = refuse(w, "its path is too long");
  while (go_on)
    taken = step(w, &go_on);
  if (taken)
    memcpy(resolved, w->at, PATH_MAX);
  free(w);
  return taken;
}
