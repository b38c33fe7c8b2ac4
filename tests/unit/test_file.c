/* Files are written whole or not at all, whatever fails on the way. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/path.h"
#include "base/temporary.h"
#include "tests/unit/scratch.h"

START_TEST(maps_what_is_there)
{
  scratch_put(scratch_path("a"), "abc\0def", 7);
  base_mapping mapping;
  ck_assert_int_eq(base_file_map(scratch_path("a"), &mapping), CDL_STATUS_OK);
  ck_assert_uint_eq(mapping.size, 7);
  ck_assert_mem_eq(mapping.data, "abc\0def", 7);
  base_file_unmap(&mapping);
  ck_assert_uint_eq(mapping.size, 0);
  base_file_unmap(&mapping);
}
END_TEST

START_TEST(maps_an_empty_file)
{
  scratch_put(scratch_path("empty"), "", 0);
  base_mapping mapping;
  ck_assert_int_eq(base_file_map(scratch_path("empty"), &mapping), CDL_STATUS_OK);
  ck_assert_uint_eq(mapping.size, 0);
  ck_assert_ptr_nonnull(mapping.data);
  base_file_discard(&mapping, 0, 10);
  base_file_unmap(&mapping);
}
END_TEST

static void set_modified(const char *path, time_t seconds, long nanoseconds)
{
  const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {seconds, nanoseconds}};
  ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* In place: another size, or a later time. A rename leaves the mapped file as it is. */
START_TEST(a_mapping_knows_whether_its_file_was_written)
{
  char path[512];
  snprintf(path, sizeof path, "%s", scratch_path("a"));
  base_mapping mapping;
  scratch_put(path, "abcdefg", 7);
  set_modified(path, 1000, 5);
  ck_assert_int_eq(base_file_map(path, &mapping), CDL_STATUS_OK);
  ck_assert(base_file_unchanged(path, &mapping));
  set_modified(path, 1000, 6);
  ck_assert(!base_file_unchanged(path, &mapping));
  set_modified(path, 999, 5);
  ck_assert(!base_file_unchanged(path, &mapping));
  ck_assert_int_eq(truncate(path, 6), 0);
  set_modified(path, 1000, 5);
  ck_assert(!base_file_unchanged(path, &mapping));
  ck_assert_int_eq(truncate(path, 7), 0);
  set_modified(path, 1000, 5);
  ck_assert(base_file_unchanged(path, &mapping));

  scratch_put(scratch_path("b"), "another file", 12);
  ck_assert_int_eq(rename(scratch_path("b"), path), 0);
  ck_assert(base_file_unchanged(path, &mapping));
  ck_assert_int_eq(unlink(path), 0);
  ck_assert(base_file_unchanged(path, &mapping));
  base_file_unmap(&mapping);
}
END_TEST

/* What cannot be looked into is not taken for empty: a run would begin in it. */
START_TEST(a_folder_is_empty_or_not_or_an_error)
{
  bool empty = false;
  ck_assert_int_eq(base_folder_is_empty(scratch_path("absent"), &empty), CDL_STATUS_OK);
  ck_assert(empty);
  ck_assert_int_eq(base_folder_make(scratch_path("folder")), CDL_STATUS_OK);
  scratch_put(scratch_path("folder/.lock"), "", 0);
  ck_assert_int_eq(base_folder_is_empty(scratch_path("folder"), &empty), CDL_STATUS_OK);
  ck_assert(empty);
  scratch_put(scratch_path("folder/a"), "", 0);
  ck_assert_int_eq(base_folder_is_empty(scratch_path("folder"), &empty), CDL_STATUS_OK);
  ck_assert(!empty);
  char long_name[512];
  memset(long_name, 'a', sizeof long_name - 1);
  long_name[sizeof long_name - 1] = '\0';
  expect_failure(base_folder_is_empty(long_name, &empty), CDL_STATUS_IO, "cannot be read");
}
END_TEST

