"""Model folders with tokenizers of many kinds, written with the real libraries."""
import base64
import io
import json
import pathlib
import shutil

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as sentencepiece_model
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertTokenizerFast, RobertaTokenizerFast, XLMRobertaTokenizerFast

ROBERTA_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]


def write(folder, name, value):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def train_bpe(texts, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=ROBERTA_SPECIALS, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False, special=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def save(tokenizer, folder):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def save_bpe_vocabulary(tokenizer, folder, config=None):
    """vocab.json with <mask> at its end, and merges.txt: as RoBERTa's checkpoints have them."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.model.save(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text())
    vocabulary["<mask>"] = tokenizer.token_to_id("<mask>")
    write(folder, "vocab.json", json.dumps(vocabulary, ensure_ascii=False))
    write(folder, "config.json", {"model_type": "roberta"})
    if config is not None:
        write(folder, "tokenizer_config.json", config)
    return folder


def bpe_folders(root, texts, size):
    """(json form, vocabulary form): each a list of folders."""
    plain = train_bpe(texts, size)
    json_form, vocabulary_form = [save(plain, root / "bpe")], [save_bpe_vocabulary(plain, root / "bpe-vocab")]

    def variant(name, change):
        tokenizer = Tokenizer.from_str(plain.to_str())
        change(tokenizer)
        json_form.append(save(tokenizer, root / name))

    def prefix(t):
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=False,
                                                        add_prefix_space=True)

    def no_regex(t):
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        t.post_processor = processors.ByteLevel(trim_offsets=False)

    def many_added(t):
        t.add_tokens([AddedToken("hello", single_word=True), AddedToken("World", lstrip=True, rstrip=True),
                      AddedToken("漢字", normalized=False), AddedToken(" x", normalized=True),
                      AddedToken("\u3000", rstrip=True),
                      AddedToken("é", single_word=True, normalized=False), "<m", "<mas"])
        t.add_special_tokens([AddedToken("<sep>", rstrip=True), AddedToken("'s", single_word=True)])
        t.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s>:1 <two>:2 $B:3 </s>:4",
            special_tokens=[("<s>", 0), ("</s>", 2), {"id": "<two>", "ids": [2, 2], "tokens": ["</s>", "</s>"]}])

    def no_processor(t):
        t.post_processor = None

    def sequence(t):
        t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B:1", special_tokens=[("<s>", 0)])])

    for name, change in (("bpe-prefix", prefix), ("bpe-no-regex", no_regex), ("bpe-added", many_added),
                         ("bpe-no-processor", no_processor), ("bpe-sequence", sequence)):
        variant(name, change)

    state = json.loads(plain.to_str())
    state["model"]["ignore_merges"] = True
    write(root / "bpe-whole", "tokenizer.json", state)
    state = json.loads(plain.to_str())
    state["model"]["merges"] = [" ".join(merge) for merge in state["model"]["merges"]]  # the older spelling
    write(root / "bpe-older", "tokenizer.json", state)
    json_form += [root / "bpe-whole", root / "bpe-older"]

    for fuse in (False, True):  # a vocabulary that lacks some bytes
        state = json.loads(plain.to_str())
        lost = {"Ã", "©", "Ċ", "a", "!"}
        kept = [token for token in state["model"]["vocab"] if not set(token) & lost or token in ROBERTA_SPECIALS]
        state["model"]["vocab"] = {token: i for i, token in enumerate(kept)}
        state["model"]["merges"] = [m for m in state["model"]["merges"] if not set("".join(m)) & lost]
        state["model"].update(unk_token="<unk>", fuse_unk=fuse)
        state["added_tokens"] = state["added_tokens"][:4]
        write(root / f"bpe-lacking-{fuse}", "tokenizer.json", state)
        json_form.append(root / f"bpe-lacking-{fuse}")

    saved = RobertaTokenizerFast(tokenizer_object=plain, add_prefix_space=True, additional_special_tokens=["<x>"])
    saved.save_pretrained(root / "bpe-saved")
    json_form.append(root / "bpe-saved")
    vocabulary_form.append(save_bpe_vocabulary(plain, root / "bpe-vocab-config", {
        "tokenizer_class": "RobertaTokenizer", "add_prefix_space": True, "additional_special_tokens": ["<x>"],
        "mask_token": "<mask>"}))
    vocabulary_form.append(save_bpe_vocabulary(plain, root / "bpe-vocab-decoder", {"added_tokens_decoder": {
        str(size + 1): {"content": "hello wor", "lstrip": False, "rstrip": True, "normalized": True,
                        "single_word": True, "special": False}}}))
    older = save_bpe_vocabulary(plain, root / "bpe-vocab-older", {})
    write(older, "special_tokens_map.json", {"cls_token": "<s>", "additional_special_tokens": [
        "<y>", {"content": "<z>", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}],
        "mask_token": {"content": "<mask>", "lstrip": True, "rstrip": True, "normalized": True, "single_word": False}})
    write(older, "added_tokens.json", {"漢字": size + 1, "<z>": size + 2})
    vocabulary_form.append(older)
    return json_form, vocabulary_form


def train_wordpiece(folder, texts, size):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    save(tokenizer, folder)
    tokenizer.model.save(str(folder))
    return folder


def wordpiece_folders(root, model):
    """The same for WordPiece, from the vocabulary of the folder `model`."""
    state = json.loads((model / "tokenizer.json").read_text())
    state.update(truncation=None, padding=None)
    size = len(state["model"]["vocab"])
    json_form, vocabulary_form = [model], []

    def variant(name, change):
        tokenizer = Tokenizer.from_str(json.dumps(state))
        change(tokenizer)
        json_form.append(save(tokenizer, root / name))

    def normalizer(**settings):
        def change(t):
            t.normalizer = normalizers.BertNormalizer(**settings)
        return change

    def added(t):
        t.add_tokens([AddedToken("hello", single_word=True), AddedToken("World", lstrip=True, rstrip=True),
                      AddedToken("Café", normalized=True), AddedToken("ガ", normalized=True),
                      AddedToken("##ing", normalized=False), AddedToken("漢", single_word=True, normalized=False),
                      AddedToken("İ", normalized=True), "[CLSX]", "[C"])
        t.add_special_tokens([AddedToken("[NEW]", lstrip=True, rstrip=True), AddedToken("<mask>", normalized=True)])

    def bert(t):
        t.post_processor = processors.BertProcessing(*((name, t.token_to_id(name)) for name in ("[SEP]", "[CLS]")))

    def none(t):
        t.normalizer = None
        t.post_processor = None

    for name, change in (
            ("wp-cased", normalizer(lowercase=False)),
            ("wp-cased-strip", normalizer(lowercase=False, strip_accents=True)),
            ("wp-accents", normalizer(lowercase=True, strip_accents=False)),
            ("wp-no-clean", normalizer(clean_text=False)),
            ("wp-no-ideographs", normalizer(handle_chinese_chars=False)),
            ("wp-added", added), ("wp-bert", bert), ("wp-none", none)):
        variant(name, change)

    # A token for every code point that may be assigned: ids that show the normalized text itself.
    points = [chr(c) for c in range(1, 0x32400) if not 0xD800 <= c < 0xE000] + [chr(c) for c in range(0xE0000, 0xE0200)]
    tokens = ["[UNK]", "[CLS]", "[SEP]"] + points + ["##" + c for c in points]
    for name, settings in (("wp-every", {}), ("wp-every-cased", {"lowercase": False}),
                           ("wp-every-accents", {"strip_accents": False})):
        every = Tokenizer(models.WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]"))
        every.normalizer = normalizers.BertNormalizer(**settings)
        every.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        every.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
        json_form.append(save(every, root / name))

    other = json.loads(json.dumps(state))
    other["model"].update(max_input_chars_per_word=5, continuing_subword_prefix="")
    write(root / "wp-short", "tokenizer.json", other)
    json_form.append(root / "wp-short")

    saved = BertTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state)), do_lower_case=False)
    saved.add_tokens([AddedToken("hello", single_word=True), AddedToken("Café", lstrip=True)])
    saved.save_pretrained(root / "wp-saved")
    save(Tokenizer.from_str(json.dumps(state)), root / "wp-override")  # the settings contradict the file
    write(root / "wp-override", "tokenizer_config.json", {
        "tokenizer_class": "BertTokenizer", "do_lower_case": False, "tokenize_chinese_chars": False, "strip_accents": None})
    json_form += [root / "wp-saved", root / "wp-override"]

    def vocabulary(name, config, **files):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(model / "vocab.txt", folder / "vocab.txt")
        write(folder, "config.json", {"model_type": "bert"})
        if config is not None:
            write(folder, "tokenizer_config.json", config)
        for file, value in files.items():
            write(folder, file + ".json", value)
        vocabulary_form.append(folder)

    vocabulary("wp-vocab", None)
    vocabulary("wp-vocab-cased", {"do_lower_case": False})
    vocabulary("wp-vocab-strip", {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False})
    vocabulary("wp-vocab-accents", {"do_lower_case": True, "strip_accents": False, "tokenizer_class": "BertTokenizer"})
    vocabulary("wp-vocab-map", {}, special_tokens_map={"mask_token": "[MASK]", "additional_special_tokens": ["[MASK]", "[NEW]"]},
               added_tokens={"e-mail": size, "#tag": size + 1, "[NEW]": size + 2})
    vocabulary("wp-vocab-mpnet", {"tokenizer_class": "MPNetTokenizer", "cls_token": "[CLS]", "sep_token": "[SEP]",
                                  "model_input_names": ["input_ids", "token_type_ids"]})
    return json_form, vocabulary_form


def train_sentencepiece(folder, texts, size, rule="nmt_nfkc", symbols=()):
    """sentencepiece.bpe.model with SentencePiece's own trainer; the folder."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text for text in texts if text), model_writer=written, vocab_size=size, model_type="unigram",
        normalization_rule_name=rule, user_defined_symbols=list(symbols), character_coverage=0.9999, hard_vocab_limit=False,
        num_threads=1, num_sub_iterations=1, minloglevel=2)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sentencepiece.bpe.model").write_bytes(written.getvalue())
    write(folder, "config.json", {"model_type": "xlm-roberta"})
    return folder


