"""Small runs of bench-condlora: the report holds together, the step's products are as many as arithmetic says, rates and
shares follow from what stands beside them, errors have their exit status. No time is judged.

    smoke.py BENCH-CONDLORA MODEL-FOLDER MAN-PAGE plots|no-plots [few]

`few`: one workload in each format and no steps of a trace, for a sanitizer's build.
"""

import csv
import io
import json
import math
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

PROGRAM, MODEL, PAGE, PLOTS = sys.argv[1:5]
FEW = sys.argv[5:] == ["few"]
BATCH, LENGTH, RANK, LABELS = 4, 9, 8, 2


def run(*arguments, status=0):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)
    assert done.returncode == status, f"{arguments}: exit {done.returncode}, expected {status}: {done.stderr}"
    if status in (1, 2):
        assert done.stdout == "" and done.stderr.count("\n") == 1, done.stderr
    return done.stdout


def small(*more, backend="cpu"):
    return run("--quick", "--backend", backend, "--seconds", "0.01", "--batch-size", str(BATCH), "--lengths", str(LENGTH),
               "--model", MODEL, *more)


def products_of_a_step(adapter):
    """Floating-point operations of a step's products, layer by layer: RoBERTa, adapters on query and value."""
    config = json.loads((pathlib.Path(MODEL) / "config.json").read_text())
    hidden, wide, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    tokens, pairs = BATCH * LENGTH, BATCH * LENGTH * LENGTH
    total = 0
    for layer in range(layers):
        rows = BATCH if layer == layers - 1 else tokens  # the last block's tail reads first tokens alone
        frozen = 2 * tokens * hidden * 3 * hidden
        tail = 2 * rows * hidden * hidden + 2 * 2 * rows * hidden * wide
        total += frozen + tail + 2 * 2 * pairs * hidden  # forward
        total += (frozen if layer > 0 else 0) + tail + 5 * 2 * pairs * hidden  # backward; nothing below the first adapter
        total += 2 * 2 * 2 * tokens * RANK * hidden  # x Aᵀ and u Bᵀ, of query and value
        total += 2 * (4 if layer > 0 else 3) * 2 * tokens * RANK * hidden  # du, d_a, d_b and d_x
    head = 2 * BATCH * hidden * hidden + 2 * BATCH * LABELS * hidden
    total += 3 * head
    if adapter == "condlora":  # A, B of query and value from W, and the gradients back
        total += layers * 2 * 4 * 2 * RANK * hidden * hidden
    return total


def rows_of(report, name):
    return next(table for table in report["tables"] if table["name"] == name)["rows"]


def check_rows(report):
    """What must hold of every timed row, whatever the backend."""
    backends = {row["name"]: row for row in rows_of(report, "backends")}
    for table in report["tables"]:
        for row in table["rows"]:
            if "samples_s" not in row:
                continue
            assert 0 < row["min_s"] <= row["median_s"] <= row["p95_s"] and row["mean_s"] > 0, row
            assert row["n"] == len(row["samples_s"]) > 0 and row["interval95_s"] >= 0, row
            assert min(row["samples_s"]) == row["min_s"], row
            assert row.get("path", "native") in ("native", "composed", "host"), row
            check_rates(table["name"], row, backends[row["backend"]])


def close(a, b):
    return abs(a - b) <= 1e-6 * abs(b)


def check_rates(table, row, backend):
    flop, moved = row.get("flop_per_s", 0), row.get("bytes_per_s", 0)
    if table == "gemm":
        m, n, k = (int(size) for size in row["shape"].split()[0].split("x"))
        assert close(flop * row["median_s"], 2 * m * n * k) and close(moved * row["median_s"], 4 * (m * n + m * k + n * k)), row
        assert close(row["flop_per_byte"], flop / moved), row
    if table in ("gemm", "attention", "elementwise"):
        measured = max(flop / backend["best_gemm_flop_per_s"], moved / backend["copy_bytes_per_s"])
        assert close(row["of_roof"], measured), row
    if "of_best" in row:
        assert close(row["of_best"], flop / backend["best_gemm_flop_per_s"]), row
    assert ("of_sheet" in row) == ("sheet" in backend and bool(flop or moved)), row


