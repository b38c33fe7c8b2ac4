"""A GPU day from end to end, without a GPU: packed, unpacked elsewhere, run on the emulated device with stand-ins of NVIDIA's
tools, then with steps that hang, die, fail or lack something. No time is judged.

    gpu_day.py SOURCE BUILD EMULATOR
"""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import time

SOURCE, BUILD, EMULATOR = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
MODEL = "cases/roberta-lora-linear/model"
# Stand-ins: what the real ones print, from NVIDIA's documents, around a run of the program itself.
TOOLS = {
    "nvidia-smi": "printf 'name, driver_version, memory.total [MiB]\\nNVIDIA Tested 100, 580.1, 1000 MiB\\n'",
    "compute-sanitizer": """
while [ "${1#--}" != "$1" ]; do [ "$1" = --tool ] && tool=$2; shift 2; done
echo '========= COMPUTE-SANITIZER'
"$@" || exit
case $tool in
  memcheck) echo '========= ERROR SUMMARY: 0 errors' ;;
  racecheck) echo '========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)' ;;
esac""",
    "ncu": """
echo '==PROF== Connected to process 1'
cat <<'TABLE'
"ID","Process ID","Kernel Name","Block Size","Grid Size","Section Name","Metric Name","Metric Unit","Metric Value"
"0","1","attention_64(const float *)","(256, 1, 1)","(64, 12, 1)","GPU Speed Of Light Throughput","Duration","us","1,250.50"
"0","1","attention_64(const float *)","(256, 1, 1)","(64, 12, 1)","Launch Statistics","Registers Per Thread","register/thread","96"
"1","1","attention_64(const float *)","(256, 1, 1)","(64, 12, 1)","GPU Speed Of Light Throughput","Duration","us","900"
"2","1","layer_norm(const float *)","(256, 1, 1)","(512, 1, 1)","GPU Speed Of Light Throughput","Duration","ns","7000"
"3","1","copy_u32(const float *)","(256, 1, 1)","(512, 1, 1)","GPU Speed Of Light Throughput","Duration","ms","50"
TABLE""",
}
# Shapes of a run, small.
TRACE = [
    {"name": "attention", "ph": "X", "ts": 0, "dur": 1, "args": {"heads": 2, "width": 4, "lengths": [3, 2]}},
    {"name": "gemm", "ph": "X", "ts": 0, "dur": 1, "args": {"m": 3, "n": 4, "k": 5, "batch": 1, "transpose_a": False, "transpose_b": False}},
    {"name": "linear", "ph": "X", "ts": 0, "dur": 1, "args": {"m": 5, "n": 8, "k": 8}},
]


