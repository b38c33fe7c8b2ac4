/* predict and tokenize while the input comes: from pipes that stay open, of any length, with bad
 * rows in them. */
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/programs/program.h"

/* A line, which must come within a minute. */
static void read_line(int from, char *line, size_t room)
{
  size_t used = 0;
  do {
    struct pollfd input = {.fd = from, .events = POLLIN};
    ck_assert_uint_lt(used, room - 1);
    ck_assert_msg(poll(&input, 1, 60000) == 1, "no answer while the input stays open");
    ck_assert_int_eq(read(from, line + used, 1), 1);
  } while (line[used++] != '\n');
  line[used] = '\0';
}

static void check_answers_come(const char *const *arguments)
{
  static const char *const inputs[] = {"The lamp\n", "The stone\nThe cello\n", "The tick", "et\n"};
  static const size_t answers[] = {1, 2, 0, 1};
  char line[4096];
  int to, from, index = 0;
  const pid_t program = program_start_piped(arguments, &to, &from);
  for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
    ck_assert_int_eq(write(to, inputs[i], strlen(inputs[i])), (ssize_t)strlen(inputs[i]));
    for (size_t k = 0; k < answers[i]; k++) {
      read_line(from, line, sizeof line);
      ck_assert_int_eq((int)number_at(parsed(line), "index"), index++);
    }
  }
  close(to);
  ck_assert_int_eq(read(from, line, 1), 0);
  close(from);
  check_done(program_wait(program));
}

START_TEST(answers_come_while_the_input_is_open)
{
  const char *adapter = trained_adapter();
  check_answers_come((const char *const[]){"predict", TRAINED, "--input", "-", NULL});
  check_answers_come((const char *const[]){
      "tokenize", "--model", case_file("bert-condlora-paper", "model"), "--input", "-", NULL});
}
END_TEST

/* Ctrl-C ends a wait for input, a reader that is gone a wait for nothing. */
START_TEST(a_wait_for_input_ends_by_a_signal)
{
  const char *adapter = trained_adapter();
  char line[4096];
  int to, from;
  const pid_t program = program_start_piped(
      (const char *const[]){"predict", TRAINED, "--input", "-", NULL}, &to, &from);
  ck_assert_int_eq(write(to, "The lamp\n", 9), 9);
  read_line(from, line, sizeof line);
  kill(program, SIGINT);
  const outcome o = program_wait(program);
  ck_assert_int_eq(o.exit, 130);
  ck_assert_ptr_nonnull(strstr(o.err, "condlora: stopped"));
  close(to);
  close(from);
}
END_TEST

START_TEST(a_reader_that_is_gone_ends_it)
{
  const char *adapter = trained_adapter();
  int to, from;
  const pid_t program = program_start_piped(
      (const char *const[]){"predict", TRAINED, "--input", "-", NULL}, &to, &from);
  close(from);
  ck_assert_int_eq(write(to, "The lamp\n", 9), 9); /* and stays open */
  const outcome o = program_wait(program);
  close(to);
  ck_assert_int_eq(o.exit, 1);
  ck_assert_ptr_nonnull(strstr(o.err, "standard output"));
}
END_TEST

/* Rows: several windows, the bad one in the last. */
enum { MANY = 1500, BAD = 1234, WINDOWS_BEFORE = 1024 };

/* A table of MANY rows, of which row BAD is `bad`. */
static const char *many_rows(const char *name, const char *header, const char *row, const char *bad)
{
  const char *path = scratch(name);
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  fputs(header, file);
  for (int i = 0; i < MANY; i++)
    fputs(i == BAD && bad != NULL ? bad : row, file);
  ck_assert_int_eq(fclose(file), 0);
  return path;
}

