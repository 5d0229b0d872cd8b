import { execFileSync, spawnSync } from 'node:child_process';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { beforeAll, describe, expect, it } from 'vitest';

const IS_ROOT = process.getuid?.() === 0;

describe.runIf(IS_ROOT || hasShellcheck())('shellcheck', () => {
  beforeAll(() => {
    if (hasShellcheck()) return;
    execFileSync(`${WORKSPACE_ROOT}infra/dev/install-debian-packages.sh`, ['shellcheck']);
  });

  it.each(scripts())('accepts %s', (script) => {
    const { status, stdout } = spawnSync('shellcheck', [script], {
      cwd: WORKSPACE_ROOT,
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });

  it('does not accept a faulty one', () => {
    const { status } = spawnSync('shellcheck', ['-'], { input: '#!/bin/sh\nrm -r $1\n' });
    expect(status).not.toBe(0);
  });
});

/** Every file in git that begins like a shell script. */
function scripts(): string[] {
  const args = [
    'grep',
    '-lE',
    '^#! ?/(usr/)?bin/(env )?(ba)?sh',
    '--',
    ':!*.ts',
    ':!*.tftpl',
    ':!*.md',
  ];
  const listed = execFileSync('git', args, { cwd: WORKSPACE_ROOT, encoding: 'utf8' });
  return listed.trim().split('\n');
}

function hasShellcheck(): boolean {
  return spawnSync('shellcheck', ['--version']).status === 0;
}
