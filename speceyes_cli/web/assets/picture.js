// A picture with the boxes that were looked at: it zooms by buttons and keys, and boxes can be drawn
// and marked. Every page has this.

function pictureWithBoxes(figure) {
  const colours = 6; // of the style's series
  const frame = figure.querySelector(".frame");
  const canvas = figure.querySelector(".canvas");
  const image = figure.querySelector("img");
  const boxes = figure.querySelector(".boxes");
  let scale = 1;

  const place = (tag) => {
    tag.style.left = `${tag.dataset.left}%`;
    tag.style.top = `${tag.dataset.top}%`;
  };
  const zoom = (to) => {
    const x = (frame.scrollLeft + frame.clientWidth / 2) / canvas.clientWidth;
    const y = (frame.scrollTop + frame.clientHeight / 2) / canvas.clientHeight;
    scale = Math.min(16, Math.max(1, to));
    if (scale > 1 && image.dataset.whole) {
      image.src = image.dataset.whole;
      delete image.dataset.whole;
    }
    canvas.style.width = `${100 * scale}%`;
    frame.scrollLeft = x * canvas.clientWidth - frame.clientWidth / 2;
    frame.scrollTop = y * canvas.clientHeight - frame.clientHeight / 2;
  };
  const steps = { in: () => zoom(scale * 1.5), out: () => zoom(scale / 1.5), fit: () => zoom(1) };

  const draw = (turn, box) => {
    const [left, top, right, bottom] = [box.left, box.top, box.right, box.bottom].map((side) => 100 * side);
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const sides = { x: left, y: top, width: right - left, height: bottom - top };
    for (const [name, value] of Object.entries(sides)) rect.setAttribute(name, value);
    rect.setAttribute("class", `box colour-${boxes.childElementCount % colours}`);
    rect.dataset.turn = turn;
    boxes.append(rect);
    const tag = document.createElement("span");
    tag.className = "tag";
    tag.textContent = turn;
    Object.assign(tag.dataset, { left, top });
    place(tag);
    canvas.append(tag);
  };
  const clear = () => {
    boxes.replaceChildren();
    for (const tag of canvas.querySelectorAll(".tag")) tag.remove();
    zoom(1);
  };
  const markFrom = (article) => {
    const mark = (on) => {
      for (const box of boxes.querySelectorAll(`[data-turn="${article.dataset.turn}"]`)) box.classList.toggle("marked", on);
    };
    article.addEventListener("mouseenter", () => mark(true));
    article.addEventListener("mouseleave", () => mark(false));
  };

  canvas.querySelectorAll(".tag").forEach(place);
  for (const button of figure.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", steps[button.dataset.zoom]);
  }
  frame.addEventListener("keydown", (event) => {
    const wanted = { "+": "in", "=": "in", "-": "out", 0: "fit" }[event.key];
    if (wanted) steps[wanted]();
  });
  return { draw, clear, markFrom };
}
