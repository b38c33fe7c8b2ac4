/* SHA-1 and SHA-256 against the examples of FIPS 180-4 and of NIST's "Secure Hashing" page, and
 * git's name of an empty file. */
#include "base/sha.h"
#include "tests/unit/scratch.h"

static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

static const struct {
  base_sha_kind kind;
  const char *text;
  size_t bytes, times;
  const char *digest;
} examples[] = {
    {BASE_SHA1, "", 0, 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {BASE_SHA1, "abc", 3, 1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {BASE_SHA1, two_blocks, 56, 1, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    {BASE_SHA1, "a", 1, 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
    {BASE_SHA1, "blob 0", 7, 1, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"},
    {BASE_SHA256, "", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {BASE_SHA256, "abc", 3, 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {BASE_SHA256, two_blocks, 56, 1,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {BASE_SHA256,
     "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
     "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     112, 1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    {BASE_SHA256, "a", 1, 1000000,
     "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};

START_TEST(the_published_examples)
{
  for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
    base_sha hash;
    char digest[BASE_SHA_TEXT];
    base_sha_begin(&hash, examples[i].kind);
    for (size_t k = 0; k < examples[i].times; k++)
      base_sha_add(&hash, examples[i].text, examples[i].bytes);
    base_sha_end(&hash, digest);
    ck_assert_str_eq(digest, examples[i].digest);
  }
}
END_TEST

static void digest_pieces(base_sha_kind kind, const char *text, size_t bytes, size_t piece,
                          char digest[BASE_SHA_TEXT])
{
  base_sha hash;
  base_sha_begin(&hash, kind);
  for (size_t at = 0; at < bytes; at += piece)
    base_sha_add(&hash, text + at, piece < bytes - at ? piece : bytes - at);
  base_sha_end(&hash, digest);
}

START_TEST(pieces_do_not_matter)
{
  static const base_sha_kind kinds[] = {BASE_SHA1, BASE_SHA256};
  char text[300], whole[BASE_SHA_TEXT], digest[BASE_SHA_TEXT];
  for (size_t i = 0; i < sizeof text; i++)
    text[i] = (char)(7 * i);
  for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
    digest_pieces(kinds[k], text, sizeof text, sizeof text, whole);
    for (size_t piece = 1; piece < 130; piece++) {
      digest_pieces(kinds[k], text, sizeof text, piece, digest);
      ck_assert_str_eq(digest, whole);
    }
  }
}
END_TEST

START_TEST(a_file_has_the_digest_of_its_content)
{
  char digest[BASE_SHA_TEXT];
  size_t bytes;
  FILE *file = fopen(scratch_path("abc"), "w");
  ck_assert(file != NULL && fputs("abc", file) >= 0 && fclose(file) == 0);
  ck_assert_int_eq(base_sha256_file(scratch_path("abc"), digest, &bytes), CDL_STATUS_OK);
  ck_assert_str_eq(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  ck_assert_uint_eq(bytes, 3);
  ck_assert_int_eq(base_sha256_file(scratch_path("none"), digest, &bytes), CDL_STATUS_ABSENT);
}
END_TEST

int main(void)
{
  return scratch_run("sha", (const TTest *const[]){the_published_examples, pieces_do_not_matter,
                                                   a_file_has_the_digest_of_its_content, NULL});
}
