/* Text from files as one line that a terminal shows and does not obey: in messages, notices, JSON,
 * Markdown and HTML. What is hidden is taken from the Unicode standard's lists, written out
 * here. */
#include <check.h>

#include "base/json.h"
#include "base/visible.h"
#include "condlora/log.h"
#include "tests/unit/scratch.h"
#include "tools/reports/document.h"

/* Raw, and as it is shown. */
static const struct {
  const char *raw, *shown;
} hidden[] = {{"\x1b[31m", "\\x1b[31m"},
              {"\x01\x08\x7f", "\\x01\\x08\\x7f"},
              {"a\tb\nc\r", "a\\tb\\nc\\r"},
              {"\xc2\x80\xc2\x9b\xc2\x9f", "\\u0080\\u009b\\u009f"},
              {"\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f", "\\u061c\\u200e\\u200f"},
              {"\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029"},
              {"\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad\xe2\x80\xae",
               "\\u202a\\u202b\\u202c\\u202d\\u202e"},
              {"\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9", "\\u2066\\u2067\\u2068\\u2069"},
              /* No UTF-8: alone, overlong, a surrogate, above U+10FFFF, cut. */
              {"\x9b", "\\x9b"},
              {"\xc0\x9b", "\\xc0\\x9b"},
              {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
              {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
              {"\xe2\x80", "\\xe2\\x80"},
              /* What is shown as it is. */
              {"naïve \xe2\x80\xa6 \xe6\xbc\xa2 \xf0\x9f\x98\x80", "naïve … 漢 😀"},
              {"\xc2\xa0\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5",
               "\xc2\xa0\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5"},
              {"\\d+|`[x](y)`", "\\d+|`[x](y)`"},
              {"", ""}};
enum { HIDDEN = sizeof hidden / sizeof hidden[0] };

START_TEST(what_is_hidden_is_spelled_out)
{
  for (size_t i = 0; i < HIDDEN; i++)
    ck_assert_str_eq(base_visible(hidden[i].raw).text, hidden[i].shown);
  ck_assert_str_eq(base_visible(NULL).text, "");
}
END_TEST

START_TEST(what_is_too_long_is_cut_between_characters)
{
  char shown[16];
  base_make_visible("123456789012345", 15, shown, sizeof shown);
  ck_assert_str_eq(shown, "123456789012345");
  base_make_visible("1234567890123456", 16, shown, sizeof shown);
  ck_assert_str_eq(shown, "123456789012…");
  base_make_visible("1234567890\x1b\x1b\x1b", 13, shown, sizeof shown);
  ck_assert_str_eq(shown, "1234567890…");
  base_make_visible("ééééééééé", 18, shown, sizeof shown);
  ck_assert_str_eq(shown, "éééééé…");
}
END_TEST

static void keep_line(void *user, cdl_log_level level, const char *line)
{
  (void)level;
  snprintf(user, 1024, "%s", line);
}

START_TEST(messages_and_notices_are_one_line)
{
  char line[1024];
  cdl_log_to(keep_line, line);
  for (size_t i = 0; i < HIDDEN; i++) {
    ck_assert_int_eq(cdl_fail(CDL_STATUS_DATA, "f:1: %s", hidden[i].raw), CDL_STATUS_DATA);
    ck_assert_str_eq(cdl_error_message() + 5, hidden[i].shown);
    ck_assert_int_eq(cdl_context(CDL_STATUS_DATA, "%s", hidden[i].raw), CDL_STATUS_DATA);
    ck_assert_int_eq(strncmp(cdl_error_message(), hidden[i].shown, strlen(hidden[i].shown)), 0);
    cdl_log(CDL_LOG_NOTICE, "%s", hidden[i].raw);
    ck_assert_str_eq(line, hidden[i].shown);
  }
  cdl_log_to(NULL, NULL);
  /* What is too long for a message ends between characters. */
  char text[2048];
  for (size_t shift = 0; shift < 4; shift++) {
    memset(text, 'x', shift);
    for (size_t i = shift; i + 4 < sizeof text; i += 4)
      memcpy(text + i, "\xf0\x9f\x98\x80", 5);
    ck_assert_int_eq(cdl_fail(CDL_STATUS_DATA, "%s", text), CDL_STATUS_DATA);
    ck_assert_ptr_null(strchr(cdl_error_message(), '\\'));
  }
}
END_TEST

/* A reader of JSON gets the text back; nothing of it reaches a terminal before. */
START_TEST(json_holds_nothing_hidden)
{
  for (size_t i = 0; i < HIDDEN; i++) {
    if (strstr(hidden[i].shown, "\\x9b") != NULL || strstr(hidden[i].shown, "\\xe") != NULL ||
        strstr(hidden[i].shown, "\\xf") != NULL || strstr(hidden[i].shown, "\\xc") != NULL)
      continue; /* no UTF-8: base_json_string_of has replaced it */
    json_t *value = json_string(hidden[i].raw);
    char *text = base_json_line(value);
    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(base_visible(text).text, text);
    base_json_fault fault;
    json_t *again = base_json_load(text, strlen(text), &fault);
    ck_assert(json_equal(value, again));
    json_decref(value);
    json_decref(again);
    free(text);
  }
}
END_TEST

static const char *read_whole(const char *path)
{
  static char text[1 << 14];
  FILE *file = fopen(path, "rb");
  ck_assert_ptr_nonnull(file);
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  return text;
}

static void expect_in(const char *text, const char *piece)
{
  ck_assert_msg(strstr(text, piece) != NULL, "no '%s' in\n%s", piece, text);
}

START_TEST(reports_take_no_markup_from_files)
{
  static const char hostile[] = "a|b `c` [d](javascript:e) <img src=x> &lt; *f* \\.g \x1b]0;h\n# i";
  report_document *d;
  expect_ok(report_document_begin(scratch_folder, "page", "Title", NULL, &d));
  report_document_table_begin(d, 2);
  report_document_cell(d, "`%s`", "setting");
  report_document_cell(d, "p < 0.001");
  report_document_cell(d, "%s", report_document_foreign(hostile).text);
  report_document_cell(d, "`%s`", report_document_foreign("x|`y`").text);
  report_document_table_end(d);
  report_document_item(d, "Model: %s.", report_document_foreign(hostile).text);
  report_document_heading(d, "<b>\n");
  expect_ok(report_document_commit(d));
  const char *markdown = read_whole(scratch_path("page.md"));
  expect_in(markdown, "| `setting` | p < 0.001 |\n|---|---:|\n");
  expect_in(markdown, "| a\\|b \\`c\\` \\[d\\](javascript:e) \\<img src=x> \\&lt; \\*f\\* \\\\.g "
                      "\\\\x1b\\]0;h\\\\n# i | `x\\|'y'` |\n");
  expect_in(markdown, "* Model: a|b \\`c\\` \\[d\\]");
  expect_in(markdown, "## \\<b>\\\\n\n");
  const char *html = read_whole(scratch_path("page.html"));
  expect_in(html, "<td>a|b `c` [d](javascript:e) &lt;img src=x&gt; &amp;lt; *f* \\.g "
                  "\\x1b]0;h\\n# i</td><td><code>x|`y`</code></td></tr>\n");
  expect_in(html, "<h2>&lt;b&gt;\\n</h2>\n");
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      what_is_hidden_is_spelled_out,     what_is_too_long_is_cut_between_characters,
      messages_and_notices_are_one_line, json_holds_nothing_hidden,
      reports_take_no_markup_from_files, NULL};
  return scratch_run("visible", tests);
}
