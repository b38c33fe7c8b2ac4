/* The fixture of tests on the plug-in that notes what is asked of it: opened, with one queue and
 * one buffer. */
#ifndef CONDLORA_TESTS_UNIT_PLUGINS_OPENED_H
#define CONDLORA_TESTS_UNIT_PLUGINS_OPENED_H

#include <check.h>

#include "condlora/backend.h"
#include "tests/unit/plugins/find.h"

static cdl_backend *backend;
static cdl_queue *queue;
static cdl_buffer *buffer;
static recording *seen;

static inline void open_plugin(const char *name, const cdl_backend_options *options)
{
  ck_assert_int_eq(cdl_backend_open(plugin_path(name), options, &backend), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_create(backend, 4096, &buffer), CDL_STATUS_OK);
  seen = plugin_variable(name, "recorded");
}

static inline void set_up(void)
{
  open_plugin("recording", NULL);
}

static inline void tear_down(void)
{
  cdl_buffer_destroy(buffer);
  cdl_queue_destroy(queue);
  ck_assert_msg(cdl_backend_close(backend) == CDL_STATUS_OK, "%s", cdl_error_message());
}

static inline cdl_tensor matrix(int64_t offset, int64_t rows, int64_t columns)
{
  return cdl_tensor_2d(buffer, CDL_DTYPE_F32, offset, rows, columns);
}

static inline void assert_message(const char *word)
{
  ck_assert_msg(strstr(cdl_error_message(), word) != NULL, "'%s' lacks '%s'", cdl_error_message(),
                word);
}

static inline void fill(void)
{
  cdl_fill(queue, CDL_ARGS(fill, .out = matrix(0, 2, 3), .value = 1));
}

#endif
