// Draws all but the findings: the verdict, how connections ended, ports, and the agent itself.

import { odd } from "./agent.js";
import { bar, between, clock, count, el, number, span, svg, table } from "./dom.js";

const GROUPS = {
  orderly: "Orderly",
  reset_sent: "Reset by this host",
  reset_received: "Reset by the peer",
  gave_up: "Gave up waiting",
  other: "Other",
};

/** A census that is older than this, in seconds, is said to be old: the agent rests for ten
 * intervals at most, of 15 s unless it was told otherwise. */
const OLD = 300;

/** The one line, how bad it is, and what it rests on. `now` is the agent's time. */
export function verdict({ status, findings, endings }, now) {
  const facts = [census(findings, now), losses(status, endings), shed(status), followed(status), coverage(status), audit(status)].filter(Boolean);
  const raised = findings.data?.count;
  if (status.state === "starting") return { level: "unknown", text: "Starting: the probes are not attached yet.", facts };
  if (raised === undefined) return { level: "unknown", text: findings.early ? "Nothing is known yet: no census is over." : `Not known: ${findings.why}`, facts };
  if (raised > 0) {
    const kinds = new Set(findings.data.findings.map((it) => it.title.split(": ")[0]));
    return { level: "bad", text: `${count(raised, "finding")}: ${[...kinds].join(", ")}`, facts };
  }
  // Behind these a finding may hide.
  const but = facts.map((it) => it.but).filter(Boolean);
  if (but.length > 0) return { level: "warn", text: `Nothing found, but ${but.join(" and ")}.`, facts };
  return { level: "good", text: "Nothing found.", facts };
}

function census({ data, why, early }, now) {
  if (!data) return { level: "unknown", text: early ? "No census yet" : why };
  const ago = between(data.taken_at, now);
  const text = `Sockets as of ${span(ago)} ago`;
  if (ago > OLD) return { level: "unknown", text, but: "the last census is old" };
  if (!data.complete) return { level: "warn", text: `${text}, in part`, but: "not everything can be seen" };
  return { level: "good", text };
}

function losses({ losses: all }, endings) {
  const lost = Object.values(all.events).reduce((sum, it) => sum + it, 0);
  if (lost === 0) return { level: "good", text: "No event lost" };
  const text = `${count(lost, "event")} lost`;
  if (!endings.data) return { level: "unknown", text: `${text} since the start` };
  if (endings.data.complete) return { level: "good", text: `${text}, none in the last 15 minutes` };
  return { level: "warn", text: `${text}, some in the last 15 minutes`, but: "events were lost" };
}

function shed({ shed: details }) {
  if (details.length === 0) return null;
  return { level: "warn", text: `Leaves out ${details.join(", ")} to keep to its CPU budget`, but: "details are left out" };
}

function followed({ losses: { evictions }, tracker }) {
  if (evictions === 0) return null;
  const text = `No room for ${count(evictions, "connection")} since the start`;
  const full = tracker.open >= 0.95 * tracker.limit_open || tracker.closing >= 0.95 * tracker.limit_closing;
  return full ? { level: "warn", text, but: "there are more connections than the agent follows" } : { level: "unknown", text };
}

function coverage({ questions }) {
  const answered = questions.filter((it) => it.twin).length;
  return { level: questions.length === 0 ? "unknown" : answered < questions.length ? "unknown" : "good", text: `Probes answer ${answered} of ${questions.length} questions` };
}

function audit(status) {
  const { namespaces } = status.audit;
  if (status.filters.length > 0) return { level: "unknown", text: `Only ${status.filters.join(" ")}, so not held against the kernel's counters` };
  const some = namespaces.flatMap(odd).length;
  if (some > 0) return { level: "warn", text: `${count(some, "kernel counter")} ${some === 1 ? "does" : "do"} not add up` };
  if (namespaces.some((it) => it.state === "lost")) return { level: "warn", text: "The kernel's counters cannot be read" };
  if (!namespaces.some((it) => it.state === "audited")) return { level: "unknown", text: "Not held against the kernel's counters yet" };
  return { level: "good", text: "Adds up with the kernel's counters" };
}

/** Every group with its endings. */
export function endings({ data, why }) {
  if (!data) return [el("p", { class: "empty" }, `The agent does not tell: ${why}`)];
  if (!data.since) return [el("p", { class: "empty" }, "Endings are counted once the probes are attached.")];
  if (data.endings.length === 0) {
    return [el("p", { class: "empty" }, "No connection has ended in the last 15 minutes. Endings are counted since ", clock(data.since), ".")];
  }
  const heads = [["Ending"], ["In 15 minutes", "drawn"], ["1 min", "number"], ["5 min", "number"], ["15 min", "number"]];
  const some = data.groups.filter((it) => it.last_15_minutes > 0);
  const body = (it) => el("tbody", { key: it.group },
    el("tr", { class: `group ${it.group}` }, el("th", { scope: "rowgroup" }, GROUPS[it.group]), el("td", { class: "drawn" }, spark(it.slots)), sums(it)),
    data.endings.filter((ending) => ending.group === it.group).map(ending));
  const since = between(data.since, data.taken_at);
  return [
    el("div", { key: "table" }, table("Connection ends by ending; unfold one for what it means", heads, some.map(body))),
    since < 900 && el("p", { class: "note", key: "since" }, `Counted for ${span(since)}, since `, clock(data.since), "."),
  ];
}

function sums(it) {
  return ["last_minute", "last_5_minutes", "last_15_minutes"].map((key) =>
    el("td", { class: it[key] === 0 ? "number none" : "number" }, number(it[key])));
}

