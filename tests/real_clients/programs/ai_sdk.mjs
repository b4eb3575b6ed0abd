// AI SDK with its OpenAI-compatible provider, and with its provider for the Responses interface.

import { createRequire } from "node:module";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOpenResponses } from "@ai-sdk/open-responses";
import { generateText, streamText } from "ai";
import { key, model, url, work } from "./jobs.mjs";

const settings = { name: "speceyes", apiKey: key };
const chat = createOpenAICompatible({ ...settings, baseURL: url, includeUsage: true })(model);
const response = createOpenResponses({ ...settings, url: `${url}/responses` })(model);

const turns = (messages) =>
  messages.map(({ role, content }) => ({
    role,
    content: typeof content === "string" ? content : content.map(part),
  }));

function part(given) {
  if (given.type === "text") return given;
  const [head, data] = given.image_url.url.split(",");
  return { type: "file", mediaType: head.slice("data:".length).split(";")[0], data };
}

const told = (text, usage) => ({ text, prompt_tokens: usage.inputTokens });

const creating = (asked) => async (messages) => {
  const { text, usage } = await generateText({ model: asked, messages: turns(messages), maxRetries: 0 });
  return told(text, usage);
};

const streaming = (asked) => async (messages) => {
  const failed = [];
  const onError = ({ error }) => failed.push(error); // a stream's errors are not thrown
  const result = streamText({ model: asked, messages: turns(messages), maxRetries: 0, onError });
  let [text, pieces] = ["", 0];
  for await (const delta of result.textStream) {
    text += delta;
    pieces += 1;
  }
  if (failed.length) throw failed[0];
  return { ...told(text, await result.usage), pieces };
};

async function cancel(messages) {
  const stop = new AbortController();
  const abortSignal = stop.signal;
  const result = streamText({ model: chat, messages: turns(messages), maxRetries: 0, abortSignal });
  for await (const event of result.fullStream) {
    if (event.type === "reasoning-delta" || event.type === "text-delta") break;
  }
  stop.abort();
  return {};
}

const version = async () => ({
  version: createRequire(import.meta.url)("ai/package.json").version,
});

await work({
  version,
  create: creating(chat),
  stream: streaming(chat),
  cancel,
  responses: creating(response),
  responses_stream: streaming(response),
});
