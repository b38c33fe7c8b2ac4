/* CDL_ARGS for C++, with the same text as in C. The struct lives until the end of the call. Name
 * the members in the order of the struct: C++ requires it. ops.h includes this header. */
#ifndef CONDLORA_CXX_ARGS_H
#define CONDLORA_CXX_ARGS_H

#ifdef __cplusplus

/* Designated initializers are C++20. Older compilers accept them with a warning, and some warn
 * about members that are left zero. Both warnings would only disturb the caller. */
#pragma GCC system_header

extern "C++" { /* also if the caller includes this header within extern "C" */
template <class arguments> inline const arguments *cdl_address_of(const arguments &given)
{
  return &given;
}
}

#define CDL_ARGS(op, ...) \
  cdl_address_of(__extension__ cdl_##op##_args{.size = sizeof(cdl_##op##_args), __VA_ARGS__})

#endif
#endif
