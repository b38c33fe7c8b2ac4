/* SentencePiece's unigram model: its files, made here byte by byte, and the ids that follow from
 * them by hand. */
#include "condlora/tokenizer.h"
#include "model/tokenizer/charsmap.h"
#include "model/tokenizer/grapheme.h"
#include "tests/unit/scratch.h"

enum { END = -1 };
#define IDS(...) ((const int[]){__VA_ARGS__, END})

static void expect_ids(const cdl_tokenizer *tokenizer, const char *text, size_t bytes,
                       const int *expected)
{
  cdl_encoding e = {0};
  expect_ok(cdl_tokenizer_encode(tokenizer, text, bytes, NULL, 0, 0, &e));
  size_t length = 0;
  while (expected[length] != END)
    length++;
  char found[512] = "";
  for (size_t i = 0; i < e.count && strlen(found) < 480; i++)
    sprintf(found + strlen(found), " %d", (int)e.ids[i]);
  ck_assert_msg(e.count == length, "%s: %zu ids, expected %zu:%s", text, e.count, length, found);
  for (size_t i = 0; i < length; i++)
    ck_assert_msg(e.ids[i] == expected[i], "%s: id %zu, expected %d:%s", text, i, expected[i],
                  found);
  cdl_encoding_release(&e);
}

#define EXPECT_IDS(t, text, ...) expect_ids(t, text, strlen(text), IDS(__VA_ARGS__))

static cdl_tokenizer *open_folder(void)
{
  cdl_tokenizer *tokenizer = NULL;
  expect_ok(cdl_tokenizer_open(scratch_folder, &tokenizer));
  return tokenizer;
}

/* ---- Bytes ---- */

typedef struct {
  uint8_t data[1 << 14];
  size_t count;
} bytes;

static void put(bytes *b, const void *data, size_t count)
{
  ck_assert_uint_le(b->count + count, sizeof b->data);
  memcpy(b->data + b->count, data, count);
  b->count += count;
}

static void put_number(bytes *b, uint64_t value)
{
  for (; value >= 0x80; value >>= 7)
    put(b, &(uint8_t){(uint8_t)(value | 0x80)}, 1);
  put(b, &(uint8_t){(uint8_t)value}, 1);
}

