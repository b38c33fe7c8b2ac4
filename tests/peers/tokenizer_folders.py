"""Model folders with tokenizers of many kinds, written with the real libraries."""
import json
import pathlib
import shutil

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertTokenizerFast, RobertaTokenizerFast

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
    return json_form, vocabulary_form


def folders(root, model, texts, size=6000):
    """All of them, the one of WordPiece that the others come from first among its kind; `model` None trains one."""
    root = pathlib.Path(root)
    model = pathlib.Path(model) if model else train_wordpiece(root / "wp", texts, size)
    bpe_json, bpe_vocabulary = bpe_folders(root, texts, size)
    piece_json, piece_vocabulary = wordpiece_folders(root, model)
    return bpe_json + piece_json, bpe_vocabulary + piece_vocabulary
