"""Files of other programs read, and files for them written, against the real PyTorch, Transformers and PEFT.

    python foreign_files.py PATH/TO/condlora

Models and adapters are the golden cases of tests/parity. Exit status 0 when all agree; each disagreement is a line.
"""
import collections
import csv
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
PARITY = pathlib.Path(__file__).resolve().parent.parent / "parity"
CASES = PARITY.parent / "data" / "cases"
sys.path.insert(0, str(PARITY))
import torch_model  # noqa: E402

EXAMPLES, LONGEST = 6, 48
FAILURES = []


def check(agrees, what):
    if not agrees:
        FAILURES.append(what)
        print(f"differs: {what}")


def run(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)


def must(*arguments):
    done = run(*arguments)
    check(done.returncode == 0, f"{arguments[0]}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def refused(what, words, *arguments):
    done = run(*arguments)
    check(done.returncode == 1 and done.stderr.count("\n") == 1 and words in done.stderr,
          f"{what}: exit {done.returncode}: {done.stderr.strip()}")


class Texts:
    """The first examples of a case, for the program and for PyTorch."""

    def __init__(self, case, folder):
        rows = list(csv.DictReader((CASES / case / "train.tsv").open(encoding="utf-8"), delimiter="\t", quoting=csv.QUOTE_NONE))
        self.columns = [name for name in rows[0] if name.startswith("sentence")]
        self.rows = [[row[name] for name in self.columns] for row in rows if row[self.columns[0]].strip()][:EXAMPLES]
        self.file = folder / "texts.tsv"
        self.file.write_text("".join("\t".join(row) + "\n" for row in [self.columns, *self.rows]), encoding="utf-8")

    def by_program(self, model, adapter=None):
        lines = must("predict", "--backend", "cpu", "--model", model, *(["--adapter", adapter] if adapter else []), "--input", self.file,
                     "--text-columns", ",".join(self.columns), "--max-length", LONGEST)
        return torch.tensor([json.loads(line)["logits"] for line in lines.splitlines()], dtype=torch.double)

    def by_torch(self, model, folder):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        inputs = tokenizer(*map(list, zip(*self.rows)), truncation=True, max_length=LONGEST, padding=True, return_tensors="pt",
                           return_token_type_ids=True)
        if model.config.model_type in ("distilbert", "mpnet"):
            del inputs["token_type_ids"]
        with torch.no_grad():
            outputs = model.double().eval()(**inputs)
        return outputs if torch.is_tensor(outputs) else outputs.logits


def close(read, wanted, limit=1e-5):
    return read.shape == wanted.shape and float((read - wanted).abs().max()) <= limit * max(1.0, float(wanted.abs().max()))


def outputs_of(case):
    expected = load_file(CASES / case / "expected.safetensors")
    return expected["logits"].shape[-1]


def bases(folder):
    """pytorch_model.bin, whole and in shards, is the same model as model.safetensors."""
    for case in ("bert-full", "roberta-full", "distilbert-full", "mpnet-full"):
        texts, model = Texts(case, folder), CASES / case / "model"
        wanted = texts.by_program(model)
        loaded = AutoModelForSequenceClassification.from_pretrained(model)
        for kind, size in (("whole", "1GB"), ("shards", "20KB")):
            other = folder / f"{case}-{kind}"
            shutil.copytree(model, other, ignore=shutil.ignore_patterns("*.safetensors*"))
            loaded.save_pretrained(other, safe_serialization=False, max_shard_size=size)
            check((other / "pytorch_model.bin").exists() == (kind == "whole"), f"{other}: what Transformers saved")
            check(torch.equal(texts.by_program(other), wanted), f"logits of {case} from {kind} .bin")
        # Tensors that are not in row-major order, share a storage or begin inside one; a parameter.
        state = torch.load(other.with_name(f"{case}-whole") / "pytorch_model.bin")
        for name, tensor in list(state.items()):
            if tensor.dim() == 2:
                state[name] = tensor.t().contiguous().t()
            elif tensor.dim() == 1:
                state[name] = torch.nn.Parameter(torch.cat([torch.zeros(3), tensor, torch.ones(2)])[3:-2])
        torch.save(state, other.with_name(f"{case}-whole") / "pytorch_model.bin")
        check(torch.equal(texts.by_program(other.with_name(f"{case}-whole")), wanted), f"logits of {case} from strided tensors")
        path = other.with_name(f"{case}-whole") / "pytorch_model.bin"
        dressed = collections.OrderedDict(state)
        dressed.notes = {1: 2.5, (1, "x"): [None, "two\nlines", {"y": True}], "tensor": torch.ones(3)}
        for number, name in enumerate(dressed):
            if number % 3 == 0:
                dressed[name] = torch.nn.Parameter(dressed[name].detach(), requires_grad=number % 2 == 0)
            if number % 2 == 0:
                dressed[name].note, dressed[name].sizes = "kept", torch.Size([2, 3])
        for kind, saved in (("plain", state), ("with attributes", dressed), ("a module's own", loaded.state_dict())):
            for zipped in (True, False):
                for protocol in (2, 3):
                    if protocol == 3 and not zipped:
                        continue  # the format from before 1.6 begins with its protocol
                    torch.save(saved, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
                    check(torch.equal(texts.by_program(path.parent), wanted), f"logits of {case}, {kind}, zip {zipped}, protocol {protocol}")
        torch.save(loaded, path)
        refused("a whole module", "imported", "inspect", path.parent)
        torch.save({"model": state}, path)
        refused("a dictionary of dictionaries", "no tensor", "inspect", path.parent)


def reference_adapters(folder):
    """What the paper's own code saves: shared layers under flat names, pickled."""
    for case in ("roberta-condlora-reference", "roberta-condlora-type1", "bert-condlora-type2", "electra-condlora-reference"):
        model, ours, theirs = CASES / case / "model", CASES / case / "adapter", folder / case
        theirs.mkdir()
        config, tensors = json.loads((ours / "adapter_config.json").read_text()), {}
        use_x = config.get("use_x", "none")
        for name, tensor in load_file(ours / "adapter_model.safetensors").items():
            parts = name.removeprefix("base_model.model.").split(".")
            if parts[-2] == "condlora_x":
                tensors["linear_for_lora_x"] = tensor
            elif parts[-2].startswith("condlora_"):
                tensors[f"{parts[-3]}.linear_for_lora_{parts[-2][-1]}"] = tensor
            else:
                tensors[name] = tensor
        torch.save(tensors, theirs / "adapter_model.bin")
        (theirs / "adapter_config.json").write_text(json.dumps({
            "auto_mapping": None, "base_model_name_or_path": "roberta-base", "bias": "none", "fan_in_fan_out": False,
            "inference_mode": True, "init_lora_weights": True, "layers_pattern": None, "layers_to_transform": None,
            "lora_alpha": config["lora_alpha"], "lora_dropout": 0.0, "modules_to_save": ["classifier", "score"],
            "lora_x_scaling": 0.0 if use_x == "none" else config.get("lora_x_scaling", 0.5), "peft_type": "ConditionalLORA",
            "r": config["r"], "revision": None, "target_modules": config["target_modules"], "task_type": "SEQ_CLS", "use_x": use_x,
        }))
        texts = Texts(case, folder)
        tuned = torch_model.read_adapter(model, ours, outputs_of(case), attention="eager")
        tuned.config = tuned.model.config
        read = texts.by_program(model, theirs)
        check(torch.equal(read, texts.by_program(model, ours)), f"{case}: the paper's files are another adapter than ours")
        check(close(read, texts.by_torch(tuned, model)), f"{case}: logits of the paper's files")


def adapter_cases():
    for folder in sorted(CASES.iterdir()):
        if (folder / "adapter" / "adapter_config.json").exists():
            yield folder.name, json.loads((folder / "adapter" / "adapter_config.json").read_text())


def exports(folder):
    """Every adapter as LoRA, which stock PEFT reads."""
    exported = set()
    for case, config in adapter_cases():
        model, adapter, out = CASES / case / "model", CASES / case / "adapter", folder / f"{case}-peft"
        arguments = ("export", "--backend", "cpu", "--model", model, "--adapter", adapter, "--output", out)
        if config["peft_type"] in ("BITFIT", "NONE"):
            refused(case, "no A and B", *arguments)
        elif config.get("use_x") == "type2":
            refused(case, "type2", *arguments)
        elif config.get("init_lora_weights") in ("pissa", "olora"):
            refused(case, "init_lora_weights", *arguments)
        else:
            must(*arguments)
            texts = Texts(case, folder)
            base, _ = torch_model.read_base(model, outputs_of(case), attention="eager")
            read = texts.by_torch(PeftModel.from_pretrained(base, out), model)
            tuned = torch_model.read_adapter(model, adapter, outputs_of(case), attention="eager")
            tuned.config = tuned.model.config
            check(close(read, texts.by_torch(tuned, model)), f"{case}: logits of the export through PEFT")
            check(close(texts.by_program(model, out), read), f"{case}: our own logits of the export")
            exported.add(config["peft_type"])
            continue
        check(not out.exists() and not list(folder.glob("*.tmp-*")), f"{case}: something is left behind")
    check(exported == {"LORA", "CONDLORA", "ADALORA", "CONDADALORA", "VERA", "LORA_XS", "SHARED"}, f"exported types: {exported}")
    refused("an output that exists", "exists already", *arguments[:-1], folder)


def merges(folder):
    """Every adapter and its base as one model, in the base's types, which Transformers reads."""
    for case, config in adapter_cases():
        model, adapter, out = CASES / case / "model", CASES / case / "adapter", folder / f"{case}-merged"
        arguments = ("merge", "--backend", "cpu", "--model", model, "--adapter", adapter, "--output", out)
        if config.get("use_x") == "type2":
            refused(case, "type2", *arguments)
            check(not out.exists() and not list(folder.glob("*.tmp-*")), f"{case}: something is left behind")
            continue
        printed = must(*arguments)
        stored, base = load_file(out / "model.safetensors"), {}
        for path in model.glob("model*.safetensors"):
            base |= load_file(path)
        narrow = next(iter(base.values())).dtype != torch.float32
        texts = Texts(case, folder)
        tuned = torch_model.read_adapter(model, adapter, outputs_of(case), attention="eager")
        tuned.config = tuned.model.config
        wanted = texts.by_torch(tuned, model)
        merged = AutoModelForSequenceClassification.from_pretrained(out, attn_implementation="eager")
        # In 16 bits every merged weight is rounded: the program's own figure says what that may do.
        change = float(printed.split(" is ")[1].split(",")[0])
        limit = 4 * change if narrow else 1e-5
        check(narrow or change < 1e-4, f"{case}: {printed}")
        check(close(texts.by_torch(merged, out), wanted, limit), f"{case}: logits of the merged model: {printed}")
        check(close(texts.by_program(out), wanted, limit), f"{case}: our own logits of the merged model")
        for name, tensor in base.items():
            names = [name, f"{merged.base_model_prefix}.{name}"]
            names = [n.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias") for n in names]
            again = next((stored[n] for n in names if n in stored), None)
            if again is not None:
                check(again.dtype == tensor.dtype, f"{case}: {name} is {again.dtype}")
                changed = ("weight" in name and ("layer" in name or "pooler" in name or "project" in name)) or "classifier" in name
                check(changed or config["bias"] != "none" or config["peft_type"] == "BITFIT" or "pooler" in name or torch.equal(again, tensor),
                      f"{case}: {name} has other values than the base")


def main():
    for part in (bases, reference_adapters, exports, merges):
        with tempfile.TemporaryDirectory() as folder:
            part(pathlib.Path(folder))
        print(f"{part.__name__}: done")
    return len(FAILURES) > 0


if __name__ == "__main__":
    sys.exit(main())
