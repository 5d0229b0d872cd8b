import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it, vi } from 'vitest';
import { frontPage } from './front-page.ts';

describe('the page of an edge', () => {
  it('names the node, as text, and how to connect', async () => {
    const request = { complete: true, headers: {} } as unknown as IncomingMessage;
    const end = vi.fn<(body: string) => void>();
    const response = { req: request, writeHead: vi.fn(), end } as unknown as ServerResponse;
    const match = { path: '/', rest: '', query: new URLSearchParams() };
    await frontPage('edge-<script>').handler(request, response, match);
    const [[body] = ['']] = end.mock.calls;
    expect(body).toContain('<b>edge-&lt;script></b>');
    expect(body).toContain('tradewind.v1.json');
    expect(body).not.toContain('<script');
  });
});
