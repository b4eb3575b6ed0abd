#!/usr/bin/env bash
# inspect_ai 0.3.285 with openai 3.57.0, provider `openai-api` (any OpenAI-compatible server).
#
# Expected: a request that the server refuses (400) is an error of its sample.
# Behaviour: that goes by the error's `code`. A 400 with the code "context_length_exceeded" is no
# error: the server's sentence becomes the model's answer, with stop_reason "model_length", and is
# scored; the same 400 without the code is an error. So a server that does what OpenAI does, and says
# the code, has its refusals counted as wrong answers of the model.
# Seen (2026-11-28):
#   code context_length_exceeded: status success, stop_reason model_length, scored I, answer 'The prompt is too long.'
#   no code: status error
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet inspect-ai==0.3.285 openai==3.57.0
cat > "$folder/ask.py" <<'PY'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.scorer import match


class Server(BaseHTTPRequestHandler):
    """Every request is refused."""

    code = None

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        error = {"message": "The prompt is too long.", "type": "invalid_request_error"}
        body = json.dumps({"error": {**error, "param": "messages", "code": Server.code}}).encode()
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def seen(code):
    Server.code = code
    task = Task(dataset=[Sample(input="What colour is it?", target="red")], scorer=match())
    [log] = eval(task, model="openai-api/local/m", display="none")
    if log.status != "success":
        return f"status {log.status}"
    [sample] = log.samples
    output = sample.output
    told = f"stop_reason {output.stop_reason}, scored {sample.scores['match'].value}"
    return f"status success, {told}, answer {output.completion!r}"


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.update(LOCAL_API_KEY="none", LOCAL_BASE_URL=f"http://127.0.0.1:{server.server_port}/v1")
coded, plain = seen("context_length_exceeded"), seen(None)
print(f"code context_length_exceeded: {coded}\nno code: {plain}")
assert coded.startswith("status success, stop_reason model_length, scored I")
assert plain == "status error"
PY
cd "$folder"
NO_PROXY=127.0.0.1 "$folder/env/bin/python" "$folder/ask.py"