def check_report():
    report = json.loads(small("--format", "json", "--ops"))
    assert report["version"] and report["precision"] == "fp32" and report["caches"] == "warm", report
    places = rows_of(report, "backends")
    assert [row["name"] for row in places] == ["cpu"] and places[0]["best_gemm_flop_per_s"] > 0, places
    assert "sheet" not in places[0], "no data sheet is known of a processor"
    names = [table["name"] for table in report["tables"]]
    assert names[:7] == ["backends", "gemm", "svd", "elementwise", "attention", "train", "train-ratios"], names
    assert "inference" in names, names
    assert all(table["rows"] for table in report["tables"][:7]), names
    check_rows(report)
    for row in rows_of(report, "train"):
        expected = products_of_a_step(row["name"].split()[0])
        assert row["flop"] == expected, f"{row['name']}: {row['flop']} operations, counted {expected}"
        step = "step" in row["name"]
        assert not step or check_conditions(row, "fp32", "computed", 1), row
    for row in rows_of(report, "train-ratios"):
        assert row["step_per_gemms"] > 0 and row["gemms_of_best"] > 0 and row["peak_bytes"] > 1e6, row
    merged = rows_of(report, "inference")
    assert [row["name"] for row in merged] == ["bare", "lora merged", "condlora merged"], merged
    assert merged[0]["per_bare"] == 1 and all(row["per_bare"] > 0 and row["tokens_per_s"] > 0 for row in merged), merged
    assert {row["op"] for row in rows_of(report, "train-ops")} >= {"between ops"}
    return report


def check_conditions(row, precision, frozen, runs):
    """Precision, cache, company and shards; instructions only where the system counts them."""
    told = row.get("instructions_per_example", 1e6)
    return (row["precision"], row["frozen"], row["runs"], row["shards"]) == (precision, frozen, runs, 8) and told > 1e4


def check_joint():
    """Several runs in one pass: examples and tokens of all of them."""
    rows = rows_of(json.loads(small("--joint", "3", "--format", "json", "train")), "train")
    assert [row["name"] for row in rows] == ["lora step", "condlora step"], rows
    for row in rows:
        assert close(row["examples_per_s"], 3 * BATCH * row["steps_per_s"]) and close(row["tokens_per_s"], LENGTH * row["examples_per_s"]), row
        assert check_conditions(row, "fp32", "computed", 3), row
    run("--joint", "33", "train", status=2)


def check_top():
    """Steps from kept states do the work of a step less what is kept."""
    rows = rows_of(json.loads(small("--top", "1", "--format", "json", "train")), "train")
    assert [row["name"] for row in rows] == ["lora", "lora kept", "head", "head kept"], rows
    assert all(check_conditions(row, "fp32", "kept" if "kept" in row["name"] else "computed", 1) for row in rows), rows
    assert all(row["examples_per_s"] > 0 for row in rows) and rows[1]["speedup"] > 0 and rows[3]["speedup"] > 0, rows
    run("--top", "257", "train", status=2)


def check_formats():
    workloads = ("svd",) if FEW else ("gemm", "svd", "elementwise", "attention", "train", "inference")
    text, markdown = small(*workloads), small("--format", "markdown", *workloads)
    table = list(csv.DictReader(io.StringIO(small("--format", "csv", *workloads))))
    for workload in workloads:
        assert re.search(rf"^{workload}: .*\n .* median ", text, re.MULTILINE), text
        assert re.search(rf"^### {workload}: .*\n\n\|.* median \|.*\n\| :-- \|", markdown, re.MULTILINE), markdown
        rows = [row for row in table if row["table"] == workload]
        assert rows and all(row["backend"] == "cpu" and float(row["median_s"]) > 0 for row in rows)
    cold = json.loads(small("--format", "json", "--cold", "svd" if FEW else "elementwise"))
    assert cold["caches"] == "cold"
    check_rows(cold)


