#include "tests/programs/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/unit/scratch.h"

extern char **environ;

/* Everything to be freed at the end of a test. */
enum { KEPT_MAX = 4096 };
static void *kept[KEPT_MAX];
static json_t *kept_json[KEPT_MAX];
static size_t kept_count, kept_json_count;

static void *keep(void *memory)
{
  ck_assert_ptr_nonnull(memory);
  ck_assert_uint_lt(kept_count, KEPT_MAX);
  return kept[kept_count++] = memory;
}

void program_setup(void)
{
  /* As under nohup, the caller's may be ignored, and programs then leave them so. */
  static const int signals[] = {SIGHUP, SIGINT, SIGUSR1, SIGTERM};
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
    signal(signals[i], SIG_DFL);
  scratch_make();
}

void program_teardown(void)
{
  while (kept_count > 0)
    free(kept[--kept_count]);
  while (kept_json_count > 0)
    json_decref(kept_json[--kept_json_count]);
  scratch_remove();
}

/* ---- Running ---- */

static const char *program_path(void)
{
  const char *path = getenv("CDL_PROGRAM");
  ck_assert_msg(path != NULL, "CDL_PROGRAM names the program under test");
  return path;
}

/* `in` and `out`: descriptors instead of `input` and the file of what is written; -1: none. */
static pid_t spawn_with(const char *input, int in, int out, const char *const *arguments)
{
  enum { ARGUMENTS_MAX = 100 };
  char *words[ARGUMENTS_MAX + 2] = {(char *)(uintptr_t)program_path()};
  size_t count = 1;
  for (; arguments[count - 1] != NULL; count++) {
    ck_assert_uint_lt(count, ARGUMENTS_MAX);
    words[count] = (char *)(uintptr_t)arguments[count - 1];
  }
  write_text(scratch_path("stdin"), input != NULL ? input : "");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, scratch_path("stdin"), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, scratch_path("stdout"),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (in >= 0)
    posix_spawn_file_actions_adddup2(&actions, in, 0);
  if (out >= 0)
    posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_addopen(&actions, 2, scratch_path("stderr"),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child;
  const int failed = posix_spawn(&child, words[0], &actions, NULL, words, environ);
  posix_spawn_file_actions_destroy(&actions);
  ck_assert_msg(failed == 0, "%s: %s", words[0], strerror(failed));
  return child;
}

static pid_t spawn(const char *input, const char *const *arguments)
{
  return spawn_with(input, -1, -1, arguments);
}

pid_t program_start_piped(const char *const *arguments, int *to, int *from)
{
  int in[2], out[2];
  ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
  ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
  const pid_t child = spawn_with(NULL, in[0], out[1], arguments);
  close(in[0]);
  close(out[1]);
  *to = in[1];
  *from = out[0];
  return child;
}

pid_t program_start(const char *const *arguments)
{
  return spawn(NULL, arguments);
}

outcome program_wait(pid_t program)
{
  int status;
  while (waitpid(program, &status, 0) < 0)
    ck_assert_int_eq(errno, EINTR);
  return (outcome){.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
                   .out = read_text(scratch_path("stdout")),
                   .err = read_text(scratch_path("stderr"))};
}

bool program_hold(pid_t program, const char *out)
{
  enum { FIRST_STEPS = 100 };
  const struct timespec moment = {.tv_nsec = 1000000};
  const char *log = joined(out, "train.jsonl");
  struct stat facts;
  int status = 0;
  bool over = false;
  while (!over && (stat(log, &facts) != 0 || facts.st_size == 0)) {
    over = waitpid(program, &status, WNOHANG) == program;
    nanosleep(&moment, NULL);
  }
  if (!over) {
    kill(program, SIGSTOP);
    ck_assert_int_eq(waitpid(program, &status, WUNTRACED), program);
    if (WIFSTOPPED(status) && count_lines(read_text(log)) <= FIRST_STEPS)
      return true;
  }
  if (WIFSTOPPED(status)) {
    kill(program, SIGKILL);
    ck_assert_int_eq(waitpid(program, &status, 0), program);
  } else
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the run failed");
  nftw(out, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
  return false;
}

pid_t program_start_held(const char *const *arguments, const char *out)
{
  for (int attempt = 0; attempt < 100; attempt++) {
    const pid_t program = program_start(arguments);
    if (program_hold(program, out))
      return program;
  }
  ck_abort_msg("%s: the run was always over", out);
  return -1;
}

outcome program_run(const char *input, const char *const *arguments)
{
  return program_wait(spawn(input, arguments));
}

void check_done(outcome o)
{
  ck_assert_msg(o.exit == 0, "exit status %d, stderr:\n%s", o.exit, o.err);
  ck_assert_msg(strstr(o.err, "condlora: ") == NULL, "an error line, though it exits 0:\n%s",
                o.err);
}

void check_refused_with(outcome o, int status, const char *const *texts)
{
  ck_assert_msg(o.exit == status, "exit status %d instead of %d, stderr:\n%s", o.exit, status,
                o.err);
  ck_assert_msg(o.out[0] == '\0', "output though it failed:\n%s", o.out);
  ck_assert_msg(strncmp(o.err, "condlora: ", 10) == 0 && count_lines(o.err) == 1,
                "not one error line:\n%s", o.err);
  for (; *texts != NULL; texts++)
    ck_assert_msg(strstr(o.err, *texts) != NULL, "no '%s' in: %s", *texts, o.err);
}

void check_ended_with(outcome o, size_t answers, const char *const *texts)
{
  const char *last = strstr(o.err, "condlora: ");
  ck_assert_msg(o.exit == 1, "exit status %d, stderr:\n%s", o.exit, o.err);
  ck_assert_uint_eq(count_lines(o.out), answers);
  ck_assert_msg(last != NULL && count_lines(last) == 1, "not one error line:\n%s", o.err);
  for (; *texts != NULL; texts++)
    ck_assert_msg(strstr(last, *texts) != NULL, "no '%s' in: %s", *texts, last);
}

/* ---- Files ---- */

const char *text_of(const char *format, ...)
{
  char *text;
  va_list arguments;
  va_start(arguments, format);
  const int length = vasprintf(&text, format, arguments);
  va_end(arguments);
  ck_assert_int_ge(length, 0);
  return keep(text);
}

const char *joined(const char *folder, const char *file)
{
  return text_of("%s/%s", folder, file);
}

const char *scratch(const char *name)
{
  return joined(scratch_folder, name);
}

bool plots_are_drawn(void)
{
  const char *drawn = getenv("CDL_TEST_PLOTS");
  ck_assert_msg(drawn != NULL, "CDL_TEST_PLOTS says whether plots are drawn");
  return strcmp(drawn, "yes") == 0;
}

const char *case_file(const char *name, const char *file)
{
  const char *source = getenv("CDL_SOURCE");
  ck_assert_msg(source != NULL, "CDL_SOURCE names the source folder");
  return joined(joined(joined(source, "tests/data/cases"), name), file);
}

size_t read_bytes(const char *path, const char **bytes)
{
  FILE *file = fopen(path, "rb");
  ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
  ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
  const long size = ftell(file);
  ck_assert_int_ge(size, 0);
  rewind(file);
  char *text = keep(malloc((size_t)size + 1));
  ck_assert_uint_eq(fread(text, 1, (size_t)size, file), (size_t)size);
  text[size] = '\0';
  fclose(file);
  *bytes = text;
  return (size_t)size;
}

const char *read_text(const char *path)
{
  const char *text;
  (void)read_bytes(path, &text);
  return text;
}

void write_bytes(const char *path, const void *bytes, size_t count)
{
  FILE *file = fopen(path, "wb");
  ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
  ck_assert_uint_eq(fwrite(bytes, 1, count, file), count);
  ck_assert_int_eq(fclose(file), 0);
}

void write_text(const char *path, const char *text)
{
  write_bytes(path, text, strlen(text));
}

bool exists(const char *path)
{
  return access(path, F_OK) == 0;
}

const char *copied_folder(const char *from, const char *name)
{
  const char *to = scratch(name);
  ck_assert_int_eq(mkdir(to, 0700), 0);
  DIR *stream = opendir(from);
  ck_assert_msg(stream != NULL, "%s: %s", from, strerror(errno));
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
    if (entry->d_name[0] == '.')
      continue;
    const char *bytes;
    const size_t count = read_bytes(joined(from, entry->d_name), &bytes);
    write_bytes(joined(to, entry->d_name), bytes, count);
  }
  closedir(stream);
  return to;
}

static void list_into(const char *folder, const char *prefix, char *text, size_t bytes)
{
  struct dirent **entries;
  const int count = scandir(folder, &entries, NULL, alphasort);
  ck_assert_msg(count >= 0, "%s: %s", folder, strerror(errno));
  for (int i = 0; i < count; i++) {
    const char *name = entries[i]->d_name;
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
      const size_t used = strlen(text);
      snprintf(text + used, bytes - used, "%s%s\n", prefix, name);
      struct stat facts;
      const char *path = joined(folder, name);
      if (stat(path, &facts) == 0 && S_ISDIR(facts.st_mode)) {
        char below[512];
        snprintf(below, sizeof below, "%.128s%.255s/", prefix, name);
        list_into(path, below, text, bytes);
      }
    }
    free(entries[i]);
  }
  free(entries);
}

