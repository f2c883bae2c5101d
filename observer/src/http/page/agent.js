// Draws what the agent says of itself: what it sees, what it lost, and whether it adds up.

import { count, el, number, span, table } from "./dom.js";

/** All of it. */
export function agent(status, findings) {
  return [summary(status), unseen(findings), lost(status), books(status), probes(status)].flat();
}

function summary(status) {
  const { open, closing } = status.tracker;
  return el("p", { key: "summary" }, `It runs for ${span(status.uptime_seconds)}, has seen ${count(status.connections_ended, "connection end")} ` +
    `and follows ${number(open)} open ones of at most ${number(status.tracker.limit_open)}, and ${number(closing)} that close of at most ${number(status.tracker.limit_closing)}.`);
}

/** What the census does not see. */
function unseen({ data }) {
  const sentences = data?.not_seen ?? [];
  if (sentences.length === 0) return [];
  return el("div", { key: "unseen", class: "notice" }, el("p", {}, "The census does not see"), el("ul", {}, sentences.map((it) => el("li", {}, it))));
}

function lost({ losses }) {
  const all = Object.entries(losses.events).map(([kind, it]) => [`events: ${kind}`, it]);
  all.push(["records that are no events", losses.decode_errors], ["connections no longer followed, for want of room", losses.evictions],
    ["lines of the events file", losses.lines]);
  const some = all.filter(([, it]) => it > 0);
  if (some.length === 0) return [];
  const row = ([what, it]) => el("tr", { key: what }, el("th", { scope: "row" }, what), el("td", { class: "number" }, number(it)));
  return el("div", { key: "lost" }, table("Lost since the start: what misses it says partial", [["What"], ["Count", "number"]], el("tbody", {}, some.map(row))));
}

const STATES = { waiting: "is read, and judged once there are two readings", audited: "adds up", lost: "cannot be read" };

/** Counters of a namespace that are judged and do not add up; what can no longer be read is not judged. */
export function odd({ counters, problem }) {
  return problem ? [] : counters.filter((line) => line.judged && line.since_start?.unexplained);
}

function books({ audit }) {
  const all = (it) => it.counters.filter((line) => line.judged).length;
  const line = (it) => el("li", { key: it.netns }, `Network namespace ${it.netns}: `,
    odd(it).length > 0 ? odd(it).map((line) => `${line.counter} is off by ${number(line.since_start.unexplained)}`).join(", ") : STATES[it.state],
    it.state === "audited" && odd(it).length === 0 ? `, ${count(all(it), "counter")}` : "", it.problem ? `: ${it.problem}` : "");
  if (audit.namespaces.length === 0) return [];
  return [el("h3", { key: "books-title" }, "Against the kernel's own counters"), el("ul", { key: "books" }, audit.namespaces.map(line))];
}

function probes({ questions }) {
  if (questions.length === 0) return el("p", { key: "probes" }, "The probes are not attached yet.");
  const answered = questions.filter((it) => it.twin);
  const twins = [...new Set(answered.map((it) => it.twin))].join(", ");
  const text = `${answered.length} of ${count(questions.length, "question")} answered${twins && ` by ${twins}`}`;
  const row = (it) => el("tr", { key: it.question }, el("th", { scope: "row", class: "mono" }, it.question), el("td", { "data-label": "Asks" }, it.asks),
    el("td", { "data-label": "Answered by" }, it.twin ?? "no probe"), el("td", { "data-label": "Not seen directly" }, it.blind_to ?? "–"));
  return [el("h3", { key: "probes-title" }, "Probes"),
    el("details", { key: "probes" }, el("summary", {}, text),
      table("What each probe asks, and what it does not see", [["Question"], ["Asks"], ["Answered by"], ["Not seen directly"]], el("tbody", {}, questions.map(row))))];
}