static void put_word(bytes *b, uint32_t value)
{
  for (int i = 0; i < 4; i++)
    put(b, &(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

/* ---- A charsmap: each node of the trie has a block of 256 units of its own ---- */

typedef struct {
  const char *key, *text;
} replacement;

enum { UNITS_MOST = 4096 };

typedef struct {
  const replacement *list;
  size_t count;
  uint32_t units[UNITS_MOST];
  uint32_t blocks;
} trie;

static size_t text_offset(const trie *t, size_t index)
{
  size_t offset = 0;
  for (size_t i = 0; i < index; i++)
    offset += strlen(t->list[i].text) + 1;
  return offset;
}

static void place(trie *t, uint32_t at, uint8_t label, const char *prefix)
{
  const uint32_t base = 256 * t->blocks++;
  const size_t length = strlen(prefix);
  ck_assert_uint_lt(base, UNITS_MOST);
  bool children[256] = {false};
  t->units[at] = (at ^ base) << 10 | label;
  for (size_t i = 0; i < t->count; i++) {
    if (strncmp(t->list[i].key, prefix, length) != 0)
      continue;
    if (t->list[i].key[length] == '\0') {
      t->units[at] |= 1u << 8;
      t->units[base] = 1u << 31 | (uint32_t)text_offset(t, i);
    } else {
      children[(uint8_t)t->list[i].key[length]] = true;
    }
  }
  for (int byte = 1; byte < 256; byte++)
    if (children[byte]) {
      char longer[8];
      snprintf(longer, sizeof longer, "%s%c", prefix, byte);
      place(t, base ^ (uint32_t)byte, (uint8_t)byte, longer);
    }
}

static void make_charsmap(const replacement *list, size_t count, bytes *out)
{
  static trie t;
  t = (trie){.list = list, .count = count, .blocks = 1};
  for (size_t i = 0; i < UNITS_MOST; i++)
    t.units[i] = 1u << 31;
  place(&t, 0, 0, "");
  out->count = 0;
  put_word(out, t.blocks * 256 * 4);
  for (uint32_t i = 0; i < t.blocks * 256; i++)
    put_word(out, t.units[i]);
  for (size_t i = 0; i < count; i++)
    put(out, list[i].text, strlen(list[i].text) + 1);
}

static const replacement few[] = {{"A", "a"}, {"\t", " "}, {"\u00bd", "1/2"}, {"\u0301", ""}};

static void expect_applied(const tokenizer_charsmap *map, const char *text, const char *expected)
{
  base_bytes out = {0};
  expect_ok(tokenizer_charsmap_apply(map, (const uint8_t *)text, strlen(text), &out));
  expect_ok(base_bytes_append(&out, "", 1));
  ck_assert_str_eq((const char *)out.data, expected);
  free(out.data);
}

START_TEST(a_charsmap_replaces)
{
  static bytes data;
  tokenizer_charsmap map;
  make_charsmap(few, 4, &data);
  expect_ok(tokenizer_charsmap_read(data.data, data.count, &map));
  expect_applied(&map, "", "");
  expect_applied(&map, "bAB\tA", "baB a");
  expect_applied(&map, "\u00bd\u00bc\u00bd", "1/2\u00bc1/2");
  /* A cluster below six bytes goes whole where its beginning is in the table … */
  expect_applied(&map, "A\u0323b", "ab");
  expect_applied(&map, "\u00bd\u0323", "1/2");
  /* … a longer one, and one whose beginning is not there, by code points. */
  expect_applied(&map, "A\u0323\u0323\u0301b", "a\u0323\u0323b");
  expect_applied(&map, "e\u0301x\u0301", "ex");
  tokenizer_charsmap_release(&map);
}
END_TEST

START_TEST(broken_charsmaps_are_refused)
{
  static bytes whole, data;
  tokenizer_charsmap map;
  make_charsmap(few, 4, &whole);
  for (size_t size = 0; size < whole.count; size += size < 8 ? 1 : 61) {
    const cdl_status status = tokenizer_charsmap_read(whole.data, size, &map);
    ck_assert_int_eq(status, CDL_STATUS_DATA);
    tokenizer_charsmap_release(&map);
  }
  const struct {
    size_t at;
    uint32_t value;
    const char *said;
  } cases[] = {{0, 0, "size of 0"},
               {0, 6, "size of 6"},
               {0, UINT32_MAX - 3, "found"},
               {4, 0x7ffffe00, "outside"}, /* the root leads far away */
               {4 + 4 * (256 ^ 'A'), 'A' | 1u << 8 | 1u << 21, "outside"}, /* past the end */
               {4 + 4 * 512, 1u << 31 | 900, "outside"}}; /* a text that is not there */
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    data = whole;
    data.count = cases[c].at;
    put_word(&data, cases[c].value);
    data.count = whole.count;
    const cdl_status status = tokenizer_charsmap_read(data.data, data.count, &map);
    ck_assert_msg(status == CDL_STATUS_DATA, "case %zu", c);
    ck_assert_msg(strstr(cdl_error_message(), cases[c].said) != NULL, "case %zu: %s", c,
                  cdl_error_message());
    tokenizer_charsmap_release(&map);
  }
  data = whole;
  data.data[data.count - 2] = 0xff;
  ck_assert_int_eq(tokenizer_charsmap_read(data.data, data.count, &map), CDL_STATUS_DATA);
  tokenizer_charsmap_release(&map);
}
END_TEST

START_TEST(any_bytes_of_a_charsmap_do_no_harm)
{
  static bytes whole, data;
  make_charsmap(few, 4, &whole);
  static const char text[] = "A\u0301b\tA\u00bd\u0323 \u00bc A\u0323\u0323\u0301 \xf0\x9f\x99\x82";
  uint64_t state = 99;
  int read = 0;
  base_bytes out = {0};
  for (int round = 0; round < 20000; round++) {
    data = whole;
    for (int change = 0; change < 1 + round % 3; change++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      data.data[(state >> 33) % data.count] = (uint8_t)(state >> 24);
    }
    tokenizer_charsmap map;
    if (tokenizer_charsmap_read(data.data, data.count - (size_t)(round % 5 == 0), &map) ==
        CDL_STATUS_OK) {
      read++;
      out.count = 0;
      expect_ok(tokenizer_charsmap_apply(&map, (const uint8_t *)text, sizeof text - 1, &out));
    }
    tokenizer_charsmap_release(&map);
  }
  ck_assert_int_gt(read, 1000);
  free(out.data);
}
END_TEST

START_TEST(base64)
{
  static const char *const good[][2] = {
      {"", ""},        {"Zg==", "f"},        {"Zm8=", "fo"},
      {"Zm9v", "foo"}, {"Zm9vYg==", "foob"}, {"+/+/", "\xfb\xff\xbf"}};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    base_bytes out = {0};
    expect_ok(tokenizer_base64_decode(good[i][0], strlen(good[i][0]), &out));
    ck_assert_uint_eq(out.count, strlen(good[i][1]));
    ck_assert_mem_eq(out.data, good[i][1], out.count);
    free(out.data);
  }
  static const char *const bad[] = {
      "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm9 ", "Zm9\n", "=Zm9"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    base_bytes out = {0};
    ck_assert_msg(tokenizer_base64_decode(bad[i], strlen(bad[i]), &out) == CDL_STATUS_DATA, "%s",
                  bad[i]);
    free(out.data);
  }
}
END_TEST

/* Each text is to be cut at its bars. */
START_TEST(grapheme_clusters)
{
  static const char *const cases[] = {
      "a|b",
      "\r\n|\n|\r|a",
      "a\u0301\u0323|b",
      "\x01|\u0301",
      "a\u200d|b",
      "\u0915\u093f|\u0915",
      "\u0600a|b", /* a sign before a number */
      "\u0915\u094d\u0937|a",
      "\u0915\u094d\u200d\u0937",
      "\u0915\u094d|a",
      "\u0915\u200c|\u0937",
      "\u1112\u1161\u11ab|\u1112",
      "\uac00\u11ab|\u1161",
      "\uac01|\uac00",
      "\u00a9\u200d\u00a9|\u00a9",
      "a\u200d|\u00a9",
      "\u00a9\u0301\u200d\u00a9",
      "\U0001f1e9\U0001f1ea|\U0001f1eb\U0001f1f7|\U0001f1e9|a",
      "\u0915\u0897|a", /* a mark of Unicode 16 */
  };
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    char text[128] = "", cut[128] = "";
    for (const char *from = cases[c]; *from != '\0'; from++)
      if (*from != '|')
        strncat(text, from, 1);
    for (size_t at = 0, end; at < strlen(text); at = end) {
      end = tokenizer_grapheme_end((const uint8_t *)text, at, strlen(text));
      ck_assert_uint_gt(end, at);
      if (at > 0)
        strcat(cut, "|");
      strncat(cut, text + at, end - at);
    }
    ck_assert_msg(strcmp(cut, cases[c]) == 0, "case %zu: %s", c, cut);
  }
}
END_TEST

