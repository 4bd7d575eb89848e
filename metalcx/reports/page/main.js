// State, controls and start: a report holds its facts, the live page asks for them.

const view = {
  facts: null,
  head: null,
  runs: [],
  log: [],
  filter: "",
  status: "all",
  order: "rank",
  logY: false,
  logT: false,
  whole: true,
  fans: 12,
  ranks: 20,
  rows: 20,
  sort: { ranking: { column: 0, down: false }, decisions: { column: 3, down: true }, log: { column: 1, down: false } },
  set(change) {
    Object.assign(this, change);
    draw();
  },
  matches(name) {
    return name.toLowerCase().includes(this.filter.toLowerCase());
  },
  chosen() {
    const fits = { all: () => true, running: (r) => r.status === "running", finished: (r) => r.status !== "running", stop: (r) => r.stop }[this.status];
    return this.runs.filter((r) => fits(r) && this.matches(r.run));
  },
};

/** Join what is known of each run with its curve. */
function joined(rows, curves) {
  return rows.map((row) => {
    const curve = curves.get(row.run) ?? { t: [], y: [] };
    return { ...row, t_: curve.t, y_: curve.y, fan: curve.fan, past: curve.past };
  });
}

function take(facts, curves) {
  view.facts = facts;
  view.head = facts.head;
  view.log = facts.log ?? [];
  view.runs = joined(facts.runs, curves);
  // Epochs and steps: no tick lies between them.
  view.whole = view.runs.every((r) => r.t_.every(Number.isInteger));
}

const STATUSES = { all: "all runs", running: "running", finished: "finished", stop: "advised to stop" };

function controls() {
  const select = (id, label, options, change) =>
    el("label", { for: id }, label, el("select", { id, onchange: (e) => change(e.target.value) }, Object.entries(options).map(([value, text]) => el("option", { value }, text))));
  const check = (id, label, change) => el("label", { class: "check", for: id }, el("input", { type: "checkbox", id, onchange: (e) => change(e.target.checked) }), label);
  let wait = 0;
  const search = (event) => {
    clearTimeout(wait);
    wait = setTimeout(() => view.set({ filter: event.target.value.trim() }), 120);
  };
  return el(
    "form",
    { class: "controls", role: "search", "aria-label": "Which runs are shown, and how", onsubmit: (e) => e.preventDefault() },
    el("label", { for: "filter" }, "Name ", el("input", { type: "search", id: "filter", placeholder: "part of a run's name", autocomplete: "off", oninput: search })),
    select("status", "Show ", STATUSES, (status) => view.set({ status })),
    select("order", "Forecasts by ", Object.fromEntries(Object.entries(ORDERS).map(([k, [text]]) => [k, text])), (order) => view.set({ order })),
    check("log-y", "log values", (logY) => view.set({ logY })),
    check("log-t", "log time", (logT) => view.set({ logT })),
    el("output", { id: "count", for: "filter status" }),
  );
}

const THEMES = { auto: "as the system", light: "light", dark: "dark" };

function themeSwitch() {
  const choose = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };
  return el("label", { class: "theme", for: "theme" }, "Colours ", el("select", { id: "theme", onchange: (e) => choose(e.target.value) }, Object.entries(THEMES).map(([value, text]) => el("option", { value }, text))));
}

function subtitle() {
  const { head, facts } = view;
  const origin = facts.origin;
  const n = Object.values(origin.support).reduce((a, b) => a + b, 0);
  return `${head.metric.name} (${head.metric.goal === "max" ? "higher" : "lower"} is better), compared at ${num(head.at)}${head.unit ? ` (${head.unit})` : ""}. Forecast by ${origin.name}, adapted to ${many(n, "run")} of this task.`;
}

function build(live) {
  const page = document.getElementById("page");
  const sections = [...runSections(live), ...(live ? [section("origin", "Where the forecasts come from", null, box("origin-list"))] : evidenceSections(view.facts))];
  const links = sections.map((s) => el("a", { href: `#${s.id}` }, s.querySelector("h2").textContent));
  page.replaceChildren(
    el("a", { class: "skip", href: "#short" }, "Skip to the content"),
    el("header", {}, el("div", { class: "top" }, el("h1", {}, view.facts.title), themeSwitch()), el("p", { id: "subtitle" }), live ? el("p", { id: "state", role: "status" }) : null, el("nav", { "aria-label": "Sections" }, links)),
    controls(),
    el("main", {}, sections),
    tip.make(),
  );
  addEventListener("keydown", (event) => event.key === "Escape" && tip.hide());
}

function draw() {
  document.getElementById("subtitle").textContent = subtitle();
  const positive = view.runs.every((r) => r.y_.every((y) => y === null || y > 0));
  const log = document.getElementById("log-y");
  log.disabled = !positive;
  log.parentNode.title = positive ? "" : "some values are not above 0";
  if (!positive) view.logY = log.checked = false;
  document.getElementById("count").textContent = `${view.chosen().length} of ${many(view.runs.length, "run")}`;
  tip.hide();
  drawRuns(view);
  if (view.facts.live) refill(boxes["origin-list"], originList(view.facts));
  else drawEvidence(view.facts, boxes.tiles.clientWidth);
}

function start(live) {
  build(live);
  draw();
  let width = innerWidth;
  let wait = 0;
  addEventListener("resize", () => {
    clearTimeout(wait);
    wait = setTimeout(() => {
      if (innerWidth !== width) draw();
      width = innerWidth;
    }, 100);
  });
}

const held = document.getElementById("facts");
if (held) {
  const facts = JSON.parse(held.textContent);
  take(facts, new Map(Object.entries(facts.curves)));
  start(false);
} else {
  follow();
}
