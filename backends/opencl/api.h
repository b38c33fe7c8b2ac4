/* The OpenCL loader and CLBlast, opened when they are first needed and then kept, because other
 * libraries refer to them. */
#ifndef CONDLORA_BACKENDS_OPENCL_API_H
#define CONDLORA_BACKENDS_OPENCL_API_H

#include "condlora/plugin.h"
#include "types.h"

typedef struct {
#define FUNCTION(library, result, name, parameters) result(*name) parameters;
#include "api.def"
#undef FUNCTION
} opencl_api;

extern opencl_api cl; /* filled after opencl_load returned OK */
extern const cdl_host *opencl_host;

/* Errors: ABSENT, with the Debian package of what is missing. Any thread may call it. */
CDL_MUST_USE cdl_status opencl_load(void);

/* Returns the name of an OpenCL or CLBlast code, "CL_OUT_OF_RESOURCES"; static. */
const char *opencl_code_name(int code);

/* Returns OK for CL_SUCCESS, otherwise a failure that names the call and the code. */
CDL_MUST_USE cdl_status opencl_check(int code, const char *call);

#endif
