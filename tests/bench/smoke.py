"""Small runs of bench-condlora: the report holds together, the step's products are as many as arithmetic says, errors
have their exit status. No time is judged.

    smoke.py BENCH-CONDLORA MODEL-FOLDER
"""

import csv
import io
import json
import pathlib
import subprocess
import sys
import tempfile

PROGRAM, MODEL = sys.argv[1:3]
BATCH, LENGTH, RANK, LABELS = 4, 9, 8, 2


def run(*arguments, status=0):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)
    assert done.returncode == status, f"{arguments}: exit {done.returncode}, expected {status}: {done.stderr}"
    if status in (1, 2):
        assert done.stdout == "" and done.stderr.count("\n") == 1, done.stderr
    return done.stdout


def small(*more):
    return run("--quick", "--seconds", "0.01", "--batch-size", str(BATCH), "--lengths", str(LENGTH), "--model", MODEL, *more)


def products_of_a_step(adapter):
    """Floating-point operations of a step's products, layer by layer: RoBERTa, adapters on query and value."""
    config = json.loads((pathlib.Path(MODEL) / "config.json").read_text())
    hidden, wide, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    tokens, pairs = BATCH * LENGTH, BATCH * LENGTH * LENGTH
    total = 0
    for layer in range(layers):
        rows = BATCH if layer == layers - 1 else tokens  # the last block's tail reads first tokens alone
        frozen = 2 * tokens * hidden * 3 * hidden
        tail = 2 * rows * hidden * hidden + 2 * 2 * rows * hidden * wide
        total += frozen + tail + 2 * 2 * pairs * hidden  # forward
        total += (frozen if layer > 0 else 0) + tail + 5 * 2 * pairs * hidden  # backward; nothing below the first adapter
        total += 2 * 2 * 2 * tokens * RANK * hidden  # x Aᵀ and u Bᵀ, of query and value
        total += 2 * (4 if layer > 0 else 3) * 2 * tokens * RANK * hidden  # du, d_a, d_b and d_x
    head = 2 * BATCH * hidden * hidden + 2 * BATCH * LABELS * hidden
    total += 3 * head
    if adapter == "condlora":  # A, B of query and value from W, and the gradients back
        total += layers * 2 * 4 * 2 * RANK * hidden * hidden
    return total


def rows_of(report, name):
    return next(table for table in report["tables"] if table["name"] == name)["rows"]


def check_report():
    report = json.loads(small("--format", "json", "--ops"))
    assert report["backend"] == "cpu" and report["version"] and report["best_gemm_flop_per_s"] > 0
    names = [table["name"] for table in report["tables"]]
    assert names[:6] == ["gemm", "svd", "elementwise", "attention", "train", "train-ratios"], names
    for table in report["tables"][:5]:
        assert table["rows"], table["name"]
        for row in table["rows"]:
            assert 0 < row["min_s"] <= row["median_s"] <= row["p95_s"] and row["mean_s"] > 0, row
            assert row["n"] == len(row["samples_s"]) > 0 and row["interval95_s"] >= 0, row
            assert min(row["samples_s"]) == row["min_s"], row
            assert row.get("path", "native") in ("native", "composed", "host"), row
    for row in rows_of(report, "train"):
        expected = products_of_a_step(row["name"].split()[0])
        assert row["flop"] == expected, f"{row['name']}: {row['flop']} operations, counted {expected}"
    for row in rows_of(report, "train-ratios"):
        assert row["step_per_gemms"] > 0 and row["gemms_of_best"] > 0 and row["peak_bytes"] > 1e6, row
    assert {row["op"] for row in rows_of(report, "train-ops")} >= {"between ops"}
    return report


def check_formats():
    text = small("svd")
    assert "svd" in text and "GFLOP" not in text
    assert "| :-- |" in small("--format", "markdown", "svd")
    table = list(csv.DictReader(io.StringIO(small("--format", "csv", "svd", "attention"))))
    assert {row["table"] for row in table} == {"svd", "attention"}
    assert all(float(row["median_s"]) > 0 for row in table)


def check_compare(report, folder):
    before, after = folder / "before.json", folder / "after.json"
    for row in rows_of(report, "svd"):
        row["samples_s"] = [1.0 + 0.001 * i for i in range(12)]
    before.write_text(json.dumps(report))
    run("--compare", str(before), str(before))
    rows_of(report, "svd")[0]["samples_s"] = [1.1 + 0.001 * i for i in range(12)]
    after.write_text(json.dumps(report))
    assert run("--compare", str(before), str(after), status=3).count("SLOWER") == 1
    assert run("--compare", str(after), str(before)).count("faster\n") == 2  # the case, and the sum
    after.write_text("[]")
    run("--compare", str(before), str(after), status=1)


def main():
    report = check_report()
    check_formats()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        small("--format", "json", "--output", str(folder / "report.json"), "svd")
        assert json.loads((folder / "report.json").read_text())["quick"] == "yes"
        run("--quick", "--output", str(folder / "no" / "such"), "svd", status=1)
        check_compare(report, folder)
    run("--model", "/no/such/folder", "train", status=1)
    run("--backend", "nonsense", status=1)
    for wrong in (["--nonsense"], ["nonsense"], ["--format", "xml"], ["--threads", "two"], ["--lengths", "long", "train"],
                  ["--task", "RTE"], ["--threads"], ["--compare", "one"]):
        run(*wrong, status=2)
    assert "usage:" in run("--help") and run("--version").startswith("bench-condlora ")


main()
