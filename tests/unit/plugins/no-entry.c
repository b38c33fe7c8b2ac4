/* A shared object that is no backend. */
#include "condlora/plugin.h"

CDL_EXPORT int something_else(void);

int something_else(void)
{
  return 1;
}
