"""Methods beside LoRA and CondLoRA in PyTorch, and CondLoRA's matrices C_l where they are not the layer's own weight.

    shared:    y += s (x Aᵀ) Bᵀ, one pair A [r, in], B [out, r] for all layers of a group
    lora-xs:   y += s ((x Aᵀ) Rᵀ) Bᵀ, R [r, r] trained; frozen A = Σ_r V_rᵀ and B = U_r of W = U Σ Vᵀ
    vera:      PEFT's own

    random:    C_l = Q_l W_l P_lᵀ with orthogonal Q_l, P_l from Philox numbers
    permuted:  C_l = W_m, m the layer n // 2 places after l among the n of the group
"""

import math

import dylora
import torch
from torch import nn

PURPOSE = 12  # CDL_RANDOM_CONDITION
KINDS = (
    ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "intermediate.dense", "output.dense"),
    ("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "ffn.lin1", "ffn.lin2"),
)


# ---- What CondLoRA is applied to ----


def normals(seed, place, count):
    """Box and Muller's, two doubles each."""
    key, values = [seed & dylora.MASK, seed >> 32], []
    for block in range(count):
        words = dylora.philox([block & dylora.MASK, block >> 32, 0, PURPOSE << 24 | place], key)
        first, second = ((words[i + 1] << 32 | words[i]) / 2**11 // 1 * 2.0**-53 for i in (0, 2))
        values.append(math.sqrt(-2 * math.log(1 - first)) * math.cos(2 * math.pi * second))
    return torch.tensor(values, dtype=torch.double)


def orthogonal(seed, place, size):
    q, r = torch.linalg.qr(normals(seed, place, size * size).reshape(size, size))
    return q * torch.where(r.diagonal() < 0, -1.0, 1.0)


def rotations(path, inner, shape, seed):
    """Q_l [out, out] and P_l [in, in]: a layer's own, whatever else is adapted."""
    kind = next(kinds.index(inner) for kinds in KINDS if inner in kinds)
    layer = int(path.removesuffix("." + inner).rpartition(".")[2])
    place = 2 * (layer * len(KINDS[0]) + kind)
    return orthogonal(seed, place, shape[0]), orthogonal(seed, place + 1, shape[1])


def conditions(weights, groups, forms):
    """C_l by path, as a function of all weights by path; `groups` lists each group's paths in order, by their part inside a
    block. A pair (path of the weight, rotations or None) for each path."""
    kind = forms.get("condition", "weight")
    found = {}
    for inner, paths in groups.items():
        for i, path in enumerate(paths):
            if kind == "permuted":
                found[path] = (paths[(i + len(paths) // 2) % len(paths)], None)
            elif kind == "random":
                found[path] = (path, rotations(path, inner, weights[path].shape, forms["condition_seed"]))
            else:
                found[path] = (path, None)
    return found


def conditioned(weight, rotation):
    if rotation is None:
        return weight
    q, p = (matrix.to(weight.dtype) for matrix in rotation)
    return q @ weight @ p.T


# ---- Methods ----


class SharedGroup(nn.Module):
    def __init__(self, out_features, in_features, settings):
        super().__init__()
        self.shared_A = nn.Parameter(torch.empty(settings.rank, in_features))
        self.shared_B = nn.Parameter(torch.zeros(out_features, settings.rank))
        nn.init.kaiming_uniform_(self.shared_A, a=math.sqrt(5))


class SharedLinear(nn.Module):
    def __init__(self, base, group, settings):
        super().__init__()
        self.base = base
        self._group = (group,)
        self.scale = settings.alpha / settings.rank

    def forward(self, x):
        group = self._group[0]
        return self.base(x) + self.scale * nn.functional.linear(nn.functional.linear(x, group.shared_A), group.shared_B)


class LoraXsLinear(nn.Module):
    def __init__(self, base, settings):
        super().__init__()
        self.base = base
        self.scale = settings.alpha / settings.rank
        u, sigma, vt = torch.linalg.svd(base.weight.detach(), full_matrices=False)
        rank = settings.rank
        self.register_buffer("lora_xs_A", (sigma[:rank, None] * vt[:rank]).contiguous())
        self.register_buffer("lora_xs_B", u[:, :rank].contiguous())
        self.lora_xs_R = nn.Parameter(1e-5 * torch.randn(rank, rank))

    def forward(self, x):
        hidden = nn.functional.linear(nn.functional.linear(x, self.lora_xs_A), self.lora_xs_R)
        return self.base(x) + self.scale * nn.functional.linear(hidden, self.lora_xs_B)


def apply_vera(base, settings):
    """PEFT's model, its trained parameters and its frozen matrices, both by their names in the file."""
    from peft import VeraConfig, get_peft_model

    config = VeraConfig(
        task_type="SEQ_CLS",
        r=settings.rank,
        vera_dropout=0.0,
        target_modules=settings.targets,
        modules_to_save=list(settings.modules_to_save) or None,
        **settings.peft,
    )
    model = get_peft_model(base, config)
    trained = {
        name.replace(".modules_to_save.default.", ".").removesuffix(".default"): parameter
        for name, parameter in model.named_parameters() if parameter.requires_grad
    }
    frozen = {f"base_model.{name}": getattr(model.base_model, name)["default"] for name in ("vera_A", "vera_B")}
    return model, trained, frozen
