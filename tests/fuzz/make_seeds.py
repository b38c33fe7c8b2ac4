#!/usr/bin/env python3
"""make_seeds.py FOLDER ROOT [STAMP]: the inputs that fuzzing starts from, a folder for each target. STAMP is a file that
tells the build when they were made.

They are the project's own golden files, whole and small, and a few that are written here. Parts of an input are joined
as fuzz.h says."""
import json
import pathlib
import pickle
import shutil
import struct
import sys
import zipfile

SEPARATOR = b"\xffpart\xff\n"
LARGEST = 65536


def joined(*parts):
    return SEPARATOR.join(parts)


def contents(path):
    return path.read_bytes() if path.exists() else b""


def safetensors(tensors, metadata=None):
    """`tensors`: name to (type, shape, bytes)."""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (kind, shape, values) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


SMALL = {"a": ("F32", [2, 2], struct.pack("<4f", 1, 2, 3, 4)), "b": ("BF16", [3], b"\0\x3f\0\x40\x80\x3f")}
ADAPTER = {f"base_model.model.{name}": tensor for name, tensor in SMALL.items()}
OTHER = {"c": ("F16", [1], b"\0\x3c"), "d": ("I64", [], struct.pack("<q", 7))}


def pickled(names):
    """The pickle of a state dict whose float32 tensors [2, 2] have these names, protocol 2, as torch.save writes it."""

    def text(value):
        raw = value.encode()
        return b"X" + struct.pack("<I", len(raw)) + raw

    out = b"\x80\x02ccollections\nOrderedDict\nq\0)Rq\x01("
    for number, name in enumerate(names):
        out += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n"
        out += text(str(number)) + text("cpu") + b"K\x04tQK\0K\x02K\x02\x86K\x02K\x01\x86\x89ccollections\nOrderedDict\n)RtR"
    return out + b"u."


def torch_file(names, folder):
    path = folder / "archive"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled(names))
        archive.writestr("archive/byteorder", "little")
        for number in range(len(names)):
            archive.writestr(f"archive/data/{number}", struct.pack("<4f", 1, 2, 3, 4))
        archive.writestr("archive/version", "3\n")
    content = path.read_bytes()
    path.unlink()
    return content


def old_torch_file(names):
    """The same file as PyTorch wrote it before 1.6: pickles one behind the other, then the storages."""
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    keys = [str(number) for number in range(len(names))]
    out = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, facts))
    out += pickled(names).replace(b"K\x04tQ", b"K\x04NtQ") + pickle.dumps(keys, 2)
    return out + b"".join(struct.pack("<q4f", 4, 1, 2, 3, 4) for _ in keys)


STATE = {
    "step": 4, "evaluated_step": 2, "best_step": 2, "best_value": 0.5, "since_best": 0, "log_bytes": 100, "finished": False,
    "evaluations": [{"step": 2, "valid": {"accuracy": 0.5}}], "settings": {"lr": 0.001}, "kernels": "cpu",
}
TUNING = b"condlora-opencl-tuning 1\ndevice Radiance 9 (tm)\ndriver 1.0\nXgemm 32 MWG=64 NWG=32\n"
TRACE = {
    "traceEvents": [
        {"name": "gemm", "ph": "X", "ts": 1, "dur": 2, "args": {"m": 8, "n": 4, "k": 2, "transpose": "nt"}},
        {"name": "attention", "ph": "X", "ts": 3, "dur": 2, "args": {"heads": 2, "width": 4, "lengths": [3, 5]}},
    ]
}
PATTERNS = [(b"query|value", b"encoder.layer.0.attention.self.query"), (rb".*\.(\d+)\..*", b"a.1.b"), (b"(?x)a#", b"a"),
            (b"((a*)*)*b", b"aaaaaaaaaaaaaaaa")]
TABLES = [
    b"\0text\tlabel\tother\na b\tx\t1\nc\ty\t2\n", b"\1text,label,other\r\n\"a \"\"b\"\"\r\nc\",x,1\r\nd,y,2\r\n",
    b"\2" + b'{"text": "a\\u00e9", "label": "x", "other": 1}\n{"text": "b", "label": true}\n',
]


def sentencepiece(pieces):
    """A unigram model: pieces with scores and types, as protobuf."""

    def field(number, kind, payload):
        return bytes([number << 3 | kind]) + payload

    def nested(payload):
        return bytes([len(payload)]) + payload

    out = b""
    for text, score, kind in pieces:
        raw = text.encode()
        out += field(1, 2, nested(field(1, 2, nested(raw)) + field(2, 5, struct.pack("<f", score)) + field(3, 0, bytes([kind]))))
    return out + field(2, 2, nested(field(3, 0, b"\x01"))) + field(3, 2, nested(field(1, 2, nested(b"identity"))))


