#include <stdio.h>
#include <string.h>

#include "base/message.h"
#include "base/utf8.h"
#include "base/visible.h"

enum { MESSAGE_BYTES = 1024 };

static _Thread_local char message[MESSAGE_BYTES];

const char *cdl_status_name(cdl_status status)
{
  static const char *const names[] = {
#define NAME(code, meaning) #code,
      CDL_STATUS_LIST(NAME)
#undef NAME
  };
  const size_t index = (size_t)status;
  return index < sizeof names / sizeof names[0] ? names[index] : "?";
}

const char *cdl_error_message(void)
{
  return message;
}

void base_clear_message(void)
{
  message[0] = '\0';
}

cdl_status base_give_reason(cdl_status status)
{
  return message[0] != '\0' ? status
                            : cdl_fail(status, "no reason given (%s)", cdl_status_name(status));
}

/* vsnprintf may cut within a character. */
static size_t whole_length(const char *text)
{
  size_t length = strlen(text), back = 0;
  uint32_t code_point;
  while (length == MESSAGE_BYTES - 1 && back < 4 && back < length &&
         ((unsigned char)text[length - 1 - back] & 0xC0) == 0x80)
    back++;
  if (length == MESSAGE_BYTES - 1 && back < length &&
      base_code_point(text + length - 1 - back, back + 1, &code_point) == 0)
    length -= back + 1;
  return length;
}

cdl_status cdl_fail_v(cdl_status status, const char *format, va_list arguments)
{
  char text[MESSAGE_BYTES]; /* the arguments may contain the earlier message */
  vsnprintf(text, sizeof text, format, arguments);
  /* One line wherever it is printed, whatever a file or its name contains. */
  base_make_visible(text, whole_length(text), message, sizeof message);
  return status;
}

cdl_status cdl_fail(cdl_status status, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  cdl_fail_v(status, format, arguments);
  va_end(arguments);
  return status;
}

cdl_status cdl_context(cdl_status status, const char *format, ...)
{
  if (status == CDL_STATUS_OK)
    return status;
  char context[MESSAGE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(context, sizeof context, format, arguments);
  va_end(arguments);
  return cdl_fail(status, "%s: %s", context, message);
}