def event(name, **sizes):
    return {"name": name, "ph": "X", "ts": 1, "dur": 1, "args": sizes}


def write_trace(path):
    """As `condlora train --trace` writes one, of small products."""
    events = [event("linear", m=tokens, n=24, k=8) for tokens in (11, 13, 10)]
    events += [event("linear", m=2, n=24, k=8), event("linear_grad", m=11, n=8, k=24), event("fill", rows=1, columns=5)]
    events += [event("low_rank_grad", m=11, n=8, k=16, rank=2, more=[{"m": 11, "n": 8, "k": 16, "rank": 3}])]
    events += [event("gemm", m=3, n=4, k=5, batch=2, transpose="TN")]
    events += [event("attention", heads=2, width=4, lengths=lengths) for lengths in ([5, 6], [5, 6])]
    events += [event("attention", heads=2, width=4, distances=7, lengths=[4, 9]), event("attention", heads=2, width=4, lengths=[3, 2])]
    path.write_text(json.dumps({"traceEvents": events}))


def of_trace(path, *more):
    return run("--quick", "--backend", "cpu", "--seconds", "0.01", "--shapes", str(path), *more)


def check_shapes(folder):
    """Sizes from a trace."""
    path = folder / "trace.json"
    write_trace(path)
    report = json.loads(of_trace(path, "--format", "json", "gemm", "attention", "elementwise"))
    shapes = {(row["name"], row["shape"]) for row in rows_of(report, "gemm")}
    assert shapes == {
        ("linear", "11x24x8 NT"),  # the middle of 2, 10, 11 and 13 tokens, the upper one
        ("linear_grad", "11x8x24 NN"),
        ("low_rank_grad: d_out B", "11x2x8 NN"),
        ("low_rank_grad: d_outᵀ u", "8x2x11 TN"),
        ("low_rank_grad: duᵀ x", "2x16x11 TN"),
        ("low_rank_grad: du A", "11x16x2 NN"),
        ("low_rank_grad: d_out B", "11x3x8 NN"),  # of the further term
        ("low_rank_grad: d_outᵀ u", "8x3x11 TN"),
        ("low_rank_grad: duᵀ x", "3x16x11 TN"),
        ("low_rank_grad: du A", "11x16x3 NN"),
        ("gemm", "3x4x5 TN 2 times"),
    }, shapes
    chosen = {row["name"] for row in rows_of(report, "attention")}
    assert chosen == {"middle batch: 2 sequences, 11 tokens", "largest batch: 2 sequences, 13 tokens, bias"}, chosen
    assert "12x8" in {row["shape"] for row in rows_of(report, "elementwise")}  # 2 sequences of 6 tokens, 2 heads of 4
    if not FEW:
        steps = json.loads(of_trace(path, "--model", MODEL, "--format", "json", "train"))
        title = next(table["title"] for table in steps["tables"] if table["name"] == "train")
        assert "2 batches of 2 examples, the trace's lengths: 12 tokens each, longest example 9" in title, title
    for content in ("", "[]", '{"traceEvents": 1}', '{"traceEvents": []}', '{"traceEvents": [{"name": "fill", "args": {"rows": 1}}]}',
                    json.dumps({"traceEvents": [event("linear", m=1, n=1, k=1)]})):
        path.write_text(content)
        run("--shapes", str(path), "gemm", status=1)
    run("--shapes", str(folder / "none.json"), "gemm", status=1)
    large = json.loads(run("--quick", "--backend", "cpu", "--shapes", "large", "--format", "json", "svd"))
    assert {row["shape"] for row in rows_of(large, "svd")} == {"1024x1024", "8x1024"}, large


