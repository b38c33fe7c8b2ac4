/* Runs that keep the states of frozen layers: the results of runs that compute them in every
 * pass. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/programs/program.h"

/* Runs without dropout whose adapter is in the last layers, or of the head alone. */
#define RUN_OF(method, ...)                                                             \
  "train", "--model", case_file("bert-condlora-paper", "model"), "--train",             \
      case_file("bert-condlora-paper", "train.tsv"), "--text-columns", "sentence1",     \
      "--label-column", "label", "--batch-size", "4", "--lr", "0.01", "--dropout", "0", \
      "--method", method, __VA_ARGS__
#define TOP "--layers-to-transform", "2"

static const char *cache_folder(void)
{
  return scratch("cache");
}

/* The one file of states in the folder. */
static const char *states_file(void)
{
  const char *names = listed(cache_folder());
  ck_assert_msg(count_lines(names) == 1, "%s", names);
  return joined(cache_folder(), text_of("%.*s", (int)strcspn(names, "\n"), names));
}

static void check_same_file(const char *a, const char *b, const char *file)
{
  const char *x, *y;
  const size_t n = read_bytes(joined(a, file), &x), m = read_bytes(joined(b, file), &y);
  ck_assert_msg(n == m && memcmp(x, y, n) == 0, "%s of %s and %s differ", file, a, b);
}

/* The adapter, and all that a run goes on from. */
static void check_same_adapter(const char *a, const char *b)
{
  check_same_file(a, b, "adapter/adapter_model.safetensors");
  check_same_file(a, b, "checkpoint/state.safetensors");
}

static long counted(const char *out, const char *what)
{
  json_t *metrics = parsed(read_text(joined(out, "metrics.json")));
  json_t *frozen = json_object_get(json_object_get(metrics, "timing"), "frozen");
  ck_assert_msg(frozen != NULL, "%s: no states were kept", out);
  return (long)json_integer_value(json_object_get(frozen, what));
}

/* ---- Results ---- */

START_TEST(results_are_those_without_a_cache)
{
  static const char *const methods[] = {"condlora", "none"};
  static const char *const caches[] = {"memory", "disk", "disk", "auto"};
  for (size_t m = 0; m < 2; m++) {
    const char *plain = scratch(text_of("plain-%s", methods[m]));
    /* An option for every method that says nothing. */
    const char *where = m == 0 ? "--layers-to-transform=2" : "--seed=42";
    check_done(RUN(
        RUN_OF(methods[m], "--epochs", "3", where, "--cache-frozen", "off", "--output", plain)));
    for (size_t c = 0; c < sizeof caches / sizeof caches[0]; c++) {
      const char *out = scratch(text_of("%s-%zu", methods[m], c));
      check_done(RUN(RUN_OF(methods[m], "--epochs", "3", where, "--cache-frozen", caches[c],
                            "--cache-dir", cache_folder(), "--output", out)));
      check_same_adapter(plain, out);
      ck_assert_int_eq(counted(out, "first_block"), m == 0 ? 2 : 3);
      /* All that the first run on disk has computed, the second finds. */
      ck_assert_msg((counted(out, "computed") == 0) == (c == 2), "%s, %s: %ld computed", methods[m],
                    caches[c], counted(out, "computed"));
      ck_assert_int_le(counted(out, "computed"), 40);
      ck_assert_int_gt(counted(out, "held"), 0);
    }
  }
}
END_TEST

START_TEST(a_cache_that_is_too_small_computes_the_rest)
{
  const char *plain = scratch("plain");
  check_done(RUN(RUN_OF("lora", "--epochs", "3", TOP, "--cache-frozen", "off", "--output", plain)));
  static const char *const caches[] = {"memory", "disk"};
  for (size_t c = 0; c < 2; c++) {
    const char *out = scratch(caches[c]);
    check_done(RUN(RUN_OF("lora", "--epochs", "3", TOP, "--cache-frozen", caches[c], "--cache-dir",
                          cache_folder(), "--cache-limit", "0.00003", "--output", out)));
    check_same_adapter(plain, out);
    ck_assert_int_gt(counted(out, "computed"), 40);
    ck_assert_int_gt(counted(out, "held"), 0);
  }
  const char *bytes;
  ck_assert_uint_le(read_bytes(states_file(), &bytes), 30000);
}
END_TEST

