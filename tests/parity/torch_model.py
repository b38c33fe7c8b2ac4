"""Adapters on Transformers' classifiers, in PyTorch: the truth that condlora is held against.

LoRA is PEFT's own. CondLoRA is written here from the paper's equations 5 and 6:

    y = x Wᵀ + b + (alpha / r) (x Aᵀ) Bᵀ        W [out, in], A [r, in], B [out, r]
    paper:      A = θA W,  B = W θBᵀ            θA [r, out], θB [r, in]
    reference:  A = θA Wᵀ, B = W θBᵀ            square W only

Conditioning on the input, x_0 the first token's, s = alpha / r, s_x the config's lora_x_scaling; L and w serve every module:

    type1:      y += s s_x (x Lᵀ) Bᵀ            L [r, in]
    type2:      y_t += s s_x ⟨x_t, x_0⟩ w       w [out]

In W's place there may be another matrix (torch_methods.py), and a gate g_l [r] of each layer may scale the rows of A.

One θA and one θB serve every block: a group is all layers with the same path inside their block.
The other methods train tensors of the base: `none` the head, `bitfit` every bias and the head, `full` everything.
"""

import dataclasses
import json
import math
import pathlib
import re

import dylora
import torch
import torch_adalora
import torch_methods
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForSequenceClassification

METHODS = ("lora", "condlora", "adalora", "condadalora", "vera", "lora-xs", "shared", "none", "bitfit", "full")
DYLORA = ("dylora_rank_min", "dylora_frozen")
FORMS = {"LORA": DYLORA, "CONDLORA": ("use_dora", "use_x", "lora_x_scaling", "condition", "condition_seed", "gates", *DYLORA)}
PEFT_PREFIX = "base_model.model."
PEFT_SETTINGS = (
    "use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "layers_to_transform", "layers_pattern", "exclude_modules", "bias", "init_lora_weights",
)
PEFT_KEYS = {"LORA": PEFT_SETTINGS, "VERA": ("d_initial", "projection_prng_key", "bias")}
REPEATED = re.compile(r"\.original_module\.|\.modules_to_save\.")  # the head's bias again, which PEFT saves under bias "all"
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
FAMILY_DROPOUTS = {
    "distilbert": ("dropout", "attention_dropout", "seq_classif_dropout"),
    "mpnet": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
}
BLOCK_PATTERN = re.compile(r".*\.layer\.\d+\.(.+)")


@dataclasses.dataclass
class Settings:
    """What an adapter is. `targets` is a list of path suffixes or one regular expression, as in PEFT."""

    method: str = "condlora"
    orientation: str = "paper"
    rank: int = 8
    alpha: float = 8
    targets: list | str = dataclasses.field(default_factory=lambda: ["query", "value"])
    modules_to_save: list = dataclasses.field(default_factory=list)
    peft: dict = dataclasses.field(default_factory=dict)  # further settings of PEFT's LoraConfig, by its names
    lora_plus_ratio: float = 1.0
    forms: dict = dataclasses.field(default_factory=dict)  # our own keys of adapter_config.json: use_x, dylora_rank_min, …
    allocation: dict = dataclasses.field(default_factory=dict)  # AdaLoRA's own settings, by PEFT's names
    labels: list | None = None
    regression: bool = False

    @property
    def saved_modules(self):
        return [*self.modules_to_save, "classifier"]


def matches_target(path, targets):
    if isinstance(targets, str):
        return re.fullmatch(targets, path) is not None
    return any(path == target or path.endswith("." + target) for target in targets)


def inside_any(path, modules):
    """As PEFT matches modules to save: by how their paths end. DistilBERT's pre_classifier ends like classifier."""
    return any(re.match(rf".*{re.escape(module)}($|\..*)", path) for module in modules)


class CondLoraGroup(nn.Module):
    def __init__(self, out_features, in_features, settings):
        super().__init__()
        columns = out_features if settings.orientation == "paper" else in_features
        self.condlora_A = nn.Parameter(torch.empty(settings.rank, columns))
        self.condlora_B = nn.Parameter(torch.zeros(settings.rank, in_features))
        nn.init.kaiming_uniform_(self.condlora_A, a=math.sqrt(5))


