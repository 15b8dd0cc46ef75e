"use strict";
// The table: sorting within rankings, and filtering by words and by single columns.
(() => {
  const table = document.getElementById("results-table");
  const form = document.getElementById("filters");
  const shown = document.getElementById("shown");
  const search = document.getElementById("search");
  const headings = [...table.tHead.rows[0].cells];
  const bodies = [...table.tBodies];
  const original = bodies.map((body) => [...body.rows]);
  const compared = original[0];
  let sorting = "";

  const place = (cell) => (cell.dataset.ranking ? Number(cell.dataset.ranking) : Infinity);
  const numeric = (index) => headings[index].dataset.kind !== "name" && headings[index].dataset.kind !== "status";

  // Missing values come last, whichever way.
  function byValue(index, sign) {
    return (one, other) => {
      const [a, b] = [one.cells[index].dataset.sort, other.cells[index].dataset.sort];
      if (!a || !b) return (a ? 0 : 1) - (b ? 0 : 1);
      return sign * (numeric(index) ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true }));
    };
  }

  function sort(index, direction) {
    headings.forEach((heading, at) => heading.setAttribute("aria-sort", at === index ? direction : "none"));
    const heading = headings[index];
    const split = Number(heading.dataset.rankings) > 1;
    bodies.forEach((body, number) => {
      const rows = [...original[number]];
      if (direction !== "none") {
        const values = byValue(index, direction === "ascending" ? 1 : -1);
        // Lines of different rankings are not comparable, and never sorted among each other.
        const apart = (one, other) => {
          const [a, b] = [place(one.cells[index]), place(other.cells[index])];
          return a === b ? 0 : a - b;
        };
        rows.sort((one, other) => (split && number === 0 ? apart(one, other) : 0) || values(one, other));
      }
      let before = null;
      rows.forEach((row) => {
        const ranking = split && number === 0 && direction !== "none" ? row.cells[index].dataset.ranking || "" : null;
        row.classList.toggle("first-of-ranking", before !== null && ranking !== null && ranking !== before);
        before = ranking;
        body.append(row);
      });
    });
    sorting = "";
    if (direction !== "none") {
      sorting = ` Sorted by ${heading.dataset.label}, ${direction}`;
      sorting += split ? `, within each of ${heading.dataset.rankings} rankings, which differ in ${heading.dataset.split}.` : ".";
    }
    count();
  }

  headings.forEach((heading, index) => {
    heading.querySelector("button").addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort");
      // The better end first; then the other way; then as the manifest has it.
      const first = heading.dataset.better === "higher" ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      sort(index, now === first ? second : now === second ? "none" : first);
    });
  });

  function condition(word) {
    const parts = /^([^<>=]+)(<=|>=|<|>|=)(.+)$/.exec(word);
    if (!parts) return (row) => row.textContent.toLowerCase().includes(word);
    const [, name, relation, value] = parts;
    const labels = headings.map((heading) => heading.dataset.label.toLowerCase().replaceAll(" ", "-"));
    let index = labels.indexOf(name);
    if (index < 0) index = labels.findIndex((label) => label.startsWith(name));
    if (index < 0) return null;
    if (relation === "=") return (row) => row.cells[index].textContent.toLowerCase().includes(value);
    const limit = Number(value);
    if (!numeric(index) || Number.isNaN(limit)) return null;
    const holds = { "<": (a) => a < limit, ">": (a) => a > limit, "<=": (a) => a <= limit, ">=": (a) => a >= limit }[relation];
    return (row) => Boolean(row.cells[index].dataset.sort) && holds(Number(row.cells[index].dataset.sort));
  }

  function filter() {
    const conditions = search.value.toLowerCase().split(/\s+/).filter(Boolean).map(condition);
    const wrong = conditions.includes(null);
    search.parentElement.classList.toggle("wrong", wrong);
    search.setAttribute("aria-invalid", String(wrong));
    form.querySelectorAll("select").forEach((select) => {
      const index = headings.findIndex((heading) => heading.dataset.label === select.dataset.filter);
      if (select.value && index >= 0) conditions.push((row) => row.cells[index].textContent.trim() === select.value);
    });
    original.flat().forEach((row) => {
      row.hidden = !conditions.every((holds) => holds === null || holds(row));
    });
    count();
  }

  function count() {
    const visible = compared.filter((row) => !row.hidden).length;
    const wrong = search.getAttribute("aria-invalid") === "true";
    shown.textContent = `${visible} of ${compared.length} combinations shown.${wrong ? " A condition names no column, or no number." : ""}${sorting}`;
  }

  form.addEventListener("input", filter);
  form.addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("every-column").addEventListener("change", (event) => {
    table.classList.toggle("every", event.target.checked);
  });
  document.getElementById("show-all").addEventListener("click", () => {
    form.reset();
    table.classList.remove("every");
    sort(0, "none");
    filter();
  });
  form.hidden = false;
  filter();
})();
