#!/usr/bin/env python3
"""machine_code.py PLAN ARCHITECTURE=CUBIN...: holds the kernels' machine code against the plan that stands beside them.

Registers, memory and instructions are read with cuobjdump and nvdisasm, from the path, a toolkit in /usr/local/cuda, or the
packages nvidia-cuda-cuobjdump and nvidia-cuda-nvdisasm of this Python or of CDL_PEERS_PYTHON. PLAN says what each kernel must
have; see its head.
Without the tools, or without a cubin, the test is skipped by name; machine-code in CDL_REQUIRE makes that a failure."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

# NVIDIA's table of features by compute capability (CUDA C++ Programming Guide): threads, registers and bytes of shared
# memory of a multiprocessor. The system takes a part of each group's shared memory, which cuobjdump counts with the kernel's
# own from sm_90 on.
MULTIPROCESSORS = {
    "sm_80": {"threads": 2048, "registers": 65536, "shared": 164 * 1024, "counts_reserved": False},
    "sm_90": {"threads": 2048, "registers": 65536, "shared": 228 * 1024, "counts_reserved": True},
}
RESERVED = 1024
WARP, WARPS_TOGETHER = 32, 4  # a multiprocessor has four schedulers, and registers for as many warps in each
REGISTER_UNIT, SHARED_UNIT, STATIC_SHARED = 256, 128, 48 * 1024
LOCAL_ACCESS = r"\b(LDL|STL)\b"
WORDS = {
    "tensor-cores": r"[HI]MMA\.",
    "wide-loads": r"LDG\.E\S*\.128",
    "wide-stores": r"STG\.E\S*\.128",
    "async-copies": r"LDGSTS\.",
    "matrix-loads": r"LDSM\.",
    "exp2": r"MUFU\.EX2",
}


def skip(reason):
    print(f"skipped: machine code: {reason}")
    sys.exit(1 if "machine-code" in os.environ.get("CDL_REQUIRE", "").split(",") else 77)


def folders_of_tools():
    yield "/usr/local/cuda/bin"
    peers = pathlib.Path(os.environ.get("CDL_PEERS_PYTHON", "/none/bin/python")).parent.parent
    for place in [*map(pathlib.Path, sys.path), *peers.glob("lib/python*/site-packages")]:
        yield from sorted(str(folder) for folder in place.glob("nvidia/*/bin"))


def find_tool(name):
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(folders_of_tools()))
    return found or skip(f"no {name}: neither on the path, nor in /usr/local/cuda/bin, nor among Python's packages")


def divide_up(x, by):
    return -(-x // by)


class Kernel:
    """One kernel of a cubin."""

    def __init__(self, name, usage, counts_reserved):
        self.registers, self.stack, self.shared, self.local = (
            int(re.search(rf"{word}:(\d+)", usage).group(1)) for word in ("REG", "STACK", "SHARED", "LOCAL"))
        if counts_reserved and self.shared > 0:
            self.shared -= RESERVED
        self.threads = None
        self.code = []  # (address, instruction)

    def groups(self, machine, threads, dynamic):
        """How many groups a multiprocessor holds at a time."""
        registers = divide_up(self.registers * WARP, REGISTER_UNIT) * REGISTER_UNIT
        warps = machine["registers"] // registers // WARPS_TOGETHER * WARPS_TOGETHER
        shared = divide_up(self.shared + dynamic + RESERVED, SHARED_UNIT) * SHARED_UNIT
        return min(machine["threads"] // threads, warps // divide_up(threads, WARP), machine["shared"] // shared)

    def has(self, pattern):
        return any(re.search(pattern, text) for _, text in self.code)

    def loops(self):
        """The instructions of each innermost loop: from the target of a jump back to the jump."""
        spans = set()
        for address, text in self.code:
            jump = re.search(r"\bBRA(?:\.\S+)? .*?0x([0-9a-f]+)$", text)
            if jump and int(jump.group(1), 16) <= address:
                spans.add((int(jump.group(1), 16), address))
        for first, last in sorted(spans):
            if not any(one != (first, last) and first <= one[0] and one[1] <= last for one in spans):
                yield [text for address, text in self.code if first <= address <= last]


def read_cubin(architecture, path):
    cuobjdump = find_tool("cuobjdump")
    os.environ["PATH"] = os.pathsep.join([str(pathlib.Path(find_tool("nvdisasm")).parent), os.environ["PATH"]])
    tell = lambda *options: subprocess.run([cuobjdump, *options, path], check=True, capture_output=True, text=True).stdout
    kernels = {}
    for name, usage in re.findall(r"^ Function (\S+):\n\s*(REG:.*)$", tell("-res-usage"), re.M):
        kernels[name] = Kernel(name, usage, MULTIPROCESSORS[architecture]["counts_reserved"])
    for part in re.split(r"^\.nv\.info\.", tell("-elf"), flags=re.M)[1:]:
        name, bound = part.split("\n", 1)[0], re.search(r"EIATTR_MAX_THREADS\s+Format:.*\s+Value:\s*(0x[0-9a-f]+) 0x1 0x1", part)
        kernels[name].threads = int(bound.group(1), 16) if bound else None
    for part in tell("-sass").split("Function : ")[1:]:
        name, _, body = part.partition("\n")
        code = re.findall(r"/\*([0-9a-f]{4,6})\*/\s+(.*?)\s*;", body)
        kernels[name.strip()].code = [(int(address, 16), text) for address, text in code]
    return kernels


def read_plan(path):
    """Rows: pattern, threads, dynamic shared bytes, least groups by architecture, facts."""
    rows = []
    for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
        fields = line.partition("#")[0].split()
        if not fields:
            continue
        assert len(fields) >= 5, f"{path}:{number}: expected kernels, threads, shared, sm_80, sm_90 and facts: {line}"
        threads, shared, *groups = (int(field) for field in fields[1:5])
        rows.append((fields[0], threads, shared, dict(zip(MULTIPROCESSORS, groups)), fields[5:]))
    return rows


def fault_of_fact(kernel, fact):
    bound = re.fullmatch(r"loop<=(\d+)", fact)
    if bound:
        writing = [len(loop) for loop in kernel.loops() if any(re.search(r"\bSTG\.", text) for text in loop)]
        if not writing:
            return "no innermost loop writes to memory"
        if min(writing) > int(bound.group(1)):
            return f"its shortest innermost loop that writes has {min(writing)} instructions"
        return None
    if re.fullmatch(r"(stack|spills)<=\d+", fact):
        return None  # see memory_faults
    assert fact in WORDS, f"no fact is called {fact}: {', '.join(WORDS)}, loop<=N, stack<=N, spills<=N"
    return None if kernel.has(WORDS[fact]) else f"no instruction {WORDS[fact]}"


def memory_faults(kernel, facts):
    allowed = {word: int(bytes) for word, bytes in re.findall(r"(stack|spills)<=(\d+)", " ".join(facts))}
    if kernel.stack > max(allowed.values(), default=0) or kernel.local > 0:
        yield f"a stack of {kernel.stack} bytes and {kernel.local} of local memory"
    if not allowed and kernel.has(LOCAL_ACCESS):
        yield "it has local memory"
    if "spills" in allowed and any(re.search(LOCAL_ACCESS, text) for loop in kernel.loops() for text in loop):
        yield "it spills in an innermost loop"


def faults_of(kernel, architecture, row):
    _, threads, dynamic, groups, facts = row
    machine = MULTIPROCESSORS[architecture]
    yield from memory_faults(kernel, facts)
    if kernel.threads != threads:
        yield f"compiled for {kernel.threads} threads a group, planned for {threads}"
    if divide_up(kernel.registers * WARP, REGISTER_UNIT) * REGISTER_UNIT * divide_up(threads, WARP) > machine["registers"]:
        yield f"{kernel.registers} registers are too many for a group"
    if kernel.shared > STATIC_SHARED:
        yield f"{kernel.shared} static bytes of shared memory: a launch has {STATIC_SHARED}"
    held = kernel.groups(machine, threads, dynamic)
    if held < groups[architecture]:
        yield (f"{held} groups a multiprocessor, planned {groups[architecture]}: {kernel.registers} registers, "
               f"{kernel.shared} + {dynamic} bytes of shared memory")
    for fact in facts:
        fault = fault_of_fact(kernel, fact)
        if fault:
            yield f"{fact}: {fault}"


def compare(kernels, architecture, plan):
    matched = set()
    for name, kernel in sorted(kernels.items()):
        rows = [row for row in plan if re.fullmatch(row[0], name)]
        if len(rows) != 1:
            yield f"{architecture} {name}: {len(rows)} rows of the plan match, expected one"
        for row in rows[:1]:
            matched.add(row[0])
            for fault in faults_of(kernel, architecture, row):
                yield f"{architecture} {name}: {fault}"
    for row in plan:
        if row[0] not in matched:
            yield f"{architecture}: no kernel matches {row[0]}"


def check_that_it_can_fail(kernels, architecture):
    """Plans that no kernel keeps."""
    name, kernel = next((name, kernel) for name, kernel in sorted(kernels.items()) if name == "copy_u32")
    machine = MULTIPROCESSORS[architecture]
    one = {name: kernel}
    kept = (name, kernel.threads, 0, {architecture: kernel.groups(machine, kernel.threads, 0)}, [])
    assert not list(compare(one, architecture, [kept])), list(compare(one, architecture, [kept]))
    more = {architecture: kept[3][architecture] + 1}
    for wrong in ([], [kept, kept], [kept, ("none", 256, 0, kept[3], [])], [(name, kernel.threads * 2, 0, kept[3], [])],
                  [(name, kernel.threads, 0, more, [])], [(name, kernel.threads, machine["shared"] - 1024, kept[3], [])],
                  [(*kept[:4], ["tensor-cores"])], [(*kept[:4], ["async-copies"])], [(*kept[:4], ["loop<=1"])]):
        assert list(compare(one, architecture, wrong)), f"a plan that should be refused is not: {wrong}"


def main(plan_path, *cubins):
    plan = read_plan(plan_path)
    if not cubins:
        skip("this build has none, for want of nvcc")
    faults = []
    for architecture, path in (cubin.split("=", 1) for cubin in cubins):
        kernels = read_cubin(architecture, path)
        assert len(kernels) > 10 and all(kernel.code for kernel in kernels.values()), f"{path}: {len(kernels)} kernels"
        faults += compare(kernels, architecture, plan)
        check_that_it_can_fail(kernels, architecture)
        print(f"{architecture}: {len(kernels)} kernels")
    print(*faults, f"{len(faults)} faults", sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
