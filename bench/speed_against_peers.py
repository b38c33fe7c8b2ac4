"""Runs `condlora train` and the same training in PyTorch in turn, times both from outside, and prints one JSON object.

    python3 bench/speed_against_peers.py --model DIR --task MRPC --data GLUE --peers-python peers-venv/bin/python

Both get the same model, examples, order, batches, method and number of threads, without dropout or evaluation. A step's end
is when its line appears: in condlora's train.jsonl, on PyTorch's standard output. examples_per_s is counted from the end of
step `--skip` to the end of the last; first_step_s from the start of the process to the end of its first step, everything
before it included; peak_bytes is the largest resident size that the system saw. With several rounds the programs take
turns, and medians are given. Needs Python 3.9 and, for itself, nothing else.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--condlora", default=str(HERE.parent / "build" / "cli" / "condlora"), help="the program")
    parser.add_argument("--peers-python", default=os.environ.get("CDL_PEERS_PYTHON"), help="Python with PyTorch and PEFT")
    parser.add_argument("--model", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--methods", default="lora,condlora")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--skip", type=int, default=2, help="steps before the clock runs")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pad", choices=("dynamic", "max"), default="dynamic", help="PyTorch's batches")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32",
                        help="of both; with bf16, which PyTorch has for lora, condlora runs in fp32 too")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    arguments = parser.parse_args()
    if not arguments.peers_python:
        parser.error("--peers-python, or CDL_PEERS_PYTHON, says which Python has PyTorch, Transformers and PEFT")
    if arguments.steps <= arguments.skip or arguments.skip < 1:
        parser.error("--steps must be more than --skip, and --skip at least 1")
    return arguments


def watch_output(stream, seen):
    """Times of the lines of a stream that tell of a step."""
    for line in stream:
        if line.startswith('{"step"'):
            seen.append(time.perf_counter())


def watch_file(path, ended, seen):
    """Times at which lines are appended to a file, to a millisecond."""
    size, file = 0, None
    while not ended.is_set():
        if file is None and path.exists():
            file = open(path, "rb")
        if file is not None:
            now = os.fstat(file.fileno()).st_size
            if now > size:
                seen += [time.perf_counter()] * file.read(now - size).count(b"\n")
                size = now
        time.sleep(0.001)


def wait_for_peak(process):
    """The process's largest resident size in bytes; waits for its end."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss * 1024


def run(command, arguments, log=None):
    started, seen = time.perf_counter(), []
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL if log else subprocess.PIPE, stderr=errors, text=True)
        if log is None:
            watch_output(process.stdout, seen)
        else:
            ended = threading.Event()
            watcher = threading.Thread(target=watch_file, args=(log, ended, seen))
            watcher.start()
        peak = wait_for_peak(process)
        if log is not None:
            ended.set()
            watcher.join()
        if process.returncode != 0 or len(seen) < arguments.steps:
            errors.seek(0)
            sys.exit(f"{' '.join(command)}\nended with {process.returncode} after {len(seen)} steps:\n"
                     + errors.read().decode(errors="replace"))
    seconds = seen[arguments.steps - 1] - seen[arguments.skip - 1]
    return {
        "examples_per_s": (arguments.steps - arguments.skip) * arguments.batch_size / seconds,
        "first_step_s": seen[0] - started,
        "peak_bytes": peak,
    }


def shared_options(arguments, method):
    return ["--model", arguments.model, "--task", arguments.task, "--data", arguments.data, "--method", method,
            "--batch-size", str(arguments.batch_size), "--max-steps", str(arguments.steps), "--dropout", "0",
            "--no-shuffle", "--threads", str(arguments.threads)]


def run_condlora(arguments, method, precision=None):
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "run"
        command = [arguments.condlora, "train", *shared_options(arguments, method), "--dev-fraction", "0",
                   "--eval-every", "0", "--precision", precision or arguments.precision, "--output", str(output)]
        return run(command, arguments, log=output / "train.jsonl")


def run_torch(arguments, method):
    command = [arguments.peers_python, "-B", str(HERE / "peers" / "train_torch.py"), *shared_options(arguments, method),
               "--no-eval", "--pad", arguments.pad, "--precision", arguments.precision]
    return run(command + (["--compile"] if arguments.compile else []), arguments)


def run_condlora_in_fp32(arguments, method):
    return run_condlora(arguments, method, "fp32")


def median_of(results):
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def main():
    arguments = parse_arguments()
    programs = {"condlora": run_condlora, "torch": run_torch}
    if arguments.precision != "fp32":
        programs["condlora_fp32"] = run_condlora_in_fp32
    report = {"model": arguments.model, "task": arguments.task, "batch_size": arguments.batch_size,
              "steps": arguments.steps, "rounds": arguments.rounds, "threads": arguments.threads,
              "precision": arguments.precision, "torch_pad": arguments.pad, "torch_compile": arguments.compile, "methods": {}}
    for method in arguments.methods.split(","):
        results = {name: [] for name in programs}
        for _ in range(arguments.rounds):
            for name, program in programs.items():
                results[name].append(program(arguments, method))
                print(f"{method} {name}: {results[name][-1]}", file=sys.stderr, flush=True)
        ours, theirs = median_of(results["condlora"]), median_of(results["torch"])
        report["methods"][method] = {
            "condlora": ours,
            "torch": theirs,
            "examples_per_s_ratio": ours["examples_per_s"] / theirs["examples_per_s"],
            "first_step_ratio": theirs["first_step_s"] / ours["first_step_s"],
            "peak_ratio": theirs["peak_bytes"] / ours["peak_bytes"],
        }
        if "condlora_fp32" in results:
            plain = median_of(results["condlora_fp32"])
            report["methods"][method]["condlora_fp32"] = plain
            report["methods"][method]["examples_per_s_ratio_to_fp32"] = ours["examples_per_s"] / plain["examples_per_s"]
    print(json.dumps(report, indent=1))


main()
