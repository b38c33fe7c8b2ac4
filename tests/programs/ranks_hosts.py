#!/usr/bin/env python3
"""ranks_hosts.py MPI PROBE PROGRAM CASES: jobs of processes on two hosts, which are two namespaces of this machine's network and host
name with a cable between them. A script takes ssh's place. Skipped where namespaces are not allowed."""
import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import ranks

ADDRESSES = {"east": "10.219.7.1", "west": "10.219.7.2"}
TOOLS = ("ip", "unshare", "nsenter", "hostname")


def run_as_root(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        ranks.skip(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


def enter(holder):
    return ["nsenter", f"--target={holder.pid}", "--net", "--uts"]


def is_apart(holder):
    try:
        return pathlib.Path(f"/proc/{holder.pid}/ns/net").readlink() != pathlib.Path("/proc/self/ns/net").readlink()
    except OSError:  # it has ended
        return False


@contextlib.contextmanager
def two_hosts():
    """Processes that hold the namespaces, by the names of the hosts. The namespaces end with them."""
    for tool in TOOLS:
        if shutil.which(tool) is None:
            ranks.skip(f"there is no {tool}")
    holders = {name: subprocess.Popen(["unshare", "--net", "--uts", "sleep", "600"], stderr=subprocess.DEVNULL) for name in ADDRESSES}
    try:
        until = time.monotonic() + 5
        while not all(map(is_apart, holders.values())):
            if time.monotonic() > until or any(holder.poll() is not None for holder in holders.values()):
                ranks.skip("unshare makes no namespaces")
            time.sleep(0.01)
        east, west = holders.values()
        run_as_root("ip", "link", "add", "cable", "netns", str(east.pid), "type", "veth", "peer", "name", "cable", "netns", str(west.pid))
        for name, holder in holders.items():
            run_as_root(*enter(holder), "hostname", name)
            run_as_root(*enter(holder), "ip", "address", "add", f"{ADDRESSES[name]}/24", "dev", "cable")
            for device in ("lo", "cable"):
                run_as_root(*enter(holder), "ip", "link", "set", device, "up")
        yield holders
    finally:
        for holder in holders.values():
            holder.kill()
            holder.wait()


def write_remote_shell(path, holders):
    """ssh [OPTION …] HOST COMMAND …"""
    cases = "\n".join(f"{ADDRESSES[name]}) process={holder.pid} ;;" for name, holder in holders.items())
    path.write_text(f'#!/bin/sh\nwhile [ "${{1#-}}" != "$1" ]; do shift; done\ncase $1 in\n{cases}\nesac\nshift\n'
                    'exec nsenter "--target=$process" --net --uts sh -c "$*"\n')
    path.chmod(0o755)


def launcher(mpi, program, shell, each, holders):
    """The start of a job with `each` processes on each host, from the first host."""
    hosts = ",".join(f"{address}:{each}" for address in ADDRESSES.values())
    options = ["--host", hosts, "--mca", "plm_rsh_agent", shell, "--mca", "btl", "tcp,self"] if mpi == "openmpi" else \
        ["-hosts", hosts, "-launcher", "ssh", "-launcher-exec", shell]
    return [*enter(holders["east"]), program, *options, "-n"]


def test_hosts():
    job = ranks.Job(4, "who")
    job.expect(0)
    if not all(re.fullmatch(rf"rank {rank} of 4, local {rank % 2} of 2, 2 hosts, .*", line) for rank, line in enumerate(sorted(job.out))):
        sys.exit(f"4 processes on two hosts: {job.out}")


def test_training():
    """The bytes are those of one process."""
    for name, count in (("condlora", 4), ("full", 3), ("dora", 3)):
        options = (*ranks.METHODS[name], "--epochs", 2, "--eval-every", 2)
        command = (ranks.CASE_OF.get(name, "bert-lora"), ranks.SCRATCH / f"{name}-0", *options)
        together = [f"{ranks.SCRATCH}/{name}-{count}" if word == ranks.SCRATCH / f"{name}-0" else word for word in ranks.training(*command)]
        alone = subprocess.run([ranks.PROGRAM, *map(str, ranks.training(*command))], capture_output=True, text=True, check=False)
        assert alone.returncode == 0, alone.stderr
        ranks.done(count, *together)
        ranks.assert_same(ranks.SCRATCH / f"{name}-0", ranks.SCRATCH / f"{name}-{count}", f"{name}, {count} ranks on two hosts")
        process, = json.loads((ranks.SCRATCH / f"{name}-{count}" / "run.json").read_text())["processes"]
        assert [host["host"] for host in process["hosts"]] == ["east", "west"], process
        assert sum(host["ranks"] for host in process["hosts"]) == count, process


def main():
    ranks.MPI, ranks.PROBE, ranks.PROGRAM, ranks.CASES = *sys.argv[1:4], pathlib.Path(sys.argv[4])
    (program, _), ranks.ENVIRONMENT = ranks.launcher_of(ranks.MPI)
    with tempfile.TemporaryDirectory(prefix="condlora-hosts-") as scratch, two_hosts() as holders:
        ranks.SCRATCH = pathlib.Path(scratch)
        shell = ranks.SCRATCH / "remote-shell"
        write_remote_shell(shell, holders)
        ranks.LAUNCHER = launcher(ranks.MPI, program, shell, 2, holders)
        for name, test in list(globals().items()):
            if name.startswith("test_"):
                test()
                print(f"{name}: passed", flush=True)


if __name__ == "__main__":
    main()
