"""Tokenizers as both tokenizer.json and the settings beside it make them, against Transformers' AutoTokenizer.

    python tokenizer_settings.py --program PATH/TO/encode-lines [--quick] [--draws N] [--seed N] [--keep FOLDER]

Folders of every class, with small vocabularies: every combination of the keys that override a normalizer or a
pre-tokenizer, missing, null, true and false, and folders with settings drawn from a seed, sound and broken ones. Ids and
token types are equal, of texts and pairs, whole and truncated; where Transformers refuses a folder, so do we, in one line
that names it, and where it reads one, we do. Exit status 0 when all agree.
"""
import argparse
import contextlib
import io
import itertools
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "critical")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors  # noqa: E402
from transformers import AutoTokenizer, CamembertTokenizerFast, XLMRobertaTokenizerFast  # noqa: E402

import tokenizer_folders as folders_of  # noqa: E402
import tokenizer_texts as texts_of  # noqa: E402
from tokenizer_parity import records  # noqa: E402

MISSING = object()
BERT_LIKE = {"BertTokenizer": "bert", "DistilBertTokenizer": "distilbert", "ElectraTokenizer": "electra"}
TYPES = {**BERT_LIKE, "MPNetTokenizer": "mpnet", "RobertaTokenizer": "roberta", "XLMRobertaTokenizer": "xlm-roberta",
         "CamembertTokenizer": "camembert"}
FILES = {**{name: "lines" for name in (*BERT_LIKE, "MPNetTokenizer")}, "RobertaTokenizer": "merges",
         "XLMRobertaTokenizer": "xlm", "CamembertTokenizer": "camembert"}
FOREIGN = ["BertJapaneseTokenizer", "HerbertTokenizer", "HerbertTokenizerFast", "GPT2Tokenizer", "GPT2TokenizerFast",
           "BertweetTokenizer", "PhobertTokenizer", "KoBertTokenizer", "LongformerTokenizerFast", "AlbertTokenizer",
           "TokenizersBackend", "MyTokenizer", "BertTokenizerFastFast", "bertTokenizer", "Fast", ""]


def small_texts():
    hard = texts_of.random_texts(24, 11)
    plain = ["A man is eating food.", "the Quick brown Fox Jumps over", "", " leading", "Zürich naïve CAFÉ — déjà vu!", "中文 字符 text",
             "it's 3.14% of $5", "[MASK] a <mask> b [SEP] </s> <s> [CLS]<pad>[PAD] <unk>[UNK]", "hello World Hello x <x>[x] Café café",
             "ⵣꙮ zꙮ ⵣ", "<s>NOTUSED </s>NOTUSED<unk>NOTUSED e-mail #TAG", "a  b   c <mask>  <mask>", "Ünïcödé [mask] <MASK>"]
    return plain + hard


SIZE_LEAST = 350  # no vocabulary has fewer tokens
TEXTS = small_texts()
PAIRS = [("A man is eating.", "Nobody EATS it."), ("one two three four five", "four"), ("", "b"), ("Is it? [SEP]", "<s>It is."), ("x <mask> y", "")]


def cases():
    listed = [(text, None, 0) for text in TEXTS] + [(*pair, 0) for pair in PAIRS]
    for limit in (6, 9):
        listed += [(text, None, limit) for text in TEXTS[:14]] + [(*pair, limit) for pair in PAIRS]
    return listed


CASES = cases()
RECORDS = records(CASES)


