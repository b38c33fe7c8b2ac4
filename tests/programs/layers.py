#!/usr/bin/env python3
"""layers.py SOURCE: each file includes files of its own room and of rooms above it in docs/design.md's order and no others,
no two sources include one another, and what begins with cdl_ is declared in include/condlora/."""
import pathlib
import re
import sys

# From the top down. A room may use those before it; `None` as a list means all of them.
ROOMS = {
    "include/condlora": [],
    "base": ["include/condlora"],
    "ranks": ["base"],
    "ranks/mpi": ["ranks"],
    "backends/core": ["base"],
    "backends/cpu": ["base"],
    "backends/kernels": ["base"],
    "backends/opencl": ["base", "backends/kernels"],
    "backends/cuda": ["base", "backends/kernels"],
    "backends/null": [],
    "model/files": ["base"],
    "model/hub": ["base"],
    "model/tokenizer": ["base", "model/files", "model/hub"],
    "model/encoder": ["base", "model/files"],
    "model/frozen": ["base", "model/files", "model/encoder"],
    "model/adapter": ["base", "model/files", "model/hub", "model/encoder"],
    "model/export": ["base", "model/files", "model/hub", "model/encoder", "model/adapter"],
    "model/inference": ["base", "ranks", "model/files", "model/hub", "model/encoder", "model/frozen", "model/adapter", "model/export"],
    "train/data": ["base", "ranks", "model/files", "model/encoder"],
    "train": ["base", "ranks", "model/files", "model/hub", "model/encoder", "model/frozen", "model/adapter", "model/export", "model/inference", "train/data"],
    "tools/analysis": ["base", "model/files", "model/encoder", "model/adapter"],
    "tools/plot": ["base"],
    "tools/plot/cairo": ["tools/plot"],
    "tools/reports": None,
    "tools/study": ["base", "ranks", "model/files", "model/hub", "model/encoder", "model/frozen", "model/adapter", "model/inference", "train/data", "train", "tools/reports"],
    "tools/console": ["base", "ranks", "model/files", "model/hub", "model/encoder", "model/adapter", "train/data", "train"],
    "tools/cli": None,
    "bench": None,
}
# What only part of a room may include of another: the reason stands beside it.
EXCEPTIONS = {
    ("backends/core", "backends/cpu"),  # the built-in backends' entries
    ("bench", "backends/opencl"),  # the tuner writes the files that the backend reads
}
HEADERS_OF_ALL = "include/condlora"


def room_of(path):
    """The innermost room that holds a file; None for tests, examples and generated files."""
    folders = [str(folder) for folder in pathlib.PurePath(path).parents]
    return next((folder for folder in folders if folder in ROOMS), None)


def includes(root, path):
    for name in re.findall(r'^\s*#\s*include\s+["<]([^">]+)[">]', (root / path).read_text(), re.M):
        for place in (name, f"include/{name}"):
            if (root / place).is_file():
                yield place


def wrong_arrows(root, sources):
    order = list(ROOMS)
    for path in sources:
        room = room_of(path)
        allowed = ROOMS[room] if ROOMS[room] is not None else order[: order.index(room)]
        for target in includes(root, path):
            other = room_of(target)
            if other in (room, HEADERS_OF_ALL) or other in allowed or (room, other) in EXCEPTIONS:
                continue
            yield f"{path} includes {target}: {room} does not know {other}"


def circles(root, sources):
    """Sources that reach themselves: one reaches another where it or its own header includes the other's header."""
    noun = lambda path: path.rsplit(".", 1)[0]
    with_code = {noun(path) for path in sources if path.endswith(".c")}
    arrows = {}
    for path in sources:
        if noun(path) in with_code:
            reached = {noun(target) for target in includes(root, path)} & with_code
            arrows.setdefault(noun(path), set()).update(reached - {noun(path)})
    for start in sorted(arrows):
        seen, to_see = set(), set(arrows[start])
        while to_see:
            one = to_see.pop()
            seen.add(one)
            to_see |= arrows.get(one, set()) - seen
        if start in seen:
            yield f"{start} reaches itself by way of {', '.join(sorted(n for n in arrows[start] if n in seen))}"


def wrong_names(root, sources):
    declared = set()
    for header in (root / HEADERS_OF_ALL).iterdir():
        declared |= set(re.findall(r"\b(?:cdl|CDL)_\w+", header.read_text()))
    ops = re.findall(r"^CDL_OP\((\w+)", (root / HEADERS_OF_ALL / "ops.def").read_text(), re.M)
    declared |= {f"cdl_{op}" for op in ops} | {f"CDL_OP_{op}" for op in ops}
    for path in sources:
        if not path.endswith(".h") or path.startswith(HEADERS_OF_ALL):
            continue
        text = re.sub(r"/\*.*?\*/|\"[^\"\n]*\"", " ", (root / path).read_text(), flags=re.S)
        for name in sorted(set(re.findall(r"\b(?:cdl|CDL)_\w+", text)) - declared):
            if not re.match(r"CDL_(STATUS|DTYPE|STORED|METRIC)_|CDL_ACTIVATION_$", name):
                yield f"{path}: {name} is not of the public headers"


def main(root):
    sources = sorted(str(path.relative_to(root)) for suffix in ("c", "h", "cl") for path in root.glob(f"**/*.{suffix}"))
    sources = [path for path in sources if room_of(path) is not None and not path.startswith("build")]
    faults = [*wrong_arrows(root, sources), *circles(root, sources), *wrong_names(root, sources)]
    print(*faults, f"{len(sources)} files, {len(faults)} faults", sep="\n")
    return bool(faults) or not sources


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