def tables_of(root, cases):
    """Target to its inputs."""
    models = [case / "model" for case in cases]
    adapters = [case / "adapter" for case in cases]
    recipes = sorted((root / "recipes").glob("*.json"))
    pieces = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("\u2581", -2, 1), ("a", -3, 1), ("\u2581the", -1, 1), ("b", -4, 1)]
    yield "json", [contents(model / "config.json") for model in models] + [
        b'[1, -0, 1.5e-300, 1e400, 18446744073709551616, "a\\u00e9\\ud83d\\ude00\\n", {"": null, "b": [true, false, {}]}]',
        b'{"a": 0.1, "a": 2}', b'"\\u0000"',
    ]
    yield "config", [contents(model / "config.json") for model in models]
    yield "adapter", [
        joined(contents(a / "adapter_config.json"), contents(a / "adapter_model.safetensors")) for a in adapters
    ] + [joined(contents(a / "adapter_config.json"), safetensors(ADAPTER)) for a in adapters]
    yield "tokenizer_json", [
        joined(contents(m / "tokenizer.json"), contents(m / "tokenizer_config.json"), contents(m / "special_tokens_map.json"), b"")
        for m in models if (m / "tokenizer.json").exists()
    ]
    yield "tokenizer_wordpiece", [
        joined(contents(m / "vocab.txt"), contents(m / "tokenizer_config.json"), b'{"[NEW]": 71}', b"The new [NEW] word\xc3\xa9")
        for m in models if (m / "vocab.txt").exists()
    ]
    yield "tokenizer_bpe", [
        joined(contents(m / "vocab.json"), contents(m / "merges.txt"), contents(m / "tokenizer_config.json"), b"")
        for m in models if (m / "vocab.json").exists()
    ]
    yield "sentencepiece", [joined(sentencepiece(pieces), b"", b"the ab ba"), joined(sentencepiece(pieces[:4]), b"{}", b"")]
    yield "safetensors", [safetensors(SMALL), safetensors(SMALL | OTHER, {"format": "pt"}), safetensors({})]
    yield "shard_index", [
        joined(
            json.dumps({"metadata": {"total_size": 30}, "weight_map": {
                "a": "a.safetensors", "b": "a.safetensors", "c": "b.safetensors", "d": "b.safetensors"}}).encode(),
            safetensors(SMALL), safetensors(OTHER))
    ]
    yield "pickle", [pickled(["a"]), pickled(["a", "b.weight", "c"])]
    yield "checkpoint", [
        joined(json.dumps(STATE).encode(), bytes(64)), joined(json.dumps(STATE | {"best_value": None}).encode(), b""),
        joined(json.dumps(STATE | {"step": -1}).encode(), b""),
    ]
    given = {"model": "m", "data": "d", "output": "o"}
    yield "settings", [json.dumps(json.loads(contents(recipe)) | given).encode() for recipe in recipes] + [
        b'{"model": "m", "train": "t.csv", "text_columns": "a", "label_column": "b", "output": "o", "rank_pattern": {"query": 4}, "labels": ["a", "b"]}'
    ]
    yield "search_space", [
        joined(b'{"lr": "log:5e-5:5e-3", "rank": "int:4:16", "method": ["lora", "condlora"]}', b'{"lr": 0.001, "rank": 8, "method": "lora"}')
    ]
    commit, sha1, sha256 = b"0123456789abcdef" * 2 + b"01234567", b"45a2321a7ecfdaaf60a6c1fd7f5463994cc8907d", b"a" * 64
    yield "hub_answer", [
        joined(b"HTTP/1.1 302 Found\r\nX-Repo-Commit: " + commit + b"\r\nX-Linked-Etag: \"" + sha256 + b"\"\r\nX-Linked-Size: 499\r\n"
               b"ETag: W/\"" + sha1 + b"\"\r\nLocation: /x\r\n\r\n", b"owner/model@refs/pr/1", b"https://hub.example/owner/model"),
        joined(b"HTTP/2 206\r\ncontent-range: bytes 100-199/200\r\ncontent-length: 100\r\nretry-after: 7\r\n"
               b"x-error-code: EntryNotFound\r\nx-error-message: Entry not found\r\n", b"roberta-base", b"http://hub.example:443/?a#b"),
    ]
    yield "trace", [json.dumps(TRACE).encode()]
    yield "tuning", [TUNING]
    yield "pattern", [joined(*pair) for pair in PATTERNS]
    yield "table", TABLES
    yield "plugin", [struct.pack("<4I", 0x4344504C, 1, minor, size) + b"opencl\0" + bytes(8) for minor, size in
                     ((1, 600), (0, 400), (2, 900), (2, 4000), (1, 24))]


def main(arguments):
    folder, root, *stamp = (pathlib.Path(argument) for argument in arguments)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cases = sorted((root / "tests" / "data" / "cases").iterdir())
    inputs = dict(tables_of(root, cases))
    inputs["torch_file"] = [torch_file(["a"], folder), torch_file(["a", "b.weight"], folder), old_torch_file(["a", "b.weight"])]
    for target, seeds in inputs.items():
        (folder / target).mkdir()
        for number, seed in enumerate(sorted({seed for seed in seeds if 0 < len(seed) <= LARGEST})):
            (folder / target / f"{number:03}").write_bytes(seed)
    for file in stamp:
        file.touch()


if __name__ == "__main__":
    main(sys.argv[1:])
