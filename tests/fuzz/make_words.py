#!/usr/bin/env python3
"""make_words.py ROOT: a libFuzzer dictionary of the words in double quotes that the readers' sources hold."""
import pathlib
import re
import sys

FOLDERS = ("model", "train", "bench", "backends/opencl", "backends/core")
WORD = re.compile(r'"([A-Za-z_#\[\]<>/.:-][A-Za-z0-9_#\[\]<>/.:-]{1,39})"')


def main(arguments):
    root = pathlib.Path(arguments[0])
    words = set()
    for folder in FOLDERS:
        for source in sorted((root / folder).rglob("*.[cd]*")):
            words.update(WORD.findall(source.read_text(errors="replace")))
    for word in sorted(words):
        print(f'"{word}"')


if __name__ == "__main__":
    main(sys.argv[1:])
