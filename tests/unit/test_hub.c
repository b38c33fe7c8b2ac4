/* The hub's names, addresses and answers, against the rules of huggingface_hub 0.36
 * (validate_repo_id, hf_hub_url, _normalize_etag) and RFC 9110. */
#include "model/hub/address.h"
#include "model/hub/answer.h"
#include "tests/unit/scratch.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

START_TEST(names_are_those_of_the_hub)
{
  static const char *const good[][3] = {
      {"roberta-base", "roberta-base", "main"},
      {"FacebookAI/roberta-base", "FacebookAI/roberta-base", "main"},
      {"a/b.c_d-e", "a/b.c_d-e", "main"},
      {"o/m@v1.0", "o/m", "v1.0"},
      {"o/m@refs/pr/7", "o/m", "refs/pr/7"},
      {"m@" COMMIT, "m", COMMIT}};
  static const char *const bad[] = {
      "",      "/",       ".",        "..",    "./m",   "../m", "/o/m",   "o/m/",   "a/b/c",
      "o//m",  "a b",     "o/m.git",  "-m",    "m-",    ".m",   "m.",     "a--b",   "a..b",
      "o/m@",  "o/m@a b", "o/m@../x", "m@a:b", "m@a^b", "m@/a", "m@a//b", "m@a\\b", "m@\x7f",
      "m\xc3", "~/m",     "m@a\nb",   "o/m@.", "@v1",   "m@."};
  hub_name name;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    ck_assert_msg(hub_name_read(good[i][0], &name), "%s", good[i][0]);
    ck_assert_str_eq(name.repository, good[i][1]);
    ck_assert_str_eq(name.revision, good[i][2]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_msg(!hub_name_read(bad[i], &name), "'%s'", bad[i]);
}
END_TEST

START_TEST(names_have_96_bytes_at_most)
{
  char text[128];
  hub_name name;
  memset(text, 'a', sizeof text);
  text[96] = '\0';
  ck_assert(hub_name_read(text, &name));
  text[96] = 'a';
  text[97] = '\0';
  ck_assert(!hub_name_read(text, &name));
}
END_TEST

START_TEST(parts_of_paths_stay_inside)
{
  static const char *const good[] = {"a", "a/b.c", "...", "a..b", ".git/x", "model-1-of-2.bin"};
  static const char *const bad[] = {"",
                                    "/",
                                    "/a",
                                    "a/",
                                    "a//b",
                                    ".",
                                    "..",
                                    "a/..",
                                    "../a",
                                    "a/./b",
                                    "a\\b",
                                    "a\x01"
                                    "b",
                                    "\xc3\xa9"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    ck_assert_msg(hub_is_inner_path(good[i]), "%s", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_msg(!hub_is_inner_path(bad[i]), "%s", bad[i]);
  ck_assert(hub_is_hash(COMMIT) && !hub_is_hash("abc") && !hub_is_hash(""));
  ck_assert(!hub_is_commit("0123456789ABCDEF0123456789abcdef01234567"));
}
END_TEST

START_TEST(addresses_are_quoted)
{
  char *address = hub_address_of("https://h", "o/m", "refs/pr/1", "a b/c?d.json");
  ck_assert_str_eq(address, "https://h/o/m/resolve/refs%2Fpr%2F1/a%20b/c%3Fd.json");
  free(address);
}
END_TEST

START_TEST(a_host_is_the_same_by_its_letters)
{
  static const char hub[] = "https://hub.co/o/m";
  static const char *const same[] = {"https://hub.co", "https://hub.co/", "HTTPS://Hub.Co/x",
                                     "https://hub.co?x", "https://hub.co#x"};
  static const char *const other[] = {"https://hub.co.evil/",
                                      "https://hub.com/",
                                      "https://hub.co:444/",
                                      "http://hub.co/",
                                      "https://hub.co@evil/",
                                      "https://evil/https://hub.co/",
                                      "//hub.co/",
                                      "/o/m",
                                      "https://hub.co\\@evil/",
                                      "https://",
                                      "https://hub.co /",
                                      ""};
  for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
    ck_assert_msg(hub_address_same_origin(hub, same[i]), "%s", same[i]);
  for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
    ck_assert_msg(!hub_address_same_origin(hub, other[i]), "%s", other[i]);
}
END_TEST

START_TEST(redirects_never_leave_https)
{
  ck_assert(hub_address_may_follow("https://a/", "https://b/"));
  ck_assert(hub_address_may_follow("http://a/", "https://b/"));
  ck_assert(hub_address_may_follow("http://a/", "http://b/"));
  ck_assert(!hub_address_may_follow("https://a/", "http://b/"));
  ck_assert(!hub_address_may_follow("http://a/", "file:///etc/passwd"));
  ck_assert(!hub_address_may_follow("http://a/", "ftp://b/"));
}
END_TEST

static hub_answer read_head(const char *text)
{
  hub_answer answer;
  hub_answer_clear(&answer);
  for (const char *line = text; *line != '\0';) {
    const size_t length = strcspn(line, "\n") + (strchr(line, '\n') != NULL);
    hub_answer_read(&answer, line, length);
    line += length;
  }
  return answer;
}

START_TEST(a_head_is_read)
{
  hub_answer a = read_head("HTTP/1.1 302 Found\r\nx-repo-COMMIT:" COMMIT
                           " \r\nETag: W/\"page\"\r\nX-Linked-Etag: \"abc\"\r\n"
                           "X-Linked-Size: 499\r\nContent-Length: 7\r\n\r\n");
  ck_assert_int_eq(a.status, 302);
  ck_assert_str_eq(a.commit, COMMIT);
  ck_assert_str_eq(a.tag, "page");
  ck_assert_str_eq(hub_answer_hash(&a), "abc");
  ck_assert_int_eq(hub_answer_size(&a), 499);
  a = read_head("HTTP/2 206\r\ncontent-range: bytes 100-199/200\r\nretry-after: 7\r\n"
                "etag: W/\"def\"\r\ncontent-length: 100\r\nx-error-code: EntryNotFound\r\n");
  ck_assert_int_eq(a.status, 206);
  ck_assert_int_eq(a.range_start, 100);
  ck_assert_int_eq(a.retry_after, 7);
  ck_assert_str_eq(hub_answer_hash(&a), "def");
  ck_assert_int_eq(hub_answer_size(&a), 100);
  ck_assert_str_eq(a.code, "EntryNotFound");
}
END_TEST

START_TEST(a_status_line_begins_a_new_answer)
{
  const hub_answer a = read_head("HTTP/1.1 100 Continue\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n"
                                 "HTTP/1.1 404 Not Found\r\n");
  ck_assert_int_eq(a.status, 404);
  ck_assert_ptr_null(hub_answer_hash(&a));
  ck_assert_int_eq(hub_answer_size(&a), -1);
}
END_TEST

START_TEST(what_is_ill_formed_says_nothing)
{
  char long_tag[400] = "HTTP/1.1 200 OK\nETag: \"";
  memset(long_tag + strlen(long_tag), 'a', 300);
  hub_answer a = read_head(long_tag);
  ck_assert_ptr_null(hub_answer_hash(&a));
  a = read_head("HTTP/1.1 200 OK\nX-Repo-Commit: ../../evil\nContent-Length: -5\nETag\n: x\n"
                "X-Linked-Size: 99999999999999999999\nContent-Range: bytes -5/7\n"
                "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\n");
  ck_assert_str_eq(a.commit, "");
  ck_assert_ptr_null(hub_answer_hash(&a));
  ck_assert_int_eq(hub_answer_size(&a), -1);
  ck_assert_int_eq(a.range_start, -1);
  ck_assert_int_eq(a.retry_after, -1);
}
END_TEST

int main(void)
{
  return scratch_run(
      "hub", (const TTest *const[]){names_are_those_of_the_hub, names_have_96_bytes_at_most,
                                    parts_of_paths_stay_inside, addresses_are_quoted,
                                    a_host_is_the_same_by_its_letters, redirects_never_leave_https,
                                    a_head_is_read, a_status_line_begins_a_new_answer,
                                    what_is_ill_formed_says_nothing, NULL});
}
