import { describe, expect, it } from 'vitest';
import { PROBE_LATE_LIMIT, PROBE_TOKENS_KEPT } from '../redis-limits.ts';
import { LinkProbe } from './link-probe.ts';

function probeOfNewLink(): LinkProbe {
  let tokens = 0;
  const probe = new LinkProbe(() => {
    tokens += 1;
    return `test:${tokens}`;
  });
  probe.linkUp();
  return probe;
}

/** One look of a link that holds what it should: the verdict, then the next probe. */
function look(probe: LinkProbe, now = 0): { verdict: string; token: string } {
  const verdict = probe.judge(1, 1).kind;
  return { verdict, token: probe.next(now) };
}

describe('LinkProbe', () => {
  it('finds a link fine while its probes arrive, before or after Redis said that it published them', () => {
    const probe = probeOfNewLink();
    for (let round = 0; round < 5; round++) {
      const { verdict, token } = look(probe);
      expect(verdict).toBe('fine');
      if (round % 2 === 0) probe.published(token);
      expect(probe.received(token)).toBe(true);
      probe.published(token);
    }
  });

  it('gives a link up when two published probes in a row did not arrive', () => {
    const probe = probeOfNewLink();
    probe.published(look(probe).token);
    expect(probe.judge(1, 1)).toEqual({ kind: 'suspect', cause: expect.stringMatching(/arrive/) });
    probe.published(probe.next(0));
    expect(probe.judge(1, 1)).toEqual({ kind: 'dead', cause: expect.stringMatching(/2 times/) });
  });

  it('starts to count again after one that arrived, and on a new link', () => {
    const probe = probeOfNewLink();
    for (let round = 0; round < 3; round++) {
      probe.published(look(probe).token);
      const { verdict, token } = look(probe);
      expect(verdict).toBe('suspect');
      probe.received(token);
    }
    probe.judge(1, 1);
    probe.published(probe.next(0));
    expect(probe.judge(1, 1).kind).toBe('suspect');
    probe.published(probe.next(0));
    probe.linkUp();
    expect(probe.judge(1, 1).kind).toBe('fine');
  });

  it('keeps a slow link, on which each probe arrives only after the look that it was due at', () => {
    const probe = probeOfNewLink();
    const tokens: string[] = [];
    const verdicts = Array.from({ length: 6 }, () => {
      const { verdict, token } = look(probe);
      probe.published(token);
      tokens.push(token);
      if (tokens.length > 1) probe.received(tokens.at(-2) ?? '');
      return verdict;
    });
    expect(verdicts).toEqual(['fine', 'suspect', 'fine', 'fine', 'fine', 'fine']);
  });

  it('learns nothing from probes that were not published, or may not have been', () => {
    const probe = probeOfNewLink();
    for (let round = 0; round < 5; round++) {
      const { verdict, token } = look(probe);
      expect(verdict).toBe('fine');
      if (round % 2 === 0) probe.notPublished(token);
    }
  });

  it('ignores publications and tokens of an earlier link, and tokens of others', () => {
    const probe = probeOfNewLink();
    const { token } = look(probe);
    probe.linkUp();
    probe.published(token);
    expect(probe.received(token)).toBe(false);
    expect(probe.received('other:1')).toBe(false);
    expect(probe.judge(1, 1).kind).toBe('fine');
    expect(probe.provenAt).toBeUndefined();
  });

  it('gives a link up when Redis twice in a row counts other subscriptions than it confirmed', () => {
    const probe = probeOfNewLink();
    expect(probe.judge(3, 4).kind).toBe('suspect');
    expect(probe.judge(4, 4).kind).toBe('fine');
    expect(probe.judge(5, 4).kind).toBe('suspect');
    expect(probe.judge(3, 4)).toEqual({
      kind: 'dead',
      cause: 'Redis holds 3 subscriptions instead of 4',
    });
  });

  it('knows when the newest probe that arrived was sent, over all links', () => {
    const probe = probeOfNewLink();
    const [older, newer] = [probe.next(100), probe.next(200)];
    probe.received(newer);
    probe.received(older);
    expect(probe.provenAt).toBe(200);
    probe.linkUp();
    expect(probe.provenAt).toBe(200);
  });

  it('remembers a bounded number of tokens', () => {
    const probe = probeOfNewLink();
    const tokens = Array.from({ length: PROBE_TOKENS_KEPT + 1 }, () => probe.next(0));
    expect(tokens.map((token) => probe.received(token)).filter(Boolean)).toHaveLength(
      PROBE_TOKENS_KEPT,
    );
    expect(probe.received(tokens[0] ?? '')).toBe(false);
    expect(PROBE_TOKENS_KEPT).toBeGreaterThan(PROBE_LATE_LIMIT);
  });
});
