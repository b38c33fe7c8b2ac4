/* Fibers: the work-items of a group, each with a stack of its own, on the thread that runs them. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_FIBER_H
#define CONDLORA_TESTS_CUDA_EMULATOR_FIBER_H

#include <stdbool.h>

enum { FIBER_COUNT = 128 };

/* Lets fiber `index` go on, or begin with work(index), until it pauses or work returns. Whether it
 * has returned. */
bool fiber_resume(int index, void (*work)(int index));
/* Back to fiber_resume; to be called within a fiber. */
void fiber_pause(void);
/* The fiber that runs; -1 outside of all. */
int fiber_current(void);
/* Gives up every fiber in the middle of its work. */
void fiber_abandon_all(void);

#endif
