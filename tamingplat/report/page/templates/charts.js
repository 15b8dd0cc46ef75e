// Charts: what a series has at a point, by pointing at it or with the arrow keys.
(() => {
  const data = JSON.parse(document.getElementById("chart-data").textContent);

  document.querySelectorAll(".plot").forEach((plot) => {
    const { series } = data[plot.dataset.chart];
    const figure = plot.closest("figure");
    const tip = plot.querySelector(".tip");
    const said = figure.querySelector(".said");
    const drawings = [...plot.querySelectorAll("svg[data-against]")];
    const drawing = () => drawings.find((one) => !one.hasAttribute("hidden"));
    let at = null;

    function clear() {
      at = null;
      tip.hidden = true;
      drawings.forEach((one) => {
        one.querySelector(".cursor").setAttribute("hidden", "");
        one.querySelectorAll(".dimmed").forEach((line) => line.classList.remove("dimmed"));
      });
    }

    function show(line, index, speak) {
      const svg = drawing();
      const one = series[line];
      const [x, y] = [one.x[svg.dataset.against][index], one.y[index]];
      at = [line, index];
      const cursor = svg.querySelector(".cursor");
      cursor.removeAttribute("hidden");
      cursor.querySelector(".rule").setAttribute("transform", `translate(${x},0)`);
      cursor.querySelector("circle").setAttribute("transform", `translate(${x},${y})`);
      svg.querySelectorAll("g.series").forEach((other, number) => other.classList.toggle("dimmed", number !== line));
      const text = one.text[index].startsWith(one.name) ? one.text[index] : `${one.name}: ${one.text[index]}`;
      tip.textContent = text;
      tip.hidden = false;
      const scale = svg.clientWidth / svg.viewBox.baseVal.width;
      const left = Math.min(Math.max(0, x * scale - tip.offsetWidth / 2), plot.clientWidth - tip.offsetWidth);
      const above = y * scale - tip.offsetHeight - 12;
      tip.style.left = `${left}px`;
      tip.style.top = `${above < 0 ? y * scale + 14 : above}px`;
      if (speak) said.textContent = text;
    }

    function nearest(event) {
      const svg = drawing();
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      let found = null;
      let least = Infinity;
      series.forEach((one, line) => {
        one.x[svg.dataset.against].forEach((across, index) => {
          const distance = (across - x) ** 2 + (one.y[index] - y) ** 2;
          if (distance < least) [least, found] = [distance, [line, index]];
        });
      });
      return found;
    }

    plot.addEventListener("pointermove", (event) => {
      const found = nearest(event);
      if (found) show(found[0], found[1], false);
    });
    plot.addEventListener("pointerdown", (event) => {
      const found = nearest(event);
      if (found) show(found[0], found[1], false);
    });
    plot.addEventListener("pointerleave", clear);
    plot.addEventListener("blur", clear);
    plot.addEventListener("focus", () => {
      if (!at && plot.matches(":focus-visible")) show(0, series[0].y.length - 1, true);
    });
    plot.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return clear();
      const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -Infinity], End: [0, Infinity] };
      const move = moves[event.key];
      if (!move) return undefined;
      event.preventDefault();
      const [line, index] = at || [0, series[0].y.length];
      const next = (line + move[0] + series.length) % series.length;
      const last = series[next].y.length - 1;
      return show(next, Math.min(last, Math.max(0, index + move[1])), true);
    });
    figure.querySelectorAll(".against input").forEach((choice) => {
      choice.addEventListener("change", () => {
        clear();
        drawings.forEach((one) => one.toggleAttribute("hidden", one.dataset.against !== choice.value));
      });
    });
  });
})();
