"""howto_backend.py SOURCE: docs/add-a-backend.md, followed to the letter against an installed copy, outside the tree."""
import pathlib
import re
import sys

import howto

PAGE = "docs/add-a-backend.md"


def main(source):
    howto.need("meson", "ninja", "cc", "pkg-config")
    with howto.Scratch() as folder:
        howto.copy_tree(source, folder / "condlora")
        (folder / "mine").mkdir()
        output = howto.follow(source, PAGE, folder)
    for expected in (r"^[1-9]\d* passed, 0 failed", r"^mine .*one op so far", r"taken by auto: mine"):
        if re.search(expected, output, re.M) is None:
            howto.fail(PAGE, f"its commands do not print what matches {expected!r}:\n{output[-3000:]}")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
