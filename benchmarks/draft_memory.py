"""Peak memory of a scored draft against its length: ours, and `generate` keeping its logits.

    python benchmarks/draft_memory.py

Each case runs in a process of its own, on an untrained Qwen3-VL whose vocabulary is Qwen's 151,936
tokens, so that a step's logits weigh what they weigh in a real speculator (594 KiB a row).
Prints resident memory at its peak beyond what it was before the first token.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

VOCABULARY = 151_936
LENGTHS = (64, 256, 1024)
WAYS = ("speceyes", "generate")


def build() -> tuple[Any, Any]:
    """An untrained speculator with a full vocabulary, and its processor."""
    import torch
    from speceyes_training import architecture
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    tokenizer = architecture.train_tokenizer(["What colour is the dot? " * 10])
    small = architecture.build(tokenizer).config.to_dict()
    small["text_config"]["vocab_size"] = VOCABULARY
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(Qwen3VLConfig(**small))
    return model, architecture.build_processor(tokenizer)


def resident() -> int:
    """Bytes now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Watch:
    """The highest resident memory while it runs."""

    def __enter__(self) -> Self:
        self.start = self.peak = resident()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def look(self) -> None:
        while not self.stop.wait(0.005):
            self.peak = max(self.peak, resident())

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


def run_case(way: str, length: int, folder: Path) -> dict[str, float]:
    """One draft of exactly `length` tokens."""
    from PIL import Image
    from speceyes_plugins.engines.transformers.engine import TransformersEngine

    from speceyes_cli.core.chat import Ask, Message, Picture
    from speceyes_cli.core.gate.decision import Gate
    from speceyes_cli.core.gate.scores import min_score
    from speceyes_cli.host.specs import EngineOptions

    engine = TransformersEngine(EngineOptions(str(folder), "small", batch_size=1))
    engine._decoder._ends = frozenset()  # the draft is to reach its limit
    picture = Picture("grey", lambda: Image.new("RGB", (160, 160), "grey"))
    gate = Gate("min", min_score)

    def ask(limit: int) -> Ask:
        return Ask(
            "small",
            (
                Message(
                    "user",
                    (picture, "Count."),
                ),
            ),
            limit,
            gate=gate,
        )

    if way == "speceyes":
        engine.generate([ask(4)])
        with Watch() as watch:
            began = time.perf_counter()
            (reply,) = engine.generate([ask(length)])
            seconds = time.perf_counter() - began
        assert reply.tokens == length
    else:
        model, processor = engine._loaded.model, engine._loaded.processor
        text = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Count.<|im_end|>\n"
        inputs = processor(text=[text], images=[picture.open()], return_tensors="pt")
        keep = {"output_logits": True, "return_dict_in_generate": True, "do_sample": False}
        model.generate(**inputs, max_new_tokens=4, min_new_tokens=4, **keep)
        with Watch() as watch:
            began = time.perf_counter()
            model.generate(**inputs, max_new_tokens=length, min_new_tokens=length, **keep)
            seconds = time.perf_counter() - began
    return {"mib": (watch.peak - watch.start) / 2**20, "seconds": seconds}


def cache_mib(length: int) -> float:
    """What the key-value cache alone takes: 4 layers, keys and values, 128 float32 values each."""
    return 4 * 2 * 128 * 4 * length / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs=3, metavar=("WAY", "LENGTH", "FOLDER"))
    arguments = parser.parse_args()
    if arguments.case:
        way, length, folder = arguments.case
        print(json.dumps(run_case(way, int(length), Path(folder))))
        return
    from speceyes_training.architecture import save

    print(f"command: python {' '.join(sys.argv)}")
    print(
        f"machine: {platform.processor() or platform.machine()}, Python {platform.python_version()}"
    )
    with tempfile.TemporaryDirectory() as folder:
        save(*build(), Path(folder))
        print(f"{'tokens':>7} {'cache MiB':>10} " + " ".join(f"{way + ' MiB':>14}" for way in WAYS))
        for length in LENGTHS:
            found = []
            for way in WAYS:
                words = [sys.executable, __file__, "--case", way, str(length), folder]
                out = subprocess.run(words, check=True, capture_output=True, text=True)
                found.append(json.loads(out.stdout.splitlines()[-1]))
            cells = " ".join(f"{case['mib']:14.1f}" for case in found)
            print(f"{length:7d} {cache_mib(length):10.1f} {cells}")


if __name__ == "__main__":
    main()