START_TEST(refuses_what_is_no_file)
{
  base_mapping mapping;
  expect_failure(base_file_map(scratch_path("absent"), &mapping), CDL_STATUS_ABSENT, "absent");
  scratch_put(scratch_path("plain"), "x", 1);
  expect_failure(base_file_map(scratch_path("plain/below"), &mapping), CDL_STATUS_ABSENT,
                 "plain/below");
  expect_failure(base_file_map(scratch_folder, &mapping), CDL_STATUS_IO, scratch_folder);
  ck_assert_int_eq(mkfifo(scratch_path("pipe"), 0600), 0);
  expect_failure(base_file_map(scratch_path("pipe"), &mapping), CDL_STATUS_IO, "pipe");
  ck_assert_uint_eq(mapping.size, 0);
  if (geteuid() != 0) {
    chmod(scratch_path("plain"), 0);
    expect_failure(base_file_map(scratch_path("plain"), &mapping), CDL_STATUS_IO, "plain");
  }
}
END_TEST

START_TEST(discarded_pages_come_back)
{
  const size_t size = 3 * 4096 + 100;
  uint8_t *bytes = malloc(size);
  ck_assert_ptr_nonnull(bytes);
  for (size_t i = 0; i < size; i++)
    bytes[i] = (uint8_t)(i * 31 >> 3);
  scratch_put(scratch_path("pages"), bytes, size);
  base_mapping mapping;
  ck_assert_int_eq(base_file_map(scratch_path("pages"), &mapping), CDL_STATUS_OK);
  const size_t ranges[][2] = {{0, size},       {4097, 10},           {size - 1, 1}, {size, 5},
                              {100, SIZE_MAX}, {SIZE_MAX, SIZE_MAX}, {5, 0}};
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
    base_file_discard(&mapping, ranges[i][0], ranges[i][1]);
    ck_assert_mem_eq(mapping.data, bytes, size);
  }
  base_file_unmap(&mapping);
  free(bytes);
}
END_TEST

START_TEST(joins_paths)
{
  const char *cases[][3] = {{"a", "b", "a/b"},
                            {"a/", "b", "a/b"},
                            {"", "b", "b"},
                            {"/", "b", "/b"},
                            {"a/b", "c/d", "a/b/c/d"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char *path = base_path_join(cases[i][0], cases[i][1]);
    ck_assert_str_eq(path, cases[i][2]);
    free(path);
  }
}
END_TEST

START_TEST(makes_folders)
{
  ck_assert_int_eq(base_folder_make(scratch_path("x//y/z/")), CDL_STATUS_OK);
  ck_assert(base_file_exists(scratch_path("x/y/z")));
  ck_assert_int_eq(base_folder_make(scratch_path("x/y/z")), CDL_STATUS_OK);
  ck_assert(!base_file_exists(scratch_path("x/y/other")));
  scratch_put(scratch_path("plain"), "x", 1);
  expect_failure(base_folder_make(scratch_path("plain")), CDL_STATUS_IO, "plain");
  expect_failure(base_folder_make(scratch_path("plain/below")), CDL_STATUS_IO, "plain");
  ck_assert_int_eq(base_folder_make(""), CDL_STATUS_ARGUMENT);
  ck_assert_int_eq(base_folder_make("/"), CDL_STATUS_OK);
}
END_TEST

START_TEST(writes_whole_or_not_at_all)
{
  scratch_put(scratch_path("out"), "before", 6);
  base_output *output;
  ck_assert_int_eq(base_output_begin(scratch_path("out"), &output), CDL_STATUS_OK);
  base_output_write(output, "after", 5);
  base_output_printf(output, " %d%s", 42, "!");
  expect_content(scratch_path("out"), "before", 6);
  ck_assert_uint_eq(scratch_count_entries(), 2); /* it and what is in the making */
  ck_assert_int_eq(base_output_commit(output), CDL_STATUS_OK);
  expect_content(scratch_path("out"), "after 42!", 9);
  ck_assert_uint_eq(scratch_count_entries(), 1);

  ck_assert_int_eq(base_output_begin(scratch_path("out"), &output), CDL_STATUS_OK);
  base_output_write(output, "lost", 4);
  base_output_abort(output);
  expect_content(scratch_path("out"), "after 42!", 9);
  ck_assert_uint_eq(scratch_count_entries(), 1);
  base_output_abort(NULL);
}
END_TEST

START_TEST(writes_any_lengths)
{
  /* Lengths around the size of the buffer, and one printf longer than it. */
  const size_t lengths[] = {0, 1, 65535, 2, 65536, 65537, 1, 65534, 200000, 3};
  size_t total = 0;
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
    total += lengths[i];
  char *bytes = malloc(total + 100000 + 1);
  ck_assert_ptr_nonnull(bytes);
  for (size_t i = 0; i < total + 100000; i++)
    bytes[i] = (char)('a' + (i * i >> 5) % 26);
  bytes[total + 100000] = '\0';
  base_output *output;
  ck_assert_int_eq(base_output_begin(scratch_path("long"), &output), CDL_STATUS_OK);
  size_t at = 0;
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; at += lengths[i++])
    base_output_write(output, bytes + at, lengths[i]);
  base_output_printf(output, "%s", bytes + at);
  ck_assert_int_eq(base_output_commit(output), CDL_STATUS_OK);
  expect_content(scratch_path("long"), bytes, total + 100000);
  free(bytes);
}
END_TEST

