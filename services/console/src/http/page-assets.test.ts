import { describe, expect, it } from 'vitest';
import { loadPage, MAX_PAGE_GZIP_BYTES } from './page-assets.ts';
import { RUNBOOK_PATH } from './runbook-path.ts';

describe('the page', () => {
  it('is small, whole, and asks no other host for anything', async () => {
    const assets = await loadPage();
    expect([...assets.keys()]).toEqual(['/', '/page.js', '/page.css', RUNBOOK_PATH]);
    // Only a click loads the runbook.
    const atOnce = [...assets].filter(([path]) => path !== RUNBOOK_PATH);
    const bytes = atOnce.reduce((sum, [, { gzipped }]) => sum + gzipped.length, 0);
    expect(bytes).toBeLessThan(MAX_PAGE_GZIP_BYTES);
    const html = String(assets.get('/')?.body);
    expect(html).not.toMatch(/(?:src|href)="https?:/);
    expect(html).not.toContain('<script>');
    expect(String(assets.get('/page.css')?.body)).not.toContain('url(');
  });
});