def check_plot(folder):
    """Points lie where their numbers say: read back from the picture itself. A circle is a product."""
    path, trace = folder / "roof.svg", folder / "trace.json"
    write_trace(trace)
    run("--quick", "--backend", "cpu", "--plot", str(folder / "roof.gif"), "gemm", status=2)
    run("--quick", "--backend", "cpu", "--plot", str(path), "svd", status=1)
    if PLOTS == "no-plots":
        return
    report = json.loads(of_trace(trace, "--format", "json", "--plot", str(path), "gemm", "elementwise", "attention"))
    svg = "{http://www.w3.org/2000/svg}"
    root = xml.etree.ElementTree.parse(path).getroot()
    assert root.tag == svg + "svg"
    filled = [mark for mark in root.iter(svg + "path") if "fill-opacity:0.8" in mark.get("style", "").replace(" ", "")]
    wanted = sum(1 for table in report["tables"] for row in table["rows"] if row.get("flop_per_s") and row.get("flop_per_byte"))
    assert len(filled) == wanted > 0, (len(filled), wanted)
    rates = [row["flop_per_s"] for row in rows_of(report, "gemm") if row.get("flop_per_s") and row.get("flop_per_byte")]
    places = [float(mark.get("d").split()[2]) for mark in filled if " C " in mark.get("d")]
    assert len(places) == len(rates) > 1, (len(places), len(rates))
    logs = [math.log10(rate) for rate in rates]
    low, high = min(range(len(logs)), key=logs.__getitem__), max(range(len(logs)), key=logs.__getitem__)
    slope = (places[high] - places[low]) / (logs[high] - logs[low])
    assert slope < 0, "faster is higher"
    for place, log in zip(places, logs):
        assert abs(places[low] + slope * (log - logs[low]) - place) < 0.01, (place, log)
    for end, mark in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        of_trace(trace, "--plot", str(folder / ("roof" + end)), "gemm")
        assert (folder / ("roof" + end)).read_bytes().startswith(mark)


def check_page():
    """Every option of --help is in the manual page, and no other."""
    told = set(re.findall(r"^  (--[a-z-]+)", run("--help"), re.MULTILINE))
    page = pathlib.Path(PAGE).read_text().replace("\\-", "-")
    options = page[page.index(".SH OPTIONS"):page.index(".SH EXIT STATUS")]
    assert set(re.findall(r"^\.B[IR]? .*?(--[a-z-]+)", options, re.MULTILINE)) >= told, told
    assert set(re.findall(r"--[a-z-]+", options)) <= told | {"--trace"}, "the page has options that there are not"


def check_several_backends():
    """All that open, side by side; the others are named. With the CPU alone there is no second column to look at."""
    report = json.loads(small("--format", "json", "svd", backend="all"))
    names = [row["name"] for row in rows_of(report, "backends")]
    absent = next((table["rows"] for table in report["tables"] if table["name"] == "absent"), [])
    assert "cpu" in names and "null" not in names, names
    known = {name.split()[0] for name in names} | {row["name"] for row in absent}
    assert all(row["reason"] for row in absent) and {"cpu", "opencl", "cuda"} <= known, (names, absent)
    check_rows(report)
    cases = {name: {row["shape"] for row in rows_of(report, "svd") if row["backend"] == name} for name in names}
    assert all(cases[name] == cases["cpu"] for name in names), cases
    if len(names) == 1:
        print("skipped: backends side by side: no other backend opens")
        return
    text = small("svd", backend=",".join(name.split()[0] for name in names))
    assert f", on {names[1]}\n" in text and text.count("query, MiniLM") == len(names) + 1, text