static void write_out(const char *path, const char *text)
{
  base_output *output;
  ck_assert_int_eq(base_output_begin(path, &output), CDL_STATUS_OK);
  base_output_write(output, text, strlen(text));
  ck_assert_int_eq(base_output_commit(output), CDL_STATUS_OK);
}

/* As a killed process leaves it: without a lock. */
static char *leave_temporary(const char *place)
{
  char *left;
  int descriptor;
  ck_assert(base_temporary_file(place, &left, &descriptor));
  ck_assert_int_eq(write(descriptor, "left by a crash", 15), 15);
  close(descriptor);
  return left;
}

START_TEST(what_a_writer_left_is_swept)
{
  free(leave_temporary(scratch_path("out")));
  ck_assert_uint_eq(scratch_count_entries(), 1);
  write_out(scratch_path("out"), "new");
  expect_content(scratch_path("out"), "new", 3);
  ck_assert_uint_eq(scratch_count_entries(), 1);
}
END_TEST

/* Only names that are made here, for this place: what else has such a name is somebody's own. */
START_TEST(other_files_are_not_swept)
{
  static const char *const names[] = {"out.tmp-",
                                      "out.tmp-12",
                                      "out.tmp-4711",
                                      "out.tmp-backup",
                                      "out.tmp-a1b2c3",
                                      "out.tmp-123456",
                                      "out.tmp-yesterdays",
                                      "out.tmp-2026010203",
                                      "out.tmp-12.456",
                                      "out.tmp-0000000000",
                                      "out.tmp"};
  enum { NAMES = sizeof names / sizeof names[0] };
  for (int i = 0; i < NAMES; i++)
    scratch_put(scratch_path(names[i]), "mine", 4);
  ck_assert_int_eq(mkdir(scratch_path("out.tmp-folder"), 0700), 0);
  scratch_put(scratch_path("out.tmp-folder/file"), "mine", 4);
  char *left[] = {leave_temporary(scratch_path("other")), leave_temporary(scratch_path("out2")),
                  leave_temporary(scratch_path("link")), leave_temporary(scratch_path("pipe"))};
  for (int i = 2; i < 4; i++)
    ck_assert_int_eq(unlink(left[i]), 0);
  ck_assert_int_eq(symlink("other", left[2]), 0);
  ck_assert_int_eq(mkfifo(left[3], 0600), 0);
  write_out(scratch_path("out"), "new");
  write_out(scratch_path("link"), "new");
  write_out(scratch_path("pipe"), "new");
  ck_assert_uint_eq(scratch_count_entries(), NAMES + 8);
  base_folder_sweep(scratch_folder);
  ck_assert_uint_eq(scratch_count_entries(), NAMES + 6);
  for (int i = 0; i < NAMES; i++)
    expect_content(scratch_path(names[i]), "mine", 4);
  expect_content(scratch_path("out.tmp-folder/file"), "mine", 4);
  for (int i = 0; i < 4; i++)
    free(left[i]);
}
END_TEST

