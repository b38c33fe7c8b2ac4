"""AdaLoRA and its conditional form in PyTorch.

AdaLoRA is PEFT's own, allocator and all. The conditional form is written here from docs/methods/condadalora.md:

    Q = θQ W,  P = W θPᵀ,  Λ_i = m_i ⟨(θΛ W)_i, Q_i⟩,  y = x Wᵀ + b + alpha / (init_r + 1e-5) ((x Qᵀ) ∘ Λ) Pᵀ

Its allocator sees each layer's P, Λ (without m) and Q and the gradients that reach them, as AdaLoRA's sees parameters.
"""

import json
import pathlib
import re

import torch
from peft import AdaLoraConfig, PeftModel, get_peft_model
from torch import nn

ALLOCATION = ("init_r", "target_r", "tinit", "tfinal", "deltaT", "beta1", "beta2", "orth_reg_weight", "total_step")


def frobenius(covariance):
    return torch.linalg.vector_norm(covariance - torch.eye(len(covariance), dtype=covariance.dtype))


class PeftAllocation:
    """PEFT's penalty and allocator over a model that PEFT has adapted."""

    def __init__(self, model, settings, chooses=True):
        self.model = model
        self.chooses = chooses
        self.weight = settings.allocation["orth_reg_weight"]

    def penalty(self):
        norms = [frobenius(p @ p.T if ".lora_A." in name else p.T @ p)
                 for name, p in self.model.named_parameters() if ".lora_A." in name or ".lora_B." in name]
        return self.weight * sum(norms) / len(norms)

    def scale_gradients(self, factor):
        """The parameters' are what it sees."""

    def after_step(self, step):
        """The ranks of layers by path, once there was a choice."""
        if self.chooses:
            self.model.base_model.update_and_allocate(step)
        pattern = self.model.peft_config["default"].rank_pattern
        return {name.partition(".lora_E")[0]: sum(kept) for name, kept in (pattern or {}).items()}

    def check_penalty(self, inputs, labels):
        """PEFT adds the same penalty to the loss of its own forward pass."""
        outputs = self.model(**inputs, labels=labels)
        plain = self.model.base_model.model(**inputs, labels=labels).loss
        torch.testing.assert_close(outputs.loss - plain, self.penalty(), rtol=1e-9, atol=1e-12)


def apply_adalora(base, settings):
    """(model, trained parameters by their names in the file, allocation)"""
    config = AdaLoraConfig(
        task_type="SEQ_CLS",
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules=settings.targets,
        modules_to_save=list(settings.modules_to_save) or None,
        **settings.allocation,
    )
    model = get_peft_model(base, config)
    return model, trained_of(model), PeftAllocation(model, settings)


def trained_of(model):
    """What the method trains. PEFT 0.21 can leave `ranknum` marked too, a constant that it neither trains nor saves."""
    return {
        name.replace(".modules_to_save.default.", ".").removesuffix(".default"): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and ".ranknum." not in name
    }


def is_pruned(folder):
    config = json.loads((pathlib.Path(folder) / "adapter_config.json").read_text())
    return config["peft_type"] == "ADALORA" and bool(config.get("rank_pattern"))


def written_out(base, tensors, settings):
    """A conditional adapter's P, Λ and Q of every layer, in float64, under PEFT's AdaLoRA."""
    weights = {name: p.detach().double() for name, p in base.named_parameters()}
    tensors = {name: tensor.double() for name, tensor in tensors.items()}
    model, trained, _ = apply_adalora(base.double(), settings)
    with torch.no_grad():
        for name, parameter in trained.items():
            path, separator, part = name.removeprefix("base_model.model.").partition(".lora_")
            if not separator:
                parameter.copy_(tensors[name])
                continue
            inner = re.fullmatch(r".*\.layer\.\d+\.(.+)", path).group(1)
            p, e, q = (tensors[f"base_model.model.{inner}.condlora_{letter}.weight"] for letter in "PEQ")
            weight = weights[path + ".weight"]
            rows = q @ weight
            parameter.copy_({"A": rows, "E": ((e @ weight) * rows).sum(1, keepdim=True), "B": weight @ p.T}[part])
    return model


def prune(model, kept):
    """Leaves the ranks of `kept` in layers whose paths end so; the file is pruned when it is saved."""
    pattern = {}
    for name, parameter in model.base_model.model.named_parameters():
        path, separator, _ = name.partition(".lora_E.")
        if separator:
            ranks = next((ranks for ending, ranks in kept.items() if path.endswith(ending)), range(len(parameter)))
            pattern[name] = [rank in ranks for rank in range(len(parameter))]
    model.peft_config["default"].rank_pattern = pattern


