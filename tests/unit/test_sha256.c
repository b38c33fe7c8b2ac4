/* SHA-256 against the examples of FIPS 180-4 and of NIST's "Secure Hashing" page. */
#include "base/sha256.h"
#include "tests/unit/scratch.h"

static const struct {
  const char *text;
  size_t times;
  const char *digest;
} examples[] = {{"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
                {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
                 "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
                 1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
                {"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};

START_TEST(the_published_examples)
{
  for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
    base_sha256 hash;
    char digest[BASE_SHA256_TEXT];
    base_sha256_begin(&hash);
    for (size_t k = 0; k < examples[i].times; k++)
      base_sha256_add(&hash, examples[i].text, strlen(examples[i].text));
    base_sha256_end(&hash, digest);
    ck_assert_str_eq(digest, examples[i].digest);
  }
}
END_TEST

START_TEST(pieces_do_not_matter)
{
  char text[300], whole[BASE_SHA256_TEXT], digest[BASE_SHA256_TEXT];
  base_sha256 hash;
  for (size_t i = 0; i < sizeof text; i++)
    text[i] = (char)(7 * i);
  base_sha256_begin(&hash);
  base_sha256_add(&hash, text, sizeof text);
  base_sha256_end(&hash, whole);
  for (size_t piece = 1; piece < 130; piece++) {
    base_sha256_begin(&hash);
    for (size_t at = 0; at < sizeof text; at += piece)
      base_sha256_add(&hash, text + at, piece < sizeof text - at ? piece : sizeof text - at);
    base_sha256_end(&hash, digest);
    ck_assert_str_eq(digest, whole);
  }
}
END_TEST

START_TEST(a_file_has_the_digest_of_its_content)
{
  char digest[BASE_SHA256_TEXT];
  size_t bytes;
  FILE *file = fopen(scratch_path("abc"), "w");
  ck_assert(file != NULL && fputs("abc", file) >= 0 && fclose(file) == 0);
  ck_assert_int_eq(base_sha256_file(scratch_path("abc"), digest, &bytes), CDL_STATUS_OK);
  ck_assert_str_eq(digest, examples[1].digest);
  ck_assert_uint_eq(bytes, 3);
  ck_assert_int_eq(base_sha256_file(scratch_path("none"), digest, &bytes), CDL_STATUS_ABSENT);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("sha256");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, scratch_make, scratch_remove);
  tcase_add_test(all, the_published_examples);
  tcase_add_test(all, pieces_do_not_matter);
  tcase_add_test(all, a_file_has_the_digest_of_its_content);
  suite_add_tcase(suite, all);
  return run_suite(suite);
}
