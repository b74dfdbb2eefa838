const toc = document.querySelector("details.toc");
if (toc && matchMedia("(max-width: 70rem)").matches) toc.open = false;
const button = document.querySelector("#all-code");
if (button) {
  button.hidden = false;
  button.onclick = () => {
    const show = button.textContent.startsWith("Show");
    document.querySelectorAll("details.code").forEach((code) => (code.open = show));
    button.textContent = show ? "Hide all code" : "Show all code";
  };
}