START_TEST(what_has_a_writer_is_not_swept)
{
  base_output *first, *second;
  ck_assert_int_eq(base_output_begin(scratch_path("out"), &first), CDL_STATUS_OK);
  base_output_write(first, "first", 5);
  ck_assert_int_eq(base_output_begin(scratch_path("out"), &second), CDL_STATUS_OK);
  base_folder_sweep(scratch_folder);
  ck_assert_uint_eq(scratch_count_entries(), 2);
  base_output_write(second, "second", 6);
  ck_assert_int_eq(base_output_commit(second), CDL_STATUS_OK);
  expect_content(scratch_path("out"), "second", 6);
  ck_assert_int_eq(base_output_commit(first), CDL_STATUS_OK);
  expect_content(scratch_path("out"), "first", 5);
  ck_assert_uint_eq(scratch_count_entries(), 1);
}
END_TEST

/* The kernel takes the lock back. */
START_TEST(what_a_killed_process_left_is_swept)
{
  int ready[2];
  ck_assert_int_eq(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    base_output *output;
    char *folder;
    int descriptor;
    const bool made = base_output_begin(scratch_path("out"), &output) == CDL_STATUS_OK &&
                      base_temporary_folder(scratch_path("folder"), &folder, &descriptor) &&
                      write(ready[1], "x", 1) == 1;
    pause();
    _exit(made ? 0 : 1);
  }
  char byte;
  ck_assert_int_eq(read(ready[0], &byte, 1), 1);
  base_folder_sweep(scratch_folder);
  ck_assert_uint_eq(scratch_count_entries(), 2);
  kill(child, SIGKILL);
  ck_assert_int_eq(waitpid(child, NULL, 0), child);
  base_folder_sweep(scratch_folder);
  ck_assert_uint_eq(scratch_count_entries(), 0);
}
END_TEST