class Vocabularies:
    """The files that the folders are made of."""

    def __init__(self, root):
        texts = texts_of.training_texts(None)[:1500] + [text for text in TEXTS if "ⵣ" not in text] * 4
        self.root = root
        self.lines = folders_of.train_wordpiece(root / "lines", texts, 400)
        mpnet = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
        words = (self.lines / "vocab.txt").read_text(encoding="utf-8").split("\n")[5:]
        folders_of.write(root / "mpnet", "vocab.txt", "\n".join(mpnet + words))
        bpe = folders_of.train_bpe(texts, 500)
        self.merges = folders_of.save_bpe_vocabulary(bpe, root / "merges")
        self.xlm = folders_of.train_sentencepiece(root / "xlm", texts, 500)
        self.json = {"lines": json.loads((self.lines / "tokenizer.json").read_text()), "merges": json.loads(bpe.to_str())}
        wordpiece = json.loads(json.dumps(self.json["lines"]))
        wordpiece["model"]["vocab"] = {token: i for i, token in enumerate(mpnet + words) if token}
        wordpiece["added_tokens"] = [self.added(i, token, lstrip=token == "<mask>") for i, token in enumerate(mpnet)]
        mpnet_form = Tokenizer.from_str(json.dumps(wordpiece))
        mpnet_form.post_processor = processors.TemplateProcessing(
            single="<s>:0 $A:0 </s>:0", pair="<s>:0 $A:0 </s>:0 </s>:0 $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)])
        self.json["mpnet"] = json.loads(mpnet_form.to_str())
        model = str(self.xlm / "sentencepiece.bpe.model")
        self.json["xlm"] = json.loads(XLMRobertaTokenizerFast(vocab_file=model).backend_tokenizer.to_str())
        self.json["camembert"] = json.loads(CamembertTokenizerFast(vocab_file=model).backend_tokenizer.to_str())

    @staticmethod
    def added(identity, content, **flags):
        return {"id": identity, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True, **flags}

    def key(self, name):
        return "mpnet" if name == "MPNetTokenizer" else FILES[name]

    def put_files(self, folder, name):
        """The slow class's own files."""
        source = {"lines": self.lines, "mpnet": self.root / "mpnet", "merges": self.merges, "xlm": self.xlm, "camembert": self.xlm}[self.key(name)]
        for file in ("vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model"):
            if (source / file).exists():
                shutil.copy(source / file, folder / file)


class Comparison:
    def __init__(self, program, keep):
        self.program, self.keep = program, keep
        self.count = self.read = self.refused = self.beyond = 0
        self.failures = []

    def theirs(self, folder):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            tokenizer = AutoTokenizer.from_pretrained(str(folder))
            results = []
            for limit, batch in itertools.groupby(CASES, key=lambda case: (case[2], case[1] is None)):
                firsts, seconds, _ = zip(*batch)  # one text alone would take an empty second one for none
                arguments = {"truncation": "longest_first", "max_length": limit[0]} if limit[0] else {}
                found = tokenizer(list(firsts), None if limit[1] else list(seconds), **arguments)
                types = found.get("token_type_ids") or [[0] * len(ids) for ids in found["input_ids"]]
                results += [(tuple(a), tuple(b)) for a, b in zip(found["input_ids"], types)]
        return results

    def ours(self, folder):
        done = subprocess.run([self.program, folder], input=RECORDS, capture_output=True)
        if done.returncode != 0:
            return None, done.stderr.decode()
        results, at = [], 0
        for _ in CASES:
            count, _ = struct.unpack_from("=II", done.stdout, at)
            results.append((struct.unpack_from(f"={count}i", done.stdout, at + 8),
                            struct.unpack_from(f"={count}i", done.stdout, at + 8 + 4 * count)))
            at += 8 + 8 * count
        return results, ""

    def fail(self, folder, what):
        self.failures.append(what)
        if len(self.failures) > 40:
            return
        print("DIFFERS", what)
        for file in ("config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
            if (folder / file).exists():
                print(f"    {file}: {(folder / file).read_text()}")
        if self.keep:
            shutil.copytree(folder, pathlib.Path(self.keep) / f"case-{len(self.failures)}", dirs_exist_ok=True)

    @staticmethod
    def is_beyond(message, expected):
        """A token of every text that the vocabulary lacks, or that two files give two ids: we refuse what Transformers makes up."""
        if "is said to have id" in message or 'special token ""' in message:
            return True
        return "the special token" in message and "is not in the vocabulary" in message and max(expected[2][0]) >= SIZE_LEAST

    def compare(self, folder, what, expect_name=None):
        self.count += 1
        try:
            expected, reason = self.theirs(folder), ""
        except BaseException as error:  # a panic of the library is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            expected, reason = None, f"{type(error).__name__}: {error}"
        found, message = self.ours(folder)
        if expected is not None and found is None and self.is_beyond(message, expected):
            self.beyond += 1
        elif (expected is None) != (found is None):
            self.fail(folder, f"{what}: ours: {message.strip() or 'read'}; theirs: {reason[:200] or 'read'}")
        elif expected is None:
            self.refused += 1
            # Without an unknown token it is a text that cannot be encoded, and whoever reads the text names its line.
            named = folder.name in message or "the text has what the tokenizer's vocabulary lacks" in message
            if message.count("\n") != 1 or not named or (expect_name is not None and f'"{expect_name}"' not in message):
                self.fail(folder, f"{what}: the message {message!r}")
        else:
            self.read += 1
            for case, mine, wanted in zip(CASES, found, expected):
                if mine != wanted:
                    self.fail(folder, f"{what}: {case!r}\n    ours   {mine}\n    theirs {wanted}")
                    break


def said(**values):
    return {key: value for key, value in values.items() if value is not MISSING}


def fresh(root):
    folder = pathlib.Path(root) / "folder"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def fill(folder, config, model_type="bert", state=None, **files):
    folders_of.write(folder, "config.json", {"model_type": model_type})
    if config is not None:
        folders_of.write(folder, "tokenizer_config.json", config)
    if state is not None:
        folders_of.write(folder, "tokenizer.json", state)
    for name, value in files.items():
        folders_of.write(folder, name + ".json", value)


# ---- Every combination of the keys that override ----

FOUR = (MISSING, None, True, False)


def normalizer_folders(vocabularies, part):
    """do_lower_case, strip_accents and tokenize_chinese_chars in both files, for each class with a BertNormalizer."""
    for name in (*BERT_LIKE, "MPNetTokenizer", "PreTrainedTokenizer"):
        own = "lines" if name == "PreTrainedTokenizer" else vocabularies.key(name)
        for lower, strip, ideographs in itertools.product((True, False), (MISSING, None, True, False), (True, False)):
            for config in itertools.product(FOUR, FOUR, FOUR):
                if not part():
                    continue
                state = json.loads(json.dumps(vocabularies.json[own]))
                state["normalizer"] = said(type="BertNormalizer", clean_text=True, handle_chinese_chars=ideographs, strip_accents=strip,
                                           lowercase=lower)
                state["added_tokens"].append(vocabularies.added(len(state["model"]["vocab"]), "Hello", special=False, normalized=True))
                keys = said(do_lower_case=config[0], strip_accents=config[1], tokenize_chinese_chars=config[2])
                yield name, {"tokenizer_class": name + "Fast", **keys}, state, f"{name}: file {state['normalizer']}, settings {keys}"


def prefix_folders(vocabularies, part):
    """add_prefix_space in both files, for every class."""
    for name in (*TYPES, "PreTrainedTokenizer"):
        for has, wants, trims, processor in itertools.product((True, False), FOUR, FOUR, range(4)):
            if not part():
                continue
            tokenizer = Tokenizer.from_str(json.dumps(vocabularies.json["merges"]))
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=has)
            byte_level = processors.ByteLevel(trim_offsets=has)
            tokenizer.post_processor = [
                processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=has, trim_offsets=not has), byte_level,
                processors.Sequence([byte_level]), processors.BertProcessing(("</s>", 2), ("<s>", 0))][processor]
            keys = said(add_prefix_space=wants, trim_offsets=trims)
            yield name, {"tokenizer_class": name, **keys}, json.loads(tokenizer.to_str()), f"{name}: prefix {has}, processor {processor}, {keys}"


