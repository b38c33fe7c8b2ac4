#include "bench/tune_space.h"

#include <stdio.h>

/* Limits of work-groups and local memory that every device of OpenCL 1.2's full profile has. A
 * given device may allow more, but larger values are rarely better, and a failing candidate costs a
 * compilation. */
enum { GROUP_MOST = 256, LOCAL_FLOATS_MOST = 8192 };

/* ---- Xgemm ---- */

enum { GEMMK, KREG, KWG, KWI, MDIMA, MDIMC, MWG, NDIMB, NDIMC, NWG, SA, SB, STRM, STRN, VWM, VWN };

static const bench_tune_axis xgemm_axes[] = {
    [GEMMK] = {"GEMMK", {0, 1}, 2},
    [KREG] = {"KREG", {1, 2, 4, 8, 16}, 5},
    [KWG] = {"KWG", {1, 16, 32, 64, 128}, 5},
    [KWI] = {"KWI", {1, 2, 4, 8}, 4},
    [MDIMA] = {"MDIMA", {2, 4, 8, 16, 32}, 5},
    [MDIMC] = {"MDIMC", {2, 4, 8, 16, 32}, 5},
    [MWG] = {"MWG", {16, 32, 64, 128, 256}, 5},
    [NDIMB] = {"NDIMB", {2, 4, 8, 16, 32}, 5},
    [NDIMC] = {"NDIMC", {2, 4, 8, 16, 32}, 5},
    [NWG] = {"NWG", {16, 32, 64, 128, 256}, 5},
    [SA] = {"SA", {0, 1}, 2},
    [SB] = {"SB", {0, 1}, 2},
    [STRM] = {"STRM", {0, 1}, 2},
    [STRN] = {"STRN", {0, 1}, 2},
    [VWM] = {"VWM", {1, 2, 4, 8}, 4},
    [VWN] = {"VWN", {1, 2, 4, 8}, 4},
};

/* Checks the conditions of CLBlast's kernel: tiles divide into vectors and threads
 * (src/kernels/level3/xgemm_part1.opencl explains each parameter). Kernel 1 keeps its tiles in
 * registers, without local memory. */
static bool xgemm_valid(const bench_tune_point *p)
{
  const int *v = p->value;
  const bool tiles = v[MWG] % (v[MDIMC] * v[VWM]) == 0 && v[NWG] % (v[NDIMC] * v[VWN]) == 0 &&
                     v[MWG] % (v[MDIMA] * v[VWM]) == 0 && v[NWG] % (v[NDIMB] * v[VWN]) == 0;
  const int group = v[MDIMC] * v[NDIMC];
  if (!tiles || group > GROUP_MOST || group < 4)
    return false;
  if (v[GEMMK] == 1)
    return v[KWG] == 1 && v[KWI] == 1 && v[SA] + v[SB] + v[STRM] + v[STRN] == 0 &&
           v[MDIMA] == v[MDIMC] && v[NDIMB] == v[NDIMC] && v[KREG] % v[VWN] == 0;
  return v[KREG] == 1 && v[KWG] % v[KWI] == 0 && group % v[MDIMA] == 0 && group % v[NDIMB] == 0 &&
         v[KWG] % (group / v[MDIMA]) == 0 && v[KWG] % (group / v[NDIMB]) == 0 &&
         v[SA] * v[KWG] * v[MWG] + v[SB] * v[KWG] * v[NWG] <= LOCAL_FLOATS_MOST;
}

/* Usual tiles of GPUs with and without local memory, wide tiles for CPUs, and kernel 1. */
static const bench_tune_point xgemm_starts[] = {
    {{0, 1, 32, 2, 16, 16, 64, 16, 16, 64, 1, 1, 0, 0, 4, 4}},
    {{0, 1, 32, 2, 8, 8, 64, 8, 8, 64, 0, 0, 0, 0, 4, 4}},
    {{0, 1, 32, 4, 8, 8, 64, 8, 8, 32, 0, 0, 0, 0, 8, 4}},
    {{0, 1, 128, 4, 16, 8, 128, 16, 4, 32, 0, 1, 0, 0, 8, 2}},
    {{1, 4, 1, 1, 8, 8, 64, 8, 8, 32, 0, 0, 0, 0, 4, 4}},
};

