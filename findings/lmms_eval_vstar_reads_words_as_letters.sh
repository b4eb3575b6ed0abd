#!/usr/bin/env bash
# lmms-eval 0.7.3, task vstar_bench: extract_answer_letter(reply).
# Expected: a reply in words names the option whose text it says, or none.
# Behaviour: the reply is put into capitals and its first letter is the answer where it is one of A
# to D, whatever word it begins. "Black" is B, "Can't tell" is C, "Dark green" is D; of a question with
# the options A black, B blue, the right words "Black" count as wrong and "Blue" as right.
# Fails (exit 1) when this changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --no-deps lmms-eval==0.7.3 loguru==0.7.3
"$folder/env/bin/python" - <<'PYTHON'
import importlib.util
import sys
import types

# The packages' own imports (torch and more) are not needed for this one module.
path = list(importlib.util.find_spec("lmms_eval").submodule_search_locations)
for name in ("lmms_eval", "lmms_eval.tasks", "lmms_eval.tasks.vstar_bench"):
    module = types.ModuleType(name)
    module.__path__ = [folder + name.removeprefix("lmms_eval").replace(".", "/") for folder in path]
    sys.modules[name] = module

from lmms_eval.tasks.vstar_bench.utils import extract_answer_letter

replies = ("Black", "Blue", "Can't tell from this picture.", "Dark green", "A", "The answer is C.")
read = {reply: extract_answer_letter(reply) for reply in replies}
print("Seen:", read)
expected = dict(zip(replies, ("B", "B", "C", "D", "A", "C"), strict=True))
sys.exit(0 if read == expected else 1)
PYTHON
