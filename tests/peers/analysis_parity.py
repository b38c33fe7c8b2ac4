"""Every number of `condlora analyze` against torch.linalg in float64 on the same weights.

    python analysis_parity.py PATH/TO/condlora

The adapters are trained here, on a small BERT. Exit status 0 when all agree; each disagreement is a line.
"""

import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoModel

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
CASE = pathlib.Path(__file__).resolve().parent.parent / "data" / "cases" / "bert-condlora-paper"
MODEL = CASE / "model"
LAYERS = json.loads((MODEL / "config.json").read_text())["num_hidden_layers"]
SQUARE, WIDE = ["attention.self.query", "attention.self.value"], ["intermediate.dense"]
# Rounding times condition number over the gap of singular values, which are apart here.
BOUND = 1e-7
# Both sides run the model in float32.
STATES_BOUND = 1e-5
EXAMPLES = 11
failures = []


def run(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"condlora {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def train(folder, method, targets, *options):
    low_rank = [] if method == "full" else ["--rank", 4, "--targets", ",".join(targets)]
    run("train", "--model", MODEL, "--train", CASE / "train.tsv", "--text-columns", "sentence1", "--label-column", "label",
        "--method", method, *low_rank, "--max-steps", 8, "--eval-every", 0, "--dev-fraction", 0, *options, "--output", folder)
    return folder / ("model" if method == "full" else "adapter")


def analyze(folder, kind, *options):
    run("analyze", kind, *options, "--output", folder, "--plots", "none")
    return json.loads((folder / f"{kind}.json").read_text())


def check(what, ours, truth, relative=False, bound=BOUND):
    ours, truth = torch.as_tensor(ours, dtype=torch.float64), torch.as_tensor(truth, dtype=torch.float64)
    scale = truth.abs().clamp_min(1e-300) if relative else 1
    difference = float(((ours - truth).abs() / scale).max()) if ours.shape == truth.shape else float("nan")
    if not difference <= bound:
        failures.append(what)
        print(f"differs: {what}: by {difference:.2e}")


# ---- The truth ----

def weights_of(folder):
    tensors = load_file(folder / "model.safetensors")
    return {name.removeprefix("bert.").removesuffix(".weight"): value.double() for name, value in tensors.items() if name.endswith(".weight")}


def factors_of(adapter, folder):
    """A and B of each layer, as the program itself exports them: of CondLoRA they are made from the weights in float32."""
    run("export", "--model", MODEL, "--adapter", adapter, "--output", folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    return {(name.removeprefix("base_model.model.bert.").split(".lora_")[0], name.split(".lora_")[1][0]): value.double()
            for name, value in tensors.items() if ".lora_" in name}


def path(layer, target):
    return f"encoder.layer.{layer}.{target}"


def conversions(weight, a, b, form):
    if form == "reference":
        inverse = torch.linalg.inv(weight)
        return {"A": inverse @ a.T, "B": inverse @ b, "BA": inverse @ (b @ a)}
    pseudo = torch.linalg.pinv(weight)
    return {"A": torch.linalg.pinv(weight.T) @ a.T, "B": pseudo @ b, "BA": pseudo @ (b @ a)}


def phi(x, y, i, j, side):
    """Equation 2 with full decompositions, as the paper's code has it."""
    u, _, vh = torch.linalg.svd(x, full_matrices=True)
    p, _, qh = torch.linalg.svd(y, full_matrices=True)
    left, right = (u, p) if side == "left" else (vh.T, qh.T)
    return float((left[:, :i].T @ right[:, :j]).norm() ** 2 / min(i, j))


def grid(matrices, compare):
    return torch.tensor([[compare(x, y) for y in matrices] for x in matrices], dtype=torch.float64)


def means(values):
    upper = torch.triu_indices(len(values), len(values), 1)
    return float(values[upper[0], upper[1]].mean()), float(values.mean())


def cka(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    return float((x.T @ y).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm()))


# ---- The analyses ----

def check_conversion(scratch, name, adapter, factors, weights, targets, form, side, i, j):
    found = analyze(scratch / f"conversion-{name}-{form}-{side}", "conversion", "--model", MODEL, "--adapter", adapter, "--form", form,
                    "--side", side, "--i", i, "--j", j, "--targets", ",".join(targets))
    assert [target["target"] for target in found["targets"]] == targets
    for target in found["targets"]:
        paths = [path(layer, target["target"]) for layer in target["layers"]]
        assert target["layers"] == list(range(LAYERS))
        what = f"conversion of {name}, {form}, {target['target']}"
        check(f"{what}: condition", target["condition"], [torch.linalg.cond(weights[p]) for p in paths], relative=True)
        all_matrices = [conversions(weights[p], factors[p, "A"], factors[p, "B"], form) for p in paths]
        for kind, sides in target["matrices"].items():
            assert list(sides) == (["left", "right"] if side == "both" else [side])
            for vectors, figure in sides.items():
                truth = grid([matrices[kind] for matrices in all_matrices], lambda x, y: phi(x, y, i, j, vectors))
                check(f"{what}: C_{kind}, {vectors}", figure["phi"], truth)
                check(f"{what}: C_{kind}, {vectors}, means", [figure["mean_above_diagonal"], figure["mean_all_pairs"]], means(truth))
                shape = all_matrices[0][kind].shape
                check(f"{what}: C_{kind}, expected", figure["random"]["expected"], max(i, j) / shape[0 if vectors == "left" else 1])
    return scratch / f"conversion-{name}-{form}-{side}"


def check_csv(folder):
    """The same numbers as in JSON."""
    found = json.loads((folder / "conversion.json").read_text())
    rows = list(csv.DictReader((folder / "conversion.csv").open()))
    figures = [(target, figure) for target in found["targets"] for sides in target["matrices"].values() for figure in sides.values()]
    expected = [value for _, figure in figures for row in figure["phi"] for value in row]
    check("conversion.csv", [float(row["phi"]) for row in rows], expected)
    random = [value for _, figure in figures for row in figure["random"]["phi"] for value in row]
    check("conversion.csv, random", [float(row["random"]) for row in rows], random)


def check_similarity(scratch, first, second, factors, others, i, j):
    found = analyze(scratch / "similarity", "similarity", "--model", MODEL, "--adapter", first, "--adapter2", second, "--i", i, "--j", j)
    every = {"A": [], "B": [], "BA": []}
    for target in found["targets"]:
        for layer in target["layers"]:
            p = path(layer["layer"], target["target"])
            x, y = ({"A": f[p, "A"], "B": f[p, "B"], "BA": f[p, "B"] @ f[p, "A"]} for f in (factors, others))
            for kind in every:
                truth = phi(x[kind], y[kind], i, j, "right" if kind == "A" else "left")
                check(f"similarity, {p}, {kind}", layer[kind]["phi"], truth)
                every[kind].append(truth)
        for kind in every:
            check(f"similarity, {target['target']}, {kind}: mean", target["mean"][kind]["phi"], sum(every[kind][-LAYERS:]) / LAYERS)
    assert len(every["A"]) == 2 * LAYERS
    for kind, values in every.items():
        check(f"similarity, {kind}: mean", found["mean"][kind]["phi"], sum(values) / len(values))


def check_correlation(scratch, adapter, factors, weights, i, j):
    found = analyze(scratch / "correlation", "correlation", "--model", MODEL, "--adapter", adapter, "--i", i, "--j", j)
    assert [target["target"] for target in found["targets"]] == SQUARE + WIDE
    for target in found["targets"]:
        for layer in target["layers"]:
            p = path(layer["layer"], target["target"])
            for side in "left", "right":
                truth = phi(weights[p], factors[p, "B"] @ factors[p, "A"], i, j, side)
                check(f"correlation, {p}, {side}", layer[side]["phi"], truth)


def check_matrices(scratch, adapter, factors, weights, form, targets):
    found = analyze(scratch / f"matrices-{form}", "matrices", "--model", MODEL, "--adapter", adapter, "--form", form,
                    "--targets", ",".join(targets))
    for target in found["targets"]:
        paths = [path(layer, target["target"]) for layer in target["layers"]]
        all_matrices = [conversions(weights[p], factors[p, "A"], factors[p, "B"], form) for p in paths]
        for kind, figure in target["matrices"].items():
            matrices = [m[kind] for m in all_matrices]
            what = f"matrices, {form}, {target['target']}, C_{kind}"
            for layer, matrix in zip(figure["layers"], matrices):
                sigma = torch.linalg.svdvals(matrix)[: len(layer["singular_values"])]
                share = sigma / sigma.sum()
                check(f"{what}: singular values", layer["singular_values"], sigma, relative=True)
                check(f"{what}: rank", layer["rank"], torch.linalg.matrix_rank(matrix))
                check(f"{what}: effective rank", layer["effective_rank"], torch.exp(-(share * share.log()).sum()))
                check(f"{what}: norm", layer["norm"], matrix.norm(), relative=True)
            stack = torch.stack([matrix.flatten() for matrix in matrices])
            total, mean = float((stack**2).sum()), stack.mean(0)
            check(f"{what}: shared", figure["shared"], 1 - float(((stack - mean) ** 2).sum()) / total)
            rows = stack / stack.norm(dim=1, keepdim=True)
            check(f"{what}: shared with factors", figure["shared_with_factors"], float(torch.linalg.svdvals(rows)[0] ** 2) / len(rows))
            check(f"{what}: cosines", figure["cosines"], rows @ rows.T)


def states_of(folder, tokens):
    """What each block gives for the first token of each example, by Transformers."""
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        examples = [model(torch.tensor([line["input_ids"]]), token_type_ids=torch.tensor([line["token_type_ids"]]), output_hidden_states=True)
                    for line in tokens]
    return [torch.stack([example.hidden_states[block + 1][0, 0] for example in examples]).double() for block in range(LAYERS)]


def check_states(found, tuned, folder):
    text = ["--input", CASE / "train.tsv", "--text-columns", "sentence1"]
    tokens = [json.loads(line) for line in run("tokenize", "--model", MODEL, *text).splitlines()][:EXAMPLES]
    rows = list(csv.DictReader((folder / "states.csv").open()))
    assert found["examples"] == len(tokens) == EXAMPLES
    for name, model in ("before", MODEL), ("after", tuned):
        truth = grid(states_of(model, tokens), cka)
        check(f"states {name}", found[name]["values"], truth, bound=STATES_BOUND)
        check(f"states {name}: means", [found[name]["mean_above_diagonal"], found[name]["mean_all_pairs"]], means(truth), bound=STATES_BOUND)
        check(f"states {name}: csv", [float(row[name]) for row in rows], torch.tensor(found[name]["values"]).flatten())


def check_layers(scratch, tuned, weights, i, j):
    found = analyze(scratch / "layers", "layers", "--model", MODEL, "--model2", tuned, "--i", i, "--j", j, "--targets", ",".join(SQUARE + WIDE),
                    "--input", CASE / "train.tsv", "--text-columns", "sentence1", "--examples", EXAMPLES)
    check_states(found["states"], tuned, scratch / "layers")
    after = weights_of(tuned)
    for target in found["targets"]:
        paths = [path(layer, target["target"]) for layer in target["layers"]]
        before, changed = [weights[p] for p in paths], [after[p] for p in paths]
        update = [y - x for x, y in zip(before, changed)]
        conversion = [torch.linalg.pinv(x) @ u for x, u in zip(before, update)]
        grids = {"weight": grid(before, cka), "tuned": grid(changed, cka), "update": grid(update, cka), "conversion": grid(conversion, cka),
                 "conversion_phi": grid(conversion, lambda x, y: phi(x, y, i, j, "left"))}
        for name, truth in grids.items():
            check(f"layers, {target['target']}, {name}", target[name]["values"], truth)
            check(f"layers, {target['target']}, {name}: means", [target[name]["mean_above_diagonal"], target[name]["mean_all_pairs"]], means(truth))


def main():
    weights = weights_of(MODEL)
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        lora = train(scratch / "lora", "lora", ["query", "value", "intermediate.dense"], "--lr", 0.02)
        condlora = train(scratch / "condlora", "condlora", ["query", "value"], "--orientation", "reference", "--lr", 0.01)
        tuned = train(scratch / "full", "full", None, "--lr", 0.001)
        factors, others = factors_of(lora, scratch / "lora-exported"), factors_of(condlora, scratch / "condlora-exported")
        check_csv(check_conversion(scratch, "lora", lora, factors, weights, SQUARE + WIDE, "paper", "both", 2, 3))
        check_conversion(scratch, "lora", lora, factors, weights, SQUARE, "reference", "left", 4, 4)
        check_conversion(scratch, "condlora", condlora, others, weights, SQUARE, "reference", "right", 3, 2)
        check_similarity(scratch, lora, condlora, factors, others, 3, 2)
        check_correlation(scratch, lora, factors, weights, 2, 4)
        check_matrices(scratch, lora, factors, weights, "paper", SQUARE + WIDE)
        check_matrices(scratch, condlora, others, weights, "reference", SQUARE)
        check_layers(scratch, tuned, weights, 3, 3)
    return len(failures) > 0


if __name__ == "__main__":
    sys.exit(main())
