// What makes the pages nicer. Every page works without it.

// A line from a friend comes in the fragment, which no browser sends anywhere.
const ticket = document.getElementById("f-ticket");
if (ticket && location.hash.length > 20) {
  ticket.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  document.getElementById("f-house")?.focus();
}

// Pieces of a page that the box keeps up to date.
for (const part of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(part.dataset.live);
  source.onmessage = (event) => {
    const open = part.querySelector("details[open]");
    if (!open && !part.contains(document.activeElement)) part.innerHTML = event.data;
  };
}

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

// Uploads begin when files are chosen or dropped, and say how far they are.
const upload = document.querySelector("form.upload");
if (upload) {
  const input = upload.querySelector("input[type=file]");
  const progress = upload.querySelector(".progress");
  const send = (files) => {
    const data = new FormData();
    for (const file of files) data.append("files", file);
    const request = new XMLHttpRequest();
    request.upload.onprogress = (event) => {
      if (!event.lengthComputable) return;
      progress.hidden = false;
      progress.textContent = progress.dataset.text.replace("{percent}", Math.round((100 * event.loaded) / event.total));
    };
    request.onload = () => location.assign(request.responseURL);
    request.onerror = () => location.reload();
    request.open("POST", upload.action);
    request.send(data);
  };
  upload.classList.add("simple");
  input.addEventListener("change", () => input.files.length && send(input.files));
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
    if (event.dataTransfer.files.length) send(event.dataTransfer.files);
  });
}

// One menu at a time; a tap elsewhere closes it.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
