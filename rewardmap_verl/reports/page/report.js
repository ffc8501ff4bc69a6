// The page of a report. It is opened from the disk, so data are loaded as scripts that call report.take().
// A model's text is inserted as text (textContent, attributes), never as HTML.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const ROW = 72; // height of a row of the list in pixels, as in the style sheet
  const PHONE = window.matchMedia("(max-width: 800px)");
  const DARK = window.matchMedia("(prefers-color-scheme: dark)");
  const byId = (id) => document.getElementById(id);

  // ---------------------------------------------------------------- data

  const arrived = new Map();
  const asked = new Map();
  window.report = { take: (name, value) => arrived.set(name, value) };

  function script(source) {
    if (!asked.has(source)) {
      asked.set(source, new Promise((done, failed) => {
        const tag = document.createElement("script");
        tag.src = source;
        tag.onload = () => done();
        tag.onerror = () => { asked.delete(source); failed(new Error(`${source} is missing`)); };
        document.head.append(tag);
      }));
    }
    return asked.get(source);
  }

  async function data(name) {
    await script(`data/${name}.js`);
    return arrived.get(name);
  }

  // ---------------------------------------------------------------- making elements

  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name === "class") node.className = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...present(...children));
    return node;
  }

  const present = (...nodes) => nodes.filter((node) => node !== null && node !== undefined);

  function svg(tag, attributes, ...children) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  const decimal = (value) => value === null || value === undefined ? "–"
    : Number(value.toFixed(2)).toString();
  const colorOf = (text) => /^#[0-9a-f]{3,8}$/i.test(text) ? text : "#7b8794";

  // ---------------------------------------------------------------- curves

  function themed(chart) {
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--quiet").trim();
    const grid = style.getPropertyValue("--edge").trim();
    const layout = structuredClone(chart.figure.layout);
    layout.font = { family: "system-ui, sans-serif", size: 12, color: ink };
    layout.hoverlabel = { bgcolor: style.getPropertyValue("--paper").trim(), font: { color: ink } };
    for (const axis of ["xaxis", "yaxis"]) {
      layout[axis] = { ...layout[axis], gridcolor: grid, linecolor: grid, automargin: true };
    }
    return layout;
  }

  async function draw(place) {
    try {
      const [charts] = await Promise.all([data("charts"), script("assets/plotly.min.js")]);
      const chart = charts[Number(place.dataset.chart)];
      const options = { responsive: true, displaylogo: false, displayModeBar: false };
      await window.Plotly.react(place, structuredClone(chart.figure.data), themed(chart), options);
      place.dataset.drawn = "yes";
    } catch (error) {
      place.textContent = `Failed to draw the curve: ${error.message}`;
    }
  }

  function watchCharts() {
    const places = [...document.querySelectorAll(".plot")];
    const watcher = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) { watcher.unobserve(entry.target); draw(entry.target); }
      }
    }, { rootMargin: "200px" });
    places.forEach((place) => watcher.observe(place));
    DARK.addEventListener("change", () => places.filter((place) => place.dataset.drawn).forEach(draw));
  }

  // ---------------------------------------------------------------- filters

  const VERDICTS = {
    "any": () => true,
    "all right": (group) => group.right.length && group.right.every((right) => right === 1),
    "mixed": (group) => group.right.includes(1) && group.right.includes(0),
    "all wrong": (group) => group.right.length && group.right.every((right) => right === 0),
    "no signal": (group) => group.rewards.length > 1 && group.spread < 1e-6,
    "some unreadable": (group) => group.unreadable > 0,
  };
  const ORDERS = {
    "changed most first": (a, b) => Math.abs(b.change) - Math.abs(a.change) || a.number - b.number,
    "as trained": (a, b) => a.number - b.number,
    "last first": (a, b) => b.number - a.number,
    "best reward first": (a, b) => b.mean - a.mean || a.number - b.number,
    "worst reward first": (a, b) => a.mean - b.mean || a.number - b.number,
    "most different answers first": (a, b) => b.spread - a.spread || a.number - b.number,
  };
  const PARTS = { train: "training", val: "validation" };

  let index = null; // as data/index.js has it, with groups as objects
  let shown = []; // groups that pass the filters
  let cursor = -1; // place in shown
  let opened = null; // the group whose detail is shown
  let entries = []; // its answers, and those to the same question in other validations
  let answer = 0; // place in entries of the chosen answer
  let apart = null; // whether answers are side by side; null is the default for the group

  function unpack(raw) {
    const groups = raw.groups.map((row, number) => {
      const group = { number };
      raw.columns.forEach((name, place) => { group[name] = row[place]; });
      const known = group.rewards.filter((reward) => reward !== null);
      group.mean = known.length ? known.reduce((sum, reward) => sum + reward, 0) / known.length : 0;
      group.spread = known.length ? Math.max(...known) - Math.min(...known) : 0;
      group.words = `${group.title} ${group.city} ${group.type} ${group.stage}`.toLowerCase();
      return group;
    });
    const asked = new Map();
    for (const group of groups.filter((one) => one.question >= 0)) {
      const key = `${group.run} ${group.question}`;
      asked.set(key, [...(asked.get(key) || []), group]);
    }
    for (const group of groups) {
      group.history = asked.get(`${group.run} ${group.question}`) || [group];
      const [first, last] = [group.history[0], group.history[group.history.length - 1]];
      group.change = group === last && last !== first && group.highest ? (last.mean - first.mean) / group.highest : 0;
    }
    return { ...raw, groups };
  }

  function choices(select, values, first) {
    if (!select) return;
    select.replaceChildren(...(first ? [el("option", { value: "" }, first)] : []),
      ...values.map(([value, text]) => el("option", { value }, text)));
  }

  function distinct(name) {
    const values = [...new Set(index.groups.map((group) => group[name]))].filter((value) => value !== "");
    return values.map((value) => [String(value), String(value)]);
  }

  function fillFilters() {
    choices(byId("f-run"), index.runs.map((name, number) => [String(number), name]), "all");
    choices(byId("f-part"), distinct("part").map(([value]) => [value, PARTS[value] || value]), "all");
    for (const name of ["stage", "type", "difficulty"]) choices(byId(`f-${name}`), distinct(name), "all");
    choices(byId("f-city"), distinct("city").sort((a, b) => a[0].localeCompare(b[0])), "all");
    choices(byId("f-verdict"), Object.keys(VERDICTS).map((name) => [name, name]));
    const changed = index.groups.some((group) => group.change);
    choices(byId("f-order"), Object.keys(ORDERS).slice(changed ? 0 : 1).map((name) => [name, name]));
  }

  function applyFilters() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = ["run", "part", "stage", "type", "city", "difficulty"]
      .map((name) => [name, byId(`f-${name}`) ? byId(`f-${name}`).value : ""])
      .filter(([, value]) => value !== "");
    const verdict = VERDICTS[byId("f-verdict").value] || VERDICTS.any;
    const bound = (id, other) => byId(id).value === "" ? other : Number(byId(id).value);
    const [low, high] = [bound("f-step-from", -Infinity), bound("f-step-to", Infinity)];
    const [poor, rich] = [bound("f-reward-from", -Infinity), bound("f-reward-to", Infinity)];
    shown = index.groups.filter((group) =>
      group.step >= low && group.step <= high && group.mean >= poor && group.mean <= rich
      && wanted.every(([name, value]) => String(group[name]) === value)
      && words.every((word) => group.words.includes(word)) && verdict(group));
    shown.sort(ORDERS[byId("f-order").value] || ORDERS["as trained"]);
    cursor = opened ? shown.indexOf(opened) : -1;
    const answers = shown.reduce((sum, group) => sum + group.rewards.length, 0);
    byId("found").textContent = `${shown.length.toLocaleString("en")} of `
      + `${index.groups.length.toLocaleString("en")} groups, ${answers.toLocaleString("en")} answers`;
    byId("list").scrollTop = 0;
    layOut();
  }

  // ---------------------------------------------------------------- the list: only visible rows exist

  function layOut() {
    const [list, room] = [byId("list"), byId("room")];
    room.style.height = `${Math.max(shown.length * ROW, 1)}px`;
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 6);
    const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 6);
    const rows = [];
    for (let place = first; place < last; place += 1) rows.push(row(place));
    if (!shown.length) rows.push(el("p", { class: "empty" }, "No group matches these filters."));
    room.replaceChildren(...rows);
    if (cursor >= first && cursor < last) list.setAttribute("aria-activedescendant", `row-${cursor}`);
    else list.removeAttribute("aria-activedescendant");
  }

  function row(place) {
    const group = shown[place];
    const where = index.runs.length > 1 ? `${index.runs[group.run]} · ` : "";
    const node = el("div", {
      class: `row${group === opened ? " open" : ""}${place === cursor ? " cursor" : ""}`,
      role: "option", id: `row-${place}`, "aria-selected": String(group === opened),
      "aria-setsize": shown.length, "aria-posinset": place + 1,
      onclick: () => { cursor = place; open(group, true); },
    },
    el("span", { class: "line" }, el("b", {}, group.type),
      el("small", {}, `${where}${group.part === "val" ? "validation, " : ""}step ${group.step}`)),
    el("span", { class: "title" }, group.title),
    el("span", { class: "line" }, bars(group), el("small", {}, changeOf(group) || decimal(group.mean))));
    node.style.top = `${place * ROW}px`;
    return node;
  }

  function changeOf(group) {
    return group.change ? `${decimal(group.history[0].mean)} → ${decimal(group.mean)}` : "";
  }

  function bars(group) {
    const top = group.highest || Math.max(1, ...group.rewards);
    const marks = group.rewards.slice(0, 32).map((reward, place) => {
      const share = Math.max(0.08, Math.min(1, (reward || 0) / top));
      const bar = el("i", { class: ["wrong", "right"][group.right[place]] || "plain" });
      bar.style.height = `${Math.round(share * 14)}px`;
      return bar;
    });
    const right = group.right.filter((one) => one === 1).length;
    return el("span", { class: "bars", role: "img",
      "aria-label": `${right} of ${group.rewards.length} right` }, ...marks);
  }

  function moveCursor(by) {
    if (!shown.length) return;
    cursor = Math.max(0, Math.min(shown.length - 1, cursor < 0 && by > 0 ? 0 : cursor + by));
    const list = byId("list");
    if (cursor * ROW < list.scrollTop) list.scrollTop = cursor * ROW;
    if ((cursor + 1) * ROW > list.scrollTop + list.clientHeight) {
      list.scrollTop = (cursor + 1) * ROW - list.clientHeight;
    }
    layOut();
  }

  function step(by) {
    moveCursor(by);
    if (cursor >= 0) open(shown[cursor], false);
  }

  // ---------------------------------------------------------------- one group

  async function open(group, remember, wanted = 0, silent = false) {
    opened = group;
    const detail = byId("detail");
    layOut();
    if (!silent) remembered(remember, wanted);
    document.body.classList.add("reading");
    try {
      const found = await Promise.all(group.history.map(detailOf));
      if (opened !== group) return;
      entries = group.history.flatMap((one, place) => found[place].order.map((_, number) =>
        ({ group: one, found: found[place], place: number })));
      const first = entries.findIndex((one) => one.group === group);
      answer = Math.max(0, Math.min(first + wanted, entries.length - 1));
      render(group, found[group.history.indexOf(group)]);
    } catch (error) {
      detail.replaceChildren(el("p", { class: "note" }, `Failed to load this group: ${error.message}`));
    }
  }

  async function detailOf(group) {
    const piece = await data(`rollouts-${Math.floor(group.number / index.piece)}`);
    return piece[group.number % index.piece];
  }

  function remembered(push, place = 0) {
    const hash = opened ? `#group=${opened.number}&answer=${place + 1}` : "#rollouts";
    if (push && PHONE.matches && !location.hash.startsWith("#group=")) location.hash = hash;
    else history.replaceState(null, "", hash);
  }

  function close() {
    document.body.classList.remove("reading");
    opened = null;
    remembered(false);
    layOut();
    byId("list").focus();
  }

  function render(group, found) {
    const detail = byId("detail");
    const several = group.history.length > 1;
    const about = [index.runs.length > 1 ? index.runs[group.run] : "", PARTS[group.part] || group.part,
      `step ${group.step}`, group.stage && group.part === "train" ? `stage ${group.stage}` : "",
      group.type, group.city, `${group.difficulty} map`].filter(Boolean).join(" · ");
    detail.replaceChildren(...present(
      el("div", { class: "bar" },
        el("button", { type: "button", class: "back", onclick: close }, "← List"),
        el("button", { type: "button", onclick: () => step(-1), "aria-label": "previous group" }, "‹"),
        el("button", { type: "button", onclick: () => step(1), "aria-label": "next group" }, "›"),
        el("h3", {}, group.title)),
      el("p", { class: "quiet" }, about),
      found.fault ? el("p", { class: "note" }, found.fault) : null,
      el("div", { class: `sides${isApart() ? " apart" : ""}`, id: "sides" },
        el("div", { class: "side" },
          el("div", { class: "seen" }, ...mapOf(group, found)),
          folded("Question", "question", found.question), folded("Gold answer", "gold", found.gold)),
        el("div", { class: "side" },
          el("h4", { id: "answers-title" }, "Answers",
            el("small", {}, found.highest === null ? "" : ` maximum reward ${decimal(found.highest)}`)),
          el("div", { class: "chips", role: "group", "aria-labeledby": "answers-title" },
            ...entries.map((one, place) => chip(one, place, several)),
            entries.length > 1 ? el("button", { type: "button", id: "apart", "aria-pressed": String(isApart()), onclick: () => {
              apart = !isApart();
              byId("apart").setAttribute("aria-pressed", String(apart));
              byId("sides").classList.toggle("apart", apart);
              showAnswer();
            } }, "side by side") : null),
          el("div", { id: "answer" })))));
    showAnswer();
    detail.dataset.group = String(group.number);
    detail.scrollTop = 0;
    detail.choose = (place) => {
      if (place >= entries.length) return;
      answer = place;
      opened = entries[place].group;
      remembered(false, entries[place].place);
      layOut();
      showAnswer();
    };
  }

  function folded(title, name, text) {
    return text ? el("details", { open: !PHONE.matches }, el("summary", {}, title), el("pre", { class: name }, text)) : null;
  }

  // Few answers to a held-out question over the run are side by side unless the reader decides otherwise.
  const isApart = () => apart === null ? opened.history.length > 1 && entries.length <= 4 && !PHONE.matches : apart && entries.length > 1;

  function chip(entry, place, several) {
    const { group, place: number } = entry;
    const verdict = ["wrong", "right"][group.right[number]] || "plain";
    const name = several ? `step ${group.step}` : String(number + 1);
    return el("button", {
      type: "button", class: `chip ${verdict}`, "aria-pressed": String(place === answer),
      onclick: () => byId("detail").choose(place),
      "aria-label": `answer ${name}, ${verdict === "plain" ? "" : `${verdict}, `}reward ${decimal(group.rewards[number])}`,
    }, el("small", {}, `${name} ${{ right: "✓", wrong: "✗" }[verdict] || ""}`), ` ${decimal(group.rewards[number])}`);
  }

  function showAnswer() {
    document.querySelectorAll(".chip").forEach((node, place) => {
      node.setAttribute("aria-pressed", String(place === answer));
    });
    const entry = entries[answer];
    const one = entry.found.answers[entry.found.order[entry.place]];
    const gold = el("div", { class: "routes" }, itinerary("Gold route", entry.found.route));
    const parts = isApart() ? [together(), entry.found.route.length ? gold : null] : answerOf(entry, true);
    if (one.parts) {
      parts.push(el("div", { class: "traces" }, checks("Parsing", one.read),
        checks("Checks", one.checks), items(one), sum(one)));
    }
    const strip = byId("answer").querySelector(".together");
    const left = strip ? strip.scrollLeft : 0;
    byId("answer").replaceChildren(...parts.filter(Boolean));
    if (isApart()) byId("answer").querySelector(".together").scrollLeft = left;
    if (byId("crops")) byId("crops").replaceChildren(...turns.rectangles(one, svg));
    drawRoutes(entry.group, entry.found, one);
  }

  function answerOf(entry, gold) {
    const { found, place } = entry;
    const one = found.answers[found.order[place]];
    const recorded = found.recorded[place];
    const parts = [one.turns ? turns.conversation(one, index.maps[entry.group.map], el, svg)
      : el("pre", { class: "answer" }, one.text === "" ? "(empty)" : one.text)];
    if (!one.parts) return parts;
    const differs = recorded !== null && Math.abs(recorded - one.score) > 1e-3 * Math.max(1, one.score);
    parts.unshift(el("p", { class: `verdict ${one.right ? "right" : "wrong"}` },
      one.right ? "✓ right" : "✗ wrong", ` – reward ${decimal(one.score)} of ${decimal(found.highest)}`,
      differs ? ` (recorded: ${decimal(recorded)})` : ""));
    if (gold && (found.route.length || one.route.length)) parts.push(routes(found, one));
    else if (one.route.length) parts.push(el("div", { class: "routes" }, itinerary("Route", one.route)));
    return parts;
  }

  function together() {
    return el("div", { class: "together", tabindex: "0", role: "group", "aria-label": "Answers side by side" },
      ...entries.map((entry, place) => el("article", {
        class: "one", "aria-current": String(place === answer), onclick: () => { if (place !== answer) byId("detail").choose(place); },
      }, el("h5", {}, entry.group.history.length > 1 ? `After ${entry.group.step} steps` : `Answer ${place + 1}`), ...answerOf(entry, false))));
  }

  function checks(title, list) {
    if (!list.length) return null;
    return el("section", {}, el("h5", {}, title), el("ul", { class: "checks" },
      ...list.map(([good, text]) => el("li", { class: good ? "right" : "wrong" },
        el("span", { class: "mark", "aria-label": good ? "yes" : "no" }, good ? "✓" : "✗"), ` ${text}`))));
  }

  function table(title, head, rows) {
    return el("section", {}, el("h5", {}, title), el("div", { class: "scroll" }, el("table", {},
      el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col", class: text === "why" ? "text" : "" }, text)))),
      el("tbody", {}, ...rows.map((cells) => el("tr", {}, ...cells.map((cell, place) =>
        el(place ? "td" : "th", place ? { class: head[place] === "why" ? "text" : "" } : { scope: "row" }, cell))))))));
  }

  function items(one) {
    if (!one.items.length) return null;
    return table("Detail reward", ["item", "earned", "worth", "why"],
      one.items.map(([name, credit, worth, why]) => [name, decimal(credit), worth ? decimal(worth) : "–", why]));
  }

  function sum(one) {
    const rows = one.parts.map(([name, value, highest, times]) =>
      [name, decimal(value), decimal(highest), `× ${decimal(times)}`, decimal(value * times * one.weight)]);
    rows.push(["reward", "", "", `W = ${decimal(one.weight)}`, decimal(one.score)]);
    return table("The reward", ["part", "value", "maximum", "factor", "weighted"], rows);
  }

  // ---------------------------------------------------------------- routes

  function routes(found, one) {
    return el("div", { class: "routes" }, itinerary("Gold route", found.route),
      itinerary("Route of the answer", one.route));
  }

  function rideNote(real, stays, via) {
    if (!real) return " does not exist";
    if (stays) return " stays at the stop";
    if (via === null) return "";
    if (via === 0) return " to the next stop";
    return via === 1 ? " 1 stop between" : ` ${via} stops between`;
  }

  function itinerary(title, legs) {
    const list = el("ol", { class: "itinerary" });
    legs.forEach(([line, color, departure, arrival, real, via], place) => {
      const breaks = place > 0 && legs[place - 1][3] !== departure;
      const first = el("li", { class: "stop" }, departure || "(no stop)",
        place > 0 ? el("small", {}, breaks ? " not connected" : " transfer") : "");
      const ride = el("li", { class: `ride${real ? "" : " false"}` },
        el("b", {}, line || "(no line)"),
        el("small", {}, rideNote(real, departure === arrival, via)));
      ride.style.setProperty("--line", real ? colorOf(color) : "var(--wrong)");
      if (breaks) list.append(el("li", { class: "stop" }, legs[place - 1][3]));
      list.append(first, ride);
    });
    if (legs.length) list.append(el("li", { class: "stop" }, legs[legs.length - 1][3] || "(no stop)"));
    else list.append(el("li", { class: "none" }, "No route could be read."));
    return el("section", {}, el("h5", {}, title), list);
  }

  function mapOf(group, found) {
    const map = index.maps[group.map];
    if (!map) return [el("p", { class: "quiet" }, "The report does not contain the map of this question.")];
    const picture = el("img", { src: map.image, width: map.width, height: map.height, alt: `Map of ${map.name}`,
      loading: "lazy", decoding: "async" });
    const frame = framed("map", map, `Map of ${map.name}; plus and minus zoom`, picture);
    const planned = found.route.length > 0;
    if (entries.some((entry) => entry.found.answers.some((one) => one.turns))) {
      frame.firstChild.append(svg("svg", { id: "crops", viewBox: "0 0 1000 1000", preserveAspectRatio: "none", "aria-hidden": "true" }));
    }
    if (map.drawn) {
      frame.firstChild.append(overlayOf(map));
      if (planned) frame.classList.add("dim");
    }
    const parts = [frame, el("p", { class: "legend" }, ...present(
      ...map.drawn && planned ? toggles() : [],
      zoomer("−", "zoom out", frame, map, 0.5), zoomer("+", "zoom in", frame, map, 2),
      el("button", { type: "button", class: "wide", onclick: (event) => {
        const wide = byId("sides").classList.toggle("large");
        event.target.textContent = wide ? "smaller" : "larger";
      } }, "larger"),
      el("a", { href: map.full, target: "_blank", rel: "noopener" }, `${map.name}, ${map.width} × ${map.height}`)))];
    if (map.schematic) parts.push(...schematicOf(group, planned));
    return parts;
  }

  const overlayOf = (space) => svg("svg", { id: "overlay", viewBox: `0 0 ${space.width} ${space.height}`, "aria-hidden": "true" });
  const toggles = () => [toggle("gold route", "gold", "hide-gold"), toggle("this answer", "own", "hide-own")];

  function framed(id, space, label, ...inside) {
    const frame = el("div", { class: "map", id, tabindex: "0", role: "region", "aria-label": label },
      el("div", { class: "inner" }, ...inside));
    frame.style.setProperty("--wide", String(space.width / space.height));
    return frame;
  }

  // ---------------------------------------------------------------- zoom

  const MOST_ZOOM = 16;

  function zoomer(text, label, frame, space, by) {
    return el("button", { type: "button", class: "zoom", "aria-label": label, onclick: () => zoom(frame, space, by) }, text);
  }

  // A large map is shown reduced until it is zoomed; only then the original is loaded.
  function zoom(frame, space, by) {
    const before = Number(frame.dataset.zoom || 1);
    const now = Math.min(MOST_ZOOM, Math.max(1, before * by));
    if (now === before) return;
    const center = before === 1 ? middleOfRoute(frame)
      : [(frame.scrollLeft + frame.clientWidth / 2) / frame.scrollWidth, (frame.scrollTop + frame.clientHeight / 2) / frame.scrollHeight];
    frame.dataset.zoom = String(now);
    frame.style.setProperty("--zoom", String(now));
    frame.classList.toggle("zoomed", now > 1);
    const picture = frame.querySelector("img");
    const wanted = now > 1 ? space.full : space.image;
    if (picture && picture.getAttribute("src") !== wanted) picture.src = wanted;
    frame.scrollLeft = center[0] * frame.scrollWidth - frame.clientWidth / 2;
    frame.scrollTop = center[1] * frame.scrollHeight - frame.clientHeight / 2;
  }

  function middleOfRoute(frame) {
    const inside = [...frame.querySelectorAll("polyline.gold, circle.spot")].map((node) => node.getBoundingClientRect());
    if (!inside.length) return [0.5, 0.5];
    const around = frame.getBoundingClientRect();
    const middle = (low, high, from, size) => ((Math.min(...inside.map((box) => box[low])) + Math.max(...inside.map((box) => box[high]))) / 2 - from) / size;
    return [middle("left", "right", around.left, around.width), middle("top", "bottom", around.top, around.height)];
  }

  // ---------------------------------------------------------------- schematics of maps without positions

  function schematicOf(group, planned) {
    const room = el("div", { class: "schematic", id: "schematic" }, el("p", { class: "quiet" }, "Loading the schematic…"));
    data(`schematic-${group.map}`).then((space) => {
      if (!room.isConnected) return;
      const frame = framed("net", space, "Schematic of the network; plus and minus zoom", network(space), overlayOf(space));
      room.replaceChildren(frame, el("p", { class: "legend" }, ...planned ? toggles() : [],
        zoomer("−", "zoom out of the schematic", frame, space, 0.5), zoomer("+", "zoom into the schematic", frame, space, 2),
        el("span", { class: "quiet" }, "schematic: positions differ from the map")));
      const { group: shown, found: traced, place } = entries[answer];
      drawRoutes(shown, traced, traced.answers[traced.order[place]]);
    }).catch((error) => room.replaceChildren(el("p", { class: "note" }, `Failed to load the schematic: ${error.message}`)));
    return [room];
  }

  function network(space) {
    const lines = space.lines.flatMap(([name, color, ways]) => ways.map((points) =>
      svg("polyline", { class: "net", points, stroke: colorOf(color) }, svgTitle(name))));
    const stops = space.stops.map(([x, y, name, served]) =>
      svg("circle", { class: served > 1 ? "net change" : "net", cx: x, cy: y, r: served > 1 ? 4 : 2.4 }, svgTitle(name)));
    return svg("svg", { viewBox: `0 0 ${space.width} ${space.height}`, role: "img", "aria-label": "The network's lines and stops" }, ...lines, ...stops);
  }

  function labels(found, one, space) {
    const ends = new Map();
    for (const leg of [...found.route, ...(one.route || [])].filter((each) => each[6])) {
      const points = leg[6].split(" ");
      ends.set(points[0], leg[2]).set(points[points.length - 1], leg[3]);
    }
    for (const [x, y, name] of found.route.length ? [] : found.marks || []) ends.set(`${x},${y}`, name);
    return [...ends].map(([place, name]) => {
      const [x, y] = place.split(",").map(Number);
      const right = x < space.width * 0.65;
      return svg("text", { class: "label", x: x + (right ? 14 : -14), y: y + 7, "text-anchor": right ? "start" : "end" }, name);
    });
  }

  function toggle(text, swatch, name) {
    const box = el("input", { type: "checkbox", onchange: (event) =>
      byId("overlay").closest(".map").classList.toggle(name, !event.target.checked) });
    box.checked = true;
    return el("label", {}, box, el("i", { class: `swatch ${swatch}` }), ` ${text}`);
  }

  function drawRoutes(group, found, one) {
    const overlay = byId("overlay");
    if (!overlay) return;
    const map = index.maps[group.map];
    const space = overlay.viewBox.baseVal;
    const frames = map.drawn ? map.frames : [];
    const names = map.drawn ? map.names : [];
    const unit = Math.max(space.width, space.height) / (!map.drawn ? 180 : frames.length ? 100 : 140);
    const shapes = [...route(found.route, "gold", unit * 2.6, unit, frames), ...route(one.route || [], "own", unit * 1.1, unit, frames),
      ...(found.route.length ? [] : found.marks || []).map(([x, y, name]) => ring("spot", x, y, unit * 1.5, unit * 0.6, frames, name))];
    const isFrame = (shape) => shape.tagName === "rect";
    overlay.replaceChildren(...names.length ? [namesMask(names, frames, unit * 0.5, space)] : [],
      svg("g", names.length ? { mask: "url(#names)" } : {}, ...shapes.filter((shape) => !isFrame(shape))), ...shapes.filter(isFrame),
      ...(map.drawn ? [] : labels(found, one, space)));
  }

  // Routes and rings leave out the names on the map, with a margin.
  function namesMask(names, frames, margin, space) {
    return svg("mask", { id: "names", maskUnits: "userSpaceOnUse", x: 0, y: 0, width: space.width, height: space.height },
      svg("rect", { width: "100%", height: "100%", fill: "#fff" }),
      ...names.map((points) => svg("polygon", { points, stroke: "#000", "stroke-width": margin })),
      ...frames.map(([x, y, width, height]) => svg("rect", { x, y, width, height })));
  }

  // A ring around a stop, or a frame around the name that a ring would cover entirely.
  function ring(name, x, y, radius, width, frames, title) {
    const over = frames.find(([left, top, wide, high]) => x >= left && x <= left + wide && y >= top && y <= top + high);
    const shape = over ? svg("rect", { class: name, x: over[0], y: over[1], width: over[2], height: over[3], rx: width })
      : svg("circle", { class: name, cx: x, cy: y, r: radius });
    shape.setAttribute("stroke-width", width);
    if (title) shape.append(svgTitle(title));
    return shape;
  }

  function svgTitle(text) {
    const title = document.createElementNS(SVG, "title");
    title.textContent = text;
    return title;
  }

  function route(legs, name, width, unit, frames) {
    const known = legs.filter((leg) => leg[6]);
    const shapes = known.map((leg) => svg("polyline", {
      class: `${name}${leg[4] ? "" : " false"}`, points: leg[6], "stroke-width": width,
      "stroke-dasharray": leg[4] ? "none" : `${unit * 2.2} ${unit * 1.8}` },
    svgTitle(`${leg[0]}: ${leg[2]} → ${leg[3]}`)));
    const ends = known.flatMap((leg) => { const points = leg[6].split(" "); return [points[0], points[points.length - 1]]; });
    for (const end of new Set(ends)) {
      const [x, y] = end.split(",").map(Number);
      shapes.push(ring(`${name} end`, x, y, Math.min(width * 0.95, unit * 1.6), unit * 0.6, frames));
    }
    return shapes;
  }

  // ---------------------------------------------------------------- keyboard and start

  const LIST_KEYS = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity };

  function onListKey(event) {
    if (event.key in LIST_KEYS) {
      const by = LIST_KEYS[event.key];
      moveCursor(Number.isFinite(by) ? by : by < 0 ? -shown.length : shown.length);
      event.preventDefault();
    } else if ((event.key === "Enter" || event.key === " ") && cursor >= 0) {
      open(shown[cursor], true);
      event.preventDefault();
    }
  }

  function onKey(event) {
    const typing = event.target.closest && event.target.closest("input, select, textarea");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && opened) close();
    else if (typing) return;
    else if (event.key === "/") { byId("search").focus(); event.preventDefault(); }
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if ((event.key === "+" || event.key === "-") && opened) press(event);
    else if (/^[1-9]$/.test(event.key) && opened && byId("detail").choose) byId("detail").choose(Number(event.key) - 1);
  }

  function press(event) {
    const frame = event.target.closest(".map") || byId("map");
    const buttons = frame ? frame.nextElementSibling.querySelectorAll(".zoom") : [];
    if (buttons.length) buttons[event.key === "+" ? 1 : 0].click();
  }

  function followHash() {
    const [, number, place] = location.hash.match(/^#group=(\d+)(?:&answer=(\d+))?$/) || [];
    const group = number === undefined ? null : index.groups[Number(number)];
    if (group && group !== opened) {
      cursor = shown.indexOf(group);
      if (cursor >= 0) byId("list").scrollTop = Math.max(0, (cursor - 2) * ROW);
      open(group, false, Math.max(0, Number(place || 1) - 1));
      if (!PHONE.matches) byId("rollouts").scrollIntoView();
    } else if (!group && opened && PHONE.matches) {
      close();
    }
  }

  async function startBrowser() {
    if (!byId("browser")) return;
    try {
      index = unpack(await data("index"));
    } catch (error) {
      byId("found").textContent = `Failed to load the rollouts: ${error.message}`;
      return;
    }
    fillFilters();
    byId("more").open = !PHONE.matches;
    byId("filters").addEventListener("input", applyFilters);
    byId("filters").addEventListener("reset", () => setTimeout(applyFilters));
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("list").addEventListener("scroll", layOut, { passive: true });
    byId("list").addEventListener("keydown", onListKey);
    window.addEventListener("resize", layOut);
    window.addEventListener("hashchange", followHash);
    document.addEventListener("keydown", onKey);
    applyFilters();
    followHash();
    if (!opened && !PHONE.matches && shown.length && shown[0].change) open(shown[0], false, 0, true);
    document.documentElement.dataset.ready = "yes";
  }

  // ---------------------------------------------------------------- a newer report of a running job

  const EVERY = 5000; // milliseconds

  async function followRun() {
    const known = await data("stamp").catch(() => 0);
    setInterval(async () => {
      const tag = document.createElement("script");
      tag.src = `data/stamp.js?${Date.now()}`;
      tag.onload = () => { tag.remove(); if (arrived.get("stamp") !== known) offer(); };
      tag.onerror = () => tag.remove(); // just being replaced
      document.head.append(tag);
    }, EVERY);
  }

  // A reader of an answer decides when the page changes.
  function offer() {
    if (!location.hash.startsWith("#group=")) location.reload();
    else if (!byId("newer")) document.body.append(el("button", { type: "button", id: "newer", class: "newer", onclick: () => location.reload() }, "Show the new steps"));
  }

  watchCharts();
  startBrowser();
  if ("watched" in document.documentElement.dataset) followRun();
})();