def slow_folders(vocabularies, part):
    """The same keys where there is no tokenizer.json."""
    for name in (*BERT_LIKE, "MPNetTokenizer"):
        for basic, *config in itertools.product((MISSING, None, True, False), FOUR, FOUR, FOUR):
            if part():
                keys = said(do_basic_tokenize=basic, do_lower_case=config[0], strip_accents=config[1], tokenize_chinese_chars=config[2])
                yield name, {"tokenizer_class": name, **keys}, None, f"{name}: no tokenizer.json, settings {keys}"
    for name in ("RobertaTokenizer", "XLMRobertaTokenizer", "CamembertTokenizer"):
        for wants, trims in itertools.product(FOUR, FOUR):
            keys = said(add_prefix_space=wants, trim_offsets=trims)
            yield name, {"tokenizer_class": name, **keys}, None, f"{name}: no tokenizer.json, settings {keys}"


def class_folders(vocabularies, part):
    """Which class a folder has, and what it makes of another's files."""
    for named, has in itertools.product((*TYPES, "PreTrainedTokenizer"), TYPES):
        for fast in ("", "Fast"):
            if part():
                yield has, {"tokenizer_class": named + fast}, vocabularies.json[vocabularies.key(has)], f"{named}{fast} over tokenizer.json of {has}"
        if part():
            yield has, {"tokenizer_class": named}, None, f"{named} over the files of {has}"


