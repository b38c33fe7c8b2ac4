/* What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput: it gives a reader
 * the bytes and checks that the reader answers or fails in one line, without a fault that a
 * sanitizer sees. libFuzzer drives it, or replay.c, which runs given inputs once.
 *
 * An input of several files is its parts, in the order that the target names them, with
 * FUZZ_SEPARATOR between; missing parts are empty. */
#ifndef CONDLORA_TESTS_FUZZ_FUZZ_H
#define CONDLORA_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

#define FUZZ_SEPARATOR "\xFFpart\xFF\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
  const uint8_t *data;
  size_t size;
} fuzz_part;

/* Cuts the first part off `rest`; its data is never NULL. */
fuzz_part fuzz_next(fuzz_part *rest);

/* The process's own folder, in memory where there is such a file system; static. */
const char *fuzz_folder(void);
/* Makes the file "FOLDER/NAME" of these bytes and returns its path, valid until the next 8 calls.
 * An empty part leaves no file. */
const char *fuzz_file(const char *name, fuzz_part part);

/* Aborts unless a failure has a message of one line; returns whether `status` is OK. With
 * CDL_FUZZ_SHOW in the environment it prints the message. */
int fuzz_ok(cdl_status status);

#endif
