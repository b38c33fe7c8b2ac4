"""Fine-tunes a BERT or RoBERTa folder with PyTorch, Transformers and PEFT, with condlora's training semantics.

Prints a JSON line a step and an epoch, and a last one that sums up: metrics of each epoch, the best, examples/s of
training (evaluation excluded), peak memory, seconds from the start of the process to the end of its first step.
"""

import argparse
import json
import math
import pathlib
import resource
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "parity"))

import psutil
import torch
import torch_model
from text_data import NUMERIC, TASKS, read_glue, read_own
from transformers import AutoConfig, AutoTokenizer, get_scheduler
from transformers.utils import logging as transformers_logging

EVALUATION_BATCH = 64


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="Hugging Face folder")
    data = parser.add_argument_group("data: a GLUE task or own TSV files")
    data.add_argument("--task", choices=TASKS)
    data.add_argument("--data", help="folder with one folder a task")
    data.add_argument("--train")
    data.add_argument("--dev")
    data.add_argument("--text-columns", default="sentence")
    data.add_argument("--label-column", default="label")
    data.add_argument("--labels", help=f"in order, separated by commas; {NUMERIC} for numbers")
    data.add_argument("--max-length", type=int)
    method = parser.add_argument_group("method")
    method.add_argument("--method", choices=torch_model.METHODS, default="condlora")
    method.add_argument("--orientation", choices=("paper", "reference"), default="paper")
    method.add_argument("--rank", type=int, default=8)
    method.add_argument("--alpha", type=float, default=8)
    method.add_argument("--targets", default="query,value")
    method.add_argument("--modules-to-save", default="")
    method.add_argument("--init-adapter", help="folder that gives the method and the initial tensors")
    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=int, default=3)
    training.add_argument("--max-steps", type=int)
    training.add_argument("--batch-size", type=int, default=16)
    training.add_argument("--accumulate", type=int, default=1)
    training.add_argument("--lr", type=float, default=1e-3)
    training.add_argument("--schedule", default="linear")
    training.add_argument("--warmup-ratio", type=float, default=0.0)
    training.add_argument("--weight-decay", type=float, default=0.0)
    training.add_argument("--decay", choices=("all", "no-bias"), default="all")
    training.add_argument("--max-grad-norm", type=float, default=1.0)
    training.add_argument("--dropout", type=float, help="all three of the model's; default: its config's")
    training.add_argument("--seed", type=int, default=42)
    training.add_argument("--no-shuffle", action="store_true", help="batches in the order of the file")
    training.add_argument("--order", help="JSON: for each optimizer step, its list of example indices")
    running = parser.add_argument_group("running")
    running.add_argument("--threads", type=int, default=2)
    running.add_argument("--pad", choices=("dynamic", "max"), default="dynamic")
    running.add_argument("--attention", choices=("sdpa", "eager"), default="sdpa")
    running.add_argument("--compile", action="store_true", help="torch.compile")
    running.add_argument("--precision", choices=("fp32", "bf16"), default="fp32",
                         help="bf16, for lora: frozen weights and activations in bf16, adapter and head in float32")
    running.add_argument("--no-eval", action="store_true")
    running.add_argument("--quiet", action="store_true", help="no line a step")
    running.add_argument("--save-init-adapter", help="folder for the adapter before training")
    running.add_argument("--save-adapter", help="folder for the adapter after training")
    running.add_argument("--save-order", help="file for the order of the examples, as --order reads it")
    running.add_argument("--save-predictions", help="JSON lines for dev, after the last epoch")
    arguments = parser.parse_args()
    if (arguments.task is None) == (arguments.train is None):
        parser.error("give either --task with --data, or --train with --dev")
    if arguments.precision == "bf16" and arguments.method != "lora" and not arguments.init_adapter:
        parser.error("--precision bf16 is for --method lora")
    return arguments


def split_list(text):
    return [part for part in text.split(",") if part]


def read_task(arguments):
    if arguments.task:
        return read_glue(arguments.task, arguments.data)
    labels = arguments.labels if arguments.labels in (None, NUMERIC) else split_list(arguments.labels)
    return read_own(arguments.train, arguments.dev, split_list(arguments.text_columns), arguments.label_column, labels)