/* Files of other states make room. */
START_TEST(a_folder_is_bounded_as_a_whole)
{
  const char *bytes;
  check_done(RUN(RUN_OF("lora", "--epochs", "1", TOP, "--cache-frozen", "disk", "--cache-dir",
                        cache_folder(), "--output", scratch("one"))));
  const char *old = states_file();
  const size_t size = read_bytes(old, &bytes);
  const char *limit = text_of("%.9f", (double)size / 1e9 + 1e-6);
  write_text(joined(cache_folder(), "notes.states"), "a file of the user");
  check_done(RUN(RUN_OF("none", "--epochs", "2", "--cache-frozen", "disk", "--cache-dir",
                        cache_folder(), "--cache-limit", limit, "--output", scratch("two"))));
  ck_assert(!exists(old));
  ck_assert(exists(joined(cache_folder(), "notes.states")));
  ck_assert_uint_eq(count_lines(listed(cache_folder())), 2);
  ck_assert_int_le(counted(scratch("two"), "computed"), 40);
}
END_TEST

/* States in BF16 are rounded at their first use too: a run whose cache holds nothing ends in the
 * bytes of one whose cache holds all. */
START_TEST(rounded_states_do_not_depend_on_what_is_kept)
{
  const char *all = scratch("all"), *nothing = scratch("nothing"), *wide = scratch("wide");
  check_done(RUN(RUN_OF("lora", "--epochs", "2", TOP, "--cache-frozen", "memory", "--cache-type",
                        "bf16", "--output", all)));
  check_done(RUN(RUN_OF("lora", "--epochs", "2", TOP, "--cache-frozen", "memory", "--cache-type",
                        "bf16", "--cache-limit", "1e-9", "--output", nothing)));
  check_same_adapter(all, nothing);
  check_done(
      RUN(RUN_OF("lora", "--epochs", "2", TOP, "--cache-frozen", "memory", "--output", wide)));
  const char *x, *y;
  const size_t n = read_bytes(joined(all, "train.jsonl"), &x),
               m = read_bytes(joined(wide, "train.jsonl"), &y);
  ck_assert(n != m || memcmp(x, y, n) != 0);
}
END_TEST

START_TEST(dropout_below_is_off_only_if_asked_for)
{
  static const char *const frozen[] = {"--freeze-dropout", "--seed=42"};
  for (size_t i = 0; i < 2; i++) {
    const outcome o = RUN("train", "--model", case_file("bert-condlora-paper", "model"), "--train",
                          case_file("bert-condlora-paper", "train.tsv"), "--text-columns",
                          "sentence1", "--label-column", "label", "--method", "lora", TOP,
                          "--dropout", "0.1", frozen[i], "--dry-run");
    check_done(o);
    ck_assert_ptr_nonnull(strstr(o.out, i == 0 ? "frozen layers     2 of 3, computed once"
                                               : "frozen layers     2 of 3, with dropout"));
  }
}
END_TEST

START_TEST(rounding_goes_with_a_cache)
{
  check_refused(RUN(RUN_OF("lora", TOP, "--cache-frozen", "off", "--cache-type", "bf16", "--output",
                           scratch("out"))),
                2, "--cache-type bf16", "off");
}
END_TEST

/* What training has kept, other commands read; what they lack, they keep for each other. */
START_TEST(answers_are_those_without_a_cache)
{
  const char *trained = scratch("trained");
  check_done(RUN(RUN_OF("lora", "--epochs", "2", TOP, "--cache-frozen", "disk", "--cache-dir",
                        cache_folder(), "--output", trained)));
  const char *bytes, *file = states_file();
  const size_t size = read_bytes(file, &bytes);
  static const char *const commands[] = {"eval", "predict"};
  for (size_t c = 0; c < 2; c++) {
#define ANSWER                                                                                 \
  commands[c], "--model", case_file("bert-condlora-paper", "model"), "--adapter", trained,     \
      "--input", case_file("bert-condlora-paper", "train.tsv"), "--text-columns", "sentence1", \
      "--label-column", "label"
    const outcome plain = RUN(ANSWER),
                  kept = RUN(ANSWER, "--cache-frozen", "disk", "--cache-dir", cache_folder());
    check_done(plain);
    check_done(kept);
    ck_assert_str_eq(plain.out, kept.out);
    ck_assert_uint_eq(read_bytes(file, &bytes), size);
  }
  /* Another adapter, which leaves all three layers as they are: the file of another block. */
  const char *head = scratch("head");
  check_done(RUN(RUN_OF("none", "--epochs", "1", "--output", head)));
  for (int i = 0; i < 2; i++) {
    const outcome o =
        RUN("predict", "--model", case_file("bert-condlora-paper", "model"), "--adapter", head,
            "--input", case_file("bert-condlora-paper", "train.tsv"), "--text-columns", "sentence1",
            "--cache-frozen", "disk", "--cache-dir", cache_folder());
    check_done(o);
    ck_assert_uint_eq(count_lines(listed(cache_folder())), 2);
  }
}
END_TEST