const bench_tune_space bench_tune_xgemm = {"Xgemm",
                                           xgemm_axes,
                                           sizeof xgemm_axes / sizeof xgemm_axes[0],
                                           xgemm_starts,
                                           sizeof xgemm_starts / sizeof xgemm_starts[0],
                                           xgemm_valid};

/* ---- XgemmDirect ---- */

enum { KWID, MDIMAD, MDIMCD, NDIMBD, NDIMCD, PADA, PADB, VWMD, VWND, WGD };

static const bench_tune_axis direct_axes[] = {
    [KWID] = {"KWID", {2, 4, 8, 16}, 4},
    [MDIMAD] = {"MDIMAD", {2, 4, 8, 16, 32}, 5},
    [MDIMCD] = {"MDIMCD", {2, 4, 8, 16, 32}, 5},
    [NDIMBD] = {"NDIMBD", {2, 4, 8, 16, 32}, 5},
    [NDIMCD] = {"NDIMCD", {2, 4, 8, 16, 32}, 5},
    [PADA] = {"PADA", {0, 1}, 2},
    [PADB] = {"PADB", {0, 1}, 2},
    [VWMD] = {"VWMD", {1, 2, 4, 8}, 4},
    [VWND] = {"VWND", {1, 2, 4, 8}, 4},
    [WGD] = {"WGD", {8, 16, 32, 64}, 4},
};

static bool direct_valid(const bench_tune_point *p)
{
  const int *v = p->value;
  const int group = v[MDIMCD] * v[NDIMCD], tile = v[WGD];
  return group <= GROUP_MOST && group >= 4 && tile % v[KWID] == 0 &&
         tile % (v[MDIMCD] * v[VWMD]) == 0 && tile % (v[NDIMCD] * v[VWND]) == 0 &&
         tile % (v[MDIMAD] * v[VWMD]) == 0 && tile % (v[NDIMBD] * v[VWND]) == 0 &&
         group % v[MDIMAD] == 0 && group % v[NDIMBD] == 0 && tile % (group / v[MDIMAD]) == 0 &&
         tile % (group / v[NDIMBD]) == 0 &&
         tile * (tile + v[PADA]) + tile * (tile + v[PADB]) <= LOCAL_FLOATS_MOST;
}

static const bench_tune_point direct_starts[] = {
    {{2, 8, 8, 8, 8, 1, 1, 4, 4, 32}},
    {{2, 8, 8, 8, 8, 1, 1, 1, 1, 8}},
    {{8, 8, 8, 8, 8, 0, 0, 8, 2, 64}},
};

const bench_tune_space bench_tune_direct = {"XgemmDirect",
                                            direct_axes,
                                            sizeof direct_axes / sizeof direct_axes[0],
                                            direct_starts,
                                            sizeof direct_starts / sizeof direct_starts[0],
                                            direct_valid};

/* ---- Points ---- */

static int any_value(const bench_tune_axis *axis, cdl_random *random)
{
  return axis->values[cdl_random_below(random, axis->count)];
}

bench_tune_point bench_tune_draw(const bench_tune_space *space, cdl_random *random)
{
  bench_tune_point p = {{0}};
  do
    for (size_t i = 0; i < space->axis_count; i++)
      p.value[i] = any_value(&space->axes[i], random);
  while (!space->valid(&p));
  return p;
}

bench_tune_point bench_tune_neighbour(const bench_tune_space *space, const bench_tune_point *p,
                                      cdl_random *random)
{
  bench_tune_point near;
  do {
    near = *p;
    const uint64_t changes = 1 + cdl_random_below(random, 3);
    for (uint64_t k = 0; k < changes; k++) {
      const size_t i = (size_t)cdl_random_below(random, space->axis_count);
      near.value[i] = any_value(&space->axes[i], random);
    }
  } while (!space->valid(&near));
  return near;
}

void bench_tune_line(const bench_tune_space *space, const bench_tune_point *p, char *line,
                     size_t bytes)
{
  int used = snprintf(line, bytes, "%s 32", space->kernel);
  for (size_t i = 0; i < space->axis_count && used > 0 && (size_t)used < bytes; i++)
    used += snprintf(line + used, bytes - (size_t)used, " %s=%d", space->axes[i].name, p->value[i]);
}
