"""The text half of Qwen2.5-VL and Qwen3-VL in few calls: what a step of decoding waits for.

On small models and small batches a step is bound by the number of calls, and transformers makes
about five times as many as the arithmetic needs. The weights, the rotary embedding and the head are
the model's own; query, key and value share one product, and so do the gate and up projections.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, rms_norm, silu
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextModel
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextModel

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""Layer, query [tokens, heads, width], key and value [tokens, key heads, width] to what the query
sees, [tokens, heads x width]."""

STATIC_ROPE = ("default", "linear", "yarn", "llama3")
"""Rotary embeddings whose frequencies do not depend on the length of the conversation."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer's weights, as views of the model's own parameters."""

    input_norm: Tensor
    qkv: Tensor
    """[(heads + 2 x key heads) x width, hidden]."""
    qkv_bias: Tensor | None
    head_norms: Tensor | None
    """Qwen3-VL's norms of query and key, [heads + key heads, width]."""
    out: nn.Linear
    post_norm: Tensor
    gate_up: Tensor
    """[2 x intermediate, hidden]."""
    down: nn.Linear

    @property
    def device(self) -> torch.device:
        """Where the layer computes."""
        return self.qkv.device


class TextModel:
    """The decoder layers, the embedding and the head of a loaded model."""

    def __init__(self, model: Any) -> None:
        """`model` must be one of those that `suits`; its projections come to share their memory."""
        text = model.model.language_model
        config = text.config
        self._embed = text.embed_tokens
        self._rotary = text.rotary_emb
        self._norm: Tensor = text.norm.weight
        self._head = model.lm_head
        self._eps: float = config.rms_norm_eps
        self.layers = [_layer(one) for one in text.layers]
        attention = text.layers[0].self_attn
        self.width: int = attention.head_dim
        self.heads: int = config.num_attention_heads
        self.key_heads: int = config.num_key_value_heads
        self.scale: float = attention.scaling
        self.dtype: torch.dtype = self.layers[0].qkv.dtype

    @property
    def bytes_per_token(self) -> int:
        """Memory of one token's keys and values."""
        values = 2 * len(self.layers) * self.key_heads * self.width
        return values * self.dtype.itemsize

    @property
    def device(self) -> torch.device:
        """Where tokens are embedded."""
        device: torch.device = self._embed.weight.device
        return device

    def embed(self, tokens: Tensor) -> Tensor:
        """[tokens] to [tokens, hidden]."""
        found: Tensor = self._embed(tokens)
        return found

    def rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and signed sine, [rows, tokens, 1, width], of positions [3, rows, tokens].

        The sine is negative in the first half, so that `x * cos + roll(x) * sin` is the rotation.
        """
        like = self._norm.new_empty(0, dtype=self.dtype)
        cos, sin = self._rotary(like, positions.to(like.device))
        first, second = sin.chunk(2, dim=-1)
        return cos.unsqueeze(2), torch.cat((-first, second), dim=-1).unsqueeze(2)

    def run(
        self,
        hidden: Tensor,
        rotation: tuple[Tensor, Tensor],
        attend: Attend,
        add: Callable[[int, Tensor], None] | None = None,
    ) -> Tensor:
        """All layers over [tokens, hidden]; `rotation` is [tokens, 1, width] twice.

        `add` is called with each layer's number and output, which it may change in place.
        """
        cos, sin = rotation
        for index, layer in enumerate(self.layers):
            if hidden.device != layer.device:  # the model is spread over several devices
                hidden, cos, sin = (part.to(layer.device) for part in (hidden, cos, sin))
            hidden = self._layer(index, hidden, cos, sin, attend)
            if add is not None:
                add(index, hidden)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """[tokens, hidden] to [tokens, vocabulary]."""
        hidden = hidden.to(self._norm.device)
        found: Tensor = self._head(rms_norm(hidden, hidden.shape[-1:], self._norm, self._eps))
        return found

    def _layer(
        self, index: int, hidden: Tensor, cos: Tensor, sin: Tensor, attend: Attend
    ) -> Tensor:
        layer, shape = self.layers[index], hidden.shape[-1:]
        normed = rms_norm(hidden, shape, layer.input_norm, self._eps)
        qkv = linear(normed, layer.qkv, layer.qkv_bias).view(len(hidden), -1, self.width)
        turned = qkv[:, : self.heads + self.key_heads]
        if layer.head_norms is not None:
            turned = rms_norm(turned, (self.width,), None, self._eps) * layer.head_norms
        turned = torch.addcmul(turned * cos, turned.roll(self.width // 2, -1), sin)
        seen = attend(
            index,
            turned[:, : self.heads],
            turned[:, self.heads :],
            qkv[:, self.heads + self.key_heads :],
        )
        hidden = hidden + linear(seen, layer.out.weight, layer.out.bias)
        normed = rms_norm(hidden, shape, layer.post_norm, self._eps)
        gate, up = linear(normed, layer.gate_up).chunk(2, dim=-1)
        return hidden + linear(silu(gate) * up, layer.down.weight)


def suits(model: Any, attention: str) -> bool:
    """Whether `TextModel` computes what the model's own forward pass would.

    Not so for weights that are quantised or stay off the device, for attention of the caller's own
    choice that returns weights, for a sliding window, and for frequencies that change with length.
    """
    text = model.model.language_model
    if type(text) not in (Qwen2_5_VLTextModel, Qwen3VLTextModel) or attention == "eager":
        return False
    config = text.config
    plain = all(
        type(part) is nn.Linear and part.weight.device.type != "meta" and not _moved(part)
        for layer in text.layers
        for part in (*layer.self_attn.children(), *layer.mlp.children())
        if isinstance(part, nn.Linear) or hasattr(part, "in_features")
    )
    return (
        plain
        and config.hidden_act == "silu"
        and config.rope_parameters["rope_type"] in STATIC_ROPE
        and set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
    )


def _moved(part: Any) -> bool:
    """Whether the weights are brought to the device for each call only."""
    return bool(getattr(getattr(part, "_hf_hook", None), "offload", False))


def _layer(layer: Any) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    norms = None
    if hasattr(attention, "q_norm"):
        counts = [part.out_features // attention.head_dim for part in projections[:2]]
        norms = torch.cat(
            [
                norm.weight.expand(count, -1)
                for norm, count in zip((attention.q_norm, attention.k_norm), counts, strict=True)
            ]
        )
    bias = None
    if attention.q_proj.bias is not None:
        bias = torch.cat([part.bias for part in projections]).detach()
    return Layer(
        input_norm=layer.input_layernorm.weight.detach(),
        qkv=_joined(projections),
        qkv_bias=bias,
        head_norms=None if norms is None else norms.detach(),
        out=attention.o_proj,
        post_norm=layer.post_attention_layernorm.weight.detach(),
        gate_up=_joined((mlp.gate_proj, mlp.up_proj)),
        down=mlp.down_proj,
    )


def _joined(parts: tuple[nn.Linear, ...]) -> Tensor:
    """The weights one below the other; the parts become views, so that they are held once."""
    whole = torch.cat([part.weight.detach() for part in parts])
    for part, own in zip(parts, whole.split([part.out_features for part in parts]), strict=True):
        part.weight = nn.Parameter(own, requires_grad=False)
    return whole
