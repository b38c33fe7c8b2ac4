"""bench/peers/bf16_spread.py in a small form: a tiny model, made-up MRPC, few steps; condlora on the CPU in float32.

    python bf16_spread.py PATH/TO/condlora

condlora must lie within PyTorch's spread, and near its float32; a run with another learning rate must not. Exit status 0 if so.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "bench" / "peers" / "bf16_spread.py"
MODEL = ROOT / "tests" / "data" / "cases" / "bert-lora" / "model"
WORDS = "the old cold kettle river not sings under lamp green slow warm owl bread stone".split()
STEPS, SEEDS = 12, 2


def write_mrpc(folder):
    rng = random.Random(5)
    (folder / "MRPC").mkdir(parents=True)
    for name, count in (("train", 80), ("dev", 30)):
        lines = ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
        for index in range(count):
            label, first, second = rng.randrange(2), *(" ".join(rng.choices(WORDS, k=5)) for _ in range(2))
            lines.append(f"{label}\t{index}\t{index}\t{'lamp ' if label else 'owl '}{first}\t{second}")
        (folder / "MRPC" / f"{name}.tsv").write_text("".join(line + "\n" for line in lines))


def spread(work, data, program):
    return subprocess.run([sys.executable, "-B", SCRIPT, "--condlora", program, "--model", MODEL, "--data", data, "--work", work,
                           "--output", work / "out.json", "--backend", "cpu", "--precision", "fp32", "--seeds",
                           ",".join(map(str, range(SEEDS))), "--steps", str(STEPS), "--batch-size", "4", "--dev-examples", "20", "--max-length", "32", "--parallel", "2"],
                          capture_output=True, text=True)


def main():
    with tempfile.TemporaryDirectory() as scratch:
        data, work = pathlib.Path(scratch) / "glue", pathlib.Path(scratch) / "work"
        write_mrpc(data)
        done = spread(work, data, PROGRAM)
        if done.returncode != 0:
            print(f"differs: exit {done.returncode}: {done.stderr}")
            return 1
        report = json.loads((work / "out.json").read_text())
        for side in ("condlora", "torch-bf16", "torch-fp32"):
            runs = report["runs"][side]
            if len(runs) != SEEDS or any(len(run["losses"]) != STEPS for run in runs):
                print(f"differs: {side}: expected {SEEDS} runs of {STEPS} losses: {runs}")
                return 1
        float32 = report["rules"]["float32"]
        # float32 on both sides; PyTorch's bf16 is far from it, so its rounding is there
        if not (float32["condlora"] < 1e-5 < float32["torch_bf16"]):
            print(f"differs: condlora must be within 1e-5 of PyTorch's float32, and bf16 must not: {float32}")
            return 1
        other = pathlib.Path(scratch) / "other"
        other.write_text(f"#!{sys.executable}\nimport os, sys\narguments = ['0.1' if a == '1e-3' else a for a in sys.argv]\n"
                         f"os.execv({str(PROGRAM)!r}, arguments)\n")
        other.chmod(0o755)
        for seed in range(SEEDS):  # condlora alone is trained again, at another rate
            (work / f"seed-{seed}" / "condlora.json").unlink()
            (work / f"seed-{seed}" / "condlora").rename(work / f"seed-{seed}" / "first")
        done = spread(work, data, other)
        rules = json.loads((work / "out.json").read_text())["rules"]
        if done.returncode != 1 or rules["float32"]["holds"]:
            print(f"differs: another rate was not noticed: exit {done.returncode}: {rules}: {done.stderr}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
