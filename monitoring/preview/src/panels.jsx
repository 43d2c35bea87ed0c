// Each kind of panel, drawn by Grafana's own component where it is published; drawn.jsx has the others.
import { FieldType, getDisplayProcessor, VizOrientation } from '@grafana/data';
import { BarGauge, BigValue, Table, TimeSeries } from '@grafana/ui';

import { valuesOf } from './data.js';
import { Heat, Timeline } from './drawn.jsx';
import { lay } from './overlay.js';

const GAP = 4;
const STAT_GAP = 8;

export function isEmpty(frames) {
  return !frames.some((frame) => frame.fields.some((field) =>
    field.type === FieldType.number ? field.values.some((value) => Number.isFinite(value))
      : field.type === FieldType.string && field.values.length));
}

function Graph({ panel, frames, width, height, timeRange, theme, marks, exemplars }) {
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
      {(config) => lay(config, { marks, exemplars, color: theme.colors.text.secondary })}
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
    <div style={{ display: 'flex', gap: STAT_GAP }}>
      {values.map((value, index) => (
        <BigValue
          key={index}
          width={(width - (values.length - 1) * STAT_GAP) / values.length}
          height={height}
          value={value}
          sparkline={sparkline(value)}
          colorMode={panel.options.colorMode}
          graphMode={panel.options.graphMode}
          justifyMode={panel.options.justifyMode}
          text={panel.options.text}
          textMode={panel.options.textMode === 'auto' && values.length < 2 ? 'value' : 'value_and_name'}
          theme={theme}
          count={values.length}
        />
      ))}
    </div>
  );
}

function Bars({ panel, frames, width, height, theme }) {
  const values = valuesOf(frames, panel).filter((value) => Number.isFinite(value.numeric));
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
        height={Math.min(40, Math.max(16, Math.floor(height / values.length) - GAP))}
        field={field}
        display={getDisplayProcessor({ field: { ...value.field, config: field }, theme })}
        value={value}
        orientation={VizOrientation.Horizontal}
        displayMode={panel.options.displayMode}
        valueDisplayMode={panel.options.valueMode}
        alignmentFactors={{ title: longest('title'), text: longest('text'), suffix: longest('suffix') }}
        showUnfilled={panel.options.showUnfilled}
        namePlacement={panel.options.namePlacement}
        text={panel.options.text}
        itemSpacing={GAP}
      />
    );
  });
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

export const KINDS = { timeseries: Graph, stat: Stat, bargauge: Bars, table: Rows, heatmap: Heat, 'state-timeline': Timeline };
