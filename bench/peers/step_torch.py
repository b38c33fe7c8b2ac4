"""Times a training step of a RoBERTa classifier with PyTorch, Transformers and PEFT, on random weights and tokens.

    python step_torch.py --mode eager
    python step_torch.py --mode graphs --sizes 32x512 --lengths true,padded

The model has RoBERTa-base's shape; PEFT's LoRA has rank 8 on query and value, and the head is trained too. There is no dropout.
A step is what bench-condlora's step is: forward, cross-entropy, backward, clipping at 1, AdamW (fused on CUDA), and reading the
loss. Products are in bf16 by autocast; weights stay float32, or with --frozen bf16 the frozen ones are bf16. Attention is
PyTorch's scaled_dot_product_attention.

--mode     eager; compile (torch.compile); graphs (the whole step is recorded in a CUDA graph and replayed)
--lengths  true: each example has the size's tokens, without padding and without a mask. padded: these examples, padded to
           --pad tokens, with a mask. rte: lengths drawn as RTE has them (bench/batches.c), padded to the longest of the batch,
           with a mask; each batch has a shape of its own, so it is not for graphs, and compile takes shapes as dynamic

Prints a JSON object a line: first versions and device, then a case as soon as it is measured. `step_ms` is the median of the
host's time from the start of a step to the end of a sync, `device_ms` the median between two CUDA events. A case that fails has
`error`. Exit status: 0 all cases measured, 1 one failed, 77 there is no PyTorch or no such device, or the mode is not
for it. Needs no files.
"""

import argparse
import importlib.metadata
import itertools
import json
import random
import statistics
import sys
import time

EXIT_SKIPPED = 77
try:
    import peft
    import torch
    import transformers
except ImportError as missing:
    print(f"skipped: step_torch.py: {missing}")
    sys.exit(EXIT_SKIPPED)

RANK, ALPHA, LABELS, RATE, PAD, RTE_BATCHES = 8, 8, 2, 1e-4, 1, 6
# Quantiles of RTE's lengths in tokens, in steps of 5 %, as in bench/batches.c.
RTE = (13, 29, 33, 37, 40, 43, 45, 47, 50, 53, 56, 59, 62, 67, 72, 85, 103, 120, 135, 157, 289)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=("eager", "compile", "graphs"), default="eager")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--sizes", default="16x69,32x512", help="examples x tokens of each, separated by commas")
    parser.add_argument("--lengths", default="true,padded", help="true, padded, rte, separated by commas")
    parser.add_argument("--pad", type=int, default=512, help="tokens that `padded` pads to")
    parser.add_argument("--frozen", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--compiler", default="inductor", help="torch.compile's backend")
    parser.add_argument("--warm-up", type=int, default=10, help="steps before the clock runs")
    parser.add_argument("--steps", type=int, default=30, help="measured steps")
    parser.add_argument("--small", action="store_true", help="2 layers of 32, for tests")
    arguments = parser.parse_args()
    arguments.sizes = [tuple(int(n) for n in size.split("x")) for size in arguments.sizes.split(",")]
    arguments.lengths = arguments.lengths.split(",")
    if any(len(size) != 2 or min(size) < 1 for size in arguments.sizes) or not {*arguments.lengths} <= {"true", "padded", "rte"}:
        parser.error("--sizes is 16x69,32x512 or the like; --lengths is true, padded or rte")
    return arguments


def attend_without_mask(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **_):
    """Attention where no token is padding: the mask that Transformers makes even so is left out, and its check with it."""
    out = torch.nn.functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=scaling)
    return out.transpose(1, 2).contiguous(), None


transformers.AttentionInterface.register("sdpa_without_mask", attend_without_mask)
# RoBERTa asks the register from Transformers 5 on; before, "sdpa" drops a mask of ones itself, outside of recordings.
WITHOUT_MASK = "sdpa_without_mask" if int(transformers.__version__.split(".")[0]) >= 5 else "sdpa"


def make_model(arguments, masked):
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64} if arguments.small else {}
    config = transformers.RobertaConfig(
        vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5, num_labels=LABELS,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **shape,
    )
    torch.manual_seed(1)
    with torch.device(arguments.device):
        model = transformers.AutoModelForSequenceClassification.from_config(
            config, attn_implementation="sdpa" if masked else WITHOUT_MASK
        )
    if arguments.frozen == "bf16":
        model.to(torch.bfloat16)
    model = peft.get_peft_model(
        model,
        peft.LoraConfig(task_type=peft.TaskType.SEQ_CLS, r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=["query", "value"]),
    )
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model.to(arguments.device).train()


def draw_length(draw):
    at = draw.random() * (len(RTE) - 1)
    below = int(at)
    return int(RTE[below] + (at - below) * (RTE[below + 1] - RTE[below]) + 0.5)


