// Elements, words and numbers. Text from data only ever becomes text nodes and attribute values, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element; attributes whose name begins with "on" are listeners, null and false ones are left out. */
function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

/** Four significant digits, without an exponent where there is no need of one. */
function num(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size && (size < 1e-3 || size >= 1e5)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

/** A probability in per cent. */
function percent(value) {
  if (value === null || value === undefined) return "–";
  if (value > 0 && value < 0.001) return "< 0.1 %";
  if (value < 1 && value > 0.999) return "> 99.9 %";
  return `${Number((100 * value).toPrecision(value < 0.1 ? 2 : 3))} %`;
}

/** "1 run", "2 runs". */
function many(count, what) {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

/** A text cut in its middle, where names of runs differ least. */
function short(text, most) {
  if (text.length <= most) return text;
  const half = Math.max(1, Math.floor((most - 1) / 2));
  return `${text.slice(0, half)}…${text.slice(text.length - (most - 1 - half))}`;
}

/** Replace what is inside a node, with the focus kept on the element of the same id. */
function refill(node, ...children) {
  const focused = node.contains(document.activeElement) ? document.activeElement.id : "";
  const opened = new Set([...node.querySelectorAll("details[open]")].map((d) => d.id));
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  for (const d of node.querySelectorAll("details")) if (opened.has(d.id)) d.open = true;
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

/** The box beside the pointer, which also tells screen readers what is pointed at. */
const tip = {
  node: null,
  make() {
    this.node = el("div", { id: "tip", role: "status", "aria-live": "polite", hidden: true });
    return this.node;
  },
  show(x, y, lines) {
    this.node.replaceChildren(...lines.map((line, i) => el(i ? "div" : "strong", {}, line)));
    this.node.hidden = false;
    this.move(x, y);
  },
  move(x, y) {
    const box = this.node.getBoundingClientRect();
    const left = x + 14 + box.width > innerWidth ? x - box.width - 14 : x + 14;
    this.node.style.left = `${Math.max(4, left) + scrollX}px`;
    this.node.style.top = `${Math.max(4, Math.min(y + 14, innerHeight - box.height - 4)) + scrollY}px`;
  },
  hide() {
    this.node.hidden = true;
  },
};
