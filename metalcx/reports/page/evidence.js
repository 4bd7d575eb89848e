// How far the forecasts can be trusted, what stopping would have saved, and where the model comes from.

function evidenceSections(facts) {
  const cuts = facts.calibration?.cuts.map((c) => percent(c)) ?? [];
  const seen = `${cuts.slice(0, -1).join(", ")} and ${cuts.at(-1)}`;
  const few = "Too few runs are complete to leave some out and say how good forecasts are here.";
  return [
    section("trust", "How far to trust this", facts.calibration
      ? `Measured on this task: ${many(facts.calibration.runs, "complete run")} in five parts, the runs of each forecast from their first ${seen} by the base adapted to runs of the other parts (${facts.calibration.support} at most). No run is judged by a model that was adapted to it.`
      : few, facts.calibration ? [box("calibration"), box("baselines")] : []),
    section("saved", "What stopping would have saved", facts.saved
      ? `The ${many(facts.saved.runs, "finished run")}${facts.saved.runs < facts.saved.finished ? ` (drawn from ${facts.saved.finished})` : ""} started in ${many(facts.saved.orders, "random order")}, and stopped below a probability of beating the best so far. The base is adapted anew to the runs that finish first; figures are medians over orders with the central 95 %.`
      : "Too few runs are finished to replay them.", facts.saved ? [box("saved-table"), box("saved-chart"), legend(["trained", "trained"], ["spared", "saved by stopping"], ["cross", "one of the true best five, stopped: wrong"])] : []),
    section("origin", "Where the forecasts come from", null, originList(facts)),
  ];
}

function drawEvidence(facts, width) {
  if (facts.calibration) {
    const side = Math.min(360, width);
    refill(boxes.calibration, el("div", { class: "pair" }, el("div", {}, calibrationChart(facts.calibration, side)), el("div", {}, coverageTable(facts.calibration))));
    refill(boxes.baselines, baselineTable(facts));
  }
  if (facts.saved) {
    refill(boxes["saved-table"], savedTable(facts.saved));
    refill(boxes["saved-chart"], savedChart(facts.saved, width, facts.head));
  }
}

function calibrationChart(found, side) {
  const { root, inside, sx, sy } = frame({
    width: side, height: side, x: [0, 1], y: [0, 1],
    xLabel: "level of the quantile", yLabel: "share of ends at or below it",
    label: `Reliability: ${Object.entries(found.coverage).map(([name, c]) => `the 80 % interval of ${name} holds ${percent(c[1])} of the ends`).join("; ")}`,
  });
  // Where a calibrated forecast lies in 95 of 100 cases, runs taken as independent.
  const grid = Array.from({ length: 41 }, (_, i) => i / 40);
  const noise = grid.map((p) => 1.96 * Math.sqrt((p * (1 - p)) / found.runs));
  inside.append(
    svg("path", { class: "noise", d: band(grid, grid.map((p, i) => Math.max(0, p - noise[i])), grid.map((p, i) => Math.min(1, p + noise[i])), sx, sy) }),
    svg("path", { class: "diagonal", d: line([0, 1], [0, 1], sx, sy) }),
  );
  Object.entries(found.shares).forEach(([name, shares], i) => {
    inside.append(svg("path", { class: `series${i}`, d: line(found.levels, shares, sx, sy) }));
    found.levels.forEach((level, j) => inside.append(mark(i ? "square" : "dot", sx.at(level), sy.at(shares[j]), { class: `mark series${i}`, ...(i ? {} : { r: 3 }) })));
    inside.append(svg("text", { class: `key series${i}`, x: sx.at(0.04), y: sy.at(0.93 - 0.07 * i) }, `${i ? "■" : "●"} ${short(name, 28)}`));
  });
  return root;
}

function coverageTable(found) {
  const rows = Object.entries(found.coverage).map(([name, shares]) => ({ name, shares }));
  const columns = [{ name: "method", value: (r) => r.name, left: true, run: true }, ...found.widths.map((w, i) => ({ name: `inside ${percent(w)}`, value: (r) => r.shares[i], text: (r) => percent(r.shares[i]) }))];
  return [
    table("coverage", "Ends inside the central intervals", columns, rows),
    el("p", { class: "note" }, `On the diagonal a forecast is calibrated; the grey band holds what ${many(found.runs, "independent run")} let vary by chance. Flatter than the diagonal is too sure, steeper too unsure.`),
  ];
}

function baselineTable(facts) {
  const { cuts } = facts.calibration;
  const gain = (r) => (r.gain && r.gain[0] !== null ? `${signed(r.gain[0])} (${signed(r.gain[1])} to ${signed(r.gain[2])})` : "–");
  const columns = [
    { name: "method", value: (r) => r.method, left: true, run: true },
    ...cuts.map((c, i) => ({ name: `mean error from the first ${percent(c)}`, value: (r) => r.error[i] })),
    { name: `agreement of order (Kendall's tau), from ${percent(cuts[1])}`, value: (r) => r.tau[1] },
    { name: `80 % interval holds, from ${percent(cuts[1])}`, value: (r) => r.inside[1], text: (r) => percent(r.inside[1]) },
    { name: "error that the model saves", value: (r) => r.gain?.[0] ?? null, text: gain },
  ];
  const rows = facts.baselines.map((r, i) => ({ ...r, class: i ? null : "own" }));
  return [
    table("baselines", "The model beside simple methods, on the same runs", columns, rows),
    el("p", { class: "note" }, "In brackets: the 95 % interval over runs. Where it holds 0 %, the runs here do not tell the two apart."),
  ];
}

