// Draws what to act on: each finding with who holds what, since when, and what to do.

import { age, between, clock, count, el, number, span } from "./dom.js";

/** All of a page of findings; `now` is the agent's time. */
export function findings(page, now) {
  if (!page.data) return [el("p", { class: "empty" }, early(page))];
  const { findings: all, count: raised, complete } = page.data;
  if (raised === 0) return [el("p", { class: "empty" }, nothing(complete))];
  const more = raised - all.length;
  return [
    ...all.map((it) => one(it, now)),
    more > 0 && el("p", { key: "more" }, `${number(more)} more at `,
      el("a", { href: `api/v1/findings?offset=${all.length}` }, "api/v1/findings"), "."),
  ];
}

function early(page) {
  if (page.early) {
    return "No census yet. The agent asks the kernel for all sockets as soon as its probes are " +
      "attached; what it finds is shown here within seconds.";
  }
  return `The agent does not tell: ${page.why}`;
}

function nothing(complete) {
  const where = complete ? "every network namespace" : "what it could see (in part; see below)";
  return `The last census looked at ${where}: no socket is forgotten in CLOSE_WAIT or hangs in its ` +
    "close, no client runs out of local ports, and no service's connections mostly end with resets.";
}

function one(it, now) {
  const [kind, ...rest] = it.title.split(": ");
  return el("article", { key: it.id, class: "finding" },
    el("h3", {}, el("span", { class: "kind" }, kind), " ", rest.join(": ")),
    el("p", { class: "remedy" }, el("strong", {}, "What to do: "), it.remedy, "."),
    el("dl", {}, facts(it, now).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    holders(it), sockets(it), stacks(it));
}

/** What is known of it and not in its title, with names. */
function facts(it, now) {
  const soon = it.exhausted_in_seconds ?? null;
  const all = [
    ["Oldest", it.oldest && age(it.oldest)],
    ["Growing by", it.growth_per_minute > 0.05 && `${number(it.growth_per_minute)} a minute`],
    ["Ports left", it.ports && `${number(it.left)} of ${number(it.ports)}`],
    ["None left in", soon !== null && span(soon)],
    ["Unread", it.unread_bytes > 0 && count(it.unread_bytes, "byte")],
    ["Not acknowledged", it.unacked_bytes > 0 && count(it.unacked_bytes, "byte")],
    ["Unit", it.unit],
    ["Container", it.container && it.container.slice(0, 12)],
    ["Pod", it.pod],
    ["Clients", it.clients?.length > 0 && it.clients.join(", ")],
    ["Closed by", named(it.closed_by)],
    ["Endings", named(it.endings)],
    ["Processes", named(it.by)],
    ["Peers", named(it.peers)],
    ["Since", [clock(it.raised_at), ` (${span(between(it.raised_at, now))})`]],
    ["Network namespace", it.netns],
  ];
  return all.filter(([, value]) => value);
}

/** `nginx (12), curl (3)`; one alone is in the title. */
function named(counts) {
  return counts?.length > 1 && counts.slice(0, 5).map((it) => `${it.name} (${number(it.count)})`).join(", ");
}

const MOST_HOLDERS = 8;

function holders(it) {
  if (!it.holders) return null;
  const some = it.kind === "port_exhaustion" ? "One of its connections is held by" : "Held by";
  if (it.holders.length === 0) {
    return it.kind === "port_exhaustion" ? null : el("p", {}, "No process that holds it was found: see ", el("code", {}, "tcp-observer leaks"), " as root.");
  }
  const rows = it.holders.slice(0, MOST_HOLDERS).map((holder) => el("tr", { key: holder.pid },
    el("th", { scope: "row" }, holder.comm),
    el("td", { class: "number" }, holder.pid),
    holder.fds && el("td", { class: "number" }, holder.uid),
    holder.fds && el("td", {}, descriptors(holder))));
  const more = it.holder_count - rows.length;
  const fds = it.holders[0].fds ? [el("th", { scope: "col", class: "number" }, "User"), el("th", { scope: "col" }, "Descriptors")] : [];
  return el("table", { class: "holders" },
    el("caption", {}, `${some} ${count(it.holder_count, "process", "processes")}${more > 0 ? `; ${number(more)} are not listed` : ""}`),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Process"), el("th", { scope: "col", class: "number" }, "Pid"), fds)),
    el("tbody", {}, rows));
}

function descriptors(holder) {
  const some = holder.fds.slice(0, 12);
  const more = holder.fd_count > some.length ? ` … ${number(holder.fd_count)} in all` : "";
  return some.join(" ") + more;
}

const MOST_SOCKETS = 10;

function sockets(it) {
  if (!it.sockets?.length) return null;
  const some = it.sockets.slice(0, MOST_SOCKETS);
  const line = (socket) => el("li", {}, el("span", { class: "mono" }, `${socket.local} ← ${socket.peer}`), `, ${age(socket.age)}`,
    socket.opened_by && `, opened by ${socket.opened_by.comm}/${socket.opened_by.pid}`);
  return el("details", { key: "sockets" },
    el("summary", {}, some.length < it.count ? `The ${some.length} oldest connections` : "The connections"),
    el("ul", {}, some.map(line)));
}

function stacks(it) {
  if (!it.stacks?.length) return null;
  return el("details", { key: "stacks" }, el("summary", {}, "Where they were opened"),
    it.stacks.map((stack) => el("div", {}, el("p", {}, count(stack.count, "connection"), ` of pid ${stack.pid}`),
      el("ol", {}, stack.frames.map((frame) => el("li", { class: "mono" }, frame))))));
}
