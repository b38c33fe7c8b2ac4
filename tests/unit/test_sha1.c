/* SHA-1 against the examples of FIPS 180-4 and of NIST's "Secure Hashing" page, and git's name of
 * an empty file. */
#include "base/sha1.h"
#include "tests/unit/scratch.h"

static const struct {
  const char *text;
  size_t bytes, times;
  const char *digest;
} examples[] = {{"", 0, 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
                {"abc", 3, 1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
                {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, 1,
                 "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
                {"a", 1, 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
                {"blob 0", 7, 1, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"}};

START_TEST(the_published_examples)
{
  for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
    base_sha1 hash;
    char digest[BASE_SHA1_TEXT];
    base_sha1_begin(&hash);
    for (size_t k = 0; k < examples[i].times; k++)
      base_sha1_add(&hash, examples[i].text, examples[i].bytes);
    base_sha1_end(&hash, digest);
    ck_assert_str_eq(digest, examples[i].digest);
  }
}
END_TEST

START_TEST(pieces_do_not_matter)
{
  char text[300], whole[BASE_SHA1_TEXT], digest[BASE_SHA1_TEXT];
  base_sha1 hash;
  for (size_t i = 0; i < sizeof text; i++)
    text[i] = (char)(7 * i);
  base_sha1_begin(&hash);
  base_sha1_add(&hash, text, sizeof text);
  base_sha1_end(&hash, whole);
  for (size_t piece = 1; piece < 130; piece++) {
    base_sha1_begin(&hash);
    for (size_t at = 0; at < sizeof text; at += piece)
      base_sha1_add(&hash, text + at, piece < sizeof text - at ? piece : sizeof text - at);
    base_sha1_end(&hash, digest);
    ck_assert_str_eq(digest, whole);
  }
}
END_TEST

int main(void)
{
  return scratch_run("sha1",
                     (const TTest *const[]){the_published_examples, pieces_do_not_matter, NULL});
}