def make_batches(arguments, size, kind):
    """Inputs of the model for each batch, on the device, and their tokens without padding, on average."""
    examples, tokens = size
    draw, generator = random.Random(1), torch.Generator().manual_seed(1)
    batches, total = [], 0
    for _ in range(RTE_BATCHES if kind == "rte" else 1):
        lengths = [draw_length(draw) if kind == "rte" else tokens for _ in range(examples)]
        width = max(arguments.pad, *lengths) if kind == "padded" else max(lengths)
        ids = torch.randint(2, 50265, (examples, max(lengths)), generator=generator)
        ids = torch.nn.functional.pad(ids, (0, width - max(lengths)))
        there = torch.arange(width) < torch.tensor(lengths)[:, None]
        batch = {"input_ids": torch.where(there, ids, PAD), "labels": torch.arange(examples) % LABELS}
        if kind != "true":
            batch["attention_mask"] = there.long()
        batches.append({name: tensor.to(arguments.device) for name, tensor in batch.items()})
        total += sum(lengths)
    return batches, total / len(batches)


class Trainer:
    """A model and its optimizer; `step` enqueues one step and returns the loss as a tensor."""

    def __init__(self, arguments, masked, dynamic):
        cuda = arguments.device == "cuda"
        self.device = arguments.device
        self.model = make_model(arguments, masked)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=RATE, weight_decay=0.0, fused=cuda, capturable=cuda and arguments.mode == "graphs"
        )
        self.forward = self.model
        if arguments.mode == "compile":
            torch._dynamo.reset()
            self.forward = torch.compile(self.model, backend=arguments.compiler, dynamic=dynamic)

    def step(self, batch):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device, dtype=torch.bfloat16):
            loss = self.forward(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        return loss.detach()

    def record(self, batch):
        """The step as a CUDA graph: a function that replays it and returns the loss."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                self.step(batch)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = self.step(batch)

        def replay(_):
            graph.replay()
            return loss

        return replay


def time_steps(step, batches, arguments):
    """(host's milliseconds, device's milliseconds, last loss) of the measured steps."""
    cuda = arguments.device == "cuda"
    host, device, loss = [], [], None
    # Each shape is seen as often before the clock runs as any other.
    warm_up = -(-arguments.warm_up // len(batches)) * len(batches)
    for number, batch in enumerate(itertools.islice(itertools.cycle(batches), warm_up + arguments.steps)):
        if cuda:
            torch.cuda.synchronize()
            events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
        started = time.perf_counter()
        if cuda:
            events[0].record()
        loss = step(batch)
        if cuda:
            events[1].record()
        loss = loss.item()
        if cuda:
            torch.cuda.synchronize()
        if number >= warm_up:
            host.append(1e3 * (time.perf_counter() - started))
            if cuda:
                device.append(events[0].elapsed_time(events[1]))
    return host, device, loss


def measure(arguments, size, kind):
    batches, tokens = make_batches(arguments, size, kind)
    if arguments.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    trainer = Trainer(arguments, masked=kind != "true", dynamic=kind == "rte")
    step = trainer.record(batches[0]) if arguments.mode == "graphs" else trainer.step
    host, device, loss = time_steps(step, batches, arguments)
    case = {
        "tokens": tokens,
        "width": batches[0]["input_ids"].shape[1],
        "n": len(host),
        "step_ms": statistics.median(host),
        "least_ms": min(host),
        "loss": loss,
        "trained": sum(p.numel() for p in trainer.trained),
        "wall_s": time.perf_counter() - started,
    }
    if device:
        case["device_ms"] = statistics.median(device)
        case["peak_bytes"] = torch.cuda.max_memory_allocated()
    if loss != loss:
        case["error"] = "the loss is not a number"
    return case


def print_line(fields):
    print(json.dumps(fields), flush=True)


def main():
    arguments = parse_arguments()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("skipped: step_torch.py: PyTorch sees no CUDA device")
        return EXIT_SKIPPED
    if arguments.mode == "graphs" and arguments.device != "cuda":
        print("skipped: step_torch.py: CUDA graphs need a CUDA device")
        return EXIT_SKIPPED
    transformers.logging.set_verbosity_error()
    torch.set_float32_matmul_precision("high")  # TF32 outside autocast, as bench-condlora's bf16 has it
    print_line({
        "torch": torch.__version__, "cuda": torch.version.cuda, "python": sys.version.split()[0],
        **{name: importlib.metadata.version(name) for name in ("transformers", "peft")},
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu",
    })
    failed = False
    for size, kind in itertools.product(arguments.sizes, arguments.lengths):
        if kind == "rte" and (arguments.mode == "graphs" or size != arguments.sizes[0]):
            continue
        case = {"mode": arguments.mode, "size": f"{size[0]}x{size[1]}", "lengths": kind, "frozen": arguments.frozen}
        try:
            case.update(measure(arguments, size, kind))
        except Exception as error:  # the other cases are measured even so
            case["error"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        failed = failed or "error" in case
        print_line(case)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
