import { readFileSync } from 'node:fs';
import { CLOSE_CODES, ERROR_CODES } from '@tradewind/protocol';
import { type Limit, limitRows, readConfig } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import { type IngestConfig, readIngestConfig } from './config.ts';
import { INGEST_LIMITS, LIMITED_TOTAL } from './limits.ts';

const DOCUMENT = readFileSync(new URL('../../../docs/limits.md', import.meta.url), 'utf8');
const CONFIGURATION = readFileSync(
  new URL('../../../docs/configuration.md', import.meta.url),
  'utf8',
);
const METRICS = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
const LIMITS: readonly (readonly [string, Limit<IngestConfig>])[] = Object.entries(INGEST_LIMITS);

/** What a refusal may carry beside a code. */
const FIELDS = ['gap', 'id', 'reason', 'retryAfterMs', 'Retry-After', 'unsubscribed'];

describe('docs/limits.md, Ingest', () => {
  it('lists every limit with its default, and no other', () => {
    const [, body = ''] = DOCUMENT.split('\n## Ingest\n');
    const [table = ''] = body.split('\n## ');
    const rows = table.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows).toEqual(limitRows(INGEST_LIMITS, readConfig({}, readIngestConfig), LIMITED_TOTAL));
  });

  it.each(LIMITS)('%s: names variables, codes and metrics that there are', (_name, limit) => {
    for (const variable of limit.variables) expect(CONFIGURATION).toContain(`| \`${variable}\``);
    const codes = [...limit.told.matchAll(/`([\w-]+)`/g)].map(([, code]) => code);
    const known = [...Object.keys(ERROR_CODES), ...Object.keys(CLOSE_CODES), ...FIELDS];
    for (const code of codes) expect(known).toContain(code);
    expect(METRICS).toContain(`| \`${(limit.countedBy ?? LIMITED_TOTAL).replace(/{.*/, '')}\` |`);
  });
});
