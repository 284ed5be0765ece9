// The live page: asks for the state every second and shows what has changed.
"use strict";
(() => {
  const get = (id) => document.getElementById(id);
  const shapes = ["circle", "square", "triangle", "diamond"];
  let last = "", failures = 0;

  function element(name, text, attributes) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const key in attributes || {}) made.setAttribute(key, attributes[key]);
    return made;
  }

  function stages(state) {
    get("stages").replaceChildren(...state.stages.map((stage) => {
      const word = { done: "done", begun: "under way", waiting: "waits" }[stage.state];
      const item = element("li", "", { class: stage.state });
      item.append(element("b", stage.title), ` ${word}`);
      return item;
    }));
  }

  function trunks(state) {
    const rows = (found) => found.map((trunk) => {
      const share = trunk.total_tokens ? trunk.tokens / trunk.total_tokens : 0;
      const row = element("div", "", { class: "trunk" });
      row.append(element("span", whole(trunk.label)), element("progress", "", {
        max: "1", value: String(share), "aria-label": trunk.label }),
      element("span", `${Math.round(100 * share)} %` +
        (trunk.loss === null ? "" : `, loss ${trunk.loss.toFixed(3)}`), { class: "soft" }));
      return row;
    });
    const done = (trunk) => trunk.tokens >= trunk.total_tokens;
    const finished = state.trunks.filter(done).sort((a, b) => a.label.localeCompare(b.label));
    get("trunks").replaceChildren(...rows(state.trunks.filter((trunk) => !done(trunk))));
    const folded = get("finished");
    folded.hidden = !finished.length;
    folded.querySelector("summary").textContent = `Series that are done: ${finished.length}`;
    folded.querySelector("div").replaceChildren(...rows(finished));
  }

  const whole = (text) => text.replace(/ %/g, "\u00a0%");
  const said = (state, name) => whole(state.words[name] || name);

  const colourOf = (state, names) => (name) => (name in state.colours ? state.colours[name]
    : [0, 6, 3, 7][names.indexOf(name) % 4]);

  function results(state, names, colour) {
    const done = state.runs.filter((run) => run.result !== null && run.flops);
    get("results").hidden = !done.length;
    if (!done.length) return;
    const series = names.map((name, position) => {
      const own = done.filter((run) => run.mixture === name);
      return { kind: "dots", name: said(state, name), color: colour(name),
        shape: shapes[position % 4], x: own.map((run) => run.flops), y: own.map((run) => run.result),
        text: own.map((run) => `${Chart.si(run.params)} parameters, ${Chart.si(run.tokens)} tokens: ` +
          run.result.toFixed(4)) };
    }).filter((each) => each.x.length);
    Chart.show(get("results"), { title: "Results so far", height: 340, series,
      alt: `Result of ${done.length} finished runs against training compute`,
      x: { title: "training compute (FLOPs)", log: true, format: "power" },
      y: { title: `${state.unit}, lower is better` } });
  }

  function narrowing(state, names, colour) {
    const told = state.history.filter((each) => each.intervals);
    get("narrowing").hidden = !told.length;
    const newest = state.history[state.history.length - 1];
    get("why").textContent = newest && newest.why ? newest.why : told.length || state.plan ? ""
      : state.forecasting ? "Too few runs are finished for a forecast."
        : "This board was started with --no-forecast.";
    const late = (newest && newest.left_out) || [];
    if (late.length) get("why").textContent = "Too few runs are finished to say anything of " +
      `${late.map((name) => said(state, name)).join("; ")}.`;
    if (!told.length) return;
    const counts = told.map((each) => each.runs);
    const span = Math.max(...counts) - Math.min(...counts) + 2;
    const series = [];
    names.forEach((name, position) => {
      // Side by side, or the intervals of one moment would hide each other.
      const aside = 0.012 * span * (position - (names.length - 1) / 2);
      const own = told.map((each) => ({ runs: each.runs,
        ...each.intervals.find((one) => one.mixture === name) })).filter((each) => each.median);
      if (!own.length) return;
      const points = { x: own.map((o) => o.runs + aside), lo: own.map((o) => o.low), hi: own.map((o) => o.high) };
      series.push({ kind: "dots", name: said(state, name), color: colour(name), shape: shapes[position % 4], ...points,
        y: own.map((o) => o.median), text: own.map((o) => `${o.runs} runs: ${o.median.toFixed(3)}, ` +
          `80 % ${o.low.toFixed(3)} to ${o.high.toFixed(3)}`) });
    });
    Chart.show(get("narrowing"), { title: "The forecast as runs finish", height: 300, series,
      alt: "Forecast for the planned compute with its 80 % interval, against finished small runs",
      x: { title: "small runs finished", whole: true,
        range: [Math.min(...counts) - 1, Math.max(...counts) + 1] },
      y: { title: `${state.unit}, lower is better` } });
  }

  // The best so far, in a sentence; nothing before the first forecast.
  function ahead(state) {
    const told = state.history.filter((each) => each.intervals).pop();
    if (!told) return "";
    const best = told.intervals.reduce((a, b) => (b.median < a.median ? b : a));
    return `Ahead so far: ${said(state, best.mixture)}, with a forecast of ${best.median.toFixed(3)} ` +
      `${state.unit} (four chances in five between ${best.low.toFixed(3)} and ${best.high.toFixed(3)}).`;
  }

  function show(state) {
    stages(state);
    trunks(state);
    const small = state.runs.filter((run) => ["proxy", "setting"].includes(run.role));
    const failed = small.filter((run) => run.status !== "finished").length;
    const busy = state.trunks.filter((t) => t.tokens < t.total_tokens).length;
    get("count").textContent = `${small.length - failed} finished` +
      (failed ? `, ${failed} failed` : "") + (busy ? `, ${busy} under way` : "");
    const names = [...new Set(state.runs.map((run) => run.mixture).filter(Boolean))].sort();
    const colour = colourOf(state, names);
    results(state, names, colour);
    narrowing(state, names, colour);
    const plan = state.plan;
    get("head").textContent = plan ? plan.head : "A plan is being made";
    get("now").textContent = plan ? `It should give ${plan.median.toFixed(3)} ${state.unit}, with four ` +
      `chances in five between ${plan.low.toFixed(3)} and ${plan.high.toFixed(3)}.`
      : `${busy ? `${busy} small runs are under way. ` : ""}${ahead(state)}`;
  }

  async function ask() {
    try {
      const answer = await fetch("state.json", { cache: "no-store" });
      const text = await answer.text();
      failures = 0;
      if (text !== last) { last = text; show(JSON.parse(text)); }
    } catch {
      failures += 1;
      if (failures > 2) get("now").textContent = "The board has ended; this is the last it showed.";
    }
    setTimeout(ask, 1000);
  }
  ask();
})();
