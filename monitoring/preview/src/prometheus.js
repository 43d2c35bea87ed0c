// Asks Prometheus what Grafana's data source would ask it.

const DURATION = /^(\d+)(ms|s|m|h)$/;
const DEADLINE = 20000;
const ATTEMPTS = 3;
const SECONDS = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** Return the seconds of a duration such as 15s. */
export function seconds(text) {
  const [, number, unit] = text.match(DURATION);
  return Number(number) * SECONDS[unit];
}

/** The time shown, the width of the picture, and what the variables of a dashboard stand for. */
export class Source {
  constructor(url, { from, to, interval, width, variables }) {
    Object.assign(this, { url, from, to, interval, width });
    const step = this.step(width);
    this.variables = {
      job: 'vibebox-backend',
      instance: '.+',
      team: '.+',
      __interval: `${step}s`,
      // As Grafana computes it: a rate needs two samples, and one may be missing on either side.
      __rate_interval: `${Math.max(step + interval, 4 * interval)}s`,
      __range: `${Math.round(to - from)}s`,
      ...variables,
    };
  }

  /** Return the seconds between two points of a curve of that width. */
  step(width) {
    const atLeast = (this.to - this.from) / Math.max(100, width);
    return Math.max(1, Math.ceil(atLeast / this.interval)) * this.interval;
  }

  /** Return a query with its variables filled in. */
  filled(expression) {
    return expression.replace(/\$\{(\w+)(?::\w+)?\}|\$(\w+)/g, (whole, braced, bare) =>
      this.variables[braced ?? bare] ?? whole);
  }

  /** Return the series of one value each, at the end of the time shown. */
  instant(expression) {
    return this.#ask('query', { query: this.filled(expression), time: this.to });
  }

  /** Return the series over the time shown, a point for each step: null where there is no value. */
  async range(expression, width) {
    const [query, step] = [this.filled(expression), this.step(width)];
    const found = await this.#ask('query_range', { query, start: this.from, end: this.to, step });
    const steps = Array.from({ length: Math.floor((this.to - this.from) / step) + 1 }, (_, n) => this.from + n * step);
    return found.map(({ metric, values }) => {
      const known = new Map(values.map(([moment, value]) => [moment.toFixed(3), value]));
      return { metric, values: steps.map((moment) => [moment, known.get(moment.toFixed(3)) ?? null]) };
    });
  }

  async #ask(path, parameters) {
    const address = `${this.url}/api/v1/${path}?${new URLSearchParams(parameters)}`;
    const answer = await (await patiently(address)).json();
    if (answer.status !== 'success') {
      throw new Error(answer.error);
    }
    return answer.data.result;
  }
}

/** Fetch, again when the connection was closed: many queries at once share a few of them. */
async function patiently(address) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await fetch(address, { signal: AbortSignal.timeout(DEADLINE) });
    } catch (error) {
      if (attempt === ATTEMPTS) {
        throw error;
      }
    }
  }
}
