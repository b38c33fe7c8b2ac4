/* The emulator's controls, as a test of the plug-in reaches them. */
#ifndef CONDLORA_TESTS_CUDA_EMULATED_H
#define CONDLORA_TESTS_CUDA_EMULATED_H

#include <stdbool.h>
#include <stdint.h>

/* A function of the emulated driver, or of the emulator itself. */
void *emulated_symbol(const char *name);
/* emulator_fail_at and emulator_answer. */
void emulated_fail_at(const char *what, uint64_t k);
void emulated_answer(const char *what, uint64_t k, int code, bool from_then_on);
/* The result of a function of control.h that returns an int. */
int emulated_count(const char *name);

#endif
