/* What a class of tokenizers makes of the settings. The rules are Transformers 4.57's
 * (model/tokenizer/class.h); the expected ids follow from them by hand.
 * tests/peers/tokenizer_settings.py tries the combinations against it. */
#include "condlora/tokenizer.h"

#include "tests/unit/scratch.h"

enum { UNKNOWN = 0, CLS, SEP, RUN, BIG_RUN, CAFE, ACCENTED_CAFE, HAN, HAN_PAIR, S, SIGN, MARK };

/* A WordPiece tokenizer.json; arguments: the normalizer, more added tokens. */
static const char json_form[] =
    "{\"truncation\": null, \"padding\": null, \"added_tokens\": ["
    "{\"id\": 0, \"content\": \"[UNK]\", \"special\": true},"
    "{\"id\": 1, \"content\": \"[CLS]\", \"special\": true},"
    "{\"id\": 2, \"content\": \"[SEP]\", \"special\": true}%s],"
    "\"normalizer\": %s, \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},"
    "\"post_processor\": {\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\", 2], \"cls\": "
    "[\"[CLS]\", 1]},"
    "\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", "
    "\"continuing_subword_prefix\": \"##\","
    "\"max_input_chars_per_word\": 100, \"vocab\": {\"[UNK]\": 0, \"[CLS]\": 1, \"[SEP]\": 2,"
    "\"run\": 3, \"Run\": 4, \"cafe\": 5, \"caf\xc3\xa9\": 6, \"\xe6\xbc\xa2\": 7,"
    "\"\xe6\xbc\xa2\xe5\xad\x97\": 8, \"s\": 9, \"<\": 10, \"!\": 11}}}";

static void put_json(const char *lower, const char *strip, const char *ideographs,
                     const char *added)
{
  char normalizer[256], text[2048];
  snprintf(normalizer, sizeof normalizer,
           "{\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": %s,"
           " \"strip_accents\": %s, \"lowercase\": %s}",
           ideographs, strip, lower);
  snprintf(text, sizeof text, json_form, added, normalizer);
  scratch_put_text(scratch_path("tokenizer.json"), text);
}

static void put_config(const char *class, const char *settings)
{
  char text[1024];
  snprintf(text, sizeof text, "{\"tokenizer_class\": \"%s\"%s}", class, settings);
  scratch_put_text(scratch_path("tokenizer_config.json"), text);
}

enum { END = -1 };
#define IDS(...) ((const int[]){__VA_ARGS__, END})

static void expect_cut(const char *first, const char *second, size_t length, const int *ids,
                       const int *types)
{
  cdl_tokenizer *t = NULL;
  cdl_encoding e = {0};
  expect_ok(cdl_tokenizer_open(scratch_folder, &t));
  expect_ok(cdl_tokenizer_encode(t, first, strlen(first), second,
                                 second != NULL ? strlen(second) : 0, length, &e));
  size_t count = 0;
  for (; ids[count] != END; count++) {
    ck_assert_msg(count < e.count, "%s: %zu ids", first, e.count);
    ck_assert_msg(e.ids[count] == ids[count], "%s: id %zu is %d, expected %d", first, count,
                  (int)e.ids[count], ids[count]);
    ck_assert_int_eq(e.type_ids[count], types != NULL ? types[count] : 0);
  }
  ck_assert_uint_eq(e.count, count);
  cdl_encoding_release(&e);
  cdl_tokenizer_close(t);
}

static void expect_ids(const char *text, const int *ids)
{
  expect_cut(text, NULL, 0, ids, NULL);
}

static void expect_refused(cdl_status expected, const char *file, const char *said)
{
  cdl_tokenizer *t = NULL;
  const cdl_status status = cdl_tokenizer_open(scratch_folder, &t);
  ck_assert_msg(status == expected, "%s: %s: %s", said, cdl_status_name(status),
                status == CDL_STATUS_OK ? "read" : cdl_error_message());
  ck_assert_msg(strstr(cdl_error_message(), file) != NULL &&
                    strstr(cdl_error_message(), said) != NULL,
                "\"%s\" does not say \"%s\" and \"%s\"", cdl_error_message(), file, said);
}

static const char probe[] = "Run caf\xc3\xa9 \xe6\xbc\xa2\xe5\xad\x97";