class CondLoraLinear(nn.Module):
    def __init__(self, base, group, settings):
        super().__init__()
        self.base = base
        self._group = (group,)  # a tuple, so that the shared parameters belong to the group alone
        self.paper = settings.orientation == "paper"
        self.scale = settings.alpha / settings.rank

        self._shared = ()  # with use_x, its layer
        self.nested = None
        self.use_x = settings.forms.get("use_x", "none")
        self.x_scale = settings.forms.get("lora_x_scaling", 0.5)
        self.magnitude = nn.Parameter(base.weight.detach().norm(dim=1)) if settings.forms.get("use_dora") else None
        self.gate = nn.Parameter(torch.ones(settings.rank)) if settings.forms.get("gates") else None
        self._condition = (base, None)  # the layer whose weight gives A and B, and its rotations

    def forward(self, x):
        group, weight = self._group[0], self.base.weight
        condition = torch_methods.conditioned(self._condition[0].weight, self._condition[1])
        down = group.condlora_A @ (condition if self.paper else condition.T)
        up = condition @ group.condlora_B.T
        if self.gate is not None:
            down = self.gate[:, None] * down
        hidden = nn.functional.linear(x, down)
        if self.use_x == "type1":
            hidden = hidden + self.x_scale * nn.functional.linear(x, self._shared[0])
        if self.nested is not None:
            hidden = self.nested(hidden)
        change = self.scale * nn.functional.linear(hidden, up)
        if self.use_x == "type2":
            products = (x * x[:, :1]).sum(-1, keepdim=True)
            change = change + self.scale * self.x_scale * products * self._shared[0][:, 0]
        if self.magnitude is None:
            return self.base(x) + change
        if self.use_x == "type1":
            down = down + self.x_scale * self._shared[0]
        norms = (weight + self.scale * up @ down).norm(dim=1).detach()
        return self.magnitude / norms * (nn.functional.linear(x, weight) + change) + self.base.bias


