"""Cards of runs, read by huggingface_hub's own parser: metadata, results, and where the base is named.

    python model_cards.py PATH/TO/condlora

Exit status 0 when all is as it must be; each thing that is not is a line.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from huggingface_hub import ModelCard

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
CASES = pathlib.Path(__file__).resolve().parent.parent / "data" / "cases"
CASE = CASES / "bert-condlora-paper"
# Names of the library `evaluate`, which the hub uses.
TYPES = {"accuracy": "accuracy", "f1": "f1", "macro_f1": "f1", "micro_f1": "f1", "mcc": "matthews_correlation", "hamming_loss": "hamming_loss",
         "pearson": "pearsonr", "spearman": "spearmanr", "mae": "mae", "rmse": "rmse", "r2": "r_squared", "loss": "loss"}
failures = []


def check(holds, text):
    if not holds:
        failures.append(text)
        print(text)


def train(output, *more, model=CASE / "model", train=CASE / "train.tsv"):
    words = ("train", "--model", model, "--train", train, "--text-columns", "sentence1", "--label-column", "label", "--batch-size", 4, "--max-steps", 12,
             "--eval-every", 4, "--threads", 1, "--output", output, *more)
    done = subprocess.run([str(word) for word in (PROGRAM, *words)], capture_output=True, text=True)
    check(done.returncode == 0, f"{more}: {done.stderr}")
    return output


def card_of(folder):
    card = ModelCard.load(folder / "README.md")
    check("---" not in card.text.split("\n")[:1], f"{folder}: the head is not read as one")
    return card


def check_scores(card, run, split, what):
    """Each score of metrics.json once, as the hub's index of results has it."""
    measured = json.loads((run / "metrics.json").read_text())[split]
    wanted = sorted((TYPES[name], value) for name, value in measured.items() if name in TYPES and value is not None)
    given = sorted((result.metric_type, result.metric_value) for result in card.data.eval_results)
    check(given == wanted, f"{what}: the card has {given}, metrics.json {wanted}")
    check(all(result.task_type == "text-classification" for result in card.data.eval_results), f"{what}: task")
    check(sorted(card.data.metrics) == sorted({kind for kind, _ in wanted} - {"loss"}), f"{what}: metrics {card.data.metrics}")


def check_methods(folder):
    for method, library, kept in (("condlora", "condlora", "adapter"), ("lora", "peft", "adapter"), ("none", "condlora", "adapter"), ("full", "transformers", "model")):
        run = train(folder / method, "--method", method)
        card = card_of(run / kept)
        check((card.data.library_name, card.data.pipeline_tag) == (library, "text-classification"), f"{method}: {card.data}")
        check(card.data.base_model is None, f"{method}: a folder's path is named as base: {card.data.base_model}")
        check(str(CASES) not in card.content, f"{method}: the card has a path of this machine")
        check_scores(card, run, "valid", method)
        result = card.data.eval_results[0]
        check((result.dataset_type, result.dataset_name, result.dataset_split) == ("csv", "train.tsv, held out of train", "train"), f"{method}: {result}")
        if method == "lora":
            again = train(folder / "again", "--method", method)
            check((again / kept / "README.md").read_bytes() == (run / kept / "README.md").read_bytes(), "a repeated run has another card")


def check_dev(folder):
    odd = folder / 'a "b": [c]\n#.tsv'  # a name that YAML and Markdown would read as more than a text
    shutil.copy(CASE / "train.tsv", odd)
    run = train(folder / "dev", "--dev", odd)
    card = card_of(run / "adapter")
    check_scores(card, run, "dev", "dev")
    check(card.data.eval_results[0].dataset_name == odd.name, f"dev: {card.data.eval_results[0].dataset_name!r}")
    check(card.data.eval_results[0].dataset_split == "validation", "dev: split")
    regression = train(folder / "regression", "--regression", train=numbers(folder))
    check_scores(card_of(regression / "adapter"), regression, "valid", "regression")


def numbers(folder):
    """The examples with a number for a label."""
    lines = (CASE / "train.tsv").read_text(encoding="utf-8").splitlines()
    columns = lines[0].split("\t")
    place = columns.index("label")
    rows = [line.split("\t") for line in lines[1:]]
    for i, row in enumerate(rows):
        row[place] = str(i % 7 / 2)
    path = folder / "numbers.tsv"
    path.write_text("\n".join("\t".join(row) for row in [columns, *rows]) + "\n", encoding="utf-8")
    return path


def check_base(folder):
    """A snapshot in Hugging Face's cache has a name, and its own card a licence."""
    snapshot = folder / "hub" / "models--some-owner--tiny.bert_1" / "snapshots" / "0123abcd"
    shutil.copytree(CASE / "model", snapshot)
    for head, license in (("---\nlicense: apache-2.0\ntags:\n- x\n---\nText\n", "apache-2.0"), ("---\ntags: [x]\nlicense: \"mit\"\n---\n", "mit"),
                          ("no head\nlicense: gpl\n", None), ("---\ntags: [x]\n---\nlicense: gpl\n", None), ("---\nlicense: a: b\n---\n", None)):
        (snapshot / "README.md").write_text(head)
        run = train(folder / f"licence-{len(list(folder.iterdir()))}", "--method", "lora", model=snapshot)
        card = card_of(run / "adapter")
        check(card.data.license == license, f"licence {card.data.license!r} from {head!r}")
        check(card.data.base_model == "some-owner/tiny.bert_1", f"base {card.data.base_model}")
        check("base_model:adapter:some-owner/tiny.bert_1" in card.data.tags, f"tags {card.data.tags}")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        check_methods(folder)
        check_dev(folder)
        check_base(folder)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
