// The page's behaviour: it asks this server alone, and shows what it answers.
"use strict";
{
const $ = id => document.getElementById(id);
const state = { info: null, key: "" };

const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};
const percent = p => (100 * p).toFixed(1) + "%";
const short = x => String(Number(Number(x).toPrecision(4)));

async function ask(path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  if (state.key) headers.Authorization = "Bearer " + state.key;
  const reply = await fetch(path, body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) });
  if (reply.status === 401) {
    $("access").hidden = false;
    $("access").open = true;
  }
  if (!reply.ok) {
    const text = await reply.text();
    let message = text;
    try {
      const error = JSON.parse(text).error;
      message = error.message ?? error;
    } catch { /* not JSON: the text itself */ }
    throw new Error(`${reply.status}: ${message}`);
  }
  return reply;
}

// Asks again as long as the server says that too much waits.
async function ask_until_taken(path, body) {
  for (let tries = 0; ; ++tries) {
    try {
      return await ask(path, body);
    } catch (error) {
      if (tries === 30 || !error.message.startsWith("429: ")) throw error;
      await new Promise(done => setTimeout(done, 1000));
    }
  }
}

// ---- tabs ----

const tabs = [...document.querySelectorAll("[role=tab]")];
function choose(tab, focus) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", chosen);
    other.tabIndex = chosen ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (focus) tab.focus();
  live(tab.id === "tab-live");
}
tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => choose(tab, false));
  tab.addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? tabs.length - 1 : step ? (i + step + tabs.length) % tabs.length : -1;
    if (to < 0) return;
    event.preventDefault();
    choose(tabs[to], true);
  });
});

// ---- the model ----

async function start() {
  try {
    state.info = await (await ask("/info")).json();
  } catch (error) {
    $("facts").textContent = error.message;
    return;
  }
  const { info } = state;
  $("access").hidden = true;
  $("model").textContent = info.model_id;
  document.title = info.model_id + " – minbert";
  const tasks = info.tasks.map(task => `${task.name} (${task.type.replaceAll("_", " ")})`).join(", ");
  $("facts").textContent = `${tasks ? "Tasks: " + tasks : "No tasks: vectors only"}. Reads ${info.max_input_length} tokens, computes in ${info.model_dtype}.`;
}
$("key-form").addEventListener("submit", event => {
  event.preventDefault();
  state.key = $("key").value;
  start();
});

// ---- one text ----

function card(name, top, rows) {
  const box = make("article", { class: "card" }, make("h3", {}, name), make("p", { class: "top" }, top));
  if (rows.length === 0) return box;
  const body = make("tbody");
  for (const [label, share, shown, best] of rows) {
    const fill = make("span", { class: "fill" });
    fill.style.width = percent(Math.max(0, Math.min(1, share)));
    body.append(make("tr", best ? { class: "best" } : {}, make("th", { scope: "row" }, label),
      make("td", { class: "bar", "aria-hidden": "true" }, make("span", { class: "track" }, fill)), make("td", { class: "p" }, shown)));
  }
  box.append(make("table", { class: "bars" }, make("caption", { class: "visually-hidden" }, `${name}, in figures`),
    make("thead", { class: "visually-hidden" }, make("tr", {}, make("th", { scope: "col" }, "label"), make("th", { scope: "col", "aria-hidden": "true" }, "bar"),
      make("th", { scope: "col" }, "figure"))), body));
  return box;
}

function cards(tasks) {
  return Object.entries(tasks).map(([name, answer]) => {
    if ("value" in answer) {
      const range = state.info.tasks.find(task => task.name === name).label_range;
      if (!range) return card(name, short(answer.value), []);
      const [low, high] = range;
      return card(name, short(answer.value), [[`from ${low} to ${high}`, (answer.value - low) / (high - low), short(answer.value), false]]);
    }
    const chosen = answer.labels ?? [answer.label];
    const rows = Object.entries(answer.probs).map(([label, p]) => [label, p, percent(p), chosen.includes(label)]);
    return card(name, answer.labels ? chosen.join(", ") || "no label" : `${answer.label}, ${percent(answer.score)}`, rows);
  });
}

