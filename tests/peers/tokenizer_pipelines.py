"""Model folders whose tokenizer.json is a list of steps: those of the tokenizers package's own classes and tutorial, each
normalizer and pre-tokenizer alone, and compositions drawn from a seed."""
import json
import random

from tokenizers import (AddedToken, ByteLevelBPETokenizer, BertWordPieceTokenizer, CharBPETokenizer, Regex, SentencePieceBPETokenizer,
                        SentencePieceUnigramTokenizer, Tokenizer, models, normalizers as N, pre_tokenizers as P, processors, trainers)

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|"
         r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
PATTERNS = [GPT4, O200K, r"\d", r"\w+|[^\w\s]+", r"\s+", r"", r"a*", r"\b", r"(?<=a).|b(?!c)", r"[^\S\n]+", r"\p{P}+", r"\p{Han}", r"^.", r".$",
            r"[\u3040-\u30ff]+", r"(?:ab|a)+?b{,2}", r"\p{Lu}\p{Ll}*", r"[-a-c\]]", r"(?>a+)b", r"x++", r"\h+", r"\W", r"\S", r"\p{^L}", r"(?i)[k-s]+"]
BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]


def save(tokenizer, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer if isinstance(tokenizer, str) else tokenizer.to_str(), encoding="utf-8")
    return folder


