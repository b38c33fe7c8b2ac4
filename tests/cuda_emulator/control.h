/* How tests steer the emulator: functions of its core, to be found with dlsym through any of its
 * libraries, and variables of the environment.
 *
 *   CUDA_EMULATOR_SEED=N       of every random choice; 1 without it
 *   CUDA_EMULATOR_FAIL=WHAT:K  the K-th call fails, from 1: of the function WHAT, or of all with
 *                              "*"; "late": the K-th piece of work faults when it runs; "recorded
 *                              WHAT": only calls while a stream records count. K+: so do all
 *                              later ones. WHAT:K:CODE: with this code
 *   CUDA_EMULATOR_MEMORY=N     bytes of the device's memory
 *   CUDA_EMULATOR_DEVICES=N    0 to 4 devices
 *   CUDA_EMULATOR_ALIKE=1      all of one name; without it each has its number in its name
 *   CUDA_EMULATOR_MODE=N       the compute mode: 0 (its own), 2 prohibited, 3 exclusive
 *   CUDA_EMULATOR_CAPABILITY=N the compute capability: 80, which it is without it, is 8.0
 *   CUDA_EMULATOR_DRIVER=N     the driver's CUDA version: 12040 is 12.4. It then takes only images
 *                              that such a driver takes. Without it: 12000, which takes all
 *   CUDA_EMULATOR_NCCL=N       the version of NCCL: 20906 is 2.9.6
 *   CUDA_EMULATOR_STRICT=1     exit status 86 at the end of a program with violations or leaks
 *   CUDA_EMULATOR_KERNELS=ptx  kernels are the PTX that the program loads, and run by the executor
 *   CUDA_EMULATOR_PTX=FILE     with it: PTX that takes the place of machine code, also of what the
 *                              emulated NVRTC makes
 *   CUDA_EMULATOR_DEVICE=NAME  with it: h200 (without it) or a100 */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_CONTROL_H
#define CONDLORA_TESTS_CUDA_EMULATOR_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

/* The K-th call from now on fails, of all ("*") or of one function; "late" as above; 0: none. */
void emulator_fail_at(const char *what, uint64_t k);
/* As emulator_fail_at, with this code, once or from then on; "recorded WHAT" as above. */
void emulator_answer(const char *what, uint64_t k, int code, bool from_then_on);
/* The name of the call that failed on request, since emulator_fail_at; NULL: none has. */
const char *emulator_failed_call(void);
/* Calls, and pieces of work that ran, since the last emulator_fail_at. */
uint64_t emulator_calls(void);
uint64_t emulator_works(void);
/* Kernels and products among these works. */
uint64_t emulator_launches(void);
/* Objects and allocations that are alive, and those that were when their context ended. */
int emulator_leaks(void);
int emulator_violations(void);
/* The latest violation, "" without one. */
const char *emulator_last_violation(void);
/* Forgets violations and leaks: for tests that cause them on purpose. */
void emulator_forget(void);
void emulator_seed(uint64_t seed);

/* ---- What the executor of PTX counted, launch by launch ---- */

typedef enum {
  EMULATOR_INTEGER, /* and moves, comparisons, conversions */
  EMULATOR_FLOAT,
  EMULATOR_DOUBLE,
  EMULATOR_SPECIAL, /* division, roots, exponentials */
  EMULATOR_MMA,
  EMULATOR_LOAD_GLOBAL,
  EMULATOR_STORE_GLOBAL,
  EMULATOR_LOAD_SHARED, /* and ldmatrix */
  EMULATOR_STORE_SHARED,
  EMULATOR_COPY_ASYNC,
  EMULATOR_LOCAL, /* and parameters and tables */
  EMULATOR_SHUFFLE,
  EMULATOR_BARRIER,
  EMULATOR_BRANCH,
  EMULATOR_CLASSES
} emulator_instruction_class;

typedef struct {
  const char *kernel; /* lives as long as the process */
  uint64_t blocks, threads, shared_bytes;
  uint64_t instructions[EMULATOR_CLASSES]; /* of warps: one for all lanes that take part */
  /* Of all lanes, and the sectors of 32 bytes that each instruction of a warp touches. */
  uint64_t read_bytes, read_sectors, written_bytes, written_sectors;
  /* Passes over the 32 banks: as many as an instruction has, without conflicts. */
  uint64_t shared_reads, shared_read_passes, shared_writes, shared_write_passes;
} emulator_launch_counts;

/* From now on launches are counted, or no longer; forgets those before. */
void emulator_count_launches(bool count);
/* Launch i of those that ran since then, from 0: false where there are no more. */
bool emulator_launch_count(uint64_t i, emulator_launch_counts *counts);

#endif
