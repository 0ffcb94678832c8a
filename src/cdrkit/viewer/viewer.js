// The page of the viewer. Python sends the state as `view`; the page sends commands back, and Python checks every
// value. Text becomes text nodes only, never HTML.

/** Make an element of properties, attributes (`aria-…`, `role`) and children (nodes or texts). */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria-") || name === "role" || name === "for" || name === "list") {
      element.setAttribute(name, value);
    } else {
      element[name] = value;
    }
  }
  element.append(...children);
  return element;
}

function options(pairs) {
  return pairs.map(([value, text]) => make("option", { value, textContent: text }));
}

let made = 0;

/** Put a label before a control. */
function labelled(text, control) {
  control.id ||= `cdrkit-${++made}`;
  return make("span", { className: "cdrkit-field" }, make("label", { for: control.id }, text), control);
}

class Display {
  constructor(model, el) {
    this.model = model;
    this.choices = model.get("choices");
    this.token = null; // of the file that is being received
    this.heads = "";
    this.build(el);
    this.onView = () => this.update();
    this.onMessage = (message, buffers) => this.receive(message, buffers);
    model.on("change:view", this.onView);
    model.on("msg:custom", this.onMessage);
    this.update();
  }

  leave() {
    this.model.off("change:view", this.onView);
    this.model.off("msg:custom", this.onMessage);
    this.token = null;
    if (this.sound.src) URL.revokeObjectURL(this.sound.src);
  }

  send(command) {
    this.root.setAttribute("aria-busy", "true");
    this.model.send(command);
  }

  // -- the parts ----------------------------------------------------------------------------------------------

  build(el) {
    const { choices } = this;
    this.period = make("select", {}, ...options([["", "Any time"], ...choices.periods, ["custom", "From … before …"]]));
    this.start = make("input", { type: "datetime-local" });
    this.end = make("input", { type: "datetime-local" });
    this.range = make("span", { className: "cdrkit-range", hidden: true },
      labelled("From", this.start), labelled("Before", this.end));
    this.number = make("input", { type: "search", placeholder: "any notation; * is any digits", spellcheck: false });
    this.role = make("select", {},
      ...options([["", "source or destination"], ["source", "source"], ["destination", "destination"]]));
    this.connected = make("input", { type: "checkbox" });
    const clear = make("button", { type: "button" }, "Clear");
    this.form = make("form", { "aria-label": "Filters", className: "cdrkit-bar" },
      labelled("Period", this.period), this.range, labelled("Number", this.number), labelled("as", this.role),
      make("span", { className: "cdrkit-field" }, make("label", {}, this.connected, " Connected only")),
      make("button", { type: "submit" }, "Filter"), clear);

    this.zone = make("input", { type: "text", spellcheck: false, list: `cdrkit-${++made}` });
    const zones = make("datalist", { id: this.zone.getAttribute("list") },
      ...choices.zones.map((name) => make("option", { value: name })));
    this.size = make("select", {}, ...options(choices.sizes.map((size) => [String(size), String(size)])));
    this.csv = make("button", { type: "button", title: "All calls of the filter, in UTC" }, "CSV");
    this.boxes = choices.fields.map((field) => make("input", { type: "checkbox", value: field.name }));
    this.chosen = make("summary", {});
    const chooser = make("details", { className: "cdrkit-columns" }, this.chosen,
      make("fieldset", { "aria-label": "Columns" },
        ...choices.fields.map((field, at) => make("label", { title: field.meaning }, this.boxes[at], ` ${field.label}`))));
    const bar = make("div", { className: "cdrkit-bar", role: "group", "aria-label": "Display" },
      labelled("Time zone", this.zone), zones, labelled("Rows", this.size), this.csv, chooser);

    this.error = make("p", { role: "alert", className: "cdrkit-error" });
    this.status = make("p", { role: "status", className: "cdrkit-status" });
    this.head = make("tr");
    this.body = make("tbody");
    const caption = make("caption", {}, choices.within ? `Calls of ${choices.within}` : "Calls");
    const table = make("table", {}, caption, make("thead", {}, this.head), this.body);
    this.turns = Object.fromEntries(["first", "previous", "next"].map((to) => [to,
      make("button", { type: "button", onclick: () => this.send({ do: "page", to }) }, to[0].toUpperCase() + to.slice(1))]));
    this.sound = make("audio", { controls: true });
    this.playing = make("span");
    this.player = make("div", { className: "cdrkit-player", role: "group", "aria-label": "Player", hidden: true },
      this.playing, this.sound);
    this.root = make("div", { className: "cdrkit" }, this.form, bar, this.error, this.status,
      make("div", { className: "cdrkit-table", tabIndex: 0, role: "region", "aria-label": "Table of calls" }, table),
      make("div", { className: "cdrkit-bar", role: "group", "aria-label": "Pages" }, ...Object.values(this.turns)),
      this.player);
    // Keys stay in the viewer: a notebook has commands of its own for Enter and letters.
    this.root.dataset.lmSuppressShortcuts = "true";
    this.root.onkeydown = (event) => event.stopPropagation();
    el.append(this.root);

    this.form.onsubmit = (event) => { event.preventDefault(); this.filter(); };
    this.period.onchange = () => {
      this.range.hidden = this.period.value !== "custom";
      if (this.range.hidden) this.filter(); else this.start.focus();
    };
    this.connected.onchange = () => this.filter();
    this.role.onchange = () => { if (this.number.value) this.filter(); };
    clear.onclick = () => { this.said = null; this.send({ do: "filter", filters: {} }); };
    this.zone.onchange = () => this.send({ do: "zone", timezone: this.zone.value });
    this.size.onchange = () => this.send({ do: "size", page_size: Number(this.size.value) });
    this.csv.onclick = () => this.fetch({ do: "csv" });
    for (const box of this.boxes) box.onchange = () => this.choose();
    this.sound.onerror = () => {
      if (this.sound.src) this.playing.textContent += ": this browser cannot play it";
    };
  }

