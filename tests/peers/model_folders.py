"""Model folders of every kind, against the real Transformers: what config.json and the tensors' files may say.

    python model_folders.py PATH/TO/condlora

Models are small and random, with the tokenizers of the golden cases of tests/parity. Exit status 0 when all agree; each
disagreement is a line.
"""
import json
import pathlib
import shutil
import sys
import tempfile
import warnings

import numpy
import onnxruntime
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from foreign_files import CASES, FAILURES, check, close, must, run

transformers.logging.set_verbosity_error()
warnings.filterwarnings("ignore", module="peft")
TOKENIZERS = {"bert": "bert-full", "distilbert": "distilbert-full", "electra": "electra-full", "roberta": "roberta-full",
              "xlm-roberta": "xlm-roberta-condlora-regression", "mpnet": "mpnet-full"}
AFTER_PADDING = ("roberta", "xlm-roberta")


def new_model(family, folder, seed=1, **settings):
    """A random model of a family as its Transformers folder, with the tokenizer of a golden case; the loaded model."""
    base = CASES / TOKENIZERS[family] / "model"
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    config = AutoConfig.from_pretrained(base, **settings)
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    return model.eval()


def change_json(path, without=(), **settings):
    content = json.loads(path.read_text())
    content.update(settings)
    path.write_text(json.dumps({key: value for key, value in content.items() if key not in without}))


def texts_for(folder):
    """Pairs with the tokenizer's padding token within, at the start and at the end."""
    pad = AutoTokenizer.from_pretrained(folder).pad_token
    return [("the old river", "is cold"), (f"the {pad} old river {pad} {pad} is", "not here"), (f"{pad} the kettle", f"sings {pad}"),
            (f"{pad}", f"{pad}{pad}")]


def by_program(folder, texts):
    rows = folder.parent / "texts.jsonl"
    rows.write_text("".join(json.dumps({"a": first, "b": second}) + "\n" for first, second in texts))
    lines = must("predict", "--backend", "cpu", "--model", folder, "--input", rows, "--text-columns", "a,b").splitlines()
    return [json.loads(line) for line in lines]


def logits_of(answers):
    return torch.tensor([answer["logits"] for answer in answers], dtype=torch.double)


def by_torch(model, folder, texts):
    tokenizer, rows = AutoTokenizer.from_pretrained(folder), []
    for first, second in texts:
        inputs = tokenizer(first, second, return_tensors="pt")
        with torch.no_grad():
            outputs = model(**inputs)
        rows.append((outputs if torch.is_tensor(outputs) else outputs.logits)[0].double())
    return torch.stack(rows)


def compare(what, folder, model=None):
    """The program's logits beside Transformers' own of the same folder."""
    if model is None:
        model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    texts = texts_for(folder)
    answers = by_program(folder, texts)
    check(bool(answers) and close(logits_of(answers), by_torch(model, folder, texts)), f"{what}: logits")
    return answers


# ---- config.json ----


def labels(folder):
    """As many as id2label has, whatever num_labels says, named as str() names them."""
    for number, change in enumerate(({"id2label": {"0": True, "1": False}}, {"id2label": {"0": None, "1": None}}, {"id2label": {"0": 1.5, "1": 1e20}},
                                     {"id2label": {"0": "a", "2": "b"}}, {"id2label": {"1": "a", "0": 7, "01": "b"}},
                                     {"id2label": {"0": "a", "1": "b"}, "num_labels": 3}, {"id2label": {"-1": "a", " 1 ": "b"}},
                                     {"id2label": None, "num_labels": 2})):
        model = folder / str(number)
        new_model("bert", model, num_labels=2)
        change_json(model / "config.json", without=("label2id",), **change)
        answers, config = compare(f"labels {change}", model), AutoConfig.from_pretrained(model)
        for answer in answers:
            index = max(range(2), key=answer["logits"].__getitem__)
            wanted = str(config.id2label.get(index, f"LABEL_{index}")) if change["id2label"] else str(index)
            check(answer["prediction"] == wanted, f"labels {change}: {answer['prediction']}, expected {wanted}")
        must("export", "--format", "onnx", "--backend", "cpu", "--model", model, "--output", folder / f"{number}-onnx")
        check(AutoConfig.from_pretrained(folder / f"{number}-onnx").num_labels == 2, f"labels {change}: of the exported config.json")