class Tuned(nn.Module):
    """A base model with a method applied. `trained` maps names in the adapter's file to parameters, `frozen` to matrices that
    the file holds too; `allocation` has AdaLoRA's penalty and allocator."""

    def __init__(self, model, settings, trained, groups=None, allocation=None, nested=(), frozen=None):
        super().__init__()
        self.frozen = frozen or {}
        self.nested = list(nested)  # DyLoRA's cuts
        self.model = model
        self.groups = nn.ModuleDict(groups or {})
        self.settings = settings
        self.trained = trained
        self.allocation = allocation

    def forward(self, **inputs):
        return self.model(**inputs).logits

    def use_rank(self, rank):
        """DyLoRA: the rank of the passes that follow; None: the whole."""
        for cut in self.nested:
            cut.in_use = rank

    def load_tensors(self, tensors):
        expected = self.trained | self.frozen
        missing, unknown = set(expected) - set(tensors), set(tensors) - set(expected)
        if missing or unknown:
            raise ValueError(f"adapter tensors differ: missing {sorted(missing)}, unknown {sorted(unknown)}")
        with torch.no_grad():
            for name, parameter in expected.items():
                if parameter.shape != tensors[name].shape:
                    raise ValueError(f"{name}: shape {list(tensors[name].shape)}, expected {list(parameter.shape)}")
                parameter.copy_(tensors[name])

    def tensors(self):
        return {name: parameter.detach().clone().contiguous() for name, parameter in (self.trained | self.frozen).items()}

    def save(self, folder):
        """Writes the adapter's folder; for `full`, a whole Hugging Face folder."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if self.settings.method == "full":
            self.model.save_pretrained(folder)
        elif self.settings.method in ("lora", "adalora", "vera"):
            self._save_lora(folder)
        else:
            (folder / "adapter_config.json").write_text(json.dumps(self._config(), indent=2) + "\n")
            save_file(self.tensors(), folder / "adapter_model.safetensors", metadata={"format": "pt"})

    def _save_lora(self, folder):
        self.model.peft_config["default"].base_model_name_or_path = ""
        self.model.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's model card template
        path = folder / "adapter_model.safetensors"
        if self.settings.peft.get("bias") == "lora_only":  # PEFT 0.17 does not save these biases
            save_file(self.tensors(), path, metadata={"format": "pt"})
        saved = {name for name in load_file(path) if not REPEATED.search(name)}
        if saved != set(self.trained | self.frozen):
            raise AssertionError(f"PEFT saves other tensors: {sorted(saved ^ set(self.trained))}")
        config = json.loads((folder / "adapter_config.json").read_text())
        for key in ("target_modules", "modules_to_save"):  # sets: PEFT's order changes from run to run
            if isinstance(config[key], list):
                config[key] = sorted(config[key])
        config |= self.settings.forms
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")

    def _config(self):
        settings = self.settings
        config = {"peft_type": settings.method.upper().replace("-", "_"), "task_type": "SEQ_CLS", "base_model_name_or_path": ""}
        if settings.method == "condlora":
            config["orientation"] = settings.orientation
        if settings.method in ("condlora", "lora-xs", "shared"):
            config |= {
                "r": settings.rank,
                "lora_alpha": settings.alpha,
                "lora_dropout": 0.0,
                "target_modules": settings.targets,
                **settings.forms,
            }
        if settings.method == "condadalora":
            config |= {"lora_alpha": settings.alpha, "lora_dropout": 0.0, "target_modules": settings.targets} | settings.allocation
        config |= {"bias": "none", "modules_to_save": settings.saved_modules}
        if settings.labels is not None:
            config["labels"] = settings.labels
        if settings.regression:
            config["regression"] = True
        return config


def read_settings(folder):
    """Settings of an adapter's folder, ours or PEFT's."""
    config = json.loads((pathlib.Path(folder) / "adapter_config.json").read_text())
    saved = config.get("modules_to_save") or []
    return Settings(
        method=config["peft_type"].lower().replace("_", "-"),
        orientation=config.get("orientation", "paper"),
        rank=config.get("r", 8),
        alpha=config.get("lora_alpha", 8),
        targets=config.get("target_modules", []),
        modules_to_save=[module for module in saved if module not in ("classifier", "score")],
        peft={key: config[key] for key in PEFT_KEYS.get(config["peft_type"], ()) if config.get(key) not in (None, {}, [])},
        allocation={key: config[key] for key in torch_adalora.ALLOCATION if key in config},
        forms={key: config[key] for key in FORMS[config["peft_type"]] if key in config} if config["peft_type"] in FORMS else {},
        labels=config.get("labels"),
        regression=config.get("regression", False),
    )


def family_of(folder):
    return json.loads((pathlib.Path(folder) / "config.json").read_text())["model_type"]


def read_base(folder, outputs, dropout=0.0, attention="sdpa"):
    """The classifier in a Hugging Face folder and the modules it lacks, which are fresh: (model, fresh modules)."""
    names = FAMILY_DROPOUTS.get(family_of(folder), DROPOUTS)
    attention = "eager" if family_of(folder) == "mpnet" else attention  # the only kind that it has
    options = {} if dropout is None else dict.fromkeys(names, dropout)
    model, info = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=outputs, attn_implementation=attention, output_loading_info=True, **options
    )
    fresh = [module for module in ("pooler", "classifier") if any(f"{module}." in key for key in info["missing_keys"])]
    return model, fresh


def apply(base, settings, fresh=()):
    """Freezes `base` and applies the method of `settings`. A fresh pooler is trained like the head."""
    if settings.method not in METHODS:
        raise ValueError(f"method {settings.method}: expected one of {', '.join(METHODS)}")
    if "pooler" in fresh and "pooler" not in settings.modules_to_save:
        settings = dataclasses.replace(settings, modules_to_save=[*settings.modules_to_save, "pooler"])
    if settings.method == "lora":
        return _apply_lora(base, settings)
    if settings.method == "condlora":
        return _apply_condlora(base, settings)
    if settings.method == "adalora":
        model, trained, allocation = torch_adalora.apply_adalora(base, settings)
        return Tuned(model, settings, trained, allocation=allocation)
    if settings.method == "condadalora":
        return _apply_condadalora(base, settings)
    if settings.method == "vera":
        model, trained, frozen = torch_methods.apply_vera(base, settings)
        return Tuned(model, settings, trained, frozen=frozen)
    if settings.method == "shared":
        return _apply_shared(base, settings)
    if settings.method == "lora-xs":
        return _apply_lora_xs(base, settings)
    return _apply_base_method(base, settings)


def _apply_lora(base, settings):
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type="SEQ_CLS",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules=settings.targets,
        modules_to_save=list(settings.modules_to_save) or None,
        **settings.peft,
    )
    model = get_peft_model(base, config)
    trained = {name_in_file(name): parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    nested = []
    if settings.forms.get("dylora_rank_min"):
        for path, module in model.named_modules():
            if path.endswith(".lora_A.default"):
                nested.append(dylora.NestedHook(module.out_features, settings.peft.get("use_rslora", False)))
                module.register_forward_hook(nested[-1])
    return Tuned(model, settings, trained, nested=nested)


def name_in_file(name):
    """As PEFT saves a parameter."""
    name = name.replace(".modules_to_save.default.", ".").replace(".default.", ".")
    return name.removesuffix(".weight") if name.endswith(".lora_magnitude_vector.weight") else name


def _targets_in_blocks(base, settings):
    """Paths inside a block with the paths of their layers, in order."""
    groups = {}
    for path, module in base.named_modules():
        block = BLOCK_PATTERN.fullmatch(path)
        if not isinstance(module, nn.Linear) or block is None or inside_any(path, settings.saved_modules):
            continue
        if matches_target(path, settings.targets):
            groups.setdefault(block.group(1), []).append(path)
    if not groups:
        raise ValueError(f"targets {settings.targets} match no linear layer of a block")
    return groups


def _replace(base, path, module):
    parent, _, leaf = path.rpartition(".")
    setattr(base.get_submodule(parent), leaf, module)


def _apply_condlora(base, settings):
    trained = _train_only(base, lambda path: inside_any(path, settings.saved_modules))
    groups, layers = {}, {}
    nested = [dylora.Nested(settings.rank)] if settings.forms.get("dylora_rank_min") else []
    paths = _targets_in_blocks(base, settings)
    targets = {path for of_group in paths.values() for path in of_group}
    linears = {path: module for path, module in base.named_modules() if path in targets}
    conditions = torch_methods.conditions({path: linear.weight for path, linear in linears.items()}, paths, settings.forms)
    for inner, of_group in paths.items():
        out, columns = linears[of_group[0]].weight.shape
        if settings.orientation == "reference" and out != columns:
            raise ValueError(f"{inner}: orientation reference needs a square weight, found {[out, columns]}")
        groups[inner] = CondLoraGroup(out, columns, settings)
        trained[f"{PEFT_PREFIX}{inner}.condlora_A.weight"] = groups[inner].condlora_A
        trained[f"{PEFT_PREFIX}{inner}.condlora_B.weight"] = groups[inner].condlora_B
    for path in linears:
        layers[path] = CondLoraLinear(linears[path], groups[BLOCK_PATTERN.fullmatch(path).group(1)], settings)
        layers[path].nested = nested[0] if nested else None
        layers[path]._condition = (linears[conditions[path][0]], conditions[path][1])
        _replace(base, path, layers[path])
    if settings.forms.get("use_x", "none") != "none":
        trained[f"{PEFT_PREFIX}condlora_x.weight"] = _share_x(layers, settings)
    for path, layer in layers.items():
        if layer.gate is not None:
            trained[f"{PEFT_PREFIX}{path}.condlora_gate"] = layer.gate
        if layer.magnitude is not None:
            trained[f"{PEFT_PREFIX}{path}.lora_magnitude_vector"] = layer.magnitude
    return Tuned(base, settings, trained, {inner.replace(".", "/"): group for inner, group in groups.items()}, nested=nested)


def _apply_shared(base, settings):
    trained = _train_only(base, lambda path: inside_any(path, settings.saved_modules))
    groups = {}
    for inner, paths in _targets_in_blocks(base, settings).items():
        linears = [base.get_submodule(path) for path in paths]
        groups[inner] = torch_methods.SharedGroup(linears[0].out_features, linears[0].in_features, settings)
        for path, linear in zip(paths, linears):
            _replace(base, path, torch_methods.SharedLinear(linear, groups[inner], settings))
        trained[f"{PEFT_PREFIX}{inner}.shared_A.weight"] = groups[inner].shared_A
        trained[f"{PEFT_PREFIX}{inner}.shared_B.weight"] = groups[inner].shared_B
    return Tuned(base, settings, trained, {inner.replace(".", "/"): group for inner, group in groups.items()})


def _apply_lora_xs(base, settings):
    trained, frozen = _train_only(base, lambda path: inside_any(path, settings.saved_modules)), {}
    linears = [(path, module) for path, module in base.named_modules() if isinstance(module, nn.Linear)]
    for path, linear in linears:
        if not matches_target(path, settings.targets) or inside_any(path, settings.saved_modules):
            continue
        layer = torch_methods.LoraXsLinear(linear, settings)
        _replace(base, path, layer)
        trained[f"{PEFT_PREFIX}{path}.lora_xs_R.weight"] = layer.lora_xs_R
        frozen |= {f"{PEFT_PREFIX}{path}.lora_xs_{part}.weight": getattr(layer, f"lora_xs_{part}") for part in "AB"}
    return Tuned(base, settings, trained, frozen=frozen)


def _share_x(layers, settings):
    """The one layer of the input, which the first of the modules registers."""
    first = next(iter(layers.values()))
    out, columns = first.base.weight.shape
    first.condlora_x = nn.Parameter(torch.zeros((settings.rank, columns) if settings.forms["use_x"] == "type1" else (out, 1)))
    for layer in layers.values():
        layer._shared = (first.condlora_x,)
    return first.condlora_x


def _apply_condadalora(base, settings):
    trained = _train_only(base, lambda path: inside_any(path, settings.saved_modules))
    groups, layers = {}, {}
    for path, linear in [(p, m) for p, m in base.named_modules() if isinstance(m, nn.Linear)]:
        block = BLOCK_PATTERN.fullmatch(path)
        if not matches_target(path, settings.targets) or inside_any(path, settings.saved_modules) or block is None:
            continue
        group = groups.setdefault(
            block.group(1),
            torch_adalora.ConditionedGroup(linear.out_features, linear.in_features, settings.allocation["init_r"]),
        )
        layers[path] = torch_adalora.ConditionedLinear(linear, group, settings)
        parent, _, leaf = path.rpartition(".")
        setattr(base.get_submodule(parent), leaf, layers[path])
    for inner, group in groups.items():
        for part in ("P", "E", "Q"):
            trained[f"{PEFT_PREFIX}{inner}.condlora_{part}.weight"] = getattr(group, f"condlora_{part}")
    allocation = torch_adalora.ConditionedAllocation(layers, settings)
    return Tuned(base, settings, trained, {inner.replace(".", "/"): group for inner, group in groups.items()}, allocation)


def _apply_base_method(base, settings):
    def is_trained(path):
        if settings.method == "full":
            return True
        is_bias = settings.method == "bitfit" and path.endswith(".bias")
        return is_bias or inside_any(path, settings.saved_modules)

    prefix = "" if settings.method == "full" else PEFT_PREFIX
    return Tuned(base, settings, _train_only(base, is_trained, prefix))


def _train_only(base, is_trained, prefix=PEFT_PREFIX):
    trained = {}
    for path, parameter in base.named_parameters():
        parameter.requires_grad_(is_trained(path))
        if parameter.requires_grad:
            trained[prefix + path] = parameter
    return trained


def read_adapter(model_folder, adapter_folder, outputs, dropout=0.0, attention="sdpa"):
    """The model of `model_folder` with the adapter of `adapter_folder`, its tensors included."""
    base, fresh = read_base(model_folder, outputs, dropout, attention)
    if torch_adalora.is_pruned(adapter_folder):
        settings = read_settings(adapter_folder)
        model, trained, allocation = torch_adalora.read_pruned(base, adapter_folder, settings)
        return Tuned(model, settings, trained, allocation=allocation)
    tuned = apply(base, read_settings(adapter_folder), fresh)
    saved = load_file(pathlib.Path(adapter_folder) / "adapter_model.safetensors")
    tuned.load_tensors({name: tensor for name, tensor in saved.items() if not REPEATED.search(name)})
    return tuned


def singular_gap(base, settings):
    """The least distance of a singular value that PiSSA takes off from the first that it leaves, over the largest: where it is
    small, what is taken off depends on rounding. 1 for other initial values."""
    if settings.peft.get("init_lora_weights") != "pissa":
        return 1.0
    gaps = [1.0]
    for path, linear in base.named_modules():
        if isinstance(linear, nn.Linear) and matches_target(path, settings.targets):
            sigma = torch.linalg.svdvals(linear.weight.detach().double())
            if settings.rank < len(sigma):
                gaps.append(float((sigma[settings.rank - 1] - sigma[settings.rank]) / sigma[0]))
    return min(gaps)


def is_norm(name):
    return "LayerNorm." in name or "layer_norm." in name


def optimizer_groups(trained, weight_decay, decay):
    """AdamW's parameter groups: `all` decays every tensor, `no-bias` spares biases and layer norms."""
    spared = [p for name, p in trained.items() if decay == "no-bias" and ("bias" in name or is_norm(name))]
    spared_ids = {id(p) for p in spared}
    decayed = [p for p in trained.values() if id(p) not in spared_ids]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def example_losses(logits, labels, class_weights=None, label_smoothing=0.0, multi_label=False):
    """Sum of the examples' losses and what to divide it by: the mean over any number of batches is Σ sums / Σ divisors.

    Several labels and several numbers [examples, outputs] are averaged over both, as Transformers' losses are.
    """
    if multi_label:
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=class_weights, reduction="sum")
        return loss, torch.tensor(float(labels.numel()), dtype=logits.dtype)
    if labels.is_floating_point() and labels.dim() == 2:
        return ((logits - labels) ** 2).sum(), torch.tensor(float(labels.numel()), dtype=logits.dtype)
    if labels.is_floating_point():
        return ((logits.squeeze(-1) - labels) ** 2).sum(), torch.tensor(float(len(labels)), dtype=logits.dtype)
    loss = nn.functional.cross_entropy(
        logits, labels, weight=class_weights, label_smoothing=label_smoothing, reduction="sum"
    )
    divisor = torch.tensor(float(len(labels)), dtype=logits.dtype) if class_weights is None else class_weights[labels].sum()
    return loss, divisor