def check_compare(report, folder):
    before, after = folder / "before.json", folder / "after.json"
    for row in rows_of(report, "svd"):
        row["samples_s"] = [1.0 + 0.001 * i for i in range(12)]
    before.write_text(json.dumps(report))
    run("--compare", str(before), str(before))
    rows_of(report, "svd")[0]["samples_s"] = [1.1 + 0.001 * i for i in range(12)]
    after.write_text(json.dumps(report))
    assert run("--compare", str(before), str(after), status=3).count("SLOWER") == 1
    assert run("--compare", str(after), str(before)).count("faster\n") == 1
    check_verdicts(report, before, after)
    check_compare_backends(report, before, after)
    after.write_text("[]")
    run("--compare", str(before), str(after), status=1)


def check_verdicts(report, before, after):
    """Same and undecided by the interval of the ratio; another or a busy machine is said."""
    tables = [table for table in report["tables"] if table["name"] in ("backends", "svd")]
    quiet = {**report, "tables": tables, "load": 0.1, "processors": 2}
    changed = json.loads(json.dumps(quiet))
    rows = rows_of(quiet, "svd")
    for row in rows:
        row["samples_s"] = [1.0 + 0.001 * i for i in range(12)]
    before.write_text(json.dumps(quiet))
    text = run("--compare", str(before), str(before))
    assert f"{len(rows)} cases: 0 slower, 0 faster, {len(rows)} the same, 0 undecided;" in text and "warning" not in text, text
    noisy = rows_of(changed, "svd")
    for row in noisy:
        row["samples_s"] = [1.0 + 0.001 * i for i in range(12)]
    noisy[0]["samples_s"] = [0.8 + 0.05 * i for i in range(9)]  # the interval is wider than 3 %
    noisy[1]["samples_s"] = [1.0, 1.01, 1.02]  # too few
    changed.update(load=7.5, processors=2, host="another")
    after.write_text(json.dumps(changed))
    text = run("--compare", str(before), str(after))
    assert text.count("undecided\n") == 2 and ", 2 undecided;" in text, text
    assert "two machines" in text and "second report was busy: load 7.5 on 2" in text and "first report was busy" not in text, text
    assert f"host: was {report['host']}, is another" in text, text
    for row in noisy:
        row["samples_instructions"] = [1000000 + i for i in range(12)]
        del row["samples_s"]
    changed["clock"] = "instructions"
    after.write_text(json.dumps(changed))
    assert " 1.000 M instructions " in run("--compare", str(after), str(after))
    run("--compare", str(before), str(after), status=1)


def check_services():
    """Each timed case once, in the formats of Bencher and github-action-benchmark."""
    workloads = ("svd",) if FEW else ("svd", "train")
    report = json.loads(small("--format", "json", *workloads))
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", report["date"]) and report["processors"] >= 1, report
    cases = sum("samples_s" in row for table in report["tables"] for row in table["rows"])
    bmf, github = (json.loads(small("--format", form, *workloads)) for form in ("bmf", "github"))
    assert len(bmf) == cases == len(github) and {entry["name"] for entry in github} == set(bmf), (cases, list(bmf))
    for measures in bmf.values():
        latency = measures["latency"]
        assert 0 < latency["lower_value"] <= latency["value"] <= latency["upper_value"], measures
    assert FEW or any("throughput" in measures for measures in bmf.values()), bmf
    assert all(entry["unit"] == "ns" and entry["value"] > 0 and entry["range"].startswith("± ") for entry in github), github


def check_instructions():
    """Counted, and steady, where the system counts them; else one line says why not."""
    arguments = ("--quick", "--backend", "cpu", "--threads", "1", "--clock", "instructions", "--format", "json", "svd")
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and "perf_event_open" in done.stderr, done.stderr
        print("skipped: the clock of instructions: this system does not count them")
        return
    first, second = (rows_of(json.loads(text), "svd") for text in (done.stdout, run(*arguments)))
    for a, b in zip(first, second):
        assert 0.98 < a["median_instructions"] / b["median_instructions"] < 1.02, (a, b)
        assert not any(key.endswith("_s") for key in a), a


