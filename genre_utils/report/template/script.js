const toc = document.querySelector("details.toc");
if (toc && matchMedia("(max-width: 70rem)").matches) toc.open = false;

// code is hidden until it is asked for
const button = document.querySelector("#all-code");
if (button && document.querySelector("details.code")) {
  button.hidden = false;
  document.body.classList.add("no-code");
  button.onclick = () => {
    const hidden = document.body.classList.toggle("no-code");
    document.querySelectorAll("details.code").forEach((code) => (code.open = !hidden));
    button.textContent = hidden ? "Show the code" : "Hide the code";
  };
}

// a tab stop where something scrolls, and nowhere else
const stops = () => document.querySelectorAll(".wide, pre, .math").forEach((box, place) => {
  if (box.scrollWidth > box.clientWidth + 1) {
    const caption = box.querySelector("caption")?.textContent;
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", caption ?? `Scrolls sideways, place ${place + 1}`);
  } else {
    box.removeAttribute("tabindex");
    box.removeAttribute("role");
    box.removeAttribute("aria-label");
  }
});
stops();
addEventListener("resize", stops);
document.addEventListener("toggle", stops, true);

// a figure is enlarged by a click, or by the keyboard
const zoom = document.createElement("dialog");
zoom.innerHTML = '<form method="dialog"><button autofocus>Close</button></form><img alt="">';
document.querySelectorAll("figure.plot img").forEach((image, place) => {
  const opener = document.createElement("button");
  opener.type = "button";
  opener.className = "zoom";
  opener.title = "Enlarge";
  image.replaceWith(opener);
  opener.append(image);
  opener.onclick = () => {
    if (!zoom.isConnected) document.body.append(zoom);
    Object.assign(zoom.lastChild, { src: image.src, alt: image.alt });
    zoom.showModal();
  };
});
zoom.onclick = (event) => { if (event.target !== zoom.firstChild) zoom.close(); };

// print shows what is folded
addEventListener("beforeprint", () => document.querySelectorAll("details:not(.code, .toc)")
  .forEach((details) => (details.open = true)));
