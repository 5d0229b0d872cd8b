import { expect, it } from 'vitest';
import { composeVersion } from './version.ts';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';

it('names the commit, and bears its time', () => {
  expect(composeVersion('1.2.3', `${COMMIT} 1795416898`, false)).toEqual({
    version: '1.2.3-0123456789ab',
    commit: COMMIT,
    committedAt: 1795416898,
  });
});

it('says when there is more in it than the commit', () => {
  expect(composeVersion('1.2.3', `${COMMIT} 1795416898`, true).version).toBe(
    '1.2.3-0123456789ab-dirty',
  );
});
