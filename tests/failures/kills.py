"""kills.py CONDLORA SOURCE [--times N] [--seed S] [WHAT ...]: commands that are killed at random moments.

Each of merge, export to PEFT and to ONNX, search and reproduce runs once to its end, then N times against SIGKILL: it is
started, killed after a random part of the time that it takes, and started again until it is through. Its files are then
those of the run that was left alone, and nothing else lies beside them. The search needs Optuna, in the Python that runs
this or in CDL_PEERS_PYTHON, and is skipped by name without it. The last line counts.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# What says how long something took, or where it ran, and so differs from run to run.
UNEQUAL = {"run.json", "metrics.json", "times.csv", "study.db", "report.html", "report.md", "MODEL_CARD.md", "MODEL_CARD.html", "search.json"}
WORDS = ("the cat", "a dog", "sat there", "ran off", "saw me", "in it")


def python_with_optuna():
    for python in (os.environ.get("CDL_PEERS_PYTHON"), sys.executable):
        if python and subprocess.run([python, "-c", "import optuna"], capture_output=True).returncode == 0:
            return python
    return None


def write_glue(folder, rng):
    """GLUE's RTE, a few made-up examples."""
    (folder / "RTE").mkdir(parents=True)
    for split, count in (("train", 24), ("dev", 8)):
        rows = ["\t".join((f"{rng.choice(WORDS)} {rng.choice(WORDS)}", rng.choice(WORDS), ("entailment", "not_entailment")[i % 2]))
                for i in range(count)]
        (folder / "RTE" / f"{split}.tsv").write_text("\n".join(["sentence1\tsentence2\tlabel", *rows]) + "\n")


def commands(program, source, scratch, wanted):
    """Name, arguments without --output, whether a second call needs --resume, environment."""
    case = source / "tests/data/cases/bert-condlora-paper"
    model, adapter = case / "model", case / "adapter"
    glue = scratch / "glue"
    write_glue(glue, random.Random(1))
    whole = ["--model", model, "--adapter", adapter, "--backend", "cpu"]
    all_of_them = {
        "merge": ([program, "merge", *whole], [], {}),
        "export-peft": ([program, "export", *whole, "--format", "peft"], [], {}),
        "export-onnx": ([program, "export", *whole, "--format", "onnx"], [], {}),
        "reproduce": ([program, "reproduce", "table1", "--model", model, "--data", glue, "--tasks", "RTE", "--methods", "lora,condlora-reference",
                       "--seeds", "1", "--epochs", "6", "--lr", "0.01", "--setting", "max_length=32", "--threads", "1"], [], {}),
    }
    python = python_with_optuna()
    if python:
        all_of_them["search"] = (
            [program, "search", "--model", model, "--train", case / "train.tsv", "--text-columns", "sentence1", "--label-column", "label",
             "--sampler", "random", "--seed", "3", "--trials", "4", "--epochs", "3", "--space", "lr=log:1e-3:1e-2", "--threads", "1"],
            ["--resume"], {"CDL_PYTHON": python})
    elif not wanted or "search" in wanted:
        print("skipped: kills of search: no Python with Optuna (CDL_PEERS_PYTHON)")
    return {name: command for name, command in all_of_them.items() if not wanted or name in wanted}


def without_pace(line):
    record = json.loads(line)
    record.pop("examples_per_s", None)
    return record


def files_of(folder):
    """Every file with its content, or for those that hold times that it is there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name = str(path.relative_to(folder))
        if path.name == "train.jsonl":
            found[name] = [without_pace(line) for line in path.read_text().splitlines()]
        elif path.name not in UNEQUAL and "plots" not in path.parts:
            found[name] = path.read_bytes()
        else:
            found[name] = None
    return found


def start(arguments, output, more, environment):
    return subprocess.Popen([str(a) for a in [*arguments, "--output", output, *more]], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, env={**os.environ, **environment}, start_new_session=True)


def end_of(process):
    error = process.stderr.read().decode()
    process.wait()
    process.stderr.close()
    return process.returncode, error


def check(name, command, scratch, times, rng):
    """The failures, as lines."""
    arguments, resume, environment = command
    begun = time.monotonic()
    status, error = end_of(start(arguments, scratch / "whole", [], environment))
    took = time.monotonic() - begun
    if status != 0:
        return [f"{name}: exit status {status}: {error}"]
    truth, failures, kills = files_of(scratch / "whole"), [], 0
    for attempt in range(times):
        output = scratch / f"killed{attempt}"
        while True:
            process = start(arguments, output, resume if output.exists() else [], environment)
            moment = rng.uniform(0, took) if kills <= attempt else None
            try:
                process.wait(timeout=moment)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
            status, error = end_of(process)
            if status != -signal.SIGKILL:
                break
        if status != 0:
            failures.append(f"{name}, attempt {attempt}: exit status {status}: {error}")
            continue
        found = files_of(output)
        for file in sorted(truth.keys() | found.keys()):
            if file not in found or file not in truth:
                failures.append(f"{name}, attempt {attempt}: {file} is there only {'after' if file in found else 'without'} the kill")
            elif truth[file] != found[file]:
                failures.append(f"{name}, attempt {attempt}: {file} has another content")
        left = [path.name for path in scratch.iterdir() if path.name.startswith(output.name) and path != output]
        if left:
            failures.append(f"{name}, attempt {attempt}: {', '.join(left)} left behind")
        shutil.rmtree(output)
    if kills == 0:
        failures.append(f"{name}: it was never killed")
    print(f"{name}: killed {kills} times of {times}")
    return failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("what", nargs="*")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    failed = passed = 0
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        for what, command in commands(options.program.resolve(), options.source, scratch, options.what).items():
            folder = scratch / what
            folder.mkdir()
            failures = check(what, command, folder, options.times, rng)
            for line in failures:
                print(line)
            failed += bool(failures)
            passed += not failures
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
