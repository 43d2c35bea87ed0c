// Kinds of panels that Grafana publishes no component for, drawn in a plain manner.
import { FieldType } from '@grafana/data';

const AXIS = 20;
const [LETTER, BOUND_LABELS] = [7, 64];
const FONT = 12;
const DIAMOND = 4;
// Pixels from which on there is room for five moments.
const ROOMY = 400;
// Milliseconds of time shown up to which the axis tells seconds.
const SHORT = 15 * 60 * 1000;

const numbersOf = (frame) => frame.fields.find((field) => field.type === FieldType.number);
const timesOf = (frame) => frame.fields.find((field) => field.type === FieldType.time).values;

/** Return what turns moments into places between the labels and the right edge. */
function scaled(timeRange, width, labels) {
  const [from, to] = [timeRange.from.valueOf(), timeRange.to.valueOf()];
  return (moment) => labels + ((moment - from) / (to - from)) * (width - labels);
}

function Hours({ timeRange, height, theme, at }) {
  const [from, to] = [timeRange.from.valueOf(), timeRange.to.valueOf()];
  const shares = at(to) - at(from) > ROOMY ? [0.1, 0.3, 0.5, 0.7, 0.9] : [0.2, 0.8];
  return shares.map((share) => {
    const moment = from + share * (to - from);
    const text = new Date(moment).toISOString().slice(11, to - from < SHORT ? 19 : 16);
    return (
      <text key={share} x={at(moment)} y={height - 4} fontSize={FONT} textAnchor="middle" fill={theme.colors.text.secondary}>
        {text}
      </text>
    );
  });
}

/** What the dashboard marks in the time shown: a line where it begins, a bar for as long as it lasts. */
function Marks({ marks, height, at }) {
  return marks.map(({ from, to, color }, number) => (
    <g key={number} stroke={color}>
      <line x1={at(from)} x2={at(from)} y1={0} y2={height - AXIS} strokeDasharray="3 3" />
      <line x1={at(from)} x2={at(to)} y1={height - AXIS + 1} y2={height - AXIS + 1} strokeWidth={3} />
    </g>
  ));
}

/** Bars of equal states, one line for each series. */
export function Timeline({ frames, width, height, timeRange, theme, marks }) {
  const names = frames.map((frame) => numbersOf(frame).config.displayNameFromDS);
  const labels = Math.max(...names.map((name) => name.length)) * LETTER + FONT;
  const at = scaled(timeRange, width, labels);
  const line = (height - AXIS) / frames.length;
  return (
    <svg width={width} height={height}>
      {frames.map((frame, number) => {
        const field = numbersOf(frame);
        const [top, thick] = [number * line + 0.1 * line, 0.8 * line];
        return (
          <g key={number}>
            <text x={labels - 6} y={top + thick / 2 + 4} fontSize={FONT} textAnchor="end" fill={theme.colors.text.primary}>
              {names[number]}
            </text>
            {states(field.values, timesOf(frame)).map(({ value, from, to }) => {
              const shown = field.display(value);
              const wide = at(to) - at(from) > shown.text.length * 8 + 8;
              return (
                <g key={from}>
                  <rect x={at(from)} y={top} width={Math.max(1, at(to) - at(from))} height={thick} fill={shown.color} fillOpacity={field.config.custom.fillOpacity / 100} />
                  {wide && <text x={at(from) + 4} y={top + thick / 2 + 4} fontSize={FONT} fill="#fff">{shown.text}</text>}
                </g>
              );
            })}
          </g>
        );
      })}
      <Marks marks={marks} height={height} at={at} />
      <Hours timeRange={timeRange} height={height} theme={theme} at={at} />
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
export function Heat({ panel, frames, width, height, timeRange, theme, marks, exemplars }) {
  const bounds = frames
    .map((frame) => ({ frame, le: Number(numbersOf(frame).config.displayNameFromDS.replace('+Inf', 'Infinity')) }))
    .sort((one, other) => one.le - other.le);
  const rows = bounds.map(({ frame, le }, number) => {
    const below = number ? numbersOf(bounds[number - 1].frame).values : [];
    return { le, times: timesOf(frame), values: numbersOf(frame).values.map((value, n) => value - (below[n] ?? 0)) };
  });
  const most = Math.max(...rows.flatMap(({ values }) => values));
  const at = scaled(timeRange, width, BOUND_LABELS);
  const line = (height - AXIS - FONT) / rows.length;
  const top = (number) => height - AXIS - (number + 1) * line;
  const display = numbersOf(frames[0]).display;
  return (
    <svg width={width} height={height}>
      {rows.map(({ le, times, values }, number) => {
        const y = top(number);
        const name = Number.isFinite(le) ? display(le) : { text: '+Inf', suffix: '' };
        return (
          <g key={le}>
            {number % Math.ceil(FONT / line) === 0 && (
              <text x={BOUND_LABELS - 6} y={y + 4} fontSize={FONT} textAnchor="end" fill={theme.colors.text.secondary}>
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
      {exemplars.map(({ at: moment, value }, number) => (
        <Diamond
          key={number}
          x={at(moment)}
          y={top(bounds.findIndex(({ le }) => value <= le)) + line / 2}
          fill={panel.options.exemplars.color}
        />
      ))}
      <Marks marks={marks} height={height} at={at} />
      <Hours timeRange={timeRange} height={height} theme={theme} at={at} />
    </svg>
  );
}

function Diamond({ x, y, fill }) {
  return <path d={`M${x} ${y - DIAMOND}l${DIAMOND} ${DIAMOND}l-${DIAMOND} ${DIAMOND}l-${DIAMOND} -${DIAMOND}z`} fill={fill} />;
}
