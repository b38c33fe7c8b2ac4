"""Draws the figures of the low-rank methods beside itself: schemes of their matrices.

    python low_rank_figures.py
"""

import pathlib

FROZEN, TRAINED, DERIVED, UNUSED = "#d7dce2", "#f0a868", "#9cc3e6", "#ffffff"


def box(x, y, width, height, fill, label):
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}" stroke="#333"/>'
        f'<text x="{x + width / 2}" y="{y + height / 2 + 5}" text-anchor="middle">{label}</text>'
    )


def text(x, y, words, anchor="middle"):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{words}</text>'


def legend(x, y):
    parts = []
    for i, (fill, word) in enumerate([(FROZEN, "frozen"), (TRAINED, "trained"), (DERIVED, "derived")]):
        parts.append(box(x + 90 * i, y, 14, 14, fill, "") + text(x + 90 * i + 20, y + 12, word, "start"))
    return "".join(parts)


def svg(name, width, height, *parts):
    body = "".join(parts)
    path = pathlib.Path(__file__).with_name(name)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="14"><rect width="{width}" height="{height}" fill="#fff"/>{body}</svg>\n'
    )


def lora():
    svg(
        "lora.svg", 560, 220,
        box(20, 30, 100, 100, FROZEN, "W"), text(150, 85, "+ s ·"), box(182, 30, 30, 100, TRAINED, "Bₗ"), text(228, 85, "·"),
        box(244, 67, 100, 26, TRAINED, "Aₗ"), text(362, 85, "="), box(382, 30, 100, 100, DERIVED, "W + s B A"),
        text(280, 160, "every layer trains a separate pair A, B; the sum is one merged weight"), legend(150, 185),
    )


def condlora():
    svg(
        "condlora.svg", 560, 220,
        box(20, 70, 100, 26, TRAINED, "θA"), text(135, 88, "·"), box(150, 30, 100, 100, FROZEN, "Wₗ"), text(270, 88, "="),
        box(290, 70, 100, 26, DERIVED, "Aₗ"),
        box(410, 30, 30, 100, DERIVED, "Bₗ"), text(467, 88, "= Wₗ ·"), box(496, 30, 36, 100, TRAINED, "θBᵀ"),
        text(280, 160, "all layers l of a group share one θA and one θB"), legend(150, 185),
    )


def shared():
    svg(
        "shared.svg", 560, 220,
        box(20, 30, 100, 100, FROZEN, "Wₗ"), text(150, 85, "+ s ·"), box(182, 30, 30, 100, TRAINED, "B"), text(228, 85, "·"),
        box(244, 67, 100, 26, TRAINED, "A"), text(362, 85, "="), box(382, 30, 100, 100, DERIVED, "Wₗ + s B A"),
        text(280, 160, "all layers l of a group share one pair A, B"), legend(150, 185),
    )


def lora_xs():
    svg(
        "lora-xs.svg", 560, 220,
        box(20, 30, 100, 100, FROZEN, "Wₗ"), text(150, 85, "+ s ·"), box(182, 30, 30, 100, FROZEN, "Uᵣ"), text(226, 85, "·"),
        box(240, 65, 30, 30, TRAINED, "Rₗ"), text(284, 85, "·"), box(298, 67, 100, 26, FROZEN, "Σᵣ Vᵣᵀ"),
        text(416, 85, "="), box(434, 30, 100, 100, DERIVED, "Wₗ + s B A"),
        text(280, 160, "Uᵣ, Σᵣ and Vᵣ are of Wₗ itself; every layer trains its own square Rₗ"), legend(150, 185),
    )


def vera():
    svg(
        "vera.svg", 600, 220,
        box(20, 30, 100, 100, FROZEN, "Wₗ"), text(136, 85, "+"), box(150, 30, 26, 100, TRAINED, "bₗ"), text(188, 85, "∘"),
        box(202, 30, 50, 100, FROZEN, "B"), text(266, 85, "·"), box(280, 57, 26, 46, TRAINED, "dₗ"), text(318, 85, "∘"),
        box(332, 57, 100, 46, FROZEN, "A"), text(450, 85, "="), box(470, 30, 110, 100, DERIVED, "Wₗ + Bₗ Aₗ"),
        text(300, 160, "A and B are random and the same in all layers; every layer trains two vectors"), legend(165, 185),
    )