START_TEST(answers_before_a_bad_row_stand)
{
  static const struct {
    const char *name, *header, *row, *bad;
    int lines; /* a row has, the header aside */
  } kinds[] = {
      {"m.txt", "", "The lamp sings\n", "The lamp\tsings\n", 1},
      {"m.tsv", "label\tsentence1\n", "no\tThe lamp sings\n", "no\n", 1},
      {"m.csv", "label,sentence1\n", "no,\"The lamp\nsings\"\n", "no,\"The lamp\"sings\n", 2},
      {"m.jsonl", "", "{\"sentence1\": \"The lamp sings\"}\n", "{\"sentence1\": \n", 1},
      {"utf8.txt", "", "The lamp sings\n", "The \xff lamp\n", 1}};
  const char *adapter = trained_adapter(), *out = scratch("answers.jsonl");
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    const char *good = many_rows(text_of("good-%s", kinds[i].name), kinds[i].header, kinds[i].row,
                                 NULL),
               *bad = many_rows(kinds[i].name, kinds[i].header, kinds[i].row, kinds[i].bad);
    const outcome whole = RUN("predict", TRAINED, "--input", good);
    check_done(whole);
    ck_assert_uint_eq(count_lines(whole.out), MANY);
    const int line = kinds[i].lines * BAD + 1 + (kinds[i].header[0] != '\0');
    const outcome o = RUN("predict", TRAINED, "--input", bad);
    check_ended(o, BAD, text_of("%s:%d: ", bad, line));
    /* The last digit of a logit depends on who shares its batch: windows before are the same. */
    const char *end = o.out;
    for (int k = 0; k < WINDOWS_BEFORE; k++)
      end = strchr(end, '\n') + 1;
    ck_assert_msg(strncmp(whole.out, o.out, (size_t)(end - o.out)) == 0,
                  "other answers than without %s", kinds[i].bad);
    check_ended(RUN("tokenize", "--model", case_file("bert-condlora-paper", "model"), "--input",
                    bad, strstr(bad, ".txt") != NULL ? "--output" : "--text-columns",
                    strstr(bad, ".txt") != NULL ? "-" : "sentence1"),
                BAD, text_of("%s:%d: ", bad, line));
    /* A file is whole or not there. */
    check_refused(RUN("predict", TRAINED, "--input", bad, "--output", out), 1, kinds[i].name);
    ck_assert(!exists(out));
    check_done(RUN("predict", TRAINED, "--input", good, "--output", out));
    ck_assert_str_eq(read_text(out), whole.out);
    ck_assert_int_eq(unlink(out), 0);
  }
}
END_TEST

/* Three windows of a case's rows over and over, in each window sorted by length: of MPNet, whose
 * attention knows distances. Every copy of a row has the logits that the row has alone. */
START_TEST(windows_give_each_row_its_own_answer)
{
  const char *rows = read_text(case_file("mpnet-lora", "train.tsv")),
             *body = strchr(rows, '\n') + 1, *repeated = scratch("repeated.tsv");
  const size_t count = count_lines(body), times = WINDOWS_BEFORE / count + 2;
  FILE *file = fopen(repeated, "w");
  ck_assert_ptr_nonnull(file);
  fprintf(file, "%.*s", (int)(body - rows), rows);
  for (size_t i = 0; i < times; i++)
    fputs(body, file);
  ck_assert_int_eq(fclose(file), 0);
#define PREDICT(input)                                                                          \
  RUN("predict", "--model", case_file("mpnet-lora", "model"), "--adapter",                      \
      case_file("mpnet-lora", "adapter"), "--text-columns", "sentence1", "--max-length", "160", \
      "--input", input)
  const outcome once = PREDICT(case_file("mpnet-lora", "train.tsv")), many = PREDICT(repeated);
#undef PREDICT
  check_done(once);
  check_done(many);
  ck_assert_uint_eq(count_lines(many.out), times * count);
  json_error_t error;
  const char *one = once.out, *line = many.out;
  for (size_t i = 0; i < times * count; i++) {
    json_t *wanted = json_loads(one, JSON_DISABLE_EOF_CHECK, &error),
           *got = json_loads(line, JSON_DISABLE_EOF_CHECK, &error);
    ck_assert(wanted != NULL && got != NULL);
    ck_assert_uint_eq((size_t)number_at(got, "index"), i);
    for (size_t c = 0; c < 2; c++) {
      const double x = json_number_value(json_array_get(json_object_get(wanted, "logits"), c)),
                   y = json_number_value(json_array_get(json_object_get(got, "logits"), c));
      ck_assert_msg(fabs(x - y) <= 1e-5 * fmax(1, fabs(x)), "row %zu: %.9g, alone %.9g", i, y, x);
    }
    json_decref(wanted);
    json_decref(got);
    line = strchr(line, '\n') + 1;
    one = (i + 1) % count == 0 ? once.out : strchr(one, '\n') + 1;
  }
}
END_TEST

