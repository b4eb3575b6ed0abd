// The decision on one question, drawn step by step as the stream tells it. Whatever a model or a tool
// said becomes a text node, never markup.

const FULL_GAP = 12; // standard deviations at which a bar is full; at 6.5 confidence is 0.98
const SLOPE = 0.6; // confidence = 1 / (1 + exp(-0.6 gap))

const shareOf = (gap) => Math.min(1, Math.max(0, gap / FULL_GAP));
const gapOf = (confidence) => Math.log(confidence / (1 - confidence)) / SLOPE;
const decimal = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const inSeconds = (value) => `${Number(value.toPrecision(3))} s`;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const copyOf = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

function section(place, id, title) {
  const made = element("section", { "aria-labelledby": id }, element("h2", { id }, title));
  place.append(made);
  return made;
}

function meter(share, label) {
  return element("meter", { min: 0, max: 1, value: share, "aria-label": label });
}

function tokenRow(token, number) {
  const head = element("th", { scope: "row" }, element("code", {}, token.text || String(number)));
  if (token.fault) return element("tr", {}, head, element("td", { colspan: 2 }, `undefined: ${token.fault}`));
  const probability = token.logprob === null ? null : Math.exp(Math.min(0, token.logprob));
  const gap = meter(shareOf(token.separability ?? 0), `Gap of token ${number}`);
  const chance = meter(probability ?? 0, `Probability of token ${number}`);
  const percent = probability === null ? "–" : `${(100 * probability).toFixed(1)}%`;
  return element(
    "tr", {}, head,
    element("td", {}, gap, ` ${decimal(token.separability, 2)}`),
    element("td", {}, chance, ` ${percent}`),
  );
}

// How a confidence stands to the threshold, on the scale of the gaps: log-odds.
function gauge(confidence, threshold, accepted) {
  const made = copyOf("gauge");
  const at = (value) => 100 * shareOf(gapOf(value));
  made.querySelector(".value").setAttribute("width", confidence === null ? 0 : at(confidence));
  for (const end of ["x1", "x2"]) made.querySelector(".threshold").setAttribute(end, at(threshold));
  made.classList.toggle("accepted", accepted);
  made.setAttribute("aria-label", `Confidence ${decimal(confidence, 4)}, threshold ${threshold}`);
  return made;
}

function comparison(step) {
  const { confidence, threshold, finish, accepted, text } = step;
  if (confidence === null) return "undefined";
  if (confidence <= threshold) return `${decimal(confidence, 4)} ≤ ${threshold}`;
  const over = `${decimal(confidence, 4)} > ${threshold}`;
  if (accepted) return over;
  if (finish !== "stop") return `${over}, but the draft did not end by itself`;
  return text ? `${over}, but a tie of two logits decided a token` : `${over}, but the draft is empty`;
}

class Decision {
  constructor(place, picture, caption, state) {
    Object.assign(this, { place, picture, caption, state });
    this.boxes = 0;
    this.turn = null;
    this.turns = null;
    this.text = "";
    place.replaceChildren();
    picture.clear();
    caption.textContent = "";
  }

  say(words) {
    this.state.textContent = words;
  }

  // One chunk of the stream.
  tell(chunk) {
    const [choice] = chunk.choices;
    if (!choice) return;
    const { reasoning_content: thought, content } = choice.delta;
    if (thought) this.think(thought);
    if (content) this.text += content;
    const facts = chunk.speceyes;
    if (!facts) return;
    const steps = {
      screen: () => this.screen(facts),
      draft: () => this.draft(facts),
      turn: () => this.begin(facts.turn),
      tool: () => this.tool(facts),
    };
    if (facts.step === undefined) this.end(facts, choice.finish_reason);
    else if (steps[facts.step]) steps[facts.step]();
  }

  screen(step) {
    const what = step.passed ? "no tool is needed, on to the draft" : "a tool may help, on to the agent";
    section(this.place, "screen", "Screen").append(
      element("p", {}, "“", element("span", { class: "text" }, step.text || "nothing"), `”: ${what}`),
    );
    this.say(step.passed ? "The small model drafts." : "The agent takes the question.");
  }

