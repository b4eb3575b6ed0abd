from __future__ import annotations

from pathlib import Path

import pytest
import torch
from speceyes_training import architecture

from speceyes_cli.core.chat import Role


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> dict[Role, Path]:
    """Both architectures with random weights, as folders."""
    root = tmp_path_factory.mktemp("untrained")
    tokenizer = architecture.train_tokenizer(["What colour is the dot? Answer: red yes no " * 20])
    torch.manual_seed(3)
    small = architecture.build(tokenizer)
    large = architecture.build(tokenizer, architecture.QWEN2_5)
    for model in (small, large):  # sharper than at birth, so that greedy choices are no near-ties
        model.lm_head.weight.data.mul_(30)
    folders: dict[Role, Path] = {"small": root / "small", "large": root / "large"}
    architecture.save(small, architecture.build_processor(tokenizer), folders["small"])
    processor = architecture.build_processor(tokenizer, architecture.QWEN2_5)
    architecture.save(large, processor, folders["large"])
    return folders