// `in_windows`: every task reads what lies beyond the model's length too.
function token_list(title, tokens, whole, in_windows) {
  const limit = in_windows ? Infinity : state.info.max_input_length, is_cut = (token, i) => !token.special && i > limit - 2;
  const list = (part, kind) => make("ol", { class: "tokens" }, ...part.map(token => make("li", { class: kind || (token.special ? "special" : ""), title: `id ${token.id}` }, token.token ?? token.text)));
  const read = tokens.filter((token, i) => !is_cut(token, i)), cut = tokens.filter(is_cut);
  const box = make("section", { "aria-label": title }, make("h3", {}, title), make("p", { class: "soft" }, `${read.length} tokens.${whole}`), list(read, ""));
  if (cut.length > 0)
    box.append(make("details", { open: "" }, make("summary", {}, `${cut.length} tokens at the end are cut, for the model reads ${limit}`), list(cut.slice(0, 100), "cut"),
      ...(cut.length > 100 ? [make("p", { class: "soft" }, `… and ${cut.length - 100} more.`)] : [])));
  return box;
}

function show_times(reply, seen) {
  const rows = [["tokenization", "x-tokenization-time"], ["queue", "x-queue-time"], ["inference", "x-inference-time"], ["whole request", "x-total-time"]]
    .map(([name, header]) => [name, Number(reply.headers.get(header)).toFixed(2)]);
  rows.push(["seen by the browser", seen.toFixed(2)]);
  $("times").replaceChildren(...rows.map(([name, ms]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, ms))));
}

function show_code(path, body) {
  const url = location.origin + path, json = JSON.stringify(body), key = state.key ? " -H 'Authorization: Bearer KEY'" : "";
  $("curl").textContent = `curl -s ${url} -H 'Content-Type: application/json'${key} -d '${json.replaceAll("'", "'\\''")}'`;
  const data = JSON.stringify(json);
  const header = state.key ? '{"Content-Type": "application/json", "Authorization": "Bearer KEY"}' : '{"Content-Type": "application/json"}';
  $("python").textContent = `import json, urllib.request\nbody = ${data}\nrequest = urllib.request.Request("${url}", body.encode(), ${header})\n`
    + "print(json.load(urllib.request.urlopen(request)))";
}

// A button that asks why, and then shows a bar for each token: how much it speaks for the answer or against it.
function why_button(task, text, pair) {
  const box = make("div", { class: "why" }), button = make("button", { type: "button" }, "Why?");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const input = pair === undefined ? { text } : { text, text_pair: pair };
      const reply = await ask_until_taken("/v1/explain", { task, ...input, truncate: true });
      const { explanation } = await reply.json(), { tokens, value, baseline } = explanation;
      const { windows, symmetric } = state.info.tasks.find(known => known.name === task);
      const part_alone = symmetric ? " This explains the given order alone." : windows !== "none" && reply.headers.has("x-truncated") ? " This explains the beginning alone." : "";
      const largest = Math.max(...tokens.map(token => Math.abs(token.attribution)), 1e-12);
      const bars = tokens.map(({ token, attribution }) => {
        const part = make("span", { class: attribution < 0 ? "against" : "for", title: short(attribution) }, token);
        part.style.setProperty("--share", String(Math.abs(attribution) / largest));
        return part;
      });
      box.replaceChildren(make("p", { class: "tokens" }, ...bars.flatMap(part => [part, " "])),
        make("p", { class: "soft" }, `What each token adds: together ${short(value - baseline)}, from ${short(baseline)} without words to ${short(value)}.${part_alone}`));
    } catch (error) {
      box.append(make("p", { class: "failure" }, error.message));
      button.disabled = false;
    }
  });
  box.append(button);
  return box;
}

