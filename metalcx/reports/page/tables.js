// Tables beneath charts: sorted by a click or a key on a column's head.

/**
 * A table in a box that scrolls by itself.
 * columns: [{name, value(row), text(row)?, left?}], value sorts, text is shown.
 * sort: {column, down}, kept by the caller, who draws again on `changed`.
 */
function table(id, caption, columns, rows, { sort = null, most = Infinity, changed = null } = {}) {
  const sorted = sort ? bySort(rows, columns[sort.column], sort.down) : rows;
  const head = columns.map((column, i) => {
    const direction = sort?.column === i ? (sort.down ? "descending" : "ascending") : null;
    const arrow = direction ? (sort.down ? " ▼" : " ▲") : "";
    const inside = changed
      ? el("button", { type: "button", id: `${id}-sort-${i}`, onclick: () => resort(sort, i, changed) }, column.name, el("span", { "aria-hidden": "true" }, arrow))
      : column.name;
    return el("th", { scope: "col", class: column.left ? "left" : null, "aria-sort": direction ?? (changed ? "none" : null) }, inside);
  });
  const body = sorted.slice(0, most).map((row) =>
    el(
      "tr",
      { class: row.class },
      columns.map((column, i) => {
        const text = column.text ? column.text(row) : shown(column.value(row));
        const kind = [column.left && "left", column.run && "name"].filter(Boolean).join(" ");
        return el(column.run ? "th" : "td", { scope: column.run ? "row" : null, class: kind || null, title: column.run ? column.value(row) : null }, text);
      }),
    ),
  );
  const made = el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body));
  return el("div", { class: "scroll", id: `${id}-box`, role: "region", tabindex: "0", "aria-label": caption }, made);
}

function shown(value) {
  return typeof value === "number" || value === null || value === undefined ? num(value) : String(value);
}

function resort(sort, column, changed) {
  sort.down = sort.column === column ? !sort.down : false;
  sort.column = column;
  changed();
}

/** A sorted copy; what is not known comes last, whichever the direction. */
function bySort(rows, column, down) {
  const order = rows.map((row, i) => [column.value(row), i, row]);
  const unknown = (v) => v === null || v === undefined;
  order.sort(([a, i], [b, j]) => {
    if (unknown(a) || unknown(b)) return unknown(a) - unknown(b) || i - j;
    const way = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
    return (down ? -way : way) || i - j;
  });
  return order.map(([, , row]) => row);
}

/** A button that shows more, and one that shows all; nothing where all is shown. */
function more(id, shownNow, all, step, change) {
  if (shownNow >= all) return null;
  return el(
    "p",
    { class: "more" },
    `${shownNow} of ${all} are shown. `,
    el("button", { type: "button", id: `${id}-more`, onclick: () => change(shownNow + step) }, `Show ${Math.min(step, all - shownNow)} more`),
    " ",
    el("button", { type: "button", id: `${id}-all`, onclick: () => change(all) }, "Show all"),
  );
}

const RANKING = [
  { name: "rank", value: (r) => r.rank },
  { name: "run", value: (r) => r.run, text: (r) => short(r.run, 40), left: true, run: true },
  { name: "status", value: (r) => r.status, left: true },
  { name: "seen until", value: (r) => r.t },
  { name: "last value", value: (r) => r.y },
  { name: "forecast", value: (r) => r.mean },
  { name: "5 %", value: (r) => r.low },
  { name: "95 %", value: (r) => r.high },
  { name: "P(best of all)", value: (r) => r.best, text: (r) => percent(r.best) },
  { name: "P(beats the best finished)", value: (r) => r.beats, text: (r) => percent(r.beats) },
  { name: "expected improvement", value: (r) => r.gain },
];

const DECISIONS = [
  { name: "run", value: (r) => r.run, text: (r) => short(r.run, 40), left: true, run: true },
  { name: "at", value: (r) => r.t },
  { name: "advice", value: (r) => (r.stop ? "stop" : "go on"), left: true },
  { name: "P(beats the best finished)", value: (r) => r.p, text: (r) => percent(r.p) },
  { name: "reason", value: (r) => r.why ?? "", left: true },
];
