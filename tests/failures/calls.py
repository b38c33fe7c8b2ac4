#!/usr/bin/env python3
"""Calls into the system that fail, one by one: memory, files, threads.

usage: calls.py SHIM PROGRAM [--full] [--jobs N] [--seconds S] [--command NAME] [--kind NAME] [--only KIND:NUMBER:ERROR]

Each command is run on a small model, and one of its calls fails. Then it has ended with 0 and the bytes of an undisturbed run,
or with 1, one line, and nothing half-written: no signal, no assertion. The quick form takes each way to a call once, a way
being its last two callers in the program, over all commands; --full takes whole stacks, in each command by itself, more
errors, and memory that stays out. --only repeats one of a command's failures and shows what it said.
"""
import argparse
import concurrent.futures
import errno
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "programs"))
from hub_server import Hub, Repository  # noqa: E402

# What fails in there is not ours to mend: named by the object that is on the stack.
EXCLUDED = {
    "libopenblas": "ends the program, or tries again for ever, where it gets no memory for its buffers",
    "libgfortran": "ends the program where it gets no memory while it is loaded",
    "libquadmath": "is loaded with libgfortran",
    "ld-linux": "the loader ends the program where it gets no memory for a library that it loads",
}

# How many calls a download makes varies a little, so a number may then be that of one in these objects, by what they say.
SAID_BY_EXCLUDED = {b"Operating system error: Cannot allocate memory": "libgfortran", b"error while loading shared libraries": "ld-linux"}

# Below libcurl a thousand ways differ in its frames alone; the quick form takes one of so many.
LIBCURL_SHARE = 16

# Errors of each kind of call: the quick form's, and what the full one has besides. EINTR and short writes are no failures:
# the call is made again.
ERRORS = {
    "alloc": ([errno.ENOMEM], []),
    "open": ([errno.EMFILE], [errno.EACCES, errno.EINTR, errno.ENOMEM]),
    "read": ([errno.EIO], [errno.EINTR]),
    "write": ([errno.ENOSPC, errno.EINTR, "short"], [errno.EIO, errno.EDQUOT]),
    "flush": ([errno.ENOSPC], [errno.EIO]),
    "sync": ([errno.EIO, errno.EINTR], [errno.ENOSPC]),
    "close": ([errno.EIO], [errno.EINTR]),
    "rename": ([errno.EIO], [errno.EXDEV, errno.ENOSPC]),
    "unlink": ([errno.EACCES], []),
    "mkdir": ([errno.ENOSPC], [errno.EACCES]),
    "stat": ([errno.EIO], [errno.ENOMEM]),
    "mmap": ([errno.ENOMEM], []),
    "truncate": ([errno.EIO], [errno.EINTR]),
    "lock": ([errno.ENOLCK], [errno.EINTR]),
    "thread": ([errno.EAGAIN], []),
}
AGAIN = {("write", errno.EINTR), ("write", "short"), ("sync", errno.EINTR), ("lock", errno.EINTR)}
SECONDS_MOST = 60  # for one run, on a busy machine


# ---- A model of two layers, 16 wide ----