/* ---- tokenizer.json ---- */

/* The best cut of "abc" is a, bc (-5); abcd is worth more than any cut of it. */
static const char json_form[] =
    "{\"added_tokens\": [{\"id\": 0, \"content\": \"<s>\", \"special\": true}, {\"id\": 13, "
    "\"content\": \"<mask>\", \"lstrip\": true, \"normalized\": true, \"special\": true}],"
    " \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Strip\", "
    "\"strip_left\": false, \"strip_right\": true},"
    "  {\"type\": \"Replace\", \"pattern\": {\"Regex\": \" {2,}\"}, \"content\": \"\u2581\"}]},"
    " \"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"\u2581\", "
    "\"prepend_scheme\": \"always\", \"split\": true},"
    " \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": "
    "{\"id\": \"<s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}],"
    "  \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", "
    "\"type_id\": 0}}],"
    "  \"special_tokens\": {\"<s>\": {\"id\": \"<s>\", \"ids\": [0], \"tokens\": [\"<s>\"]}}},"
    " \"model\": {\"type\": \"Unigram\", \"unk_id\": 3, \"byte_fallback\": false, \"vocab\": "
    "[[\"<s>\", 0.0], [\"<pad>\", 0], [\"</s>\", 0], [\"<unk>\", 0],"
    "  [\"\u2581\", -2], [\"a\", -2.5], [\"b\", -3], [\"c\", -3], [\"ab\", -4], [\"bc\", -2.5], "
    "[\"abcd\", -9], [\"\u2581a\", -4.5], [\"\u00e9\u00e9\", -90]]}}";