const char *listed(const char *folder)
{
  enum { LIST_BYTES = 65536 };
  char *text = keep(calloc(LIST_BYTES, 1));
  list_into(folder, "", text, LIST_BYTES);
  return text;
}

/* ---- Texts ---- */

json_t *parsed(const char *text)
{
  json_error_t error;
  json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
  ck_assert_msg(json != NULL, "line %d: %s in\n%s", error.line, error.text, text);
  ck_assert_uint_lt(kept_json_count, KEPT_MAX);
  return kept_json[kept_json_count++] = json;
}

double number_at(json_t *object, const char *key)
{
  const json_t *value = json_object_get(object, key);
  ck_assert_msg(json_is_number(value), "no number under '%s'", key);
  return json_number_value(value);
}

size_t count_lines(const char *text)
{
  size_t lines = 0;
  for (; *text != '\0'; text++)
    lines += *text == '\n';
  return lines;
}

const char *trained_adapter(void)
{
  const char *out = scratch("out");
  check_done(RUN("train", "--model", case_file("bert-condlora-paper", "model"), "--train",
                 case_file("bert-condlora-paper", "train.tsv"), "--text-columns", "sentence1",
                 "--label-column", "label", "--batch-size", "4", "--epochs", "6", "--lr", "0.02",
                 "--dev", case_file("bert-condlora-paper", "train.tsv"), "--output", out));
  return joined(out, "adapter");
}
