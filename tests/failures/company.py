"""company.py CONDLORA SOURCE [--times N] [--seed S] [--mpi openmpi,mpich]: the same bytes in any company.

Runs of several methods are trained once, alone, with one thread and a step's examples in one batch. Then N runs are drawn:
a method, a number of threads, batches of a step, an order of kills and resumes. With --mpi each part of a run is a job of 1 to 8
processes of a drawn MPI, and a kill hits one of them. Each ends in the adapter of the first run, byte for byte. The last line counts.
"""
import argparse
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CUTS = ((24, 1), (12, 2), (6, 4), (3, 8))  # an epoch's last step has fewer
RANKS_MOST, SECONDS = 8, 120
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
            "--label-column", "label", *method, *options, "--fresh-head", "--epochs", "8", "--lr", "0.01", "--dev-fraction", "0.2",
            "--batch-size", str(cut[0]), "--accumulate", str(cut[1]), "--threads", str(threads), "--checkpoint-every", "3",
            "--output", output, "--resume"]


def processes_of(program, output):
    """The processes of this program that work on a run."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else [b""]
        except OSError:
            continue
        if words[0] == os.fsencode(program) and os.fsencode(output) in words:
            found.append(int(entry.name))
    return found


def kill_one(program, output, rng, process, pause):
    """Waits until the run works, and a while; then kills one of its processes."""
    until = time.monotonic() + SECONDS
    while not processes_of(program, output) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(pause)
    found = processes_of(program, output)
    try:
        if found:
            os.kill(rng.choice(found), signal.SIGKILL)
    except ProcessLookupError:
        pass


def launched(mpis, rng):
    """The start of a command: a launcher and its environment, or nothing."""
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1")
    if not mpis:
        return [], environment, ""
    mpi, ranks = rng.choice(mpis), rng.randint(1, RANKS_MOST)
    return [shutil.which(f"mpirun.{mpi}"), "-n", str(ranks)], environment, f"{ranks} of {mpi}"


def run_through(arguments, kills, seconds, rng, mpis=()):
    """Starts it, kills it so many times, and lets the last one finish. Returns how it failed, and its jobs."""
    program, output, jobs = arguments[0], arguments[arguments.index("--output") + 1], []
    for _ in range(kills):
        start, environment, job = launched(mpis, rng)
        jobs.append(job)
        process = subprocess.Popen(start + arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        kill_one(program, output, rng, process, rng.uniform(0, seconds))
        process.wait(timeout=SECONDS)
    start, environment, job = launched(mpis, rng)
    jobs.append(job)
    done = subprocess.run(start + arguments, capture_output=True, text=True, env=environment, timeout=SECONDS, check=False)
    return None if done.returncode == 0 else f"exit {done.returncode}: {done.stderr.strip()}", ", ".join(filter(None, jobs))


def digest(output):
    found = [path for path in (output / "adapter" / "adapter_model.safetensors", output / "model" / "model.safetensors") if path.exists()]
    return hashlib.sha256(found[0].read_bytes()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--times", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mpi", type=lambda text: text.split(","), default=[])
    arguments = parser.parse_args()
    mpis = [mpi for mpi in arguments.mpi if shutil.which(f"mpirun.{mpi}")]
    if arguments.mpi and not mpis:
        print("skipped: company of ranks: no mpirun")
        sys.exit(77)
    rng = random.Random(arguments.seed)
    failed, truth, seconds = 0, {}, {}
    with tempfile.TemporaryDirectory(prefix="condlora-company-") as name:
        scratch = pathlib.Path(name)
        for run in RUNS:
            output, begun = scratch / run, time.monotonic()
            error, _ = run_through(command(arguments.program, arguments.source, run, CUTS[0], 1, output), 0, 0, rng)
            if error:
                sys.exit(f"{run}: {error}")
            truth[run], seconds[run] = digest(output), time.monotonic() - begun
        for i in range(arguments.times):
            run, cut, threads, kills = rng.choice(list(RUNS)), rng.choice(CUTS), rng.randint(1, 4), rng.choice((0, 0, 1, 2))
            output = scratch / f"draw-{i}"
            threads = 1 if mpis else threads
            error, jobs = run_through(command(arguments.program, arguments.source, run, cut, threads, output), kills, seconds[run], rng, mpis)
            if error or digest(output) != truth[run]:
                failed += 1
                print(f"FAIL {run}, batches {cut[0]} x {cut[1]}, {threads} threads, {kills} kills, ranks {jobs or 'none'}: "
                      f"{error or 'other bytes'}", flush=True)
    print(f"{arguments.times - failed} draws with the same bytes, {failed} failed")
    sys.exit(1 if failed or arguments.times == 0 else 0)


if __name__ == "__main__":
    main()
