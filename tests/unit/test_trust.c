/* Whose code is loaded: files and folders that others may change are refused, with the reason. */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <sys/stat.h>

#include "base/place.h"
#include "base/trust.h"
#include "condlora/backend.h"
#include "tests/run_suite.h"
#include "tests/unit/plugins/find.h"

/* A tree of its own for each test: outer/folder/condlora-it.so, private all the way. */
static char root[64], outer[PATH_MAX], folder[PATH_MAX], file[PATH_MAX];

static void copy(const char *from, const char *to)
{
  char bytes[4096];
  FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
  ck_assert_msg(in != NULL && out != NULL, "%s or %s cannot be opened", from, to);
  for (size_t got; (got = fread(bytes, 1, sizeof bytes, in)) > 0;)
    ck_assert_uint_eq(fwrite(bytes, 1, got, out), got);
  fclose(in);
  ck_assert_int_eq(fclose(out), 0);
}

static void make_tree(void)
{
  strcpy(root, P_tmpdir "/condlora-trust-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(root));
  umask(022);
  snprintf(outer, sizeof outer, "%s/outer", root);
  snprintf(folder, sizeof folder, "%.4000s/folder", outer);
  snprintf(file, sizeof file, "%.4000s/condlora-it.so", folder);
  ck_assert_int_eq(mkdir(outer, 0755), 0);
  ck_assert_int_eq(mkdir(folder, 0755), 0);
  copy(plugin_path("recording"), file);
}

static int forget(const char *path, const struct stat *facts, int type, struct FTW *at)
{
  (void)facts, (void)type, (void)at;
  return remove(path);
}

static void remove_tree(void)
{
  nftw(root, forget, 16, FTW_DEPTH | FTW_PHYS);
}

static void assert_taken(const char *path, const char *as)
{
  char resolved[PATH_MAX], expected[PATH_MAX], reason[BASE_DISTRUST_BYTES];
  ck_assert_msg(base_trust(path, resolved, reason), "%s is refused: %s", path, reason);
  ck_assert_ptr_nonnull(realpath(as, expected));
  ck_assert_str_eq(resolved, expected);
}

static void assert_refused(const char *path, const char *why)
{
  char resolved[PATH_MAX], reason[BASE_DISTRUST_BYTES];
  ck_assert_msg(!base_trust(path, resolved, reason), "%s is taken", path);
  ck_assert_msg(strstr(reason, why) != NULL, "'%s' lacks '%s'", reason, why);
}

START_TEST(ones_own_file_is_taken)
{
  char beside[PATH_MAX];
  assert_taken(file, file);
  assert_taken(plugin_path("recording"), plugin_path("recording"));
  ck_assert_int_eq(chdir(folder), 0);
  assert_taken("condlora-it.so", file);
  assert_taken("./../folder//condlora-it.so", file);
  snprintf(beside, sizeof beside, "%.4000s/none.so", folder);
  assert_refused(beside, "No such file");
  assert_refused(folder, "not a file");
}
END_TEST

START_TEST(what_others_may_write_is_refused)
{
  const char *const parts[] = {file, folder, outer, root};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    struct stat facts;
    ck_assert_int_eq(stat(parts[i], &facts), 0);
    ck_assert_int_eq(chmod(parts[i], facts.st_mode | S_IWOTH), 0);
    assert_refused(file, "may be written to by others (mode ");
    assert_refused(file, i == 0 ? "it may" : parts[i]);
    ck_assert_int_eq(chmod(parts[i], facts.st_mode), 0);
    assert_taken(file, file);
  }
}
END_TEST

/* Others may add to it, but not exchange what is there. */
START_TEST(a_sticky_folder_is_no_matter)
{
  ck_assert_int_eq(chmod(outer, 01777), 0);
  assert_taken(file, file);
  ck_assert_int_eq(chmod(folder, 01777), 0);
  assert_taken(file, file);
  ck_assert_int_eq(chmod(file, 01666), 0); /* of a file it says nothing */
  assert_refused(file, "it may be written to by others (mode 1666)");
}
END_TEST

START_TEST(a_group_may_write_if_it_is_the_owners_alone)
{
  const struct passwd *me = getpwuid(geteuid());
  if (geteuid() != 0 || me == NULL || me->pw_gid != 0) {
    puts("skipped: a_group_may_write_if_it_is_the_owners_alone: root alone may give files to "
         "groups");
    return;
  }
  ck_assert_int_eq(chmod(file, 0664), 0);
  assert_taken(file, file);
  ck_assert_int_eq(chown(file, (uid_t)-1, 1), 0);
  assert_refused(file, "it may be written to by group 1 (mode 0664)");
  ck_assert_int_eq(chmod(file, 0644), 0);
  assert_taken(file, file);
  ck_assert_int_eq(chown(outer, (uid_t)-1, 1), 0);
  assert_taken(file, file);
  ck_assert_int_eq(chmod(outer, 0775), 0);
  assert_refused(file, "outer may be written to by group 1");
}
END_TEST

