// The charts of one run: how sure right and wrong drafts are, and the risk of taking more in.

import { colour, draw, markAt, percent, percentAxis, plainAxis } from "./plots.js";

function place(parent, title, label) {
  const section = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const chart = document.createElement("div");
  caption.textContent = title;
  chart.setAttribute("role", "img");
  chart.setAttribute("aria-label", label);
  section.append(caption, chart);
  parent.append(section);
  return chart;
}

function metrics(bySplit) {
  // The dataset's own figures: a row for each, a column for each split.
  const cell = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text, ...more });
  const splits = Object.keys(bySplit);
  const names = [...new Set(splits.flatMap((split) => Object.keys(bySplit[split])))];
  const table = document.createElement("table");
  table.append(cell("caption", "The dataset's own figures"));
  const head = table.createTHead().insertRow();
  head.append(cell("th", "Figure", { scope: "col" }), ...splits.map((s) => cell("th", s, { scope: "col", className: "figure" })));
  const body = table.createTBody();
  for (const name of names) {
    const row = body.insertRow();
    row.append(cell("th", name, { scope: "row" }));
    for (const split of splits) {
      const value = bySplit[split][name];
      row.append(cell("td", value === undefined ? "–" : String(Number(value.toPrecision(4))), { className: "figure" }));
    }
  }
  return table;
}

const decimals = (_, value) => (value === null ? "–" : value.toFixed(4));

async function show(parent) {
  const answer = await fetch(parent.dataset.curves);
  const found = answer.ok ? await answer.json() : { told: "The charts cannot be made." };
  parent.replaceChildren();
  if (found.metrics && Object.keys(found.metrics).length) parent.append(metrics(found.metrics));
  if (found.told) {
    const sentence = document.createElement("p");
    sentence.textContent = found.told;
    parent.append(sentence);
    return;
  }
  const [area, low, high] = found.auroc;
  const summary = document.createElement("p");
  summary.textContent =
    `Gate ${found.gate}, ${found.n} judged drafts: a right one scores higher than a wrong one ` +
    `with chance ${area.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}] (AUROC, 95%).`;
  parent.append(summary);
  const densities = place(parent, "Confidence of right and wrong drafts", summary.textContent);
  const plot = draw(densities, {
    axes: [plainAxis("confidence"), plainAxis("density", { size: 50 })],
    series: [
      { label: "right", stroke: () => colour(0), width: 2, value: decimals },
      { label: "wrong", stroke: () => colour(1), width: 2, dash: [8, 4], value: decimals },
    ],
    data: [found.confidence, found.right, found.wrong],
    hooks: { draw: [markAt(() => found.threshold)] },
  });
  plot.series[0].value = decimals;
  const last = found.risk[found.risk.length - 1];
  const risk = place(
    parent,
    "Risk and coverage: the error rate of the surest drafts",
    `Error rate over the share of drafts taken in, surest first; ${percent(last)} when all are.`,
  );
  draw(risk, {
    axes: [percentAxis("coverage"), percentAxis("error rate")],
    series: [
      {
        label: "error rate",
        stroke: () => colour(0),
        width: 2,
        value: (_, value) => percent(value),
      },
    ],
    data: [found.coverage, found.risk],
  });
}

const parent = document.querySelector("[data-curves]");
if (parent) show(parent);
