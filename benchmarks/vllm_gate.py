"""The gate inside vLLM's sampler, beside vLLM's own log-probabilities and beside no gate at all.

    python tests/real_servers/environment.py vllm      # prints the environment's folder
    FOLDER/bin/python benchmarks/vllm_gate.py          # on a CPU
    python benchmarks/vllm_gate.py                     # on a GPU, in an environment with vLLM

64 drafts of 20 tokens are asked for at once of one engine, four ways in turn: nothing asked for,
the gate in the sampler, `logprobs=64`, and `logprobs=64` with `flat_logprobs` and no detokenizing.
Medians over rounds, as multiples of the time with nothing asked for, with the least and the most.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from speceyes_plugins.embedded import PAIR
from speceyes_plugins.engines.transformers.models import location
from speceyes_plugins.engines.vllm.loading import processors
from speceyes_plugins.engines.vllm.requests import Request, StepThread
from speceyes_plugins.engines.vllm.slots import EXTRA, ScoreSlot, StepScores
from vllm import LLM, SamplingParams
from vllm.sampling_params import RequestOutputKind

from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score

DRAFTS, TOKENS, K = 64, 20, 64
WAYS = ("nothing", "sampler", "logprobs", "flat")


def embedded() -> str:
    return location(PAIR, "small")


def tiny(folder: Path) -> str:
    """A language model so small that vLLM's own time shows; untrained, with a real vocabulary."""
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=4096,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(embedded()).save_pretrained(folder)
    return str(folder)


def make_request(way: str, prompt: list[int], scores: StepScores) -> Request:
    slot = ScoreSlot(scores, Gate("min", min_score, K), TOKENS, early=False)
    asked = {
        "nothing": {},
        "sampler": {"extra_args": {EXTRA: slot}},
        "logprobs": {"logprobs": K},
        "flat": {"logprobs": K, "flat_logprobs": True, "detokenize": False},
    }[way]
    parameters = SamplingParams(
        temperature=0.0,
        max_tokens=TOKENS,
        ignore_eos=True,
        output_kind=RequestOutputKind.FINAL_ONLY,
        **asked,
    )
    return Request({"prompt_token_ids": prompt}, parameters, slot if way == "sampler" else None)


def measure(model: LLM, rounds: int) -> dict[str, list[float]]:
    scores = StepScores()
    thread = StepThread(model.llm_engine, scores)
    prompts = [[5 + i, *range(20, 50)] for i in range(DRAFTS)]
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with ThreadPoolExecutor(DRAFTS) as pool:
        for number in range(rounds + 1):  # the first warms up
            for way in WAYS:
                requests = [make_request(way, prompt, scores) for prompt in prompts]
                began = time.perf_counter()
                done = list(pool.map(thread.answer, requests))
                taken = time.perf_counter() - began
                assert all(len(one.output.outputs[0].token_ids) == TOKENS for one in done)
                if way == "sampler":
                    assert all(len(one.slot.scores) == TOKENS for one in done)
                if number:
                    seconds[way].append(taken)
    thread.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--model", action="append", help="a folder; by default embedded and tiny")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print("$", " ".join(sys.argv))
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        models = given.model or [embedded(), tiny(Path(folder))]
        loaded = []  # vLLM takes all of a process's models down with the first
        for place in models:
            model = LLM(
                place,
                dtype="float32" if not torch.cuda.is_available() else "auto",
                enforce_eager=not torch.cuda.is_available(),
                max_logprobs=K,
                max_num_seqs=DRAFTS,
                logits_processors=processors(),
                disable_log_stats=True,
                max_model_len=512,
            )
            loaded.append(model)
            seconds = measure(model, given.rounds)
            found[Path(place).name] = seconds
            print(f"\n{place}: {DRAFTS} drafts of {TOKENS} tokens")
            for way in WAYS:
                ratios = [a / b for a, b in zip(seconds[way], seconds["nothing"], strict=True)]
                print(
                    f"{way:10} {statistics.median(seconds[way]):7.3f} s  "
                    f"x{statistics.median(ratios):5.2f} [{min(ratios):.2f}, {max(ratios):.2f}]  "
                    f"{DRAFTS / statistics.median(seconds[way]):7.1f} drafts/s"
                )
    if given.json:
        given.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
