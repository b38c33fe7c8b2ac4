"""Every snippet of the documents, as a reader would copy it.

    python3 doc_snippets.py SOURCE CONDLORA BENCH CONFORMANCE

Commands run in a folder that has what they name, small: models, GLUE's tasks, files of examples. What cannot be run here is
listed with its reason; of this project's own programs the options are held against --help even so. A command that is neither
run nor listed is a failure, and so is an entry of the list that no document has any more. With CDL_PEERS_PYTHON the snippets
that need other libraries are run too.
"""
import json
import os
import pathlib
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(sys.argv[1]).resolve()
PROGRAMS = {name: pathlib.Path(path).resolve() for name, path in zip(("condlora", "bench-condlora", "condlora-conformance"), sys.argv[2:5])}
CASES = SOURCE / "tests" / "data" / "cases"
PEERS = os.environ.get("CDL_PEERS_PYTHON")
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *sorted(str(path.relative_to(SOURCE)) for path in (SOURCE / "docs").glob("**/*.md")
                                                    if "results" not in path.parts)]
COMMAND = re.compile(r"(condlora|bench-condlora|condlora-conformance|python3|meson|ninja|cc|apt-get|clang-format|clang-tidy|\./\S+|\.ci/\S+)( |$)")
CODE = re.compile(r"(import|from|def|class|static|const|struct|int|void|#include|#!|\$ |[a-z_]+ = [a-z_.]+\()")

# Pages that a test of their own follows, step by step.
FOLLOWED = {"docs/add-an-adapter-method.md", "docs/add-an-op.md", "docs/add-a-backend.md", "docs/add-a-model-family.md", "docs/python.md"}

# What begins so is not run, and why.
NOT_RUN = {
    "./quickstart": "a test of its own",
    "cc ": "the test of an installation compiles the examples so, and runs them",
    "./run-tests": "runs this",
    "./gpu-day": "tests/bench/gpu_day.py runs it in small",
    ".ci/run": "runs this",
    "apt-get ": "changes the system",
    "meson setup ": "builds and installs; the test `installed` does",
    "meson install ": "the test `installed` does",
    "ninja -C build": "builds and tests",
    "clang-format ": "changes files",
    "clang-tidy ": "a check of its own",
    "condlora-conformance --backend opencl": "a test of its own",
    "python3 bench/speed_against_peers.py": "takes long",
    "python3 bench/peers/verdict_spot_check.py": "tests/peers/verdict_spot.py runs it in small",
    "bench-condlora": "takes minutes; tests/bench/smoke.py runs the same in small",
    "condlora train ...": "an ellipsis",
    "config = AutoConfig": "lines of the README beside an export, which tests/peers/adapter_kinds.py runs",
    "import condlora": "tests/python runs the page docs/python.md, which has the same",
    "condlora search … --storage": "is in tests/peers/search_workers.py",
    "#!/bin/sh": "a batch script; there is no Slurm",
    "condlora reproduce verdict": "trains for hours; the test of reproduce runs it in small, and from records",
}
NEEDS_PEERS = ("condlora search ",)
# Said besides: what makes a run small.
BESIDES = {
    "condlora reproduce table1 --model roberta-base": ["--tasks", "RTE", "--epochs", "1", "--seeds", "1"],
    "condlora reproduce table1 --model MODEL": ["--seeds", "1"],
    "condlora train --recipe": ["--epochs", "1"],
}
FAILURES, USED, COUNTS = [], set(), {"run": 0, "listed": 0, "skipped": 0}


def fail(where, what):
    FAILURES.append(where)
    print(f"{where}: {what}")


# ---- What the commands name ----