def write_program(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def environment(tools, **more):
    kept = {name: value for name, value in os.environ.items() if name not in ("CDL_BACKEND_PATH", "LD_LIBRARY_PATH")}
    path = f"{tools}:{kept.get('PATH', '/usr/bin:/bin')}" if tools else "/nonexistent"
    return {**kept, "CDL_CUDA_LIBRARIES": str(EMULATOR), "CUDA_EMULATOR_STRICT": "1", "PATH": path, **more}


class Place:
    """The unpacked folder, and where days there leave their results."""

    def __init__(self, root, archive):
        self.root, self.count = root / "an other place", 0
        self.root.mkdir()
        subprocess.run(["tar", "-xf", archive, "-C", self.root], check=True)
        self.day = self.root / "condlora-gpu-day"
        self.tools = root / "tools"
        self.tools.mkdir()
        for name, script in TOOLS.items():
            write_program(self.tools / name, script)
        (self.root / "trace.json").write_text(json.dumps({"traceEvents": TRACE}))

    def command(self, *more):
        self.count += 1
        return [sys.executable, str(self.day / "gpu-day"), "--small", "--seconds", "3000", "--python", sys.executable, "--torch-device", "cpu", "--model",
                str(self.day / MODEL), "--shapes", str(self.root / "trace.json"), "--output", str(self.root / f"out{self.count}"), *more]

    def result(self):
        folders = list((self.root / f"out{self.count}").iterdir())
        assert len(folders) == 1 and sorted(file.name for file in folders[0].iterdir()) == ["gpu-day.json", "log.txt", "summary.md"], folders
        return json.loads((folders[0] / "gpu-day.json").read_text()), folders[0]

    def run(self, *more, status=0, tools=True, **variables):
        done = subprocess.run(self.command(*more), env=environment(self.tools if tools else None, **variables), capture_output=True, text=True)
        assert done.returncode == status, f"{more}: exit {done.returncode}, expected {status}: {done.stdout}{done.stderr}"
        return self.result()


def statuses(report):
    return {name: step["status"] for name, step in report["steps"].items()}


# ---- Packing ----


def check_archive(archive):
    """Small enough, everything root's and writable by nobody else, and nothing but files and folders."""
    assert archive.stat().st_size < 30_000_000, archive.stat().st_size
    with tarfile.open(archive) as entries:
        for entry in entries:
            assert entry.name.split("/")[0] == "condlora-gpu-day", entry.name
            assert entry.isdir() or entry.isfile(), f"{entry.name} is neither a folder nor a file"
            assert (entry.uid, entry.gid, entry.uname) == (0, 0, "root") and entry.mode & 0o7022 == 0, f"{entry.name}: {oct(entry.mode)}"


def check_unpacked(place):
    packed = json.loads((place.day / "packed.json").read_text())
    assert re.fullmatch(r"2\.\d+", packed["glibc"]) and {"libopenblas.so.0", "liblapacke.so.3", "libjansson.so.4"} <= {*packed["libraries"]}, packed
    for file in [*(place.day / "bin").iterdir(), *(place.day / "lib").rglob("*.so*")]:
        assert not re.match(r"(lib(c|m|dl|pthread|gcc_s)\.so|ld-linux)", file.name), f"{file.name} is the machine's own"
        if shutil.which("readelf"):
            done = subprocess.run(["readelf", "-d", file], capture_output=True, text=True, check=True)
            assert "(NEEDED)" in done.stdout and not re.search(r"(RUNPATH|RPATH).*\[[^]]*/", done.stdout), f"{file.name}: {done.stdout}"


# ---- A day on which all is well ----


def check_day(place):
    report, folder = place.run()
    found = statuses(report)
    # PyTorch's side has a test of its own, and this Python may or may not have PyTorch; a build without nvcc has no PTX.
    expected = {name: "passed" for name in found if not name.startswith("torch-") and name not in ("ptx", "nvrtc", "driver-jit")}
    assert {name: found[name] for name in expected} == expected, {name: report["steps"][name]["why"] for name in expected if found[name] != "passed"}
    assert len(found) > 35 and report["passed"] and report["device"] == "condlora CUDA emulator", report["device"]
    assert folder.name == f"{report['date']}-condlora-cuda-emulator", folder.name
    steps = report["steps"]
    assert steps["backends"]["facts"]["plugin"] == str(place.day / "lib" / "condlora" / "condlora-cuda.so"), "a plug-in from elsewhere"
    assert steps["quick-bf16"]["facts"]["passed"] > 20 and steps["full-fp32"]["facts"]["passed"] >= steps["quick-fp32"]["facts"]["passed"]
    assert steps["ptx"]["environment"] == {"CDL_CUDA_KERNELS": "ptx"}
    for name in ("ptx", "driver-jit"):
        assert found[name] == "passed" or "no kernels" in steps[name]["why"], steps[name]
    kernels = [(kernel["kernel"], kernel["Duration"]) for kernel in steps["counters"]["facts"]["kernels"]]
    assert kernels == [("attention_64", "1,250.50 us"), ("layer_norm", "7000 ns")], kernels
    check_training(report)
    check_summary(folder, report)


def check_training(report):
    for precision in ("fp32", "tf32", "bf16"):
        for size in ("16x69", "32x512"):
            facts = report["steps"][f"train-{precision}-{size}"]["facts"]
            assert facts["report"]["precision"] == precision and {*facts["step_ms"]} == {"lora", "condlora"}, facts["step_ms"]
            tables = {table["name"]: table["rows"] for table in facts["report"]["tables"]}
            times = {row["name"]: row for row in tables["train"]}
            assert facts["step_ms"]["lora"] == 1e3 * times["lora step"]["median_s"] > 0 and "samples_s" not in times["lora step"], times
            assert any(row["op"].startswith("attention") for row in tables["train-ops"]), "no share of attention"
    joint = report["steps"]["joint-bf16-16x69"]
    assert "--joint" in joint["command"] and joint["facts"]["step_ms"]["lora"] > 0, joint


def check_summary(folder, report):
    text = (folder / "summary.md").read_text()
    for part in ("All necessary steps passed.", "## A training step", "## Where a step's time goes", "### svd, fp32", "## Hardware counters", "## Steps"):
        assert part in text, f"the summary has no '{part}'"
    for name, step in report["steps"].items():
        assert re.search(rf"^\| {re.escape(name)}( \(necessary\))? \| {step['status']} \|", text, re.M), f"the summary has no {name}"
    done = subprocess.run([sys.executable, SOURCE / "scripts" / "lint-prose", folder], capture_output=True, text=True)
    assert done.returncode == 0, f"the summary's form: {done.stdout}"
    assert str(folder) not in text and "condlora-gpu-day" not in json.dumps([step.get("command") for step in report["steps"].values()])


# ---- Days on which something is not ----


def check_missing_tools(place):
    """No tool, no device: named, and what needs the device does not begin."""
    report, folder = place.run("--only", "machine,backends,counters,memcheck-linear", tools=False)
    assert statuses(report) == {"machine": "skipped", "backends": "passed", "memcheck-linear": "skipped", "counters": "skipped"}, statuses(report)
    assert report["steps"]["machine"]["why"] == "nvidia-smi is not there" and report["steps"]["counters"]["why"] == "ncu is not there"
    assert "emulator" in folder.name and "so the times mean nothing" in (folder / "summary.md").read_text()
    report, folder = place.run("--only", "full-fp32,parity-fp32", status=1, CDL_CUDA_LIBRARIES=str(place.root))
    if "passed" not in (statuses(report)["backends"],):  # this machine has no GPU of its own
        assert statuses(report) == {"machine": "passed", "backends": "failed", "quick-fp32": "skipped", "parity-fp32": "skipped", "full-fp32": "skipped"}
        assert report["steps"]["backends"]["why"].startswith("cuda is not usable: "), report["steps"]["backends"]
        assert report["device"] == "NVIDIA Tested 100" and folder.name.endswith("-nvidia-tested-100"), folder.name
        assert report["steps"]["parity-fp32"]["why"] == "it needs backends, which has not passed", report["steps"]["parity-fp32"]
        assert "**These necessary steps have not passed:** backends, quick-fp32, parity-fp32." in (folder / "summary.md").read_text()


def check_untrusted(place):
    """Who may write to lib/ may exchange the plug-in: base/trust.h refuses it, and the summary says why."""
    lib = place.day / "lib"
    mode = stat.S_IMODE(lib.stat().st_mode)
    lib.chmod(mode | stat.S_IWOTH)
    report, _ = place.run("--only", "backends", status=1)
    lib.chmod(mode)
    assert "may be written to by others" in report["steps"]["backends"]["why"], report["steps"]["backends"]


def check_dead_steps(place):
    """A step that hangs with a child of its own, one that dies, one that says nonsense: the rest runs."""
    child = place.root / "child"
    dead = {
        "test-parity": f"sleep 1000 & echo $! >'{child}'; wait",
        "bench-condlora": "kill -SEGV $$",
        "condlora-conformance": "case \"$*\" in *tf32*) echo 'bad luck' >&2; exit 3 ;; *) echo nonsense ;; esac",
    }
    for name, script in dead.items():
        (place.day / "bin" / name).rename(place.root / name)
        write_program(place.day / "bin" / name, script)
    report, folder = place.run("--only", "parity-fp32,train-bf16-16x69,full-fp32,quick-tf32,counters", "--limit", "10", status=1)
    check_gone(child)
    interrupt(place, child)
    for name in dead:
        (place.root / name).rename(place.day / "bin" / name)
    why = {name: (step["status"], step["why"]) for name, step in report["steps"].items()}
    assert why["parity-fp32"] == ("timed out", "not done within 10 s"), why
    assert why["train-bf16-16x69"][0] == "died" and "SIGSEGV" in why["train-bf16-16x69"][1], why
    assert why["quick-tf32"] == ("failed", "exit 3: bad luck"), why
    assert why["quick-fp32"][0] == "failed" and "no JSON" in why["quick-fp32"][1], why
    assert why["full-fp32"] == ("skipped", "it needs quick-fp32, which has not passed"), why
    assert why["counters"][0] == "passed" and not report["passed"], why
    text = (folder / "summary.md").read_text()
    assert "have not passed:** quick-fp32, quick-tf32, parity-fp32, train-bf16-16x69." in text, text
    assert "bad luck" in (folder / "log.txt").read_text()


def check_gone(child):
    number = int(child.read_text())
    for _ in range(50):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return
        if "zombie" in pathlib.Path(f"/proc/{number}/status").read_text():
            return
        time.sleep(0.1)
    raise AssertionError("the child of a step that hung still runs")


def interrupt(place, child):
    """SIGTERM in the middle of a step: the step's processes end, and the files have what there is."""
    child.unlink()
    day = subprocess.Popen(place.command("--only", "parity-fp32"), env=environment(place.tools), stdout=subprocess.DEVNULL)
    while not child.exists() or not child.read_text():
        assert day.poll() is None, "the day ended before its step hung"
        time.sleep(0.05)
    day.send_signal(signal.SIGTERM)
    assert day.wait(30) == 1
    report, folder = place.result()
    check_gone(child)
    assert statuses(report) == {"machine": "passed", "backends": "passed"}, statuses(report)
    assert "| parity-fp32 (necessary) | not begun |" in (folder / "summary.md").read_text()


def check_short(place):
    """Too little time: what takes longer is skipped by name, and a necessary step among that fails the day."""
    report, _ = place.run("--seconds", "40", "--only", "backends,torch-compile")
    assert statuses(report) == {"machine": "passed", "backends": "passed", "torch-compile": "skipped"}, statuses(report)
    assert re.fullmatch(r"no time: \d+ s are left, it takes some 60", report["steps"]["torch-compile"]["why"]), report["steps"]["torch-compile"]
    report, _ = place.run("--seconds", "4", "--only", "backends", status=1)
    assert statuses(report)["backends"] == "skipped" and report["steps"]["backends"]["why"].endswith("it takes some 5"), report["steps"]["backends"]


# ---- What it makes of numbers ----


def check_numbers():
    """The summary's ratios, from figures that are put in."""
    loader = importlib.machinery.SourceFileLoader("gpu_day", str(SOURCE / "bench" / "gpu-day"))
    day = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_day", loader))
    loader.exec_module(day)
    said = [{"device": device, "method": "lora", "batch": 32, "length": "512", "launches": 290.0, "step_ms": ms}
            for device, ms in (("a100", 40.0), ("h200", 16.0))]
    ops = [{"device": "h200", "method": "lora", "batch": 32, "length": "512", "op": "attention 768", "op_ms": 2.0}]
    measured = [{"op": "attention 768", "path": "native", "calls": 12.0, "seconds": 0.004, "share": 0.2}]
    model = {"tables": [{"name": "model", "rows": said}, {"name": "model-ops", "rows": ops}]}
    steps = {
        "model-bf16": {"facts": day.read_model(json.dumps(model))},
        "train-bf16-32x512": {
            "command": ["bench-condlora", "--precision", "bf16", "--batch-size", "32", "--lengths", "512", "train"],
            "facts": {"step_ms": {"lora": 20.0, "condlora": 20.2},
                      "report": {"tables": [{"name": "train-ops", "title": "train: ops of a LoRA step", "rows": measured}]}},
        },
        "torch-eager": {"facts": day.read_torch('{"torch": "2", "transformers": "5", "peft": "0"}\n{"mode": "eager", "size": "32x512", "lengths": '
                                                '"true", "frozen": "fp32", "step_ms": 50.0, "device_ms": 49}\n{"cut sho')},
    }
    report = {"device": "NVIDIA H200", "steps": steps}
    for part, row in ((day.training_part, "| 32x512 | bf16 | lora | 20 | 1.000 | 16 | 1.25 | 290 |"),
                      (day.training_part, "| 32x512 | bf16 | condlora | 20.2 | 1.010 |  |  |  |"),
                      (day.shares_part, "| attention 768 | native | 12.0 | 4 | 20.0 % | 2 |"),
                      (day.torch_part, "| eager | 32x512 | true | 50 | 49 | 20 | 2.50 |")):
        assert row in part(report), (row, part(report))
    report["device"] = "NVIDIA B300"
    assert "| 32x512 | bf16 | lora | 20 | 1.000 |" in day.training_part(report), "a column of the model without a figure of it"
    kernels = re.findall(r"KERNEL_ENTRY\((\w+)", "".join(file.read_text() for file in (SOURCE / "backends" / "kernels").glob("*.def")))
    for pattern, count in day.COUNTED:
        assert sum(bool(re.search(pattern, name)) for name in kernels) >= count, f"no kernel's name has {pattern}"
    for reader, text in ((day.read_sanitizer, "nothing"), (day.read_counters, "==ERROR== no permission"), (day.read_torch, "Traceback"),
                         (day.read_parity, ""), (day.read_model, '{"tables": []}')):
        try:
            reader(text)
        except day.Unreadable:
            continue
        raise AssertionError(f"{reader.__name__} takes '{text}'")


def main():
    check_numbers()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder).resolve()
        archive = root / "packed.tar.xz"
        subprocess.run([sys.executable, SOURCE / "bench" / "pack-gpu-day", "--build", BUILD, "--output", archive, "--compress", "1"], check=True)
        check_archive(archive)
        place = Place(root, archive)
        check_unpacked(place)
        check_day(place)
        check_missing_tools(place)
        check_untrusted(place)
        check_dead_steps(place)
        check_short(place)
    for wrong in (["--only", "nonsense"], ["--seconds", "0"], ["--nonsense"]):
        assert subprocess.run([sys.executable, SOURCE / "bench" / "gpu-day", *wrong], capture_output=True).returncode == 2, wrong


main()