START_TEST(the_best_cut_is_found)
{
  scratch_put_text(scratch_path("tokenizer.json"), json_form);
  cdl_tokenizer *t = open_folder();
  EXPECT_IDS(t, "", 0);
  EXPECT_IDS(t, "a", 0, 11);        /* ▁a and ▁, a have the same score: the longer came first */
  EXPECT_IDS(t, "abc", 0, 11, 9);   /* ▁a, bc: -7, as ▁, a, bc is */
  EXPECT_IDS(t, "bab", 0, 4, 6, 8); /* ab: -4 and not -5.5 */
  EXPECT_IDS(t, "b abcd", 0, 4, 6, 4, 10);
  EXPECT_IDS(t, "b  a", 0, 4, 6, 11); /* two spaces are one */
  EXPECT_IDS(t, "b   ", 0, 4, 6);     /* none at the end */
  EXPECT_IDS(t, "\u2581a", 0, 11);
  EXPECT_IDS(t, "xyza", 0, 4, 3, 5); /* unknown ones in a row are one */
  EXPECT_IDS(t, "x y", 0, 4, 3, 4, 3);
  EXPECT_IDS(t, "\u00e9", 0, 4, 3);
  EXPECT_IDS(t, "\u00e9\u00e9", 0, 4, 12); /* a piece, though two unknown characters score better */
  EXPECT_IDS(t, "a <mask>b<mask>", 0, 11, 13, 4, 6, 13);
  EXPECT_IDS(t, "<s>b", 0, 0, 4, 6);
  expect_ids(t, "b\0b", 3, IDS(0, 4, 6, 3, 6));
  cdl_tokenizer_close(t);
}
END_TEST

/* json_form with the first `old` replaced. */
static void put_changed(const char *old, const char *new)
{
  char text[4096];
  const char *at = strstr(json_form, old);
  ck_assert_msg(at != NULL, "%s", old);
  snprintf(text, sizeof text, "%.*s%s%s", (int)(at - json_form), json_form, new, at + strlen(old));
  scratch_put_text(scratch_path("tokenizer.json"), text);
}

START_TEST(metaspace_in_its_forms)
{
  static const char metaspace[] = "\"prepend_scheme\": \"always\", \"split\": true";
  const struct {
    const char *settings;
    int expected[8];
  } cases[] = {
      {"\"str_rep\": \"_\", \"add_prefix_space\": true", {0, 4, 6, 11, 13, 4, 6, END}},
      {"\"prepend_scheme\": \"first\"", {0, 4, 6, 11, 13, 6, END}},
      {"\"prepend_scheme\": \"never\", \"add_prefix_space\": false", {0, 6, 11, 13, 6, END}},
      {"\"split\": false", {0, 4, 6, 11, 13, 4, 6, END}}};
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    put_changed(metaspace, cases[c].settings);
    cdl_tokenizer *t = open_folder();
    expect_ids(t, "b a<mask>b", 10, cases[c].expected);
    cdl_tokenizer_close(t);
  }
  put_changed("{\"type\": \"Metaspace\", \"replacement\": \"\u2581\", ",
              "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"WhitespaceSplit\"}, "
              "{\"type\": \"Metaspace\", \"replacement\": \"\u2581\"}], ");
  cdl_tokenizer *t = open_folder();
  EXPECT_IDS(t, "b\t\u3000b", 0, 4, 6, 4, 6);
  cdl_tokenizer_close(t);
}
END_TEST