START_TEST(bert_writes_over_the_normalizer)
{
  static const char *const names[] = {"BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer",
                                      "ElectraTokenizerFast"};
  put_json("false", "false", "false", "");
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    put_config(names[i], "");
    expect_ids(probe, IDS(CLS, RUN, CAFE, HAN, UNKNOWN, SEP));
    put_config(names[i], ", \"strip_accents\": false");
    expect_ids(probe, IDS(CLS, RUN, ACCENTED_CAFE, HAN, UNKNOWN, SEP));
    put_config(names[i], ", \"do_lower_case\": false, \"tokenize_chinese_chars\": false");
    expect_ids(probe, IDS(CLS, BIG_RUN, ACCENTED_CAFE, HAN_PAIR, SEP));
  }
  put_json("true", "null", "false", ""); /* one that differs is enough for all three */
  put_config("BertTokenizer", "");
  expect_ids(probe, IDS(CLS, RUN, CAFE, HAN, UNKNOWN, SEP));
}
END_TEST

START_TEST(mpnet_leaves_ideographs)
{
  put_json("false", "false", "false", "");
  put_config("MPNetTokenizer", ", \"tokenize_chinese_chars\": true");
  expect_ids(probe, IDS(CLS, RUN, CAFE, HAN_PAIR, SEP));
}
END_TEST

START_TEST(other_classes_leave_the_normalizer)
{
  put_json("false", "false", "false", "");
  put_config("PreTrainedTokenizerFast", ", \"do_lower_case\": true");
  expect_ids(probe, IDS(CLS, BIG_RUN, ACCENTED_CAFE, HAN_PAIR, SEP));
  put_config("RobertaTokenizer", ", \"do_lower_case\": true");
  expect_ids(probe, IDS(CLS, BIG_RUN, ACCENTED_CAFE, HAN_PAIR, SEP));
  char text[2048];
  snprintf(text, sizeof text, json_form, "",
           "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"BertNormalizer\", "
           "\"clean_text\": true, \"handle_chinese_chars\": false, \"strip_accents\": false, "
           "\"lowercase\": false}]}");
  scratch_put_text(scratch_path("tokenizer.json"), text);
  put_config("BertTokenizer", "");
  expect_ids(probe, IDS(CLS, BIG_RUN, ACCENTED_CAFE, HAN_PAIR, SEP));
}
END_TEST

START_TEST(tokenizer_json_alone_is_as_it_is)
{
  put_json("false", "false", "false", "");
  expect_ids(probe, IDS(CLS, BIG_RUN, ACCENTED_CAFE, HAN_PAIR, SEP));
  scratch_put_text(scratch_path("config.json"), "{\"model_type\": \"bert\"}");
  expect_ids(probe, IDS(CLS, RUN, CAFE, HAN, UNKNOWN, SEP)); /* as the class of the model's type */
  scratch_put_text(scratch_path("config.json"),
                   "{\"model_type\": \"bert\", \"tokenizer_class\": \"PreTrainedTokenizerFast\"}");
  expect_ids(probe, IDS(CLS, BIG_RUN, ACCENTED_CAFE, HAN_PAIR, SEP));
}
END_TEST

/* Transformers changes the normalizer when the tokens are there, and does not look at them
 * again. */
START_TEST(added_tokens_keep_the_first_normalizer)
{
  put_json("false", "false", "true",
           ", {\"id\": 4, \"content\": \"Run\", \"normalized\": true, \"special\": false}");
  put_config("BertTokenizer", "");
  expect_ids("Run run", IDS(CLS, RUN, RUN, SEP));
  put_config("BertTokenizer", ", \"do_lower_case\": false, \"strip_accents\": false");
  expect_ids("Runrun", IDS(CLS, BIG_RUN, RUN, SEP));
}
END_TEST