# ---- Settings drawn from a seed ----

WORDS = ["hello", "World", "Café", "café", "<x>", "[x]", "x", "<s>", "</s>", "[CLS]", "[SEP]", "[MASK]", "<mask>", "<pad>", "[PAD]",
         "<unk>", "[UNK]", "e-mail", "#TAG", "a", "Fox", "漢", "text", " b", "<s>NOTUSED", ""]
ROLES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]


class Draw:
    def __init__(self, chance, vocabularies):
        self.chance, self.vocabularies = chance, vocabularies

    def once(self, probability):
        return self.chance.random() < probability

    def flag(self, odd=0.06):
        if self.once(odd):
            return self.chance.choice([None, 0, 1, 1.0, "yes", "", [], 3, {}])
        return self.once(0.5)

    def token_flags(self, content):
        token = {"content": content}
        for flag in ("lstrip", "rstrip", "single_word", "normalized", "special"):
            if self.once(0.5):
                token[flag] = self.once(0.5) if not self.once(0.02) else self.chance.choice([None, 1, "x"])
        if self.once(0.08):
            token["odd"] = 3
        if self.once(0.02):
            token["content"] = self.chance.choice([None, 3])
        return token

    def token(self, in_map, likely):
        content = self.chance.choice(likely if self.once(0.7) else WORDS)
        kind = self.chance.random()
        if kind < 0.6:
            return content
        if kind < 0.95:
            token = self.token_flags(content)
            if not in_map and not self.once(0.06):
                token["__type"] = "AddedToken"
            return token
        return self.chance.choice([None, None, None, 5, True, []])

    def roles(self, name, in_map):
        bert = name in BERT_LIKE
        own = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "[UNK]" if bert or name == "MPNetTokenizer" else "<unk>",
               "sep_token": "[SEP]" if bert else "</s>", "pad_token": "[PAD]" if bert else "<pad>",
               "cls_token": "[CLS]" if bert else "<s>", "mask_token": "[MASK]" if bert else "<mask>"}
        return {role: self.token(in_map, [own[role]]) for role in ROLES if self.once(0.25)}

    def tokens(self, in_map):
        if self.once(0.04):
            return self.chance.choice([None, "x", 3, {}])
        return [self.token(in_map, WORDS) for _ in range(self.chance.randrange(4))]

    def settings(self, name, in_map=False):
        keys = self.roles(name, in_map)
        for key, probability in (("do_lower_case", 0.4), ("strip_accents", 0.3), ("tokenize_chinese_chars", 0.3), ("add_prefix_space", 0.4),
                                 ("trim_offsets", 0.15), ("split_special_tokens", 0.2), ("do_basic_tokenize", 0.1), ("clean_text", 0.05),
                                 ("never_split", 0.05), ("legacy", 0.05), ("use_fast", 0.05), ("clean_up_tokenization_spaces", 0.1)):
            if self.once(probability * (0.15 if in_map else 1)):
                keys[key] = self.flag()
        if self.once(0.25):
            keys["additional_special_tokens"] = self.tokens(in_map)
        if in_map:
            return keys
        for key in ("truncation_side", "padding_side"):
            if self.once(0.3):
                keys[key] = self.chance.choice(["left", "left", "right", None, "Left", 3]) if self.once(0.2) else "left"
        if self.once(0.2):
            keys["extra_special_tokens"] = {key: self.token(False, WORDS) for key in ("image_token", "cls_token", "bos_token", "other")
                                            if self.once(0.4)} if not self.once(0.08) else self.chance.choice([None, [], ["<x>"], "x"])
        if self.once(0.15):
            keys["model_input_names"] = ["input_ids", "attention_mask"] + (["token_type_ids"] if self.once(0.5) else [])
        for key, values in (("model_max_length", [5, 512, 1e30, None]), ("max_len", [7]), ("name_or_path", ["x"]), ("errors", ["strict"]),
                            ("unknown_key", [1, {"a": 1}]), ("add_bos_token", [True, False]), ("sp_model_kwargs", [{}, None]),
                            ("init_inputs", [[], ["x"]]), ("processor_class", ["X"]), ("chat_template", ["x"]), ("stride", [3]),
                            ("max_length", [4]), ("from_slow", [False, True]), ("tokenizer_file", [None, "/none/tokenizer.json"]),
                            ("vocab_file", ["/none/vocab.txt"]), ("truncation_strategy", ["longest_first"]), ("add_special_tokens", [True])):
            if self.once(0.025):
                keys[key] = self.chance.choice(values)
        return keys

    def decoder(self, state):
        listed, next_id = {}, 500
        for entry in (state or {}).get("added_tokens", []):
            token = {key: value for key, value in entry.items() if key != "id"}
            if self.once(0.2):
                token[self.chance.choice(["lstrip", "rstrip", "normalized", "special"])] = self.once(0.5)
            if not self.once(0.1):
                listed[str(entry["id"])] = token
        for _ in range(self.chance.randrange(4)):
            listed[str(next_id)] = self.token_flags(self.chance.choice(WORDS))
            next_id += 1
        return listed

    def state(self, name):
        tokenizer = Tokenizer.from_str(json.dumps(self.vocabularies.json[self.vocabularies.key(name)]))
        if self.once(0.3):
            tokenizer.add_tokens([AddedToken(self.chance.choice(WORDS[:6]), **{
                flag: self.once(0.5) for flag in ("lstrip", "rstrip", "single_word", "normalized", "special")}) for _ in range(2)])
        kind = FILES[name]
        if kind == "lines" and self.once(0.7):
            bert = normalizers.BertNormalizer(lowercase=self.once(0.5), strip_accents=self.chance.choice([None, True, False]),
                                              handle_chinese_chars=self.once(0.5), clean_text=self.once(0.8))
            tokenizer.normalizer = normalizers.Sequence([bert]) if self.once(0.15) else bert
        if kind == "merges" and self.once(0.7):
            byte_level = pre_tokenizers.ByteLevel(add_prefix_space=self.once(0.5))
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence([byte_level]) if self.once(0.15) else byte_level
        if self.once(0.2):
            tokenizer.enable_truncation(7, direction=self.chance.choice(["left", "right"]))
        if self.once(0.2):
            tokenizer.enable_padding(length=9, direction="left", pad_token=self.chance.choice(WORDS[:6]))
        return json.loads(tokenizer.to_str())

    def folder(self, folder):
        name = self.chance.choice(list(TYPES))
        shown = name if not self.once(0.15) else self.chance.choice([*TYPES, "PreTrainedTokenizer"])
        state = self.state(name) if self.once(0.7) else None
        if state is None or self.once(0.3):
            self.vocabularies.put_files(folder, name)
        config = self.settings(shown) if not self.once(0.05) else None
        files = {}
        if config is not None:
            if self.once(0.8):
                config["tokenizer_class"] = shown + self.chance.choice(["", "Fast"])
            if self.once(0.4):
                config["added_tokens_decoder"] = self.decoder(state)
        if self.once(0.3):
            files["special_tokens_map"] = self.settings(shown, True)
        if self.once(0.2):
            files["added_tokens"] = {self.chance.choice(WORDS): 500 + i for i in range(self.chance.randrange(1, 4))}
        fill(folder, config, TYPES[name], state, **files)
        if self.once(0.05):
            folders_of.write(folder, "config.json", {"model_type": TYPES[name], "tokenizer_class": shown})
        return f"{shown} over {name}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="the encode_lines program")
    parser.add_argument("--quick", action="store_true", help="a sample of the combinations")
    parser.add_argument("--draws", type=int, help="how many folders are drawn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="where folders that differ are copied to")
    options = parser.parse_args()
    draws = options.draws if options.draws is not None else 200 if options.quick else 4000
    chance = random.Random(options.seed)
    comparison = Comparison(str(pathlib.Path(options.program).resolve()), options.keep)
    begin = time.time()

    def part(probability):
        return lambda: not options.quick or chance.random() < probability

    with tempfile.TemporaryDirectory() as root:
        vocabularies = Vocabularies(pathlib.Path(root) / "vocabularies")
        print(f"vocabularies: {time.time() - begin:.1f} s", flush=True)
        for title, made in (("normalizers", normalizer_folders(vocabularies, part(0.02))), ("prefixes", prefix_folders(vocabularies, part(0.06))),
                            ("slow classes", slow_folders(vocabularies, part(0.04))), ("classes", class_folders(vocabularies, part(0.4)))):
            for name, config, state, what in made:
                folder = fresh(root)
                if state is None:
                    vocabularies.put_files(folder, name)
                fill(folder, config, "bert", state)
                comparison.compare(folder, what)
            print(f"{title}: {comparison.count} folders, {comparison.read} read, {comparison.refused} refused, {time.time() - begin:.1f} s", flush=True)
        for name in FOREIGN:  # refused whether or not Transformers has the class
            for file in ("tokenizer_config", "config"):
                folder = fresh(root)
                fill(folder, {} if file == "config" else {"tokenizer_class": name, "auto_map": {"AutoTokenizer": [f"x.{name}", None]}},
                     state=vocabularies.json["lines"])
                if file == "config":
                    folders_of.write(folder, "config.json", {"model_type": "bert", "tokenizer_class": name})
                found, message = comparison.ours(folder)
                comparison.count += 1
                if found is not None or message.count("\n") != 1 or f'"{name}"' not in message or f"{file}.json" not in message:
                    comparison.fail(folder, f"{name}: {message!r}")
        for model_type in (*TYPES.values(), "albert"):  # no class is named
            for name in TYPES:
                folder = fresh(root)
                fill(folder, None, model_type, vocabularies.json[vocabularies.key(name)])
                if model_type != "albert":
                    comparison.compare(folder, f"model_type {model_type} over tokenizer.json of {name}")
                elif comparison.ours(folder)[0] is not None:
                    comparison.fail(folder, "model_type albert is read")
        draw = Draw(chance, vocabularies)
        for i in range(draws):
            folder = fresh(root)
            what = draw.folder(folder)
            comparison.compare(folder, f"draw {i}: {what}")
    print(f"{comparison.count} folders, {comparison.read} read, {comparison.refused} refused, {comparison.beyond} with ids of no vocabulary, {time.time() - begin:.1f} s")
    for failure in comparison.failures[:40]:
        print("FAILED", failure.split("\n")[0])
    if len(comparison.failures) > 40:
        print(f"FAILED {len(comparison.failures)} in all")
    return 1 if comparison.failures else 0


if __name__ == "__main__":
    sys.exit(main())