async function ask_model() {
  const text = $("text").value, pair = $("pair").value, has_tasks = state.info.tasks.length > 0;
  const pairs = state.info.tasks.some(task => task.type.startsWith("pair")), singles = state.info.tasks.some(task => !task.type.startsWith("pair"));
  const inputs = [];
  if (singles) inputs.push({ id: "text", text });
  if (pair && singles) inputs.push({ id: "second", text: pair });
  if (pair && pairs) inputs.push({ id: "pair", text, text_pair: pair });
  if (has_tasks && inputs.length === 0) throw new Error("this model's tasks read pairs: give it a second text");
  const path = has_tasks ? "/v1/analyze" : "/embed", body = has_tasks ? { inputs } : { inputs: pair ? [text, pair] : [text] };
  const begin = performance.now(), reply = await ask(path, body), answer = await reply.json(), seen = performance.now() - begin;
  const shown = [];
  if (has_tasks) {
    const titles = { text: "", second: " of the second text", pair: " of the pair" };
    for (const result of answer.results)
      for (const box of cards(result.tasks)) {
        const task = box.querySelector("h3").textContent;
        box.querySelector("h3").append(titles[result.id]);
        box.append(why_button(task, result.id === "second" ? pair : text, result.id === "pair" ? pair : undefined));
        shown.push(box);
      }
  } else {
    answer.forEach((vector, i) => shown.push(card(i ? "Vector of the second text" : "Vector", `${vector.length} numbers`, [])));
    shown.forEach((box, i) => box.append(make("p", {}, make("code", {}, answer[i].slice(0, 6).map(short).join(", ") + " …"))));
  }
  if (pair) {
    const [cosine] = await (await ask("/similarity", { inputs: { source_sentence: text, sentences: [pair] } })).json();
    shown.push(card("Similarity of the two texts", short(cosine), [["cosine", cosine, short(cosine), false]]));
  }
  const tokens = await (await ask("/tokenize", { inputs: pair ? [text, pair] : [text] })).json();
  $("tasks").replaceChildren(...shown);
  const pair_is_cut = has_tasks && answer.results.some(result => result.id === "pair" && result.truncated);
  const single_tasks = state.info.tasks.filter(task => !task.type.startsWith("pair"));
  const in_windows = single_tasks.length > 0 && single_tasks.every(task => task.windows !== "none");
  const note = pair_is_cut ? " As a pair, the two texts are longer than the model reads and are cut." : "";
  $("tokens").replaceChildren(...tokens.map((list, i) => token_list(i ? "Second text" : "Text", list, i + 1 === tokens.length ? note : "", in_windows)));
  show_times(reply, seen);
  show_code(path, body);
  $("answer").hidden = false;
}

$("ask").addEventListener("submit", async event => {
  event.preventDefault();
  const button = $("ask").querySelector("button"), status = $("ask-status");
  button.disabled = true;
  status.classList.remove("failure");
  status.textContent = "Asking …";
  try {
    if (!state.info) await start();
    await ask_model();
    status.textContent = "Answered.";
  } catch (error) {
    status.classList.add("failure");
    status.textContent = error.message;
  }
  button.disabled = false;
});
for (const box of [$("text"), $("pair")])
  box.addEventListener("keydown", event => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
  });
for (const button of document.querySelectorAll("[data-copy]"))
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText($(button.dataset.copy).textContent);
    $("ask-status").textContent = "Copied.";
  });

// ---- many lines ----

const table = { header: null, records: [], answers: [], stop: false, told: false, from_csv: false };

// RFC 4180; `delimiter` is one character.
function parse_csv(text, delimiter) {
  const records = [];
  let record = [], cell = "", quoted = false, started = false;
  const end_cell = () => { record.push(cell); cell = ""; started = false; };
  for (let i = 0; i < text.length; ++i) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') { cell += c; ++i; }
      else quoted = false;
    } else if (c === '"' && !started) { quoted = started = true; }
    else if (c === delimiter) end_cell();
    else if (c === "\n" || c === "\r") {
      if (c === "\r" && text[i + 1] === "\n") ++i;
      end_cell();
      if (record.length > 1 || record[0] !== "") records.push(record);
      record = [];
    } else { cell += c; started = true; }
  }
  end_cell();
  if (record.length > 1 || record[0] !== "") records.push(record);
  return records;
}
const csv_cell = value => /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;

const TEXT_NAMES = ["text", "sentence", "sentence1", "text_a", "review"], PAIR_NAMES = ["text_pair", "sentence2", "text_b"];

