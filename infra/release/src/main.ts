import { parseArgs } from 'node:util';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { DEFAULT_BUILDER, makeRelease } from './make-release.ts';

const USAGE = `npm run release [-- --out FOLDER --builder URI]

Makes a self-contained tarball per service, with its checksum and the list of its parts, in release/ or FOLDER. The same commit
makes the same bytes; a version that ends in -dirty holds more than its commit. URI says in provenance.json who made it.`;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Returns undefined when help was asked for. */
function readArguments(args: readonly string[]) {
  const options = {
    out: { type: 'string' },
    builder: { type: 'string' },
    help: { type: 'boolean' },
  } as const;
  const { values } = parseArgs({ args: [...args], options });
  if (values.help === true) return undefined;
  const { out = `${WORKSPACE_ROOT}release`, builder = DEFAULT_BUILDER } = values;
  return { folder: out, builder };
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
    const { folder, builder } = given;
    const { artifacts } = await makeRelease(folder, builder);
    for (const { file, sha256 } of artifacts) console.log(`${sha256}  ${folder}/${file}`);
    return 0;
  } catch (error) {
    console.error((error as Error).message);
    return EXIT_FAILED;
  }
}

process.exitCode = await main(process.argv.slice(2));
