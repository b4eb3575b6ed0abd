#!/usr/bin/env bash
# VLMEvalKit as ms-vlmeval 0.0.20: vlmeval.utils.matching_util.can_infer(reply, choices).
# Expected: which option a reply names depends on the reply and the options alone.
# Behaviour: it depends on the environment variable VERBOSE. "A" may be an article in a sentence of
# more than three words; that is looked at only where VERBOSE is set, for the return stands inside the
# branch that logs. With the options A red kettle, B green kettle, "I see: A green kettle" is A
# without VERBOSE and B with it, so a run that logs more has other scores.
# Fails (exit 1) when this changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --no-deps ms-vlmeval==0.0.20
cat > "$folder/read.py" <<'PYTHON'
import importlib.util
import sys
import types

# The packages' own imports (torch and more) are not needed for this one module.
path = list(importlib.util.find_spec("vlmeval").submodule_search_locations)
for name in ("vlmeval", "vlmeval.smp", "vlmeval.utils"):
    module = types.ModuleType(name)
    module.__path__ = [folder + name.removeprefix("vlmeval").replace(".", "/") for folder in path]
    sys.modules[name] = module

from vlmeval.utils.matching_util import can_infer

print(can_infer("I see: A green kettle", {"A": "red kettle", "B": "green kettle"}))
PYTHON
quiet=$(env -u VERBOSE "$folder/env/bin/python" "$folder/read.py" 2>/dev/null | tail -n 1)
verbose=$(VERBOSE=1 "$folder/env/bin/python" "$folder/read.py" 2>/dev/null | tail -n 1)
echo "Seen: without VERBOSE $quiet, with VERBOSE=1 $verbose"
[ "$quiet" = A ] && [ "$verbose" = B ]
