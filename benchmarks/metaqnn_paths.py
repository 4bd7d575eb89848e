"""States of MetaQNN along a recorded network: layer, depth and bin of the representation's size.

Source: Baker et al. 2017 (arXiv:1611.02167), section 4.2 and appendix B.
"""

from __future__ import annotations

import math
from collections.abc import Hashable

from metalcx.graphs import from_metaqnn

#: Width and height of the images of CIFAR-10 and SVHN.
IMAGE = 32


def path(arch: str) -> list[Hashable]:
    """States of one network, such as ``(("conv", 3, 64, 1), 1, 8)``; dropouts follow from depth and are left out."""
    size, states = IMAGE, []
    layers = [dict(node) for node in from_metaqnn(arch).nodes if node["op"] not in ("dropout", "input", "output")]
    for depth, layer in enumerate(layers, 1):
        operation = layer.pop("op")
        if operation == "max_pool":
            size = math.ceil((size - layer["kernel"] + 1) / layer["stride"])
        elif operation != "conv":
            size = 1
        states.append(((operation, *(layer[name] for name in sorted(layer))), depth, size_bin(size)))
    return states


def size_bin(size: int) -> int:
    """The bins 8 and more, 4 to 7, 1 to 3, by their smallest."""
    return 8 if size > 7 else 4 if size > 3 else 1
