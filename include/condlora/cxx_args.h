/* CDL_ARGS for C++, with the text that C takes. The struct lives until the end of the call. Members
 * come in the order of the struct, as C++ wants it. ops.h includes this. */
#ifndef CONDLORA_CXX_ARGS_H
#define CONDLORA_CXX_ARGS_H

#ifdef __cplusplus

/* Designators are C++20's; before that compilers take them with a warning, as they warn of members
 * that are left to be zeros. Neither is of use where the macro is called. */
#pragma GCC system_header

extern "C++" { /* also where a caller has put the include into extern "C" */
template <class arguments> inline const arguments *cdl_address_of(const arguments &given)
{
  return &given;
}
}

#define CDL_ARGS(op, ...) \
  cdl_address_of(__extension__ cdl_##op##_args{.size = sizeof(cdl_##op##_args), __VA_ARGS__})

#endif
#endif