def settings(folder):
    """Keys with two names, and what changes nothing."""
    for number, (family, change, without) in enumerate((
            ("distilbert", {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6, "dim": 99, "n_heads": 7}, ("n_layers",)),
            ("distilbert", {"intermediate_size": 7, "sinusoidal_pos_embds": True, "layer_norm_eps": 0.5, "hidden_act": "relu"}, ()),
            ("bert", {"hidden_act": "gelu_python_tanh", "layer_norm_eps": 0.01}, ()),
            ("electra", {"hidden_act": "silu", "summary_activation": "relu", "summary_type": "last"}, ()),
            ("roberta", {"chunk_size_feed_forward": 1, "tie_word_embeddings": False, "output_attentions": False, "use_cache": False}, ()),
            ("bert", {"is_encoder_decoder": True, "cross_attention_hidden_size": 7, "embedding_size": 9, "pruned_heads": {},
                      "label2id": {"x": 5}, "directionality": "bidi", "pooler_num_fc_layers": 3, "pooler_type": "x",
                      "sinusoidal_pos_embds": True, "gradient_checkpointing": False, "torch_dtype": "bfloat16", "is_decoder": False,
                      "task_specific_params": {"a": {}}, "num_labels": 3, "unknown_key": [1, {"a": None}]}, ()),
            ("roberta", {"bos_token_id": 9, "eos_token_id": None, "sep_token_id": 3, "classifier_dropout": 0.4, "initializer_range": 3.0}, ()),
            ("bert", {"auto_map": {"AutoModel": "remote.Model"}, "dtype": "float16", "attn_implementation": "sdpa", "finetuning_task": "x"}, ()),
            ("mpnet", {"pad_token_id": 5, "classifier_dropout": 0.4, "relative_attention_num_buckets": 40, "type_vocab_size": 3}, ()),
            ("xlm-roberta", {"model_type": "camembert", "architectures": ["CamembertForSequenceClassification"]}, ()))):
        model, base = folder / str(number), CASES / TOKENIZERS[family] / "model"
        shutil.copytree(base, model, ignore=shutil.ignore_patterns("*.safetensors"))
        change_json(model / "config.json", without=without, **change)
        torch.manual_seed(number)
        config = AutoConfig.from_pretrained(model)
        config.dtype = torch.float32
        written = (model / "config.json").read_text()
        random = AutoModelForSequenceClassification.from_config(config)
        with torch.no_grad():
            for parameter in random.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
        random.save_pretrained(model)
        (model / "config.json").write_text(written)
        compare(f"{family} with {change}", model)


# ---- Tensors ----

OTHERS = {"bert": ("BertForQuestionAnswering", "BertForTokenClassification", "BertForPreTraining", "BertForMultipleChoice"),
          "roberta": ("RobertaForTokenClassification", "RobertaForQuestionAnswering", "RobertaForCausalLM"),
          "distilbert": ("DistilBertForMultipleChoice", "DistilBertForMaskedLM"),
          "electra": ("ElectraForTokenClassification", "ElectraForMultipleChoice")}


def train(model, out, *arguments):
    rows = model.parent / "train.tsv"
    rows.write_text("a\tb\tlabel\n" + "".join(f"the old river\t{'is not'[i % 2 * 3:]} cold\t{'ab'[i % 2]}\n" for i in range(8)))
    return run("train", "--backend", "cpu", "--model", model, "--train", rows, "--text-columns", "a,b", "--label-column", "label", "--method",
               "lora", "--rank", "2", "--epochs", "1", "--dev-fraction", "0", "--eval-every", "0", "--output", out, *arguments)


def heads(folder):
    """Another task's model is a base: its own tensors are left out, a head of another size is replaced where that is asked for."""
    for family, classes in OTHERS.items():
        for name in classes:
            model, out = folder / name, folder / f"{name}-run"
            new_model(family, model, num_labels=5)
            config = AutoConfig.from_pretrained(model)
            torch.manual_seed(3)
            other = getattr(transformers, name)(config)
            other.save_pretrained(model)
            (_, report) = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2, ignore_mismatched_sizes=True,
                                                                             output_loading_info=True)
            done = train(model, out)
            if report["mismatched_keys"]:
                check(done.returncode == 1 and "--fresh-head" in done.stderr and done.stderr.count("\n") == 1, f"{name}: {done.stderr}")
                done = train(model, out, "--fresh-head")
            check(done.returncode == 0, f"{name}: {done.stderr}")
            unexpected = [key for key in report["unexpected_keys"] if not key.startswith(("cls.", "lm_head.", "vocab_", "electra.pooler"))]
            check(("left out" in done.stderr) == bool(unexpected), f"{name}: {unexpected}: {done.stderr}")
            check(all(key in done.stderr for key in unexpected[:4]), f"{name}: {unexpected}: {done.stderr}")
            if done.returncode == 0:  # the base below the adapter is Transformers' own
                base = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2, ignore_mismatched_sizes=True)
                tuned = PeftModel.from_pretrained(base, out / "adapter")
                texts = texts_for(model)
                rows = folder / "rows.jsonl"
                rows.write_text("".join(json.dumps({"a": first, "b": second}) + "\n" for first, second in texts))
                lines = must("predict", "--backend", "cpu", "--model", model, "--adapter", out / "adapter", "--input", rows, "--text-columns", "a,b")
                logits = logits_of([json.loads(line) for line in lines.splitlines()])
                check(close(logits, by_torch(tuned.eval(), model, texts)), f"{name}: logits of an adapter")
    model = folder / "regression"
    new_model("bert", model, num_labels=1)
    done = train(model, folder / "regression-run")
    check(done.returncode == 1 and "1 label, expected 2; --fresh-head" in done.stderr, f"a head of one output: {done.stderr}")
    done = train(model, folder / "regression-run", "--fresh-head")
    check(done.returncode == 0, f"a head of one output: {done.stderr}")


