// Silences: operators have Alertmanager tell nobody of an alert for a while, and end that.

import { api } from "./access.js";
import { ask, confirmed } from "./confirm.js";
import { make, notice, one, say, showProblem } from "./dom.js";
import { FieldError } from "./forms.js";
import { action } from "./rows.js";

const HOUR = 3600;
const moment = (text) => new Date(text).toLocaleString();
const named = ({ name, value, is_regex, is_equal }) => `${name}${is_equal ? "=" : "!"}${is_regex ? "~" : is_equal ? "" : "="}${value}`;

function line(silence, end) {
  const what = silence.matchers.find(({ name }) => name === "alertname")?.value ?? silence.id;
  const told = `${silence.state === "pending" ? `from ${moment(silence.starts_at)} ` : ""}until ${moment(silence.ends_at)}, by ${silence.created_by}: ${silence.comment}`;
  return make("p", { class: "row" }, make("code", {}, silence.matchers.map(named).join(" ")), told, action("End", `the silence of ${what}`, () => end(silence, what)));
}

/** What an alert that nobody is told of says beside its name. */
const muted = ({ ends_at }) => make("span", { class: "dim" }, `silenced until ${moment(ends_at)}`);

/** The part of the page with the silences; it is there for operators, where an Alertmanager is set. */
export class Silences {
  /** `refresh` shows the whole page anew. */
  constructor(context, refresh) {
    this.context = context;
    this.refresh = refresh;
    this.place = one("[data-silences]", context.root);
    this.may = false;
  }

  fail = (error) => showProblem(this.place, error);

  /** Show what there is; `silences` is null for who may not see them, and where none can be known. */
  show({ silences, silences_reason: reason }) {
    this.may = silences !== null;
    this.place.hidden = !this.may && !reason;
    if (reason) this.fail({ message: reason });
    if (!this.may) return;
    showProblem(this.place, null);
    say(one("[data-none]", this.place), silences.length ? "" : "None.");
    const text = JSON.stringify(silences);
    // The same ones again would take away the focus from a button.
    if (this.place.dataset.text === text) return;
    this.place.dataset.text = text;
    one("[data-rows]", this.place).replaceChildren(...silences.map((one) => line(one, this.ends)));
  }

  ends = (silence, what) => this.context.attempt(() => this.end(silence, what), this.fail);

  async end(silence, what) {
    const text = "Whoever is told of this alert is told again while it fires.";
    if (!(await confirmed(`End the silence of ${what}?`, text, { yes: "End", no: "Keep" }))) return;
    await api("DELETE", `/alerts/silences/${encodeURIComponent(silence.id)}`);
    await this.refresh();
  }

  /** Return how long an alert is silenced, and the button that ends that or silences all alerts of
   * its name, where the reader may do that. */
  parts({ name, silence }) {
    if (silence) return [muted(silence), ...(this.may ? [action("End", `the silence of ${name}`, () => this.ends(silence, name))] : [])];
    return this.may ? [action("Silence", name, () => this.ask(name))] : [];
  }

  ask(name) {
    const fields = [
      { name: "seconds", label: "Hours", type: "number", min: "0.1", max: "720", step: "any", value: "2", help: "From now on." },
      { name: "comment", label: "Why", maxlength: "500", help: "For who is on duty next." },
    ];
    const text = "Alertmanager tells nobody of alerts of this name meanwhile.";
    ask(this.context, { title: `Silence ${name}`, text, fields, submit: "Silence" }, async ({ seconds, comment }) => {
      if (!(Number(seconds) > 0)) throw new FieldError("seconds", "Enter a number of hours.");
      await api("POST", "/alerts/silences", { alert_id: name, seconds: Math.round(Number(seconds) * HOUR), comment: comment.trim() });
      notice(`${name} is silenced.`);
      await this.refresh();
    });
  }
}
