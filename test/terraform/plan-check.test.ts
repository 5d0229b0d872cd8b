import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { modulePaths, TERRAFORM_ROOT } from './hcl.ts';

const run = promisify(execFile);

/** A checker that needs no network: `check DIR`. */
const OFFLINE_CHECK =
  process.env.TERRAFORM_CHECK ??
  fileURLToPath(new URL('../../../shared/terraform-check/check', import.meta.url));

const REGISTRY = 'https://registry.terraform.io/.well-known/terraform.json';
const ANSWER_WITHIN_MS = 5_000;
const MINUTES = 60_000;

/** What the offline check gives a step, in s: beside other work the tests of the tier have taken more than its own 120. */
const STEP_SECONDS = '400';

const hasTerraform = await run('terraform', ['version']).then(
  () => true,
  () => false,
);
const hasRegistry =
  hasTerraform &&
  (await fetch(REGISTRY, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) }).then(
    (response) => response.ok,
    () => false,
  ));

/** What {@link run} rejects with: the exit code, or why there was no process. */
interface Failure {
  readonly code: number | string;
  readonly stdout?: string;
}

/** Terraform's own message, also when it failed. */
async function terraform(cwd: string, ...args: string[]): Promise<void> {
  try {
    await run('terraform', [`-chdir=${cwd}`, ...args, '-no-color'], { maxBuffer: 2 ** 24 });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`terraform ${args.join(' ')} in ${cwd}:\n${stdout}${stderr}`);
  }
}

describe('terraform', () => {
  it('finds all files formatted', async (context) => {
    if (!hasTerraform) context.skip('terraform is not installed');
    await terraform(TERRAFORM_ROOT, 'fmt', '-check', '-recursive');
  });

  it(
    'validates and tests every module with the provider of the registry',
    async (context) => {
      if (!hasRegistry) context.skip('terraform or its registry cannot be reached from here');
      const copy = await mkdtemp(join(tmpdir(), 'tradewind-terraform-'));
      try {
        await cp(join(TERRAFORM_ROOT, '..', 'infra'), join(copy, 'infra'), { recursive: true });
        const scripts = 'docs/publish';
        await cp(join(TERRAFORM_ROOT, '..', scripts), join(copy, scripts), { recursive: true });
        await cp(TERRAFORM_ROOT, join(copy, 'terraform'), { recursive: true });
        for (const path of modulePaths()) {
          const folder = join(copy, 'terraform', path);
          await terraform(folder, 'init', '-backend=false', '-input=false');
          await terraform(folder, 'validate');
          if (existsSync(join(folder, 'tests'))) await terraform(folder, 'test');
        }
      } finally {
        await rm(copy, { recursive: true, force: true });
      }
    },
    10 * MINUTES,
  );

  const linters = {
    tflint: ['--recursive', '--config', join(TERRAFORM_ROOT, '.tflint.hcl')],
    checkov: ['--framework', 'terraform', '--skip-download', '--compact', '--quiet', '-d', '.'],
  };
  for (const [program, args] of Object.entries(linters)) {
    it(
      `is clean by ${program}`,
      async (context) => {
        const linted = run(program, args, { cwd: TERRAFORM_ROOT });
        const result = await linted.catch((error: Failure) => error);
        if ('code' in result && result.code === 'ENOENT')
          context.skip(`${program} is not installed`);
        expect(result).not.toHaveProperty('code');
      },
      5 * MINUTES,
    );
  }

  it(
    'passes the check that needs no network',
    async (context) => {
      if (!hasTerraform) context.skip('terraform is not installed');
      if (!existsSync(OFFLINE_CHECK))
        context.skip('no offline check; TERRAFORM_CHECK would name one');
      const env = { ...process.env, TERRAFORM_CHECK_TIMEOUT: STEP_SECONDS };
      const checked = run(OFFLINE_CHECK, [TERRAFORM_ROOT], { env });
      const { stdout } = await checked.catch((error: Failure) => error);
      expect(stdout).toMatch(/[1-9]\d* passed, 0 failed\n$/);
    },
    10 * MINUTES,
  );
});
