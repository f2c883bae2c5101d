// What a test asks of the status page from within.

/** The least contrast of any text that is shown (WCAG 2.2, 1.4.3), and whose it is. */
function leastContrast() {
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => [0.2126 * linear(r / 255), 0.7152 * linear(g / 255), 0.0722 * linear(b / 255)].reduce((sum, it) => sum + it);
  const colour = (text) => text.match(/[\d.]+/g).map(Number);
  const behind = (node) => {
    for (let it = node; it; it = it.parentElement) {
      const [r, g, b, alpha = 1] = colour(getComputedStyle(it).backgroundColor);
      if (alpha === 1) return [r, g, b];
      if (alpha !== 0) throw new Error("a background that lets another through is not judged");
    }
    throw new Error("nothing is behind the text");
  };
  let least = { ratio: 21, text: "", judged: 0 };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let { judged } = least;
  while (texts.nextNode()) {
    const parent = texts.currentNode.parentElement;
    const text = texts.currentNode.data.trim();
    if (text === "" || !parent.checkVisibility({ visibilityProperty: true })) continue;
    judged += 1;
    const [a, b] = [luminance(colour(getComputedStyle(parent).color)), luminance(behind(parent))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least.ratio) least = { ratio, text };
  }
  return { ...least, judged };
}

/** All that a keyboard must reach, in the order of the document. */
function controls() {
  return [...document.querySelectorAll("a[href], button, summary")].filter((it) => it.checkVisibility());
}

/** Which of them has the focus, and whether that is to be seen. */
function focused() {
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  return { at: controls().indexOf(document.activeElement), isSeen: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
}

/** What a reader of the page by ear would miss. */
function unnamed() {
  const faults = [];
  for (const table of document.querySelectorAll("table")) {
    if (!table.caption?.textContent) faults.push("a table without a caption");
    for (const head of table.querySelectorAll("th")) if (!head.scope) faults.push(`a head without a scope: ${head.textContent}`);
  }
  for (const section of document.querySelectorAll("section, nav")) {
    const by = section.getAttribute("aria-labelledby");
    if (!section.getAttribute("aria-label") && !document.getElementById(by)?.textContent) faults.push("a section without a name");
  }
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((it) => Number(it.nodeName[1]));
  levels.forEach((level, at) => { if (level > (levels[at - 1] ?? 0) + 1) faults.push(`a heading of level ${level} after ${levels[at - 1]}`); });
  return faults;
}
