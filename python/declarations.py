#!/usr/bin/env python3
"""declarations.py OUT INCLUDE COMPILER...: writes the C source of the extension module condlora._c.

The module has all that the public headers declare: the compiler's preprocessor expands them, and cffi reads the result. So no
declaration is written twice, and a new function is there with its header.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

import cffi

# Functions of Python that the library calls back; condlora/_library.py and its users define them.
CALLBACKS = """
extern "Python" {
  void condlora_log(void *user, cdl_log_level level, const char *line);
  void condlora_step(void *user, const cdl_train_step *step);
  void condlora_evaluation(void *user, const cdl_train_evaluation *evaluation);
  int condlora_download(void *user, const cdl_hub_progress *progress);
  void condlora_backend_listing(void *user, const cdl_backend_listing *listing);
}
"""


def expanded(include, compiler):
    """The public headers without system headers, attributes and macros."""
    with tempfile.TemporaryDirectory() as folder:
        for name in re.findall(r"#include <([a-z]+\.h)>", "".join(p.read_text() for p in (include / "condlora").glob("*.h"))):
            (pathlib.Path(folder) / name).touch()
        command = [*compiler, "-E", "-P", "-U__GNUC__", "-nostdinc", "-isystem", folder, "-I", include, "-x", "c", "-"]
        source = '#include "condlora/condlora.h"\n'
        return subprocess.run(command, input=source, capture_output=True, check=True, text=True).stdout


def without_bodies(text):
    """Functions that the headers define become declarations."""
    result, rest = "", text
    while found := re.search(r"static inline ([^;{]*?\))\s*\{", rest):
        result += rest[: found.start()] + found[1] + ";\n"
        at, depth = found.end(), 1
        while depth > 0:
            depth += {"{": 1, "}": -1}.get(rest[at], 0)
            at += 1
        rest = rest[at:]
    return result + rest


def main(out, include, *compiler):
    text = without_bodies(expanded(pathlib.Path(include), compiler))
    text = re.sub(r"[^;{}]*\bva_list\b[^;]*;", "\n", text)  # cffi has no such type
    ffi = cffi.FFI()
    ffi.cdef(text)
    ffi.cdef(CALLBACKS)
    ffi.set_source("condlora._c", '#include "condlora/condlora.h"\n', py_limited_api=True)
    ffi.emit_c_code(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
