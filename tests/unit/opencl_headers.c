/* backends/opencl's own list of functions and numbers against the vendors' headers, where those are
 * installed: it compiles or it does not. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <clblast_c.h>

#define SAME_TYPE(a, b) __builtin_types_compatible_p(__typeof__(a), __typeof__(b))

#define FUNCTION(library, result, name, parameters) \
  _Static_assert(SAME_TYPE(&name, result(*) parameters), #name " has another prototype");
#include "backends/opencl/api.def"
#undef FUNCTION

#define CONSTANT(name, value) _Static_assert((name) == (value), #name " has another value");
#include "backends/opencl/constants.def"
#undef CONSTANT

#define CODE(name, value) _Static_assert((name) == (value), #name " has another value");
#include "backends/opencl/codes.def"
#undef CODE
