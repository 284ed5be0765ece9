// The plan again, in the page: which stored candidate is best at another budget, serving volume or
// price. Candidates stand on curves (one mixture and shape each, training FLOPs rising); draws of
// the forecast are joint, so position k is the same world in every row.
//   affordable(curve) = budget - serve_flops_per_token * tokens served - data bought for it
//   candidates        = rows within it, and the curve's end at exactly that compute,
//                       interpolated in log FLOPs
//   decision          = lowest mean (or quantile) over draws
"use strict";
const Explore = (() => {
  function unpack(stored) {
    const bytes = Uint8Array.from(atob(stored.draws), (letter) => letter.charCodeAt(0));
    const all = new Float32Array(bytes.buffer), size = stored.per_row;
    let row = 0;
    const curves = stored.curves.map((curve) => {
      const rows = curve.flops.map(() => all.subarray(row * size, ++row * size));
      return { ...curve, rows };
    });
    return { ...stored, curves };
  }

  function mean(values) {
    let sum = 0;
    for (const value of values) sum += value;
    return sum / values.length;
  }
  function quantiles(values, levels) {
    const sorted = Float64Array.from(values).sort();
    return levels.map((q) => {
      const at = q * (sorted.length - 1), below = Math.floor(at);
      const above = Math.min(below + 1, sorted.length - 1);
      return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    });
  }
  const quantile = (values, q) => quantiles(values, [q])[0];
  // Median and 80 % interval: [low, median, high].
  const spread = (draws) => quantiles(draws, [0.1, 0.5, 0.9]);
  function worth(draws, objective) {
    return objective.kind === "quantile" ? quantile(draws, objective.q) : mean(draws);
  }

  // A curve's best affordable point: {flops, tokens, draws, value}, or null.
  function bestOn(curve, limit, objective) {
    const n = curve.flops.length;
    if (limit < curve.flops[0] * (1 - 1e-9)) return null;
    if (!curve.worths || curve.kind !== objective.kind || curve.q !== objective.q) {
      curve.worths = curve.rows.map((draws) => worth(draws, objective));
      curve.kind = objective.kind;
      curve.q = objective.q;
    }
    let best = null, k = 0;
    for (; k < n && curve.flops[k] <= limit * (1 + 1e-9); k += 1)
      if (!best || curve.worths[k] < best.value)
        best = { flops: curve.flops[k], tokens: curve.tokens[k], draws: curve.rows[k],
          value: curve.worths[k] };
    if (k < n && k > 0 && limit > curve.flops[k - 1] * (1 + 1e-9)) {
      const low = curve.rows[k - 1], high = curve.rows[k];
      const part = Math.log(limit / curve.flops[k - 1]) /
        Math.log(curve.flops[k] / curve.flops[k - 1]);
      const draws = new Float64Array(low.length);
      for (let d = 0; d < low.length; d += 1) draws[d] = low[d] + part * (high[d] - low[d]);
      const value = worth(draws, objective);
      if (value < best.value)
        best = { flops: limit, tokens: (curve.tokens[k - 1] * limit) / curve.flops[k - 1],
          draws, value };
    }
    return best;
  }

  // Every curve's best at a budget (FLOPs), best first.
  function ranked(data, budget, served, objective) {
    const options = [];
    for (const curve of data.curves) {
      const paid = curve.serve_flops_per_token * served + (curve.data_flops || 0);
      const point = bestOn(curve, budget - paid, objective);
      if (point) options.push({ curve, ...point, wins: 0 });
    }
    return options.sort((a, b) => a.value - b.value);
  }

  // The same with the chance that each is the lowest.
  function decide(data, budget, served, objective) {
    const options = ranked(data, budget, served, objective);
    if (!options.length) return [];
    for (let d = 0; d < data.per_row; d += 1) {
      let winner = options[0];
      for (const option of options) if (option.draws[d] < winner.draws[d]) winner = option;
      winner.wins += 1;
    }
    for (const option of options) option.probability_best = option.wins / data.per_row;
    return options;
  }

  // How often an option with the data and settings of the best on average is the lowest.
  function sameLabel(options) {
    const same = options.filter((each) => each.curve.label === options[0].curve.label);
    return same.reduce((sum, each) => sum + each.probability_best, 0);
  }

  const money = (value, currency) =>
    `${value >= 100 ? Math.round(value).toLocaleString("en-US") : Number(value.toPrecision(3))} ${currency}`;

  function start(root) {
    const data = unpack(JSON.parse(root.querySelector("#candidates").textContent));
    const priced = data.price > 0 && data.flops_per_second > 0;
    const get = (id) => root.querySelector("#" + id);
    const inputs = { budget: get("budget"), served: get("served"), price: get("price") };
    const objective = get("objective");
    const colours = {};
    data.curves.forEach((curve) => {
      if (!(curve.mixture in colours)) colours[curve.mixture] = data.colours[curve.mixture];
    });
    const inMoney = (flops, price) => (flops / (3600 * data.flops_per_second)) * price;

    function state() {
      const price = priced ? data.price * 10 ** (inputs.price.value / 100) : 0;
      const factor = 10 ** (inputs.budget.value / 100);
      const least = inputs.served.value === inputs.served.min;
      return {
        price,
        budget: priced ? (data.budget * factor * data.price) / price : data.budget * factor,
        served: least ? 0 : data.served_unit * 10 ** (inputs.served.value / 100),
        objective: objective.value === "mean" ? { kind: "mean" }
          : { kind: "quantile", q: Number(objective.value) },
      };
    }

    function tell(now) {
      const total = priced ? money(inMoney(now.budget, now.price), data.currency)
        : Chart.power(now.budget) + " FLOPs";
      const said = { budget: total, served: Chart.si(now.served) + " tokens" };
      if (priced) said.price = money(now.price, data.currency) + " an hour";
      for (const name in said) {
        get(name + "-said").textContent = said[name];
        inputs[name].setAttribute("aria-valuetext", said[name]);
      }
    }

    function update() {
      const began = performance.now();
      const now = state();
      tell(now);
      const options = decide(data, now.budget, now.served, now.objective);
      const cost = (flops) => (priced ? money(inMoney(flops, now.price), data.currency)
        : Chart.power(flops) + " FLOPs");
      if (!options.length) {
        get("answer").textContent = "Nothing stored is this cheap: no candidate can be trained" +
          (now.served ? " and served" : "") + " within this budget.";
        get("why").textContent = "";
      } else {
        const best = options[0], serve = best.curve.serve_flops_per_token * now.served;
        const data_flops = best.curve.data_flops || 0;
        const size = `${Chart.si(best.curve.params)} parameters`, { way, drawn } = best.curve;
        const verb = way ? `${way[0].toUpperCase()}${way.slice(1)} (${size})` : `Train ${size}`;
        get("answer").textContent = `${verb} on ${Chart.si(best.tokens)} tokens${drawn}`;
        const [low, median, high] = spread(best.draws).map((each) => each.toFixed(3));
        get("why").textContent = `Forecast ${median}, 80 % ${low} to ${high} ` +
          `${data.unit}. These data and settings are best in ` +
          `${Math.round(100 * sameLabel(options))} % of the draws. Training ` +
          `${cost(best.flops)}${serve ? `, serving ${cost(serve)}` : ""}` +
          `${data_flops ? `, data ${cost(data_flops)}` : ""}.`;
      }
      sizes(options);
      frontier(now, options[0], cost);
      root.dataset.milliseconds = (performance.now() - began).toFixed(2);
      const top = options[0];
      root.dataset.decision = top ? JSON.stringify({ label: top.curve.label, width: top.curve.width,
        params: top.curve.params, tokens: top.tokens, flops: top.flops, value: top.value,
        probability_best: top.probability_best, budget: now.budget, served: now.served }) : "";
    }

    function sizes(options) {
      const series = [], shapes = ["circle", "square", "triangle", "diamond"];
      Object.keys(colours).forEach((mixture, position) => {
        const own = options.filter((option) => option.curve.mixture === mixture)
          .sort((a, b) => a.curve.params - b.curve.params);
        const spreads = own.map((o) => spread(o.draws));
        if (own.length) series.push({ kind: "dots", name: own[0].curve.said, color: colours[mixture],
          shape: shapes[position % 4], x: own.map((o) => o.curve.params),
          y: spreads.map((s) => s[1]), lo: spreads.map((s) => s[0]), hi: spreads.map((s) => s[2]),
          text: own.map((o) => `${Chart.si(o.curve.params)} parameters, ${Chart.si(o.tokens)} tokens: ` +
            `best in ${Math.round(100 * o.probability_best)} %`) });
      });
      const best = options[0];
      if (best) series.push({ kind: "dots", name: "the choice", shape: "star", hollow: true,
        color: 4, x: [best.curve.params], y: [quantile(best.draws, 0.5)], size: [9],
        text: [`${best.curve.said}, ${Chart.si(best.curve.params)} parameters`] });
      Chart.show(get("sizes"), { title: "sizes", height: 270, series,
        alt: "Forecast of every mixture and size at this budget; bars are 80 % intervals",
        x: { title: "parameters (non-embedding)", log: true, format: "si" },
        y: { title: `${data.unit}, lower is better` } });
    }

    // The best at each budget, which the budget's own slider does not move.
    let drawn = { key: "" };
    function lineOf(now, cost) {
      const key = JSON.stringify([now.served, now.price, now.objective]);
      if (drawn.key === key) return drawn;
      const line = { key, x: [], y: [], lo: [], hi: [], text: [] };
      const from = Number(inputs.budget.min), to = Number(inputs.budget.max);
      const here = inputs.budget.value;
      for (let k = 0; k <= 20; k += 1) {
        const budget = now.budget * 10 ** ((from + ((to - from) * k) / 20 - here) / 100);
        const best = ranked(data, budget, now.served, now.objective)[0];
        if (!best) continue;
        line.x.push(priced ? inMoney(budget, now.price) : budget);
        const [low, median, high] = spread(best.draws);
        line.y.push(median);
        line.lo.push(low);
        line.hi.push(high);
        line.text.push(`${cost(budget)}: ${median.toFixed(3)} with ` +
          `${Chart.si(best.curve.params)} parameters, ${best.curve.said}`);
      }
      drawn = line;
      return line;
    }

    function frontier(now, best, cost) {
      const line = lineOf(now, cost);
      const series = [{ kind: "band", name: "80 % interval", color: 2, x: line.x, lo: line.lo,
        hi: line.hi }, { kind: "line", name: "best at each budget", color: 2, ...line, lo: undefined,
        hi: undefined }];
      if (best) series.push({ kind: "dots", name: "this budget", shape: "star", hollow: true, color: 4,
        x: [priced ? inMoney(now.budget, now.price) : now.budget], y: [quantile(best.draws, 0.5)],
        size: [9], text: [cost(now.budget)] });
      Chart.show(get("frontier"), { title: "cost against quality", height: 270, series,
        alt: "Best forecast at each budget, with its 80 % interval; a star marks this budget",
        x: { title: priced ? `total cost (${data.currency})` : "total compute (FLOPs)", log: true,
          format: priced ? "si" : "power" },
        y: { title: `${data.unit}, lower is better` } });
    }

    let waiting = 0;
    const soon = () => {
      if (!waiting) waiting = requestAnimationFrame(() => { waiting = 0; update(); });
    };
    for (const name in inputs) if (inputs[name]) inputs[name].addEventListener("input", soon);
    objective.addEventListener("change", soon);
    get("reset").addEventListener("click", () => {
      root.querySelectorAll("input").forEach((input) => { input.value = input.defaultValue; });
      objective.selectedIndex = [...objective.options].findIndex((each) => each.defaultSelected);
      update();
    });
    update();
    return { data, decide, update, state };
  }
  return { start, decide };
})();
