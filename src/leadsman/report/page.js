// Starts the page: charts, the sliders, and everything opened for print.
"use strict";
(() => {
  Chart.showAll(document);
  const root = document.querySelector("#try");
  if (root) window.leadsman = Explore.start(root);
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((each) => { each.open = true; });
  });
  window.addEventListener("afterprint", () => closed.forEach((each) => { each.open = false; }));
})();
