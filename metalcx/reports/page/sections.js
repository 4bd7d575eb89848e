// What is on the page, and the part of it that is about runs.

/** A section with its heading; `parts` are boxes that are filled again whenever something changes. */
function section(id, heading, note, ...parts) {
  return el("section", { id, "aria-labelledby": `${id}-heading` }, el("h2", { id: `${id}-heading` }, heading), note && el("p", { class: "note" }, note), parts);
}

const boxes = {};

function box(id) {
  boxes[id] = el("div", { id });
  return boxes[id];
}

/** Colours and shapes, in words. */
function legend(...pairs) {
  return el("ul", { class: "legend" }, pairs.map(([kind, text]) => el("li", {}, swatch(kind), text)));
}

function swatch(kind) {
  const root = svg("svg", { width: 26, height: 14, "aria-hidden": "true" });
  const shapes = {
    observed: () => svg("path", { class: "observed", d: "M2 7H24" }),
    median: () => svg("path", { class: "median", d: "M2 7H24" }),
    incumbent: () => svg("line", { class: "incumbent", x1: 2, x2: 24, y1: 7, y2: 7 }),
    threshold: () => svg("line", { class: "threshold", x1: 2, x2: 24, y1: 7, y2: 7 }),
    finished: () => svg("g", { class: "run completed" }, svg("path", { d: "M2 7H24" })),
    running: () => svg("g", { class: "run running" }, svg("path", { d: "M2 7H24" })),
    advised: () => svg("g", { class: "run running stop" }, svg("path", { d: "M2 7H24" })),
    dot: () => mark("dot", 13, 7),
    square: () => mark("square", 13, 7),
    cross: () => mark("cross", 13, 7),
    trained: () => svg("rect", { class: "trained", x: 2, y: 2, width: 22, height: 10 }),
    spared: () => svg("rect", { class: "spared", x: 2, y: 2, width: 22, height: 10 }),
  };
  const fallback = () => svg("rect", { class: kind, x: 2, y: 1, width: 22, height: 12 });
  root.append((shapes[kind] ?? fallback)());
  return root;
}

/** The sections about runs, in their order. */
function runSections(live) {
  return [
    section("short", "In short", null, box("tiles"), live ? box("notes") : null),
    section("overview", "All runs", "Point at a curve, or choose the chart and press the arrow keys, to see which run it is.", box("overview-chart"),
      legend(["finished", "finished"], ["running", "running, with its median forecast"], ["advised", "running, advised to stop"], ["incumbent", "best finished run"])),
    section("fans", "Forecasts of running runs", null,
      legend(["observed", "seen"], ["median", "median forecast"], ["band50", "50 %"], ["band80", "80 %"], ["band95", "95 % interval"], ["incumbent", "best finished run"]),
      box("fan-charts")),
    section("ranking", "Ranking", "Runs by what they are forecast to end at; a finished run is known. The bars say how likely each is the best of all.", box("ranking-chart"),
      legend(["dot", "running"], ["square", "finished"], ["incumbent", "best finished run"]), box("ranking-table")),
    section("decisions", "Decisions", null, box("decisions-chart"),
      legend(["dot", "goes on"], ["cross", "stop"], ["threshold", "threshold"]), box("decisions-table"), box("decisions-log")),
  ];
}

function tiles(view) {
  const { head, runs } = view;
  const open = runs.filter(isOpen);
  const advised = runs.filter((r) => r.stop);
  const first = runs.find((r) => r.best === Math.max(...runs.map((one) => one.best ?? 0)));
  const counts = Object.entries(head.counts).filter(([, n]) => n).map(([status, n]) => `${n} ${status}`);
  const tile = (name, value, below) => el("div", { class: "tile" }, el("dt", {}, name), el("dd", {}, el("b", { title: value }, value), below && el("span", {}, below)));
  return el(
    "dl",
    { class: "tiles" },
    tile("Runs", String(runs.length), counts.join(", ")),
    tile("Best finished", head.incumbent ? num(head.incumbent.value) : "none yet", head.incumbent?.run),
    first && tile("Likeliest best", short(first.run, 26), `${percent(first.best)}, ${isOpen(first) ? `forecast ${num(first.mean)}` : `ended at ${num(first.mean)}`}`),
    tile("Advised to stop", `${advised.length} of ${open.length}`, `below ${percent(head.threshold)} to beat the best finished`),
    (view.tiles ?? []).map(([name, value, below]) => tile(name, value, below)),
  );
}