def check_compare_backends(report, before, after):
    """A case is one of a backend; its path may change and is said; another device or option is said."""
    two = json.loads(json.dumps(report))
    svd = rows_of(two, "svd")
    svd += [dict(row, backend="opencl", path="host") for row in svd]
    before.write_text(json.dumps(two))
    svd[-1]["samples_s"] = [2.0 + 0.001 * i for i in range(12)]
    svd[-1]["path"] = "native"
    two["caches"] = "cold"
    rows_of(two, "backends")[0]["device"] = "another"
    after.write_text(json.dumps(two))
    text = run("--compare", str(before), str(after), status=3)
    slower = [line for line in text.splitlines() if "SLOWER" in line]
    assert len(slower) == 1 and slower[0].startswith("opencl ") and slower[0].endswith("was host, is native"), slower
    assert "caches: was warm, is cold" in text and ", is another" in text, text
    del svd[-1]
    after.write_text(json.dumps(two))
    assert "in one report alone: 1 before, 0 after" in run("--compare", str(before), str(after))
    for row in svd:
        row["backend"] = "cuda"
    two["tables"] = [table for table in two["tables"] if table["name"] == "svd"]
    after.write_text(json.dumps(two))
    run("--compare", str(before), str(after), status=1)


def model(*more):
    return json.loads(run("model", "--model", MODEL, "--batch-size", str(BATCH), "--lengths", str(LENGTH), "--format", "json", *more))


def check_measured(steps, ops):
    """A report whose device takes twice and thrice what the model says."""
    tokens = BATCH * LENGTH
    tables = [{"name": "backends", "rows": [{"name": "cuda", "device": "NVIDIA H200, sm_90"}]}, {"name": "train", "rows": []}]
    for row in steps:
        if row["device"] == "h200":
            seconds = 2e-3 * row["step_ms"]
            tables[1]["rows"].append({"backend": "cuda", "name": row["method"] + " step", "median_s": seconds, "tokens_per_s": tokens / seconds})
    for method, title in (("lora", "LoRA"), ("condlora", "CondLoRA")):
        tables.append({"name": "train-ops", "title": f"train: ops of a {title} step", "rows": [
            {"backend": "cuda", "op": op["op"], "seconds": 3e-3 * op["op_ms"]}
            for op in ops if op["device"] == "h200" and op["method"] == method and op["op"] != "clip_norm 1"]})
    measured = {"precision": "bf16", "tables": tables}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "measured.json"
        path.write_text(json.dumps(measured))
        report = model("--measured", str(path))
        assert [row["device"] for row in rows_of(report, "model")] == ["h200", "h200"], report
        assert all(math.isclose(row["measured_per_model"], 2, rel_tol=1e-9) for row in rows_of(report, "model")), report
        rows = [row for table in report["tables"] if table["name"] == "model-ops" for row in table["rows"]]
        assert all(math.isclose(row["measured_per_model"], 3, rel_tol=1e-9) for row in rows if row["op"] != "clip_norm 1"), rows
        assert sum("measured_ms" not in row for row in rows) == 2, rows
        arguments = ["model", "--model", MODEL, "--batch-size", str(BATCH), "--measured", str(path)]
        run(*arguments, "--lengths", str(2 * LENGTH), status=1)  # other batches
        run(*arguments, "--lengths", str(LENGTH), "--precision", "fp32", status=1)
        tables[0]["rows"][0]["device"] = "condlora CUDA emulator"
        path.write_text(json.dumps(measured))
        run(*arguments, "--lengths", str(LENGTH), status=1)
        run(*arguments, "--lengths", str(LENGTH), "--devices", "a100")
        del tables[1]
        path.write_text(json.dumps(measured))
        run(*arguments, "--lengths", str(LENGTH), status=1)


