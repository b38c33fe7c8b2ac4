#include "backends/cpu/coretype.h"

#include <stddef.h>
#include <strings.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* ---- What the processor has, and the system keeps in a change of tasks ---- */

typedef enum {
  SSE3,
  SSSE3,
  SSE4_1,
  SSE4_2,
  SSE4A,
  AMD_3DNOW,
  AVX,
  FMA,
  FMA4,
  AVX2,
  AVX512F,
  AVX512CD,
  AVX512BW,
  AVX512DQ,
  AVX512VL,
  AVX512VNNI,
  AVX512_BF16,
  AVX512_FP16,
  AMX_TILE,
  FEATURES
} feature;

enum { SSE_STATE, AVX_STATE = 0x6, AVX512_STATE = 0xe6, AMX_STATE = 0x600e6 }; /* bits of XCR0 */

static const struct {
  const char *name;
  unsigned leaf, subleaf, word, bit, state; /* word: 0 eax, 1 ebx, 2 ecx, 3 edx */
} features[FEATURES] = {
    [SSE3] = {"SSE3", 1, 0, 2, 0, SSE_STATE},
    [SSSE3] = {"SSSE3", 1, 0, 2, 9, SSE_STATE},
    [SSE4_1] = {"SSE4.1", 1, 0, 2, 19, SSE_STATE},
    [SSE4_2] = {"SSE4.2", 1, 0, 2, 20, SSE_STATE},
    [SSE4A] = {"SSE4a", 0x80000001, 0, 2, 6, SSE_STATE},
    [AMD_3DNOW] = {"3DNow!", 0x80000001, 0, 3, 31, SSE_STATE},
    [AVX] = {"AVX", 1, 0, 2, 28, AVX_STATE},
    [FMA] = {"FMA", 1, 0, 2, 12, AVX_STATE},
    [FMA4] = {"FMA4", 0x80000001, 0, 2, 16, AVX_STATE},
    [AVX2] = {"AVX2", 7, 0, 1, 5, AVX_STATE},
    [AVX512F] = {"AVX-512F", 7, 0, 1, 16, AVX512_STATE},
    [AVX512CD] = {"AVX-512CD", 7, 0, 1, 28, AVX512_STATE},
    [AVX512BW] = {"AVX-512BW", 7, 0, 1, 30, AVX512_STATE},
    [AVX512DQ] = {"AVX-512DQ", 7, 0, 1, 17, AVX512_STATE},
    [AVX512VL] = {"AVX-512VL", 7, 0, 1, 31, AVX512_STATE},
    [AVX512VNNI] = {"AVX-512 VNNI", 7, 0, 2, 11, AVX512_STATE},
    [AVX512_BF16] = {"AVX-512 BF16", 7, 1, 0, 5, AVX512_STATE},
    [AVX512_FP16] = {"AVX-512 FP16", 7, 0, 3, 23, AVX512_STATE},
    [AMX_TILE] = {"AMX", 7, 0, 3, 24, AMX_STATE},
};

static unsigned kept_states(void)
{
  unsigned word[4], low, high;
  if (!__get_cpuid(1, &word[0], &word[1], &word[2], &word[3]) || (word[2] >> 27 & 1) == 0)
    return 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static bool has(feature f)
{
  unsigned word[4];
  return __get_cpuid_count(features[f].leaf, features[f].subleaf, &word[0], &word[1], &word[2],
                           &word[3]) &&
         (word[features[f].word] >> features[f].bit & 1) != 0 &&
         (kept_states() & features[f].state) == features[f].state;
}

/* ---- What the sets need ---- */

#define SET(...) ((const feature[]){__VA_ARGS__, FEATURES})
#define SKYLAKE AVX2, FMA, AVX512F, AVX512CD, AVX512BW, AVX512DQ, AVX512VL

static const struct {
  const char *name;
  const feature *needs; /* up to FEATURES, the most common one first */
} sets[] = {
    {"Prescott", SET(SSE3)},
    {"Core2", SET(SSSE3)},
    {"Penryn", SET(SSE4_1)},
    {"Dunnington", SET(SSE4_1)},
    {"Nehalem", SET(SSE4_2)},
    {"Athlon", SET(AMD_3DNOW)},
    {"Opteron", SET(AMD_3DNOW)},
    {"Opteron_SSE3", SET(AMD_3DNOW)},
    {"Barcelona", SET(SSE4A)},
    {"Bobcat", SET(SSSE3, SSE4A)},
    {"Atom", SET(SSSE3)},
    {"Nano", SET(SSSE3)},
    {"Sandybridge", SET(AVX)},
    {"Bulldozer", SET(AVX, FMA4)},
    {"Piledriver", SET(AVX, FMA4, FMA)},
    {"Steamroller", SET(AVX, FMA4, FMA)},
    {"Excavator", SET(AVX2, FMA4, FMA)},
    {"Haswell", SET(AVX2, FMA)},
    {"Zen", SET(AVX2, FMA)},
    {"SkylakeX", SET(SKYLAKE)},
    {"Cooperlake", SET(SKYLAKE, AVX512VNNI, AVX512_BF16)},
    {"SapphireRapids", SET(SKYLAKE, AVX512VNNI, AVX512_BF16, AVX512_FP16, AMX_TILE)},
};
enum { SETS = sizeof sets / sizeof sets[0] };

bool cpu_coretype_runs(const char *name, const char **lacking)
{
  *lacking = NULL;
  for (size_t i = 0; i < SETS; i++)
    for (const feature *f = sets[i].needs; strcasecmp(sets[i].name, name) == 0 && *f != FEATURES;
         f++)
      if (!has(*f)) {
        *lacking = features[*f].name;
        return false;
      }
  return true;
}

const char *cpu_coretype(void)
{
  static const char *const best[] = {"SkylakeX", "Haswell"};
  const char *lacking;
  for (size_t i = 0; i < sizeof best / sizeof best[0]; i++)
    if (cpu_coretype_runs(best[i], &lacking))
      return best[i];
  return NULL;
}

#else

bool cpu_coretype_runs(const char *name, const char **lacking)
{
  (void)name;
  *lacking = NULL;
  return true;
}

const char *cpu_coretype(void)
{
  return NULL;
}

#endif
