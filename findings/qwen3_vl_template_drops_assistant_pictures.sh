#!/usr/bin/env bash
# Chat templates of Qwen3-VL, Qwen3.5, Qwen3.6 and Qwen3.8 as published (the copies in trl 1.16.0),
# rendered by transformers 5.24.0 with `continue_final_message`: an assistant turn that a tool's
# result was put into and that the model is to go on with, as Thyme does it.
#
# Expected: the prompt ends in the turn as it was given, its picture as a placeholder.
# Behaviour: Qwen3-VL's writes the text and leaves the picture out, with no word about it. The others
# keep the picture, put an empty closed thought before the turn, and cut the blank at its end.
# Seen (2026-11-28), after the last "assistant\n":
#   qwen3_vl 'one two '
#   qwen3_5_think '<think>\n\n</think>\n\none <|vision_start|><|image_pad|><|vision_end|>two'
#   qwen3_5_nothink '<think>\n\n</think>\n\none <|vision_start|><|image_pad|><|vision_end|>two'
#   qwen3_6 '<think>\n\n</think>\n\none <|vision_start|><|image_pad|><|vision_end|>two'
#   qwen3_8 '<think>\n\n</think>\n\none <|vision_start|><|image_pad|><|vision_end|>two'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "transformers==5.24.0" jinja2
"$folder/env/bin/python" -m pip install --quiet --no-deps "trl==1.16.0"
cat > "$folder/render.py" <<'PY'
from importlib.metadata import files

from transformers.utils.chat_template_utils import render_jinja_template

templates = {f.name: f for f in files("trl") if f.match("chat_templates/*.jinja")}
chat = [
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Which colour?"}]},
    {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "one "},
            {"type": "image"},
            {"type": "text", "text": "two "},
        ],
    },
]
found = {}
for name in ("qwen3_vl", "qwen3_5_think", "qwen3_5_nothink", "qwen3_6", "qwen3_8"):
    [text], _ = render_jinja_template(
        [chat],
        chat_template=templates[f"{name}.jinja"].read_text(),
        continue_final_message=True,
    )
    found[name] = text.rpartition("assistant\n")[2]
    print(name, repr(found[name]))
assert found.pop("qwen3_vl") == "one two "
closed = "<think>\n\n</think>\n\none <|vision_start|><|image_pad|><|vision_end|>two"
assert set(found.values()) == {closed}
PY
"$folder/env/bin/python" "$folder/render.py"
