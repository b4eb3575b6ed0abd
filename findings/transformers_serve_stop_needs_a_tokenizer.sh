#!/usr/bin/env bash
# transformers 5.24.0, `transformers serve`, a vision model (Qwen2-VL's classes, untrained).
#
# Expected: `stop` is a field of OpenAI's interface that the server takes, so an answer ends at a
# stop text, for a vision model as for a text model.
# Behaviour: the server hands the model's processor to `generate` in the place of a tokenizer. A
# processor has no `get_vocab`, so every request with `stop` fails; without `stop` the same request
# is answered.
# Seen (2026-11-28):
#   without stop: 200
#   with stop: 500
#   the server's log: AttributeError: 'Qwen2VLProcessor' object has no attribute 'get_vocab'
# So an agent that ends its turns by stop texts has to serve its vision model otherwise.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "transformers[serving]==5.24.0" torch==2.14.0 \
  torchvision==0.29.0 pillow==12.3.0
cat > "$folder/make.py" <<'PY'
import sys

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLProcessor,
)
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

folder = sys.argv[1]
special = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<|end|>"]
words = [*special, "<unk>", *"is red a colour yes no".split()]
plain = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, "<unk>"))
plain.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=plain, unk_token="<unk>", eos_token="<|end|>", pad_token="<|end|>",
    additional_special_tokens=special[:4],
)
template = "{% for m in messages %}{{ m.content if m.content is string else m.content[0].text }}{% endfor %}"
Qwen2VLProcessor(
    Qwen2VLImageProcessor(), tokenizer, Qwen2VLVideoProcessor(), chat_template=template
).save_pretrained(folder)
config = Qwen2VLConfig(
    text_config=dict(
        vocab_size=len(words), hidden_size=32, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, eos_token_id=4, bos_token_id=4,
        pad_token_id=4,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
    ),
    vision_config=dict(depth=1, embed_dim=32, hidden_size=32, num_heads=2),
    vision_start_token_id=0, vision_end_token_id=1, image_token_id=2, video_token_id=3,
)
Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
PY
"$folder/env/bin/python" "$folder/make.py" "$folder/model"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
HF_HUB_OFFLINE=1 "$folder/env/bin/transformers" serve "$folder/model" --device cpu --host 127.0.0.1 \
  --port "$port" > "$folder/log" 2>&1 &
server=$!
cat > "$folder/ask.py" <<'PY'
import json
import sys
import time
import urllib.error
import urllib.request

address, model = sys.argv[1:]
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def status(**changes):
    asked = {"model": model, "messages": [{"role": "user", "content": "is red a colour"}]}
    body = json.dumps({**asked, "max_tokens": 4, **changes}).encode()
    request = urllib.request.Request(
        f"{address}/v1/chat/completions", body, {"Content-Type": "application/json"}
    )
    try:
        with direct.open(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


for _ in range(240):
    try:
        direct.open(f"{address}/health").close()
        break
    except OSError:
        time.sleep(0.5)
without, with_stop = status(), status(stop=["no"])
print(f"without stop: {without}\nwith stop: {with_stop}")
assert (without, with_stop) == (200, 500)
PY
if ! "$folder/env/bin/python" "$folder/ask.py" "http://127.0.0.1:$port" "$folder/model"; then
  tail -n 20 "$folder/log"
  exit 1
fi
told=$(grep -o "AttributeError: 'Qwen2VLProcessor' object has no attribute 'get_vocab'" "$folder/log" | head -n 1)
echo "the server's log: $told"
[ -n "$told" ]
