"""company.py CONDLORA SOURCE [--times N] [--seed S]: the same bytes in any company.

Runs of several methods are trained once, alone, with one thread and a step's examples in one batch. Then N runs are drawn:
a method, a number of threads, batches of a step, an order of kills and resumes. Each ends in the adapter of the first run,
byte for byte. The last line counts.
"""
import argparse
import hashlib
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

CUTS = ((8, 1), (4, 2), (2, 4), (1, 8))
RUNS = {  # method: case, options
    "lora": ("bert-lora", ["--adapter-dropout", "0.1", "--dropout", "0.1"]),
    "condlora": ("bert-condlora-paper", ["--dropout", "0.1"]),
    "condlora-reference": ("roberta-condlora-reference", ["--method", "condlora", "--compat", "reference"]),
    "adalora": ("bert-adalora", ["--delta-t", "2"]),
    "dora": ("bert-lora-dora", ["--method", "lora", "--use-dora"]),
    "top": ("bert-lora", ["--method", "lora", "--dropout", "0", "--layers-to-transform", "1"]),
    "none": ("mpnet-lora", ["--dropout", "0"]),
    "bitfit": ("bert-bitfit", []),
    "full": ("roberta-full", ["--dropout", "0.1"]),
    "full-distances": ("mpnet-full", ["--method", "full", "--dropout", "0.1"]),
}


def command(program, source, run, cut, threads, output):
    case, options = RUNS[run]
    folder = source / "tests/data/cases" / case
    method = [] if "--method" in options else ["--method", run]
    return [program, "train", "--model", folder / "model", "--train", folder / "train.tsv", "--text-columns", "sentence1",
            "--label-column", "label", *method, *options, "--fresh-head", "--epochs", "3", "--lr", "0.01", "--dev-fraction", "0.2",
            "--batch-size", str(cut[0]), "--accumulate", str(cut[1]), "--threads", str(threads), "--checkpoint-every", "3",
            "--output", output, "--resume"]


def run_through(arguments, kills, seconds, rng):
    """Starts it, kills it so many times, and lets the last one finish."""
    for _ in range(kills):
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, seconds))
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(arguments, capture_output=True, text=True)
    return None if done.returncode == 0 else f"exit {done.returncode}: {done.stderr.strip()}"


def digest(output):
    found = [path for path in (output / "adapter" / "adapter_model.safetensors", output / "model" / "model.safetensors") if path.exists()]
    return hashlib.sha256(found[0].read_bytes()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--times", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    failed, truth, seconds = 0, {}, {}
    with tempfile.TemporaryDirectory(prefix="condlora-company-") as name:
        scratch = pathlib.Path(name)
        for run in RUNS:
            output, begun = scratch / run, time.monotonic()
            error = run_through(command(arguments.program, arguments.source, run, CUTS[0], 1, output), 0, 0, rng)
            if error:
                sys.exit(f"{run}: {error}")
            truth[run], seconds[run] = digest(output), time.monotonic() - begun
        for i in range(arguments.times):
            run, cut, threads, kills = rng.choice(list(RUNS)), rng.choice(CUTS), rng.randint(1, 4), rng.choice((0, 0, 1, 2))
            output = scratch / f"draw-{i}"
            error = run_through(command(arguments.program, arguments.source, run, cut, threads, output), kills, seconds[run], rng)
            if error or digest(output) != truth[run]:
                failed += 1
                print(f"FAIL {run}, batches {cut[0]} x {cut[1]}, {threads} threads, {kills} kills: {error or 'other bytes'}")
    print(f"{arguments.times - failed} draws with the same bytes, {failed} failed")
    sys.exit(1 if failed or arguments.times == 0 else 0)


if __name__ == "__main__":
    main()