def check_model():
    """The model's figures follow from its assumptions; its operations are as many as arithmetic says."""
    config = json.loads((pathlib.Path(MODEL) / "config.json").read_text())
    attention = config["num_hidden_layers"] * 7 * 2 * BATCH * LENGTH * LENGTH * config["hidden_size"]
    report = model()
    assert report["model"] == "no device was measured" and report["precision"] == "bf16" and report["recorded"] == "yes", report
    steps = rows_of(report, "model")
    assert [(row["device"], row["method"]) for row in steps] == [
        (device, method) for method in ("lora", "condlora") for device in ("a100", "h100", "h200")], steps
    assumed = {row["name"]: row for row in rows_of(report, "model-assumptions")}
    ops = [row for table in report["tables"] if table["name"] == "model-ops" for row in table["rows"]]
    for row in steps:
        expected = products_of_a_step(row["method"])
        assert row["flop"] == expected and 0 < row["library_flop"] <= expected - attention, (row, expected, attention)
        assert row["batch"] == BATCH and row["tokens"] == BATCH * LENGTH and row["memory_bytes"] > 0, row
        of_step = [op for op in ops if op["device"] == row["device"] and op["method"] == row["method"]]
        assert math.isclose(sum(op["op_ms"] for op in of_step), row["step_ms"], rel_tol=1e-9), row
        assert math.isclose(sum(op["share"] for op in of_step), 1, rel_tol=1e-9), row
        assert sum(op["launches"] for op in of_step) == row["launches"] > 50, row
        peak = assumed["bf16_tflops"][row["device"]] * 1e12
        assert math.isclose(row["of_peak"], row["flop"] / row["step_ms"] * 1e3 / peak, rel_tol=1e-9), row
    for row in rows_of(model("--precision", "fp32"), "model"):  # all products but attention's are cuBLAS's
        assert row["library_flop"] == products_of_a_step(row["method"]) - attention, row
    # What each launch costs besides its work is added; a device that is twice as fast in everything takes half the time.
    later = rows_of(model("--assume", "node_us=12.5", "--devices", "h200"), "model")
    before = [row for row in steps if row["device"] == "h200"]
    for a, b in zip(before, later):
        assert math.isclose(b["step_ms"] - a["step_ms"], 0.01 * a["launches"], rel_tol=1e-6), (a, b)
    twice = []
    for name, row in assumed.items():
        if name.endswith(("gbps", "tflops", "_ghz")):
            twice += ["--assume", f"h200.{name}={2 * row['h200']}"]
        elif name.endswith("_us"):
            twice += ["--assume", f"h200.{name}={row['h200'] / 2}"]
    for a, b in zip(before, rows_of(model("--devices", "h200", *twice), "model")):
        assert math.isclose(2 * b["step_ms"], a["step_ms"], rel_tol=1e-9) and a["launches"] == b["launches"], (a, b)
    # A launch that is not recorded takes the host's time at least.
    slow = model("--no-record", "--devices", "a100", "--assume", "launch_us=1000")
    assert slow["recorded"] == "no"
    for a, b in zip([row for row in steps if row["device"] == "a100"], rows_of(slow, "model")):
        assert a["launches"] <= b["step_ms"] <= 1.01 * a["launches"] + a["step_ms"] and a["launches"] == b["launches"], (a, b)
    check_measured(steps, ops)
    usual = run("model", "--model", MODEL, "--devices", "a100", "--ops", "--precision", "fp32")
    assert usual.count("model of a") == 5 and "no device was measured" in usual, usual
    for wrong in (["gemm"], ["tune"], ["--backend", "cpu"], ["--devices", "b200"], ["--devices", ""], ["--assume", "x=1"],
                  ["--assume", "node_us"], ["--task", "RTE", "--data", "x", "--model", MODEL], ["--plot", "x.svg"]):
        run("model", *wrong, status=2)
    for alone in (["--devices", "a100"], ["--assume", "node_us=1"]):
        run("svd", *alone, status=2)


