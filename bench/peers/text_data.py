"""GLUE's TSV files and a user's own: tabs separate, quotes mean nothing, fields are not trimmed."""

import dataclasses
import pathlib

# task: text columns, label column, labels in order (None: a number), metric that picks the best epoch
TASKS = {
    "CoLA": (["sentence"], "label", ["0", "1"], "mcc"),
    "SST-2": (["sentence"], "label", ["0", "1"], "accuracy"),
    "MRPC": (["#1 String", "#2 String"], "Quality", ["0", "1"], "accuracy"),
    "QQP": (["question1", "question2"], "is_duplicate", ["0", "1"], "accuracy"),
    "STS-B": (["sentence1", "sentence2"], "score", None, "pearson"),
    "MNLI": (["sentence1", "sentence2"], "gold_label", ["entailment", "neutral", "contradiction"], "accuracy"),
    "QNLI": (["question", "sentence"], "label", ["entailment", "not_entailment"], "accuracy"),
    "RTE": (["sentence1", "sentence2"], "label", ["entailment", "not_entailment"], "accuracy"),
    "WNLI": (["sentence1", "sentence2"], "label", ["0", "1"], "accuracy"),
}
COLA_COLUMNS = ["source", "label", "mark", "sentence"]  # its train and dev files have no header
NUMERIC = "regression"


@dataclasses.dataclass
class Examples:
    texts: list  # one tuple of one or two sentences an example
    targets: list  # a label's index, or a number

    def __len__(self):
        return len(self.texts)


@dataclasses.dataclass
class Task:
    name: str
    train: Examples
    dev: Examples
    labels: list | None  # None: regression
    metric: str


def read_rows(path, columns=None):
    """A list of {column: field}. A row that is too short lacks its last columns."""
    lines = pathlib.Path(path).read_bytes().decode("utf-8-sig").split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    if lines and lines[-1] == "":
        lines.pop()
    header = columns or lines.pop(0).split("\t")
    return [dict(zip(header, line.split("\t"))) for line in lines]


def read_glue(task, folder):
    text_columns, label_column, labels, metric = TASKS[task]
    folder = pathlib.Path(folder) / task
    columns = COLA_COLUMNS if task == "CoLA" else None
    dev_files = ["dev_matched.tsv", "dev_mismatched.tsv"] if task == "MNLI" else ["dev.tsv"]
    used = [*text_columns, label_column]

    def read(files):
        rows = [row for file in files for row in read_rows(folder / file, columns)]
        whole = [row for row in rows if all(row.get(column) for column in used)]
        return examples(whole, text_columns, label_column, labels)

    return Task(task, read(["train.tsv"]), read(dev_files), labels, metric)


def read_own(train, dev, text_columns, label_column, labels=None):
    """Own TSV files. `labels`: a list, NUMERIC, or None: the sorted labels of the train file."""
    train_rows, dev_rows = read_rows(train), read_rows(dev)
    if labels is None:
        labels = sorted({row[label_column] for row in train_rows})
    order = None if labels == NUMERIC else labels
    metric = "pearson" if order is None else "accuracy"
    parts = [examples(rows, text_columns, label_column, order) for rows in (train_rows, dev_rows)]
    return Task("own", *parts, order, metric)


def examples(rows, text_columns, label_column, labels):
    texts = [tuple(row[column] for column in text_columns) for row in rows]
    if labels is None:
        return Examples(texts, [float(row[label_column]) for row in rows])
    index = {label: position for position, label in enumerate(labels)}
    return Examples(texts, [index[row[label_column]] for row in rows])
