#!/usr/bin/env python3
"""ranks_devices.py MPI PROBE PROGRAM CASES: jobs whose ranks compute on devices: on the CUDA emulator, and on OpenCL where there is a
device. The arguments are those of ranks.py."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import ranks
from ranks import assert_same, condlora, done, refused, training

EMULATED = {"CUDA_EMULATOR_DEVICES": "4", "CUDA_EMULATOR_ALIKE": "1"}
METHODS = {
    "lora": ("--method", "lora", "--rank", 2),
    "condlora": ("--method", "condlora", "--rank", 2, "--accumulate", 2),
}


def run(count, name, backend, *options, **more):
    output = ranks.SCRATCH / name
    done(count, *training("bert-lora", output, "--epochs", 2, "--eval-every", 2, "--backend", backend, *options), **{**EMULATED, **more})
    return output


def test_any_number_of_ranks():
    """With --shards, any number of ranks gives the same bytes; ranks that do not divide the shards too."""
    for method, options in METHODS.items():
        alone = run(0, f"{method}-alone", "cuda", *options, "--shards", 4)
        for count in (2, 3, 4):
            assert_same(alone, run(count, f"{method}-{count}", "cuda", *options, "--shards", 4), f"{method}, {count} ranks on cuda")


def test_one_shard_a_rank():
    """Without --shards, a job has the same bytes whenever it has as many ranks."""
    for method, options in METHODS.items():
        for count in (2, 4):
            assert_same(run(count, f"{method}-{count}-once", "cuda", *options), run(count, f"{method}-{count}-again", "cuda", *options),
                        f"{method}, {count} ranks, twice")


def test_gathers():
    """Sums pass from device to device where they can, and otherwise through the host: the same bytes."""
    options = (*METHODS["lora"], "--shards", 4)
    expected, host = ranks.SCRATCH / "lora-alone", "the ranks' gradients pass through the host's memory: "
    arguments = ("--epochs", 2, "--eval-every", 2, "--backend", "cuda", *options)
    for why, more in {
            "": {},
            r"rank 0 \(.+\): .*NCCL of version code 20804, 20906 \(2\.9\.6\) is the first that serves": {"CUDA_EMULATOR_NCCL": "20804"},
            r"rank 0 \(.+\): .*ncclCommInitRank: ncclUnhandledCudaError": {"CUDA_EMULATOR_FAIL": "ncclCommInitRank:1"},
            # Where nothing can be recorded, the gather is enqueued in each step.
            "steps are not recorded": {"CUDA_EMULATOR_FAIL": "recorded ncclAllGather:1"}}.items():
        output = ranks.SCRATCH / "gathers"
        job = condlora(2, *training("bert-lora", output, *arguments), **{**EMULATED, **more})
        said = [line for line in job.stderr.splitlines() if line.startswith("note: ")]
        wanted = why if "recorded" in why else host + why
        if job.returncode != 0 or len(said) != (why != "") or (why and not re.match("note: " + wanted, said[0])):
            sys.exit(f"{more}: status {job.returncode}, expected one note with {wanted}; got:\n{job.stderr}")
        assert_same(expected, output, f"2 ranks with {more}")
        shutil.rmtree(output)


LONG = (*METHODS["lora"], "--shards", 4, "--max-steps", 100, "--eval-every", 50, "--checkpoint-every", 2, "--backend", "cuda")


def start(count, output, **more):
    """A job that has made a few steps."""
    job = subprocess.Popen([*ranks.LAUNCHER, str(count), ranks.PROGRAM, *map(str, training("bert-lora", output, *LONG))],
                           env={**ranks.ENVIRONMENT, **EMULATED, **more}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    log, until = output / "train.jsonl", time.monotonic() + ranks.SECONDS
    while not (log.exists() and log.read_bytes().count(b"\n") > 8) and time.monotonic() < until and job.poll() is None:
        time.sleep(0.01)
    return job


def test_lost_ranks():
    """A rank that is killed, or that stops, ends the job in bounded time. The checkpoint stands, and another number of ranks goes on
    to the bytes of a run that was not interrupted."""
    whole = ranks.SCRATCH / "whole"
    done(0, *training("bert-lora", whole, *LONG), **EMULATED)
    for name, count, kind, more in (("killed", 4, signal.SIGKILL, {}), ("stopped", 2, signal.SIGSTOP, {"CDL_RANKS_TIMEOUT": "3"})):
        output = ranks.SCRATCH / name
        job = start(count, output, **more)
        lost = max(ranks.ranks_of(output))
        os.kill(lost, kind)
        began = time.monotonic()
        errors = job.communicate(timeout=ranks.SECONDS)[1]
        if job.returncode == 0 or time.monotonic() - began > 45 or not (output / "checkpoint").exists():
            sys.exit(f"a job whose rank was {name}: status {job.returncode} after {time.monotonic() - began:.0f} s:\n{errors}")
        if kind == signal.SIGSTOP and not re.search(r"condlora: .*did not come within 3 s", errors):
            sys.exit(f"a job whose rank was {name} says:\n{errors}")
        done(6 - count, *training("bert-lora", output, *LONG), "--resume", **EMULATED)
        assert_same(whole, output, f"a job whose rank was {name}, and resumed")


def test_full_tuning():
    """Shards that pass alone need no sums by shard in the encoder, so embeddings may be trained."""
    options = ("--method", "full", "--shards", 2)
    assert_same(run(0, "full-alone", "cuda", *options), run(2, "full-2", "cuda", *options), "full tuning, 2 ranks on cuda")


def test_opencl():
    """One device that all ranks take by name."""
    if not re.search("^opencl ", done(0, "backends"), re.M):
        print("skipped: ranks: there is no OpenCL device")
        return
    options = (*METHODS["lora"], "--shards", 2)
    assert_same(run(0, "opencl-alone", "opencl:0", *options), run(2, "opencl-2", "opencl:0", *options), "2 ranks on opencl")


def test_plan():
    output = ranks.SCRATCH / "planned"
    plan = done(3, *training("bert-lora", output, "--method", "lora", "--shards", 4, "--backend", "cuda", "--dry-run"), **EMULATED)
    assert re.search(r"^shards +4, each passed alone: 4 passes a step, 2 of them on one rank$", plan, re.M), plan


def test_devices():
    """Each rank takes the device of its number among the ranks that see the same devices."""
    output = ranks.SCRATCH / "refused"
    for backend in ("cuda", "auto"):
        refused(3, "cuda: 3 processes of this host would share 2 devices: start 2, or name the device .*, such as cuda:0$",
                *training("bert-lora", output, "--backend", backend), CUDA_EMULATOR_DEVICES="2")
    run(3, "named", "cuda:0", *METHODS["lora"], CUDA_EMULATOR_DEVICES="1")
    assert not output.exists()


def test_mixed_backends():
    """Ranks on different backends have no bytes in common."""
    arguments = [str(argument) for argument in training("bert-lora", ranks.SCRATCH / "mixed", "--backend")]
    other = [":", "-n", "1", ranks.PROGRAM, *arguments, "cpu"]
    refused(1, r"rank 1 \(.+\): the backend is cpu, .+, on rank 0 \(.+\) it is cuda, condlora CUDA emulator", *arguments, "cuda", *other,
            **EMULATED)


if __name__ == "__main__":
    ranks.MPI, ranks.PROBE, ranks.PROGRAM, ranks.CASES = *sys.argv[1:4], pathlib.Path(sys.argv[4])
    ranks.LAUNCHER, ranks.ENVIRONMENT = ranks.launcher_of(ranks.MPI)
    with tempfile.TemporaryDirectory(prefix="condlora-ranks-") as scratch:
        ranks.SCRATCH = pathlib.Path(scratch)
        for name, test in list(globals().items()):
            if name.startswith("test_") and (len(sys.argv) < 6 or name in sys.argv[5:]):
                test()
                print(f"{name}: passed", flush=True)
