"""Texts for tokenizer comparisons: GLUE's sentences where they are, and strings that are hard on Unicode code."""
import os
import pathlib
import random
import sys
import sysconfig


def glue_rows(folder):
    """All fields of all lines of all of GLUE's files, as (file, [fields])."""
    for path in sorted(pathlib.Path(folder).glob("*/*.tsv")):
        for line in path.read_bytes().decode("utf-8-sig").split("\n"):
            yield path, line.rstrip("\r").split("\t")


def glue_texts(folder):
    """(sentences, pairs): whole lines and single fields; neighbouring fields as pairs."""
    sentences, pairs = {}, []
    for _, fields in glue_rows(folder):
        for field in fields:
            sentences[field] = None
        long = [field for field in fields if " " in field]
        if len(long) >= 2:
            pairs.append((long[0], long[1]))
    return list(sentences), pairs


def training_texts(glue):
    """Text to train small vocabularies on: GLUE, or else the sources of Python's own library."""
    if glue:
        return [" ".join(fields) for _, fields in glue_rows(glue)]
    library = pathlib.Path(sysconfig.get_paths()["stdlib"])
    lines = [line for path in sorted(library.glob("*.py")) for line in path.read_text("utf-8", "replace").splitlines()]
    return lines[:60000]


def code_points():
    return [c for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]


def every_code_point():
    """Each code point alone, between letters, digits and punctuation, behind a space, among marks; eight a text."""
    points = code_points()
    return ["\n".join(frame.replace("*", chr(c)) for c in points[i:i + 8]
                      for frame in ("*", "a*b", "1*2", "!*!", "x*\u0301\u0323*\u0327 *", " *"))
            for i in range(0, len(points), 8)]


MARKS = "\u0300\u0301\u0323\u0327\u0345\u0334\u093c\u094d\u05b0\u05bc\u064b\u0651\u302e\u302f\U0001d165\U0001d16d"
PIECES = [
    "hello", "World", "don't", "I'll", "'sing", "we've", "O'NEIL", "'S", "3.14", "1234567", "x²", "½", "Ⅻ", "٣٤", "…", "--", "!?",
    " ", "  ", "\t", "\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u00a0", "\u2003", "\u2028", "\u3000", "\u1680", "\u180e", "\u200b",
    "\x00", "\x01", "\x7f", "\x9f", "\u00ad", "\u200d", "\u200e", "\u202b", "\u202c", "\u2066", "\u2069", "\ufeff", "\ufffd", "\ue000",
    "café", "cafe\u0301", "Å", "A\u030a", "ÅÄÖ", "İstanbul", "ı", "ΣΊΣΥΦΟΣ", "ß", "ẞ", "ǅ", "ﬁ", "ﬀ", "\u1f82", "\u0390",
    "漢字", "かな", "ガ", "ｶﾞ", "한국어", "\u1112\u1161\u11ab", "豈", "\U0002f800", "\U00020000", "\U0002b820", "\U0002b920",
    "שלום", "שָׁלוֹם", "السَّلَامُ", "ไทย", "ກໍາ", "हिन्दी", "বাংলা", "தமிழ்", "ကို", "ខ្មែរ", "བོད", "ᬅ", "𐍈", "𝔘𝔫𝔦", "𝟘𝟙",
    "🙂", "👩\u200d👩\u200d👧", "🇩🇪", "👍🏽", "☃\ufe0f", "\U000e0067", "#️⃣", "\u0301", "e\u0327\u0301", "q\u0323\u0307", "q\u0307\u0323",
    "[MASK]", "[UNK]", "[CLS]", "[mask]", "[PAD", "<mask>", " <mask>", "<s>", "</s>", "<pad>", "<unk>", "<", "[", "##ing", "Ġ", "Ċ",
    "«quoted»", "“curly”", "—", "′", "$5", "a_b", "C++", "e-mail", "@user", "#tag", "http://x.y/?q=1&r=%20", "10€", "№", "℃",
]


def random_texts(count, seed):
    chance = random.Random(seed)
    points = code_points()
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(chance.randrange(1, 14)):
            kind = chance.random()
            if kind < 0.75:
                parts.append(chance.choice(PIECES))
            elif kind < 0.9:
                parts.append("".join(chance.choice(MARKS) for _ in range(chance.randrange(1, 40))))
            else:
                parts.append(chr(chance.choice(points)))
            if chance.random() < 0.3:
                parts.append(" ")
        texts.append("".join(parts))
    return texts


def long_texts():
    """About a megabyte each: one word, one character, no spaces, only spaces, only marks."""
    chance = random.Random(3)
    megabyte = 1 << 20
    letters = "".join(chance.choice("etaoinshrdlu") for _ in range(megabyte))
    return [
        letters, "a" * megabyte, "ab" * (megabyte // 2), " " * megabyte, "\n " * (megabyte // 2), "9" * megabyte, "-" * megabyte,
        "'s" * (megabyte // 2), "é" * (megabyte // 2), "e\u0301" * (megabyte // 3), "a" + MARKS * (megabyte // 40), "漢" * (megabyte // 3),
        "🙂" * (megabyte // 4), "\u3000" * (megabyte // 3), "\u3000x" * (megabyte // 4), "\ufffd" * (megabyte // 3), "[MASK]" * (megabyte // 6),
        " <mask>" * 4000, "[" * megabyte, "<" * megabyte, "the quick brown fox " * (megabyte // 20), "a" * 100 + " " + "b" * 101,
        "é" * 100 + " " + "é" * 101, "e\u0301" * 100 + " x", "\x01a" * 101,
    ]


ILL_FORMED = [
    b"\x80", b"\xff", b"a\xc3", b"a\xc3b", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xe1\x80", b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbfA",
    b"\xed\xa0\x80", b"\xed\xbf\xbf x", b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80", b"\xf4\x90\x80\x80", b"\xf4\x8f\xbf", b"\xf8\x88\x80\x80\x80",
    b"caf\xe9 na\xefve", b"\xe6\xbc \xa2", b"x\xf0\x9f\x99", b"\xf0\x9f\x99\x82\x82", b"<mask>\xff[MASK]\xfe", b"\xff" * 5000,
]


def ill_formed_bytes(count, seed):
    chance = random.Random(seed)
    texts = list(ILL_FORMED)
    for _ in range(count):
        text = bytearray("".join(chance.choice(PIECES) for _ in range(6)).encode())
        for _ in range(chance.randrange(1, 6)):
            text[chance.randrange(len(text))] = chance.randrange(256)
        texts.append(bytes(text))
    return texts


def glue_folder():
    return os.environ.get("CDL_GLUE_DIR")
