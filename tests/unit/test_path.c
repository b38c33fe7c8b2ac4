/* Paths and folders. */
#include "base/path.h"
#include "tests/unit/scratch.h"

static void expect_joined(const char *folder, const char *name, const char *expected)
{
  char *path = base_path_join(folder, name);
  ck_assert_str_eq(path, expected);
  free(path);
}

START_TEST(a_name_is_joined_by_one_slash)
{
  expect_joined("a", "b", "a/b");
  expect_joined("a/", "b", "a/b");
  expect_joined("/", "b", "/b");
  expect_joined("", "b", "b");
  expect_joined("a/b", "c/d", "a/b/c/d");
}
END_TEST

static void expect_last(const char *path, const char *expected)
{
  char *name = base_path_last(path);
  ck_assert_str_eq(name, expected);
  free(name);
}

START_TEST(the_last_name_has_no_slashes)
{
  expect_last("a", "a");
  expect_last("a/b", "b");
  expect_last("/a/b//", "b");
  expect_last("./a/", "a");
  expect_last("/", "/");
  expect_last("", "");
}
END_TEST

START_TEST(a_folder_is_made_with_its_parents)
{
  const char *path = scratch_path("one/two//three/");
  struct stat facts;
  ck_assert(!base_file_exists(path));
  expect_ok(base_folder_make(path));
  ck_assert(base_file_exists(path));
  ck_assert(stat(scratch_path("one/two/three"), &facts) == 0 && S_ISDIR(facts.st_mode));
  expect_ok(base_folder_make(path));
}
END_TEST

START_TEST(a_file_in_the_way_is_named)
{
  scratch_put_text(scratch_path("file"), "x");
  expect_failure(base_folder_make(scratch_path("file")), CDL_STATUS_IO, "file: is a file");
  expect_failure(base_folder_make(scratch_path("file/below")), CDL_STATUS_IO, "file");
  expect_failure(base_folder_make(""), CDL_STATUS_ARGUMENT, "empty");
}
END_TEST

START_TEST(a_folder_with_a_lock_alone_is_empty)
{
  bool empty = false;
  expect_ok(base_folder_is_empty(scratch_path("missing"), &empty));
  ck_assert(empty);
  expect_ok(base_folder_make(scratch_path("folder")));
  expect_ok(base_folder_is_empty(scratch_path("folder"), &empty));
  ck_assert(empty);
  scratch_put_text(scratch_path("folder/" BASE_LOCK_NAME), "");
  expect_ok(base_folder_is_empty(scratch_path("folder"), &empty));
  ck_assert(empty);
  scratch_put_text(scratch_path("folder/.hidden"), "");
  expect_ok(base_folder_is_empty(scratch_path("folder"), &empty));
  ck_assert(!empty);
}
END_TEST

int main(void)
{
  return scratch_run(
      "path", (const TTest *const[]){a_name_is_joined_by_one_slash, the_last_name_has_no_slashes,
                                     a_folder_is_made_with_its_parents, a_file_in_the_way_is_named,
                                     a_folder_with_a_lock_alone_is_empty, NULL});
}
