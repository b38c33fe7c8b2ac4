/* Runs the built program and looks at what it did: exit status, both streams, files. */
#ifndef CONDLORA_TESTS_PROGRAMS_PROGRAM_H
#define CONDLORA_TESTS_PROGRAMS_PROGRAM_H

#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "tests/run_suite.h"

/* Of a run that is over. The texts live until program_teardown. */
typedef struct {
  int exit; /* status; minus the signal's number where one ended it */
  const char *out, *err;
} outcome;

/* For each test: a scratch folder before, everything removed after. */
void program_setup(void);
void program_teardown(void);

/* Runs condlora to its end. `input` is what it reads from stdin; NULL: nothing. */
outcome program_run(const char *input, const char *const *arguments);
#define RUN(...) program_run(NULL, (const char *const[]){__VA_ARGS__, NULL})
#define RUN_WITH(input, ...) program_run(input, (const char *const[]){__VA_ARGS__, NULL})

/* The same in two halves, to send signals between them. One at a time. */
pid_t program_start(const char *const *arguments);
/* With a pipe that the program reads as stdin and one that it writes as stdout, which are the
 * caller's; program_wait gives what it wrote elsewhere. */
pid_t program_start_piped(const char *const *arguments, int *to, int *from);
outcome program_wait(pid_t program);

/* Stops (SIGSTOP) a run of some hundred steps into `out` after one of its first, for what is to
 * reach it there; SIGCONT lets it go on. False where the run was over before the test woke, as
 * happens on a busy machine: it was waited for, and its folder is removed. */
bool program_hold(pid_t program, const char *out);
/* program_start, again until the run is held. */
pid_t program_start_held(const char *const *arguments, const char *out);

/* Exits 0, and no error line. */
void check_done(outcome o);
/* Exits with `status`; stdout is empty, stderr one line that begins "condlora: " and holds every
 * one of the texts. */
void check_refused_with(outcome o, int status, const char *const *texts);
#define check_refused(o, status, ...) \
  check_refused_with(o, status, (const char *const[]){__VA_ARGS__, NULL})

/* Exits with 1 after `answers` lines on stdout; stderr ends with one line that begins "condlora: "
 * and holds every one of the texts. */
void check_ended_with(outcome o, size_t answers, const char *const *texts);
#define check_ended(o, answers, ...) \
  check_ended_with(o, answers, (const char *const[]){__VA_ARGS__, NULL})

/* Whether the object that draws plots was built (-Dplots). */
bool plots_are_drawn(void);

/* A file of a parity case: case_file("bert-full", "train.tsv"). Lives until program_teardown, as
 * all texts here do. */
const char *case_file(const char *name, const char *file);
const char *joined(const char *folder, const char *file);
/* A text as by printf. */
const char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A path in the test's scratch folder. */
const char *scratch(const char *name);
/* A copy of a folder of files, in the scratch folder under `name`. */
const char *copied_folder(const char *from, const char *name);

/* Trains on the examples of bert-condlora-paper into scratch("out"); the adapter's folder. TRAINED
 * are the options that apply it, by the name `adapter`. */
const char *trained_adapter(void);
#define TRAINED "--model", case_file("bert-condlora-paper", "model"), "--adapter", adapter

/* Whole files. */
const char *read_text(const char *path);
size_t read_bytes(const char *path, const char **bytes);
void write_bytes(const char *path, const void *bytes, size_t count);
void write_text(const char *path, const char *text);
bool exists(const char *path);
/* Names in a folder, sorted, one a line; folders below it too, as
 * "checkpoint/state.safetensors". */
const char *listed(const char *folder);

/* The JSON of a text, released by program_teardown; a text that is none fails the test. */
json_t *parsed(const char *text);
double number_at(json_t *object, const char *key);
/* How many lines a text has. */
size_t count_lines(const char *text);

#define CASE(suite, test) CASE_TAGGED(suite, test, "")
/* Not under a sanitizer: see tests/meson.build. */
#define CASE_THAT_REPEATS(suite, test) CASE_TAGGED(suite, test, "repeats")
#define CASE_TAGGED(suite, test, tag)                                  \
  do {                                                                 \
    TCase *case_ = tcase_create(#test);                                \
    tcase_add_checked_fixture(case_, program_setup, program_teardown); \
    tcase_set_timeout(case_, 120);                                     \
    tcase_set_tags(case_, tag);                                        \
    tcase_add_test(case_, test);                                       \
    suite_add_tcase(suite, case_);                                     \
  } while (0)

#endif
