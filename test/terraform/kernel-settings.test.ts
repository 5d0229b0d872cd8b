import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';

const run = promisify(execFile);

const INFRA = fileURLToPath(new URL('../../infra/', import.meta.url));

/** Below the root, as the kernel has it. */
const SWITCH = 'sys/kernel/mm/transparent_hugepage/enabled';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tradewind-install-'));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

/** Puts a release into place below the root. Returns what it said. */
async function install(): Promise<string> {
  const home = join(root, 'opt/tradewind/edge-1');
  for (const part of ['systemd', 'sysctl']) {
    await cp(join(INFRA, part), join(home, part), { recursive: true });
  }
  await rm(join(home, 'systemd/tradewind-console.service'));
  await rm(join(home, 'systemd/tradewind-ingest.service'));
  await cp(join(INFRA, 'release/install.sh'), join(home, 'install.sh'));
  return (await run('sh', [join(home, 'install.sh'), root])).stdout;
}

it('keeps kernel settings that somebody changed, and says where changes belong', async () => {
  expect(await install()).not.toContain('.before');
  const settings = join(root, 'etc/sysctl.d/60-tradewind.conf');
  const released = await readFile(settings, 'utf8');
  expect(await install()).not.toContain('.before');
  await writeFile(settings, 'net.ipv4.tcp_mem = 1 2 3\n');
  const said = await install();
  expect(said).toContain('/etc/sysctl.d/60-tradewind.conf.before');
  expect(said).toContain('/etc/sysctl.d/61-tradewind.conf');
  expect(await readFile(`${settings}.before`, 'utf8')).toBe('net.ipv4.tcp_mem = 1 2 3\n');
  expect(await readFile(settings, 'utf8')).toBe(released);
});

it('has every boot of an installed machine give huge pages to who asks for them only', async (context) => {
  await install();
  const settings = join(root, 'etc/tmpfiles.d/tradewind.conf');
  expect(await readFile(settings, 'utf8')).toContain(`/${SWITCH}`);

  const hasTmpfiles = await run('systemd-tmpfiles', ['--version']).then(
    () => true,
    () => false,
  );
  if (!hasTmpfiles) context.skip('systemd-tmpfiles is not here');
  await mkdir(join(root, 'sys/kernel/mm/transparent_hugepage'), { recursive: true });
  await writeFile(join(root, SWITCH), 'never\n');
  await run('systemd-tmpfiles', [`--root=${root}`, '--create', settings]);
  expect(await readFile(join(root, SWITCH), 'utf8')).toBe('madvise');
});
