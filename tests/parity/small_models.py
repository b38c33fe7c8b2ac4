"""Random small encoders of every family with tiny tokenizers, and made-up sentences to run them on."""

import json
import pathlib
import random

import torch
from safetensors.torch import load_file, save_file
from sentencepiece import sentencepiece_model_pb2 as sentencepiece_model
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    BertTokenizerFast,
    DistilBertTokenizerFast,
    ElectraTokenizerFast,
    MPNetTokenizerFast,
    RobertaTokenizerFast,
    XLMRobertaTokenizerFast,
)

WEIGHT_DEVIATION = 0.2  # large enough that every tensor changes the logits
WORDPIECE_TOKENIZERS = {
    "bert": BertTokenizerFast,
    "distilbert": DistilBertTokenizerFast,
    "electra": ElectraTokenizerFast,
    "mpnet": MPNetTokenizerFast,
}
ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MPNET_SPECIAL = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"

WORDPIECES = [".", ",", "?", "the", "old", "##ing", "##er", "cold", "kettle", "river", "not", "sings", "under", "##ly"]
MORE_WORDPIECES = ["lamp", "green", "##est", "slow", "and", "is", "##ed", "7", "!", "stone", "warm", "owl", "'", "bread"]
MERGED_WORDS = ["Ġthe", "Ġand", "ing", "Ġnot", "Ġriver", "Ġkettle", "er", "Ġold", "Ġis", "Ġunder", "ly", "Ġs", "The"]

ADJECTIVES = ["old", "cold", "green", "slow", "warm", "tiny", "famous", "hollow", "naïve", "bright", "second-hand"]
NOUNS = ["kettle", "river", "lamp", "stone", "owl", "bread", "ladder", "Müller", "window", "ticket", "harbour", "cello"]
VERBS = ["sings", "waits", "is falling", "hums", "moves", "is not here", "melts", "answers", "was lost", "doesn't stop"]
PLACES = ["under the bridge", "at 7 o'clock", "near the mill", "in May, they say", "(again)", "by night", "on page 42"]
ENDS = [".", "!", "?", " ...", ""]


def sentence(rng, parts=1):
    clauses = []
    for _ in range(parts):
        clause = f"the {rng.choice(ADJECTIVES)} {rng.choice(NOUNS)} {rng.choice(VERBS)}"
        clauses.append(clause + (f" {rng.choice(PLACES)}" if rng.random() < 0.4 else ""))
    text = " and ".join(clauses)
    return text[0].upper() + text[1:] + rng.choice(ENDS)


def make_rows(rng, count, pairs, label_of):
    """Rows of made-up text: tuples of the text columns and a label."""
    rows = []
    for index in range(count):
        texts = [sentence(rng, rng.choice([1, 1, 2])) for _ in range(2 if pairs else 1)]
        if rng.random() < 0.3:
            texts[0] = texts[0].split(" ", 2)[1]  # one word
        rows.append((*texts, label_of(rng, texts, index)))
    return rows


def write_rows(path, columns, rows):
    lines = ["\t".join(columns), *("\t".join(row) for row in rows)]
    pathlib.Path(path).write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def wordpiece_vocabulary(size, special):
    """Special tokens, letters and a few pieces; 71 tokens at least."""
    pieces = WORDPIECES + MORE_WORDPIECES
    return (special + list(LETTERS) + ["##" + letter for letter in LETTERS] + pieces)[:size]


def byte_characters():
    """The printable character that stands for each byte in byte-level BPE (Radford et al. 2019)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + position) for position in range(len(others))]


def merges_for(words):
    """Merge rules, left to right, that join each word into one token."""
    merges = []
    for word in words:
        pieces = list(word)
        for left, right in merges:
            position = 0
            while position + 1 < len(pieces):
                if (pieces[position], pieces[position + 1]) == (left, right):
                    pieces[position : position + 2] = [left + right]
                position += 1
        while len(pieces) > 1:
            if (pieces[0], pieces[1]) not in merges:
                merges.append((pieces[0], pieces[1]))
            pieces[:2] = [pieces[0] + pieces[1]]
    return merges


def write_wordpiece_tokenizer(folder, family, size, form):
    vocabulary = folder / "vocab.txt"
    special = MPNET_SPECIAL if family == "mpnet" else BERT_SPECIAL
    vocabulary.write_text("".join(token + "\n" for token in wordpiece_vocabulary(size, special)), encoding="utf-8")
    tokenizer = WORDPIECE_TOKENIZERS[family](vocab_file=str(vocabulary), do_lower_case=True)
    vocabulary.unlink()
    tokenizer.save_pretrained(folder, legacy_format=form == "vocab")
    return len(tokenizer)


def write_roberta_tokenizer(folder, form):
    merges = merges_for(MERGED_WORDS)
    tokens = [*ROBERTA_SPECIAL, *byte_characters(), *dict.fromkeys(a + b for a, b in merges), "<mask>"]
    vocabulary, rules = folder / "vocab.json", folder / "merges.txt"
    vocabulary.write_text(json.dumps({token: i for i, token in enumerate(tokens)}), encoding="utf-8")
    rules.write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
    tokenizer = RobertaTokenizerFast(vocab_file=str(vocabulary), merges_file=str(rules))
    vocabulary.unlink(), rules.unlink()
    tokenizer.save_pretrained(folder, legacy_format=form == "vocab")
    return len(tokenizer)


def unigram_pieces():
    """Pieces and scores: letters that are likely enough for any word, and longer pieces that are better still."""
    words = ["▁the", "▁and", "ing", "▁not", "▁river", "▁kettle", "er", "▁old", "▁is", "▁under", "ly", "▁s", "▁The"]
    characters = [*LETTERS, *LETTERS.upper(), *"0123456789.,?!'()-üï", "▁"]
    return [(word, -3.0 - 0.25 * i) for i, word in enumerate(words)] + [(c, -8.0 - 0.01 * i) for i, c in enumerate(characters)]


def write_unigram_tokenizer(folder, form):
    """form "vocab": sentencepiece.bpe.model, as XLM-RoBERTa's first checkpoints have it."""
    model = sentencepiece_model.ModelProto()
    model.trainer_spec.model_type = model.trainer_spec.UNIGRAM
    model.trainer_spec.unk_id, model.trainer_spec.bos_id, model.trainer_spec.eos_id = 0, 1, 2
    for piece, kind in (("<unk>", "UNKNOWN"), ("<s>", "CONTROL"), ("</s>", "CONTROL")):
        model.pieces.add(piece=piece, score=0.0, type=getattr(model.SentencePiece, kind))
    for piece, score in unigram_pieces():
        model.pieces.add(piece=piece, score=score)
    path = folder / "sentencepiece.bpe.model"
    path.write_bytes(model.SerializeToString())
    tokenizer = XLMRobertaTokenizerFast(vocab_file=str(path))
    tokenizer.save_pretrained(folder, legacy_format=form == "vocab")
    path.unlink() if form == "json" else None
    return len(tokenizer)


