// The live page: what changed is asked for again and again, and laid over what is known.

const known = { epoch: null, version: 0, curves: new Map() };

async function follow() {
  let started = false;
  for (;;) {
    let wait = 3000;
    try {
      const answer = await fetch(`/state?epoch=${known.epoch ?? ""}&since=${known.version}`, { cache: "no-store" });
      if (!answer.ok) throw new Error(`it answered ${answer.status}`);
      const news = await answer.json();
      wait = 1000 * news.every;
      if (!news.same && news.head) {
        absorb(news);
        if (started) draw();
        else start(true);
        started = true;
      }
      tellState(started, news, null);
    } catch (error) {
      tellState(started, null, error);
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

/** Say how fresh the page is; before there is anything to show, what it waits for. */
function tellState(started, news, error) {
  if (!started) return waiting(news, error);
  const node = document.getElementById("state");
  node.className = error ? "lost" : "";
  node.textContent = error ? `No answer from metalcx watch (${error.message}); what is shown is the last that was known.` : `Live: ${news.source}, last change at ${news.made}.`;
  if (news) refill(boxes.notes, notesList(news));
}

function waiting(news, error) {
  const text = error ? `No answer from metalcx watch (${error.message}).` : `Waiting for the first points of ${news.source}.`;
  document.getElementById("page").replaceChildren(el("h1", {}, document.title), el("p", { id: "state", role: "status", class: error ? "lost" : null }, text), news?.notes?.length ? notesList(news) : "");
}

function notesList(news) {
  return news.notes.length ? el("ul", { class: "notes" }, news.notes.map((note) => el("li", {}, note))) : null;
}