START_TEST(values_that_are_no_flags_are_compared_first)
{
  put_json("true", "null", "true", "");
  put_config("BertTokenizer", ", \"do_lower_case\": 1");
  expect_ids("Run", IDS(CLS, RUN, SEP));
  put_json("false", "null", "true", "");
  expect_refused(CDL_STATUS_DATA, "tokenizer_config.json", "do_lower_case");
  static const char *const refused[] = {
      ", \"do_lower_case\": null",
      ", \"do_lower_case\": \"yes\"",
      ", \"strip_accents\": 0.5",
      ", \"tokenize_chinese_chars\": null",
      ", \"split_special_tokens\": null",
      ", \"split_special_tokens\": 1",
      ", \"truncation_side\": null",
      ", \"truncation_side\": \"Left\"",
      ", \"padding_side\": 1",
      ", \"model_input_names\": \"input_ids\"",
      ", \"init_inputs\": [1]",
      ", \"additional_special_tokens\": \"x\"",
      ", \"additional_special_tokens\": [1]",
      ", \"additional_special_tokens\": [null]",
      ", \"extra_special_tokens\": [\"x\"]",
      ", \"extra_special_tokens\": {\"a\": 1}",
      ", \"cls_token\": 1",
      ", \"mask_token\": []",
      ", \"mask_token\": {\"content\": \"x\"}",
      ", \"mask_token\": {\"__type\": \"AddedToken\", \"content\": 1}",
      ", \"mask_token\": {\"__type\": \"AddedToken\", \"content\": \"x\", \"lstrip\": null}",
      ", \"added_tokens_decoder\": {\"9\": \"x\"}",
      ", \"added_tokens_decoder\": null",
      ", \"added_tokens_decoder\": {\"x\": {}}"};
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    char key[32];
    ck_assert_int_eq(sscanf(refused[i], ", \"%31[^\"]", key), 1);
    put_config("BertTokenizer", refused[i]);
    expect_refused(CDL_STATUS_DATA, "tokenizer_config.json", key);
  }
  static const char *const elsewhere[] = {"tokenizer_file", "fix_mistral_regex", "tokenizer_object",
                                          "add_special_tokens"};
  for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
    char text[64];
    snprintf(text, sizeof text, ", \"%s\": \"x\"", elsewhere[i]);
    put_config("BertTokenizer", text);
    expect_refused(CDL_STATUS_UNSUPPORTED, "tokenizer_config.json", elsewhere[i]);
  }
}
END_TEST

START_TEST(prefix_space_is_the_settings)
{
  scratch_put_text(scratch_path("tokenizer.json"),
                   "{\"added_tokens\": [], \"normalizer\": null, \"post_processor\": null,"
                   "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
                   "\"trim_offsets\": true, \"use_regex\": true},"
                   "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"\xc4\xa0\": 1}, "
                   "\"merges\": []}}");
  expect_ids("a", IDS(1, 0));
  static const char *const names[] = {"RobertaTokenizerFast", "PreTrainedTokenizerFast",
                                      "XLMRobertaTokenizer"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    put_config(names[i], "");
    expect_ids("a", IDS(0));
    put_config(names[i], ", \"add_prefix_space\": true");
    expect_ids("a", IDS(1, 0));
    put_config(names[i], ", \"add_prefix_space\": null"); /* cannot be set: the file's stays */
    expect_ids("a", IDS(1, 0));
  }
}
END_TEST

START_TEST(texts_are_cut_at_the_left_when_told)
{
  put_json("true", "null", "true", "");
  put_config("BertTokenizer", ", \"truncation_side\": \"left\", \"padding_side\": \"left\"");
  expect_cut("run s ! cafe", NULL, 4, IDS(CLS, MARK, CAFE, SEP), NULL);
  expect_cut("run s ! cafe", "s run", 6, IDS(CLS, MARK, CAFE, SEP, RUN, SEP),
             IDS(0, 0, 0, 0, 1, 1));
  put_config("BertTokenizer", "");
  expect_cut("run s ! cafe", NULL, 4, IDS(CLS, RUN, S, SEP), NULL);
}
END_TEST

START_TEST(token_types_are_those_that_the_class_gives)
{
  put_json("true", "null", "true", "");
  put_config("DistilBertTokenizer", "");
  expect_cut("run", "s", 0, IDS(CLS, RUN, SEP, S, SEP), NULL);
  put_config("DistilBertTokenizer", ", \"model_input_names\": [\"input_ids\", \"token_type_ids\"]");
  expect_cut("run", "s", 0, IDS(CLS, RUN, SEP, S, SEP), IDS(0, 0, 0, 1, 1));
  put_config("BertTokenizer", ", \"model_input_names\": [\"input_ids\"]");
  expect_cut("run", "s", 0, IDS(CLS, RUN, SEP, S, SEP), NULL);
}
END_TEST