def write_tokenizer(folder, shape):
    if shape["family"] in WORDPIECE_TOKENIZERS:
        return write_wordpiece_tokenizer(folder, shape["family"], shape["vocabulary"], shape["tokenizer"])
    write = write_roberta_tokenizer if shape["family"] == "roberta" else write_unigram_tokenizer
    return write(folder, shape["tokenizer"])


def randomize(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if name.lower().endswith(("layernorm.weight", "layer_norm.weight")) else 0.0
            parameter.copy_(centre + WEIGHT_DEVIATION * torch.randn(parameter.shape, generator=generator))


def write_model(folder, shape, outputs, seed):
    """A Hugging Face folder. `shape`: family, hidden, embedding (ELECTRA), heads, layers, intermediate, positions,
    activation, epsilon, vocabulary (of word pieces), tokenizer ("vocab" or "json"), head (False: the base model alone, names without prefix) and form:
    how the tensors are stored, see `restore`."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokens = write_tokenizer(folder, shape)
    config = AutoConfig.for_model(
        shape["family"],
        vocab_size=tokens,
        max_position_embeddings=shape["positions"],
        num_labels=outputs,
        **(distilbert_settings(shape) if shape["family"] == "distilbert" else usual_settings(shape)),
    )
    model = AutoModelForSequenceClassification.from_config(config)
    randomize(model, seed)
    shard_size = "20KB" if shape["form"] == "shards" else "1GB"
    (model if shape["head"] else model.base_model).save_pretrained(folder, max_shard_size=shard_size)
    restore(folder / "model.safetensors", shape["form"])


def usual_settings(shape):
    settings = {
        "hidden_size": shape["hidden"],
        "num_attention_heads": shape["heads"],
        "num_hidden_layers": shape["layers"],
        "intermediate_size": shape["intermediate"],
        "type_vocab_size": 1 if "roberta" in shape["family"] else 2,
        "hidden_act": shape["activation"],
        "layer_norm_eps": shape["epsilon"],
    }
    if shape["family"] == "mpnet":
        del settings["type_vocab_size"]
    return settings | ({"embedding_size": shape["embedding"]} if shape["family"] == "electra" else {})


def distilbert_settings(shape):
    return {
        "dim": shape["hidden"],
        "n_heads": shape["heads"],
        "n_layers": shape["layers"],
        "hidden_dim": shape["intermediate"],
        "activation": shape["activation"],
        "sinusoidal_pos_embds": shape.get("sinusoidal", False),
    }


def restore(path, form):
    """Rewrites the tensors in a form that is met in the wild: float16 or bfloat16, layer norms named gamma and beta,
    a BERT without pooler. "plain" and "shards" are left alone."""
    if form in ("plain", "shards"):
        return
    tensors = load_file(path)
    if form in ("float16", "bfloat16"):
        tensors = {name: tensor.to(getattr(torch, form)) for name, tensor in tensors.items()}
    elif form == "gamma":
        new_names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        for new, old in new_names.items():
            tensors = {name.replace(new, old): tensor for name, tensor in tensors.items()}
    elif form == "no-pooler":
        tensors = {name: tensor for name, tensor in tensors.items() if "pooler." not in name}
    else:
        raise ValueError(f"form {form}: not known")
    save_file(tensors, path, metadata={"format": "pt"})


def draw_shape(rng, family):
    heads = rng.randint(1, 6)
    more = {"embedding": rng.randint(7, 40)} if family == "electra" else {}
    return more | {
        "family": family,
        "hidden": heads * rng.randint(3, 9),
        "heads": heads,
        "layers": rng.randint(1, 3),
        "intermediate": rng.randint(17, 70),
        "positions": rng.randint(110, 220) if family == "mpnet" else rng.randint(56, 90),
        "activation": rng.choice(["gelu", "gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "relu", "silu"]),
        "epsilon": rng.choice([1e-5, 1e-12]),
        "vocabulary": rng.randint(71, 71 + len(MORE_WORDPIECES)),
        "tokenizer": rng.choice(["vocab", "json"]),
        "head": rng.random() < 0.7,
        "form": "plain",
    }


def make_generator(*parts):
    return random.Random("/".join(str(part) for part in parts))
