"""What local models would run on, for `speceyes doctor`."""

from __future__ import annotations

import importlib.metadata
import importlib.util

import torch
from speceyes_kernels import token_statistics

from speceyes_cli.plugin import Finding


def findings() -> list[Finding]:
    """Libraries, GPUs, the gate's kernel and the attention that would be chosen."""
    found = [
        Finding(name, "ok", importlib.metadata.version(name)) for name in ("torch", "transformers")
    ]
    found.append(Finding("CPU threads", "ok", str(torch.get_num_threads())))
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            memory = facts.total_memory / 2**30
            found.append(Finding(f"GPU {index}", "ok", f"{facts.name}, {memory:.0f} GiB"))
    else:
        found.append(Finding("GPU", "absent", "none is visible to torch; models run on the CPU"))
    found.append(kernel())
    flash = importlib.util.find_spec("flash_attn") is not None
    detail = "flash-attn" if flash else "flash-attn is not installed; torch's own is used"
    found.append(Finding("attention", "ok" if flash else "absent", detail))
    return found


def kernel() -> Finding:
    """Whether the gate's Triton kernel runs here and agrees with torch."""
    if not torch.cuda.is_available():
        return Finding("gate kernel", "absent", "Triton needs a GPU; the torch form is used")
    logits = torch.randn(4, 5000, device="cuda")
    try:
        fast = token_statistics(logits, implementation="triton").separability
    except Exception as error:  # noqa: BLE001 - whatever keeps it from running is the finding
        return Finding("gate kernel", "failed", f"{type(error).__name__}: {error}")
    plain = token_statistics(logits, implementation="torch").separability
    agrees = torch.allclose(fast, plain, rtol=1e-4)
    return Finding("gate kernel", "ok" if agrees else "failed", "Triton against torch")
