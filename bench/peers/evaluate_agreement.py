"""Compares two files of predictions, condlora's and PyTorch's, and prints how far they agree, as JSON.

    python evaluate_agreement.py ours.jsonl theirs.jsonl [--at-least 0.99]

Each line: {"index", "logits", "probabilities", "prediction"}. Of several logits the largest decides; a single one is a
number, and two of them agree within --tolerance. Exit status 1 where the share that agrees is below --at-least.
"""

import argparse
import json
import sys


def read_predictions(path):
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file if line.strip()]
    return {line["index"]: line for line in lines}


def largest(logits):
    return max(range(len(logits)), key=logits.__getitem__)


def compare(ours, theirs, tolerance):
    if set(ours) != set(theirs):
        raise SystemExit(f"the files hold other examples: {len(ours)} and {len(theirs)} lines, "
                         f"{len(set(ours) & set(theirs))} indices in common")
    if not ours:
        raise SystemExit("the files are empty")
    indices = sorted(ours)
    pairs = [(ours[i]["logits"], theirs[i]["logits"]) for i in indices]
    for index, (a, b) in zip(indices, pairs):
        if len(a) != len(b):
            raise SystemExit(f"index {index}: {len(a)} logits against {len(b)}")
    regression = len(pairs[0][0]) == 1
    if regression:
        agree = [abs(a[0] - b[0]) <= tolerance for a, b in pairs]
    else:
        agree = [largest(a) == largest(b) for a, b in pairs]
    differences = sorted(max(abs(x - y) for x, y in zip(a, b)) for a, b in pairs)
    result = {
        "examples": len(pairs),
        "agree": sum(agree),
        "share": sum(agree) / len(agree),
        "logit_difference": {"median": differences[len(differences) // 2], "largest": differences[-1]},
        "first_disagreements": [index for index, same in zip(indices, agree) if not same][:10],
    }
    if regression:
        result["tolerance"] = tolerance
    else:
        result["same_label"] = sum(str(ours[i]["prediction"]) == str(theirs[i]["prediction"]) for i in indices)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours")
    parser.add_argument("theirs")
    parser.add_argument("--at-least", type=float, default=0.0, help="share that must agree")
    parser.add_argument("--tolerance", type=float, default=0.05, help="of numbers that agree")
    arguments = parser.parse_args()
    result = compare(read_predictions(arguments.ours), read_predictions(arguments.theirs), arguments.tolerance)
    print(json.dumps(result, indent=2))
    sys.exit(result["share"] < arguments.at_least)


if __name__ == "__main__":
    main()