/** Sorts fans; the first is the default. */
const ORDERS = {
  rank: ["rank", (a, b) => a.rank - b.rank],
  name: ["name", (a, b) => a.run.localeCompare(b.run, "en", { numeric: true })],
  beats: ["probability of beating the best", (a, b) => (b.beats ?? b.best) - (a.beats ?? a.best)],
  width: ["widest interval", (a, b) => b.high - b.low - (a.high - a.low)],
  seen: ["furthest trained", (a, b) => b.t - a.t],
};

function fanCards(runs, view, width) {
  const open = runs.filter(isOpen).sort(ORDERS[view.order][1]);
  if (!open.length) return [el("p", {}, view.runs.some(isOpen) ? "No running run has that name." : "No run is still going on.")];
  const columns = Math.max(1, Math.floor((width + 14) / (290 + 14)));
  const each = Math.floor((width - 14 * (columns - 1)) / columns);
  const cards = open.slice(0, view.fans).map((run) =>
    el("article", { class: `card${run.stop ? " stop" : ""}`, tabindex: "0", "aria-label": runLines(run).join(", ") },
      el("h3", { title: run.run }, run.run),
      el("p", {}, `rank ${run.rank} · P(best) ${percent(run.best)}`, run.why ? el("span", { class: "advice", title: run.why }, run.stop ? " · stop" : " · go on") : null),
      fanChart(run, view, each - 18)),
  );
  return [el("div", { class: "cards" }, cards), more("fans", cards.length, open.length, 12, (n) => view.set({ fans: n }))];
}

function drawRuns(view) {
  const width = boxes.tiles.clientWidth;
  const runs = view.chosen();
  refill(boxes.tiles, tiles(view));
  refill(boxes["overview-chart"], runs.length ? overviewChart(runs, view, width) : el("p", {}, "No run has that name."));
  refill(boxes["fan-charts"], ...fanCards(runs, view, width));
  const top = runs.slice(0, view.ranks);
  refill(boxes["ranking-chart"], top.length ? rankingChart(top, view, width) : null, more("ranks", top.length, runs.length, 20, (n) => view.set({ ranks: n })));
  refill(boxes["ranking-table"],
    table("ranking", `Ranking of ${many(runs.length, "run")}`, RANKING, runs, { sort: view.sort.ranking, most: view.rows, changed: () => view.set({}) }),
    more("rows", Math.min(view.rows, runs.length), runs.length, 100, (n) => view.set({ rows: n })));
  drawDecisions(view, runs, width);
}

function drawDecisions(view, runs, width) {
  const decided = runs.filter((r) => r.why !== undefined);
  const judged = decided.filter((r) => r.past?.length || (r.p !== null && r.p !== undefined));
  const log = view.log.filter((d) => view.matches(d.run));
  refill(boxes["decisions-chart"], judged.length || log.length ? timelineChart(judged, log, view, width)
    : el("p", {}, decided.length ? "No running run could be judged yet; the reasons are in the table." : "No run is still going on, so there is nothing to decide."));
  refill(boxes["decisions-table"], decided.length
    ? table("decisions", `What is advised about ${many(decided.length, "running run")} now`, DECISIONS, decided, { sort: view.sort.decisions, most: view.rows, changed: () => view.set({}) }) : null);
  refill(boxes["decisions-log"], log.length
    ? el("details", { id: "log" }, el("summary", {}, `Decisions that were taken: ${log.length}`),
      table("log", "Decisions that were taken, oldest first", DECISIONS, log, { sort: view.sort.log, most: 500, changed: () => view.set({}) })) : null);
}
