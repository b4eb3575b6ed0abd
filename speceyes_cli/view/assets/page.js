// What every page has: keys, the list of runs that refreshes itself, the choice of two to compare,
// and the picture that zooms, which picture.js has.

const WAIT = 2000; // milliseconds between two looks at whether something changed

function keys() {
  const writing = (element) => element.closest("input, select, textarea, [contenteditable]");
  const items = () => [...document.querySelectorAll("[data-item]")];
  const step = (by) => {
    const neighbour = document.querySelector(by > 0 ? "[data-next]" : "[data-previous]");
    if (neighbour) {
      neighbour.click();
      return;
    }
    const all = items();
    const at = all.indexOf(document.activeElement);
    const to = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by];
    if (to) to.focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || writing(event.target)) return;
    const scrolls = event.target.closest("[tabindex='0'], .frame");
    if (event.key === "j" || (event.key === "ArrowRight" && !scrolls)) step(1);
    else if (event.key === "k" || (event.key === "ArrowLeft" && !scrolls)) step(-1);
    else if (event.key === "u") (document.querySelector("[data-up]") || document.querySelector(".path a")).click();
    else return;
    event.preventDefault();
  });
}

function compareTwo() {
  const boxes = () => [...document.querySelectorAll("input[name=run][type=checkbox]")];
  const tell = () => {
    const button = document.getElementById("compare");
    if (!button) return;
    const ticked = boxes().filter((box) => box.checked).length;
    button.disabled = ticked !== 2;
    document.getElementById("compare-hint").textContent =
      ticked === 2 ? "" : ticked < 2 ? "Tick two runs." : "Tick two runs, no more.";
  };
  document.addEventListener("change", tell);
  tell();
  return { ticked: () => boxes().filter((box) => box.checked).map((box) => box.value), tell };
}

function live(compare) {
  const main = document.querySelector("main[data-version]");
  const part = document.querySelector("[data-live]");
  if (!main || !part) return;
  const refresh = async () => {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-live]");
    if (!fresh) return;
    const ticked = compare.ticked();
    const focused = document.activeElement;
    const place = focused && part.contains(focused) ? focused.getAttribute("href") : null;
    const scrolled = [...part.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    part.replaceChildren(...fresh.childNodes);
    for (const box of part.querySelectorAll("input[name=run]")) box.checked = ticked.includes(box.value);
    if (place) {
      const again = [...part.querySelectorAll("a")].find((link) => link.getAttribute("href") === place);
      if (again) again.focus();
    }
    part.querySelectorAll(".scroll").forEach((box, at) => (box.scrollLeft = scrolled[at] || 0));
    main.dataset.version = page.querySelector("main").dataset.version;
    compare.tell();
  };
  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch("/version");
        if (answer.ok && String((await answer.json()).version) !== main.dataset.version) await refresh();
      } catch {
        return; // the command was stopped: the page stays as it is
      }
    }
    setTimeout(look, WAIT);
  };
  setTimeout(look, WAIT);
}

function picture() {
  const figure = document.querySelector("[data-picture]");
  if (!figure) return;
  const { markFrom } = pictureWithBoxes(figure);
  document.querySelectorAll(".turn").forEach(markFrom);
}

keys();
live(compareTwo());
picture();
