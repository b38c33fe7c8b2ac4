"""bench/peers/step_torch.py, small and on the CPU: the same examples give the same loss with and without padding, as many
parameters are trained as arithmetic says, and what needs a GPU is skipped.

    step_torch.py SCRIPT
"""

import json
import os
import subprocess
import sys

SCRIPT = sys.argv[1]
HIDDEN, LAYERS, RANK, LABELS = 32, 2, 8, 2  # as --small has them


def run(*more, status=0):
    done = subprocess.run([sys.executable, SCRIPT, "--device", "cpu", "--small", "--sizes", "2x9,3x12", "--pad", "16", "--warm-up", "1", "--steps", "2",
                           *more], capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == status, f"{more}: exit {done.returncode}, expected {status}: {done.stdout}{done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def check_cases(cases, expected):
    head = HIDDEN * HIDDEN + HIDDEN + LABELS * HIDDEN + LABELS
    for case in cases:
        assert "error" not in case and case["n"] == 2 and 0 < case["least_ms"] <= case["step_ms"], case
        assert case["trained"] == head + LAYERS * 2 * 2 * RANK * HIDDEN, case
    assert [(case["size"], case["lengths"], case["width"]) for case in cases if case["lengths"] != "rte"] == expected, cases


versions, *cases = run("--lengths", "true,padded,rte")
assert {"torch", "transformers", "peft"} <= set(versions), versions
check_cases(cases, [("2x9", "true", 9), ("2x9", "padded", 16), ("3x12", "true", 12), ("3x12", "padded", 16)])
losses = {(case["size"], case["lengths"]): case["loss"] for case in cases}
for size in ("2x9", "3x12"):
    assert abs(losses[size, "true"] - losses[size, "padded"]) < 1e-3, losses
drawn = [case for case in cases if case["lengths"] == "rte"]
assert len(drawn) == 1 and 2 * 13 <= drawn[0]["tokens"] <= 2 * 289, drawn
_, *compiled = run("--sizes", "2x9", "--mode", "compile", "--compiler", "aot_eager", "--lengths", "true", "--frozen", "bf16")
check_cases(compiled, [("2x9", "true", 9)])
assert run("--mode", "graphs", status=77) == []
run("--lengths", "nonsense", status=2)
