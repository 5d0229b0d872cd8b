import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it, vi } from 'vitest';
import { frontPage } from './front-page.ts';

async function pageOf(config: Parameters<typeof frontPage>[0]): Promise<string> {
  const request = { complete: true, headers: {} } as unknown as IncomingMessage;
  const end = vi.fn<(body: string) => void>();
  const response = { req: request, writeHead: vi.fn(), end } as unknown as ServerResponse;
  const match = { path: '/', rest: '', query: new URLSearchParams() };
  await frontPage(config).handler(request, response, match);
  const [[body] = ['']] = end.mock.calls;
  return body;
}

describe('the page of an edge', () => {
  it('names the node, as text, and how to connect', async () => {
    const body = await pageOf({ nodeId: 'edge-<script>', demoUrl: undefined });
    expect(body).toContain('<b>edge-&lt;script></b>');
    expect(body).toContain('tradewind.v1.json');
    expect(body).not.toContain('<script');
    expect(body).not.toContain('<a ');
  });

  it('points to the demo where there is one', async () => {
    const demoUrl = 'http://127.0.0.1:8070/?a="b';
    const body = await pageOf({ nodeId: 'edge-1', demoUrl });
    expect(body).toContain('<a href="http://127.0.0.1:8070/?a=&quot;b">');
  });
});
