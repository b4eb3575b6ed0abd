// The style of every chart: the page's own colours, also when it turns dark.

const style = () => getComputedStyle(document.documentElement);
export const colour = (place) => style().getPropertyValue(`--series-${place}`).trim();
const ink = () => style().getPropertyValue("--ink").trim();
const faint = () => style().getPropertyValue("--line").trim();

export const percent = (share, digits = 1) =>
  share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)}%`;

const axis = (label, more = {}) => ({
  label,
  stroke: ink,
  grid: { stroke: faint, width: 1 },
  ticks: { stroke: faint, width: 1 },
  ...more,
});
export const percentAxis = (label) =>
  axis(label, { size: 60, values: (_, splits) => splits.map((value) => percent(value, 0)) });
export const plainAxis = (label, more) => axis(label, more);

export function draw(place, { axes, series, data, x = {}, hooks = {}, scales = {} }) {
  const width = () => Math.max(260, place.clientWidth);
  const plot = new uPlot(
    {
      width: width(),
      height: 300,
      axes,
      scales: { x: { time: false, ...x }, ...scales },
      series: [{ label: axes[0].label, value: (_, value) => (value === null ? "–" : percent(value)) }, ...series],
      hooks,
      cursor: { drag: { x: false, y: false } },
    },
    data,
    place,
  );
  const again = () => plot.redraw(false);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let drawn = width();
  const fit = () => {
    if (width() === drawn) return;
    drawn = width();
    plot.setSize({ width: drawn, height: 300 });
  };
  new ResizeObserver(() => requestAnimationFrame(fit)).observe(place);
  return plot;
}

export function markAt(where) {
  // A line at a value of x, drawn over everything.
  return (plot) => {
    const value = where();
    if (value === null || value === undefined) return;
    const at = Math.round(plot.valToPos(value, "x", true));
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = ink();
    ctx.lineWidth = 2;
    ctx.setLineDash([6, 4]);
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  };
}
