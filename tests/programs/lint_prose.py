"""The linter of documents and comments finds what it is to find, and nothing in what is right.

    python3 lint_prose.py LINTER
"""

import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile

RIGHT_MARKDOWN = """# A title. With two sentences.

A sentence with a [link](other.md#a-heading), `code. Not a sentence`, 3.5 GB, e.g. This, and (an aside. Two.)
A second one ends with a colon:

    code. Is Not looked at

* **A lead.** Then a sentence.
  Then another, which names
* an item without an end

1. First.
2. See <https://example.org/A.B>.

| a | b |
|---|---|
| one. Two | `x | y` and \\| |

   | indented | table |
   |---|---|
   | one | two |

```
fenced. Code
| no | table | this |
```
"""
RIGHT_HEADER = """/* A comment that stays within its columns. */
#ifndef CONDLORA_BASE_RIGHT_H
#define CONDLORA_BASE_RIGHT_H
static const char text[] = "a string that is longer than a hundred columns is no comment /* and this is none either */";
#endif
"""
LONG = "x" * 101
# (file, content, what the one fault says)
WRONG = [
    ("two.md", "One sentence. Another one.\n", "two.md:1: a second sentence"),
    ("quoted.md", 'He says "no." Then he goes.\n', "quoted.md:1: a second sentence"),
    ("linked.md", "One sentence. [other.md](other.md) has more.\n", "linked.md:1: a second sentence"),
    ("item.md", "* One.\n* Two. Three.\n", "item.md:2: a second sentence"),
    ("broken.md", "A sentence that goes\non in the next line.\n", "broken.md:1: the sentence goes on"),
    ("long.md", "A sentence of many " + "words " * 40 + "words.\n", "long.md:1: 265 characters"),
    ("blank.md", "| a | b |\n|---|---|\n| 1 | 2 |\n\n| 3 | 4 |\n", "blank.md:5: a row without a head"),
    ("cells.md", "| a | b |\n|---|---|\n| 1 | 2 | 3 |\n", "cells.md:3: 3 cells under a head of 2"),
    ("dead.md", "See [it](nowhere.md).\n", "dead.md:1: the link nowhere.md leads nowhere"),
    ("anchor.md", "See [it](other.md#not-there).\n", "anchor.md:1: the link other.md#not-there names no"),
    ("own.md", "# One\n\nSee [it](#two).\n", "own.md:3: the link #two names no heading"),
    ("cell.md", "| a |\n|---|\n| [it](gone.md) |\n", "cell.md:3: the link gone.md leads nowhere"),
    ("word.md", "It counts the trained numbers.\n", "word.md:1: write trainable parameters"),
    ("phrase.md", "It is likewise.\n", "phrase.md:1: write the same"),
    ("base/long.c", f"/* {LONG} */\n", "base/long.c:1: a comment in 107 columns"),
    ("base/within.c", f"/* a\n * {LONG}\n */\n", "base/within.c:2: a comment in 104 columns"),
    ("base/after.c", f"int {'x' * 90}; /* behind code */\n", "base/after.c:1: a comment in 113 columns"),
    ("base/line.c", f"// {LONG}\n", "base/line.c:1: a comment in 104 columns"),
    ("base/word.c", "/* The behavior of it. */\n", "base/word.c:1: write behaviour"),
    ("base/no.h", "int x;\n", "base/no.h:1: the guard is missing, not CONDLORA_BASE_NO_H"),
    ("base/g.h", "#ifndef CDL_G_H\n#define CDL_G_H\n#endif\n", "base/g.h:1: the guard is CDL_G_H, not"),
    ("include/condlora/p.h", "#ifndef CONDLORA_INCLUDE_P_H\n#define CONDLORA_INCLUDE_P_H\n#endif\n",
     "include/condlora/p.h:1: the guard is CONDLORA_INCLUDE_P_H, not CONDLORA_P_H"),
]  # fmt: skip


def load(path):
    loader = importlib.machinery.SourceFileLoader("lint_prose", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("lint_prose", loader))
    loader.exec_module(module)
    return module


def faults_of(linter, files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder).resolve()
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, encoding="utf-8")
        return linter.Linter(root).check()


def main():
    sys.dont_write_bytecode = True
    linter, failed = load(sys.argv[1]), 0
    right = {"right.md": RIGHT_MARKDOWN, "other.md": "## A heading\n", "base/right.h": RIGHT_HEADER}
    for fault in faults_of(linter, right):
        failed += 1
        print(f"found in what is right: {fault}")
    for name, content, wanted in WRONG:
        faults = faults_of(linter, {"other.md": "## A heading\n", name: content})
        if len(faults) != 1 or not faults[0].startswith(wanted):
            failed += 1
            print(f"{name}: expected '{wanted}…' alone, found {faults}")
    print(f"{len(WRONG) + 1 - failed} cases passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
