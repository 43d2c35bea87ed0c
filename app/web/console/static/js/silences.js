// Silences: operators have Alertmanager tell nobody of an alert for a while, and end that.

import { api } from "./access.js";
import { ask, confirmed } from "./confirm.js";
import { make, notice, one, say, showProblem } from "./dom.js";
import { FieldError } from "./forms.js";
import { me } from "./me.js";
import { action } from "./rows.js";

const HOUR = 3600;
const moment = (text) => new Date(text).toLocaleString();
const named = ({ name, value, is_regex, is_equal }) => `${name}${is_equal ? "=" : "!"}${is_regex ? "~" : is_equal ? "" : "="}${value}`;

function line(silence, end) {
  const what = silence.matchers.find(({ name }) => name === "alertname")?.value ?? silence.id;
  const told = `${silence.state === "pending" ? `from ${moment(silence.starts_at)} ` : ""}until ${moment(silence.ends_at)}, by ${silence.created_by}: ${silence.comment}`;
  return make("p", { class: "row" }, make("code", {}, silence.matchers.map(named).join(" ")), told, action("End", `the silence of ${what}`, () => end(silence, what)));
}

/** The part of the page with the silences; it is there for operators, where an Alertmanager is set. */
export class Silences {
  constructor(context) {
    this.context = context;
    this.place = one("[data-silences]", context.root);
    this.may = false;
  }

  fail = (error) => showProblem(this.place, error);

  /** Show what there is. */
  async refresh() {
    const account = await this.context.attempt(me, () => {});
    if (!account?.may.includes("silence.change")) return;
    const found = await this.context.attempt(() => api("GET", "/alerts/silences"), (error) => this.showAbsence(error));
    if (!found || this.context.signal.aborted) return;
    showProblem(this.place, null);
    this.may = true;
    this.place.hidden = false;
    say(one("[data-none]", this.place), found.items.length ? "" : "None.");
    const text = JSON.stringify(found.items);
    // The same ones again would take away the focus from a button.
    if (this.place.dataset.text === text) return;
    this.place.dataset.text = text;
    one("[data-rows]", this.place).replaceChildren(...found.items.map((one) => line(one, (...it) => this.context.attempt(() => this.end(...it), this.fail))));
  }

  /** Where no setting names an Alertmanager there is nothing to show; else say what is wrong. */
  showAbsence(error) {
    this.may = false;
    this.place.hidden = error.slug === "store-not-set";
    this.fail(error);
  }

  async end(silence, what) {
    const text = "Whoever is told of this alert is told again while it fires.";
    if (!(await confirmed(`End the silence of ${what}?`, text, { yes: "End", no: "Keep" }))) return;
    await api("DELETE", `/alerts/silences/${encodeURIComponent(silence.id)}`);
    await this.refresh();
  }

  /** Return the button that silences all alerts of a name, where the reader may do that. */
  button({ name }) {
    return this.may ? [action("Silence", name, () => this.ask(name))] : [];
  }

  ask(name) {
    const fields = [
      { name: "seconds", label: "Hours", type: "number", min: "0.1", max: "720", step: "any", value: "2", help: "From now on." },
      { name: "comment", label: "Why", maxlength: "500", help: "For who is on duty next." },
    ];
    const text = "Alertmanager tells nobody of alerts of this name meanwhile. Here it goes away when it is told no longer.";
    ask(this.context, { title: `Silence ${name}`, text, fields, submit: "Silence" }, async ({ seconds, comment }) => {
      if (!(Number(seconds) > 0)) throw new FieldError("seconds", "Enter a number of hours.");
      await api("POST", "/alerts/silences", { alert_id: name, seconds: Math.round(Number(seconds) * HOUR), comment: comment.trim() });
      notice(`${name} is silenced.`);
      await this.refresh();
    });
  }
}