def write_model(folder):
    os.makedirs(folder)
    wide, words = 16, 10
    draw = random.Random(7)
    config = {"model_type": "bert", "architectures": ["BertModel"], "vocab_size": words, "hidden_size": wide,
              "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": wide, "max_position_embeddings": 16,
              "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "pad_token_id": 0}
    tensors = {}

    def norm(name):
        tensors[name + ".weight"], tensors[name + ".bias"] = [wide], [wide]

    def linear(name):
        tensors[name + ".weight"], tensors[name + ".bias"] = [wide, wide], [wide]

    tensors["bert.embeddings.word_embeddings.weight"] = [words, wide]
    tensors["bert.embeddings.position_embeddings.weight"] = [16, wide]
    tensors["bert.embeddings.token_type_embeddings.weight"] = [2, wide]
    norm("bert.embeddings.LayerNorm")
    for layer in range(2):
        at = f"bert.encoder.layer.{layer}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
                     "intermediate.dense", "output.dense"):
            linear(at + name)
        norm(at + "attention.output.LayerNorm")
        norm(at + "output.LayerNorm")
    linear("bert.pooler.dense")
    header, data = {}, b""
    for name, shape in tensors.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        middle = 1.0 if "LayerNorm.weight" in name else 0.0
        values = struct.pack(f"<{count}f", *(middle + 0.2 * draw.gauss(0, 1) for _ in range(count)))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(f"{folder}/model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    with open(f"{folder}/config.json", "w") as file:
        json.dump(config, file)
    with open(f"{folder}/vocab.txt", "w") as file:
        file.write("\n".join("[PAD] [UNK] [CLS] [SEP] [MASK] the old owl sings .".split()) + "\n")
    with open(f"{folder}/tokenizer_config.json", "w") as file:
        json.dump({"tokenizer_class": "BertTokenizer", "do_lower_case": True}, file)


# ---- Commands ----

TRAINING = ("train --model model --train train.tsv --text-columns sentence --label-column label --dev-fraction 0.3 --rank 2 "
            "--batch-size 3 --max-steps 4 --eval-every 2 --checkpoint-every 2 --threads 1 --backend cpu "
            "--report-to tensorboard,csv").split()
USE = "--model model --adapter good/adapter --threads 1 --backend cpu".split()
INPUT = "--input train.tsv --text-columns sentence".split()
# The quick ones first: what they share with others is tried on them.
COMMANDS = {
    "inspect": ["inspect", "good/adapter", "--json"],
    "inspect-model": ["inspect", "model", "--json"],
    "runs": ["runs", "good", "--format", "markdown", "--output", "w/runs.md"],
    "inspect-name": ["inspect", "owner/model", "--json"],
    "tokenize": ["tokenize", "--model", "model", *INPUT, "--output", "w/ids.jsonl"],
    "predict": ["predict", *USE, *INPUT, "--output", "w/answers.jsonl"],
    "eval": ["eval", *USE, *INPUT, "--label-column", "label"],
    "export": ["export", *USE, "--format", "peft", "--output", "w/out"],
    "export-onnx": ["export", *USE, "--format", "onnx", "--output", "w/out"],
    "merge": ["merge", *USE, "--output", "w/out"],
    "train": [*TRAINING, "--output", "w/out"],
}


def normal(name, data):
    """A file without what no two runs share: times, and the memory that was used."""
    if name.endswith("train.jsonl"):
        return re.sub(rb'"examples_per_s": *[-0-9.e]+', b"", data)
    if name == "standard output":
        return re.sub(rb"(?m)^(examples/s|peak memory) .*$", b"", data)
    if name.endswith("steps.csv"):
        return re.sub(rb",[-0-9.e]+\n", b"\n", data)
    if name.endswith("run.json"):
        return re.sub(rb'(?s)"resume": (true|false)|"processes": \[.*?\n  \]', b"", data)
    if name.endswith("metrics.json"):
        return re.sub(rb'"timing": \{[^}]*\}', b"", data)
    return data


def files_of(folder):
    found = {}
    for place, folders, names in os.walk(folder):
        # A lock that is left locks nothing; the names of event files have time and process.
        names = [name for name in names if name != ".lock" and not name.startswith("events.out.tfevents.")]
        for name in folders:
            found[os.path.relpath(os.path.join(place, name), folder) + "/"] = ""
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = hashlib.sha256(normal(name, file.read())).hexdigest()
    return found


class Bench:
    """A folder in which commands run, one at a time. Names are brought from `hub` into a cache of the folder's own."""

    def __init__(self, folder, program, shim, hub):
        self.folder, self.program, self.shim, self.hub = folder, program, shim, hub
        os.makedirs(folder, exist_ok=True)
        self.out = os.path.join(folder, "w")

    def clear(self):
        shutil.rmtree(self.out, ignore_errors=True)
        os.makedirs(self.out)

    def run(self, arguments, **shim):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("SHIM_", "MALLOC_PERTURB_", "HF_")) and not name.lower().endswith("_proxy")}
        environment |= {"OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C", "HF_ENDPOINT": self.hub, "HF_HOME": os.path.join(self.out, "hf")}
        if shim:
            environment.update({f"SHIM_{name.upper()}": str(value) for name, value in shim.items()}, LD_PRELOAD=self.shim)
        try:
            done = subprocess.run([self.program, *arguments], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SECONDS_MOST)
        except subprocess.TimeoutExpired as late:
            return "no end", b"", late.stderr or b""
        return done.returncode, done.stdout, done.stderr


