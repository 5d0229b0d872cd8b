import { describe, expect, it } from 'vitest';
import { eventually } from './wait.ts';

describe('eventually', () => {
  it('returns the first result that is not false, once the check does not throw', async () => {
    let asked = 0;
    const answer = await eventually(() => {
      asked += 1;
      if (asked === 1) throw new Error('not yet');
      return asked === 3 ? 'there' : false;
    });
    expect(answer).toBe('there');
  });

  it('rejects at the deadline with the last failure', async () => {
    const never = eventually(() => expect(1).toBe(2), { deadlineMs: 60 });
    await expect(never).rejects.toThrow(/not within 60 ms: expected 1 to be 2/);
  });
});
