// A client's program: a job a line from its input, what came of it a line to its output; as jobs.py.

import { createInterface } from "node:readline";

export const [url, key] = process.argv.slice(2);
export const model = "speceyes";

export async function work(jobs) {
  for await (const line of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    let told;
    try {
      told = await jobs[asked.job](asked.messages);
    } catch (error) {
      told = { failed: String(error?.stack ?? error) };
    }
    process.stdout.write(`${JSON.stringify(told)}\n`);
  }
}

export const asInput = (messages) =>
  messages.map(({ role, content }) => ({
    role,
    content:
      typeof content === "string"
        ? content
        : content.map((part) =>
            part.type === "text"
              ? { type: "input_text", text: part.text }
              : { type: "input_image", image_url: part.image_url.url, detail: "auto" },
          ),
  }));
