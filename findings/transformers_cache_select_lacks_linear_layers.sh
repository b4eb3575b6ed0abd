#!/usr/bin/env bash
# transformers 5.24.0, the cache of models with linear attention (Qwen3.5 and its kin).
#
# Expected: `cache.batch_select_indices(rows)` lets rows leave a batch, as it does for every other
# cache: a decoding loop drops the rows that have finished.
# Behaviour: AttributeError. Layers of linear attention have `reorder_cache`, and neither
# `batch_select_indices` nor `batch_repeat_interleave`. `reorder_cache` with fewer rows does the same.
# Seen (2026-11-28):
#   batch_select_indices: AttributeError 'LinearAttentionLayer' object has no attribute 'batch_select_indices'
#   reorder_cache: 2 rows left, the same logits as before: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "transformers==5.24.0" torch==2.14.0
cat > "$folder/drop_rows.py" <<'PY'
import torch
from transformers import Qwen3_5ForCausalLM, Qwen3_5TextConfig

torch.manual_seed(0)
config = Qwen3_5TextConfig(
    vocab_size=64,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=4,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=16,
    linear_num_key_heads=1,
    linear_num_value_heads=2,
    linear_key_head_dim=8,
    linear_value_head_dim=8,
    pad_token_id=0,
)
model = Qwen3_5ForCausalLM(config).eval()
ids = torch.arange(1, 13).view(3, 4)
rows = torch.tensor([0, 2])


@torch.inference_mode()
def after(change, ids, following):
    cache = model(ids, use_cache=True).cache
    change(cache)
    return model(following, cache=cache).logits


following = torch.tensor([[5], [6], [7]])
whole = after(lambda cache: None, ids, following)
try:
    after(lambda cache: cache.batch_select_indices(rows), ids, following[rows])
    said = "works"
except AttributeError as error:
    said = f"AttributeError {error}"
print(f"batch_select_indices: {said}")
fewer = after(lambda cache: cache.reorder_cache(rows), ids, following[rows])
same = torch.allclose(fewer, whole[rows], atol=1e-5)
print(f"reorder_cache: {len(fewer)} rows left, the same logits as before: {same}")
assert "has no attribute 'batch_select_indices'" in said
assert len(fewer) == 2 and same
PY
"$folder/env/bin/python" "$folder/drop_rows.py"
