#!/usr/bin/env bash
# LiteLLM's proxy 1.108.7 (litellm[proxy]), a gateway in front of vLLM and its kin, with a
# master_key and no database.
#
# Expected: a request with another key is answered 401, as OpenAI, vLLM and SGLang answer it, so that
# a client says "the key is wrong" and does not try again.
# Behaviour: it is answered 400 "No connected db." of type no_db_connection: a key that is not the
# master key is looked up in a database, and there is none. A client that goes by the status blames
# its request. /v1/models and /v1/chat/completions do the same.
# Seen (2026-11-28):
#   models, master key: 200
#   models, another key: 400 no_db_connection
#   chat/completions, another key: 400 no_db_connection
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "litellm[proxy]==1.108.7"
cat > "$folder/proxy.yaml" <<'YAML'
model_list:
  - model_name: eyes
    litellm_params:
      model: openai/eyes
      api_base: http://127.0.0.1:9/v1
      api_key: sk-of-the-server-behind
general_settings:
  master_key: sk-right
YAML
cat > "$folder/ask.py" <<'PY'
import json
import sys
import time
import urllib.error
import urllib.request

base = f"http://127.0.0.1:{sys.argv[1]}"
for _ in range(300):
    try:
        urllib.request.urlopen(f"{base}/health/liveliness", timeout=5).close()
        break
    except OSError:
        time.sleep(0.5)


def ask(path, key, body=None):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{base}/v1/{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return str(response.status)
    except urllib.error.HTTPError as error:
        return f"{error.code} {json.load(error)['error']['type']}"


chat = {"model": "eyes", "messages": [{"role": "user", "content": "hi"}]}
seen = {
    "models, master key": ask("models", "sk-right"),
    "models, another key": ask("models", "sk-wrong"),
    "chat/completions, another key": ask("chat/completions", "sk-wrong", chat),
}
for what, told in seen.items():
    print(f"{what}: {told}")
assert list(seen.values()) == ["200", "400 no_db_connection", "400 no_db_connection"]
PY
port=$("$folder/env/bin/python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
LITELLM_TELEMETRY=False "$folder/env/bin/litellm" --config "$folder/proxy.yaml" \
  --host 127.0.0.1 --port "$port" > "$folder/log" 2>&1 &
server=$!
"$folder/env/bin/python" "$folder/ask.py" "$port"
