"""Golden cases of tests/data/cases: tiny models with an adapter, and PyTorch's numbers for them."""
import csv
import json
import os
import pathlib
import struct
import tempfile
import unittest

import numpy as np

os.environ["HF_HUB_OFFLINE"] = "1"  # names that no folder has are asked for in the cache alone
SOURCE = pathlib.Path(os.environ.get("CDL_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
CASES = SOURCE / "tests" / "data" / "cases"


def tensors(path):
    """The floating-point tensors of a safetensors file."""
    content = pathlib.Path(path).read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    types = {"F32": np.float32, "F64": np.float64}
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*t["data_offsets"])], types[t["dtype"]]).reshape(t["shape"])
        for name, t in header.items()
        if t["dtype"] in types
    }


class Case:
    def __init__(self, name):
        self.folder = CASES / name
        self.model, self.adapter = self.folder / "model", self.folder / "adapter"
        self.settings = json.loads((self.folder / "case.json").read_text())
        self.expected = tensors(self.folder / "expected.safetensors")
        self.columns = self.settings["text_columns"]
        with open(self.folder / "train.tsv", newline="") as file:
            self.rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        self.texts = [[row[column] for row in self.rows] for column in self.columns]
        self.labels = [row[self.settings["label_column"]] for row in self.rows]

    def train_settings(self):
        """The settings with which the case was trained, for condlora.train."""
        s = self.settings
        names = ["method", "rank", "alpha", "targets", "labels", "max_length", "dropout", "batch_size", "epochs", "lr", "schedule",
                 "warmup_ratio"]
        return {"model": self.model, "text": self.columns, "label": s["label_column"], "dev_fraction": 0, "eval_every": 0,
                "keep": "last", "backend": "cpu", "threads": 1, **{name: s[name] for name in names}}


class InFolder(unittest.TestCase):
    """Tests that write: each has a folder of its own, which is the working directory."""

    def setUp(self):
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self._temporary.name)
        self._before = os.getcwd()
        os.chdir(self.folder)

    def tearDown(self):
        os.chdir(self._before)
        self._temporary.cleanup()


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()}
