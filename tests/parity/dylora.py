"""DyLoRA in PyTorch: the ranks that steps draw, and hidden activations cut to a rank.

With the first b of r hidden columns alone, y = x Wᵀ + b + (alpha / b) (x A[:b]ᵀ) B[:, :b]ᵀ.
"""

import math

PURPOSE = 10  # CDL_RANDOM_DYLORA_RANK
MASK = 0xFFFFFFFF


def philox(counter, key):
    """Philox 4x32-10 (Salmon et al. 2011)."""
    counter, key = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [second >> 32 ^ counter[1] ^ key[0], second & MASK, first >> 32 ^ counter[3] ^ key[1], first & MASK]
        key = [key[0] + 0x9E3779B9 & MASK, key[1] + 0xBB67AE85 & MASK]
    return counter


def rank_of_step(seed, step, least, most):
    """Uniform on least … most. One draw in some 2⁶⁰ would have to be repeated; none is here."""
    words = philox([0, 0, step, PURPOSE << 24], [seed & MASK, seed >> 32])
    return least + (words[1] << 32 | words[0]) % (most - least + 1)


class Nested:
    """Applied to hidden activations [..., rank]. `in_use` None: all of them."""

    def __init__(self, rank, rslora=False):
        self.rank, self.rslora, self.in_use = rank, rslora, None

    def __call__(self, hidden):
        if self.in_use is None:
            return hidden
        ratio = self.rank / self.in_use
        cut = hidden.clone()
        cut[..., self.in_use :] = 0
        return cut * (math.sqrt(ratio) if self.rslora else ratio)


class NestedHook(Nested):
    """The same as a forward hook of PEFT's lora_A."""

    def __call__(self, module, inputs, output):
        return super().__call__(output)


def freeze(trained, in_use):
    """Leaves the gradients of the last row and column in use alone."""
    for name, parameter in trained.items():
        if name.endswith("lora_B.weight") and "condlora_B" not in name:
            parameter.grad[:, : in_use - 1] = 0
        elif name.endswith(("lora_A.weight", "condlora_A.weight", "condlora_B.weight")):
            parameter.grad[: in_use - 1] = 0
