"""Draws the README's two pictures: overview.svg and, from the figures in bench/results, speed.svg.

    python readme_figures.py            writes both beside this file
    python readme_figures.py --check    fails if a file differs from what would be written

Both pictures have a light ground of their own, so that they read on a white page and on a dark one.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE.parents[1] / "bench" / "results"
FROZEN, TRAINED, DERIVED = "#d7dce2", "#f0a868", "#9cc3e6"
OURS, THEIRS, INK, FAINT = "#d9772b", "#aab3bf", "#222222", "#555555"


def text(x, y, words, anchor="middle", size=14, fill=INK, weight="normal"):
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}" fill="{fill}"'
        f' font-weight="{weight}">{words}</text>\n'
    )


def box(x, y, width, height, fill, label=""):
    shape = f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}"'
    shape += ' stroke="#333"/>\n'
    return shape + (text(x + width / 2, y + height / 2 + 5, label) if label else "")


def arrow(x1, y1, x2, y2):
    line = f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="#333"'
    return line + ' marker-end="url(#tip)"/>\n'


def svg(width, height, title, *parts):
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" font-family="sans-serif" role="img">\n<title>{title}</title>\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#333"/></marker></defs>\n'
        f'<rect width="{width}" height="{height}" rx="8" fill="#fbfbfa" stroke="#c9ced6"/>\n'
        f'{"".join(parts)}</svg>\n'
    )


def overview():
    """LoRA's pairs, one a layer, beside CondLoRA's one pair for all layers."""
    parts = [
        text(190, 32, "LoRA", size=18, weight="bold"),
        text(190, 54, "each layer trains its own A and B", fill=FAINT),
        text(590, 32, "CondLoRA", size=18, weight="bold"),
        text(590, 54, "one shared linear layer makes every A and B", fill=FAINT),
        '<line x1="375" y1="20" x2="375" y2="290" stroke="#c9ced6"/>\n',
    ]
    for row, layer in enumerate(("1", "2", "12")):
        y = 78 + 62 * row + (14 if row == 2 else 0)
        parts += [
            box(60, y, 90, 44, FROZEN, f"W{layer}"),
            text(172, y + 27, "+"),
            box(194, y, 18, 44, TRAINED),
            text(226, y + 27, "·"),
            box(240, y + 13, 90, 18, TRAINED),
            text(203, y + 27, "B", size=12),
            text(285, y + 27, "A", size=12),
            box(400, y, 90, 44, FROZEN, f"W{layer}"),
            arrow(492, y + 22, 536, 166),
            arrow(610, 166, 640, y + 22),
            box(644, y, 18, 44, DERIVED),
            text(675, y + 27, "·"),
            box(688, y + 13, 70, 18, DERIVED),
            text(653, y + 27, "B", size=12),
            text(723, y + 27, "A", size=12),
        ]
    parts += [text(x, 211, "⋮", size=18) for x in (105, 262, 445, 701)]
    parts += [box(540, 134, 70, 64, TRAINED, "θA, θB")]
    parts += [
        text(190, 284, "294,912 trainable parameters", weight="bold"),
        text(590, 284, "24,576 trainable parameters", weight="bold"),
    ]
    for x, fill, word in ((60, FROZEN, "frozen"), (150, TRAINED, "trained"), (246, DERIVED, "derived")):
        parts += [box(x, 306, 14, 14, fill), text(x + 20, 318, word, "start", 13)]
    parts.append(text(760, 318, "RoBERTa-base, rank 8, query and value", "end", 13, FAINT))
    return svg(780, 336, "LoRA trains a pair in each layer; CondLoRA trains one for all", *parts)


def result(name):
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def speed():
    """Three measures of both programs on two models, a pair of bars each."""
    runs = [
        ("MiniLM, 6 layers, MRPC", result("speed-minilm-mrpc.json")),
        ("RoBERTa-base's shape, RTE", result("speed-roberta-base-rte.json")),
    ]
    measures = [
        ("examples per second", "more is better", "examples_per_s", 1, "{:.0f}", "{:.1f}"),
        ("seconds to the first step", "less is better", "first_step_s", 1, "{:.1f} s", "{:.1f} s"),
        ("peak memory", "less is better", "peak_bytes", 1e-9, "{:.2f} GB", "{:.2f} GB"),
    ]
    parts = [box(24, 20, 14, 14, OURS), text(44, 32, "condlora", "start")]
    parts += [box(128, 20, 14, 14, THEIRS), text(148, 32, "PyTorch + PEFT", "start")]
    for column, (title, hint, key, factor, *formats) in enumerate(measures):
        left = 24 + 250 * column
        parts += [
            text(left, 68, title, "start", 15, weight="bold"),
            text(left, 86, hint, "start", 12, FAINT),
        ]
        for row, (model, run) in enumerate(runs):
            y = 112 + 84 * row
            values = [run["methods"]["condlora"][who][key] * factor for who in ("condlora", "torch")]
            parts.append(text(left, y, model, "start", 12, FAINT))
            for bar, (value, fill) in enumerate(zip(values, (OURS, THEIRS))):
                width = max(2, 150 * value / max(values))
                top = y + 8 + 24 * bar
                parts.append(
                    f'<rect x="{left}" y="{top}" width="{width:.1f}" height="20" fill="{fill}"/>\n'
                )
                shown = formats[row].format(value)
                parts.append(text(left + width + 6, top + 15, shown, "start", 13))
    first = runs[0][1]
    for _, run in runs:
        assert all(run[key] == first[key] for key in ("device", "date", "peers", "system", "batch_size"))
    device = first["device"].rsplit(", ", 1)[0]
    parts += [
        text(24, 290, f"CondLoRA, rank 8, batch {first['batch_size']}, float32, dynamic padding; "
             f"one run each, {first['date']}.", "start", 12, FAINT),
        text(24, 307, f"{device}; {first['peers']}.", "start", 12, FAINT),
    ]
    return svg(780, 322, "Speed, start-up and memory of condlora and of PyTorch", *parts)


def main():
    stale = []
    for name, drawing in (("overview.svg", overview()), ("speed.svg", speed())):
        path = HERE / name
        if "--check" not in sys.argv[1:]:
            path.write_text(drawing, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != drawing:
            stale.append(name)
            print(f"docs/images/{name} is not what docs/images/readme_figures.py draws; run it")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