  draft(step) {
    const made = section(this.place, "draft", "Draft");
    made.append(element("p", {}, "“", element("span", { class: "text" }, step.text || "nothing"), "”"));
    if (step.tokens.length) {
      const table = copyOf("token-table");
      table.querySelector("tbody").append(...step.tokens.map((token, place) => tokenRow(token, place + 1)));
      made.append(table);
    }
    const verdict = element("strong", {}, step.accepted ? "accepted" : "turned away, the agent answers");
    this.verdict = verdict;
    section(this.place, "gate", "Gate").append(
      element("p", {}, `${step.gate}: ${comparison(step)}: `, verdict),
      gauge(step.confidence, step.threshold, step.accepted),
      element("p", { class: "hint" }, "The bar is the confidence, the line the threshold; both in log-odds."),
    );
    this.say(step.accepted ? "The draft is accepted." : "The draft is turned away; the agent takes the question.");
  }

  begin(number) {
    this.turns ??= section(this.place, "turns", "The agent's turns");
    const id = `turn-${number}`;
    this.thought = element("p", { class: "text thought" });
    this.turn = element(
      "article", { class: "turn", "aria-labelledby": id, "data-turn": number },
      element("h3", { id }, `Turn ${number}`), this.thought,
    );
    this.turns.append(this.turn);
    this.picture.markFrom(this.turn);
    this.say(`The agent writes turn ${number}.`);
  }

  think(text) {
    if (this.turn === null) this.begin(1);
    this.thought.append(text);
  }

  tool(step) {
    if (this.turn === null) this.begin(1);
    const number = this.turn.dataset.turn;
    const made = element("div", { class: "tool" }, element("h4", {}, `${step.tool}: ${step.outcome}`));
    if (step.text.trim()) made.append(element("p", { class: "text" }, step.text));
    for (const note of step.notes) made.append(element("p", { class: "hint text" }, note));
    step.images.forEach((url, place) => {
      const alt = `What the tool showed: ${step.pictures[place]}`;
      if (url) made.append(element("img", { class: "crop", src: url, alt }));
    });
    this.turn.append(made);
    if (step.box) {
      this.picture.draw(number, step.box);
      this.boxes += 1;
      const boxes = this.boxes === 1 ? "1 box" : `${this.boxes} boxes`;
      this.caption.textContent = `${boxes} that the agent looked at, by its turn.`;
    }
    this.say(`The agent has used ${step.tool}.`);
  }

  end(facts, finish) {
    const small = facts.route === "small";
    const who = small ? "the small model" : "the agent";
    const stopped = finish === "length" ? " It stopped at its limit of turns or tokens." : "";
    if (small && this.verdict) this.verdict.textContent = "accepted";
    const made = section(this.place, "answer", "Answer");
    const certified = facts.certified === undefined ? [] : [["Certified", facts.certified ? "yes" : "no"]];
    const row = ([name, value, about]) =>
      element(
        "div", {}, element("dt", {}, name), element("dd", {}, value),
        ...(about ? [element("dd", { class: "hint" }, about)] : []),
      );
    const figures = [
      ["Route", small ? "small: the draft" : "large: the agent"],
      ["Time", inSeconds(facts.waited_seconds + facts.elapsed_seconds)],
      ["Tokens written, small and large", `${facts.small_tokens} + ${facts.large_tokens}`],
      ["Saved against the agent alone", ...savedWords(facts.saved)],
      ...certified,
    ];
    made.append(
      element("p", { class: "answer text" }, this.text || "(no answer)"),
      element("dl", { class: "figures" }, ...figures.map(row)),
    );
    this.say(`Answered by ${who}.${stopped}`);
  }
}

// What was saved, and on what that rests; never without the word estimate.
function savedWords(saved) {
  if (saved === null) return ["–", "not known before the agent has answered here"];
  const answers = saved.from_answers === 1 ? "1 answer" : `${saved.from_answers} answers`;
  const tokens = Number(saved.large_tokens.toFixed(0));
  const side = saved.seconds < 0 ? ", less than nothing: screen and draft came on top" : "";
  const about = `an estimate from ${answers} of the agent${side}`;
  return [`${inSeconds(saved.seconds)}, ${tokens === 1 ? "1 token" : `${tokens} tokens`}`, about];
}