/* Kilobytes, at most, of a tokenize that reads `bytes` bytes from a pipe. */
static long peak_of(size_t bytes)
{
  static const char row[] = "The tiny cello sings under the bridge again and again, and so on\n";
  char block[1 << 16];
  for (size_t i = 0; i < sizeof block; i++)
    block[i] = row[i % (sizeof row - 1)];
  int to, from;
  const pid_t program = program_start_piped(
      (const char *const[]){"tokenize", "--model", case_file("bert-condlora-paper", "model"),
                            "--max-length", "4", "--input", "-", NULL},
      &to, &from);
  const pid_t reader = fork();
  ck_assert_int_ge(reader, 0);
  if (reader == 0) {
    close(to);
    while (read(from, block, sizeof block) > 0)
      continue;
    _exit(0);
  }
  close(from);
  for (size_t done = 0; done < bytes;) {
    const ssize_t written = write(to, block, sizeof block / (sizeof row - 1) * (sizeof row - 1));
    ck_assert_int_gt(written, 0);
    done += (size_t)written;
  }
  close(to);
  int status;
  struct rusage used;
  ck_assert_int_eq(wait4(program, &status, 0, &used), program);
  ck_assert_int_eq(status, 0);
  ck_assert_int_eq(waitpid(reader, NULL, 0), reader);
  return used.ru_maxrss;
}

START_TEST(memory_does_not_grow_with_the_input)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  const bool keeps_what_is_freed = true;
#else
  const bool keeps_what_is_freed = false;
#endif
  if (keeps_what_is_freed) {
    puts("skipped: memory_does_not_grow_with_the_input: a sanitizer keeps what is freed");
    return;
  }
  const long few = peak_of(4 << 20), many = peak_of(24 << 20);
  ck_assert_msg(many < few + 4096, "%ld kB for 4 MB of input, %ld kB for 24 MB", few, many);
}
END_TEST

/* By its name, by another, by a link, and from standard input. */
START_TEST(the_input_is_not_replaced)
{
  static const char text[] = "The lamp\nThe stone\n";
  const char *model = case_file("bert-condlora-paper", "model"), *rows = scratch("rows.txt"),
             *link_name = scratch("link.txt"), *hard = scratch("hard.txt");
  write_text(rows, text);
  ck_assert_int_eq(symlink("rows.txt", link_name), 0);
  ck_assert_int_eq(link(rows, hard), 0);
  const char *const names[][2] = {{rows, rows},
                                  {rows, link_name},
                                  {link_name, rows},
                                  {rows, hard},
                                  {scratch("./rows.txt"), rows}};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    check_refused(
        RUN("tokenize", "--model", model, "--input", names[i][0], "--output", names[i][1]), 2,
        "--output", names[i][1], "--input");
    check_refused(RUN("predict", "--model", model, "--input", names[i][0], "--output", names[i][1]),
                  2, "--output", names[i][1], "--input");
  }
  /* Standard input is the file "stdin" there. */
  const char *const arguments[] = {"tokenize", "--model",        model, "--input", "-",
                                   "--output", scratch("stdin"), NULL};
  check_refused(program_run(text, arguments), 2, "--output", "stdin", "--input");
  ck_assert_str_eq(read_text(rows), text);
  ck_assert_str_eq(read_text(scratch("stdin")), text);
  check_done(RUN("tokenize", "--model", model, "--input", rows, "--output", scratch("ids")));
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("windows");
  CASE(suite, answers_come_while_the_input_is_open);
  CASE(suite, a_wait_for_input_ends_by_a_signal);
  CASE(suite, a_reader_that_is_gone_ends_it);
  CASE(suite, answers_before_a_bad_row_stand);
  CASE(suite, windows_give_each_row_its_own_answer);
  CASE(suite, memory_does_not_grow_with_the_input);
  CASE(suite, the_input_is_not_replaced);
  return run_suite(suite);
}
