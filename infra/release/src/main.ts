import { parseArgs } from 'node:util';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { makeRelease } from './make-release.ts';

const USAGE = `npm run release [-- --out FOLDER]

Makes a self-contained tarball per service, with its checksum, in release/ or FOLDER. The same commit
makes the same bytes; a version that ends in -dirty holds more than its commit.`;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

function readFolder(args: readonly string[]): string | undefined {
  const options = { out: { type: 'string' }, help: { type: 'boolean' } } as const;
  const { values } = parseArgs({ args: [...args], options });
  return values.help === true ? undefined : (values.out ?? `${WORKSPACE_ROOT}release`);
}

async function main(args: readonly string[]): Promise<number> {
  let folder: string | undefined;
  try {
    folder = readFolder(args);
  } catch (error) {
    console.error((error as Error).message);
    return EXIT_USAGE;
  }
  if (folder === undefined) {
    console.log(USAGE);
    return 0;
  }
  try {
    const { artifacts } = await makeRelease(folder);
    for (const { file, sha256 } of artifacts) console.log(`${sha256}  ${folder}/${file}`);
    return 0;
  } catch (error) {
    console.error((error as Error).message);
    return EXIT_FAILED;
  }
}

process.exitCode = await main(process.argv.slice(2));
