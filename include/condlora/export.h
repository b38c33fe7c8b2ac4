/* Attributes of the library's functions. */
#ifndef CONDLORA_EXPORT_H
#define CONDLORA_EXPORT_H

#if defined(__GNUC__)
#define CDL_API __attribute__((visibility("default")))
#define CDL_MUST_USE __attribute__((warn_unused_result))
#define CDL_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define CDL_API
#define CDL_MUST_USE
#define CDL_PRINTF(text, first)
#endif

#endif
