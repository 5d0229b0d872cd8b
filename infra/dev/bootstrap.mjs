// Runs one of the workspace's commands from a fresh clone, with nothing but Node 20 and npm: installs
// what the lockfile says, when it says something new, then hands over to the workspace's own Node.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const COMMANDS = {
  start: 'infra/dev/src/start.ts',
  test: 'infra/dev/src/run-tests.ts',
  check: 'infra/dev/src/run-checks.ts',
  bench: 'bench/compare/bench.ts',
  capacity: 'bench/capacity/main.ts',
  chaos: 'test/chaos/main.ts',
  fuzz: 'test/fuzz/main.ts',
  release: 'infra/release/src/main.ts',
  roll: 'infra/roll/src/main.ts',
  sizing: 'bench/sizing/main.ts',
  smoke: 'infra/smoke/src/main.ts',
  'test:release': 'test/release/run.ts',
};

/** What `--help` prints where that needs nothing installed: somebody reads it before deciding to install. */
const USAGES = { start: 'infra/dev/start-usage.txt' };

const OLDEST_NODE = 20;

/** Shows a terminal's cursor, and leaves its alternate screen; what is so already stays so. */
const SCREEN_OF_BEFORE = '\x1b[?25h\x1b[?1049l';

/** How often it is looked whether npm is still there, in ms. */
const PARENT_INTERVAL_MS = 500;

/** npm, or the shell that it started. */
const parent = process.ppid;

const root = fileURLToPath(new URL('../../', import.meta.url));
const binaries = join(root, 'node_modules', '.bin');
const stamp = join(root, 'node_modules', '.installed-lockfile');

/**
 * Ends as the child ended; signals go to the child, which decides when to end. A signal to npm itself never comes
 * here: npm and the shell that it started end, and nobody is left who could be asked to end what they began.
 */
function run(command, args, stdio) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio,
      shell: process.platform === 'win32',
      env: environment(),
    });
    const pass = (signal) => child.kill(signal);
    process.on('SIGINT', pass).on('SIGTERM', pass).on('SIGHUP', pass);
    const watch = setInterval(() => {
      const isOrphaned = process.env.npm_lifecycle_event !== undefined && process.ppid !== parent;
      if (!isOrphaned) return;
      // Only one signal: a second one would make the child end at once, without a drain.
      clearInterval(watch);
      pass('SIGTERM');
    }, PARENT_INTERVAL_MS);
    child.on('error', (error) => {
      clearInterval(watch);
      console.error(`${command}: ${error.message}`);
      resolve(127);
    });
    child.on('close', (code, signal) => {
      clearInterval(watch);
      // A live view that was killed could not show the cursor and the previous screen again.
      if (signal === 'SIGKILL' && process.stdout.isTTY) process.stdout.write(SCREEN_OF_BEFORE);
      process.off('SIGINT', pass).off('SIGTERM', pass).off('SIGHUP', pass);
      resolve(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

/** Ours, without what npm adds for its scripts, and with the workspace's tools first on the PATH. */
function environment() {
  const kept = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  const path = `${binaries}${delimiter}${process.env.PATH ?? ''}`;
  return { ...Object.fromEntries(kept), PATH: path };
}

/** What decides whether an installation is up to date: the lockfile and the platform it is for. */
function wantedStamp() {
  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'));
  const hash = createHash('sha256').update(lockfile).digest('hex');
  return `${hash} ${process.platform} ${process.arch}\n`;
}

function installedStamp() {
  try {
    return readFileSync(stamp, 'utf8');
  } catch {
    return undefined;
  }
}

async function install() {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  console.error(
    `Installing the workspace with ${packageManager}: about 700 MB in node_modules, once; half a minute or more`,
  );
  // stdout belongs to the command's own output; pnpm may not prompt, so it gets no terminal.
  return await run(
    'npx',
    [...['--yes', packageManager, 'install', '--frozen-lockfile', '--loglevel=error']],
    ['ignore', process.stderr, process.stderr],
  );
}

async function main([command, ...args]) {
  const script = COMMANDS[command];
  if (script === undefined) {
    console.error(`usage: node infra/dev/bootstrap.mjs ${Object.keys(COMMANDS).join(' | ')}`);
    return 2;
  }
  const usage = USAGES[command];
  if (usage !== undefined && args.includes('--help')) {
    process.stdout.write(readFileSync(join(root, usage)));
    return 0;
  }
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    console.error(`Node ${OLDEST_NODE} or later is needed; this is ${process.version}.`);
    return 1;
  }
  if (installedStamp() !== wantedStamp()) {
    const code = await install();
    if (code !== 0) return code;
    writeFileSync(stamp, wantedStamp());
  }
  // The fourth channel carries nothing; its end tells the command that we were killed.
  const stdio = ['inherit', 'inherit', 'inherit', 'ipc'];
  return await run(join(binaries, 'node'), [join(root, script), ...args], stdio);
}

process.exitCode = await main(process.argv.slice(2));