function ending(it) {
  const roles = Object.entries(it.by_role).filter(([, of]) => of > 0).map(([role, of]) => `${role} ${number(of)}`);
  return el("tr", { key: it.ending },
    el("th", { scope: "row", colspan: 2 }, el("details", {}, el("summary", { class: "mono" }, it.ending),
      el("div", { class: "meaning" }, el("p", {}, it.meaning), el("p", {}, el("strong", {}, "Likely cause: "), it.cause),
        el("p", {}, el("strong", {}, "Look at: "), it.look_next),
        el("p", {}, `This host was ${roles.join(", ")}. More: `, el("code", {}, `tcp-observer explain ${it.ending}`), ".")))),
    sums(it));
}

/** A bar a slot, as high as it is of the highest. */
function spark(slots) {
  const [width, height, most] = [slots.length * 2, 20, Math.max(...slots, 1)];
  const bars = slots.map((it, at) => it > 0 && `M${at * 2} ${height}v-${Math.max(1.5, (it / most) * height).toFixed(1)}h1.6V${height}z`);
  return svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { class: "ground", d: `M0 ${height - 0.4}h${width}v0.4H0z` }), svg("path", { d: bars.filter(Boolean).join("") }));
}

/** The last that were not orderly. */
export function recent({ data, why }) {
  if (!data) return [el("p", { class: "empty" }, `The agent does not tell: ${why}`)];
  if (data.count === 0) return [el("p", { class: "empty" }, "There was none since the agent runs.")];
  const row = (it) => el("tr", { key: `${it.ended_at} ${it.local} ${it.peer}` },
    el("td", { "data-label": "When" }, clock(it.ended_at)), el("td", { class: "mono", "data-label": "Ending" }, it.ending),
    el("td", { "data-label": "Process" }, who(it)),
    el("td", { class: "mono", "data-label": "Where" }, `${it.local ?? "?"} → ${it.peer ?? "?"}`),
    el("td", { "data-label": "How" }, how(it)));
  const more = data.count - data.recent.length;
  return [
    el("div", { key: "table" }, table("The newest first: this end → the other end", [["When"], ["Ending"], ["Process"], ["Where"], ["How"]],
      el("tbody", {}, data.recent.map(row)))),
    more > 0 && el("p", { class: "note", key: "more" }, `${number(more)} older at `, el("a", { href: `api/v1/endings?offset=${data.recent.length}` }, "api/v1/endings"),
      "; at most 16 of each ending are kept."),
  ];
}

function who(it) {
  if (it.comm !== null) return `${it.comm}/${it.pid}`;
  return it.opened_by ? `${it.opened_by.comm}/${it.opened_by.pid}` : "not seen";
}

const SIDES = { local: "this end", peer: "the peer", both: "both ends", kernel: "the kernel" };

function how(it) {
  const left = Object.entries(it.left_behind).filter(([, bytes]) => bytes > 0).map(([queue, bytes]) => `${number(bytes)} bytes ${queue}`);
  const lived = it.duration !== null && `after ${it.duration < 1 ? `${Number((it.duration * 1000).toPrecision(2))} ms` : span(it.duration)}`;
  const sure = it.confidence !== "exact" && it.confidence;
  return [it.initiator && `by ${SIDES[it.initiator]}`, it.role !== "unknown" && `as ${it.role}`, lived, ...left, sure].filter(Boolean).join(", ");
}

/** Who has how many local ports left. */
export function ports({ data, early, why }) {
  if (!data) return [el("p", { class: "empty" }, early ? "No census yet." : `The agent does not tell: ${why}`)];
  if (data.destinations.length === 0) {
    return [el("p", { class: "empty" }, "No client has 16 or more local ports in use for one destination, and no connect fails for want of one.")];
  }
  const row = (it) => el("tr", { key: `${it.netns} ${it.source} ${it.remote}` },
    el("th", { scope: "row", class: "mono" }, `${it.source} → ${it.remote}`), el("td", { "data-label": "Clients" }, it.clients.join(", ") || "not seen"),
    el("td", { class: "drawn" }, bar(it.taken_ratio)), el("td", { class: "number", "data-label": "Left" }, `${number(it.left)} of ${number(it.ports)}`),
    el("td", { class: "number", "data-label": "Open" }, number(it.open)), el("td", { class: "number", "data-label": "TIME_WAIT" }, number(it.time_wait)));
  return [table("Local ports that are left, by destination; the fewest first",
    [["Destination"], ["Clients"], ["Taken", "drawn"], ["Left", "number"], ["Open", "number"], ["TIME_WAIT", "number"]],
    el("tbody", {}, data.destinations.map(row)))];
}

/** How full the tables of TIME_WAIT are. */
export function timeWait({ data }) {
  if (!data) return [];
  if (data.namespaces.length === 0) return [el("p", { class: "empty" }, "No socket is in TIME_WAIT.")];
  const most = ({ services: [it] }) => it && `${it.role === "server" ? `local port ${it.local_port}` : it.remote ?? "many remote services"} (${number(it.time_wait)})`;
  const row = (it) => el("tr", { key: it.netns }, el("th", { scope: "row" }, it.netns), el("td", { "data-label": "Most" }, most(it) ?? "no service has many"),
    el("td", { class: "drawn" }, bar(it.limit > 0 ? it.minisocks / it.limit : 1)), el("td", { class: "number", "data-label": "Used" }, `${number(it.minisocks)} of ${number(it.limit)}`),
    el("td", { class: "number", "data-label": "Of clients" }, number(it.time_wait.client)), el("td", { class: "number", "data-label": "Of servers" }, number(it.time_wait.server)));
  return [table("TIME_WAIT by network namespace: no fault until its table is full",
    [["Namespace"], ["Most"], ["Share", "drawn"], ["Used", "number"], ["Of clients", "number"], ["Of servers", "number"]],
    el("tbody", {}, data.namespaces.map(row)))];
}
