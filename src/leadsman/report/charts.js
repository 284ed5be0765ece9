// Small charts in SVG, drawn at the width of the page and in the colours of its theme.
// A chart is data: {title, alt, height, x: {title, log, format}, y: {title, log, format,
// categories}, series: [...]}; a series is a band, line, dots, bars (stacked, horizontal) or
// ranges (horizontal intervals). No library: the page stays small, prints, and works offline.
"use strict";
const Chart = (() => {
  const NS = "http://www.w3.org/2000/svg";
  const SUPER = "⁰¹²³⁴⁵⁶⁷⁸⁹";

  function node(name, attributes, parent, text) {
    const made = document.createElementNS(NS, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.appendChild(made);
    return made;
  }

  function si(value) {
    const size = Math.abs(value);
    for (const [unit, letter] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]])
      if (size >= unit * 0.9999) return trim(value / unit) + letter;
    return trim(value);
  }
  function trim(value) { return String(Number(value.toPrecision(3))); }
  function power(value) {
    if (value === 0) return "0";
    let exponent = Math.floor(Math.log10(Math.abs(value)) + 1e-9);
    let mantissa = Number((value / 10 ** exponent).toPrecision(3));
    if (mantissa === 10) { mantissa = 1; exponent += 1; }
    const raised = (exponent < 0 ? "⁻" : "") +
      String(Math.abs(exponent)).split("").map((digit) => SUPER[digit]).join("");
    return (mantissa === 1 ? "" : mantissa + "×") + "10" + raised;
  }
  function formatted(value, format) {
    if (format === "power") return power(value);
    if (format === "si") return si(value);
    if (format === "percent") return trim(100 * value) + " %";
    return Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3)
      ? power(value) : String(Number(value.toPrecision(4)));
  }

  function linearTicks(low, high, wanted) {
    const rough = (high - low) / wanted;
    const base = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * base).find((each) => each >= rough * 0.999);
    const ticks = [];
    for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-6; tick += step)
      ticks.push(Math.abs(tick) < step * 1e-9 ? 0 : Number(tick.toPrecision(12)));
    return ticks;
  }
  function logTicks(low, high, wanted) {
    const choices = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 8]];
    let best = [];
    for (const mantissas of choices) {
      const ticks = [];
      for (let e = Math.floor(Math.log10(low)) - 1; e <= Math.ceil(Math.log10(high)); e += 1)
        for (const m of mantissas) {
          const tick = m * 10 ** e;
          if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
        }
      best = ticks;
      if (ticks.length >= 3) break;
    }
    const stride = Math.ceil(best.length / Math.max(wanted, 2));
    return best.filter((_, position) => position % stride === 0);
  }

  function extent(spec, axis) {
    const chosen = spec[axis];
    if (chosen.range) return chosen.range;
    let low = Infinity, high = -Infinity;
    const see = (value) => {
      if (value === null || value === undefined || !isFinite(value)) return;
      if (chosen.log && value <= 0) return;
      low = Math.min(low, value); high = Math.max(high, value);
    };
    for (const series of spec.series) {
      const keys = axis === "y" ? ["y", "lo", "hi"]
        : series.kind === "ranges" ? ["x", "lo", "hi"] : ["x"];
      if (axis === "y" && series.kind === "ranges") continue;
      for (const key of keys) (series[key] || []).forEach(see);
    }
    if (low > high) return chosen.log ? [1, 10] : [0, 1];
    if (chosen.zero) low = Math.min(0, low);
    if (chosen.log) {
      const pad = Math.max((high / low) ** 0.04, 1.02);
      return [low / pad, high * pad];
    }
    const pad = (high - low || Math.abs(high) || 1) * 0.06;
    return [chosen.zero && low === 0 ? 0 : low - pad, high + pad];
  }

  function scale(axis, range, from, to) {
    const forward = axis.log ? Math.log10 : (value) => value;
    const low = forward(range[0]), high = forward(range[1]);
    return (value) => from + ((forward(value) - low) / (high - low || 1)) * (to - from);
  }

  function symbol(shape, x, y, r) {
    if (shape === "square") return `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`;
    if (shape === "triangle")
      return `M${x} ${y - 1.2 * r}L${x + 1.15 * r} ${y + 0.9 * r}H${x - 1.15 * r}z`;
    if (shape === "diamond")
      return `M${x} ${y - 1.35 * r}L${x + 1.35 * r} ${y}L${x} ${y + 1.35 * r}L${x - 1.35 * r} ${y}z`;
    if (shape === "star") {
      let path = "";
      for (let k = 0; k < 10; k += 1) {
        const size = k % 2 ? r * 0.55 : r * 1.35, angle = (Math.PI * (k - 2.5)) / 5;
        path += `${k ? "L" : "M"}${x + size * Math.cos(angle)} ${y + size * Math.sin(angle)}`;
      }
      return path + "z";
    }
    return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
  }

  const colour = (series) => `var(--c${(series.color || 0) % 8})`;

  function draw(figure, spec) {
    const box = figure.querySelector(".plot");
    const width = Math.max(box.clientWidth || 680, 260);
    const named = spec.y.categories;
    const height = spec.height || 340;
    const right = 14, bottom = 46;
    const xRange = extent(spec, "x"), yRange = named ? [0, 1] : extent(spec, "y");
    const yTicks = named ? [] : (spec.y.log ? logTicks : linearTicks)(yRange[0], yRange[1], height / 62);
    const labels = named || yTicks.map((tick) => formatted(tick, spec.y.format));
    const longest = Math.max(...labels.map((label) => label.length), 1);
    const left = Math.min(longest * 7.3 + 14, width * 0.4), top = spec.y.title ? 24 : 8;
    const px = scale(spec.x, xRange, left, width - right);
    const py = scale(spec.y, yRange, height - bottom, top);
    const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": spec.alt || spec.title });
    const hits = [];
    axes(svg, spec, { width, height, left, right, bottom, top, px, py, xRange, yTicks, labels });
    const clip = "clip" + Math.random().toString(36).slice(2);
    node("rect", { x: left, y: top - 6, width: width - left - right + 8,
      height: height - top - bottom + 8 }, node("clipPath", { id: clip }, svg));
    const ink = node("g", { "clip-path": `url(#${clip})` }, svg);
    const rows = named ? rowsOf(named, top, height - bottom) : null;
    const stacked = {};
    for (const series of spec.series) paint(ink, spec, series, { px, py, rows, hits, stacked });
    box.replaceChildren(svg);
    legend(figure, spec);
    tooltip(box, svg, hits, width);
  }

  function rowsOf(categories, top, bottom) {
    const each = (bottom - top) / categories.length;
    return (name) => [top + (categories.indexOf(name) + 0.5) * each, each];
  }

  // A name in at most two lines of so many letters; what does not fit is cut.
  function twoLines(name, fits) {
    if (name.length <= fits) return [name];
    const cut = (line) => (line.length > fits ? line.slice(0, fits - 1) + "…" : line);
    const at = name.lastIndexOf(" ", fits);
    return at < 1 ? [cut(name)] : [name.slice(0, at), cut(name.slice(at + 1))];
  }

  function axes(svg, spec, at) {
    const grid = node("g", { class: "grid" }, svg), text = node("g", { class: "ticks" }, svg);
    const xTicks = (spec.x.log ? logTicks : linearTicks)(
      at.xRange[0], at.xRange[1], Math.max((at.width - at.left) / 86, 2))
      .filter((tick) => !spec.x.whole || Number.isInteger(tick));
    for (const tick of xTicks) {
      const x = at.px(tick);
      node("line", { x1: x, x2: x, y1: at.top, y2: at.height - at.bottom }, grid);
      node("text", { x, y: at.height - at.bottom + 17, "text-anchor": "middle" }, text,
        formatted(tick, spec.x.format));
    }
    at.yTicks.forEach((tick, position) => {
      const y = at.py(tick);
      node("line", { x1: at.left, x2: at.width - at.right, y1: y, y2: y }, grid);
      node("text", { x: at.left - 7, y: y + 4, "text-anchor": "end" }, text, at.labels[position]);
    });
    if (spec.y.categories) {
      const place = rowsOf(spec.y.categories, at.top, at.height - at.bottom);
      const fits = Math.floor((at.left - 12) / 7.3);
      for (const name of spec.y.categories) {
        const lines = twoLines(name, fits), middle = place(name)[0] + (lines.length > 1 ? -3 : 4);
        const label = node("text", { x: at.left - 8, y: middle, "text-anchor": "end" }, text);
        lines.forEach((line, number) =>
          node("tspan", { x: at.left - 8, dy: number ? 14 : 0 }, label, line));
        if (lines.join(" ") !== name) node("title", {}, label, name);
      }
    }
    if (spec.y.title)
      node("text", { x: 0, y: 11, class: "axis" }, svg, spec.y.title);
    node("text", { x: at.width - at.right, y: at.height - 8, "text-anchor": "end", class: "axis" },
      svg, spec.x.title);
  }

  function paint(ink, spec, series, at) {
    const { px, py, rows, hits } = at;
    const told = (k) => (series.text ? series.text[k] : `${formatted(series.x[k], spec.x.format)}: ` +
      `${formatted(series.y[k], spec.y.format)}`);
    if (series.kind === "band") {
      const forth = series.x.map((x, k) => `${px(x)} ${py(series.hi[k])}`);
      const back = series.x.map((x, k) => `${px(x)} ${py(series.lo[k])}`).reverse();
      node("path", { d: `M${forth.concat(back).join("L")}z`, fill: colour(series),
        "fill-opacity": series.opacity || 0.16 }, ink);
    } else if (series.kind === "line") {
      const d = series.x.map((x, k) => `${k ? "L" : "M"}${px(x)} ${py(series.y[k])}`).join("");
      node("path", { d, fill: "none", stroke: colour(series), "stroke-width": series.width || 2,
        "stroke-dasharray": series.dash || "none", "stroke-opacity": series.opacity || 1,
        "stroke-linejoin": "round" }, ink);
      if (series.hover !== false)
        series.x.forEach((x, k) => hits.push([px(x), py(series.y[k]), series.name, told(k)]));
    } else if (series.kind === "dots") {
      series.x.forEach((x, k) => {
        const y = rows ? rows(series.y[k])[0] : py(series.y[k]);
        if (series.lo) node("line", { x1: px(x), x2: px(x), y1: py(series.lo[k]),
          y2: py(series.hi[k]), stroke: colour(series), "stroke-width": 2, "stroke-opacity": 0.55 }, ink);
        node("path", { d: symbol(series.shape, px(x), y, (series.size && series.size[k]) || 4.5),
          fill: series.hollow ? "var(--bg)" : colour(series), class: "dot",
          stroke: series.hollow ? "var(--ink)" : "var(--bg)",
          "stroke-width": series.hollow ? 1.6 : 0.8 }, ink);
        hits.push([px(x), y, series.name, told(k)]);
      });
    } else if (series.kind === "bars") {
      series.x.forEach((x, k) => {
        const [middle, room] = rows(series.y[k]);
        const begun = at.stacked[series.y[k]] || 0;
        at.stacked[series.y[k]] = begun + x;
        const start = px(begun), size = px(begun + x) - start, tall = Math.min(room * 0.64, 30);
        if (!(size > 0)) return;
        node("rect", { x: start, y: middle - tall / 2, width: size, height: tall,
          fill: colour(series), stroke: "var(--bg)", "stroke-width": 1 }, ink);
        const label = series.label && series.label[k];
        if (label && size > label.length * 7.4 + 8)
          node("text", { x: start + size / 2, y: middle + 4.5, "text-anchor": "middle",
            class: "inbar" + ([0, 2, 3, 4, 7].includes(series.color % 8) ? " light" : "") }, ink, label);
        hits.push([start + size / 2, middle, series.name, told(k), size / 2]);
      });
    } else if (series.kind === "ranges") {
      series.y.forEach((name, k) => {
        const middle = rows(name)[0];
        node("line", { x1: px(series.lo[k]), x2: px(series.hi[k]), y1: middle, y2: middle,
          stroke: `var(--c${series.colors ? series.colors[k] % 8 : series.color % 8})`,
          "stroke-width": series.width, "stroke-opacity": series.opacity }, ink);
      });
    }
  }

  function legend(figure, spec) {
    const list = figure.querySelector(".legend");
    const seen = new Set(), items = [];
    for (const series of spec.series) {
      if (!series.name || seen.has(series.name) || series.legend === false) continue;
      seen.add(series.name);
      const item = document.createElement("li");
      const key = node("svg", { width: 26, height: 14, "aria-hidden": "true" }, item);
      if (series.kind === "line") node("line", { x1: 1, x2: 25, y1: 7, y2: 7, stroke: colour(series),
        "stroke-width": Math.max(series.width || 2, 2), "stroke-dasharray": series.dash || "none" }, key);
      else if (series.kind === "dots") node("path", { d: symbol(series.shape, 13, 7, 5),
        fill: series.hollow ? "var(--bg)" : colour(series), stroke: series.hollow ? "var(--ink)" : "none",
        "stroke-width": 1.4 }, key);
      else if (series.kind === "ranges") node("line", { x1: 2, x2: 24, y1: 7, y2: 7,
        stroke: colour(series), "stroke-width": series.width * 0.7, "stroke-opacity": series.opacity },
      key);
      else node("rect", { x: 3, y: 2, width: 20, height: 10, fill: colour(series),
        "fill-opacity": series.kind === "bars" ? 1 : Math.max(2 * (series.opacity || 0.3), 0.3) }, key);
      item.append(series.name);
      items.push(item);
    }
    list.replaceChildren(...items);
    list.hidden = !items.length;
  }

  function tooltip(box, svg, hits, width) {
    const tip = document.createElement("div");
    tip.className = "tip"; tip.hidden = true;
    box.appendChild(tip);
    svg.addEventListener("pointermove", (event) => {
      const area = svg.getBoundingClientRect(), zoom = width / area.width;
      const x = (event.clientX - area.left) * zoom, y = (event.clientY - area.top) * zoom;
      let best = null, least = 26;
      for (const hit of hits) {
        const away = Math.hypot(Math.max(Math.abs(hit[0] - x) - (hit[4] || 0), 0), hit[1] - y);
        if (away < least) { least = away; best = hit; }
      }
      tip.hidden = !best;
      if (!best) return;
      tip.textContent = "";
      const head = document.createElement("b");
      head.textContent = best[2] || "";
      tip.append(head, document.createElement("br"), best[3]);
      const beyond = best[0] > width * 0.6;
      tip.style.left = beyond ? "" : best[0] / zoom + 12 + "px";
      tip.style.right = beyond ? (width - best[0]) / zoom + 12 + "px" : "";
      tip.style.top = Math.max(best[1] / zoom - 14, 0) + "px";
    });
    svg.addEventListener("pointerleave", () => { tip.hidden = true; });
  }

  const drawn = new Map();
  const watch = typeof ResizeObserver === "undefined" ? null : new ResizeObserver((changes) => {
    for (const change of changes) {
      const figure = change.target.closest("figure"), kept = drawn.get(figure);
      if (kept && Math.abs(kept.width - change.contentRect.width) > 1) show(figure, kept.spec);
    }
  });
  function show(figure, spec) {
    const box = figure.querySelector(".plot");
    const known = drawn.has(figure);
    drawn.set(figure, { spec, width: box.clientWidth });
    draw(figure, spec);
    if (!known && watch) watch.observe(box);
  }
  function showAll(root) {
    root.querySelectorAll("figure[data-chart]").forEach((figure) => {
      const data = figure.querySelector("script[type='application/json']");
      if (data) show(figure, JSON.parse(data.textContent));
    });
  }
  return { show, showAll, si, power, trim };
})();
