// Turns what Prometheus answers into the data frames that Grafana's components draw.
import {
  fieldMatchers,
  FieldType,
  getDisplayProcessor,
  getMinMaxAndDelta,
  reduceField,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data';

standardTransformersRegistry.setInit(() =>
  [...new Map(Object.values(standardTransformers).filter((each) => each.id).map((each) => [each.id, each])).values()]
    .map((each) => ({ id: each.id, name: each.name, transformation: async () => each, editor: () => null })));

/** Return the frames of a panel, with units, thresholds and names as its JSON says. */
export async function framesOf(panel, source, width, theme) {
  const found = await Promise.all(panel.targets.map((target) => framesOfTarget(target, panel, source, width)));
  const frames = await transformed(found.flat(), panel.transformations);
  let series = 0;
  for (const [frame, field] of frames.flatMap((each) => each.fields.map((field) => [each, field]))) {
    configure(field, frame, frames, panel, theme);
    if (field.type === FieldType.number) {
      field.state = { ...field.state, seriesIndex: series++, range: getMinMaxAndDelta(field) };
      // Shades follow the number of the series, which is known only now.
      field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' });
    }
  }
  return frames;
}

async function framesOfTarget(target, panel, source, width) {
  if (!target.instant) {
    return (await source.range(target.expr, width)).map((series) => curve(series.values, series.metric, target));
  }
  const found = await source.instant(target.expr);
  if (target.format === 'table') {
    return [table(found, target, panel.targets.length > 1)];
  }
  return found.map((series) => curve([series.value], series.metric, target));
}

function curve(points, labels, target) {
  const config = { displayNameFromDS: named(target.legendFormat, labels) };
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: points.map(([moment]) => moment * 1000) },
      { name: 'Value', type: FieldType.number, values: points.map(([, value]) => drawable(value)), labels, config },
    ],
  });
}

/** Return a value as a number; what is none (NaN: a quantile of nothing) is a gap, as in Grafana. */
function drawable(value) {
  return value !== null && Number.isFinite(Number(value)) ? Number(value) : null;
}

function table(found, target, lettered) {
  const labels = [...new Set(found.flatMap((series) => Object.keys(series.metric)))];
  const texts = labels.map((label) => (
    { name: label, type: FieldType.string, values: found.map((series) => series.metric[label] ?? '') }));
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: found.map((series) => series.value[0] * 1000) },
      ...texts,
      {
        name: lettered ? `Value #${target.refId}` : 'Value',
        type: FieldType.number,
        values: found.map((series) => Number(series.value[1])),
      },
    ],
  });
}

function named(pattern, labels) {
  return pattern.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '');
}

function transformed(frames, transformations) {
  if (!transformations?.length) {
    return frames;
  }
  return new Promise((resolve, reject) => {
    transformDataFrame(transformations, frames, { interpolate: (text) => text })
      .subscribe({ next: resolve, error: reject });
  });
}

function configure(field, frame, frames, panel, theme) {
  const defaults = field.type === FieldType.number ? panel.fieldConfig.defaults : {};
  const own = {};
  const custom = { ...defaults.custom };
  for (const { matcher, properties } of panel.fieldConfig.overrides) {
    if (fieldMatchers.get(matcher.id).get(matcher.options)(field, frame, frames)) {
      properties.forEach(({ id, value }) => {
        (id.startsWith('custom.') ? custom : own)[id.replace('custom.', '')] = value;
      });
    }
  }
  field.config = { ...defaults, ...field.config, ...own, custom };
  field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' });
}

/** Return each series as the one value that a panel shows of it. */
export function valuesOf(frames, panel) {
  const [calc] = panel.options.reduceOptions.calcs;
  return frames.flatMap((frame) => frame.fields
    .filter((field) => field.type === FieldType.number)
    .map((field) => {
      const numeric = reduceField({ field, reducers: [calc] })[calc];
      return { field, frame, numeric, title: field.config.displayNameFromDS, ...field.display(numeric) };
    }));
}
