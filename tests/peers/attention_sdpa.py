"""Attention in BF16 and its gradient on the emulated CUDA device against PyTorch's scaled_dot_product_attention in bf16.

    python attention_sdpa.py PATH/TO/attention-probe

Both start from the same bf16 numbers, and float64 is the truth. For each shape and each of out, dQ, dK, dV the root of the mean
square of condlora's error must be at most PyTorch's, with room for what differs by chance. Exit status 0 if so.
"""
import subprocess
import sys

import numpy
import torch

NAMES = ("out", "dQ", "dK", "dV")
# What one draw differs from another by; a product less exact than PyTorch's is off by tens of percent.
CHANCE = 1.02
# heads, columns of a head, lengths, what queries and keys are multiplied with
CASES = [
    (2, 64, [1, 16, 33, 64], 1),
    (2, 64, [65, 128, 200], 1),
    (1, 64, [512], 1),
    (2, 32, [40, 129, 257], 1),
    (1, 96, [70, 150], 1),
    (1, 128, [31, 140], 1),
    (2, 24, [90], 1),
    (2, 64, [100, 150], 3),
]


def attend(q, k, v, d_out, scale):
    """Attention and its gradients of one sequence, [heads, length, depth], in the type of the arguments."""
    q, k, v = (x.detach().clone().requires_grad_() for x in (q, k, v))
    out = torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None], scale=scale)[0]
    out.backward(d_out)
    return [x.detach().double() for x in (out, q.grad, k.grad, v.grad)]


def by_probe(program, heads, depth, lengths, scale, qkv, d_out):
    numbers = lambda x: x.contiguous().view(torch.int16).numpy().tobytes()
    sizes = numpy.array([heads, depth, len(lengths), *lengths], dtype=numpy.int32).tobytes()
    done = subprocess.run([program], input=sizes + numpy.float32(scale).tobytes() + numbers(qkv) + numbers(d_out), capture_output=True)
    if done.returncode == 77:
        print(f"skipped: attention_sdpa: {done.stderr.decode().strip()}")
        sys.exit(77)
    if done.returncode != 0:
        sys.exit(f"attention-probe: exit status {done.returncode}: {done.stderr.decode().strip()}")
    tokens, width = d_out.shape
    got = torch.from_numpy(numpy.frombuffer(done.stdout, dtype=numpy.int16).copy()).view(torch.bfloat16)
    assert got.numel() == 4 * tokens * width, got.numel()
    return got[: tokens * width].view(tokens, width), got[tokens * width :].view(tokens, 3 * width)


def by_heads(x, heads, depth, first, length, part=0):
    """[heads, length, depth] of one sequence's rows."""
    columns = x[first : first + length, part * heads * depth : (part + 1) * heads * depth]
    return columns.reshape(length, heads, depth).transpose(0, 1)


def squares(program, heads, depth, lengths, spread, seed):
    """Of each of NAMES: the sums of squares of condlora's errors, of PyTorch's, and of the truth."""
    generator = torch.Generator().manual_seed(seed)
    tokens, width, scale = sum(lengths), heads * depth, depth**-0.5
    qkv = torch.randn(tokens, 3 * width, generator=generator)
    qkv[:, : 2 * width] *= spread
    qkv = qkv.bfloat16()
    d_out = torch.randn(tokens, width, generator=generator).bfloat16()
    out, d_qkv = by_probe(program, heads, depth, lengths, scale, qkv, d_out)
    sums, first = torch.zeros(len(NAMES), 3, dtype=torch.float64), 0
    for length in lengths:
        arguments = [by_heads(qkv, heads, depth, first, length, part) for part in range(3)]
        arguments.append(by_heads(d_out, heads, depth, first, length))
        truth = attend(*(x.double() for x in arguments), scale)
        theirs = attend(*arguments, scale)
        ours = [by_heads(out, heads, depth, first, length)]
        ours += [by_heads(d_qkv, heads, depth, first, length, part) for part in range(3)]
        for i, true in enumerate(truth):
            sums[i] += torch.stack([((ours[i].double() - true) ** 2).sum(), ((theirs[i] - true) ** 2).sum(), (true**2).sum()])
        first += length
    return sums


def main():
    differences, checks = [], 0
    for seed, (heads, depth, lengths, spread) in enumerate(CASES):
        sums = squares(sys.argv[1], heads, depth, lengths, spread, seed)
        for name, (ours, theirs, true) in zip(NAMES, sums.tolist()):
            checks += 1
            errors = f"{(ours / true) ** 0.5:.2e} of the values, PyTorch's {(theirs / true) ** 0.5:.2e}"
            print(f"{heads} heads of {depth}, lengths {lengths}, spread {spread}: {name} errs by {errors}")
            if not ours**0.5 <= CHANCE * theirs**0.5:
                differences.append(f"{heads} heads of {depth}, lengths {lengths}: {name}: {errors}")
    for difference in differences:
        print("differs:", difference)
    print(f"attention_sdpa: {checks} comparisons, {len(differences)} differ")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