  filter() {
    const custom = this.period.value === "custom";
    if (custom && (this.start.validity.badInput || this.end.validity.badInput)) {
      this.error.textContent = "A time has a date and a time of day.";
      return;
    }
    this.send({
      do: "filter",
      filters: {
        connected: this.connected.checked ? "1" : "",
        during: custom ? "" : this.period.value,
        start: custom ? this.start.value : "",
        end: custom ? this.end.value : "",
        number: this.number.value.trim(),
        role: this.number.value.trim() ? this.role.value : "",
      },
    });
  }

  choose() {
    const wanted = this.boxes.filter((box) => box.checked).map((box) => box.value);
    const before = this.model.get("view").columns.map((column) => column.name);
    const kept = before.filter((name) => wanted.includes(name));
    this.send({ do: "columns", columns: [...kept, ...wanted.filter((name) => !before.includes(name))] });
  }

  // -- the state from Python ---------------------------------------------------------------------------------------

  update() {
    const view = this.model.get("view");
    this.root.removeAttribute("aria-busy");
    this.error.textContent = view.error;
    // Text in a focused or rejected field stays, so that the user can continue or correct it.
    const said = view.error ? null : JSON.stringify([view.filters, view.timezone, view.page_size]);
    if (said !== null && said !== this.said) this.fill(view);
    this.said = said;
    const last = view.first + view.rows.length - 1;
    const which = view.rows.length ? `${view.first.toLocaleString("en")}–${last.toLocaleString("en")} of ` : "";
    this.status.textContent =
      `${which}${view.total.toLocaleString("en")} calls. Times in ${view.timezone}. ${view.note}`;
    this.turns.first.disabled = this.turns.previous.disabled = !view.has_previous;
    this.turns.next.disabled = !view.has_next;
    this.csv.disabled = view.total === 0;
    this.showHead(view);
    this.body.replaceChildren(...view.rows.map((row, at) => this.row(view, row, at)));
  }

  fill(view) {
    const { filters } = view;
    const custom = "start" in filters || "end" in filters;
    this.period.value = custom ? "custom" : filters.during ?? "";
    this.range.hidden = !custom;
    this.start.value = filters.start ?? "";
    this.end.value = filters.end ?? "";
    this.number.value = filters.number ?? "";
    this.role.value = filters.role ?? "";
    this.connected.checked = filters.connected === "1";
    this.zone.value = view.timezone;
    this.size.value = String(view.page_size);
  }

  showHead(view) {
    const names = view.columns.map((column) => column.name);
    for (const box of this.boxes) box.checked = names.includes(box.value);
    this.chosen.textContent = `Columns (${names.length})`;
    if (this.heads !== names.join()) {
      this.heads = names.join();
      const heads = view.columns.map((column) => make("th", { scope: "col", className: `cdrkit-${column.kind}` },
        make("button", { type: "button", onclick: () => this.send({ do: "sort", field: column.name }) }, column.label)));
      this.head.replaceChildren(make("th", { scope: "col" }, "Sound"), ...heads);
    }
    const [first] = view.order;
    view.columns.forEach((column, at) => {
      const sorted = first === column.name ? "ascending" : first === `-${column.name}` ? "descending" : "none";
      this.head.children[at + 1].setAttribute("aria-sort", sorted);
    });
  }

  row(view, row, at) {
    const cells = row.text.map((text, place) => {
      const { kind } = view.columns[place];
      const cell = make("td", { className: `cdrkit-${kind}`, textContent: text });
      if (kind !== "text" && row.raw[place] !== null) cell.title = String(row.raw[place]);
      return cell;
    });
    const play = make("button", { type: "button", "aria-label": `Play the recording of row ${view.first + at}` }, "Play");
    play.onclick = () => this.fetch({ do: "play", row: at, turn: view.turn });
    return make("tr", {}, make("td", {}, ...(row.sound ? [play] : [])), ...cells);
  }

  // -- files, piece by piece ----------------------------------------------------------------------------------

  fetch(command) {
    this.token = crypto.randomUUID?.() ?? String(Math.random());
    this.pieces = [];
    this.send({ ...command, token: this.token });
  }

  receive(message, buffers) {
    if (message.token !== this.token) return; // another display of this viewer requested it
    if (message.file) {
      this.file = message;
      this.model.send({ do: "more", token: this.token });
    } else if (message.piece === "more") {
      this.pieces.push(buffers[0]);
      this.status.textContent = `${this.file.file}: ${this.pieces.length} pieces …`;
      this.model.send({ do: "more", token: this.token });
    } else {
      this.token = null;
      if (message.piece === "end") this.take();
    }
  }

  take() {
    const { file, type, use } = this.file;
    const url = URL.createObjectURL(new Blob(this.pieces, { type }));
    this.pieces = [];
    if (use === "play") {
      if (this.sound.src) URL.revokeObjectURL(this.sound.src);
      this.sound.src = url;
      this.playing.textContent = file;
      this.player.hidden = false;
      this.sound.play().catch(() => {}); // the user can press play
    } else {
      make("a", { href: url, download: file }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    }
    this.status.textContent = use === "play" ? `Playing ${file}.` : `${file} is downloaded.`;
  }
}

export default {
  render({ model, el }) {
    const display = new Display(model, el);
    return () => display.leave();
  },
};
