// Each kind of panel, drawn by Grafana's own component where it is published; the pie is not.
import { FieldType, getDisplayProcessor, VizOrientation } from '@grafana/data';
import { BarGauge, BigValue, Table, TimeSeries } from '@grafana/ui';

import { valuesOf } from './data.js';

const GAP = 4;

export function isEmpty(frames) {
  return !frames.some((frame) => frame.fields.some((field) =>
    field.type === FieldType.number && field.values.some((value) => Number.isFinite(value))));
}

function Graph({ panel, frames, width, height, timeRange }) {
  return (
    <TimeSeries
      frames={frames}
      width={width}
      height={height}
      timeRange={timeRange}
      timeZone="utc"
      legend={panel.options.legend}
      options={panel.options}
    >
      {() => null}
    </TimeSeries>
  );
}

function Stat({ panel, frames, width, height, timeRange, theme }) {
  const values = valuesOf(frames, panel);
  const [from, to] = [timeRange.from.valueOf(), timeRange.to.valueOf()];
  const sparkline = ({ frame, field }) =>
    panel.options.graphMode === 'area' && frame.length > 1
      ? { timeMin: from, timeMax: to, x: frame.fields[0], y: field }
      : undefined;
  return (
    <div style={{ display: 'flex' }}>
      {values.map((value, index) => (
        <BigValue
          key={index}
          width={width / values.length}
          height={height}
          value={value}
          sparkline={sparkline(value)}
          colorMode={panel.options.colorMode}
          graphMode={panel.options.graphMode}
          justifyMode={panel.options.justifyMode}
          textMode={values.length > 1 ? 'value_and_name' : 'value'}
          theme={theme}
          count={values.length}
        />
      ))}
    </div>
  );
}

function Bars({ panel, frames, width, height, theme }) {
  const values = valuesOf(frames, panel).filter((value) => Number.isFinite(value.numeric));
  values.sort((one, other) => other.numeric - one.numeric);
  const longest = (key) =>
    values.reduce((found, value) => ((value[key] ?? '').length > found.length ? value[key] : found), '');
  const most = Math.max(...values.map((value) => value.numeric));
  return values.map((value) => {
    const field = { min: 0, max: most, ...value.field.config };
    return (
      <BarGauge
        key={value.title}
        theme={theme}
        width={width}
        height={Math.max(16, Math.floor(height / values.length) - GAP)}
        field={field}
        display={getDisplayProcessor({ field: { ...value.field, config: field }, theme })}
        value={value}
        orientation={VizOrientation.Horizontal}
        displayMode={panel.options.displayMode}
        alignmentFactors={{ title: longest('title'), text: longest('text'), suffix: longest('suffix') }}
        showUnfilled={panel.options.showUnfilled}
        itemSpacing={GAP}
      />
    );
  });
}

function Pie({ panel, frames, width, height, theme }) {
  const values = valuesOf(frames, panel).filter((value) => Number.isFinite(value.numeric));
  const whole = values.reduce((sum, value) => sum + value.numeric, 0) || 1;
  const radius = Math.min(width * 0.5, height) / 2 - 6;
  const at = (angle, distance) =>
    `${radius + 6 + distance * Math.cos(angle)} ${height / 2 + distance * Math.sin(angle)}`;
  let angle = -Math.PI / 2;
  return (
    <svg width={width} height={height}>
      {values.map((value, index) => {
        const share = value.numeric / whole;
        const start = angle;
        // A whole circle has no arc: its ends are the same point.
        const end = (angle += 2 * Math.PI * share) - 1e-4;
        const large = share > 0.5 ? 1 : 0;
        const inner = radius * 0.6;
        const color = theme.visualization.getColorByName(theme.visualization.palette[index]);
        return (
          <g key={value.title} fill={color} fontSize="12">
            <path
              d={`M ${at(start, radius)} A ${radius} ${radius} 0 ${large} 1 ${at(end, radius)}
                  L ${at(end, inner)} A ${inner} ${inner} 0 ${large} 0 ${at(start, inner)} Z`}
            />
            <rect x={2 * radius + 24} y={18 + index * 20} width="12" height="4" />
            <text x={2 * radius + 42} y={24 + index * 20} fill={theme.colors.text.primary}>
              {value.title} {value.text}{value.suffix} ({Math.round(100 * share)} %)
            </text>
          </g>
        );
      })}
    </svg>
  );
}

function Rows({ frames, width, height, timeRange, panel }) {
  return (
    <Table
      data={frames[0]}
      width={width}
      height={height}
      timeRange={timeRange}
      initialSortBy={panel.options.sortBy}
    />
  );
}

export const KINDS = { timeseries: Graph, stat: Stat, bargauge: Bars, piechart: Pie, table: Rows };
