"""Files of models and adapters against the real safetensors, Transformers and PEFT.

    python files_roundtrip.py PATH/TO/files-probe

Exit status 0 when all agree; each disagreement is a line.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from transformers import (AutoModelForSequenceClassification, BertConfig, BertForMaskedLM,
                          BertForSequenceClassification, RobertaConfig, RobertaForMaskedLM,
                          RobertaForSequenceClassification)

PROBE = pathlib.Path(sys.argv[1]).resolve()
FAILURES = []


def check(agrees, what):
    if not agrees:
        FAILURES.append(what)
        print(f"differs: {what}")


def probe(*arguments):
    """Output of a run that must succeed, or None and a complaint."""
    done = subprocess.run([PROBE, *map(str, arguments)], capture_output=True, text=True)
    check(done.returncode == 0, f"{arguments}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def refused(*arguments):
    """True when the probe says no in one line; anything else but yes is a failure."""
    done = subprocess.run([PROBE, *map(str, arguments)], capture_output=True, text=True)
    check(done.returncode in (0, 1), f"{arguments}: exit {done.returncode}")
    if done.returncode == 1:
        check(done.stderr.count("\n") == 1, f"{arguments}: not one line: {done.stderr!r}")
    return done.returncode != 0


def values(folder):
    """Each floating-point type, as float32, bit for bit what PyTorch makes of it; and copies that it can read."""
    torch.manual_seed(1)
    halves = torch.arange(65536, dtype=torch.int32).to(torch.int16)
    tensors = {
        "f16": halves.view(torch.float16), "bf16": halves.clone().view(torch.bfloat16),
        "f32": torch.randn(7, 5, 3), "f64": torch.randn(1000, dtype=torch.float64) * 1e3, "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3), "i64": torch.arange(5), "bool": torch.tensor([True, False]), "u8": torch.arange(3).byte(),
        'name "é" \\ \t': torch.ones(2),
    }
    path, copy, raw = folder / "values.safetensors", folder / "copy.safetensors", folder / "raw"
    save_file(tensors, path)
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            check(refused("values", path, name, raw), f"{name} is read as floats")
            continue
        probe("values", path, name, raw)
        read, wanted = np.fromfile(raw, np.float32), tensor.float().numpy().ravel()
        same = (read.view(np.uint32) == wanted.view(np.uint32)) | (np.isnan(read) & np.isnan(wanted))
        check(read.size == wanted.size and same.all(), f"values of {name}")
    probe("copy", path, copy)
    again = load_file(copy)
    check(set(again) == set(tensors), "names of the copy")
    for name, tensor in tensors.items():
        check(again[name].dtype == tensor.dtype and again[name].shape == tensor.shape, f"type and shape of {name} in the copy")
        check(again[name].numpy(force=True).tobytes() == tensor.numpy().tobytes() if tensor.dtype != torch.bfloat16 else
              torch.equal(again[name].view(torch.int16), tensor.view(torch.int16)), f"bytes of {name} in the copy")
    with safe_open(copy, "np") as file:
        check(file.metadata() == {"format": "pt"}, "metadata of the copy")


def broken(folder):
    """What the real library refuses, we refuse too. (We are stricter: names twice, entries with further keys.)"""
    path, changed = folder / "small.safetensors", folder / "changed.safetensors"
    save_file({"a": torch.arange(4).float(), "bc": torch.zeros(2, 3), "d": torch.ones(1).half()}, path)
    content = path.read_bytes()
    random = np.random.default_rng(3)
    refusals = accepted = 0
    for _ in range(400):
        bytes_ = bytearray(content)
        kind = random.random()
        if kind < 0.2:
            bytes_ = bytes_[:random.integers(len(bytes_))]
        elif kind < 0.3:
            bytes_ = bytes_.replace(b'"bc"', bytes([34, *random.choice(list(b"efxyzFXYZ0189_- "), 2), 34]))
        else:
            bytes_[random.integers(len(content) - 42)] = random.choice(list(b'0123456789{}[],:"FUI \x00\xff\x01'))
        changed.write_bytes(bytes_)
        try:
            with safe_open(changed, "np") as file:
                theirs = {name: file.get_slice(name).get_shape() for name in file.keys()}
        except SafetensorError:
            theirs = None
        ours = not refused("copy", changed, folder / "out.safetensors")
        if theirs is None:
            check(not ours, f"we open what safetensors refuses: {bytes(bytes_)!r}")
            refusals += 1
        elif ours:
            again = {name: list(tensor.shape) for name, tensor in load_file(folder / "out.safetensors").items()}
            check(again == theirs, f"shapes of {bytes(bytes_)!r}")
            accepted += 1
    check(refusals > 50 and accepted > 20, f"too few cases: {refusals} refused, {accepted} opened by both")


SIZES = dict(vocab_size=50, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20,
             max_position_embeddings=32)


def models(folder):
    """Folders that Transformers saves, with and without a head, whole and in shards."""
    for config_class, classes in ((BertConfig, (BertForSequenceClassification, BertForMaskedLM)),
                                  (RobertaConfig, (RobertaForSequenceClassification, RobertaForMaskedLM))):
        for model_class in classes:
            model = model_class(config_class(**SIZES, num_labels=3))
            whole, shards, bare = (folder / f"{model_class.__name__}-{kind}" for kind in ("whole", "shards", "bare"))
            model.save_pretrained(whole)
            model.save_pretrained(shards, max_shard_size="4KB")
            model.base_model.save_pretrained(bare)
            check((shards / "model.safetensors.index.json").exists(), f"{shards} has no shards")
            seen = [json.loads(probe("model", path) or "{}") for path in (whole, shards, bare)]
            check(len({one.get("fingerprint") for one in seen}) == 1, f"fingerprints of {model_class.__name__}: {seen}")
            labels = 3 if model_class in (BertForSequenceClassification, RobertaForSequenceClassification) else 0
            check([one.get("labels") for one in seen] == [labels, labels, 0], f"labels of {model_class.__name__}: {seen}")
            probe("config", whole, whole / "config.json.new")
            (whole / "config.json.new").replace(whole / "config.json")
            config = config_class.from_pretrained(whole)
            check(config.id2label == {0: "no", 1: "yes"} and config.label2id == {"no": 0, "yes": 1}, "labels in config.json")
            check(config.architectures == [f"{config.model_type.capitalize()}ForSequenceClassification"], "architectures")
            check(config.layer_norm_eps == model.config.layer_norm_eps and config.hidden_size == 12, "kept settings")


def adapters(folder):
    """PEFT's folder, read and written by us, gives the same logits through PEFT."""
    torch.manual_seed(5)
    ids = torch.randint(3, 50, (2, 9))
    for model_class, config_class, targets in (
            (BertForSequenceClassification, BertConfig, ["query", "value"]),
            (RobertaForSequenceClassification, RobertaConfig, ["query", "value", "output.dense"]),
            (BertForSequenceClassification, BertConfig, r".*layer\.1\..*(key|intermediate\.dense)")):
        base, ours, theirs = (folder / name for name in ("base", "ours", "theirs"))
        model_class(config_class(**SIZES, num_labels=3)).save_pretrained(base)
        model = get_peft_model(AutoModelForSequenceClassification.from_pretrained(base),
                               LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=6, lora_dropout=0.1, target_modules=targets))
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.5)
        model.save_pretrained(theirs)
        probe("adapter", theirs, ours)
        again = PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained(base), ours).eval()
        config, wanted = again.peft_config["default"], model.peft_config["default"]
        for key in ("r", "lora_alpha", "lora_dropout", "target_modules", "bias", "task_type", "peft_type"):
            check(getattr(config, key) == getattr(wanted, key), f"{key} of an adapter: {getattr(config, key)}")
        check(set(config.modules_to_save) == {"classifier", "score"}, "modules_to_save")
        with torch.no_grad():
            check(torch.equal(model.eval()(ids).logits, again(ids).logits), f"logits of {model_class.__name__} with {targets}")
        stored, written = load_file(theirs / "adapter_model.safetensors"), load_file(ours / "adapter_model.safetensors")
        check(stored.keys() == written.keys() and all(torch.equal(stored[name], written[name]) for name in stored), "tensors")


def main():
    for part in (values, broken, models, adapters):
        with tempfile.TemporaryDirectory() as folder:
            part(pathlib.Path(folder))
        print(f"{part.__name__}: done")
    return len(FAILURES) > 0


if __name__ == "__main__":
    sys.exit(main())
