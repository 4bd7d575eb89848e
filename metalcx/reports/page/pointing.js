// What a chart says to whoever points at it.

/**
 * Tell of the point nearest to the pointer; arrow keys go through `order`. Gives the chart with a sheet over it, on
 * which what is pointed at is drawn again: a thousand curves beneath stay as they are painted.
 */
function pointing(root, points, nodes, order, told) {
  let hot = null;
  const sheet = svg("g");
  const over = svg("svg", { class: "sheet", viewBox: root.getAttribute("viewBox"), "aria-hidden": "true" }, sheet);
  const choose = (run, x, y) => {
    if (run !== hot) {
      const copy = run && nodes.get(run)?.cloneNode(true);
      copy?.classList.add("hot");
      const clip = root.querySelector("[clip-path]");
      if (clip) sheet.setAttribute("clip-path", clip.getAttribute("clip-path"));
      sheet.replaceChildren(...(copy ? [copy] : []));
    }
    if (!run) tip.hide();
    else if (run !== hot) tip.show(x, y, told(run));
    else tip.move(x, y);
    hot = run;
  };
  root.addEventListener("pointermove", (event) => {
    const box = root.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let [best, near] = [900, null];
    for (const [u, v, run] of points) {
      const distance = (u - x) ** 2 + (v - y) ** 2;
      if (distance < best) [best, near] = [distance, run];
    }
    choose(near, event.clientX, event.clientY);
  });
  root.addEventListener("pointerleave", () => choose(null));
  root.addEventListener("blur", () => choose(null));
  root.setAttribute("tabindex", "0");
  root.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") choose(null);
    if (!step || !order.length) return;
    event.preventDefault();
    const box = root.getBoundingClientRect();
    const next = hot ? order.indexOf(hot) + step : step > 0 ? 0 : order.length - 1;
    choose(order[(next + order.length) % order.length], box.left + 60, box.top + 10);
  });
  return el("div", { class: "layers" }, root, over);
}
