/* The end of a test program's main. */
#ifndef CONDLORA_TESTS_RUN_SUITE_H
#define CONDLORA_TESTS_RUN_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Runs a suite as the program's only one; its exit status. */
static inline int run_suite(Suite *suite)
{
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  const int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
