// A form that is sent is not sent twice: its button rests until the answer comes, or until one comes back to the page.
function resting(form, rest) {
  for (const button of form.querySelectorAll("button")) {
    if (rest) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
    button.classList.toggle("resting", rest);
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if ((event.submitter?.formMethod || form.method) !== "post" || form.matches(".try") || event.defaultPrevented) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
  resting(form, true);
});

window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    resting(form, false);
  }
});