/* ---- Processes ---- */

static void sleep_ms(unsigned milliseconds)
{
  const struct timespec t = {.tv_nsec = (long)milliseconds * 1000000};
  nanosleep(&t, NULL);
}

START_TEST(kills_leave_a_cache_that_serves)
{
  const char *plain = scratch("plain"), *killed = scratch("killed"), *again = scratch("again");
  check_done(RUN(RUN_OF("condlora", "--epochs", "12", TOP, "--checkpoint-every", "7",
                        "--cache-frozen", "off", "--output", plain)));
#define KILLED(out)                                                                              \
  RUN_OF("condlora", "--epochs", "12", TOP, "--checkpoint-every", "7", "--cache-frozen", "disk", \
         "--cache-dir", cache_folder(), "--output", out)
  for (unsigned k = 0; k < 12; k++) {
    const pid_t program = program_start((const char *const[]){KILLED(killed), "--resume", NULL});
    sleep_ms(5 + 7 * k);
    kill(program, SIGKILL);
    const outcome o = program_wait(program);
    ck_assert_msg(o.exit == 0 || o.exit == -SIGKILL, "exit status %d: %s", o.exit, o.err);
  }
  check_done(RUN(KILLED(killed), "--resume"));
  check_same_adapter(plain, killed);
  check_done(RUN(KILLED(again)));
  check_same_adapter(plain, again);
  ck_assert_int_eq(counted(again, "computed"), 0);
}
END_TEST

/* A run beside those of program.h, of which there is one at a time. */
static pid_t start_beside(const char *const *arguments)
{
  const pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    const int nowhere = open("/dev/null", O_RDWR);
    dup2(nowhere, 1);
    dup2(nowhere, 2);
    execv(getenv("CDL_PROGRAM"), (char *const *)(uintptr_t)arguments);
    _exit(127);
  }
  return child;
}

START_TEST(two_processes_share_a_file)
{
  const char *plain = scratch("plain"), *one = scratch("one"), *two = scratch("two");
  check_done(RUN(RUN_OF("lora", "--epochs", "6", TOP, "--cache-frozen", "off", "--output", plain)));
#define SHARED(out)                                                                             \
  RUN_OF("lora", "--epochs", "6", TOP, "--cache-frozen", "disk", "--cache-dir", cache_folder(), \
         "--output", out)
  const pid_t first = start_beside((const char *const[]){"condlora", SHARED(one), NULL});
  check_done(RUN(SHARED(two)));
  int status;
  ck_assert_int_eq(waitpid(first, &status, 0), first);
  ck_assert_int_eq(status, 0);
  check_same_adapter(plain, one);
  check_same_adapter(plain, two);
  const char *bytes;
  const size_t size = read_bytes(states_file(), &bytes);
  check_done(RUN(SHARED(scratch("three"))));
  ck_assert_uint_eq(read_bytes(states_file(), &bytes), size);
  ck_assert_int_eq(counted(scratch("three"), "computed"), 0);
}
END_TEST

/* ---- Bad files ---- */

/* Trains with the file as it is now; the result is right, and stderr has a line with `text`, or
 * none about states if that is NULL. */
static void check_survives(const char *plain, const char *text)
{
  static unsigned number;
  const char *out = scratch(text_of("out-%u", number++));
  const outcome o = RUN(RUN_OF("lora", "--epochs", "2", TOP, "--cache-frozen", "disk",
                               "--cache-dir", cache_folder(), "--output", out));
  check_done(o);
  ck_assert_msg(text == NULL ? strstr(o.err, ".states") == NULL : strstr(o.err, text) != NULL,
                "expected \"%s\" in: %s", text != NULL ? text : "nothing", o.err);
  check_same_adapter(plain, out);
}

