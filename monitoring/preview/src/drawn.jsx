// Kinds of panels that Grafana publishes no component for, drawn in a plain manner.
import { FieldType } from '@grafana/data';

const AXIS = 20;
const LABELS = 190;
const FONT = 12;

const numbersOf = (frame) => frame.fields.find((field) => field.type === FieldType.number);
const timesOf = (frame) => frame.fields.find((field) => field.type === FieldType.time).values;

/** Return what turns moments into places between the labels and the right edge. */
function scaled(timeRange, width) {
  const [from, to] = [timeRange.from.valueOf(), timeRange.to.valueOf()];
  return (moment) => LABELS + ((moment - from) / (to - from)) * (width - LABELS);
}

function Hours({ timeRange, width, height, theme }) {
  const [from, to] = [timeRange.from.valueOf(), timeRange.to.valueOf()];
  const at = scaled(timeRange, width);
  return [0.1, 0.3, 0.5, 0.7, 0.9].map((share) => {
    const moment = from + share * (to - from);
    const text = new Date(moment).toISOString().slice(11, 16);
    return (
      <text key={share} x={at(moment)} y={height - 4} fontSize={FONT} textAnchor="middle" fill={theme.colors.text.secondary}>
        {text}
      </text>
    );
  });
}

/** Bars of equal states, one line for each series. */
export function Timeline({ frames, width, height, timeRange, theme }) {
  const at = scaled(timeRange, width);
  const line = (height - AXIS) / frames.length;
  return (
    <svg width={width} height={height}>
      {frames.map((frame, number) => {
        const field = numbersOf(frame);
        const [top, thick] = [number * line + 0.1 * line, 0.8 * line];
        return (
          <g key={number}>
            <text x={LABELS - 6} y={top + thick / 2 + 4} fontSize={FONT} textAnchor="end" fill={theme.colors.text.primary}>
              {field.config.displayNameFromDS}
            </text>
            {states(field.values, timesOf(frame)).map(({ value, from, to }) => {
              const shown = field.display(value);
              const wide = at(to) - at(from) > shown.text.length * 8;
              return (
                <g key={from}>
                  <rect x={at(from)} y={top} width={Math.max(1, at(to) - at(from))} height={thick} fill={shown.color} fillOpacity={0.85} />
                  {wide && <text x={at(from) + 4} y={top + thick / 2 + 4} fontSize={FONT} fill="#fff">{shown.text}</text>}
                </g>
              );
            })}
          </g>
        );
      })}
      <Hours timeRange={timeRange} width={width} height={height} theme={theme} />
    </svg>
  );
}

/** Return the stretches of equal values that follow one another; gaps are none. */
function states(values, times) {
  const found = [];
  values.forEach((value, number) => {
    const last = found.at(-1);
    const to = times[number + 1] ?? times[number];
    if (value === null) {
      return;
    }
    if (last?.value === value && last.to === times[number]) {
      last.to = to;
    } else {
      found.push({ value, from: times[number], to });
    }
  });
  return found;
}

/** Cells of a histogram over time: buckets are cumulative, as Prometheus has them. */
export function Heat({ panel, frames, width, height, timeRange, theme }) {
  const bounds = frames
    .map((frame) => ({ frame, le: Number(numbersOf(frame).config.displayNameFromDS.replace('+Inf', 'Infinity')) }))
    .sort((one, other) => one.le - other.le);
  const rows = bounds.map(({ frame, le }, number) => {
    const below = number ? numbersOf(bounds[number - 1].frame).values : [];
    return { le, times: timesOf(frame), values: numbersOf(frame).values.map((value, n) => value - (below[n] ?? 0)) };
  });
  const most = Math.max(...rows.flatMap(({ values }) => values));
  const at = scaled(timeRange, width);
  const line = (height - AXIS) / rows.length;
  const display = numbersOf(frames[0]).display;
  return (
    <svg width={width} height={height}>
      {rows.map(({ le, times, values }, number) => {
        const y = height - AXIS - (number + 1) * line;
        const name = Number.isFinite(le) ? display(le) : { text: '+Inf', suffix: '' };
        return (
          <g key={le}>
            {number % Math.ceil(FONT / line) === 0 && (
              <text x={LABELS - 6} y={y + 4} fontSize={FONT} textAnchor="end" fill={theme.colors.text.secondary}>
                {name.text}{name.suffix}
              </text>
            )}
            {values.map((value, n) => value > panel.options.filterValues.le && n + 1 < times.length && (
              <rect
                key={n}
                x={at(times[n])}
                y={y}
                width={Math.max(1, at(times[n + 1]) - at(times[n]) - 1)}
                height={line - 1}
                fill={panel.options.color.fill}
                fillOpacity={0.15 + 0.85 * (value / most) ** panel.options.color.exponent}
              />
            ))}
          </g>
        );
      })}
      <Hours timeRange={timeRange} width={width} height={height} theme={theme} />
    </svg>
  );
}