def long_base(case, folder):
    """A golden case's model without its head, and with 520 positions."""
    shutil.copytree(CASES / case / "model", folder)
    path, config = folder / "model.safetensors", json.loads((folder / "config.json").read_text())
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header, data, tensors, values = json.loads(content[8 : 8 + size]), content[8 + size :], {}, b""
    for name, tensor in header.items():
        if name == "__metadata__" or name.startswith("classifier"):
            continue
        begin, end = tensor["data_offsets"]
        stored = data[begin:end]
        if name.endswith("position_embeddings.weight"):
            stored = (stored * (520 // tensor["shape"][0] + 1))[: 520 * tensor["shape"][1] * 4]
            tensor["shape"][0] = config["max_position_embeddings"] = 520
        tensors[name] = {**tensor, "data_offsets": [len(values), len(values) + len(stored)]}
        values += stored
    text = json.dumps(tensors).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + values)
    (folder / "config.json").write_text(json.dumps(config))


def write_table(path, columns, count, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = "," if path.suffix == ".csv" else "\t"
    path.write_text("".join(mark.join(row) + "\n" for row in [columns, *([value(c, i) for c in columns] for i in range(count))]))


def example(column, row):
    words = ("the cat", "a dog", "the old river", "not here", "is cold", "sings")
    if column in ("kind", "label"):
        return "01"[row * 7 % 3 % 2]
    return str(1 + row * 5 % 3) if column == "stars" else f"{words[row % 6]} {words[(row * 5 + len(column)) % 6]} {row % 4}"


def make_folder(folder):
    long_base("roberta-condlora-reference", folder / "roberta-base")
    long_base("bert-condlora-paper", folder / "bert-base-uncased")
    for name in ("MODEL", "MINILM", "minilm"):
        (folder / name).symlink_to("bert-base-uncased")
    for part, count in (("train", 40), ("dev", 12)):
        write_table(folder / "GLUE" / "RTE" / f"{part}.tsv", ["index", "sentence1", "sentence2", "label"], count,
                    lambda c, i: str(i) if c == "index" else ("entailment", "not_entailment")[i % 2] if c == "label" else example(c, i))
        write_table(folder / "GLUE" / "MRPC" / f"{part}.tsv", ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"], count,
                    lambda c, i: str(i % 2) if c == "Quality" else str(i) if "ID" in c else example(c, i))
    for name in ("mine.csv", "held-out.csv", "reviews.csv"):
        write_table(folder / name, ["text", "kind", "title", "body", "stars"], 40, example)
    write_table(folder / "pairs.tsv", ["sentence1", "sentence2"], 5, example)
    write_table(folder / "sst.tsv", ["sentence", "label"], 40, example)
    for method, names in (("lora", ("lora", "A", "OUT")), ("condlora", ("condlora", "B")), ("full", ("full",))):
        shell(f"condlora train --model MODEL --task MRPC --data GLUE --method {method} --epochs 1 --eval-every 0 --output {names[0]}", folder)
        for name in names[1:]:
            shutil.copytree(folder / names[0], folder / name)
    for name in ("A", "B"):  # as the document calls the adapters themselves
        shutil.copytree(folder / name / "adapter", folder / name, dirs_exist_ok=True)
    shutil.copytree(folder / "full" / "model", folder / "TUNED")


def shell(command, folder, where="before all"):
    path = os.pathsep.join([*dict.fromkeys(str(program.parent) for program in PROGRAMS.values()), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, **({"CDL_PYTHON": PEERS} if PEERS else {})}
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        fail(where, f"{command}: exit {done.returncode}: {done.stderr.strip()[-500:]}")


# ---- What the documents have ----


def blocks_of(document):
    """Code blocks: indented behind an empty line, or fenced. (number of the first line, lines)"""
    blocks, block, fenced, before = [], None, False, ""
    for number, line in enumerate((SOURCE / document).read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            block = (number + 1, []) if fenced else None
            if fenced:
                blocks.append(block)
        elif fenced:
            block[1].append(line.strip())
        elif line.startswith("    ") and (block is not None or before == ""):
            if block is None:
                blocks.append(block := (number, []))
            block[1].append(line[4:].rstrip())
        elif line.strip():
            block = None
        elif block is not None:
            block[1].append("")
        before = line.strip()
    for _, lines in blocks:
        while lines[-1] == "":
            lines.pop()
    return blocks


def commands_of(lines):
    """Lines that are joined by a backslash are one; what stands far behind a command is said about it."""
    joined = re.sub(r" *\\\n *", " ", "\n".join(lines)).splitlines()
    return [re.split(r"\s{2,}(?=[^-\s])", line.strip())[0].strip() for line in joined if COMMAND.match(line.strip())]


def check_options(where, command):
    """Of this project's programs: the options of a command are among those that its help lists."""
    words = command.split()
    program = PROGRAMS.get(words[0])
    if program is None:
        return
    command_words = [words[1]] if words[0] == "condlora" and len(words) > 1 and words[1].isalpha() else []
    done = subprocess.run([program, *command_words, "--help"], capture_output=True, text=True)
    if done.returncode != 0:
        fail(where, f"{words[0]} {' '.join(command_words)} --help: exit {done.returncode}")
    for option in re.findall(r"(?<=\s)--[a-z][a-z0-9-]*", command):
        if not re.search(rf"(?<![a-z-]){option}(?![a-z-])", done.stdout):
            fail(where, f"{command}: {option} is no option")


def is_listed(text):
    for beginning in NOT_RUN:
        if text.startswith(beginning):
            USED.add(beginning)
            COUNTS["listed"] += 1
            return True
    return False


def run_command(where, command, folder):
    if is_listed(command):
        return check_options(where, command)
    if len(command.split()) < 3 and command != "condlora backends":  # the name of a command in a list
        return check_options(where, command)
    if command.startswith(NEEDS_PEERS) and not PEERS:
        COUNTS["skipped"] += 1
        return check_options(where, command)
    command = re.sub(r"[\[\]]", "", command).replace("--task NAME", "--task MRPC")
    words = shlex.split(command)
    for beginning, besides in BESIDES.items():
        if " ".join(words).startswith(beginning):
            USED.add(beginning)
            words += besides
    if "--output" in words:
        shutil.rmtree(folder / words[words.index("--output") + 1], ignore_errors=True)
    COUNTS["run"] += 1
    shell(shlex.join(words), folder, where)
    if not (folder / "OUT" / "adapter").exists():  # what later snippets read
        shutil.copytree(folder / "A", folder / "OUT" / "adapter")


# ---- Other languages ----


def run_python(where, lines, folder):
    if not PEERS:
        COUNTS["skipped"] += 1
        return
    before = "import onnxruntime\nfrom transformers import AutoTokenizer\ntexts = ['the old river', 'is']\n"
    after = "\nassert logits.shape[0] == len(texts), logits.shape\n"
    done = subprocess.run([PEERS, "-c", before + "\n".join(lines) + after], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, "HF_HUB_OFFLINE": "1"})
    COUNTS["run"] += 1
    if done.returncode != 0:
        fail(where, done.stderr.strip()[-500:])


def run_json(where, lines, folder):
    """A search's settings in a file."""
    text = "\n".join(lines)
    json.loads(text)
    (folder / "settings.json").write_text(text)
    run_command(where, "condlora search --model MODEL --task RTE --data GLUE --output searched --trials 2 --config settings.json", folder)


def run_c(where, lines, folder):
    """Compiles a program against the public headers; examples/ and their tests run such programs."""
    source = folder / "snippet.c"
    source.write_text("\n".join(lines))
    done = subprocess.run(["cc", "-std=c11", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", str(SOURCE / "include"),
                           str(source)], capture_output=True, text=True)
    COUNTS["run"] += 1
    if done.returncode != 0:
        fail(where, done.stderr.strip()[-500:])


OTHERS = {("README.md", "#include"): run_c, ("docs/export.md", "session"): run_python, ("docs/search.md", '{"epochs":'): run_json}


def run_block(document, number, lines, folder):
    where, commands = f"{document}:{number}", commands_of(lines)
    other = OTHERS.get((document, lines[0].split()[0]))
    if other is not None:
        USED.add(other)
        other(where, lines, folder)
    elif not commands and not is_listed(lines[0].strip()) and any(CODE.match(line.strip()) for line in lines):
        fail(where, "a snippet that nobody runs")
    for command in commands:
        run_command(where, command, folder)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_folder(folder)
        for document in DOCUMENTS:
            for number, lines in blocks_of(document) if document not in FOLLOWED else []:
                run_block(document, number, lines, folder)
            for command in re.findall(r"`((?:bench-)?condlora [a-z][^`]*)`", (SOURCE / document).read_text(encoding="utf-8")):
                check_options(document, command)
    for entry in [*NOT_RUN, *BESIDES, *OTHERS.values()]:
        if entry not in USED:
            fail("the list", f"{entry}: no document has it")
    if COUNTS["skipped"]:
        print(f"skipped: {COUNTS['skipped']} snippets: CDL_PEERS_PYTHON is not set; ./run-tests --with-peers sets it")
    print(f"{COUNTS['run']} snippets run, {COUNTS['listed']} listed as not to be run, {len(FAILURES)} failed")
    return len(FAILURES) > 0


if __name__ == "__main__":
    sys.exit(main())