def ranks(processes, *more):
    """The report of a job, or of one process alone."""
    start = [shutil.which("mpirun.mpich"), "-n", str(processes)] if processes > 1 else []
    done = subprocess.run([*start, PROGRAM, "ranks", "--quick", "--backend", "cpu", "--seconds", "0.1", "--batch-size", str(BATCH),
                           "--lengths", str(LENGTH), "--model", MODEL, "--format", "json", *more], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_ranks():
    """The figures of the model follow from what is assumed; efficiency is the gain for each rank."""
    for processes in (1, 3) if shutil.which("mpirun.mpich") and not FEW else (1,):
        report = ranks(processes)
        assert report["ranks"] == processes and report["hosts"] == 1, report
        step, = rows_of(report, "ranks-step")
        assert step["ranks"] == processes and math.isclose(step["efficiency"] * processes, step["alone_s"] / step["shared_s"]), step
        sums = {row["name"]: row["bytes"] for row in rows_of(report, "ranks-sums")}
        assert sums["CondLoRA of RoBERTa-base"] == 98304 and all(row["min_s"] > 0 for row in rows_of(report, "ranks-sums")), sums
        assumed = {row["name"]: row for row in rows_of(report, "ranks-assumptions")}
        adding, compute = (next(row for name, row in assumed.items() if name.startswith(word)) for word in ("adding", "computing"))
        rows = rows_of(report, "ranks-model")
        assert [row["ranks"] for row in rows[:8]] == [8, 16, 32, 64, 128, 256, 512, 1024], rows
        assert not any(word in assumed for word in ("as between these ranks",) if processes == 1), assumed
        for row in rows:
            network, head = assumed[row["network"]], sums["head of RoBERTa-base"]
            seconds = (row["ranks"] - 1) * (network["latency_s"] + head / network["bytes_per_s"] + head / adding["bytes_per_s"])
            assert math.isclose(row["head_sum_s"], seconds, rel_tol=1e-9), (row, seconds)
            assert math.isclose(row["efficiency"], 1 / (1 + row["sum_s"] / compute["latency_s"]), rel_tol=1e-9), row
    for wrong in (["gemm"], ["model"], ["--task", "RTE", "--data", "x", "--model", MODEL], ["--lengths", "rte"], ["--clock", "processor"]):
        run("ranks", *wrong, status=2)


def main():
    report = check_report()
    check_model()
    check_ranks()
    check_joint()
    check_top()
    check_formats()
    check_page()
    check_services()
    check_instructions()
    check_several_backends()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        small("--format", "json", "--output", str(folder / "report.json"), "svd")
        assert json.loads((folder / "report.json").read_text())["quick"] == "yes"
        run("--quick", "--output", str(folder / "no" / "such"), "svd", status=1)
        check_compare(report, folder)
        check_shapes(folder)
        check_plot(folder)
    run("--model", "/no/such/folder", "train", status=1)
    run("--backend", "nonsense", status=1)
    run("--backend", "cpu,nonsense", "svd", status=1)
    run("--backend", "cpu", "--precision", "tf32", "svd", status=1)  # the CPU has no such products
    for wrong in (["--nonsense"], ["nonsense"], ["--format", "xml"], ["--threads", "two"], ["--lengths", "long", "train"],
                  ["--task", "RTE"], ["--threads"], ["--compare", "one"], ["--backend", "cpu,"], ["--backend", "cpu,cpu"], ["--backend", ""],
                  ["--precision", "fp8"], ["tune"], ["tune", "--backend", "cpu"], ["tune", "--backend", "opencl,cpu"],
                  ["tune", "gemm", "--backend", "opencl"], ["tune", "--backend", "opencl", "--precision", "tf32"],
                  ["--parameters", "x", "svd"], ["--clock", "instructions", "--plot", "x.svg"], ["--clock", "instructions", "model"], ["tune", "--backend", "opencl", "--plot", "x"],
                  ["--shapes", "large", "--model", MODEL, "train"]):
        run(*wrong, status=2)
    assert "usage:" in run("--help") and run("--version").startswith("bench-condlora ")


main()
