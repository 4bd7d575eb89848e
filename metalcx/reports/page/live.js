// The live page: what changed is asked for again and again, and laid over what is known.

const known = { epoch: null, version: 0, curves: new Map() };

async function follow() {
  let started = false;
  for (;;) {
    let wait = 1000;
    try {
      const answer = await fetch(`/state?epoch=${known.epoch ?? ""}&since=${known.version}`, { cache: "no-store" });
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      const news = await answer.json();
      wait = 1000 * (news.every ?? 1);
      if (news.version !== known.version || news.epoch !== known.epoch) {
        absorb(news);
        if (started) draw();
        else start(true);
        started = true;
      }
      tellState(news, null);
    } catch (error) {
      tellState(null, error);
      wait = 3000;
    }
    // Where nobody looks, nothing is asked for.
    if (document.hidden) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
    await new Promise((done) => setTimeout(done, wait));
  }
}

function absorb(news) {
  if (news.epoch !== known.epoch) known.curves.clear();
  Object.assign(known, { epoch: news.epoch, version: news.version });
  for (const [run, curve] of Object.entries(news.curves)) known.curves.set(run, curve);
  const there = new Set(news.runs.map((r) => r.run));
  for (const run of [...known.curves.keys()]) if (!there.has(run)) known.curves.delete(run);
  take({ ...news, live: true }, known.curves);
}

function tellState(news, error) {
  const node = document.getElementById("state");
  if (!node) {
    document.getElementById("page").textContent = error ? `No answer: ${error.message}` : "";
    return;
  }
  node.className = error ? "lost" : "";
  node.textContent = error ? `No answer from metalcx watch (${error.message}); what is shown is the last that was known.` : `Live: ${news.source}, last change ${news.made || "not yet"}.`;
  if (news) refill(boxes.notes, news.notes.length ? el("ul", { class: "notes" }, news.notes.map((note) => el("li", {}, note))) : null);
}
