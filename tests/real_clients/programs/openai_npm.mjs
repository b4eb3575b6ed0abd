// openai for JavaScript.

import OpenAI from "openai";
import { VERSION } from "openai/version";
import { asInput, key, model, url, work } from "./jobs.mjs";

const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 });

const told = (text, tokens) => ({ text, prompt_tokens: tokens });

async function create(messages) {
  const answer = await client.chat.completions.create({ model, messages });
  return told(answer.choices[0].message.content, answer.usage.prompt_tokens);
}

async function stream(messages) {
  const chunks = await client.chat.completions.create({
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  let [pieces, text, tokens] = [0, "", null];
  for await (const chunk of chunks) {
    pieces += 1;
    text += chunk.choices[0]?.delta.content ?? "";
    tokens = chunk.usage?.prompt_tokens ?? tokens;
  }
  return { ...told(text, tokens), pieces };
}

async function cancel(messages) {
  const chunks = await client.chat.completions.create({ model, messages, stream: true });
  for await (const _ of chunks) break;
  return {};
}

async function responses(messages) {
  const answer = await client.responses.create({ model, input: asInput(messages) });
  return told(answer.output_text, answer.usage.input_tokens);
}

async function responses_stream(messages) {
  const events = client.responses.stream({ model, input: asInput(messages) });
  let pieces = 0;
  for await (const _ of events) pieces += 1;
  const answer = await events.finalResponse();
  return { ...told(answer.output_text, answer.usage.input_tokens), pieces };
}

const version = async () => ({ version: VERSION });

await work({ version, create, stream, cancel, responses, responses_stream });
