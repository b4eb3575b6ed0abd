"""The text half of Qwen2-VL to Qwen3-VL in few calls: what a step of decoding waits for.

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
from torch.linalg import vector_norm
from torch.nn.functional import linear, rms_norm, silu
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextModel
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLTextModel
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextModel

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""Layer, query [tokens, heads, width], key and value [tokens, key heads, width] to what the query
sees, [tokens, heads x width]."""

KNOWN = (Qwen2VLTextModel, Qwen2_5_VLTextModel, Qwen3VLTextModel)
"""Decoders whose arithmetic this is."""
STATIC_ROPE = ("default", "linear", "yarn", "llama3")
"""Rotary embeddings whose frequencies do not depend on the length of the conversation."""


class Norm:
    """Root mean square norm over the last axis, times a weight."""

    def __init__(self, weight: Tensor, eps: float) -> None:
        """`weight` is [width], or [heads, width] for a norm of each head."""
        self._weight = weight.detach()
        self._eps = eps
        width = weight.shape[-1]
        self._shape = (width,)
        self._short = weight.dtype == torch.float32 and weight.device.type == "cpu"
        self._scaled = self._weight * width**0.5
        self._least = torch.tensor((width * eps) ** 0.5)

    def __call__(self, values: Tensor) -> Tensor:
        """Values of the same shape."""
        if self._short:  # the same sum, in half the time of torch's own
            size = torch.hypot(vector_norm(values, dim=-1, keepdim=True), self._least)
            found: Tensor = values * self._scaled / size
            return found
        if self._weight.dim() == 1:
            return rms_norm(values, self._shape, self._weight, self._eps)
        return rms_norm(values, self._shape, None, self._eps) * self._weight


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer's weights, as views of the model's own parameters."""

    input_norm: Norm
    qkv: Tensor
    """[(heads + 2 x key heads) x width, hidden]."""
    qkv_bias: Tensor | None
    head_norms: Norm | None
    """Qwen3-VL's norms of each head of query and key."""
    out: nn.Linear
    post_norm: Norm
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
        self._norm = Norm(text.norm.weight, config.rms_norm_eps)
        self._head = model.lm_head
        self.layers = [_layer(one, config.rms_norm_eps) for one in text.layers]
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
        found: Tensor = self._embed(tokens.to(self.device))
        return found

    def rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and signed sine, [rows, tokens, 1, width], of positions [3, rows, tokens].

        The sine is negative in the first half, so that `x * cos + roll(x) * sin` is the rotation.
        """
        like = self.layers[0].qkv
        cos, sin = self._rotary(like, positions.to(like.device))
        first, second = sin.chunk(2, dim=-1)
        return cos.unsqueeze(2), torch.cat((-first, second), dim=-1).unsqueeze(2)

    def run(
        self,
        hidden: Tensor,
        rotation: tuple[Tensor, Tensor],
        attend: Attend,
        add: Callable[[int, Tensor], None] | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """All layers over [tokens, hidden]; `rotation` is [tokens, 1, width] twice.

        `add` is called with each layer's number and output, which it may change in place. Where
        only some tokens are `wanted`, the last layer computes no more of the others than their keys
        and values.
        """
        cos, sin = rotation
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            if hidden.device != layer.device:  # the model is spread over several devices
                hidden, cos, sin = (part.to(layer.device) for part in (hidden, cos, sin))
            seen = self._attention(index, hidden, cos, sin, attend)
            if wanted is not None and index == last:
                wanted = wanted.to(hidden.device)
                hidden, seen = hidden[wanted], seen[wanted]
            hidden = hidden + linear(seen, layer.out.weight, layer.out.bias)
            gate, up = linear(layer.post_norm(hidden), layer.gate_up).chunk(2, dim=-1)
            hidden = hidden + linear(silu(gate) * up, layer.down.weight)
            if add is not None and index < last:  # nothing that follows sees the last one's
                add(index, hidden)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """[tokens, hidden] to [tokens, vocabulary]."""
        found: Tensor = self._head(self._norm(hidden.to(self._head.weight.device)))
        return found

    def _attention(
        self, index: int, hidden: Tensor, cos: Tensor, sin: Tensor, attend: Attend
    ) -> Tensor:
        """What each token sees, [tokens, heads x width]."""
        layer, turned_heads = self.layers[index], self.heads + self.key_heads
        qkv = linear(layer.input_norm(hidden), layer.qkv, layer.qkv_bias)
        qkv = qkv.view(len(hidden), -1, self.width)
        turned = qkv[:, :turned_heads]
        if layer.head_norms is not None:
            turned = layer.head_norms(turned)
        turned = torch.addcmul(turned * cos, turned.roll(self.width // 2, -1), sin)
        return attend(
            index, turned[:, : self.heads], turned[:, self.heads :], qkv[:, turned_heads:]
        )


def suits(model: Any, attention: str) -> bool:
    """Whether `TextModel` computes what the model's own forward pass would.

    Not so for weights that are quantised or stay off the device, for attention of the caller's own
    choice that returns weights, for a sliding window, and for frequencies that change with length.
    """
    text = getattr(model.model, "language_model", None)
    if text is None or type(text) not in KNOWN or attention == "eager":
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


def _layer(layer: Any, eps: float) -> Layer:
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
        input_norm=Norm(layer.input_layernorm.weight, eps),
        qkv=_joined(projections),
        qkv_bias=bias,
        head_norms=None if norms is None else Norm(norms, eps),
        out=attention.o_proj,
        post_norm=Norm(layer.post_attention_layernorm.weight, eps),
        gate_up=_joined((mlp.gate_proj, mlp.up_proj)),
        down=mlp.down_proj,
    )


def _joined(parts: tuple[nn.Linear, ...]) -> Tensor:
    """The weights one below the other; the parts become views, so that they are held once."""
    whole = torch.cat([part.weight.detach() for part in parts])
    for part, own in zip(parts, whole.split([part.out_features for part in parts]), strict=True):
        part.weight = nn.Parameter(own, requires_grad=False)
    return whole
