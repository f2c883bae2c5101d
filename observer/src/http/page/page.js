// Asks the agent every few seconds and shows what it says, how old that is, and when it is silent.

import { agent } from "./agent.js";
import { el, show, span } from "./dom.js";
import { findings } from "./findings.js";
import { endings, ports, recent, timeWait, verdict } from "./sections.js";

const EVERY_MS = 5000;
const PATIENCE_MS = 10000;

const SOURCES = {
  status: "status",
  endings: "api/v1/endings?limit=12",
  findings: "api/v1/findings?limit=50",
  ports: "api/v1/ports?limit=8",
  timeWait: "api/v1/time-wait?limit=5",
};

const at = (id) => document.getElementById(id);

let timer = null;
let paused = false;
let asking = false;
/** When the last answer came, by the clock that nobody sets, and by the one on the wall. */
let answered = null;
let answeredAt = null;
/** Of the agent that gave this page. */
let version = null;

/** The agent answers, but not what was asked. */
class Refusal extends Error {}

/** One after the other, over one connection: the agent observes its own web too. */
async function ask() {
  const all = {};
  for (const [name, path] of Object.entries(SOURCES)) {
    const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    const text = await answer.text();
    if (answer.ok) all[name] = { data: JSON.parse(text) };
    else all[name] = { status: answer.status, why: text.trim() || answer.statusText, early: text.startsWith("the first census") };
  }
  if (!all.status.data) throw new Refusal(`it answers ${all.status.status}: ${all.status.why}`);
  version ??= all.status.data.version;
  // This page speaks of what that agent told.
  if (version !== all.status.data.version) location.reload();
  return all;
}

async function round() {
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  try {
    const all = await ask();
    // What a reader wants to keep stays.
    if (!paused) {
      draw(all);
      [answered, answeredAt] = [performance.now(), new Date()];
      at("unreachable").hidden = true;
      document.body.classList.remove("silent");
    }
  } catch (error) {
    if (!paused) silent(error);
  }
  asking = false;
  if (!paused && !document.hidden) timer = setTimeout(round, EVERY_MS);
  tell();
}

function draw(all) {
  const status = all.status.data;
  // Ages are told by the agent's clock: this one may be off.
  const now = all.endings.data?.taken_at ?? new Date().toISOString();
  const said = verdict({ ...all, status }, now);
  at("verdict").className = said.level;
  show(at("sentence"), document.createTextNode(said.text));
  show(at("facts"), said.facts.map((it) => el("li", { class: it.level }, it.text)));
  document.title = `${said.text} – ${location.host} – tcp-observer`;
  show(at("findings"), findings(all.findings, now));
  show(at("endings"), endings(all.endings));
  show(at("recent"), recent(all.endings));
  show(at("ports"), ports(all.ports));
  show(at("time-wait"), timeWait(all.timeWait));
  show(at("agent"), agent(status, all.findings));
}

/** Said once, since it is read aloud: the time of the last answer does not change. */
function silent(error) {
  const since = answeredAt && answeredAt.toLocaleTimeString("en-GB");
  const text = since ? `Nothing new since ${since}. What stands below is as old as that.` : "The agent does not answer.";
  const failed = error instanceof Refusal || error.name === "TimeoutError";
  const why = failed ? error.message : "it cannot be reached, or its answer cannot be shown";
  at("unreachable").hidden = false;
  show(at("unreachable"), document.createTextNode(`${text} (${why})`));
  at("verdict").className = "unknown";
  show(at("sentence"), document.createTextNode("Not known: the agent does not answer."));
  document.title = `No answer – ${location.host} – tcp-observer`;
  document.body.classList.add("silent");
}

/** How old what is shown is. */
function tell() {
  const age = answered === null ? "Not updated yet" : `Updated ${span((performance.now() - answered) / 1000)} ago`;
  show(at("updated"), document.createTextNode(paused ? `Paused. ${age}` : age));
}

at("pause").addEventListener("click", () => {
  paused = !paused;
  at("pause").textContent = paused ? "Resume" : "Pause";
  if (paused) clearTimeout(timer);
  else round();
  tell();
});

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden && !paused) round();
});

document.querySelector("main").hidden = false;
at("pause").hidden = false;
at("place").textContent = location.host;
setInterval(tell, 1000);
round();
