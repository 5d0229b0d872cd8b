// Runs in the page of the report, behind uPlot, and is inlined there as it is.
(() => {
  const HEIGHT = 260;
  const LINE_WIDTH = 2;
  const FONT_SIZE = 12;
  const FONT = 'system-ui, sans-serif';
  const LABEL_FONT = `${FONT_SIZE}px ${FONT}`;
  /** Above the plot, where the names of the bands stand. */
  const NAMES_HEIGHT = 22;
  /** uPlot's number of this distribution. */
  const LOGARITHMIC = 3;
  const LINE_COLOURS = ['--one', '--two', '--three'];

  const plots = JSON.parse(document.getElementById('plots').textContent);
  const figures = [...document.querySelectorAll('figure.plot')];
  let drawn = [];

  function colour(variable) {
    return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
  }

  function draw(plot, figure) {
    const { options, data, bands } = plot;
    const grid = { stroke: colour('--rule'), width: 1 };
    const axisStyle = {
      stroke: colour('--soft'),
      font: LABEL_FONT,
      labelFont: LABEL_FONT,
      ticks: grid,
    };
    return new uPlot(
      {
        ...options,
        width: figure.clientWidth,
        height: HEIGHT,
        padding: [NAMES_HEIGHT, null, null, null],
        axes: options.axes.map((each, i) => ({
          ...each,
          ...axisStyle,
          ...(i === 1 && options.scales.y.distr === LOGARITHMIC && { filter: readable }),
          grid:
            i === 1 && options.scales.y.distr === LOGARITHMIC
              ? { ...grid, filter: powersOfTen }
              : grid,
        })),
        series: options.series.map((each, i) =>
          i === 0 ? each : { ...each, stroke: colour(LINE_COLOURS[i - 1]), width: LINE_WIDTH },
        ),
        // The bands lie below the lines and the grid.
        hooks: { drawClear: [(chart) => drawBands(chart, bands)] },
      },
      data,
      figure,
    );
  }

  /** Leaves one line of the grid for each power of ten: those between hide the plot. */
  function powersOfTen(_, values) {
    return values.map((value) => (Number.isInteger(Math.log10(value)) ? value : null));
  }

  /** Names the values that begin with 1, 2 or 5: with powers of ten alone there would be one or two. */
  function readable(_, values) {
    return values.map((value) => {
      const first = Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9));
      return [1, 2, 5].includes(first) ? value : null;
    });
  }

  /** Shades every second band, and names a band if it is wide enough for its name. */
  function drawBands(chart, bands) {
    const { ctx, bbox } = chart;
    const inside = (x) => Math.max(bbox.left, Math.min(bbox.left + bbox.width, x));
    const margin = 4 * devicePixelRatio;
    ctx.save();
    ctx.font = `${FONT_SIZE * devicePixelRatio}px ${FONT}`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'bottom';
    bands.forEach(({ name, from, to }, i) => {
      const left = inside(chart.valToPos(from, 'x', true));
      const width = inside(chart.valToPos(to, 'x', true)) - left;
      if (i % 2 === 1) {
        ctx.fillStyle = colour('--band');
        ctx.fillRect(left, bbox.top, width, bbox.height);
      }
      if (ctx.measureText(name).width > width) return;
      ctx.fillStyle = colour('--soft');
      ctx.fillText(name, left, bbox.top - margin);
    });
    ctx.restore();
  }

  function drawAll() {
    for (const chart of drawn) chart.destroy();
    drawn = plots.map((plot, i) => draw(plot, figures[i]));
  }

  drawAll();
  addEventListener('resize', () => {
    drawn.forEach((chart, i) => {
      chart.setSize({ width: figures[i].clientWidth, height: HEIGHT });
    });
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
})();
