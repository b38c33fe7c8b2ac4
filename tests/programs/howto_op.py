"""howto_op.py SOURCE: docs/add-an-op.md, followed to the letter: a composed op that the CPU backend has no form of."""
import pathlib
import re
import sys

import howto

PAGE = "docs/add-an-op.md"


def main(source):
    howto.need("meson", "ninja", "cc")
    with howto.Scratch() as folder:
        howto.copy_tree(source, folder / "tree")
        output = howto.follow(source, PAGE, folder / "tree")
    for expected in (r"^scale_rows +composed +composed ", r"^[1-9]\d* passed, 0 failed"):
        if re.search(expected, output, re.M) is None:
            howto.fail(PAGE, f"its commands do not print what matches {expected!r}:\n{output[-3000:]}")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
