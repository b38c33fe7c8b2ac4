/* Which mapped file an address lies in, as a handler of SIGBUS asks. */
#include <signal.h>
#include <sys/wait.h>

#include "base/file.h"
#include "condlora/mapped.h"
#include "tests/unit/scratch.h"

START_TEST(addresses_have_their_files)
{
  enum { FILES = 20 };
  base_mapping mapping[FILES];
  char name[16];
  for (int i = 0; i < FILES; i++) {
    snprintf(name, sizeof name, "file%d", i);
    scratch_put(scratch_path(name), "0123456789", 10);
    ck_assert_int_eq(base_file_map(scratch_path(name), &mapping[i]), CDL_STATUS_OK);
  }
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < FILES; i++) {
      snprintf(name, sizeof name, "file%d", i);
      ck_assert_str_eq(cdl_mapped_file(mapping[i].data), scratch_path(name));
      ck_assert_str_eq(cdl_mapped_file(mapping[i].data + 9), scratch_path(name));
      if (i % 3 != 0)
        continue;
      const uint8_t *was = mapping[i].data;
      base_file_unmap(&mapping[i]);
      ck_assert_ptr_null(cdl_mapped_file(was));
      ck_assert_int_eq(base_file_map(scratch_path(name), &mapping[i]), CDL_STATUS_OK);
    }
  ck_assert_ptr_null(cdl_mapped_file(mapping));
  ck_assert_ptr_null(cdl_mapped_file(NULL));
  for (int i = 0; i < FILES; i++)
    base_file_unmap(&mapping[i]);
}
END_TEST

static void leave(int number, siginfo_t *about, void *context)
{
  (void)number, (void)context;
  const char *path = cdl_mapped_file(about->si_addr);
  const char *end = path != NULL ? strrchr(path, '/') : NULL;
  _exit(end != NULL && strcmp(end, "/cut") == 0 ? 7 : 8);
}

static void in_child(void (*run)(const base_mapping *mapping))
{
  scratch_put(scratch_path("cut"), "0123456789", 10);
  const pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    struct sigaction action = {.sa_sigaction = leave, .sa_flags = SA_SIGINFO};
    base_mapping mapping;
    sigaction(SIGBUS, &action, NULL);
    if (base_file_map(scratch_path("cut"), &mapping) != CDL_STATUS_OK ||
        truncate(scratch_path("cut"), 0) != 0)
      _exit(9);
    run(&mapping);
    _exit(10);
  }
  int how;
  ck_assert_int_eq(waitpid(child, &how, 0), child);
  ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 7, "status %x", (unsigned)how);
}

static void read_it(const base_mapping *mapping)
{
  _exit(*(const volatile uint8_t *)mapping->data == '0' ? 11 : 12);
}

/* The kernel would only say "Bad address" of the file that is written. */
static void write_it(const base_mapping *mapping)
{
  base_output *output;
  if (base_output_begin(scratch_path("out"), &output) == CDL_STATUS_OK) {
    for (int i = 0; i < 10000; i++)
      base_output_write(output, mapping->data, mapping->size);
    if (base_output_commit(output) != CDL_STATUS_OK)
      _exit(13);
  }
}

START_TEST(a_lost_page_has_its_file)
{
  in_child(read_it);
  in_child(write_it);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {addresses_have_their_files, a_lost_page_has_its_file, NULL};
  return scratch_run("mapped", tests);
}