def read_model(arguments, task):
    outputs = len(task.labels) if task.labels else 1
    if arguments.init_adapter:
        return torch_model.read_adapter(
            arguments.model, arguments.init_adapter, outputs, arguments.dropout, arguments.attention
        )
    torch.manual_seed(arguments.seed)
    base, fresh = torch_model.read_base(arguments.model, outputs, arguments.dropout, arguments.attention)
    settings = torch_model.Settings(
        method=arguments.method,
        orientation=arguments.orientation,
        rank=arguments.rank,
        alpha=arguments.alpha,
        targets=split_list(arguments.targets),
        modules_to_save=split_list(arguments.modules_to_save),
        labels=task.labels,
        regression=task.labels is None,
    )
    return torch_model.apply(base, settings, fresh)


def narrow(tuned):
    """Puts the frozen weights into bf16, and with them the activations. PEFT's LoRA takes a bf16 input to its own float32
    matrices and adds the update to the bf16 output; the head gets its input in float32."""
    trained = set(map(id, tuned.trained.values()))
    for name, module in tuned.named_modules():
        own = list(module.parameters(recurse=False))
        if "lora_" not in name and any(id(parameter) in trained for parameter in own):
            module.register_forward_pre_hook(lambda _, inputs: tuple(value.float() for value in inputs))
        for parameter in own:
            if id(parameter) not in trained:
                parameter.data = parameter.data.bfloat16()


def usable_length(config):
    offset = config.pad_token_id + 1 if config.model_type != "bert" else 0
    return config.max_position_embeddings - offset


class Batcher:
    """Tokenizes once, then pads each batch to its longest sequence or to the full length."""

    def __init__(self, arguments, task):
        self.tokenizer = AutoTokenizer.from_pretrained(arguments.model)
        config = AutoConfig.from_pretrained(arguments.model)
        self.length = arguments.max_length or min(512, usable_length(config))
        self.pad = "max_length" if arguments.pad == "max" else "longest"
        self.label_type = torch.long if task.labels else torch.float32
        self.token_types = config.model_type == "bert"

    def encode(self, examples):
        columns = [list(column) for column in zip(*examples.texts)]
        encoded = self.tokenizer(
            *columns, truncation=True, max_length=self.length, return_token_type_ids=self.token_types
        )
        return [
            {**{key: values[i] for key, values in encoded.items()}, "labels": examples.targets[i]}
            for i in range(len(examples))
        ]

    def collate(self, features):
        labels = torch.tensor([feature["labels"] for feature in features], dtype=self.label_type)
        inputs = [{key: value for key, value in feature.items() if key != "labels"} for feature in features]
        return dict(self.tokenizer.pad(inputs, padding=self.pad, max_length=self.length, return_tensors="pt")), labels


def data_order(arguments, count):
    """Example indices of each optimizer step, over all epochs."""
    if arguments.order:
        return json.loads(pathlib.Path(arguments.order).read_text())
    step_size = arguments.batch_size * arguments.accumulate
    generator = torch.Generator().manual_seed(arguments.seed)
    total = arguments.max_steps or math.ceil(count / step_size) * arguments.epochs
    order = []
    while len(order) < total:
        indices = list(range(count)) if arguments.no_shuffle else torch.randperm(count, generator=generator).tolist()
        order += [indices[start : start + step_size] for start in range(0, count, step_size)]
    return order[:total]


def evaluate(model, batcher, features):
    """Logits [examples, outputs], in the order of the file; batches are sorted by length."""
    model.eval()
    order = sorted(range(len(features)), key=lambda i: len(features[i]["input_ids"]))
    logits = [None] * len(features)
    with torch.inference_mode():
        for start in range(0, len(order), EVALUATION_BATCH):
            chosen = order[start : start + EVALUATION_BATCH]
            inputs, _ = batcher.collate([features[i] for i in chosen])
            for i, row in zip(chosen, model(**inputs)):
                logits[i] = row
    model.train()
    return torch.stack(logits)


def metrics(logits, targets, labels):
    from scipy import stats
    from sklearn import metrics as scores

    if labels is None:
        values = logits.squeeze(-1).tolist()
        return {
            "pearson": stats.pearsonr(values, targets).statistic,
            "spearman": stats.spearmanr(values, targets).statistic,
            "loss": scores.mean_squared_error(targets, values),
        }
    predicted = logits.argmax(-1).tolist()
    loss = torch.nn.functional.cross_entropy(logits.float(), torch.tensor(targets)).item()
    result = {"loss": loss, "accuracy": scores.accuracy_score(targets, predicted)}
    result["macro_f1"] = scores.f1_score(targets, predicted, average="macro")
    if len(labels) == 2:
        result["f1"] = scores.f1_score(targets, predicted)
        result["mcc"] = scores.matthews_corrcoef(targets, predicted)
    return result


