"""The spot check of a verdict, bench/peers/verdict_spot_check.py, on a small one that the program makes here.

    python verdict_spot.py PATH/TO/condlora

The task can be learned, so both sides must come near to all of dev. Exit status 0 when they do.
"""
import pathlib
import random
import re
import subprocess
import sys
import tempfile

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODEL = ROOT / "tests" / "data" / "cases" / "bert-condlora-paper" / "model"
WORDS = "the old cold kettle river not sings under lamp green slow warm owl bread stone".split()
LEAST = 0.9


def write_glue(folder):
    """RTE with one word that tells the label."""
    rng = random.Random(3)
    (folder / "RTE").mkdir(parents=True)
    for name, count in (("train", 160), ("dev", 40)):
        lines = ["index\tsentence1\tsentence2\tlabel"]
        for index in range(count):
            first, second = (" ".join(rng.choices(WORDS, k=5)) for _ in range(2))
            label = rng.choice(["entailment", "not_entailment"])
            lines.append(f"{index}\t{first}\t{'lamp lamp' if label == 'entailment' else 'owl owl'} {second}\t{label}")
        (folder / "RTE" / f"{name}.tsv").write_text("".join(line + "\n" for line in lines))


def main():
    with tempfile.TemporaryDirectory() as scratch:
        data, out = pathlib.Path(scratch) / "glue", pathlib.Path(scratch) / "out"
        write_glue(data)
        subprocess.run([PROGRAM, "reproduce", "verdict", "--model", MODEL, "--data", data, "--output", out, "--tasks", "RTE", "--methods",
                        "lora,condlora", "--epochs", "8", "--rates", "5e-3:2e-2:2", "--seeds", "2", "--setting", "max_length=32", "--setting",
                        "dropout=0"], check=True, capture_output=True)
        for method in ("lora", "condlora"):
            record = sorted((out / "records").glob(f"RTE-{method}-report-*.json"))[0]
            printed = subprocess.run([sys.executable, "-B", ROOT / "bench" / "peers" / "verdict_spot_check.py", "--record", record, "--model",
                                      MODEL, "--data", data, "--seeds", "0,1", "--threads", "1"],
                                     check=True, capture_output=True, text=True).stdout
            ours, theirs = (re.search(rf"^{side} +([0-9.]+) ± [0-9.]+ \([0-9.]+, [0-9.]+\)$", printed, re.MULTILINE)
                            for side in ("condlora", "PyTorch"))
            if not (ours and theirs and float(ours[1]) >= LEAST and float(theirs[1]) >= LEAST):
                print(f"differs: {method}: expected at least {LEAST} on both sides:\n{printed}")
                return 1
        search = next((out / "records").glob("RTE-lora-search-*.json"))
        refused = subprocess.run([sys.executable, "-B", ROOT / "bench" / "peers" / "verdict_spot_check.py", "--record", search, "--model", MODEL,
                                  "--data", data], capture_output=True, text=True)
        if refused.returncode != 1 or "finished run" not in refused.stderr:
            print(f"differs: a record of the search: exit {refused.returncode}: {refused.stderr}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