START_TEST(a_folder_in_the_making_is_new)
{
  char *first, *second;
  int descriptors[2];
  const mode_t mask = umask(027);
  struct stat facts;
  ck_assert(base_temporary_folder(scratch_path("new"), &first, &descriptors[0]));
  ck_assert(base_temporary_folder(scratch_path("new"), &second, &descriptors[1]));
  ck_assert_str_ne(first, second);
  ck_assert(stat(first, &facts) == 0 && S_ISDIR(facts.st_mode) && (facts.st_mode & 0777) == 0750);
  umask(mask);
  char inside[700];
  snprintf(inside, sizeof inside, "%s/file", first);
  scratch_put(inside, "x", 1);
  base_temporary_remove_folder(first);
  ck_assert_uint_eq(scratch_count_entries(), 1);
  close(descriptors[0]);
  close(descriptors[1]);
  free(first);
  free(second);
  ck_assert(!base_temporary_folder(scratch_path("no/such"), &first, &descriptors[0]));
  ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(a_planted_link_is_not_followed)
{
  scratch_put(scratch_path("victim"), "victim", 6);
  ck_assert_int_eq(symlink("victim", scratch_path("out")), 0);
  write_out(scratch_path("out"), "new");
  expect_content(scratch_path("victim"), "victim", 6);
  expect_content(scratch_path("out"), "new", 3);
  struct stat facts;
  ck_assert(lstat(scratch_path("out"), &facts) == 0 && S_ISREG(facts.st_mode));
}
END_TEST

static void write_named(const char *path, const char *text)
{
  base_output *output;
  ck_assert_int_eq(base_output_begin_named(path, &output), CDL_STATUS_OK);
  base_output_write(output, text, strlen(text));
  ck_assert_int_eq(base_output_commit(output), CDL_STATUS_OK);
}

START_TEST(a_link_that_the_user_names_is_followed)
{
  ck_assert_int_eq(mkdir(scratch_path("there"), 0700), 0);
  ck_assert_int_eq(symlink("second", scratch_path("first")), 0);
  ck_assert_int_eq(symlink("there/third", scratch_path("second")), 0);
  ck_assert_int_eq(symlink("file", scratch_path("there/third")), 0);
  for (int i = 0; i < 2; i++) { /* where the file is not there, and where it is */
    write_named(scratch_path("first"), i == 0 ? "one" : "two");
    expect_content(scratch_path("there/file"), i == 0 ? "one" : "two", 3);
    struct stat facts;
    ck_assert(lstat(scratch_path("first"), &facts) == 0 && S_ISLNK(facts.st_mode));
    ck_assert(lstat(scratch_path("there/third"), &facts) == 0 && S_ISLNK(facts.st_mode));
  }
  ck_assert_uint_eq(scratch_count_entries(), 3);
  ck_assert_int_eq(symlink("circle", scratch_path("circle")), 0);
  base_output *output;
  expect_failure(base_output_begin_named(scratch_path("circle"), &output), CDL_STATUS_IO, "circle");
  ck_assert_int_eq(symlink("no/such", scratch_path("nowhere")), 0);
  expect_failure(base_output_begin_named(scratch_path("nowhere"), &output), CDL_STATUS_IO,
                 "nowhere");
}
END_TEST

/* Answers for one reader alone stay for one. */
START_TEST(a_file_that_is_replaced_keeps_its_mode)
{
  static const mode_t modes[] = {0600, 0640, 0444, 0666};
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    struct stat facts;
    scratch_put(scratch_path("out"), "old", 3);
    ck_assert_int_eq(chmod(scratch_path("out"), modes[i]), 0);
    write_named(scratch_path("out"), "new");
    expect_content(scratch_path("out"), "new", 3);
    ck_assert(stat(scratch_path("out"), &facts) == 0 && (facts.st_mode & 07777) == modes[i]);
    ck_assert_int_eq(unlink(scratch_path("out")), 0);
  }
}
END_TEST

START_TEST(the_umask_says_the_mode)
{
  const mode_t mask = umask(026);
  write_out(scratch_path("out"), "x");
  umask(mask);
  struct stat facts;
  ck_assert(stat(scratch_path("out"), &facts) == 0 && (facts.st_mode & 0777) == 0640);
}
END_TEST

START_TEST(refuses_impossible_places)
{
  base_output *output;
  expect_failure(base_output_begin(scratch_folder, &output), CDL_STATUS_IO, scratch_folder);
  ck_assert_ptr_null(output);
  expect_failure(base_output_begin(scratch_path("no/such"), &output), CDL_STATUS_IO, "no/such");
  if (geteuid() != 0) {
    chmod(scratch_folder, 0500);
    expect_failure(base_output_begin(scratch_path("out"), &output), CDL_STATUS_IO, "out");
  }
}
END_TEST

/* A folder that takes the output's place meanwhile makes the rename fail. */
START_TEST(a_failed_rename_leaves_nothing)
{
  base_output *output;
  ck_assert_int_eq(base_output_begin(scratch_path("out"), &output), CDL_STATUS_OK);
  base_output_write(output, "new", 3);
  ck_assert_int_eq(mkdir(scratch_path("out"), 0700), 0);
  expect_failure(base_output_commit(output), CDL_STATUS_IO, "out");
  ck_assert_uint_eq(scratch_count_entries(), 1);
}
END_TEST

/* A limit on a file's size stops a write as a full disk does: part of it is written, then an
 * error. */
START_TEST(a_write_that_stops_leaves_the_old_file)
{
  scratch_put(scratch_path("out"), "before", 6);
  static uint8_t block[50000];
  signal(SIGXFSZ, SIG_IGN);
  const struct rlimit limit = {.rlim_cur = 120000, .rlim_max = RLIM_INFINITY};
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
  base_output *output;
  ck_assert_int_eq(base_output_begin(scratch_path("out"), &output), CDL_STATUS_OK);
  for (int i = 0; i < 10; i++)
    base_output_write(output, block, sizeof block);
  base_output_printf(output, "more");
  const cdl_status status = base_output_commit(output);
  expect_failure(status, CDL_STATUS_IO, "out");
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), strerror(EFBIG)));
  expect_content(scratch_path("out"), "before", 6);
  ck_assert_uint_eq(scratch_count_entries(), 1);
}
END_TEST

