// A question to the endpoint that serves this page, and the events of its stream.

class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

const CUT_OFF = "The server stopped before the answer was complete.";
const UNREACHABLE = "The server cannot be reached.";
const WRONG_KEY = "The API key is missing or wrong.";

// What the server says is wrong, from the body of an answer that is none.
async function sentenceOf(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `The server answered with status ${response.status}.`;
  }
}

async function* serverEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      for (const line of block.split("\n")) if (line.startsWith("data: ")) yield line.slice(6);
    }
  }
}

// Asks, and gives every chunk of the answer to `tell`; throws `Refused`, or an AbortError.
async function askServer(body, key, signal, tell) {
  if (/[^\x20-\x7e]/.test(key)) throw new Refused(401, WRONG_KEY); // no header can carry it
  const headers = { "Content-Type": "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  let begun = false;
  try {
    const sent = { method: "POST", headers, body: JSON.stringify(body), signal };
    const response = await fetch("v1/chat/completions", sent);
    if (!response.ok) throw new Refused(response.status, await sentenceOf(response));
    begun = true;
    for await (const text of serverEvents(response)) {
      if (text === "[DONE]") return;
      const chunk = JSON.parse(text);
      if (chunk.error) throw new Refused(response.status, chunk.error.message);
      tell(chunk);
    }
  } catch (error) {
    if (error instanceof Refused || error.name === "AbortError") throw error;
    throw new Refused(0, begun ? CUT_OFF : UNREACHABLE); // the network's own error says no more
  }
  throw new Refused(0, CUT_OFF);
}