START_TEST(another_users_file_is_refused)
{
  if (geteuid() != 0) {
    puts("skipped: another_users_file_is_refused: root alone may give files away");
    return;
  }
  const char *const parts[] = {file, folder, outer, root};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    ck_assert_int_eq(chown(parts[i], 12345, (gid_t)-1), 0);
    assert_refused(file, "belongs to user 12345, who is neither root, nor this user, nor the owner "
                         "of the program");
    assert_refused(file, i == 0 ? "it belongs" : parts[i]);
    ck_assert_int_eq(chown(parts[i], 0, (gid_t)-1), 0);
  }
  /* Root's files are taken by everybody. */
  ck_assert_int_eq(chmod(root, 0755), 0);
  ck_assert_int_eq(seteuid(12345), 0);
  assert_taken(file, file);
  ck_assert_int_eq(seteuid(0), 0);
  ck_assert_int_eq(chown(file, 12345, (gid_t)-1), 0);
  ck_assert_int_eq(seteuid(12345), 0); /* who now is the user */
  assert_taken(file, file);
  ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(links_are_followed_and_looked_at)
{
  char link[PATH_MAX], other[PATH_MAX], through[PATH_MAX];
  snprintf(link, sizeof link, "%s/link.so", root);
  snprintf(other, sizeof other, "%s/other", root);
  snprintf(through, sizeof through, "%.4000s/condlora-it.so", other);
  ck_assert_int_eq(symlink("outer/../outer/folder/condlora-it.so", link), 0);
  ck_assert_int_eq(symlink(folder, other), 0);
  assert_taken(link, file);
  assert_taken(through, file);
  ck_assert_int_eq(chmod(folder, 0777), 0); /* behind the link */
  assert_refused(link, "folder may be written to by others");
  assert_refused(through, "folder may be written to by others");
  ck_assert_int_eq(chmod(folder, 0755), 0);
  if (geteuid() == 0) {
    ck_assert_int_eq(lchown(other, 12345, (gid_t)-1), 0);
    assert_refused(through, "other belongs to user 12345");
  }
  ck_assert_int_eq(unlink(link), 0);
  ck_assert_int_eq(symlink("link.so", link), 0);
  assert_refused(link, "leads nowhere");
}
END_TEST

/* ---- Plug-ins ---- */

typedef struct {
  char reasons[8192];
  int usable;
} listed;

static void note(void *user, const cdl_backend_listing *b)
{
  listed *l = user;
  if (strcmp(b->name, "it") != 0)
    return;
  l->usable += b->reason == NULL;
  if (b->reason != NULL)
    strcat(strcat(l->reasons, b->reason), "\n");
}

START_TEST(plugins_are_refused_by_any_way)
{
  cdl_backend *backend = NULL;
  char path[2 * PATH_MAX], second[PATH_MAX];
  ck_assert_int_eq(chmod(file, 0666), 0);
  ck_assert_int_eq(cdl_backend_open(file, NULL, &backend), CDL_STATUS_UNSUPPORTED);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), file));
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "not loaded: it may be written to by others"));
  setenv("CDL_BACKEND_PATH", folder, 1);
  ck_assert_int_eq(cdl_backend_open("it", NULL, &backend), CDL_STATUS_UNSUPPORTED);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "it may be written to by others"));
  ck_assert_ptr_null(backend);
  listed l = {.usable = 0};
  ck_assert_int_eq(cdl_backend_list(note, &l), CDL_STATUS_OK);
  ck_assert_int_eq(l.usable, 0);
  ck_assert_ptr_nonnull(strstr(l.reasons, "not loaded: it may be written to by others"));

  /* It hides none that may be loaded. */
  snprintf(path, sizeof path, "%s:%s", folder, outer);
  snprintf(second, sizeof second, "%.4000s/condlora-it.so", outer);
  copy(plugin_path("recording"), second);
  setenv("CDL_BACKEND_PATH", path, 1);
  ck_assert_int_eq(cdl_backend_open("it", NULL, &backend), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
  l = (listed){.usable = 0};
  ck_assert_int_eq(cdl_backend_list(note, &l), CDL_STATUS_OK);
  ck_assert_int_gt(l.usable, 0);
  ck_assert_ptr_nonnull(strstr(l.reasons, "not loaded"));
}
END_TEST

/* ---- Places ---- */

static bool count_folder(void *user, const char *where)
{
  ck_assert_int_eq(where[0], '/');
  ++*(int *)user;
  return false;
}

START_TEST(a_program_knows_where_it_lies)
{
  char own[PATH_MAX], expected[PATH_MAX];
  bool program = false;
  ck_assert(base_own_file(own, &program));
  ck_assert(program);
  ck_assert_ptr_nonnull(realpath("/proc/self/exe", expected));
  ck_assert_str_eq(own, expected);
  int folders = 0;
  ck_assert(!base_each_run_path(count_folder, &folders));
  ck_assert_int_ge(folders, 4); /* the build's: it is not installed */
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("trust");
  TCase *tests = tcase_create("trust");
  tcase_add_checked_fixture(tests, make_tree, remove_tree);
  tcase_add_test(tests, ones_own_file_is_taken);
  tcase_add_test(tests, what_others_may_write_is_refused);
  tcase_add_test(tests, a_sticky_folder_is_no_matter);
  tcase_add_test(tests, a_group_may_write_if_it_is_the_owners_alone);
  tcase_add_test(tests, another_users_file_is_refused);
  tcase_add_test(tests, links_are_followed_and_looked_at);
  tcase_add_test(tests, plugins_are_refused_by_any_way);
  tcase_add_test(tests, a_program_knows_where_it_lies);
  suite_add_tcase(suite, tests);
  return run_suite(suite);
}