def ready_made(root, texts):
    """What the package's own classes and its tutorial write."""
    made = []

    def add(name, tokenizer):
        made.append(save(tokenizer.to_str(), root / name))

    quiet = {"vocab_size": 900, "show_progress": False}
    for name, settings in (("bytes", {}), ("lower", {"lowercase": True}), ("nfc", {"unicode_normalizer": "nfc", "add_prefix_space": True}),
                           ("nfkc", {"unicode_normalizer": "nfkc", "lowercase": True, "trim_offsets": True})):
        tokenizer = ByteLevelBPETokenizer(**settings)
        tokenizer.train_from_iterator(texts, special_tokens=SPECIALS, **quiet)
        add("made-" + name, tokenizer)
    for name, settings in (("char", {}), ("char-lower", {"lowercase": True, "unicode_normalizer": "nfkd"}),
                           ("char-spaces", {"bert_normalizer": False, "split_on_whitespace_only": True})):
        tokenizer = CharBPETokenizer(**settings)
        tokenizer.train_from_iterator(texts, special_tokens=["<unk>"], **quiet)
        add("made-" + name, tokenizer)
    for name, settings in (("spbpe", {}), ("spbpe-fused", {"fuse_unk": True, "add_prefix_space": False, "replacement": "_"})):
        tokenizer = SentencePieceBPETokenizer(**settings)
        tokenizer.train_from_iterator(texts, special_tokens=SPECIALS, **quiet)
        add("made-" + name, tokenizer)
    tokenizer = SentencePieceUnigramTokenizer()
    tokenizer.train_from_iterator(texts, special_tokens=SPECIALS, unk_token="<unk>", **quiet)
    add("made-unigram", tokenizer)
    for name, settings in (("bert", {}), ("bert-cased", {"lowercase": False, "strip_accents": True, "handle_chinese_chars": False})):
        tokenizer = BertWordPieceTokenizer(**settings)
        tokenizer.train_from_iterator(texts, **quiet)
        add("made-" + name, tokenizer)

    def trained(name, model, trainer, normalizer, pre, specials=BERT_SPECIALS, **settings):
        tokenizer = Tokenizer(model)
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre
        tokenizer.train_from_iterator(texts, trainer(special_tokens=specials, **quiet, **settings))
        ids = {token: tokenizer.token_to_id(token) for token in specials}
        if specials is BERT_SPECIALS:
            tokenizer.post_processor = processors.TemplateProcessing(
                single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])])
        made.append(save(tokenizer, root / name))

    plain = N.Sequence([N.NFD(), N.Lowercase(), N.StripAccents()])
    trained("made-tutorial", models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer, plain, P.Whitespace())
    trained("made-level", models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer, N.Lowercase(), P.Whitespace())
    trained("made-quicktour", models.BPE(unk_token="[UNK]"), trainers.BpeTrainer, None, P.Whitespace())
    trained("made-prefix", models.BPE(unk_token="[UNK]", continuing_subword_prefix="##", fuse_unk=True), trainers.BpeTrainer, N.NFKC(),
            P.Sequence([P.Whitespace(), P.Digits(individual_digits=True)]), continuing_subword_prefix="##")
    trained("made-code", models.BPE(), trainers.BpeTrainer, None,
            P.Sequence([P.Digits(individual_digits=True), P.ByteLevel(add_prefix_space=False)]), SPECIALS,
            initial_alphabet=P.ByteLevel.alphabet())
    trained("made-gpt4", models.BPE(ignore_merges=True), trainers.BpeTrainer, N.NFC(),
            P.Sequence([P.Split(Regex(GPT4), "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)]), SPECIALS,
            initial_alphabet=P.ByteLevel.alphabet())
    trained("made-punctuation", models.BPE(), trainers.BpeTrainer, None,
            P.Sequence([P.Punctuation(), P.ByteLevel(add_prefix_space=True)]), SPECIALS, initial_alphabet=P.ByteLevel.alphabet())
    bytes_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trained("made-fallback", models.BPE(byte_fallback=True, unk_token="<unk>"), trainers.BpeTrainer,
            N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), None, SPECIALS + bytes_tokens, limit_alphabet=30)
    tokenizer = Tokenizer.from_file(str(root / "made-unigram" / "tokenizer.json"))
    state = json.loads(tokenizer.to_str())
    state["model"]["vocab"] += [[token, 0.0] for token in bytes_tokens if token not in dict(state["model"]["vocab"])]
    state["model"]["byte_fallback"] = True
    made.append(save(json.dumps(state), root / "made-unigram-fallback"))
    return made


def repeated(root, texts):
    """Vocabularies and merges that say something twice."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = P.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=700, show_progress=False, initial_alphabet=P.ByteLevel.alphabet()))
    state = json.loads(tokenizer.to_str())
    merges = state["model"]["merges"]
    state["model"]["merges"] = merges + merges[:60]
    text = json.dumps(state)
    extra = json.dumps({"e": state["model"]["vocab"]["e"] + 5000})[1:-1]
    made = [save(text, root / "twice-merges"), save(text.replace('"vocab": {', '"vocab": {"e": 4000, ', 1), root / "twice-vocab"),
            save(text.replace('}, "merges"', ", " + extra + '}, "merges"', 1), root / "twice-vocab-last")]
    pieces = [["<unk>", 0.0], ["a", -1.0], ["b", -2.0], ["ab", -9.0], ["a", -3.0], ["ab", -4.0], ["▁", -1.5]]
    unigram = Tokenizer(models.Unigram([tuple(piece) for piece in pieces], 0, False))
    unigram.pre_tokenizer = P.Metaspace()
    unigram.add_tokens(["new"])
    made.append(save(unigram, root / "twice-unigram"))
    return made


def glass():
    """A model whose ids show each piece: the bytes of its text, with a mark before every character but the first."""
    return Tokenizer(models.BPE({f"<0x{byte:02X}>": byte for byte in range(256)}, [], byte_fallback=True, continuing_subword_prefix="\x01"))


def normalizer_choices(charsmap):
    return {
        "nfc": N.NFC, "nfd": N.NFD, "nfkc": N.NFKC, "nfkd": N.NFKD, "lowercase": N.Lowercase, "accents": N.StripAccents, "nmt": N.Nmt,
        "strip": N.Strip, "strip-left": lambda: N.Strip(right=False), "bert": N.BertNormalizer,
        "bert-cased": lambda: N.BertNormalizer(lowercase=False, strip_accents=True), "bytes": N.ByteLevel, "prepend": lambda: N.Prepend("▁"),
        "replace": lambda: N.Replace(" ", "▁"), "replace-empty": lambda: N.Replace("", "-"), "replace-longer": lambda: N.Replace("e", "<é>"),
        "spaces": lambda: N.Replace(Regex(" {2,}"), " "), "digits": lambda: N.Replace(Regex(r"\p{Nd}+"), "0"),
        "marks": lambda: N.Replace(Regex(r"\p{M}|\p{Sk}"), ""), "charsmap": lambda: N.Precompiled(charsmap)}


def cut_choices(chance):
    choices = {
        "whitespace": P.Whitespace, "spaces": P.WhitespaceSplit, "bert": P.BertPreTokenizer, "bytes": lambda: P.ByteLevel(add_prefix_space=False),
        "bytes-prefix": P.ByteLevel, "bytes-whole": lambda: P.ByteLevel(use_regex=False), "digits": P.Digits,
        "single-digits": lambda: P.Digits(individual_digits=True), "delimiter": lambda: P.CharDelimiterSplit("e"),
        "metaspace": P.Metaspace, "metaspace-first": lambda: P.Metaspace(prepend_scheme="first"),
        "metaspace-whole": lambda: P.Metaspace(prepend_scheme="first", split=False), "metaspace-never": lambda: P.Metaspace(prepend_scheme="never"),
        "length": lambda: P.FixedLength(length=3)}
    for behavior in BEHAVIORS:
        choices["punctuation-" + behavior] = lambda behavior=behavior: P.Punctuation(behavior)
        choices["text-" + behavior] = lambda behavior=behavior: P.Split("ll", behavior, invert=chance.random() < 0.3)
        choices["split-" + behavior] = lambda behavior=behavior: P.Split(Regex(chance.choice(PATTERNS)), behavior, invert=chance.random() < 0.3)
    return choices


def one_by_one(root, charsmap):
    """Each step alone, each pattern alone."""
    made = []
    for name, make in normalizer_choices(charsmap).items():
        tokenizer = glass()
        tokenizer.normalizer = make()
        made.append(save(tokenizer, root / f"normal-{name}"))
    for name, make in cut_choices(random.Random(0)).items():
        if name.startswith("split-"):
            continue
        tokenizer = glass()
        tokenizer.pre_tokenizer = make()
        made.append(save(tokenizer, root / f"cut-{name}"))
    for i, pattern in enumerate(PATTERNS):
        tokenizer = glass()
        tokenizer.pre_tokenizer = P.Split(Regex(pattern), BEHAVIORS[i % len(BEHAVIORS)])
        made.append(save(tokenizer, root / f"pattern-{i}"))
    return made


def drawn(root, charsmap, count, seed):
    """Steps drawn from a seed, with added tokens of all kinds."""
    made = []
    for i in range(count):
        chance = random.Random(seed + i)
        normal, cuts = normalizer_choices(charsmap), cut_choices(chance)
        del normal["replace-empty"]  # with another step behind it the reference panics
        tokenizer = glass()
        steps = [normal[name]() for name in chance.choices(list(normal), k=chance.randrange(4))]
        tokenizer.normalizer = steps[0] if len(steps) == 1 else N.Sequence(steps) if steps else None
        steps = [cuts[name]() for name in chance.choices(list(cuts), k=chance.randrange(4))]
        tokenizer.pre_tokenizer = steps[0] if len(steps) == 1 else P.Sequence(steps) if steps else None
        words = ["hello", "World", "é", "漢", "<mask>", "ll", " x", "'s"]
        tokenizer.add_tokens([AddedToken(word, single_word=chance.random() < 0.3, lstrip=chance.random() < 0.3, rstrip=chance.random() < 0.3,
                                         normalized=chance.random() < 0.5) for word in chance.sample(words, chance.randrange(4))])
        made.append(save(tokenizer, root / f"drawn-{seed + i}"))
    return made


def folders(root, texts, charsmap, count=60, seed=1):
    texts = texts[:: max(1, len(texts) // 3000)]
    return ready_made(root, texts) + repeated(root, texts) + one_by_one(root, charsmap) + drawn(root, charsmap, count, seed)
