#!/usr/bin/env bash
# vllm-router 0.1.17 in front of an OpenAI-compatible server: one question after a former answer.
#
# Expected: a router picks a worker and hands the body on as it came.
# It builds the body anew: ten fields are added that the client did not send, among them four of
# SGLang's that are neither OpenAI's nor vLLM's (no_stop_trim, separate_reasoning, stream_reasoning,
# return_hidden_states), so that a server that refuses unknown fields refuses every question; and a
# former turn's reasoning_content arrives as reasoning. Fields that it does not know are handed on.
#
# Seen: added ['continue_final_message', 'ignore_eos', 'include_reasoning', 'logprobs',
#       'no_stop_trim', 'return_hidden_states', 'separate_reasoning', 'skip_special_tokens', 'stream',
#       'stream_reasoning']; unknown field kept: True; the turn has ['content', 'reasoning', 'role']
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet vllm-router==0.1.17
export NO_PROXY=127.0.0.1

cat >"$folder/worker.py" <<'PYTHON'
import http.server
import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
ANSWER = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class Worker(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self):
        self.answer({"status": "ok"})

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        (folder / "seen.json").write_bytes(data)
        self.answer(ANSWER)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Worker)
(folder / "port").write_text(str(server.server_address[1]))
server.serve_forever()
PYTHON
python3 "$folder/worker.py" "$folder" 2>/dev/null &
until [ -s "$folder/port" ]; do sleep 0.1; done

read -r port metrics < <(python3 -c '
import socket
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in taken))')
"$folder/venv/bin/vllm-router" --host 127.0.0.1 --port "$port" --prometheus-host 127.0.0.1 \
  --prometheus-port "$metrics" --worker-urls "http://127.0.0.1:$(cat "$folder/port")" \
  --policy round_robin >"$folder/said" 2>&1 &

python3 - "$port" "$folder/seen.json" <<'PYTHON'
import json
import pathlib
import sys
import time
import urllib.request

port, seen = sys.argv[1], pathlib.Path(sys.argv[2])
sent = {
    "model": "m",
    "a_field_of_the_servers": 1,
    "messages": [
        {"role": "assistant", "content": "a", "reasoning_content": "r"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
    ],
}
request = urllib.request.Request(
    f"http://127.0.0.1:{port}/v1/chat/completions",
    json.dumps(sent).encode(),
    {"Content-Type": "application/json"},
)
for _ in range(120):
    try:
        urllib.request.urlopen(request, timeout=10).read()
        break
    except OSError:
        time.sleep(0.5)
got = json.loads(seen.read_text())
added = sorted(set(got) - set(sent))
kept, turn = got.get("a_field_of_the_servers") == 1, sorted(got["messages"][0])
print(f"Seen: added {added}; unknown field kept: {kept}; the turn has {turn}")
foreign = {"no_stop_trim", "separate_reasoning", "stream_reasoning", "return_hidden_states"}
if not (foreign <= set(added) and kept and turn == ["content", "reasoning", "role"]):
    raise SystemExit("the behaviour has changed")
PYTHON
