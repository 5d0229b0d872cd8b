import type { Follower, Tick } from './follower.ts';

/** How many ms one pixel stands for: the tape shows half a minute on a desk, and ten seconds on a phone. */
const MS_PER_PIXEL = 26;

/** How often the tape is drawn, in ms: 30 times a second, or once where people want no movement. */
const FRAME_MS = 33;
const STILL_FRAME_MS = 1_000;

/** The measures of a lane and of its ticks, in px. */
const LANE_HEIGHT = 26;
const TICK_HEIGHT = 10;
const RECOVERED_HEIGHT = 20;
const LABEL_WIDTH = 96;
const AXIS_HEIGHT = 18;

/** How long colours are kept, in ms: the scheme may change. */
const COLOURS_MS = 1_000;

/** The properties of the style sheet that the tape draws with. */
const COLOURS = [
  '--node-1',
  '--node-2',
  '--recovered',
  '--outage',
  '--line',
  '--text',
  '--muted',
] as const;

type Colour = (typeof COLOURS)[number];

/** What nodes look like; a third one would look like the first. */
const NODE_COLOURS: readonly Colour[] = ['--node-1', '--node-2'];

/**
 * Draws each trade at the moment when it was published, in the colour of the node that delivered it. What came from history after
 * a move stands taller, in the place where it would be missing.
 */
export class Tape {
  readonly #canvas: HTMLCanvasElement;
  readonly #follower: Follower;
  readonly #nodes: readonly string[];
  readonly #still = matchMedia('(prefers-reduced-motion: reduce)');
  /** Stands for the canvas where a colour is asked for: a property that depends on the scheme is only resolved when it is used. */
  readonly #probe = document.createElement('i');
  readonly #colours = new Map<Colour, string>();
  #colouredAt = Number.NEGATIVE_INFINITY;
  #drawnAt = 0;

  /** @param nodes the names of all nodes, in the order of their colours. */
  constructor(canvas: HTMLCanvasElement, follower: Follower, nodes: readonly string[]) {
    this.#canvas = canvas;
    this.#follower = follower;
    this.#nodes = nodes;
    this.#probe.hidden = true;
    canvas.after(this.#probe);
    requestAnimationFrame((now) => this.#frame(now));
  }

  #frame(now: number): void {
    if (now - this.#drawnAt >= (this.#still.matches ? STILL_FRAME_MS : FRAME_MS)) {
      this.#drawnAt = now;
      if (now - this.#colouredAt > COLOURS_MS) this.#readColours(now);
      this.#draw();
    }
    requestAnimationFrame((next) => this.#frame(next));
  }

  #draw(): void {
    const { rows, outages } = this.#follower;
    const canvas = this.#canvas;
    const width = canvas.clientWidth;
    const height = rows.length * LANE_HEIGHT + AXIS_HEIGHT;
    const scale = devicePixelRatio;
    const context = canvas.getContext('2d');
    if (context === null || width === 0) return;
    if (
      canvas.width !== Math.round(width * scale) ||
      canvas.height !== Math.round(height * scale)
    ) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.height = `${height}px`;
    }
    const colour = (name: Colour): string => this.#colours.get(name) ?? '';
    const now = Date.now();
    const x = (at: number): number => width - (now - at) / MS_PER_PIXEL;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);

    context.fillStyle = colour('--outage');
    for (const { from, to } of outages) {
      const left = Math.max(LABEL_WIDTH, x(from));
      const right = x(to ?? now);
      if (right > left) context.fillRect(left, 0, right - left, height - AXIS_HEIGHT);
    }
    for (const [lane, row] of rows.entries()) {
      const middle = lane * LANE_HEIGHT + LANE_HEIGHT / 2;
      context.fillStyle = colour('--line');
      context.fillRect(LABEL_WIDTH, (lane + 1) * LANE_HEIGHT - 1, width - LABEL_WIDTH, 1);
      for (const tick of row.ticks) {
        const left = x(tick.at);
        if (left < LABEL_WIDTH) continue;
        const tall = tick.recovered ? RECOVERED_HEIGHT : TICK_HEIGHT;
        context.fillStyle = colour(this.#colourOf(tick));
        context.fillRect(left - 2, middle - tall / 2, 2, tall);
      }
      context.fillStyle = colour('--text');
      context.font = '12px system-ui, sans-serif';
      context.textBaseline = 'middle';
      context.fillText(row.name, 0, middle, LABEL_WIDTH - 10);
    }
    this.#drawAxis(context, width, height, colour('--muted'));
  }

  #colourOf({ node, recovered }: Tick): Colour {
    if (recovered) return '--recovered';
    const at = Math.max(0, this.#nodes.indexOf(node));
    return NODE_COLOURS[at % NODE_COLOURS.length] ?? '--node-1';
  }

  #readColours(now: number): void {
    this.#colouredAt = now;
    for (const name of COLOURS) {
      this.#probe.style.color = `var(${name})`;
      this.#colours.set(name, getComputedStyle(this.#probe).color);
    }
  }

  #drawAxis(
    context: CanvasRenderingContext2D,
    width: number,
    height: number,
    colour: string,
  ): void {
    context.fillStyle = colour;
    context.font = '11px system-ui, sans-serif';
    context.textBaseline = 'alphabetic';
    context.textAlign = 'right';
    context.fillText('now', width, height - 4);
    const seconds = ((width - LABEL_WIDTH) * MS_PER_PIXEL) / 1_000;
    context.textAlign = 'center';
    for (let age = 5; age < seconds; age += 5) {
      context.fillText(`−${age} s`, width - (age * 1_000) / MS_PER_PIXEL, height - 4);
    }
    context.textAlign = 'left';
  }
}
