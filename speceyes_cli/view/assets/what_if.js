// The slider: every threshold's figures come at once, so that moving it waits for nothing.

import { colour, draw, markAt, percent, percentAxis, plainAxis } from "./plots.js";

const form = document.getElementById("what-if");
const slider = form && form.elements.place;
const by = (id) => document.getElementById(id);
let curve = null;
let plot = null;
let wanted = form ? Number(form.dataset.threshold) : 0;

function nearest(threshold) {
  let best = 0;
  curve.threshold.forEach((value, at) => {
    if (Math.abs(value - threshold) < Math.abs(curve.threshold[best] - threshold)) best = at;
  });
  return best;
}

const short = (value) => String(Number(value.toPrecision(10)));

function command(threshold) {
  const gate = form.elements.gate.selectedOptions[0].dataset.written;
  return `${form.dataset.command} --gate ${gate} --top-k ${form.elements.k.value} --threshold ${short(threshold)}`;
}

function tell() {
  const at = Number(slider.value);
  wanted = curve.threshold[at];
  const speedup = curve.speedup[at];
  by("threshold-is").textContent = short(wanted);
  slider.setAttribute("aria-valuetext", `threshold ${short(wanted)}`);
  const low = curve.accuracy_low[at];
  const bounds = low === null ? "" : ` [${percent(low)}, ${percent(curve.accuracy_high[at])}]`;
  by("accuracy").textContent = `${percent(curve.accuracy[at])}${bounds}`;
  by("coverage").textContent = percent(curve.coverage[at]);
  by("gain").textContent = percent(curve.gain[at]);
  by("harm").textContent = percent(curve.harm[at]);
  by("speedup").textContent = speedup === null ? "–" : `${speedup.toFixed(2)}×`;
  by("bound").textContent = percent(curve.bound[at]);
  by("command").textContent = command(wanted);
  if (plot) plot.redraw(false);
  const query = new URLSearchParams({
    gate: form.elements.gate.value,
    k: form.elements.k.value,
    threshold: short(wanted),
  });
  history.replaceState(null, "", `?${query}`);
}

function chart() {
  // Coverage grows as the threshold loosens, and equal ones are one point.
  const kept = curve.coverage
    .map((_, at) => at)
    .reverse()
    .filter((at, place, all) => place === 0 || curve.coverage[at] !== curve.coverage[all[place - 1]]);
  const data = ["coverage", "accuracy", "speedup"].map((name) => kept.map((at) => curve[name][at]));
  const label =
    `Accuracy and predicted speedup over coverage: from ${percent(data[1][0])} with the agent alone ` +
    `to ${percent(data[1][data[1].length - 1])} at coverage ${percent(data[0][data[0].length - 1])}.`;
  by("chart").setAttribute("aria-label", label);
  if (plot) {
    plot.setData(data);
    return;
  }
  plot = draw(by("chart"), {
    axes: [
      percentAxis("coverage"),
      percentAxis("accuracy"),
      plainAxis("speedup", { side: 1, scale: "times", grid: { show: false }, size: 50 }),
    ],
    series: [
      { label: "accuracy", stroke: () => colour(0), width: 2, value: (_, v) => percent(v) },
      {
        label: "speedup",
        scale: "times",
        stroke: () => colour(1),
        width: 2,
        dash: [8, 4],
        value: (_, v) => (v === null ? "–" : `${v.toFixed(2)}×`),
      },
    ],
    data,
    hooks: { draw: [markAt(() => curve.coverage[Number(slider.value)])] },
  });
}

async function fetchCurve() {
  const query = new URLSearchParams(
    ["gate", "k", "risk"].map((name) => [name, form.elements[name].value]),
  );
  by("told").textContent = "Being reckoned …";
  const answer = await fetch(`${form.dataset.curve}?${query}`);
  const found = await answer.json();
  if (!answer.ok) {
    by("told").textContent = found.told;
    return;
  }
  by("told").textContent = "";
  curve = found;
  slider.max = curve.threshold.length - 1;
  slider.value = nearest(wanted);
  chart();
  tell();
}

async function copy() {
  const text = by("command").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const range = document.createRange();
    range.selectNodeContents(by("command"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    if (!document.execCommand("copy")) {
      by("copied").textContent = "The command is marked; copy it with Ctrl-C.";
      return;
    }
  }
  by("copied").textContent = "Copied.";
}

if (form) {
  for (const name of ["gate", "k", "risk"]) form.elements[name].addEventListener("change", fetchCurve);
  form.addEventListener("submit", (event) => event.preventDefault());
  slider.addEventListener("input", tell);
  by("copy").addEventListener("click", copy);
  fetchCurve();
}
