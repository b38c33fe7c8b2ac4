"""Ids of the C tokenizers against Hugging Face's: GLUE (where CDL_GLUE_DIR points), every code point, hard strings.

    python tokenizer_parity.py --program PATH/TO/encode-lines [--model BERT_FOLDER] [--quick]

`tokenizers` is the truth for folders with nothing but a tokenizer.json, Transformers' AutoTokenizer for all others.
Without --quick it also prints the speed of both, on one thread. Exit status 0 when all ids, type ids and truncations
agree.
"""
import argparse
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from tokenizers import Tokenizer  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

import tokenizer_folders  # noqa: E402
import tokenizer_pipelines  # noqa: E402
import tokenizer_texts as texts_of  # noqa: E402

NO_SECOND = 0xFFFFFFFF
FAILURES = []


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def as_text(text):
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def records(cases):
    parts = []
    for first, second, max_length in cases:
        first = as_bytes(first)
        parts.append(struct.pack("=III", len(first), NO_SECOND if second is None else len(as_bytes(second)), max_length))
        parts.append(first)
        parts.append(b"" if second is None else as_bytes(second))
    return b"".join(parts)


def ours(program, folder, cases):
    """Yields (ids, type ids, truncated) of each case. One call of the program takes them all, for it opens the folder once."""
    done = subprocess.run([program, folder], input=records(cases), capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{folder}: exit {done.returncode}: {done.stderr.decode()}")
    out, at = done.stdout, 0
    for _ in cases:
        count, truncated = struct.unpack_from("=II", out, at)
        ids = struct.unpack_from(f"={count}i", out, at + 8)
        types = struct.unpack_from(f"={count}i", out, at + 8 + 4 * count)
        yield ids, types, bool(truncated)
        at += 8 + 8 * count


def reference(folder):
    if (folder / "tokenizer.json").exists() and not (folder / "tokenizer_config.json").exists():
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    else:
        tokenizer = AutoTokenizer.from_pretrained(str(folder)).backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def theirs(tokenizer, case):
    first, second, max_length = case
    if max_length:
        tokenizer.enable_truncation(max_length, strategy="longest_first")
    else:
        tokenizer.no_truncation()
    arguments = [as_text(first)] + ([] if second is None else [as_text(second)])
    encoding = tokenizer.encode(*arguments)
    return tuple(encoding.ids), tuple(encoding.type_ids), bool(encoding.overflowing)


def compare(program, folder, tokenizer, kinds):
    """`kinds`: (what, cases) of each."""
    answers = ours(program, folder, [case for _, cases in kinds for case in cases])
    for what, cases in kinds:
        bad = 0
        for case, mine in zip(cases, answers):
            expected = theirs(tokenizer, case)
            if not case[2]:
                mine, expected = mine[:2], expected[:2]
            if mine == expected:
                continue
            bad += 1
            if bad == 1:
                print(f"  differs: {folder.name}: {what}: {str(case)[:200]!r}\n    ours   {str(mine)[:300]}\n    theirs {str(expected)[:300]}")
        if bad:
            FAILURES.append(f"{folder.name}: {what}: {bad} of {len(cases)}")
    return sum(len(cases) for _, cases in kinds)


def truncations(tokenizer, pairs):
    cases = []
    for i, (first, second) in enumerate(pairs):
        for length in (3, 4, 5, 6, 7, 8, 13, 16, 31, 64):
            cases.append((first, second if i % 3 else None, length))
            cases.append((second, first, length))
    return [case for case in cases if tokenizer.num_special_tokens_to_add(case[1] is not None) <= case[2]]


def speed(program, folder, tokenizer, sentences):
    """MB/s of both on the same sentences, by processor time, best of rounds."""
    size = sum(len(as_bytes(s)) for s in sentences)
    data = records([(s, None, 0) for s in sentences])
    line = subprocess.run([program, folder, "--time", "5"], input=data, capture_output=True, check=True).stdout
    mine, opening = map(float, line.split())
    tokenizer.no_truncation()
    best = 1e30
    for _ in range(3):
        begin = time.process_time()
        tokenizer.encode_batch_fast(sentences)
        best = min(best, time.process_time() - begin)
    begin = time.process_time()
    Tokenizer.from_file(str(folder / "tokenizer.json"))
    their_opening = time.process_time() - begin
    print(f"{folder.name}: {size / mine / 1e6:.1f} MB/s, theirs {size / best / 1e6:.1f} MB/s, {best / mine:.1f} times as fast; "
          f"opening {1e3 * opening:.1f} ms, theirs {1e3 * their_opening:.1f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="the encode_lines program")
    parser.add_argument("--model", help="a BERT folder with tokenizer.json and vocab.txt; without one, a vocabulary is trained")
    parser.add_argument("--quick", action="store_true", help="a sample of code points and sentences")
    parser.add_argument("--only", help="folders whose name contains this")
    parser.add_argument("--drawn", type=int, default=24, help="how many lists of steps are drawn")
    parser.add_argument("--seed", type=int, default=1, help="of the first of them")
    options = parser.parse_args()
    program = str(pathlib.Path(options.program).resolve())
    glue = texts_of.glue_folder()
    if not glue:
        print("skipped: GLUE's sentences: CDL_GLUE_DIR is not set")
    sentences, pairs = texts_of.glue_texts(glue) if glue else ([], [])
    hard = texts_of.random_texts(4000, 1)
    hard_pairs = list(zip(texts_of.random_texts(300, 2), texts_of.random_texts(300, 5)))
    points = texts_of.every_code_point()
    long = texts_of.long_texts()
    bad = texts_of.ill_formed_bytes(2000, 4)
    if options.quick:
        sentences, pairs, points, long = sentences[::20], pairs[::20], points[::97], long[:2] + long[-4:]
        hard, hard_pairs, bad = hard[::4], hard_pairs[:60], bad[::4]
    with tempfile.TemporaryDirectory() as root:
        training = texts_of.training_texts(glue)
        json_form, vocabulary_form = tokenizer_folders.folders(root, options.model, training)
        byte_bpe = json_form[0]
        base = next(folder for folder in json_form if (folder / "vocab.txt").exists())
        unigram = next(folder for folder in json_form if folder.name == "ug")
        whole = {"bpe", "bpe-vocab", "wp-cased", "wp-vocab", base.name, "ug", "ug-older", "ug-vocab"}
        if options.only:
            json_form, vocabulary_form = ([f for f in form if options.only in f.name] for form in (json_form, vocabulary_form))
        by_points = {"bpe", "wp-every", "wp-every-cased", "wp-every-accents", "ug", "ug-every"}
        for folder in json_form + vocabulary_form:
            begin = time.time()
            tokenizer = reference(folder)
            every = folder.name in whole
            count = compare(program, folder, tokenizer, (
                ("sentences", [(s, None, 0) for s in (sentences if every else sentences[::10])]),
                ("pairs", [(a, b, 0) for a, b in (pairs if every else pairs[::10])]),
                ("truncation", truncations(tokenizer, pairs[::300] + [(a[:12], b[:16]) for a, b in hard_pairs[:30]])),
                ("hard strings", [(s, None, 0) for s in (hard if every else hard[::4]) + ["", " ", "  a ", "\x00"]]),
                ("hard pairs", [(a, b, 0) for a, b in hard_pairs] + [("", "", 0), ("a", "", 0), ("", "b", 9)]),
                ("ill-formed bytes", [(s, None, 0) for s in (bad if every else bad[::4])]),
                ("every code point", [(s, None, 0) for s in (points if folder.name in by_points else points[::97])]),
                ("long texts", [(s, None, 0) for s in (long if every else long[-4:])])))
            print(f"{folder.name}: {count} texts, {time.time() - begin:.1f} s", flush=True)
        pipelines = tokenizer_pipelines.folders(pathlib.Path(root), training, tokenizer_folders.charsmap_of(pathlib.Path(root) / "ug-vocab"),
                                                options.drawn, options.seed)
        begin, count = time.time(), 0
        texts = hard[::12 if options.quick else 1] + training[:: max(1, len(training) // 100)] + ["", " ", "  a ", "\x00"]
        for folder in pipelines:
            if options.only is None or options.only in folder.name:
                tokenizer = reference(folder)
                alone = folder.name.startswith(("normal-", "cut-", "pattern-"))
                some = points[::1 if alone and not options.quick else 17]
                count += compare(program, folder, tokenizer, (
                    ("hard strings", [(s, None, 0) for s in texts]),
                    ("every code point", [(s, None, 0) for s in some]),
                    ("ill-formed bytes", [(s, None, 0) for s in bad[:40]])))
        print(f"{len(pipelines)} lists of steps: {count} texts, {time.time() - begin:.1f} s", flush=True)
        if not options.quick:
            timed = [s for s in (sentences or training) if len(s) > 20][:60000]
            for folder in (byte_bpe, base, unigram):
                if options.only is None or options.only in folder.name:
                    speed(program, folder, reference(folder), timed)
    for failure in FAILURES:
        print("FAILED", failure)
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