# ---- Padding ----


def by_onnx(folder, texts, out):
    must("export", "--format", "onnx", "--backend", "cpu", "--model", folder, "--output", out)
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    tokenizer, names = AutoTokenizer.from_pretrained(out), [value.name for value in session.get_inputs()]
    rows = []
    for pair in texts:
        inputs = tokenizer(*pair, return_tensors="np")
        rows.append(session.run(None, {name: inputs[name] for name in names})[0][0])
    (together,) = session.run(None, {name: tokenizer(*map(list, zip(*texts)), padding=True, return_tensors="np")[name] for name in names})
    check(numpy.allclose(together, rows, atol=1e-5), f"{folder.name}: a padded batch in ONNX")
    return torch.tensor(numpy.array(rows)).double()


def positions(folder):
    """A padding token inside a text, and other ids as padding: positions count over what is not padding."""
    for family in TOKENIZERS:
        for pad in (None, -1, 5) if family not in AFTER_PADDING else (-1, 0, 1, 5):
            out = folder / f"{family}-{pad}"
            model = new_model(family, out, pad_token_id=pad, type_vocab_size=2)
            compare(f"{family} with pad_token_id {pad}", out, model)
            if pad != 5:
                continue
            texts = texts_for(out)
            check(close(by_onnx(out, texts, folder / f"{family}-onnx"), by_torch(model, out, texts)), f"{family}: logits of the ONNX")


def padding_gradients(folder):
    """The rows of padding get no gradient, as nn.Embedding's padding_idx; the rest of the text's rows do."""
    for family, pad in (("bert", 0), ("bert", None), ("bert", -1), ("distilbert", 0), ("electra", 0), ("roberta", 1), ("roberta", -1),
                        ("xlm-roberta", 1), ("mpnet", 1)):
        model, run = folder / f"{family}-{pad}", folder / f"{family}-{pad}-run"
        loaded = new_model(family, model, pad_token_id=pad, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        rows = folder / "train.tsv"
        last = AutoTokenizer.from_pretrained(model).convert_ids_to_tokens(loaded.config.vocab_size - 1)
        texts = [f"{first} {last} {second}" for first, second in texts_for(model)[:3]]
        rows.write_text("text\tlabel\n" + "".join(f"{text}\t{'ab'[i % 2]}\n" for i, text in enumerate(texts)))
        must("train", "--backend", "cpu", "--model", model, "--train", rows, "--text-columns", "text", "--label-column", "label", "--method",
             "full", "--epochs", "1", "--batch-size", "3", "--dev-fraction", "0", "--eval-every", "0", "--dropout", "0", "--output", run)
        inputs = AutoTokenizer.from_pretrained(model)(texts, padding=True, return_tensors="pt")
        loaded(**inputs, labels=torch.tensor([0, 1, 0])).loss.backward()
        before, after = load_file(model / "model.safetensors"), load_file(run / "model" / "model.safetensors")
        prefix = loaded.base_model_prefix
        for table in ("word_embeddings", "position_embeddings"):
            name = f"{prefix}.embeddings.{table}.weight"
            wanted = loaded.get_parameter(name).grad.abs().sum(1) > 0
            check(torch.equal((before[name] != after[name]).any(1), wanted), f"{family} with pad_token_id {pad}: rows of {table} that change")


def main():
    for part in (labels, settings, heads, positions, padding_gradients):
        with tempfile.TemporaryDirectory() as folder:
            part(pathlib.Path(folder))
        print(f"{part.__name__}: done", flush=True)
    return len(FAILURES) > 0


if __name__ == "__main__":
    sys.exit(main())
