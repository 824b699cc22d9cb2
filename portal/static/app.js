/* Small conveniences; every page works without them. Behaviour hangs on data attributes:
   data-copy="text" or data-copy-from="#id"   copy to the clipboard
   data-dialog="#id" / data-close             open a <dialog> / close what the button sits in
   .drop                                      a file field that takes dropped files and names the chosen one
   data-submit-on-change                      submit the form when this control changes
   data-reveal="#id"                          show or hide a password
   data-confirm="question"                    on a submit button: ask before the form is sent */
(function () {
  "use strict";

  const copy = async (button) => {
    const from = button.dataset.copyFrom && document.querySelector(button.dataset.copyFrom);
    await navigator.clipboard.writeText(from ? (from.value ?? from.textContent) : button.dataset.copy);
    const label = button.querySelector("[data-copied]") || button;
    const before = label.textContent;
    label.textContent = button.dataset.done || before;
    setTimeout(() => { label.textContent = before; }, 1600);
  };

  const close = (button) => {
    const dialog = button.closest("dialog");
    if (dialog) dialog.close();
    else button.closest(".alert")?.remove();
  };

  const reveal = (button) => {
    const field = document.querySelector(button.dataset.reveal);
    const shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy],[data-copy-from],[data-dialog],[data-close],[data-reveal]");
    if (!button) {
      document.querySelectorAll("details.menu[open]").forEach((menu) => {
        if (!menu.contains(event.target)) menu.open = false;
      });
      return;
    }
    if (button.matches("[data-copy],[data-copy-from]")) copy(button);
    else if (button.dataset.dialog) document.querySelector(button.dataset.dialog).showModal();
    else if (button.dataset.reveal) reveal(button);
    else close(button);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) window.print();
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit();
    const drop = event.target.closest(".drop");
    if (drop && event.target.type === "file") {
      const name = drop.querySelector(".drop-name");
      name.textContent = [...event.target.files].map((file) => file.name).join(", ") || name.dataset.empty;
    }
  });

  for (const [kind, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
    document.addEventListener(kind, (event) => {
      event.target.closest?.(".drop")?.classList.toggle("over", over);
    });
  }

  /* Asked before htmx or the browser sends the form: hence in the capturing phase. */
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.dataset.confirm || button.dataset.confirmed) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const dialog = document.querySelector("#confirm");
    dialog.querySelector("#confirm-text").textContent = button.dataset.confirm;
    dialog.returnValue = "no";
    dialog.onclose = () => {
      if (dialog.returnValue !== "yes") return;
      button.dataset.confirmed = "yes";
      event.target.requestSubmit(button);
      delete button.dataset.confirmed;
    };
    dialog.showModal();
  }, true);

  /* A dialog fetched by htmx opens itself. */
  document.addEventListener("htmx:after:swap", () => {
    document.querySelectorAll("dialog[data-open]:not([open])").forEach((dialog) => dialog.showModal());
  });
})();
