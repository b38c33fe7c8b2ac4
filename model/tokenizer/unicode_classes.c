#include "model/tokenizer/unicode_classes.h"

#include <stdio.h>
#include <string.h>

#include "base/nearest.h"

/* Characters of Oniguruma's Unicode 16, which the reference tokenizers use in their patterns, that
 * PCRE2's Unicode 14 lacks. Each list was found by asking the reference about every code point. */

typedef struct {
  uint32_t first, last;
  const char *name;
} named_range;

/* By general category. */
static const named_range new_categories[] = {
    {0x897, 0x897, "Mn"},     {0xCF3, 0xCF3, "Mc"},     {0xECE, 0xECE, "Mn"},
    {0x1B4E, 0x1B4F, "Po"},   {0x1B7F, 0x1B7F, "Po"},   {0x1C89, 0x1C89, "Lu"},
    {0x1C8A, 0x1C8A, "Ll"},   {0x2427, 0x2429, "So"},   {0x2FFC, 0x2FFF, "So"},
    {0x31E4, 0x31E5, "So"},   {0x31EF, 0x31EF, "So"},   {0xA7CB, 0xA7CC, "Lu"},
    {0xA7CD, 0xA7CD, "Ll"},   {0xA7DA, 0xA7DA, "Lu"},   {0xA7DB, 0xA7DB, "Ll"},
    {0xA7DC, 0xA7DC, "Lu"},   {0x105C0, 0x105F3, "Lo"}, {0x10D40, 0x10D49, "Nd"},
    {0x10D4A, 0x10D4D, "Lo"}, {0x10D4E, 0x10D4E, "Lm"}, {0x10D4F, 0x10D4F, "Lo"},
    {0x10D50, 0x10D65, "Lu"}, {0x10D69, 0x10D6D, "Mn"}, {0x10D6E, 0x10D6E, "Pd"},
    {0x10D6F, 0x10D6F, "Lm"}, {0x10D70, 0x10D85, "Ll"}, {0x10D8E, 0x10D8F, "Sm"},
    {0x10EC2, 0x10EC4, "Lo"}, {0x10EFC, 0x10EFF, "Mn"}, {0x1123F, 0x11240, "Lo"},
    {0x11241, 0x11241, "Mn"}, {0x11380, 0x11389, "Lo"}, {0x1138B, 0x1138B, "Lo"},
    {0x1138E, 0x1138E, "Lo"}, {0x11390, 0x113B5, "Lo"}, {0x113B7, 0x113B7, "Lo"},
    {0x113B8, 0x113BA, "Mc"}, {0x113BB, 0x113C0, "Mn"}, {0x113C2, 0x113C2, "Mc"},
    {0x113C5, 0x113C5, "Mc"}, {0x113C7, 0x113CA, "Mc"}, {0x113CC, 0x113CD, "Mc"},
    {0x113CE, 0x113CE, "Mn"}, {0x113CF, 0x113CF, "Mc"}, {0x113D0, 0x113D0, "Mn"},
    {0x113D1, 0x113D1, "Lo"}, {0x113D2, 0x113D2, "Mn"}, {0x113D3, 0x113D3, "Lo"},
    {0x113D4, 0x113D5, "Po"}, {0x113D7, 0x113D8, "Po"}, {0x113E1, 0x113E2, "Mn"},
    {0x116D0, 0x116E3, "Nd"}, {0x1171E, 0x1171E, "Mc"}, {0x11B00, 0x11B09, "Po"},
    {0x11BC0, 0x11BE0, "Lo"}, {0x11BE1, 0x11BE1, "Po"}, {0x11BF0, 0x11BF9, "Nd"},
    {0x11F00, 0x11F01, "Mn"}, {0x11F02, 0x11F02, "Lo"}, {0x11F03, 0x11F03, "Mc"},
    {0x11F04, 0x11F10, "Lo"}, {0x11F12, 0x11F33, "Lo"}, {0x11F34, 0x11F35, "Mc"},
    {0x11F36, 0x11F3A, "Mn"}, {0x11F3E, 0x11F3F, "Mc"}, {0x11F40, 0x11F40, "Mn"},
    {0x11F41, 0x11F41, "Mc"}, {0x11F42, 0x11F42, "Mn"}, {0x11F43, 0x11F4F, "Po"},
    {0x11F50, 0x11F59, "Nd"}, {0x11F5A, 0x11F5A, "Mn"}, {0x1342F, 0x1342F, "Lo"},
    {0x13439, 0x1343F, "Cf"}, {0x13440, 0x13440, "Mn"}, {0x13441, 0x13446, "Lo"},
    {0x13447, 0x13455, "Mn"}, {0x13460, 0x143FA, "Lo"}, {0x16100, 0x1611D, "Lo"},
    {0x1611E, 0x16129, "Mn"}, {0x1612A, 0x1612C, "Mc"}, {0x1612D, 0x1612F, "Mn"},
    {0x16130, 0x16139, "Nd"}, {0x16D40, 0x16D42, "Lm"}, {0x16D43, 0x16D6A, "Lo"},
    {0x16D6B, 0x16D6C, "Lm"}, {0x16D6D, 0x16D6F, "Po"}, {0x16D70, 0x16D79, "Nd"},
    {0x18CFF, 0x18CFF, "Lo"}, {0x1B132, 0x1B132, "Lo"}, {0x1B155, 0x1B155, "Lo"},
    {0x1CC00, 0x1CCEF, "So"}, {0x1CCF0, 0x1CCF9, "Nd"}, {0x1CD00, 0x1CEB3, "So"},
    {0x1D2C0, 0x1D2D3, "No"}, {0x1DF25, 0x1DF2A, "Ll"}, {0x1E030, 0x1E06D, "Lm"},
    {0x1E08F, 0x1E08F, "Mn"}, {0x1E4D0, 0x1E4EA, "Lo"}, {0x1E4EB, 0x1E4EB, "Lm"},
    {0x1E4EC, 0x1E4EF, "Mn"}, {0x1E4F0, 0x1E4F9, "Nd"}, {0x1E5D0, 0x1E5ED, "Lo"},
    {0x1E5EE, 0x1E5EF, "Mn"}, {0x1E5F0, 0x1E5F0, "Lo"}, {0x1E5F1, 0x1E5FA, "Nd"},
    {0x1E5FF, 0x1E5FF, "Po"}, {0x1F6DC, 0x1F6DC, "So"}, {0x1F774, 0x1F776, "So"},
    {0x1F77B, 0x1F77F, "So"}, {0x1F7D9, 0x1F7D9, "So"}, {0x1F8B2, 0x1F8BB, "So"},
    {0x1F8C0, 0x1F8C1, "So"}, {0x1FA75, 0x1FA77, "So"}, {0x1FA87, 0x1FA89, "So"},
    {0x1FA8F, 0x1FA8F, "So"}, {0x1FAAD, 0x1FAAF, "So"}, {0x1FABB, 0x1FABF, "So"},
    {0x1FAC6, 0x1FAC6, "So"}, {0x1FACE, 0x1FACF, "So"}, {0x1FADA, 0x1FADC, "So"},
    {0x1FADF, 0x1FADF, "So"}, {0x1FAE8, 0x1FAE9, "So"}, {0x1FAF7, 0x1FAF8, "So"},
    {0x1FBCB, 0x1FBEF, "So"}, {0x2B739, 0x2B739, "Lo"}, {0x2EBF0, 0x2EE5D, "Lo"},
    {0x31350, 0x323AF, "Lo"},
};

