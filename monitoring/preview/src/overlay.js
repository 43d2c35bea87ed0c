// What lies on curves: what the dashboard marks, and single requests. Grafana publishes neither.
const DIAMOND = 4;
const WASH = 0.12;
const BAR = 4;

// Configurations of plots that draw it already: React asks for children again and again.
const known = new WeakSet();

/** Draw marks and exemplars on a plot, each time that it is drawn. */
export function lay(config, { marks, exemplars, color }) {
  if (!known.has(config)) {
    known.add(config);
    config.addHook('draw', (plot) => {
      plot.ctx.save();
      marks.forEach((mark) => draw(plot, mark));
      plot.ctx.fillStyle = color;
      exemplars.forEach((each) => dot(plot, each));
      plot.ctx.restore();
    });
  }
}

function draw(plot, { from, to, color }) {
  const { left, top, width, height } = plot.bbox;
  const within = (moment) => Math.min(Math.max(plot.valToPos(moment, 'x', true), left), left + width);
  const [begin, end] = [within(from), within(to)];
  const context = plot.ctx;
  Object.assign(context, { fillStyle: color, strokeStyle: color, globalAlpha: WASH });
  context.fillRect(begin, top, end - begin, height);
  context.globalAlpha = 1;
  context.fillRect(begin, top + height - BAR, Math.max(end - begin, BAR), BAR);
  context.setLineDash([4, 4]);
  context.beginPath();
  context.moveTo(begin, top);
  context.lineTo(begin, top + height);
  context.stroke();
}

function dot(plot, { at, value }) {
  const { top, height } = plot.bbox;
  const { scale } = plot.series[1];
  const x = plot.valToPos(at, 'x', true);
  // What lies above the axis is drawn at its end, as in Grafana.
  const y = Math.min(Math.max(plot.valToPos(value, scale, true), top), top + height);
  const context = plot.ctx;
  context.beginPath();
  [[0, -DIAMOND], [DIAMOND, 0], [0, DIAMOND], [-DIAMOND, 0]].forEach(([right, down]) => context.lineTo(x + right, y + down));
  context.fill();
}
