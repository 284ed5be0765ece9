// Plots follow the page: its width, and light or dark.
(function () {
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function repaint() {
    var ink = dark.matches ? "#e8ecf0" : "#1b1f24";
    var sheet = dark.matches ? "#1d232a" : "#ffffff";
    document.querySelectorAll(".js-plotly-plot").forEach(function (plot) {
      Plotly.relayout(plot, { "font.color": ink, "hoverlabel.bgcolor": sheet,
        "hoverlabel.font.color": ink });
    });
  }
  dark.addEventListener("change", repaint);
  window.addEventListener("load", repaint);
})();
