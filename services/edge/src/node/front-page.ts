import { WEBSOCKET_PATH } from '@tradewind/protocol';
import { type Route, sendText } from '@tradewind/runtime';
import type { EdgeConfig } from '../config/edge-config.ts';

/** The page may load nothing, and has only its own style. */
const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
} as const;

/** A gust of wind. It is part of the page, so that browsers request no file. */
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M1 5h9a2 2 0 1 0-2-2M1 8h12a2 2 0 1 1-2 2M1 11h6a2 2 0 1 1-2 2' fill='none' stroke='%232a6f97' stroke-width='1.5'/%3E%3C/svg%3E";

/** `GET /`, for people who open the address of an edge: what this is, and how to connect. */
export function frontPage({ nodeId, demoUrl }: Pick<EdgeConfig, 'nodeId' | 'demoUrl'>): Route {
  const demo =
    demoUrl === undefined
      ? ''
      : `<p><a href="${escapeText(demoUrl)}">The demo</a> shows what it does: prices, and what happens when a node ends.</p>\n`;
  const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Tradewind edge</title>
<link rel="icon" href="${ICON}">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 12vh auto; padding: 0 1.5rem; }
pre { padding: 1rem; border-radius: 8px; background: light-dark(#f1f3f5, #1b2229); overflow: auto; }
</style>
<h1>This is a Tradewind edge</h1>
<p>Its name is <b>${escapeText(nodeId)}</b>. It sends live trades to whoever watches their channel, over a WebSocket at <code>${WEBSOCKET_PATH}</code>. There is nothing to see here.</p>
${demo}<p>In a browser, in Node, Deno or Bun:</p>
<pre>import { connect } from '@tradewind/client';

const client = connect('wss://this-host${WEBSOCKET_PATH}');
for await (const { data } of client.channel('BTC.trade')) {
  console.log(data);
}</pre>
<p>Without it: connect to <code>${WEBSOCKET_PATH}</code> with the subprotocol <code>tradewind.v1.json</code>, and send</p>
<pre>{"type":"subscribe","id":"1","channels":["BTC.trade"]}</pre>
<p>Where <code>welcome</code> says <code>"auth":"required"</code>, a token comes first: <code>{"type":"auth","token":"…"}</code>. Your login makes it, as <code>docs/identity.md</code> says.</p>
<p>Operators open the console, which is a service of its own. Every frame is in <code>docs/protocol.md</code>.</p>
</html>
`;
  return {
    method: 'GET',
    path: '/',
    handler: (_request, response) => sendText(response, 200, page, HEADERS),
  };
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
