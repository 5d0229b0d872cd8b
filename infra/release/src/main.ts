import { parseArgs } from 'node:util';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { DEFAULT_BUILDER, makeRelease } from './make-release.ts';

const USAGE = `npm run release [-- --out FOLDER --builder URI --arm64]

Makes a self-contained tarball per service, with its checksum and the list of its parts, in release/ or FOLDER. The same commit
makes the same bytes; a version that ends in -dirty holds more than its commit. URI says in provenance.json who made it.
--arm64 makes tarballs for linux-arm64 as well: it fetches Node and native code for it from the registry. They are put together here and were
never started.`;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Returns undefined when help was asked for. */
function readArguments(args: readonly string[]) {
  const options = {
    out: { type: 'string' },
    builder: { type: 'string' },
    arm64: { type: 'boolean' },
    help: { type: 'boolean' },
  } as const;
  const { values } = parseArgs({ args: [...args], options });
  if (values.help === true) return undefined;
  const { out = `${WORKSPACE_ROOT}release`, builder = DEFAULT_BUILDER, arm64 = false } = values;
  return { folder: out, builder, arm64 };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`.padStart(9);
}

async function main(args: readonly string[]): Promise<number> {
  let given: ReturnType<typeof readArguments>;
  try {
    given = readArguments(args);
  } catch (error) {
    console.error((error as Error).message);
    return EXIT_USAGE;
  }
  if (given === undefined) {
    console.log(USAGE);
    return 0;
  }
  try {
    const { folder, ...options } = given;
    const { artifacts, version } = await makeRelease(folder, {
      ...options,
      report: (line) => console.error(`making ${line}`),
    });
    // As in SHA256SUMS, so that a program can read it.
    for (const { file, sha256 } of artifacts) console.log(`${sha256}  ${file}`);
    console.error('');
    for (const { file, bytes } of artifacts) console.error(`${megabytes(bytes)}  ${file}`);
    if (given.arm64) console.error('Those for linux-arm64 were never started: this is x64.');
    console.error(
      `Tradewind ${version} is in ${folder}. Next: infra/README.md says how to install it.`,
    );
    return 0;
  } catch (error) {
    console.error((error as Error).message);
    return EXIT_FAILED;
  }
}

process.exitCode = await main(process.argv.slice(2));
