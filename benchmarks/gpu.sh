#!/usr/bin/env bash
# Every figure that needs a GPU, the most valuable first: bash benchmarks/gpu.sh [FOLDER]
#
# Checks the kernels, then times them, the local engine on untrained models of real shapes, and the
# gate inside vLLM's sampler where vLLM is installed. Each table is in FOLDER (default: gpu-tables)
# as soon as it is there; a step that fails or takes too long leaves the others as they are. Under
# eight minutes in all. Works with torch 2.11 and triton 3.6 as well as with later ones.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-gpu-tables}
mkdir -p "$out"
export PYTHONPATH="$PWD:$PWD/kernels:$PWD/plugins:$PWD/datasets:$PWD/judges:$PWD/training${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1
device=cuda
python -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' || device=cpu
failed=0

step() { # step NAME SECONDS COMMAND...
  local name=$1 seconds=$2
  shift 2
  echo "== $name: $*"
  timeout "$seconds" "$@" 2>&1 | tee "$out/$name.txt"
  local status=${PIPESTATUS[0]}
  if [ "$status" -ne 0 ]; then
    echo "== $name ended with $status" | tee -a "$out/$name.txt"
    failed=1
  fi
}

{
  python -c 'import torch, platform; print("torch", torch.__version__, "python", platform.python_version())'
  python -c 'import triton; print("triton", triton.__version__)'
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
} > "$out/machine.txt" 2>&1
cat "$out/machine.txt"

if [ "$device" = cuda ]; then
  step kernel-check 90 python -m pytest -q -p no:cacheprovider tests/kernels/test_token_statistics.py
  step kernel 110 python benchmarks/gate_kernel.py --device cuda --json "$out/kernel.json"
  step local-2b 100 python benchmarks/local_engine.py --shape qwen3-vl-2b --json "$out/local-2b.json"
  step local-7b 100 python benchmarks/local_engine.py --shape qwen2.5-vl-7b --json "$out/local-7b.json"
else
  step kernel-check 90 python -m pytest -q -p no:cacheprovider tests/kernels/test_token_statistics.py -k torch
  step kernel 110 python benchmarks/gate_kernel.py --device cpu --rows 8 --k 64 --repeats 3 --json "$out/kernel.json"
  step local-toy 100 python benchmarks/local_engine.py --shape toy --rounds 1 --json "$out/local-toy.json"
fi
if python -c 'import vllm' 2> /dev/null; then
  step vllm 110 python benchmarks/vllm_gate.py --rounds 5 --json "$out/vllm.json"
else
  echo "vLLM is not installed: its table is left empty" | tee "$out/vllm.txt"
fi
ls -l "$out"
exit "$failed"
