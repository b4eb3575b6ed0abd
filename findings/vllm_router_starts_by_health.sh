#!/usr/bin/env bash
# vllm-router 0.1.17 with a worker that tells its readiness at /readyz and has no /health.
#
# Expected: --health-check-endpoint /readyz is the path by which the router learns that a worker is
# well, also while it starts.
# At its start it asks for /health alone, whatever the option says, and ends when
# --worker-startup-timeout-secs are over; the option holds for what comes after the start.
#
# Seen: exit code 1; asked for {'/health'}
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet vllm-router==0.1.17
export NO_PROXY=127.0.0.1

cat >"$folder/worker.py" <<'PYTHON'
import http.server
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])


class Worker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with (folder / "asked").open("a") as asked:
            asked.write(f"{self.path}\n")
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()


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
code=0
timeout 60 "$folder/venv/bin/vllm-router" --host 127.0.0.1 --port "$port" \
  --prometheus-host 127.0.0.1 --prometheus-port "$metrics" \
  --worker-urls "http://127.0.0.1:$(cat "$folder/port")" \
  --health-check-endpoint /readyz --health-check-interval-secs 1 \
  --worker-startup-timeout-secs 6 --worker-startup-check-interval 1 >/dev/null 2>&1 || code=$?
python3 - "$code" "$folder/asked" <<'PYTHON'
import pathlib
import sys

code, asked = sys.argv[1], set(pathlib.Path(sys.argv[2]).read_text().split())
print(f"Seen: exit code {code}; asked for {asked}")
if (code, asked) != ("1", {"/health"}):
    raise SystemExit("the behaviour has changed")
PYTHON
