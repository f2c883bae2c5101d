// Makes elements and brings what is shown up to date without replacing it, so that focus, what
// is unfolded and what is selected stay. Whatever comes from a host's processes becomes text
// nodes here, and never markup.

const SVG = "http://www.w3.org/2000/svg";

// Control characters, and those that turn the direction of what follows.
const UNSEEN = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** An element with attributes; `key` names it among its siblings. Nothing is made of null. */
export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same, of a drawing. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "key") node.dataset.key = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined) continue;
    node.append(child instanceof Node ? child : String(child).replace(UNSEEN, "\uFFFD"));
  }
  return node;
}

/** Makes the children of `parent` what `wanted` is. */
export function show(parent, ...wanted) {
  const focused = document.activeElement;
  reconcile(parent, wanted.flat(Infinity).filter((node) => node));
  if (focused !== document.activeElement && focused.isConnected) focused.focus();
}

function reconcile(parent, wanted) {
  const keys = new Set(wanted.map(key).filter((it) => it !== undefined));
  const known = new Map();
  for (const child of [...parent.children]) {
    const of = key(child);
    if (of === undefined) continue;
    if (keys.has(of)) known.set(of, child);
    else child.remove();
  }
  let at = parent.firstChild;
  for (const node of wanted) {
    const of = key(node);
    const have = of === undefined ? at : known.get(of);
    known.delete(of);
    if (!have || !isSame(have, node)) {
      parent.insertBefore(node, at);
      continue;
    }
    if (have === at) at = at.nextSibling;
    else parent.insertBefore(have, at);
    patch(have, node);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function key(node) {
  return node.dataset?.key;
}

function isSame(have, wanted) {
  return have.nodeName === wanted.nodeName && key(have) === key(wanted);
}

function patch(have, wanted) {
  if (have.nodeType === Node.TEXT_NODE) {
    if (have.data !== wanted.data) have.data = wanted.data;
    return;
  }
  for (const { name } of [...have.attributes]) {
    // Whether it is unfolded is the reader's.
    if (name !== "open" && !wanted.hasAttribute(name)) have.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (have.getAttribute(name) !== value) have.setAttribute(name, value);
  }
  reconcile(have, [...wanted.childNodes]);
}

/** `1,234`. */
export function number(value) {
  return value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
}

/** `3 sockets`, `1 socket`. */
export function count(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** `12m 3s`, of seconds. */
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [d, h, m, s] = [whole / 86400, (whole / 3600) % 24, (whole / 60) % 60, whole % 60].map(Math.floor);
  if (d > 0) return `${d}d ${h}h`;
  if (h > 0) return `${h}h ${m}m`;
  return m > 0 ? `${m}m ${s}s` : `${s}s`;
}

/** `at least 12m 3s`, of an age. */
export function age(it) {
  return `${it.at_least ? "at least " : ""}${span(it.seconds)}`;
}

/** The time of day here, of a time in RFC 3339. */
export function clock(time) {
  const at = new Date(time);
  const text = at.toLocaleTimeString("en-GB");
  return el("time", { datetime: time, title: at.toString() }, text);
}

/** Seconds from one time in RFC 3339 to a later one. */
export function between(from, to) {
  return (Date.parse(to) - Date.parse(from)) / 1000;
}

/** A table; each head is the text of a column and its class. */
export function table(caption, heads, ...bodies) {
  const head = heads.map(([text, kind]) => el("th", { scope: "col", class: kind }, text));
  return el("table", { key: caption },
    el("caption", {}, caption), el("thead", {}, el("tr", {}, head)), bodies);
}

/** A share from 0 to 1, drawn; the number stands beside it. */
export function bar(share) {
  const width = Math.round(Math.min(1, Math.max(0, share)) * 100);
  const level = share >= 0.9 ? "bad" : share >= 0.5 ? "warn" : "calm";
  return svg("svg", { class: `bar ${level}`, viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "track", width: 100, height: 6 }), svg("rect", { class: "part", width, height: 6 }));
}