static void expect_broken(const char *what, cdl_status expected, const char *said)
{
  cdl_tokenizer *t = NULL;
  const cdl_status status = cdl_tokenizer_open(scratch_folder, &t);
  ck_assert_msg(status == expected, "%s: %s: %s", what, cdl_status_name(status),
                status == CDL_STATUS_OK ? "" : cdl_error_message());
  ck_assert_ptr_null(t);
  ck_assert_msg(strstr(cdl_error_message(), scratch_folder) != NULL &&
                    strstr(cdl_error_message(), said) != NULL &&
                    strchr(cdl_error_message(), '\n') == NULL,
                "%s: \"%s\" does not say \"%s\"", what, cdl_error_message(), said);
}

START_TEST(broken_tokenizer_json_is_refused)
{
  static const struct {
    const char *old, *new, *said;
  } cases[] = {
      {"\"unk_id\": 3", "\"unk_id\": 13", "unk_id"},
      {"\"byte_fallback\": false", "\"byte_fallback\": 1", "byte_fallback"},
      {"[\"b\", -3]", "[\"b\"]", "entry 7"},
      {"[\"b\", -3]", "[\"b\", \"-3\"]", "entry 7"},
      {"[\"b\", -3]", "[\"b\", NaN]", "not valid JSON"},
      {"[\"b\", -3]", "[\"b\", 1e999]", "not valid JSON"},
      {"\"vocab\": [[", "\"vocab\": [], \"v\": [[", "vocab"},
      {"\"type\": \"Strip\"", "\"type\": \"Other\"", "Other"},
      {"\"type\": \"Strip\"", "\"type\": \"Precompiled\"", "precompiled_charsmap"},
      {"\"type\": \"Strip\"", "\"type\": \"Precompiled\", \"precompiled_charsmap\": \"AAE\"",
       "base 64"},
      {"\"type\": \"Strip\"", "\"type\": \"Precompiled\", \"precompiled_charsmap\": \"\"",
       "a trie"},
      {"\"type\": \"Strip\"",
       "\"type\": \"Precompiled\", \"precompiled_charsmap\": \"BAAAAAD8//8=\"", "outside"},
      {"\"Regex\": \" {2,}\"", "\"Regex\": \"(a\"", "Replace"},
      {"\"Regex\": \" {2,}\"", "\"Text\": \"\"", "pattern"},
      {"\"normalizers\": [", "\"n\": [", "normalizers"},
      {"\"type\": \"Metaspace\"", "\"type\": \"Other\"", "Other"},
      {"\"replacement\": \"\u2581\"", "\"replacement\": \"\"", "replacement"},
      {"\"replacement\": \"\u2581\"", "\"replacement\": \"ab\"", "replacement"},
      {"\"prepend_scheme\": \"always\"", "\"prepend_scheme\": \"last\"", "last"},
      {"\"prepend_scheme\"", "\"add_prefix_space\": false, \"prepend_scheme\"", "never"},
      {"\"id\": 13", "\"id\": 14", "id 14"},
  };
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    put_changed(cases[c].old, cases[c].new);
    expect_broken(cases[c].new, CDL_STATUS_DATA, cases[c].said);
  }
}
END_TEST

/* ---- sentencepiece.bpe.model ---- */

static void put_bytes_field(bytes *b, unsigned number, const void *data, size_t count)
{
  put_number(b, number << 3 | 2);
  put_number(b, count);
  put(b, data, count);
}

static void put_piece(bytes *b, const char *text, uint32_t score_bits, unsigned kind)
{
  bytes piece = {.count = 0};
  put_bytes_field(&piece, 1, text, strlen(text));
  put_number(&piece, 2 << 3 | 5);
  put_word(&piece, score_bits);
  if (kind != 1) {
    put_number(&piece, 3 << 3);
    put_number(&piece, kind);
  }
  put_bytes_field(b, 1, piece.data, piece.count);
}