def read_pruned(base, folder, settings):
    """An adapter that has lost ranks, by PEFT's reader. PEFT cannot go on allocating from there, so that ranks stay."""
    model = PeftModel.from_pretrained(base, folder, is_trainable=True)
    return model, trained_of(model), PeftAllocation(model, settings, chooses=False)


class ConditionedGroup(nn.Module):
    def __init__(self, out_features, in_features, rank):
        super().__init__()
        self.condlora_P = nn.Parameter(torch.empty(rank, in_features))
        self.condlora_E = nn.Parameter(torch.zeros(rank, out_features))
        self.condlora_Q = nn.Parameter(torch.empty(rank, out_features))
        for theta in (self.condlora_P, self.condlora_Q):
            nn.init.kaiming_uniform_(theta, a=5**0.5)


class ConditionedLinear(nn.Module):
    def __init__(self, base, group, settings):
        super().__init__()
        self.base = base
        self._group = (group,)  # a tuple, so that the shared parameters belong to the group alone
        rank = settings.allocation["init_r"]
        self.scale = settings.alpha / (rank + 1e-5)
        self.register_buffer("mask", torch.ones(rank, dtype=torch.bool))
        self.seen = None  # P, Λ, Q and m Λ of the last forward pass, whose gradients are kept

    def parts(self):
        """P, Λ without the mask, and Q."""
        group, weight = self._group[0], self.base.weight
        q = group.condlora_Q @ weight
        return weight @ group.condlora_P.T, ((group.condlora_E @ weight) * q).sum(1), q

    def forward(self, x):
        p, raw, q = self.parts()
        lambda_ = raw * self.mask
        if torch.is_grad_enabled():  # one forward pass a step
            self.seen = (p, raw, q, lambda_)
            for tensor in self.seen:
                tensor.retain_grad()
        return self.base(x) + self.scale * ((x @ q.T) * lambda_) @ p.T


class ConditionedAllocation:
    """AdaLoRA's penalty and allocator (Zhang et al. 2023, as PEFT 0.17 has them) over conditioned layers."""

    def __init__(self, layers, settings):
        self.layers = layers  # by path
        self.options = settings.allocation
        self.moments = None
        self.chosen = False

    def penalty(self):
        norms = []
        for layer in self.layers.values():
            p, _, q, _ = layer.seen
            norms += [frobenius(q @ q.T), frobenius(p.T @ p)]
        return self.options["orth_reg_weight"] * sum(norms) / len(norms)

    def scale_gradients(self, factor):
        """As the parameters' gradients are scaled, divided or clipped."""
        for layer in self.layers.values():
            for tensor in layer.seen:
                tensor.grad *= factor

    def after_step(self, step):
        o, settled = self.options, self.options["total_step"] - self.options["tfinal"]
        with torch.no_grad():
            if step < settled:
                self._measure()
            budget = self._budget(step)
            due = o["tinit"] < step < settled and step % o["deltaT"] == 0
            if due or step == settled:
                self._choose(budget)
        return {path: int(layer.mask.sum()) for path, layer in self.layers.items()} if self.chosen else {}

    def _budget(self, step):
        o = self.options
        first, last = len(self.layers) * o["init_r"], len(self.layers) * o["target_r"]
        if step <= o["tinit"]:
            return first
        left = 1 - (step - o["tinit"]) / (o["total_step"] - o["tfinal"] - o["tinit"])
        return int((first - last) * left**3 + last)

    def _measure(self):
        """With the P, Λ and Q that the step ran with."""
        o = self.options
        if self.moments is None:
            self.moments = {path: [(0.0, 0.0)] * 3 for path in self.layers}
        for path, layer in self.layers.items():
            p, raw, q, lambda_ = layer.seen
            for i, (value, gradient) in enumerate([(p, p.grad), (raw, lambda_.grad), (q, q.grad)]):
                importance = (value * gradient).abs()
                mean, deviation = self.moments[path][i]
                mean = o["beta1"] * mean + (1 - o["beta1"]) * importance
                deviation = o["beta2"] * deviation + (1 - o["beta2"]) * (importance - mean).abs()
                self.moments[path][i] = (mean, deviation)

    def _choose(self, budget):
        scores = {}
        for path in self.layers:
            p, lambda_, q = (mean * deviation for mean, deviation in self.moments[path])
            scores[path] = lambda_ + q.mean(1) + p.mean(0)
        together = torch.cat(list(scores.values()))
        dropped = len(together) - budget
        self.chosen = True
        for path, layer in self.layers.items():
            layer.mask.fill_(True)
            if dropped > 0:
                layer.mask.copy_(scores[path] > torch.kthvalue(together, dropped)[0])