START_TEST(special_tokens_are_added_or_passed_over)
{
  put_json("true", "null", "true", "");
  put_config("BertTokenizer", ", \"split_special_tokens\": true");
  expect_ids("run[SEP]run", IDS(CLS, RUN, UNKNOWN, UNKNOWN, UNKNOWN, RUN, SEP));
  put_config("PreTrainedTokenizerFast", ", \"extra_special_tokens\": {\"image\": \"<!\"}, "
                                        "\"additional_special_tokens\": [\"caf\"]");
  expect_ids("cafe<!run", IDS(CLS, 12, UNKNOWN, 13, RUN, SEP));
  /* The class's own mask is new here, and takes the spaces before it. */
  put_config("MPNetTokenizer", ", \"bos_token\": null, \"eos_token\": null, \"sep_token\": null, "
                               "\"cls_token\": null, \"pad_token\": null");
  expect_ids("run <mask>s", IDS(CLS, RUN, 12, S, SEP));
  put_config("PreTrainedTokenizerFast", ", \"bos_token\": \"<!\", \"eos_token\": \"s!\", "
                                        "\"additional_special_tokens\": [\"caf\", \"run\"]");
  expect_ids("caf<!s!run", IDS(CLS, 14, 12, 13, RUN, SEP));
  /* sep_token and cls_token do not change what the post-processor adds. */
  put_config("BertTokenizer", ", \"sep_token\": \"!\", \"cls_token\": \"run\"");
  expect_ids("s!", IDS(CLS, S, MARK, SEP));
}
END_TEST

START_TEST(classes_that_are_not_ours_are_refused_by_name)
{
  static const char *const names[] = {"BertJapaneseTokenizer",
                                      "HerbertTokenizerFast",
                                      "GPT2Tokenizer",
                                      "BertweetTokenizer",
                                      "PhobertTokenizer",
                                      "KoBertTokenizer",
                                      "TokenizersBackend",
                                      "MyTokenizer",
                                      "BertTokenizerFastFast",
                                      "Fast",
                                      ""};
  put_json("true", "null", "true", "");
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char name[64], config[128];
    snprintf(name, sizeof name, "\"%s\"", names[i]);
    put_config(names[i], ", \"auto_map\": {\"AutoTokenizer\": [\"code.MyTokenizer\", null]}");
    expect_refused(CDL_STATUS_UNSUPPORTED, "tokenizer_config.json", name);
    scratch_put_text(scratch_path("tokenizer_config.json"), "{}");
    snprintf(config, sizeof config, "{\"model_type\": \"bert\", \"tokenizer_class\": %s}", name);
    scratch_put_text(scratch_path("config.json"), config);
    expect_refused(CDL_STATUS_UNSUPPORTED, "config.json", name);
  }
  scratch_put_text(scratch_path("config.json"), "{\"model_type\": \"albert\"}");
  expect_refused(CDL_STATUS_UNSUPPORTED, "config.json", "\"albert\"");
}
END_TEST

START_TEST(a_class_reads_its_own_files)
{
  scratch_put_text(scratch_path("vocab.txt"), "<s>\n<pad>\n</s>\n[UNK]\nrun\n<mask>\n");
  put_config("RobertaTokenizer", "");
  expect_refused(CDL_STATUS_ABSENT, "RobertaTokenizer", "vocab.json");
  put_config("PreTrainedTokenizerFast", "");
  expect_refused(CDL_STATUS_ABSENT, "PreTrainedTokenizer", "tokenizer.json");
  put_config("MPNetTokenizer", "");
  expect_cut("RUN <mask>", "run", 0, IDS(0, 4, 5, 2, 2, 4, 2), NULL);
  put_config("MPNetTokenizer", ", \"model_input_names\": [\"token_type_ids\"]");
  expect_cut("RUN <mask>", "run", 0, IDS(0, 4, 5, 2, 2, 4, 2), IDS(0, 0, 0, 0, 0, 1, 1));
  put_config("MPNetTokenizer", ", \"vocab_file\": \"/etc/passwd\"");
  expect_refused(CDL_STATUS_UNSUPPORTED, "tokenizer_config.json", "vocab_file");
  put_config("BertTokenizer", "");
  expect_refused(CDL_STATUS_DATA, "vocab.txt", "[CLS]");
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      bert_writes_over_the_normalizer,
      mpnet_leaves_ideographs,
      other_classes_leave_the_normalizer,
      tokenizer_json_alone_is_as_it_is,
      added_tokens_keep_the_first_normalizer,
      values_that_are_no_flags_are_compared_first,
      prefix_space_is_the_settings,
      texts_are_cut_at_the_left_when_told,
      token_types_are_those_that_the_class_gives,
      special_tokens_are_added_or_passed_over,
      classes_that_are_not_ours_are_refused_by_name,
      a_class_reads_its_own_files,
      NULL,
  };
  return scratch_run("tokenizer_class", tests);
}
