"""howto_method.py SOURCE: docs/add-an-adapter-method.md, followed to the letter: a method that trains, is shown and is saved."""
import pathlib
import sys

import howto


def main(source):
    howto.need("meson", "ninja", "cc")
    with howto.Scratch() as folder:
        root = folder / "tree"
        howto.copy_tree(source, root)
        # A compiler's cache finds what the tree itself has been built from: nothing depends on where the copy lies.
        environment = {"CCACHE_BASEDIR": str(folder), "CCACHE_NOHASHDIR": "1", "CK_RUN_CASE": "forms"}
        output = howto.follow(source, "docs/add-an-adapter-method.md", root, {**environment, "TMPDIR": str(folder)})
        if '--gain " X' not in (root / "docs/man/condlora.1").read_text(encoding="utf-8").replace("\\", ""):
            howto.fail("docs/add-an-adapter-method.md", "the manual does not know --gain")
    for line in ("100%: Checks:", "type GAINED, rank 8, alpha 8", "gain 2", ".gained_A.weight"):
        if line not in " ".join(output.split()):
            howto.fail("docs/add-an-adapter-method.md", f"its commands do not print '{line}':\n{output[-3000:]}")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
