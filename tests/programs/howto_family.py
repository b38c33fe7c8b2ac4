"""howto_family.py SOURCE: docs/add-a-model-family.md, followed to the letter; a RoBERTa under the new family's names must then
give RoBERTa's very answers."""
import json
import pathlib
import shutil
import struct
import subprocess
import sys

import howto

PAGE = "docs/add-a-model-family.md"
CASE = "tests/data/cases/roberta-lora-linear"


def renamed(source, destination):
    """A RoBERTa's folder as a folder of the new family: its tensors' prefix, its model_type, its class."""
    shutil.copytree(source, destination)
    content = (source / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    tensors = {name.replace("roberta.", "data2vec_text.", 1) if name.startswith("roberta.") else name: value
               for name, value in json.loads(content[8 : 8 + size]).items()}
    header = json.dumps(tensors).encode()
    (destination / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + content[8 + size :])
    config = json.loads((source / "config.json").read_text())
    config |= {"model_type": "data2vec-text", "architectures": ["Data2VecTextForSequenceClassification"]}
    (destination / "config.json").write_text(json.dumps(config))


def answers(condlora, model, table):
    done = subprocess.run([condlora, "predict", "--model", model, "--input", table, "--text-columns", "sentence1"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        howto.fail(PAGE, f"predict --model {model}: {done.stderr.strip()}")
    return done.stdout


def main(source):
    howto.need("meson", "ninja", "cc")
    with howto.Scratch() as folder:
        root = folder / "tree"
        howto.copy_tree(source, root)
        howto.follow(source, PAGE, root)
        renamed(root / CASE / "model", folder / "model")
        texts = root / CASE / "train.tsv"
        usual = answers(root / "build/condlora", root / CASE / "model", texts)
        new = answers(root / "build/condlora", folder / "model", texts)
    if len(usual.splitlines()) < 20 or usual != new:
        howto.fail(PAGE, "the new family's answers are not RoBERTa's, whose weights it has")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