def save_predictions(path, logits, labels):
    with open(path, "w", encoding="utf-8") as file:
        for index, row in enumerate(logits):
            line = {"index": index, "logits": row.tolist()}
            if labels:
                line["probabilities"] = row.softmax(-1).tolist()
                line["prediction"] = labels[row.argmax().item()]
            else:
                line["prediction"] = row.item()
            file.write(json.dumps(line) + "\n")


def train_step(model, parameters, optimizer, schedule, batcher, features, arguments):
    """One optimizer step: (loss, gradient norm before clipping, rate)."""
    total = 0.0
    for start in range(0, len(features), arguments.batch_size):
        inputs, labels = batcher.collate(features[start : start + arguments.batch_size])
        loss = torch_model.example_losses(model(**inputs), labels)[0] / len(features)
        loss.backward()
        total += loss.item()
    norm = torch.nn.utils.clip_grad_norm_(parameters, arguments.max_grad_norm).item()
    rate = schedule.get_last_lr()[0]
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()
    return total, norm, rate


def print_line(**fields):
    print(json.dumps(fields), flush=True)


def main():
    arguments = parse_arguments()
    transformers_logging.set_verbosity_error()
    torch.set_num_threads(arguments.threads)
    task = read_task(arguments)
    tuned = read_model(arguments, task)
    batcher = Batcher(arguments, task)
    train, dev = batcher.encode(task.train), batcher.encode(task.dev)
    order = data_order(arguments, len(train))
    if arguments.save_init_adapter:
        tuned.save(arguments.save_init_adapter)
    if arguments.save_order:
        pathlib.Path(arguments.save_order).write_text(json.dumps(order))
    if arguments.precision == "bf16":
        narrow(tuned)

    parameters = list(tuned.trained.values())
    optimizer = torch.optim.AdamW(
        torch_model.optimizer_groups(tuned.trained, arguments.weight_decay, arguments.decay), lr=arguments.lr
    )
    warmup = math.ceil(arguments.warmup_ratio * len(order))
    schedule = get_scheduler(arguments.schedule, optimizer, num_warmup_steps=warmup, num_training_steps=len(order))
    model = torch.compile(tuned, dynamic=True) if arguments.compile else tuned
    model.train()

    steps_per_epoch = math.ceil(len(train) / (arguments.batch_size * arguments.accumulate))
    step_seconds, epochs, first_step, examples, logits = [], [], None, 0, None
    for step, indices in enumerate(order):
        started = time.perf_counter()
        loss, norm, rate = train_step(
            model, parameters, optimizer, schedule, batcher, [train[i] for i in indices], arguments
        )
        step_seconds.append(time.perf_counter() - started)
        examples += len(indices)
        if first_step is None:
            first_step = time.time() - psutil.Process().create_time()
        if not arguments.quiet:
            print_line(step=step + 1, epoch=step // steps_per_epoch + 1, loss=loss, lr=rate, grad_norm=norm,
                       examples_per_s=len(indices) / step_seconds[-1])
        if not arguments.no_eval and ((step + 1) % steps_per_epoch == 0 or step + 1 == len(order)):
            logits = evaluate(model, batcher, dev)
            epochs.append(metrics(logits, task.dev.targets, task.labels))
            print_line(epoch=len(epochs), **epochs[-1])

    if arguments.save_adapter:
        tuned.save(arguments.save_adapter)
    if arguments.save_predictions:
        logits = evaluate(model, batcher, dev) if logits is None else logits
        save_predictions(arguments.save_predictions, logits, task.labels)
    best = max(range(len(epochs)), key=lambda i: epochs[i][task.metric], default=None)
    head = sum(p.numel() for name, p in tuned.trained.items() if ".classifier." in name)
    print_line(
        result={
            "task": task.name,
            "method": tuned.settings.method,
            "orientation": tuned.settings.orientation if tuned.settings.method == "condlora" else None,
            "seed": arguments.seed,
            "epochs": epochs,
            "metric": task.metric,
            "best": None if best is None else epochs[best][task.metric],
            "best_epoch": None if best is None else best + 1,
            "steps": len(order),
            "examples_per_s": examples / sum(step_seconds),
            "median_step_s": statistics.median(step_seconds),
            "first_step_s": first_step,
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "trainable": {"adapter": sum(p.numel() for p in parameters) - head, "head": head},
            "threads": arguments.threads,
            "torch": torch.__version__.partition("+")[0],
        }
    )


if __name__ == "__main__":
    main()