START_TEST(a_full_device_is_an_error)
{
  if (!base_file_exists("/dev/full"))
    return;
  base_output *output;
  ck_assert_int_eq(base_output_begin("/dev/full", &output), CDL_STATUS_OK);
  base_output_write(output, "x", 1);
  expect_failure(base_output_commit(output), CDL_STATUS_IO, "/dev/full");
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), strerror(ENOSPC)));
  ck_assert(base_file_exists("/dev/full"));
}
END_TEST

START_TEST(a_device_is_written_in_place)
{
  ck_assert_int_eq(mkfifo(scratch_path("pipe"), 0600), 0);
  const int reader = open(scratch_path("pipe"), O_RDONLY | O_NONBLOCK);
  ck_assert_int_ge(reader, 0);
  base_output *output;
  ck_assert_int_eq(base_output_begin(scratch_path("pipe"), &output), CDL_STATUS_OK);
  base_output_write(output, "line\n", 5);
  ck_assert_int_eq(base_output_commit(output), CDL_STATUS_OK);
  char text[8];
  ck_assert_int_eq(read(reader, text, sizeof text), 5);
  ck_assert_mem_eq(text, "line\n", 5);
  close(reader);
}
END_TEST

/* Killed at any moment, the place holds the old content or the new, whole. */
START_TEST(killed_at_any_moment)
{
  enum { BYTES = 300000 };
  char *content = malloc(BYTES);
  ck_assert_ptr_nonnull(content);
  memset(content, 'a', BYTES);
  scratch_put(scratch_path("out"), content, BYTES);
  for (int round = 0; round < 20; round++) {
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
      for (char letter = 'a';; letter = letter == 'z' ? 'a' : (char)(letter + 1)) {
        base_output *output;
        memset(content, letter, BYTES);
        if (base_output_begin(scratch_path("out"), &output) != CDL_STATUS_OK)
          _exit(1);
        for (size_t at = 0; at < BYTES; at += 10000)
          base_output_write(output, content + at, 10000);
        if (base_output_commit(output) != CDL_STATUS_OK)
          _exit(1);
      }
    }
    usleep((useconds_t)(1000 + 700 * round));
    kill(child, SIGKILL);
    int how;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert(WIFSIGNALED(how));
    base_mapping mapping;
    ck_assert_int_eq(base_file_map(scratch_path("out"), &mapping), CDL_STATUS_OK);
    ck_assert_uint_eq(mapping.size, BYTES);
    ck_assert_mem_eq(mapping.data, mapping.data + 1, BYTES - 1);
    base_file_unmap(&mapping);
  }
  free(content);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      maps_what_is_there,
      maps_an_empty_file,
      refuses_what_is_no_file,
      discarded_pages_come_back,
      a_mapping_knows_whether_its_file_was_written,
      joins_paths,
      a_folder_is_empty_or_not_or_an_error,
      makes_folders,
      writes_whole_or_not_at_all,
      writes_any_lengths,
      what_a_writer_left_is_swept,
      other_files_are_not_swept,
      what_has_a_writer_is_not_swept,
      what_a_killed_process_left_is_swept,
      a_folder_in_the_making_is_new,
      a_planted_link_is_not_followed,
      a_link_that_the_user_names_is_followed,
      a_file_that_is_replaced_keeps_its_mode,
      the_umask_says_the_mode,
      refuses_impossible_places,
      a_failed_rename_leaves_nothing,
      a_write_that_stops_leaves_the_old_file,
      a_full_device_is_an_error,
      a_device_is_written_in_place,
      killed_at_any_moment,
      NULL,
  };
  return scratch_run("file", tests);
}