// A table if the first line has a delimiter and every record as many cells; else plain lines.
function read_table() {
  const text = $("lines").value.replace(/^\uFEFF/, ""), first = text.slice(0, (text.indexOf("\n") + 1 || text.length + 1) - 1);
  table.header = null;
  table.records = [];
  for (const delimiter of ["\t", ",", ";"]) {
    if (!first.includes(delimiter)) continue;
    const records = parse_csv(text, delimiter);
    if (records.length < 2 || records.some(record => record.length !== records[0].length)) continue;
    table.header = records[0];
    table.records = records.slice(1);
    break;
  }
  const lines = () => text.split(/\r\n|\n|\r/).filter(line => line.trim() !== "").map(line => [line]);
  if (!table.header) table.records = lines();
  $("columns").hidden = !table.header;
  if (!table.header) return;
  // Pasted texts with as many commas each look like a table too: only names of columns, a file's name or the person's word make them one.
  const usual = [...TEXT_NAMES, ...PAIR_NAMES, "label", "id"];
  if (!table.told) $("plain").checked = !table.from_csv && !table.header.some(name => usual.includes(name.trim().toLowerCase()));
  for (const select of [$("column"), $("column-pair")]) select.disabled = $("plain").checked;
  if ($("plain").checked) {
    table.header = null;
    table.records = lines();
    return;
  }
  const names = table.header.map((name, i) => make("option", { value: i }, name || `column ${i + 1}`));
  const find = (words, fallback) => { const at = table.header.findIndex(name => words.includes(name.toLowerCase())); return at < 0 ? fallback : at; };
  $("column").replaceChildren(...names.map(name => name.cloneNode(true)));
  $("column-pair").replaceChildren(make("option", { value: -1 }, "none"), ...names);
  $("column").value = find(TEXT_NAMES, 0);
  $("column-pair").value = find(PAIR_NAMES, -1);
}
$("lines").addEventListener("input", () => {
  if ($("lines").value === "") table.told = table.from_csv = false;
  read_table();
});
$("plain").addEventListener("change", () => {
  table.told = true;
  read_table();
});
$("file").addEventListener("change", async () => {
  const file = $("file").files[0];
  if (!file) return;
  $("lines").value = await file.text();
  table.told = false;
  table.from_csv = /\.(csv|tsv)$/i.test(file.name);
  read_table();
});

function answering_tasks() {
  const pair = table.header !== null && Number($("column-pair").value) >= 0;
  return state.info.tasks.filter(task => task.type.startsWith("pair") === pair);
}
function answer_columns() {
  return answering_tasks().flatMap(task => task.labels ? [task.name, task.name + ".score"] : [task.name]);
}
function answer_cells(tasks) {
  return answering_tasks().map(task => tasks[task.name])
    .flatMap(answer => "value" in answer ? [String(answer.value)] : [answer.labels ? answer.labels.join(";") : answer.label, String(answer.score)]);
}

async function answer_table() {
  if (!state.info) await start();
  read_table();
  const { records } = table, text_at = table.header ? Number($("column").value) : 0, pair_at = table.header ? Number($("column-pair").value) : -1;
  if (records.length === 0) throw new Error("there are no lines");
  if (answer_columns().length === 0) throw new Error(pair_at < 0 ? "no task of this model reads single texts" : "no task of this model reads pairs");
  const piece = Math.min(64, state.info.max_client_batch_size);
  const pieces = [];
  for (let begin = 0; begin < records.length; begin += piece) pieces.push(begin);
  table.answers = new Array(records.length);
  table.stop = false;
  let done = 0;
  const work = async () => {
    for (let begin = pieces.shift(); begin !== undefined && !table.stop; begin = pieces.shift()) {
      const part = records.slice(begin, begin + piece);
      const inputs = part.map(record => pair_at < 0 ? { text: record[text_at] || " " } : { text: record[text_at] || " ", text_pair: record[pair_at] });
      const { results } = await (await ask_until_taken("/v1/analyze", { inputs })).json();
      results.forEach((result, i) => table.answers[begin + i] = answer_cells(result.tasks));
      done += part.length;
      $("progress").value = done / records.length;
      $("table-status").textContent = `${done} of ${records.length} lines`;
    }
  };
  const begin = performance.now();
  await Promise.all([work(), work(), work(), work()]);
  const seconds = (performance.now() - begin) / 1000;
  $("table-status").textContent = table.stop ? `Stopped after ${done} of ${records.length} lines.`
    : `${done} lines in ${seconds.toFixed(1)} s, ${Math.round(done / seconds)} a second.`;
  show_table();
}

function show_table() {
  const head = [...(table.header ?? ["text"]), ...answer_columns()];
  $("rows").tHead.replaceChildren(make("tr", {}, ...head.map(name => make("th", { scope: "col" }, name))));
  const rows = [];
  for (let i = 0; i < Math.min(200, table.records.length); ++i)
    if (table.answers[i]) rows.push(make("tr", {}, ...[...table.records[i], ...table.answers[i].map(cell => /^-?\d*\.\d+(e-?\d+)?$/.test(cell) ? short(cell) : cell)].map(cell => make("td", {}, cell))));
  $("rows").tBodies[0].replaceChildren(...rows);
  $("rows").hidden = $("save").hidden = false;
}

