#!/usr/bin/env python3
"""ranks.py MPI PROBE: jobs of 1 to 8 processes on this machine, as MPI's own mpirun starts them: openmpi, mpich, or abi for
an MPI with the library of the standard ABI, which CDL_TEST_MPI_ABI names (its folder has bin/mpirun and lib/)."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

SECONDS = 120


def skip(why):
    print(f"skipped: ranks: {why}")
    sys.exit(77)


def launcher_of(mpi):
    """The command that starts a job, up to the number of processes, and the environment that it needs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_", "PMI", "SLURM_", "CDL_MPI"))}
    if mpi == "abi":
        folder = os.environ.get("CDL_TEST_MPI_ABI") or skip("CDL_TEST_MPI_ABI names no MPI with the standard ABI's library")
        environment["CDL_MPI"] = next(str(path.resolve()) for path in pathlib.Path(folder, "lib").glob("libmpi_abi.so.1"))
        return [f"{folder}/bin/mpirun", "-n"], environment
    program = shutil.which(f"mpirun.{mpi}") or skip(f"there is no mpirun.{mpi}")
    environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1")
    return [program, "-n"], environment


class Job:
    """What a job of `count` processes printed, and how it ended."""

    def __init__(self, count, *arguments, **more):
        began = time.monotonic()
        done = subprocess.run([*LAUNCHER, str(count), PROBE, *map(str, arguments)], capture_output=True, text=True,
                              timeout=SECONDS, env={**ENVIRONMENT, **more}, check=False)
        self.status, self.seconds = done.returncode, time.monotonic() - began
        self.out, self.errors = done.stdout.splitlines(), done.stderr
        # Those of the program; the launchers add their own.
        self.said = [line for line in self.errors.splitlines() if line.startswith(("probe: ", "rank "))]

    def expect(self, status, *patterns):
        expected = [*patterns]
        if (self.status == 0) != (status == 0) or len(self.said) != len(expected) or not all(
                re.fullmatch(pattern, line) for pattern, line in zip(expected, self.said)):
            sys.exit(f"status {self.status}, expected {status} and the lines {expected}; got:\n{self.errors}")


def test_who():
    for count in (1, 2, 3, 4, 8):
        job = Job(count, "who")
        job.expect(0)
        found = sorted(job.out)
        library = "" if count == 1 else r"(Open MPI v|MPICH )\d.*"
        for rank, line in enumerate(found):
            if not re.fullmatch(f"rank {rank} of {count}, local {rank} of {count}, 1 hosts, {library}", line):
                sys.exit(f"{count} processes: {found}")


def test_sums():
    for shards, numbers in ((8, 100001), (13, 999), (64, 1), (8, 0)):
        sums = set()
        for count in (1, 2, 3, 5, 8):
            job = Job(count, "sum", shards, numbers, 7 * count)
            job.expect(0)
            assert len(job.out) == count, job.out
            sums.update(job.out)
        if len(sums) != 1:
            sys.exit(f"{shards} shards of {numbers} numbers have the sums {sums}")


def test_differences():
    Job(3, "differ").expect(1, r"rank 2 \(.+\): the program is 0\.2\.0, on rank 0 \(.+\) it is 0\.1\.0",
                            r"rank 2 \(.+\): --lr is 0\.001, on rank 0 \(.+\) it is 0\.01",
                            r"probe: the ranks of a job need the same .+: 2 differences")


def test_failures():
    Job(3, "fail").expect(1, r"probe: rank 2 \(.+\): /data/train\.tsv: no such file")
    Job(3, "alone").expect(1, r"probe: rank 2 \(.+\): something went wrong here")


def test_lost_ranks():
    """A rank that dies is the launcher's to report; one that stops is named by the others."""
    assert Job(3, "leave", int(signal.SIGKILL)).status != 0
    job = Job(4, "leave", int(signal.SIGSTOP), CDL_RANKS_TIMEOUT="2")
    job.expect(1, r"probe: step 2: rank 3 \(.+, process \d+\) did not come within 2 s; the job ends")
    assert job.seconds < 30, job.seconds


def test_wrong_launcher():
    """Each process would be a job of its own."""
    other = {"openmpi": "mpich", "mpich": "openmpi"}.get(MPI)
    if other is not None and shutil.which(f"mpirun.{other}"):
        job = Job(2, "who", CDL_MPI=other)
        assert job.status != 0 and job.out == [], job.out
        assert re.search(r"started 2 processes, but (Open MPI|MPICH) .* sees 1: start the program with", job.errors), job.errors
    Job(2, "who", CDL_MPI="lam").expect(1, *[r"probe: CDL_MPI is lam; expected .*"] * 2)


if __name__ == "__main__":
    MPI, PROBE = sys.argv[1:3]
    LAUNCHER, ENVIRONMENT = launcher_of(MPI)
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
            print(f"{name}: passed")