static uint32_t bits(float score)
{
  uint32_t value;
  memcpy(&value, &score, sizeof value);
  return value;
}

static void make_model(bytes *b, unsigned type, const bytes *charsmap)
{
  b->count = 0;
  put_piece(b, "<unk>", 0, 2);
  put_piece(b, "<s>", 0, 3);
  put_piece(b, "</s>", 0, 3);
  put_piece(b, "\u2581", bits(-2), 1);
  put_piece(b, "a", bits(-2.5f), 1);
  put_piece(b, "b", bits(-3), 1);
  put_piece(b, "ab", bits(-4), 1);
  put_piece(b, "[x]", 0, 4);
  put_number(b, 2 << 3 | 2); /* trainer_spec: a number, and the model's type */
  put_number(b, 4);
  put(b, (uint8_t[]){4 << 3, 9, 3 << 3, (uint8_t)type}, 4);
  bytes normalizer = {.count = 0};
  put_bytes_field(&normalizer, 1, "nmt_nfkc", 8);
  if (charsmap != NULL)
    put_bytes_field(&normalizer, 2, charsmap->data, charsmap->count);
  put_bytes_field(b, 3, normalizer.data, normalizer.count);
  put_number(b, 40 << 3 | 1); /* eight bytes of a field that nobody knows */
  put(b, "12345678", 8);
}

static void put_model(const bytes *b)
{
  scratch_put(scratch_path("sentencepiece.bpe.model"), b->data, b->count);
}

START_TEST(a_sentencepiece_model_opens)
{
  static bytes model, charsmap;
  make_charsmap(few, 4, &charsmap);
  make_model(&model, 1, &charsmap);
  put_model(&model);
  cdl_tokenizer *t = open_folder();
  ck_assert_int_eq(cdl_tokenizer_vocabulary_size(t), 10);
  ck_assert_str_eq(cdl_tokenizer_token(t, 1), "<pad>");
  ck_assert_str_eq(cdl_tokenizer_token(t, 4), "\u2581");
  ck_assert_str_eq(cdl_tokenizer_token(t, 9), "<mask>");
  EXPECT_IDS(t, "Ab  A\tb ", 0, 4, 7, 4, 5, 4, 6, 2);
  EXPECT_IDS(t, "a <mask>[x]</s>?", 0, 4, 5, 9, 8, 2, 4, 3, 2);
  cdl_encoding e = {0};
  expect_ok(cdl_tokenizer_encode(t, "a", 1, "b", 1, 7, &e));
  const int32_t pair[] = {0, 4, 2, 2, 4, 6, 2};
  ck_assert(e.truncated);
  ck_assert_mem_eq(e.ids, pair, sizeof pair);
  cdl_encoding_release(&e);
  cdl_tokenizer_close(t);
}
END_TEST