$("table").addEventListener("submit", async event => {
  event.preventDefault();
  const button = $("table").querySelector("button"), status = $("table-status");
  button.disabled = true;
  for (const part of [$("stop"), $("progress"), $("progress-label")]) part.hidden = false;
  $("progress").value = 0;
  status.classList.remove("failure");
  try {
    await answer_table();
  } catch (error) {
    table.stop = true;
    status.classList.add("failure");
    status.textContent = error.message;
  }
  $("stop").hidden = true;
  button.disabled = false;
});
$("stop").addEventListener("click", () => { table.stop = true; });
$("save").addEventListener("click", () => {
  const head = [...(table.header ?? ["text"]), ...answer_columns()], lines = [head];
  table.records.forEach((record, i) => { if (table.answers[i]) lines.push([...record, ...table.answers[i]]); });
  const text = lines.map(line => line.map(csv_cell).join(",")).join("\r\n") + "\r\n";
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: "answers.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});

// ---- live figures ----

const history = { rates: [], last: null, timer: 0 };

function parse_metrics(text) {
  const values = new Map();
  for (const line of text.split("\n")) {
    const at = line.lastIndexOf(" ");
    if (line && !line.startsWith("#")) values.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return values;
}
const sum_of = (values, name) => [...values].filter(([key]) => key.startsWith(name + "{") || key === name).reduce((sum, [, value]) => sum + value, 0);

// The time that a share `q` of the requests between two readings stayed below, from the bounds of the histogram's buckets.
function quantile(now, before, name, q) {
  const bounds = [...now].filter(([key]) => key.startsWith(name + "_bucket")).map(([key, count]) => [Number(key.match(/le="([^"]+)"/)[1].replace("+Inf", "Infinity")),
    count - (before.get(key) ?? 0)]);
  const total = bounds.length ? bounds[bounds.length - 1][1] : 0;
  const found = bounds.find(([, count]) => count >= q * total);
  return total > 0 && found ? found[0] : NaN;
}

function show_rate() {
  const most = Math.max(1, ...history.rates), n = 60, svg = $("rate");
  const points = history.rates.map((rate, i) => `${600 - (history.rates.length - 1 - i) * 600 / (n - 1)},${120 - 116 * rate / most}`).join(" ");
  const draw = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  $("most").textContent = short(Math.max(0, ...history.rates));
  svg.replaceChildren(draw("line", { class: "grid", x1: 0, x2: 600, y1: 120, y2: 120 }), draw("line", { class: "grid", x1: 0, x2: 600, y1: 4, y2: 4 }),
    draw("polyline", { class: "line solid", points }));
}

async function refresh() {
  try {
    const now = parse_metrics(await (await ask("/metrics")).text()), at = performance.now(), { last } = history;
    const seconds = last ? (at - last.at) / 1000 : 0, since = name => last ? (sum_of(now, name) - sum_of(last.values, name)) / seconds : 0;
    const before = last ? last.values : new Map(), ms = q => { const s = quantile(now, before, "te_request_duration", q); return Number.isNaN(s) ? "–" : `≤ ${short(s * 1000)} ms`; };
    const requests = since("te_request_count"), rows = since("te_batch_next_size_sum"), passes = since("te_batch_next_size_count");
    const figures = [["Requests a second", short(requests)], ["Failures a second", short(since("te_request_failure"))],
      ["Tokens a second", short(since("minbert_tokens_total"))], ["Half of the requests within", ms(.5)], ["99 of 100 within", ms(.99)],
      ["Rows in a pass", passes > 0 ? short(rows / passes) : "–"], ["Waiting requests", sum_of(now, "te_queue_size")],
      ["Connections", sum_of(now, "minbert_connections")], ["Requests since the start", sum_of(now, "te_request_count")],
      ["Memory", Math.round(sum_of(now, "process_resident_memory_bytes") / 1e6) + " MB"],
      ["Up for", Math.round(sum_of(now, "minbert_uptime_seconds")) + " s"]];
    $("figures").replaceChildren(...figures.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]));
    if (last) history.rates = [...history.rates, requests].slice(-60);
    history.last = { values: now, at };
    show_rate();
    $("live-status").textContent = "";
  } catch (error) {
    $("live-status").textContent = error.message;
  }
}
function live(on) {
  clearInterval(history.timer);
  if (!on) return;
  refresh();
  history.timer = setInterval(refresh, 2000);
}

start();
}
