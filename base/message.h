/* This thread's message, for a layer that calls foreign code. */
#ifndef CONDLORA_BASE_MESSAGE_H
#define CONDLORA_BASE_MESSAGE_H

#include "condlora/status.h"

/* Empties the message, so that a plug-in that fails without a message does not get an older one. */
void base_clear_message(void);
/* Sets a message if there is none; returns `status`. */
cdl_status base_give_reason(cdl_status status);

#endif