class Undisturbed:
    def __init__(self, bench, name):
        self.name, self.arguments = name, COMMANDS[name]
        bench.clear()
        code, stdout, stderr = bench.run(self.arguments)
        if code != 0:
            sys.exit(f"{name}: an undisturbed run fails: {stderr.decode(errors='replace')}")
        self.stdout, self.files = normal("standard output", stdout), files_of(bench.out)

    def calls(self, bench, depth):
        """[kind, number, way, objects] of each way to a call."""
        bench.clear()
        path = os.path.join(bench.folder, "list")
        code, _, stderr = bench.run(self.arguments, list=path, depth=depth)
        if code != 0:
            sys.exit(f"{self.name}: a listed run fails: {stderr.decode(errors='replace')}")
        with open(path) as file:
            return [line.split(" ", 3) for line in file.read().splitlines()]


# ---- Judging ----

def half_written(out):
    """The first file that is not whole."""
    for place, _, names in os.walk(out):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                data = file.read()
            try:
                if name.endswith(".json"):
                    json.loads(data)
                elif name.endswith(".safetensors"):
                    length = struct.unpack("<Q", data[:8])[0]
                    header = json.loads(data[8:8 + length])
                    end = max(t["data_offsets"][1] for key, t in header.items() if key != "__metadata__")
                    if len(data) != 8 + length + end:
                        return name
            except (ValueError, struct.error):
                return name
    return None


def judge_cache(bench, sound, files):
    """A cache may lack files, or have the beginning of one, but those that it names are whole, and the next call fills it."""
    for name, digest in files.items():
        if "/snapshots/" in name and digest != sound.files.get(name):
            return f"{name} is not the hub's"
    code, _, stderr = bench.run(sound.arguments)
    if code != 0:
        return f"the next call fails: {stderr.decode(errors='replace')[-300:]}"
    return None if files_of(bench.out) == sound.files else "the next call leaves other files"


def judge(bench, sound, kind, error, code, stdout, stderr, resume):
    """What is wrong; None."""
    text = stderr.decode(errors="replace")
    if code not in (0, 1):
        return f"exit status {code}"
    files = files_of(bench.out)
    if any(".tmp-" in name for name in files) and kind != "unlink":
        return "something in the making is left"
    if code == 0:
        if files != sound.files and not any(".tmp-" in name for name in files):
            return f"0 but other files: {sorted(n for n in set(files) | set(sound.files) if files.get(n) != sound.files.get(n))}"
        return None if normal("standard output", stdout) == sound.stdout else "0 but other output"
    if (kind, error) in AGAIN:
        return "the call was not made again"
    if len([line for line in text.splitlines() if line.startswith("condlora: ")]) != 1:
        return "not one line that begins with condlora:"
    if sound.name == "inspect-name":
        return judge_cache(bench, sound, files)
    if sound.name != "train":
        if kind == "flush" and files == sound.files:
            return None  # standard output failed, which has a part of its own
        return f"files are left: {sorted(files)}" if files and kind != "unlink" else None
    broken = half_written(bench.out)
    if broken is not None:
        return f"{broken} is half-written"
    if resume and os.path.exists(os.path.join(bench.out, "out")):
        code, _, stderr = bench.run([*sound.arguments, "--resume"])
        if code != 0:
            return f"no resuming: {stderr.decode(errors='replace')[-300:]}"
        if files_of(bench.out) != sound.files:
            return "resumed, it ends in other files"
    return None


# ---- All of it ----