START_TEST(bad_files_change_no_result)
{
  const char *plain = scratch("plain");
  check_done(RUN(RUN_OF("lora", "--epochs", "2", TOP, "--cache-frozen", "off", "--output", plain)));
  check_survives(plain, NULL);
  const char *file = states_file(), *bytes;
  const size_t size = read_bytes(file, &bytes);
  char *bad = malloc(size);
  ck_assert_ptr_nonnull(bad);
  uint32_t identity;
  memcpy(&identity, bytes + 12, sizeof identity);
  const size_t first = 24 + identity;
  const struct {
    size_t place; /* of a flipped bit */
    const char *line;
  } flips[] = {{0, "no file of states"},
               {8, "another version"},
               {12, "damaged"},
               {30, "damaged"},
               {first, "damaged"},
               {first + 4, "damaged"},
               {first + 24, "damaged states"},
               {first + 33, "damaged states"},
               {size - 1, "damaged states"},
               {size / 2, NULL}};
  for (size_t i = 0; i + 1 < sizeof flips / sizeof flips[0]; i++) {
    memcpy(bad, bytes, size);
    bad[flips[i].place] = (char)(bad[flips[i].place] ^ 4);
    write_bytes(file, bad, size);
    check_survives(plain, flips[i].line);
    check_survives(plain, NULL); /* it was made whole */
  }
  for (size_t cut = 0; cut < size; cut += 1 + size / 13) {
    write_bytes(file, bytes, cut);
    check_survives(plain, cut > 0 && cut < first ? ".states" : NULL);
    check_survives(plain, NULL);
  }
  free(bad);
}
END_TEST

/* One weight of a layer below, which the fingerprint of a model need not see. */
START_TEST(another_model_has_another_file)
{
  const char *model = copied_folder(case_file("bert-condlora-paper", "model"), "model"),
             *file = joined(model, "model.safetensors"), *bytes;
  const size_t size = read_bytes(file, &bytes);
  char *changed = malloc(size);
  ck_assert_ptr_nonnull(changed);
  memcpy(changed, bytes, size);
  const char *at = strstr(bytes + 8, "encoder.layer.0.intermediate.dense.weight");
  ck_assert_ptr_nonnull(at);
  uint64_t head;
  memcpy(&head, bytes, sizeof head);
  const size_t first = 8 + head + strtoul(strstr(at, "data_offsets\":[") + 15, NULL, 10);
  static const char *const caches[] = {"disk", "off"};
  for (size_t moved = 100; moved < 2000; moved += 300) {
    const float weight = (float)moved;
    memcpy(changed + first + moved, &weight, sizeof weight);
    write_bytes(file, changed, size);
    for (size_t c = 0; c < 2; c++)
      check_done(RUN("train", "--model", model, "--train",
                     case_file("bert-condlora-paper", "train.tsv"), "--text-columns", "sentence1",
                     "--label-column", "label", "--epochs", "1", "--dropout", "0", "--method",
                     "lora", TOP, "--cache-frozen", caches[c], "--cache-dir", cache_folder(),
                     "--output", scratch(text_of("%s-%zu", caches[c], moved))));
    check_same_file(scratch(text_of("off-%zu", moved)), scratch(text_of("disk-%zu", moved)),
                    "adapter/adapter_model.safetensors");
  }
  free(changed);
  ck_assert_uint_eq(count_lines(listed(cache_folder())), 7);
}
END_TEST

START_TEST(files_that_others_may_change_are_not_used)
{
  const char *plain = scratch("plain");
  check_done(RUN(RUN_OF("lora", "--epochs", "2", TOP, "--cache-frozen", "off", "--output", plain)));
  check_survives(plain, NULL);
  const char *file = states_file();
  ck_assert_int_eq(chmod(file, 0666), 0);
  check_survives(plain, "not used for states of frozen layers");
  ck_assert_int_eq(chmod(file, 0600), 0);
  check_survives(plain, NULL);
  /* A link could lead to another user's file. */
  ck_assert_int_eq(rename(file, scratch("elsewhere")), 0);
  ck_assert_int_eq(symlink(scratch("elsewhere"), file), 0);
  check_survives(plain, "not used for states of frozen layers");
}
END_TEST

START_TEST(a_folder_that_cannot_be_made_is_an_error)
{
  write_text(scratch("file"), "");
  check_refused(RUN(RUN_OF("lora", TOP, "--cache-frozen", "disk", "--cache-dir",
                           scratch("file/below"), "--output", scratch("out"))),
                1, "file");
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("frozen");
  CASE(suite, results_are_those_without_a_cache);
  CASE(suite, a_cache_that_is_too_small_computes_the_rest);
  CASE(suite, a_folder_is_bounded_as_a_whole);
  CASE(suite, rounded_states_do_not_depend_on_what_is_kept);
  CASE(suite, dropout_below_is_off_only_if_asked_for);
  CASE(suite, rounding_goes_with_a_cache);
  CASE(suite, answers_are_those_without_a_cache);
  CASE(suite, kills_leave_a_cache_that_serves);
  CASE(suite, two_processes_share_a_file);
  CASE(suite, bad_files_change_no_result);
  CASE(suite, another_model_has_another_file);
  CASE(suite, files_that_others_may_change_are_not_used);
  CASE(suite, a_folder_that_cannot_be_made_is_an_error);
  return run_suite(suite);
}
