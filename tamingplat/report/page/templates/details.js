// Details of a line: a dialog that the address names, so that it can be linked to and the back button closes it.
(() => {
  const table = document.getElementById("results-table");
  const plain = () => window.location.pathname + window.location.search;
  let opener = null;
  let pushed = false;

  function fill(dialog) {
    // Pictures and settings are in the page once; a dialog takes its own copy when it is opened.
    dialog.querySelectorAll("img[data-from]").forEach((image) => {
      const source = document.getElementById(image.dataset.from);
      if (source && !image.src) image.src = source.src;
    });
    dialog.querySelectorAll("[data-copy]").forEach((target) => {
      const source = document.querySelector(`#${target.dataset.copy} pre`);
      if (source) target.replaceChildren(source.cloneNode(true));
      target.removeAttribute("data-copy");
    });
  }

  function follow() {
    const target = document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
    document.querySelectorAll("dialog[open]").forEach((dialog) => dialog !== target && dialog.close());
    if (target instanceof HTMLDialogElement) {
      if (!target.open) {
        fill(target);
        target.showModal();
        target.scrollTop = 0;
        target.querySelector("h2").focus({ preventScroll: true });
      }
      return;
    }
    // Where an address names something that is folded away, unfold it.
    for (let one = target; one; one = one.parentElement) if (one instanceof HTMLDetailsElement) one.open = true;
    if (target) target.scrollIntoView();
  }

  function open(anchor, from) {
    opener = from;
    pushed = true;
    window.location.hash = anchor;
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (link) {
      const target = document.getElementById(link.getAttribute("href").slice(1));
      if (target instanceof HTMLDialogElement) {
        event.preventDefault();
        open(target.id, link);
      }
      return;
    }
    const row = event.target.closest("tr[data-anchor]");
    const selected = String(window.getSelection());
    if (row && table.contains(row) && !selected) open(row.dataset.anchor, row.querySelector("a"));
  });

  document.querySelectorAll("dialog").forEach((dialog) => {
    dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => {
      if (window.location.hash.slice(1) === dialog.id) {
        if (pushed) window.history.back();
        else window.history.replaceState(null, "", plain());
      }
      pushed = false;
      if (opener) opener.focus({ preventScroll: true });
      opener = null;
    });
  });
  window.addEventListener("hashchange", follow);
  follow();
})();
