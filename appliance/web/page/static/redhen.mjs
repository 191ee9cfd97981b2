// What makes the pages nicer. Every page works without it.

// A line from a friend comes in the fragment, which no browser sends anywhere.
const ticket = document.getElementById("f-ticket");
if (ticket && location.hash.length > 20) {
  ticket.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  document.getElementById("f-house")?.focus();
}

// At a box that is in a circle already, it goes on to the one that is meant.
if (location.hash.length > 20) {
  for (const link of document.querySelectorAll("a[data-ticket]")) link.hash = location.hash;
}

// The one line that is read out: what changed on the page; and, for all to see, why
// nothing does: nobody waits for longer than patience without being told.
const patience = 8000;
const status = document.getElementById("status");
const say = (text, why = "") => {
  status.dataset.why = why;
  status.className = why ? "waits" : "hidden";
  if (status.textContent !== text) status.textContent = text;
};

// Pieces of a page that the box keeps up to date.
for (const part of document.querySelectorAll("[data-live]")) {
  const said = () => part.querySelector("[data-said]")?.textContent.trim() ?? "";
  let last = said();
  let silence;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => say(status.dataset.silent, "silent"), patience);
    if (status.dataset.why === "silent") say("");
  };
  const listen = () => {
    const source = new EventSource(part.dataset.live);
    source.addEventListener("still", heard);
    source.onmessage = (event) => {
      heard();
      const open = part.querySelector("details[open]");
      if (!open && !part.contains(document.activeElement)) part.innerHTML = event.data;
      if (said() !== last) say(last = said());
    };
    source.onerror = () => { // a browser gives up when it was refused
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, patience);
    };
  };
  heard();
  listen();
}

// So with a form whose answer does not come, but for those that save a file.
let slow;
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.matches("[data-download]") || event.submitter?.matches("[data-download]")) return;
  slow = setTimeout(() => say(status.dataset.slow, "slow"), patience);
});
addEventListener("pageshow", (event) => { // back again, as it was left
  if (!event.persisted) return;
  clearTimeout(slow);
  say("");
});

// A button that copies a line. Plain http has no clipboard but this old one.
for (const box of document.querySelectorAll("[data-copy]")) {
  const text = box.querySelector("textarea");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = box.dataset.copy;
  button.addEventListener("click", () => {
    text.select();
    if (document.execCommand("copy")) button.textContent = box.dataset.copied;
  });
  box.append(button);
}

// Uploads begin when files are chosen or dropped. They go in pieces: when the line
// breaks, each goes on where it was.
const ask = (method, url, body, progress) => new Promise((resolve, reject) => {
  const request = new XMLHttpRequest();
  if (progress) request.upload.onprogress = (event) => progress(event.loaded);
  request.onload = () => {
    let answer;
    try { answer = JSON.parse(request.responseText); } catch { return location.reload(); } // logged out
    request.status < 300 ? resolve(answer) : reject(answer);
  };
  request.onerror = request.ontimeout = () => reject({ again: true, broken: true });
  request.open(method, url);
  if (body) request.setRequestHeader("Content-Type", "application/octet-stream");
  request.send(body);
});
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const piece = 8 << 20;

const sendFile = async (file, begin, state) => {
  for (let tries = 0; ; tries++) {
    try {
      let { id, at } = await ask("POST", `${begin}/${encodeURIComponent(file.name)}?size=${file.size}&modified=${file.lastModified}`);
      state.id = id;
      for (;;) {
        const base = at;
        const answer = await ask("PUT", `/uploads/${id}?at=${at}`, file.slice(at, at + piece), (n) => state.show(base + n, false));
        if (answer.done) return id;
        at = answer.at;
        tries = 0;
      }
    } catch (why) {
      if (!why.again) throw why;
      state.show(null, why.broken);
      await pause(Math.min(15000, 500 * 2 ** tries));
    }
  }
};

const upload = document.querySelector("form.upload");
if (upload) {
  const input = upload.querySelector("input[type=file]");
  const panel = document.querySelector(".sending");
  const [line, bar, stop] = ["p", "progress", "button"].map((name) => panel.querySelector(name));
  let busy = false;
  const warn = (event) => event.preventDefault();
  const send = async (list) => {
    if (busy || !list.length) return;
    busy = true;
    addEventListener("beforeunload", warn);
    const files = [...list];
    const sent = files.map(() => 0);
    const total = files.reduce((sum, file) => sum + file.size, 0) || 1;
    const fields = [];
    const going = new Set();
    let done = 0;
    panel.hidden = false;
    let stuck, told = 0;
    const tell = (broken) => {
      clearTimeout(stuck);
      if (!broken) stuck = setTimeout(() => say(line.textContent = panel.dataset.waits), patience);
      const share = Math.min(1, sent.reduce((a, b) => a + b, 0) / total);
      bar.value = share;
      const text = broken ? panel.dataset.broken : panel.dataset.text.replace("{done}", done).replace("{all}", files.length).replace("{percent}", Math.floor(100 * share));
      if (line.textContent !== text) line.textContent = text;
      if (broken || done !== told) say(text);
      told = done;
    };
    const finish = () => {
      removeEventListener("beforeunload", warn);
      const form = document.createElement("form");
      form.method = "post";
      form.action = upload.dataset.done;
      for (const [name, value] of fields) {
        const field = document.createElement("input");
        Object.assign(field, { type: "hidden", name, value });
        form.append(field);
      }
      document.body.append(form);
      form.requestSubmit();
    };
    stop.onclick = async () => {
      await Promise.allSettled([...going].map((id) => ask("POST", `/uploads/${id}/stop`)));
      finish();
    };
    let next = 0;
    const worker = async () => {
      while (next < files.length) {
        const i = next++;
        const state = { show: (at, broken) => { if (at !== null) sent[i] = Math.min(at, files[i].size); tell(broken); }, set id(id) { going.add(id); this.current = id; } };
        try {
          fields.push(["id", await sendFile(files[i], upload.dataset.begin, state)]);
          done++;
        } catch (why) {
          fields.push(["failed", files[i].name], ["why", why.why ?? ""]);
        }
        going.delete(state.current);
        sent[i] = files[i].size;
        tell(false);
      }
    };
    tell(false);
    await Promise.all([worker(), worker()]);
    finish();
  };
  upload.classList.add("simple");
  input.addEventListener("change", () => send(input.files));
  upload.querySelector("button").addEventListener("click", (event) => {
    event.preventDefault();
    input.click();
  });
  const over = (on) => document.body.classList.toggle("dropping", on);
  document.addEventListener("dragover", (event) => { event.preventDefault(); over(true); });
  document.addEventListener("dragleave", (event) => event.relatedTarget || over(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    send(event.dataTransfer.files);
  });
}

// One menu at a time; a tap elsewhere closes it.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
