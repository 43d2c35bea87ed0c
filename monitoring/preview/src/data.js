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

// Points in which Grafana looks for annotations.
const MARKS = 100;

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

/** Return moment and value of the single requests that a panel shows, fewer where there are many, as Grafana does. */
export async function exemplarsOf(panel, source, width) {
  const found = await Promise.all(panel.targets.filter((target) => target.exemplar).map(({ expr }) => source.exemplars(expr)));
  const all = found.flat().flatMap((series) => series.exemplars)
    .map(({ timestamp, value }) => ({ at: timestamp * 1000, value: Number(value) }));
  const apart = 2 * deviation(all.map(({ value }) => value));
  const steps = Map.groupBy(all, ({ at }) => Math.floor(at / 1000 / source.step(width)));
  return [...steps.values()].flatMap((each) => sampled(each, apart));
}

/** Return the largest one, and from there on those that lie so far below the one before. */
function sampled(exemplars, apart) {
  const [first, ...others] = exemplars.sort((one, other) => other.value - one.value);
  const kept = [first];
  others.forEach((each) => {
    if (kept.at(-1).value - each.value > apart) {
      kept.push(each);
    }
  });
  return kept;
}

function deviation(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

/** Return the stretches of time in which the query of an annotation finds something, each with its colour. */
export async function marksOf({ expr, iconColor }, source) {
  const found = await source.range(expr, MARKS);
  return found.flatMap(({ values }) => stretches(values)).map((each) => ({ ...each, color: iconColor }));
}

function stretches(values) {
  const found = [];
  values.forEach(([moment, value], number) => {
    if (!Number(value)) {
      return;
    }
    if (number && Number(values[number - 1][1])) {
      found.at(-1).to = moment * 1000;
    } else {
      found.push({ from: moment * 1000, to: moment * 1000 });
    }
  });
  return found;
}

async function framesOfTarget(target, panel, source, width) {
  if (!target.instant) {
    return (await source.range(target.expr, width, target.interval, panel.interval)).map((series) => curve(series.values, series.metric, target));
  }
  const found = await source.instant(target.expr, target.interval);
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
