// Asks Prometheus what Grafana's data source would ask it.

const DURATION = /^(\d+)(ms|s|m|h|d)$/;
const DEADLINE = 20000;
const ATTEMPTS = 4;
const PAUSE = 500;
// Scrape interval that the dashboards are written for: what is scraped more rarely says so itself.
const USUAL = 15;
// Bars in a picture at least, though the time shown be shorter than one.
const BARS = 12;
const SECONDS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 };

/** Return the seconds of a duration such as 15s. */
export function seconds(text) {
  const [, number, unit] = text.match(DURATION);
  return Number(number) * SECONDS[unit];
}

/** The time shown, the width of the picture, and what the variables of a dashboard stand for. */
export class Source {
  constructor(url, { from, to, interval, width, variables }) {
    Object.assign(this, { url, from, to, interval, width });
    this.variables = { job: 'vibebox-backend', instance: '.+', team: '.+', ...variables };
  }

  /** Return the seconds between two scrapes; `own` is what a query says of its series. */
  #scrapes(own) {
    return own ? (seconds(own) / USUAL) * this.interval : this.interval;
  }

  /** Return the seconds between two points of a curve of that width; `least` is the panel's own. */
  step(width, own, least) {
    const interval = this.#scrapes(own);
    const bar = least ? Math.min(this.#scrapes(least), (this.to - this.from) / BARS) : 0;
    const atLeast = Math.max((this.to - this.from) / Math.max(100, width), bar);
    return Math.max(1, Math.ceil(atLeast / interval)) * interval;
  }

  /** Return a query with its variables filled in. */
  filled(expression, width, own, least) {
    const [step, interval] = [this.step(width, own, least), this.#scrapes(own)];
    const known = {
      ...this.variables,
      __interval: `${step}s`,
      __interval_ms: `${step * 1000}`,
      // As Grafana computes it: a rate needs two samples, and one may be missing on either side.
      __rate_interval: `${Math.max(step + interval, 4 * interval)}s`,
      __range: `${Math.round(this.to - this.from)}s`,
      __from: `${Math.round(this.from * 1000)}`,
    };
    return expression.replace(/\$\{(\w+)(?::\w+)?\}|\$(\w+)/g, (whole, braced, bare) => known[braced ?? bare] ?? whole);
  }

  /** Return the series of one value each, at the end of the time shown. */
  instant(expression, own) {
    return this.#ask('query', { query: this.filled(expression, this.width, own), time: this.to });
  }

  /** Return the single requests that Prometheus keeps of the series of a query. */
  exemplars(expression) {
    const query = this.filled(expression, this.width);
    return this.#ask('query_exemplars', { query, start: this.from, end: this.to });
  }

  /** Return the series over the time shown, a point for each step: null where there is no value. */
  async range(expression, width, own, least) {
    const [query, step] = [this.filled(expression, width, own, least), this.step(width, own, least)];
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
    return answer.data.result ?? answer.data;
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
      await new Promise((resolve) => { setTimeout(resolve, attempt * PAUSE); });
    }
  }
}