def charsmap_of(folder):
    model = sentencepiece_model.ModelProto()
    model.ParseFromString((folder / "sentencepiece.bpe.model").read_bytes())
    return model.normalizer_spec.precompiled_charsmap


def xlm_processor():
    return processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
                                         special_tokens=[("<s>", 0), ("</s>", 2)])


def unigram_folders(root, texts, size):
    """The same for SentencePiece's unigram model."""
    texts = texts[:: max(1, len(texts) // 12000)]
    base = train_sentencepiece(root / "ug-vocab", texts, size)
    folded = train_sentencepiece(root / "ug-vocab-folded", texts, 1500, "nmt_nfkc_cf", ["漢字", "hello wor", "<x>"])
    bare = train_sentencepiece(root / "ug-vocab-identity", texts, 1500, "identity")
    camembert = root / "ug-vocab-camembert"
    shutil.copytree(base, camembert)
    write(camembert, "config.json", {"model_type": "camembert"})
    vocabulary_form = [base, folded, bare, camembert]
    plain = XLMRobertaTokenizerFast(vocab_file=str(base / "sentencepiece.bpe.model")).backend_tokenizer
    charsmap = charsmap_of(base)
    json_form = [save(plain, root / "ug")]

    def variant(name, change):
        tokenizer = Tokenizer.from_str(plain.to_str())
        change(tokenizer)
        json_form.append(save(tokenizer, root / name))

    def metaspace(**settings):
        def change(t):
            t.pre_tokenizer = pre_tokenizers.Metaspace(**settings)
        return change

    def one_space(t):
        t.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])

    def stripped(t):
        t.normalizer = normalizers.Sequence([normalizers.Replace("e", "ee"), normalizers.Strip(), normalizers.Replace("aa", "")])
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")])

    def added(t):
        t.add_tokens([AddedToken("hello", single_word=True), AddedToken("World", lstrip=True, rstrip=True),
                      AddedToken("ﬁ", normalized=True), AddedToken("漢", normalized=False), AddedToken("  x", normalized=True)])
        t.add_special_tokens([AddedToken("<sep>", rstrip=True), AddedToken("½", normalized=True)])

    for name, change in (("ug-first", metaspace(prepend_scheme="first")), ("ug-never", metaspace(prepend_scheme="never")),
                         ("ug-no-split", metaspace(split=False)), ("ug-letter", metaspace(replacement="_")),
                         ("ug-one-space", one_space), ("ug-stripped", stripped), ("ug-added", added)):
        variant(name, change)

    state = json.loads(plain.to_str())  # as the model's own folder on the hub has it
    state["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()}
    space = {"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": True}
    state["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, space]}
    write(root / "ug-older", "tokenizer.json", state)
    json_form.append(root / "ug-older")

    trained = Tokenizer(models.Unigram())
    trained.normalizer = normalizers.Precompiled(charsmap)
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(texts[::4], trainers.UnigramTrainer(
        vocab_size=1200, special_tokens=ROBERTA_SPECIALS, unk_token="<unk>", show_progress=False))
    trained.post_processor = xlm_processor()
    json_form.append(save(trained, root / "ug-trained"))

    # A piece for every code point: ids that show the normalized text itself.
    points = [chr(c) for c in range(1, 0x32400) if not 0xD800 <= c < 0xE000] + [chr(c) for c in range(0xE0000, 0xE0200)]
    every = Tokenizer(models.Unigram([(token, 0.0) for token in ROBERTA_SPECIALS] + [(c, -1.0) for c in points], 3, False))
    every.normalizer, every.pre_tokenizer, every.post_processor = plain.normalizer, plain.pre_tokenizer, xlm_processor()
    json_form.append(save(every, root / "ug-every"))

    saved = XLMRobertaTokenizerFast(vocab_file=str(base / "sentencepiece.bpe.model"), additional_special_tokens=["<x>"])
    saved.add_tokens([AddedToken("hello", single_word=True), AddedToken("Café", lstrip=True)])
    saved.save_pretrained(root / "ug-saved", legacy_format=False)
    json_form.append(root / "ug-saved")
    saved.save_pretrained(root / "ug-vocab-saved", legacy_format=True)
    (root / "ug-vocab-saved" / "tokenizer.json").unlink(missing_ok=True)
    write(root / "ug-vocab-saved", "config.json", {"model_type": "xlm-roberta"})
    vocabulary_form.append(root / "ug-vocab-saved")
    return json_form, vocabulary_form


def folders(root, model, texts, size=6000):
    """All of them, the one of WordPiece that the others come from first among its kind; `model` None trains one."""
    root = pathlib.Path(root)
    model = pathlib.Path(model) if model else train_wordpiece(root / "wp", texts, size)
    bpe_json, bpe_vocabulary = bpe_folders(root, texts, size)
    piece_json, piece_vocabulary = wordpiece_folders(root, model)
    unigram_json, unigram_vocabulary = unigram_folders(root, texts, size)
    return bpe_json + piece_json + unigram_json, bpe_vocabulary + piece_vocabulary + unigram_vocabulary