def dora():
    rows = "".join(
        f'<line x1="330" y1="130" x2="{330 + dx * g}" y2="{130 - dy * g}" stroke="#d2691e" stroke-width="4"/>'
        f'<line x1="330" y1="130" x2="{330 + dx}" y2="{130 - dy}" stroke="#333" stroke-dasharray="5 3"/>'
        for dx, dy, g in ((110, 30, 0.7), (70, 80, 1.15), (-30, 70, 1.3))
    )
    svg(
        "dora.svg", 560, 220,
        box(20, 40, 90, 90, FROZEN, "W"), text(126, 90, "+ s"), box(142, 40, 26, 90, TRAINED, "B"), box(172, 72, 90, 26, TRAINED, "A"),
        rows, box(480, 40, 26, 90, TRAINED, "m"),
        text(280, 160, "dashed: rows of W + s B A; solid: the same rows with trained lengths m"), legend(150, 185),
    )


def dylora():
    svg(
        "dylora.svg", 560, 230,
        box(60, 30, 22, 120, TRAINED, ""), box(82, 30, 22, 120, TRAINED, ""), box(104, 30, 22, 120, UNUSED, ""),
        box(126, 30, 22, 120, UNUSED, ""), text(104, 20, "B"),
        box(200, 40, 160, 22, TRAINED, "row 1"), box(200, 62, 160, 22, TRAINED, "row b"), box(200, 84, 160, 22, UNUSED, ""),
        box(200, 106, 160, 22, UNUSED, "row r"), text(280, 30, "A"),
        text(390, 66, "this step's rank b,", "start"), text(390, 84, "scale α / b", "start"),
        text(390, 116, "unused in this step", "start"),
        text(280, 175, "each step draws b; the frozen form trains only row and column b"), legend(150, 198),
    )


def triplets(x, fill, unused):
    """P, diag(Λ) and Q of one layer, whose triplets from the place `unused` on are off."""
    parts = []
    for i in range(4):
        shade = fill if i < unused else UNUSED
        parts += [box(x + 18 * i, 40, 18, 100, shade, ""), box(x + 90 + 18 * i, 54 + 18 * i, 18, 18, shade, ""),
                  box(x + 180, 54 + 18 * i, 100, 18, shade, "")]
    return "".join(parts) + text(x + 36, 32, "P") + text(x + 126, 32, "Λ") + text(x + 230, 32, "Q")


def adalora():
    svg(
        "adalora.svg", 680, 230,
        triplets(20, TRAINED, 3), triplets(380, TRAINED, 1), text(160, 162, "a layer that matters keeps three ranks"),
        text(520, 162, "another keeps one"), text(340, 184, "white: the allocator has set Λ to zero; it chooses again as the budget falls"),
        legend(210, 204),
    )


def condadalora():
    svg(
        "condadalora.svg", 670, 240,
        box(20, 24, 150, 24, TRAINED, "θQ"), box(20, 62, 150, 24, TRAINED, "θΛ"), box(20, 100, 150, 24, TRAINED, "θP"),
        text(195, 80, "with"), box(225, 24, 100, 100, FROZEN, "Wₗ"), text(344, 80, "="),
        triplets(360, DERIVED, 2).replace("Λ<", "Λₗ<").replace("P<", "Pₗ<").replace("Q<", "Qₗ<"),
        text(335, 168, "Q = θQ W, P = W θPᵀ, Λᵢ = mᵢ ⟨(θΛ W)ᵢ, Qᵢ⟩; all layers l of a group share three θ"),
        text(335, 190, "white: the allocator has set mᵢ to zero in this layer"), legend(205, 212),
    )


if __name__ == "__main__":
    lora()
    condlora()
    shared()
    lora_xs()
    vera()
    dora()
    dylora()
    adalora()
    condadalora()