/* By script. */
static const named_range new_scripts[] = {
    {0x897, 0x897, "Arabic"},         {0x1C89, 0x1C8A, "Cyrillic"},
    {0xA7CB, 0xA7CD, "Latin"},        {0xA7DA, 0xA7DC, "Latin"},
    {0x10EC2, 0x10EC4, "Arabic"},     {0x10EFC, 0x10EFF, "Arabic"},
    {0x11B00, 0x11B09, "Devanagari"}, {0x1B132, 0x1B132, "Hiragana"},
    {0x1B155, 0x1B155, "Katakana"},   {0x1DF25, 0x1DF2A, "Latin"},
    {0x1E030, 0x1E06D, "Cyrillic"},   {0x1E08F, 0x1E08F, "Cyrillic"},
    {0x2B739, 0x2B739, "Han"},        {0x2EBF0, 0x2EE5D, "Han"},
    {0x31350, 0x323AF, "Han"},
};

/* Word characters that are neither letters, marks, decimal digits nor connectors. */
static const struct {
  uint32_t first, last;
} odd_word_characters[] = {
    {0xB2, 0xB3},       {0xB9, 0xB9},       {0xBC, 0xBE},       {0x16EE, 0x16F0},
    {0x2160, 0x2182},   {0x2185, 0x2188},   {0x24B6, 0x24E9},   {0x3007, 0x3007},
    {0x3021, 0x3029},   {0x3038, 0x303A},   {0xA6E6, 0xA6EF},   {0x10140, 0x10174},
    {0x10341, 0x10341}, {0x1034A, 0x1034A}, {0x103D1, 0x103D5}, {0x12400, 0x1246E},
    {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static cdl_status add_text(base_bytes *out, const char *text)
{
  return base_bytes_append(out, text, strlen(text));
}

static cdl_status add_range(base_bytes *out, uint32_t first, uint32_t last)
{
  char text[32];
  snprintf(text, sizeof text, "\\x{%X}-\\x{%X}", (unsigned)first, (unsigned)last);
  return add_text(out, text);
}

/* Adds the ranges whose name begins with `name`: all letters for "L". */
static cdl_status add_new(base_bytes *out, const named_range *ranges, size_t count,
                          const char *name)
{
  for (size_t i = 0; i < count; i++)
    if (strncmp(ranges[i].name, name, strlen(name)) == 0)
      CDL_TRY(add_range(out, ranges[i].first, ranges[i].last));
  return CDL_STATUS_OK;
}

cdl_status tokenizer_class_property(const char *name, base_bytes *out, bool *known)
{
  /* Not C and Cn, which have lost characters, nor Mn and Mc, between which U+1171E moved. */
  static const char *const categories[] = {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Me",
                                           "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Ps",
                                           "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk",
                                           "So", "Z",  "Zs", "Zl", "Zp", "Cc", "Cf", "Co"};
  static const char *const scripts[] = {"Arabic",   "Cyrillic", "Devanagari", "Greek",
                                        "Han",      "Hangul",   "Hebrew",     "Hiragana",
                                        "Katakana", "Latin",    "Thai"};
  const bool category = base_is_one_of(name, categories, COUNT(categories));
  *known = category || base_is_one_of(name, scripts, COUNT(scripts));
  if (!*known)
    return CDL_STATUS_OK;
  char text[32];
  snprintf(text, sizeof text, category ? "\\p{%s}" : "\\p{sc:%s}", name);
  CDL_TRY(add_text(out, text));
  return category ? add_new(out, new_categories, COUNT(new_categories), name)
                  : add_new(out, new_scripts, COUNT(new_scripts), name);
}

cdl_status tokenizer_class_word(base_bytes *out, bool bracketed)
{
  enum { LATIN_END = 0x100 };
  static const char *const parts[] = {"L", "M", "Nd", "Pc"};
  bool known;
  for (size_t i = 0; i < COUNT(parts); i++)
    CDL_TRY(tokenizer_class_property(parts[i], out, &known));
  for (size_t i = 0; i < COUNT(odd_word_characters); i++)
    if (!bracketed || odd_word_characters[i].first >= LATIN_END)
      CDL_TRY(add_range(out, odd_word_characters[i].first, odd_word_characters[i].last));
  return CDL_STATUS_OK;
}

cdl_status tokenizer_class_space(base_bytes *out)
{
  return add_text(out, "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}"
                       "\\x{2029}\\x{202F}\\x{205F}\\x{3000}");
}

cdl_status tokenizer_class_not_space(base_bytes *out)
{
  return add_text(out, "\\x{0}-\\x{8}\\x{E}-\\x{1F}\\x{21}-\\x{84}\\x{86}-\\x{9F}\\x{A1}-\\x{167F}"
                       "\\x{1681}-\\x{1FFF}\\x{200B}-\\x{2027}\\x{202A}-\\x{202E}\\x{2030}-"
                       "\\x{205E}\\x{2060}-\\x{2FFF}\\x{3001}-\\x{10FFFF}");
}
