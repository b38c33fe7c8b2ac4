/* Who touched shared memory last: how races, and reads of copies that have not arrived, are found.
 *
 * A kernel's memory has a shadow for each unit: a word, or less where one of its instructions
 * accesses less. A shadow keeps a stamp of its last write and one of its reads:
 *
 *   bits 63…36 the block's epoch: a barrier ends it, and each block begins another
 *        35…14 the warp's epoch: bar.warp.sync of all its lanes ends it, and so does a barrier
 *        13…12 the kind
 *         9…0  the thread, whose upper bits are the warp
 *
 * Two accesses of different threads are ordered if their epochs of the block differ, or if they are
 * of one warp and its epochs differ. The shuffles order nothing: the documents say so. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_PTX_SHARED_H
#define CONDLORA_TESTS_CUDA_EMULATOR_PTX_SHARED_H

#include "tests/cuda_emulator/ptx/code.h"

enum {
  PTX_EPOCH_SHIFT = 36,
  PTX_WARP_EPOCH_SHIFT = 14,
  PTX_KIND_SHIFT = 12,
  PTX_THREAD_MASK = 1023,
  /* Kinds: of a write, that its bytes are on their way; of a read, that several threads read since
   * the last epoch, of one warp or of several. */
  PTX_ARRIVED = 0,
  PTX_ON_ITS_WAY = 1,
  PTX_OF_WARP = 1,
  PTX_OF_WARPS = 2
};

/* Where an access to the shared space lies; NULL, and a violation, where it is in no array. `bytes`
 * is a power of two, which the address must be a multiple of. */
char *ptx_shared_find(ptx_warp *warp, const ptx_instruction *in, int lane, uint64_t address,
                      size_t bytes);
/* Checks and notes an access of a lane to [place, place + bytes). What is wrong is reported, and
 * the launch goes on; what has not arrived is NaN, as is what nobody wrote. */
void ptx_shared_read(ptx_warp *warp, const ptx_instruction *in, int lane, const char *place,
                     size_t bytes);
void ptx_shared_write(ptx_warp *warp, const ptx_instruction *in, int lane, char *place,
                      size_t bytes, int kind);
/* The most frequent access, in one: each lane reads a word of one array, where shadows are of words
 * and the address is a register of 32 bits. False where anything is unusual: then the access is to
 * be made step by step. */
bool ptx_shared_load_words(ptx_warp *warp, const ptx_instruction *in, lane_u32 *d);
/* Bytes of the lane have arrived: they are written now. */
void ptx_shared_arrive(ptx_warp *warp, int lane, const char *place, size_t bytes);

/* The passes that an access of a warp takes: `places` of the lanes of `mask`, `bytes` of each. */
int ptx_bank_passes(const ptx_block *block, uint32_t mask, char *const *places, size_t bytes);

#endif
