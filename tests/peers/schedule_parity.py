"""Learning rates, bit for bit, against transformers.get_scheduler and torch's LambdaLR.

    python schedule_parity.py PATH/TO/numbers-probe
"""
import math
import warnings

import torch
from transformers import get_scheduler

from probe import ask, finish

warnings.filterwarnings("ignore")  # steps of a scheduler without steps of an optimizer are the point here

# Kind, Transformers' name, its arguments.
KINDS = [
    ("linear", "linear", {}),
    ("cosine", "cosine", {"num_cycles": 0.5}),
    ("cosine", "cosine", {"num_cycles": 1.25}),
    ("cosine_with_restarts", "cosine_with_restarts", {"num_cycles": 1}),
    ("cosine_with_restarts", "cosine_with_restarts", {"num_cycles": 4}),
    ("constant", "constant_with_warmup", {}),
    ("polynomial", "polynomial", {"power": 1.0, "lr_end": 1e-7}),
    ("polynomial", "polynomial", {"power": 2.5, "lr_end": 3e-5}),
]
RUNS = [(2e-3, 100, 0), (1e-3, 100, 10), (0.000602555587379099, 481, 49), (5e-4, 7, 3), (1e-3, 1, 0)]


def rates_of_transformers(name, arguments, rate, total, warmup, steps):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total,
                              scheduler_specific_kwargs=arguments)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    return rates


cases, requests, expected = [], [], []
for kind, name, arguments in KINDS:
    for rate, total, warmup in RUNS:
        steps = total + 5
        cycles = arguments.get("num_cycles", 1)
        power, end = arguments.get("power", 1.0), arguments.get("lr_end", 1e-7)
        cases.append(f"{name} {arguments} {rate} {total} {warmup}")
        requests.append(f"schedule {kind} {rate!r} {total} {warmup} {cycles} {power} {end!r} {steps}")
        expected.append(rates_of_transformers(name, arguments, rate, total, warmup, steps))
warmups = [(ratio, total) for ratio in (0.0, 0.06, 0.1, 0.3, 1 / 3) for total in range(1, 500)]
requests += [f"warmup {ratio!r} {total}" for ratio, total in warmups]

answers, differences = ask(requests), []
for case, rates, answer in zip(cases, expected, answers):
    for step, (theirs, ours) in enumerate(zip(rates, map(float, answer), strict=True)):
        if theirs != ours:
            differences.append(f"{case}, step {step}: {ours!r}, expected {theirs!r}")
for (ratio, total), answer in zip(warmups, answers[len(cases):]):
    if int(answer[0]) != math.ceil(total * ratio):
        differences.append(f"warm-up of {ratio} * {total}: {answer[0]}")
finish("schedule", len(requests), differences)
