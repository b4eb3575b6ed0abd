"""The local engine on untrained models of real shapes: drafts a second, tokens a second, the gate.

    python benchmarks/local_engine.py                  # on a GPU: Qwen3-VL-2B and Qwen2.5-VL-7B
    python benchmarks/local_engine.py --shape toy      # anywhere, to see that it runs

Weights are random, so answers mean nothing; shapes, vocabulary and number format are the real ones.
Each row draws its batch of pictures with a question, 20 tokens a reply, with and without a gate in
turn; medians with the least and the most.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from speceyes_plugins.engines.transformers import loading
from speceyes_plugins.engines.transformers.engine import TransformersEngine
from speceyes_training import architecture
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from speceyes_cli.core.chat import Ask, Message, Picture
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.plugin import EngineOptions

TOKENS, SIDE, VOCABULARY = 20, 640, 151_936
SHAPES: dict[str, dict[str, Any]] = {
    "toy": {},
    "qwen3-vl-2b": {
        "text_config": {
            "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28,
            "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
            "vocab_size": VOCABULARY,
        },
        "vision_config": {
            "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16,
            "out_hidden_size": 2048, "patch_size": 16, "deepstack_visual_indexes": [5, 11, 17],
        },
    },
    "qwen2.5-vl-7b": {
        "text_config": {
            "hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": VOCABULARY,
        },
        "vision_config": {
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
            "out_hidden_size": 3584, "patch_size": 14, "fullatt_block_indexes": [7, 15, 23, 31],
        },
    },
}  # fmt: skip


class Untrained:
    """Stands in for reading weights: a model of the folder's configuration, drawn on the device."""

    @staticmethod
    def from_pretrained(
        place: str, *, dtype: Any, device_map: Any, attn_implementation: str
    ) -> Any:
        where = "cuda" if device_map == "auto" else device_map
        config = AutoConfig.from_pretrained(place)
        torch.manual_seed(0)
        with torch.device(where):
            return AutoModelForImageTextToText.from_config(
                config, dtype=dtype, attn_implementation=attn_implementation
            )


def write_folder(shape: str, folder: Path) -> None:
    """Configuration and processor of an untrained model; no weights."""
    corpus = ["What colour is the dot? Answer: red " * 10]
    tokenizer = architecture.train_tokenizer(corpus)
    like = architecture.QWEN2_5 if shape == "qwen2.5-vl-7b" else architecture.WIDE
    config = architecture.build(tokenizer, like).config.to_dict()
    for part, values in SHAPES[shape].items():
        config[part].update(values)
        if part == "text_config":
            config[part].pop("layer_types", None)
    AutoConfig.for_model(**config).save_pretrained(folder)
    processor = architecture.build_processor(tokenizer, like)
    if SHAPES[shape]:
        processor.image_processor.patch_size = SHAPES[shape]["vision_config"]["patch_size"]
        processor.image_processor.size = {"shortest_edge": 65_536, "longest_edge": 1_003_520}
    processor.save_pretrained(folder)
    AutoProcessor.from_pretrained(folder)


def asks(batch: int, gate: Gate | None, round_: int) -> list[Ask]:
    drawn = np.random.default_rng(round_)
    made = []
    for i in range(batch):
        pixels = drawn.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
        picture = Picture(f"{round_}/{i}", lambda p=pixels: Image.fromarray(p))
        messages = (Message("user", (picture, "What colour is the dot? Answer:")),)
        made.append(Ask("small", messages, TOKENS, gate=gate, trajectory=f"{round_}/{i}"))
    return made


def measure(engine: TransformersEngine, batch: int, rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {"with the gate": [], "without": []}
    gates = {"with the gate": Gate("min", min_score, 64, 0.98), "without": None}
    for number in range(rounds + 1):  # the first warms up
        for way, gate in gates.items():
            batch_of = asks(batch, gate, number)
            began = time.perf_counter()
            replies = engine.generate(batch_of)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number:
                seconds[way].append(time.perf_counter() - began)
            failed = next((reply for reply in replies if isinstance(reply, Exception)), None)
            if failed is not None:
                raise failed
            for ask in batch_of:
                engine.forget(ask.trajectory)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", action="append", choices=SHAPES)
    parser.add_argument("--batch", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print("$", " ".join(sys.argv))
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    print(f"{device}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    loading.AutoModelForImageTextToText = Untrained  # type: ignore[misc,assignment]
    found = []
    for shape in given.shape or ["qwen3-vl-2b", "qwen2.5-vl-7b"]:
        with tempfile.TemporaryDirectory() as folder:
            write_folder(shape, Path(folder))
            engine = TransformersEngine(EngineOptions(folder, "small", batch_size=64))
        for batch in given.batch or [1, 8, 64]:
            seconds = measure(engine, batch, given.rounds)
            median = statistics.median(seconds["with the gate"])
            pairs = zip(seconds["with the gate"], seconds["without"], strict=True)
            ratios = sorted(one / other for one, other in pairs)
            line = {
                "shape": shape, "batch": batch, "drafts_per_s": batch / median,
                "tokens_per_s": batch * TOKENS / median, "gate": statistics.median(ratios),
                "gate_low": ratios[0], "gate_high": ratios[-1],
            }  # fmt: skip
            found.append(line)
            print(
                f"{shape:14} batch {batch:3}: {line['drafts_per_s']:8.2f} drafts/s "
                f"{line['tokens_per_s']:9.1f} tokens/s, with the gate x{line['gate']:.3f} "
                f"[{ratios[0]:.3f}, {ratios[-1]:.3f}]",
                flush=True,
            )
            if given.json:
                given.json.write_text(json.dumps(found, indent=1))
        engine.close()


if __name__ == "__main__":
    main()
