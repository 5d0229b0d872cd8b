import { render } from 'preact';
import { App } from './app.tsx';
import { Follower } from './follower.ts';
import { readTier, type Tier } from './tier.ts';

/** How often the figures are shown anew, in ms: prices change faster than people read. */
const SHOW_MS = 125;

/** How often `npm start` is asked for its tier, in ms. */
const TIER_MS = 500;

/** How long a fault of an action stays, in ms. */
const FAULT_MS = 6_000;

let tier: Tier | undefined;
let answers = true;
let lastUrl: string | undefined;
let fault: string | undefined;

/** The address for the next attempt: of another node than the last one, and of one that is ready if any is. */
function nextUrl(): string {
  const nodes = tier?.nodes ?? [];
  const ready = nodes.filter(({ condition }) => condition === 'ready');
  const candidates = ready.length > 0 ? ready : nodes;
  const next = candidates.find(({ wsUrl }) => wsUrl !== lastUrl) ?? candidates[0];
  lastUrl = next?.wsUrl ?? '';
  return lastUrl;
}

function show(follower: Follower): void {
  if (tier === undefined) return;
  render(
    <App
      tier={tier}
      answers={answers}
      follower={follower}
      fault={fault}
      onFault={(text) => {
        fault = text;
        if (text !== undefined) setTimeout(() => onFaultOver(text), FAULT_MS);
      }}
    />,
    document.body,
  );
}

function onFaultOver(text: string): void {
  if (fault === text) fault = undefined;
}

async function main(): Promise<void> {
  while (tier === undefined) {
    tier = await readTier();
    if (tier === undefined) await new Promise((resolve) => setTimeout(resolve, TIER_MS));
  }
  const follower = new Follower(nextUrl);
  const followAll = (): void => {
    for (const channel of tier?.channels ?? []) follower.follow(channel);
  };
  followAll();
  setInterval(() => show(follower), SHOW_MS);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, TIER_MS));
    const now = await readTier();
    answers = now !== undefined;
    tier = now ?? tier;
    followAll();
  }
}

void main();
