/* A folder of its own for each test, files in it, and failures that must name what they are
 * about. */
#ifndef CONDLORA_TESTS_UNIT_SCRATCH_H
#define CONDLORA_TESTS_UNIT_SCRATCH_H

#include <check.h>
#include <dirent.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "condlora/status.h"
#include "tests/run_suite.h"

static char scratch_folder[256];

/* In memory where there is such a file system: what the programs write they sync, and a busy disk
 * makes each of some thousand files wait. */
static inline const char *scratch_place(void)
{
  const char *place = getenv("TMPDIR");
  if (place != NULL && place[0] == '/' && access(place, W_OK | X_OK) == 0)
    return place;
  enum { LEAST = 1 << 29 }; /* bytes; containers often have 64 MiB there */
  struct statvfs facts;
  const bool roomy = access("/dev/shm", W_OK | X_OK) == 0 && statvfs("/dev/shm", &facts) == 0 &&
                     facts.f_bavail > LEAST / facts.f_frsize;
  return roomy ? "/dev/shm" : ".";
}

static inline void scratch_make(void)
{
  snprintf(scratch_folder, sizeof scratch_folder, "%s/condlora-test-XXXXXX", scratch_place());
  ck_assert_ptr_nonnull(mkdtemp(scratch_folder));
}

static inline int scratch_remove_one(const char *path, const struct stat *facts, int type,
                                     struct FTW *where)
{
  (void)facts;
  (void)type;
  (void)where;
  return remove(path);
}

static inline void scratch_remove(void)
{
  chmod(scratch_folder, 0700);
  nftw(scratch_folder, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A path in the folder; valid for the next seven calls. */
static inline const char *scratch_path(const char *name)
{
  static char path[8][768];
  static unsigned turn;
  char *place = path[turn++ % 8];
  snprintf(place, sizeof path[0], "%s/%s", scratch_folder, name);
  return place;
}

static inline size_t scratch_count_entries(void)
{
  DIR *stream = opendir(scratch_folder);
  ck_assert_ptr_nonnull(stream);
  size_t count = 0;
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
    count += entry->d_name[0] != '.';
  closedir(stream);
  return count;
}

static inline void scratch_put(const char *path, const void *bytes, size_t count)
{
  FILE *stream = fopen(path, "wb");
  ck_assert_ptr_nonnull(stream);
  ck_assert_uint_eq(fwrite(bytes, 1, count, stream), count);
  ck_assert_int_eq(fclose(stream), 0);
}

static inline void scratch_put_text(const char *path, const char *text)
{
  scratch_put(path, text, strlen(text));
}

/* The whole file, with a NUL after it, to be freed. */
static inline uint8_t *scratch_get(const char *path, size_t *count)
{
  FILE *stream = fopen(path, "rb");
  ck_assert_msg(stream != NULL, "%s", path);
  fseek(stream, 0, SEEK_END);
  *count = (size_t)ftell(stream);
  rewind(stream);
  uint8_t *content = malloc(*count + 1);
  ck_assert_ptr_nonnull(content);
  ck_assert_uint_eq(fread(content, 1, *count, stream), *count);
  content[*count] = 0;
  fclose(stream);
  return content;
}

static inline void expect_content(const char *path, const void *bytes, size_t count)
{
  size_t found;
  uint8_t *content = scratch_get(path, &found);
  ck_assert_uint_eq(found, count);
  ck_assert(count == 0 || memcmp(content, bytes, count) == 0);
  free(content);
}

static inline void expect_ok(cdl_status status)
{
  ck_assert_msg(status == CDL_STATUS_OK, "%s: %s", cdl_status_name(status), cdl_error_message());
}

static inline void expect_failure(cdl_status status, cdl_status expected, const char *path)
{
  ck_assert_msg(status == expected, "%s: %s", cdl_status_name(status),
                status == CDL_STATUS_OK ? "" : cdl_error_message());
  ck_assert_msg(strstr(cdl_error_message(), path) != NULL, "\"%s\" does not name %s",
                cdl_error_message(), path);
  ck_assert_ptr_null(strchr(cdl_error_message(), '\n'));
}

/* Runs tests that each have a folder. The list ends with NULL. */
static inline int scratch_run(const char *name, const TTest *const *tests)
{
  Suite *suite = suite_create(name);
  TCase *group = tcase_create(name);
  tcase_add_checked_fixture(group, scratch_make, scratch_remove);
  tcase_set_timeout(group, 60);
  for (; *tests != NULL; tests++)
    tcase_add_test(group, *tests);
  suite_add_tcase(suite, group);
  return run_suite(suite);
}

#endif
