"""Time of each turn of a long conversation.

    python benchmarks/turns.py [--layers 28] [--tokens 4000] [--first 2800] [--turns 6]

An untrained Qwen2.5-VL of the real depth but narrow reads a picture and a long text in its first
turn and shorter ones in the others, as an agent's tools give them, and writes 32 tokens a turn;
after the last turn the conversation has as many tokens as were asked for. With what is kept from
turn to turn, and with nothing kept.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from speceyes_plugins.engines.transformers.engine import TransformersEngine
from speceyes_training import architecture
from transformers import Qwen2_5_VLForConditionalGeneration

from speceyes_cli.core.chat import Ask, Message, Picture, Reply
from speceyes_cli.host.plugin_options import OptionValues
from speceyes_cli.host.specs import EngineOptions

WRITTEN = 32


def build(layers: int, folder: Path) -> None:
    """Write the untrained model, which never ends a turn by itself."""
    tokenizer = architecture.train_tokenizer(["What colour is the dot? red " * 20])
    config = architecture.build(tokenizer, architecture.QWEN2_5).config
    config.text_config.num_hidden_layers = layers
    config.text_config.num_key_value_heads = 1  # shared by all, as seven do in the 7B model
    config.text_config.layer_types = ["full_attention"] * layers
    config.text_config.max_position_embeddings = 32768
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.lm_head.weight.data[tokenizer.eos_token_id] = 0
    processor = architecture.build_processor(tokenizer, architecture.QWEN2_5)
    architecture.save(model, processor, folder)


def conversation(engine: TransformersEngine, key: str, words: list[int]) -> list[float]:
    """Seconds of each turn, which brings so many words."""
    picture = Picture("plain", lambda: Image.new("RGB", (200, 200), "red"))
    ask = Ask("large", (Message("user", (picture, "red " * words[0])),), WRITTEN, trajectory=key)
    seconds = []
    for new in [*words[1:], 0]:
        began = time.perf_counter()
        (reply,) = engine.generate([ask])
        seconds.append(time.perf_counter() - began)
        assert isinstance(reply, Reply), reply
        more = (Message("assistant", (reply.text,)), Message("user", ("red " * new,)))
        ask = replace(ask, messages=(*ask.messages, *more))
    engine.forget(key)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--tokens", type=int, default=4000)
    parser.add_argument("--first", type=int, default=2800)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    print("python", " ".join(sys.argv), f"with {torch.get_num_threads()} threads")
    later = (chosen.tokens - chosen.first) // (chosen.turns - 1)
    words = [chosen.first - WRITTEN, *[later - WRITTEN] * (chosen.turns - 1)]
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as place:
        build(chosen.layers, Path(place))
        for name, memory in (("kept", None), ("read anew", 0.0)):
            own = OptionValues((("turn-memory", memory),))
            options = EngineOptions(place, "large", options=own)
            engine = TransformersEngine(options)
            conversation(engine, "warm", words[:2])
            found = [conversation(engine, str(n), words) for n in range(chosen.repeats)]
            medians = [statistics.median(column) for column in zip(*found, strict=True)]
            ratios = [seconds[-1] / seconds[1] for seconds in found]
            print(f"{name}: seconds of each turn", " ".join(f"{each:.3f}" for each in medians))
            print(
                f"  turn {chosen.turns} over turn 2: {statistics.median(ratios):.2f} "
                f"({min(ratios):.2f} to {max(ratios):.2f})"
            )


if __name__ == "__main__":
    main()
