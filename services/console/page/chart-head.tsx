import { canZoomIn, moveZoom, RANGES, type Range, range, zoom, zoomIn } from './history.ts';

/** What time the charts show. All that dragging over a chart does can be done here by single clicks, and by keys. */
export function ChartHead() {
  const isZoomed = zoom.value !== undefined;
  return (
    <div class="card-head">
      <h2>What it did</h2>
      <fieldset class="choice" aria-label="Time that charts show">
        {isZoomed && (
          <>
            <button type="button" onClick={() => moveZoom(-1)}>
              ← Earlier
            </button>
            <button type="button" onClick={() => moveZoom(1)}>
              Later →
            </button>
            <button
              type="button"
              onClick={() => {
                zoom.value = undefined;
              }}
            >
              Show all of it
            </button>
          </>
        )}
        <button type="button" disabled={!canZoomIn.value} onClick={zoomIn}>
          Zoom in
        </button>
        {Object.entries(RANGES).map(([each, { name }]) => (
          <button
            key={each}
            type="button"
            aria-pressed={range.value === each}
            onClick={() => {
              range.value = each as Range;
              zoom.value = undefined;
            }}
          >
            {name}
          </button>
        ))}
      </fieldset>
    </div>
  );
}