START_TEST(broken_sentencepiece_models_are_refused)
{
  static bytes model, other, charsmap;
  make_charsmap(few, 4, &charsmap);
  make_model(&model, 1, NULL);
  for (size_t size = 0; size < model.count; size++) {
    other = model;
    other.count = size;
    put_model(&other);
    cdl_tokenizer *t = NULL;
    const cdl_status status = cdl_tokenizer_open(scratch_folder, &t);
    ck_assert_msg(status == CDL_STATUS_OK || status == CDL_STATUS_DATA, "%zu bytes: %s", size,
                  cdl_error_message());
    cdl_tokenizer_close(t);
  }
  make_model(&model, 2, NULL);
  put_model(&model);
  expect_broken("BPE", CDL_STATUS_UNSUPPORTED, "type 2");
  make_model(&model, 1, NULL);
  put_piece(&model, "c", 0x7fc00000, 1);
  put_model(&model);
  expect_broken("a score of NaN", CDL_STATUS_DATA, "\"c\"");
  make_model(&model, 1, NULL);
  put_piece(&model, "c", 0xff800000, 1);
  put_model(&model);
  expect_broken("an infinite score", CDL_STATUS_DATA, "\"c\"");
  make_model(&model, 1, NULL);
  put_piece(&model, "a\xff", 0, 1);
  put_model(&model);
  expect_broken("not UTF-8", CDL_STATUS_DATA, "piece 9");
  make_model(&model, 1, NULL);
  put_piece(&model, "", 0, 1);
  put_model(&model);
  expect_broken("nothing", CDL_STATUS_DATA, "piece 9");
  make_model(&model, 1, NULL);
  put(&model, (uint8_t[]){1 << 3 | 2, 0xff, 0xff, 0xff, 0xff, 0x0f}, 6);
  put_model(&model);
  expect_broken("a wrong length", CDL_STATUS_DATA, "malformed");
  make_model(&model, 1, NULL);
  put(&model, (uint8_t[]){1 << 3 | 3}, 1);
  put_model(&model);
  expect_broken("a group", CDL_STATUS_DATA, "malformed");
  charsmap.count -= 700; /* the trie is cut */
  make_model(&model, 1, &charsmap);
  put_model(&model);
  expect_broken("a charsmap that is cut", CDL_STATUS_DATA, "precompiled_charsmap");
  scratch_put_text(scratch_path("sentencepiece.bpe.model"), "");
  expect_broken("empty", CDL_STATUS_DATA, "expected more than 3 pieces");
}
END_TEST

/* ---- Fuzz ---- */

static void probe(void)
{
  static const char text[] = "Ab \xff a<mask> \u00bdA\u0323xy\t[x]b  \u2581ab<s>";
  cdl_tokenizer *t = NULL;
  const cdl_status status = cdl_tokenizer_open(scratch_folder, &t);
  ck_assert_msg(status == CDL_STATUS_OK || status == CDL_STATUS_DATA ||
                    status == CDL_STATUS_UNSUPPORTED,
                "%s", cdl_error_message());
  if (status != CDL_STATUS_OK)
    return;
  cdl_encoding e = {0};
  const cdl_status encoded = cdl_tokenizer_encode(t, text, sizeof text - 1, text, 5, 0, &e);
  ck_assert(encoded == CDL_STATUS_OK || strstr(cdl_error_message(), "unknown token") != NULL);
  for (size_t i = 0; encoded == CDL_STATUS_OK && i < e.count; i++)
    ck_assert_ptr_nonnull(cdl_tokenizer_token(t, e.ids[i]));
  cdl_encoding_release(&e);
  cdl_tokenizer_close(t);
}

START_TEST(changed_bytes_do_no_harm)
{
  static bytes model, charsmap, changed;
  make_charsmap(few, 4, &charsmap);
  make_model(&model, 1, &charsmap);
  uint64_t state = 4321;
  for (int round = 0; round < 3000; round++) {
    changed = model;
    for (int change = 0; change < 1 + round % 3; change++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      /* Mostly in the part that is not the charsmap. */
      const size_t among = round % 8 == 0 ? changed.count : 130;
      changed.data[(state >> 33) % among] = (uint8_t)(state >> 24);
    }
    put_model(&changed);
    probe();
  }
  for (int round = 0; round < 3000; round++) {
    char text[sizeof json_form];
    memcpy(text, json_form, sizeof text);
    for (int change = 0; change < 1 + round % 3; change++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      text[(state >> 33) % (sizeof text - 1)] =
          "0123456789\"{}[],:atn-\\\x01\xc3 e"[(state >> 20) % 26];
    }
    scratch_put(scratch_path("tokenizer.json"), text, sizeof text - 1);
    probe();
  }
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      a_charsmap_replaces,
      broken_charsmaps_are_refused,
      any_bytes_of_a_charsmap_do_no_harm,
      base64,
      grapheme_clusters,
      the_best_cut_is_found,
      metaspace_in_its_forms,
      broken_tokenizer_json_is_refused,
      a_sentencepiece_model_opens,
      broken_sentencepiece_models_are_refused,
      changed_bytes_do_no_harm,
      NULL,
  };
  return scratch_run("unigram", tests);
}
