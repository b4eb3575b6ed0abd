"""A trained Qwen3-VL's weights in the layers of a Qwen2.5-VL, to be trained on from there.

Most of the layers are the same. Where they differ:

- Qwen3-VL's tower takes the mean away before each norm. Here everything that writes to the residual
  stream writes without its mean, so that a norm without that step does the same; what the norm
  added goes into the biases after it.
- Its feed-forward layers are GELU between two matrices; a gated one does nearly the same
  with a gate of 1.702 times the first matrix and a constant 1 to be gated.
- Its queries and keys are divided by their size; they are divided by their usual size here.
- Its learned positions, the bias of its patches and its second stream of visual features have no
  counterpart, and are left out: these are what has to be learned anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

GELU_SLOPE = 1.702  # gelu(x) is nearly x * sigmoid(1.702 x)
TEXT = "model.language_model."
TOWER = "model.visual."


def usual_sizes(model: Any, read: Callable[[], object]) -> dict[str, Tensor]:
    """Per head of each `q_proj` and `k_proj` the root mean square of what it gives in `read`."""
    sizes: dict[str, Tensor] = {}
    width = model.config.text_config.head_dim

    def note(name: str) -> Callable[[Any, Any, Tensor], None]:
        def hook(_module: Any, _inputs: Any, output: Tensor) -> None:
            heads = output.detach().unflatten(-1, (-1, width)).flatten(0, -3)
            sizes[name] = heads.float().pow(2).mean(-1).sqrt().mean(0)

        return hook

    hooks = [
        module.register_forward_hook(note(name))
        for name, module in model.named_modules()
        if name.endswith(("q_proj", "k_proj"))
    ]
    read()
    for hook in hooks:
        hook.remove()
    return sizes


def converted(
    old: dict[str, Tensor], like: dict[str, Tensor], sizes: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The weights `old` of a Qwen3-VL under the names and in the shapes of `like`."""
    old = {name: value.float() for name, value in old.items()}
    new = {name: old[name] for name in like if name in old and old[name].shape == like[name].shape}
    for name, value in like.items():
        if name.startswith(TEXT) and name.endswith(("q_proj.weight", "k_proj.weight")):
            layer, projection, _ = name.rsplit(".", 2)
            gain = old[f"{layer}.{projection[0]}_norm.weight"]
            scale = gain / sizes[f"{layer}.{projection}"][:, None]  # [heads, head width]
            new[name] = old[name] * scale.reshape(-1, 1)
        elif name.startswith(TEXT) and name.endswith("proj.bias"):
            new[name] = torch.zeros_like(value)
    new |= _tower(old, like)
    missing = like.keys() - new.keys()
    if missing:
        raise ValueError(f"no weights for {sorted(missing)}")
    return new


def _tower(old: dict[str, Tensor], like: dict[str, Tensor]) -> dict[str, Tensor]:
    kernel = f"{TOWER}patch_embed.proj.weight"
    new = {kernel: _centred(_patches(old[kernel], like[kernel].shape[-1]))}
    blocks = {name.split(".blocks.")[1].split(".")[0] for name in like if ".blocks." in name}
    for number in blocks:
        block = f"{TOWER}blocks.{number}."
        for norm in ("norm1", "norm2"):
            new[f"{block}{norm}.weight"] = old[f"{block}{norm}.weight"]
        new |= _linear(old, f"{block}attn.qkv", f"{block}attn.qkv", shift=f"{block}norm1.bias")
        out = f"{block}attn.proj"
        new |= {f"{out}.{part}": _centred(old[f"{out}.{part}"]) for part in ("weight", "bias")}
        gate = _linear(old, f"{block}mlp.linear_fc1", "gate", shift=f"{block}norm2.bias")
        for part in ("weight", "bias"):
            new[f"{block}mlp.gate_proj.{part}"] = GELU_SLOPE * gate[f"gate.{part}"]
        new[f"{block}mlp.up_proj.weight"] = torch.zeros_like(gate["gate.weight"])
        new[f"{block}mlp.up_proj.bias"] = torch.ones_like(gate["gate.bias"])
        down = f"{block}mlp.linear_fc2"
        new[f"{block}mlp.down_proj.weight"] = _centred(old[f"{down}.weight"]) / GELU_SLOPE
        new[f"{block}mlp.down_proj.bias"] = _centred(old[f"{down}.bias"])
    merger = f"{TOWER}merger."
    new[f"{merger}ln_q.weight"] = old[f"{merger}norm.weight"]
    new |= _linear(old, f"{merger}linear_fc1", f"{merger}mlp.0", shift=f"{merger}norm.bias")
    new |= _linear(old, f"{merger}linear_fc2", f"{merger}mlp.2")
    return new


def _linear(old: dict[str, Tensor], name: str, to: str, shift: str = "") -> dict[str, Tensor]:
    """A layer under its new name; its bias takes up what the norm before it added."""
    weight, bias = old[f"{name}.weight"], old[f"{name}.bias"]
    if shift:
        added = old[shift].repeat(weight.shape[1] // len(old[shift]))
        bias = bias + weight @ added
    return {f"{to}.weight": weight, f"{to}.bias": bias}


def _centred(weight: Tensor) -> Tensor:
    """A matrix or bias that writes to the residual stream, without the mean of what it writes."""
    return weight - weight.mean(0, keepdim=True)


def _patches(kernel: Tensor, side: int) -> Tensor:
    """[width, channels, time, patch, patch], for patches of another size."""
    scaled = functional.interpolate(kernel.flatten(0, 1), size=(side, side), mode="bilinear")
    resized: Tensor = scaled.unflatten(0, kernel.shape[:2])
    return (kernel.shape[-1] / side) ** 2 * resized