class Campaign:
    def __init__(self, options, folder):
        self.options = options
        self.benches = threading.local()
        self.folder, self.lock = folder, threading.Lock()
        self.runs, self.failures, self.codes, self.left_out = 0, [], {}, {}
        self.number = 0
        self.hub = Hub()
        self.hub.repositories["owner/model"] = Repository({file.name: file.read_bytes() for file in pathlib.Path(folder, "model").iterdir()})
        self.end = time.monotonic() + options.seconds if options.seconds else None
        self.cut = 0

    def make_bench(self):
        with self.lock:
            self.number += 1
            place = os.path.join(self.folder, f"bench{self.number}")
        bench = Bench(place, self.options.program, self.options.shim, self.hub.address)
        for name in ("model", "train.tsv", "good"):
            source = os.path.join(self.folder, name)
            if os.path.exists(source):
                os.symlink(source, os.path.join(place, name))
        return bench

    def one(self, sound, kind, number, error, on):
        if self.end is not None and time.monotonic() > self.end:
            with self.lock:
                self.cut += 1
            return
        if not hasattr(self.benches, "own"):
            self.benches.own = self.make_bench()
        bench = self.benches.own
        bench.clear()
        code, stdout, stderr = bench.run(sound.arguments, fail=f"{kind}:{number}:{error}{':on' if on else ''}")
        part = next((part for words, part in SAID_BY_EXCLUDED.items() if words in stderr), None)
        if part is not None and sound.name == "inspect-name":
            with self.lock:
                self.left_out[part] = self.left_out.get(part, 0) + 1
            return
        resume = int(number) % (1 if self.options.full else 4) == 0
        wrong = judge(bench, sound, kind, error, code, stdout, stderr, resume)
        with self.lock:
            self.runs += 1
            self.codes[code] = self.codes.get(code, 0) + 1
            if wrong is not None:
                self.failures.append((sound.name, kind, number, error, on, wrong, stderr.decode(errors="replace")[-300:]))

    def work(self):
        first = self.make_bench()
        tried, tasks = set(), []
        for name in COMMANDS:
            if self.options.command not in (None, name):
                continue
            sound = Undisturbed(first, name)
            for kind, number, way, objects in sound.calls(first, 96 if self.options.full else 2):
                if self.options.kind not in (None, kind) or (way in tried and not self.options.full):
                    continue
                tried.add(way)
                excluded = next((part for part in EXCLUDED if part in objects), None)
                if excluded is not None:
                    self.left_out[excluded] = self.left_out.get(excluded, 0) + 1
                    continue
                if "libcurl" in objects and not self.options.full and int(number) % LIBCURL_SHARE != 0:
                    continue
                usual, more = ERRORS[kind]
                for error in usual + (more if self.options.full else []):
                    tasks.append((sound, kind, number, error, False))
                # Without any memory the loader ends the program for the thread-local data of libcurl's libraries.
                if kind == "alloc" and name != "inspect-name" and (self.options.full or int(number) % 16 == 0):
                    tasks.append((sound, kind, number, errno.ENOMEM, True))
        random.Random(1).shuffle(tasks)
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            for done in [pool.submit(self.one, *task) for task in tasks]:
                done.result()

    def report(self):
        for name, kind, number, error, on, wrong, said in sorted(self.failures, key=str):
            print(f"FAIL {name} {kind}:{number}:{error}{':on' if on else ''}: {wrong}")
            print("    " + said.strip().replace("\n", "\n    "))
        for part, count in sorted(self.left_out.items()):
            print(f"left out: {count} ways by {part}: {EXCLUDED[part]}")
        if self.cut:
            print(f"not reached in {self.options.seconds} s: {self.cut} failures")
        print(f"{self.runs} runs, ended with {self.codes}, {len(self.failures)} wrong")
        return 1 if self.failures or self.runs == 0 else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shim")
    parser.add_argument("program")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--command", choices=COMMANDS)
    parser.add_argument("--kind", choices=ERRORS)
    parser.add_argument("--only")
    options = parser.parse_args()
    options.shim, options.program = os.path.abspath(options.shim), os.path.abspath(options.program)
    with tempfile.TemporaryDirectory(prefix="calls-") as folder:
        write_model(os.path.join(folder, "model"))
        with open(os.path.join(folder, "train.tsv"), "w") as file:
            file.write("sentence\tlabel\n" + "the old owl sings .\tyes\nthe owl\tno\nold .\tno\n" * 4)
        campaign = Campaign(options, folder)
        maker = campaign.make_bench()
        code, _, stderr = maker.run([*TRAINING, "--output", os.path.join(folder, "good")])
        if code != 0:
            sys.exit(f"no adapter to start from: {stderr.decode(errors='replace')}")
        if options.only:
            bench = campaign.make_bench()
            sound = Undisturbed(bench, options.command)
            bench.clear()
            code, stdout, stderr = bench.run(sound.arguments, fail=options.only)
            kind, _, error = options.only.split(":")[:3]
            error = error if error == "short" else int(error)
            print(code, stderr.decode(errors="replace"), judge(bench, sound, kind, error, code, stdout, stderr, True), sep="\n")
            return 0
        campaign.work()
        return campaign.report()


sys.exit(main())
