"""Follows a how-to page of docs/ to the letter, on a copy of the source tree.

A step of a page is a sentence in front of a fenced block, or a sentence alone. `PATH` is from the root of the tree.

    Append to `PATH`:                        the block is added at the end of the file
    Create `PATH`:                           the block is a new file
    In `PATH`, after the line `TEXT`:        the block goes behind the one line that contains the text
    In `PATH`, before the line `TEXT`:       the same, in front of it
    In `PATH`, instead of the line `TEXT`:   the same, in its place
    In `PATH`, add 1 to `NAME`.              of #define NAME NUMBER
    a block of sh                            commands, run in the copy; they stop at the first failure

Any other block fails the test: nothing on such a page may be true only in part.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

STEP = re.compile(r"(?:^|(?<=[.:] ))(?P<what>Append to|Create|In) `(?P<path>[^`]+)`"
                  r"(?:, (?P<where>after|before|instead of) the line `(?P<anchor>[^`]+)`|, add 1 to `(?P<name>\w+)`)?[:.]$", re.M)


def skip(why):
    print(f"skipped: {pathlib.Path(sys.argv[0]).stem}: {why}")
    sys.exit(77)


def fail(where, why):
    print(f"{where}: {why}")
    sys.exit(1)


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            skip(f"there is no {program}")


def copy_tree(source, destination):
    """The files of the source tree without builds and what belongs to version control."""
    def left_out(folder, names):
        top = pathlib.Path(folder) == source
        return [name for name in names if name == "__pycache__" or name.startswith(".git")
                or (top and (name.startswith("build") or name in ("peers-venv", "quickstart-data")))]
    shutil.copytree(source, destination, ignore=left_out, symlinks=True, dirs_exist_ok=True)


def steps_of(page):
    """(line, kind, match or language, block) in the order of the page; block None where there is none."""
    steps, block, language, sentence = [], None, None, ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            if block is None:
                block, language = [], line[3:].strip()
            else:
                text, step = "\n".join(block) + "\n", STEP.search(sentence)
                steps.append((number, "sh", None, text) if language == "sh" else (number, "edit", step, text))
                block = None
        elif block is not None:
            block.append(line)
        elif line.strip():
            step = STEP.search(line.strip())
            if step is not None and step["name"]:
                steps.append((number, "edit", step, None))
            sentence = line.strip()
    return steps


def edit(root, where, step, block):
    if step is None:
        fail(where, "no sentence in front of this block says where it goes")
    path = root / step["path"]
    if step["what"] == "Create":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block, encoding="utf-8")
        return
    if not path.is_file():
        fail(where, f"there is no file {step['path']}")
    text = path.read_text(encoding="utf-8")
    if step["name"]:
        new, count = re.subn(rf"(#define {step['name']} )(\d+)", lambda m: m[1] + str(int(m[2]) + 1), text)
        if count != 1:
            fail(where, f"{step['path']} defines {step['name']} {count} times")
    elif step["what"] == "Append to":
        new = text + block
    else:
        lines = text.splitlines(keepends=True)
        found = [i for i, line in enumerate(lines) if step["anchor"] in line]
        if len(found) != 1:
            fail(where, f"{step['path']} has {len(found)} lines with {step['anchor']!r}, expected one")
        first = found[0] + (step["where"] == "after")
        lines[first : first + (step["where"] == "instead of")] = [block]
        new = "".join(lines)
    path.write_text(new, encoding="utf-8")


def run(root, where, commands, environment):
    done = subprocess.run(["sh", "-ec", commands], cwd=root, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        fail(where, f"exit {done.returncode} of\n{commands}{done.stdout[-4000:]}")
    return done.stdout


def follow(source, page, root, environment=None):
    """Applies and runs every step in `root`; returns what the commands have printed."""
    output = ""
    steps = steps_of(source / page)
    if not steps:
        fail(page, "has no step to follow")
    for number, kind, step, block in steps:
        where = f"{page}:{number}"
        if kind == "sh":
            output += run(root, where, block, environment or {})
        else:
            edit(root, where, step, block)
    print(f"{page}: {len(steps)} steps")
    return output


class Scratch:
    """A folder that goes again, in memory where there is room."""

    def __enter__(self):
        place = os.environ.get("TMPDIR")
        if place is None and os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 1 << 30:
            place = "/dev/shm"
        self.folder = tempfile.TemporaryDirectory(prefix="condlora-howto-", dir=place)
        return pathlib.Path(self.folder.name)

    def __exit__(self, *_):
        self.folder.cleanup()
