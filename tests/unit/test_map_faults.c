/* What a program says when a mapped file is cut short, also where several threads read it. */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/map_faults.h"
#include "tests/unit/scratch.h"

enum { READERS = 8, PAGES = READERS, PAGE = 65536 };

typedef struct {
  const base_mapping *mapping;
  pthread_barrier_t *start;
  size_t page;
} reader;

static void *read_page(void *user)
{
  const reader *r = user;
  pthread_barrier_wait(r->start);
  (void)*((const volatile uint8_t *)r->mapping->data + r->page * PAGE);
  return NULL;
}

static void read_cut(const char *path)
{
  static const uint8_t bytes[PAGES * PAGE];
  base_mapping mapping;
  pthread_barrier_t start;
  pthread_t threads[READERS];
  reader readers[READERS];
  scratch_put(path, bytes, sizeof bytes);
  base_map_faults_begin("program", NULL);
  if (base_file_map(path, &mapping) != CDL_STATUS_OK || truncate(path, 0) != 0 ||
      pthread_barrier_init(&start, NULL, READERS) != 0)
    _exit(9);
  for (size_t i = 0; i < READERS; i++) {
    readers[i] = (reader){&mapping, &start, i};
    if (pthread_create(&threads[i], NULL, read_page, &readers[i]) != 0)
      _exit(9);
  }
  for (size_t i = 0; i < READERS; i++)
    pthread_join(threads[i], NULL);
  _exit(10);
}

/* What a child says that reads the file; it ends with 1. */
static void hear(const char *path, char *said, size_t room)
{
  int line[2], how;
  ck_assert_int_eq(pipe(line), 0);
  const pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    dup2(line[1], STDERR_FILENO);
    read_cut(path);
  }
  close(line[1]);
  size_t used = 0;
  for (ssize_t got; (got = read(line[0], said + used, room - 1 - used)) > 0;)
    used += (size_t)got;
  said[used] = '\0';
  close(line[0]);
  ck_assert_int_eq(waitpid(child, &how, 0), child);
  ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 1, "status %x", (unsigned)how);
}

START_TEST(several_threads_say_it_once)
{
  char said[8192], expected[1024];
  snprintf(
      expected, sizeof expected,
      "program: %s: cannot be read on: the file was cut short while it was in use, or its disk "
      "fails\n",
      scratch_path("cut"));
  for (int i = 0; i < 50; i++) {
    hear(scratch_path("cut"), said, sizeof said);
    ck_assert_str_eq(said, expected);
  }
}
END_TEST

START_TEST(a_name_is_shown_and_not_obeyed)
{
  char said[8192];
  hear(scratch_path("a\x1b[31m\xc2\x9b\xe2\x80\xae\n\xff"), said, sizeof said);
  ck_assert_ptr_nonnull(strstr(said, "/a\\x1b[31m\\u009b\\u202e\\n\\xff: cannot be read on"));
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {several_threads_say_it_once, a_name_is_shown_and_not_obeyed, NULL};
  return scratch_run("map_faults", tests);
}