function signed(share) {
  return `${share > 0 ? "+" : ""}${Math.round(100 * share)} %`;
}

function savedTable(saved) {
  const range = (r, name, text) => `${text(r[name])} (${text(r[`${name}_low`])} to ${text(r[`${name}_high`])})`;
  const columns = [
    { name: "threshold", value: (r) => r.threshold, text: (r) => percent(r.threshold) },
    { name: "speed-up", value: (r) => r.speed_up, text: (r) => `× ${range(r, "speed_up", (v) => v.toFixed(1))}` },
    { name: "points spent, mean", value: (r) => r.spent, text: (r) => `${Math.round(r.spent).toLocaleString("en")} of ${saved.points.toLocaleString("en")}` },
    { name: "regret", value: (r) => r.regret, text: (r) => range(r, "regret", percent) },
    { name: "orders that keep the best run", value: (r) => r.keeps_best, text: (r) => percent(r.keeps_best) },
    { name: "of the true best five, stopped (mean)", value: (r) => r.wrong_stops },
  ];
  const rows = saved.rows.map((r) => ({ ...r, class: r.threshold === saved.threshold ? "own" : null }));
  return [table("saved", "What each threshold saves, and what it costs", columns, rows), el("p", { class: "note" }, "Regret is what the best kept run lacks to the best of all, as a share of the spread of ends (from the 5 to the 95 % quantile).")];
}

/** Runs of one order, the truly best at the top: how much of each was trained. */
function savedChart(saved, width, head) {
  const row = saved.bars.length > 60 ? 5 : saved.bars.length > 25 ? 9 : 16;
  const height = saved.bars.length * row + 44;
  const longest = Math.max(...saved.bars.map((b) => b.of));
  const { root, inside, sx } = frame({
    width, height, left: 14, x: [0, longest], y: [0, 1], yTicks: [], wholeX: true, xLabel: "points of a run",
    label: `One order at the threshold ${percent(saved.threshold)}: ${saved.bars.filter((b) => b.stopped).length} of ${saved.bars.length} runs stopped, ${saved.spent} of ${saved.points} points spent`,
  });
  const nodes = new Map();
  const points = [];
  saved.bars.forEach((bar, i) => {
    const y = 8 + i * row;
    const size = { y: y + 0.5, height: row - 1 };
    const group = svg("g", { class: "bar" },
      svg("rect", { class: "trained", x: sx.at(0), width: sx.at(bar.spent) - sx.at(0), ...size }),
      svg("rect", { class: "spared", x: sx.at(bar.spent), width: sx.at(bar.of) - sx.at(bar.spent), ...size }));
    if (bar.wrong) group.append(mark("cross", sx.at(bar.spent), y + row / 2));
    inside.append(group);
    nodes.set(bar, group);
    for (let x = 0; x < width; x += 20) points.push([x, y + row / 2, bar]);
  });
  const chart = pointing(root, points, nodes, saved.bars, (bar) => [bar.run, `ended at ${num(bar.final)} (${head.metric.name})`,
    bar.stopped ? `stopped after ${bar.spent} of ${bar.of} points, P(beats the best so far) ${percent(bar.p)}` : `trained to its end, ${many(bar.of, "point")}`,
    ...(bar.wrong ? ["wrong: it is one of the true best five"] : [])]);
  return [el("h3", {}, `One order at the threshold ${percent(saved.threshold)}, the truly best run at the top`), chart];
}

function originList(facts) {
  const { origin, head, metalcx, made } = facts;
  const bounds = [head.metric.lower, head.metric.upper].map((b) => (b === null ? "none" : num(b)));
  const entry = (name, ...value) => [el("dt", {}, name), el("dd", {}, value)];
  const support = Object.entries(origin.support).map(([status, n]) => `${n} ${status}`).join(", ");
  return el("dl", { class: "origin" },
    entry("Model", `${origin.name} (${origin.kind})`),
    entry("Adapted from", origin.base ?? origin.name, origin.sha256 ? el("code", {}, ` sha256 ${origin.sha256.slice(0, 16)}…`) : ""),
    entry("Adapted to", support ? `${support} runs of this task` : "no run: none is finished",
      origin.runs.length ? el("details", { id: "support" }, el("summary", {}, "which"), el("p", { class: "names" }, origin.runs.join(", "))) : ""),
    origin.families.length ? entry("Base trained on", `${many(origin.families.length, "family")}`.replace("familys", "families"), " of datasets",
      el("details", { id: "families" }, el("summary", {}, "which"), el("p", { class: "names" }, origin.families.join(", ")))) : [],
    entry("Metric", `${head.metric.name}, ${head.metric.goal === "max" ? "higher" : "lower"} is better, bounds ${bounds.join(" to ")}${head.metric.unit ? `, in ${head.metric.unit}` : ""}`),
    entry("Compared at", `${num(head.at)}${head.unit ? ` (${head.unit})` : ""}`),
    entry("Made", `by metalcx ${metalcx}${made ? `, ${made}` : ""}`));
}
