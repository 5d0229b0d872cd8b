import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Every document with commands for a shell. The decisions in `docs/adr` say what was done, not what to do. */
export const DOCUMENTS: readonly string[] = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'infra/README.md', 'terraform/README.md'],
  ...['clients', 'codes', 'concepts', 'configuration', 'first-apply', 'guarantees'].map(inDocs),
  ...['http', 'identity', 'limits', 'metrics', 'migration', 'performance'].map(inDocs),
  ...['protocol', 'publishing', 'runbook', 'sizing'].map(inDocs),
  ...['cli', 'client', 'publisher'].map((name) => `packages/${name}/README.md`),
];

/** Words that stand for something of the reader's, and what the tests put there. */
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  token: fileURLToPath(import.meta.url),
  '/tmp/login/token': fileURLToPath(import.meta.url),
  FILE: fileURLToPath(import.meta.url),
  'edge@../before': `edge@${ROOT}`,
};

/** A command of a document, as its program gets it. */
export interface DocumentedCommand {
  readonly document: string;
  /** As it stands there, in one line and without its comment. */
  readonly text: string;
  readonly args: readonly string[];
  /** What stands before the command. */
  readonly environment: Readonly<Record<string, string>>;
}

function inDocs(name: string): string {
  return `docs/${name}.md`;
}

/** The commands in a document's blocks for a shell: lines put together, comments gone. */
export function commandsOf(document: string): string[] {
  const text = readFileSync(`${ROOT}${document}`, 'utf8');
  const blocks = [...text.matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm)].map(
    ([, block]) => block ?? '',
  );
  return blocks.flatMap((block) =>
    block
      .replaceAll(/\\\n */g, '')
      .split('\n')
      .map((line) => line.replace(/(?:^|\s{2,})#.*$/, '').trim())
      .filter((line) => line !== ''),
  );
}

/**
 * What the documents tell a reader to call a program with, in the order of the documents.
 *
 * @param program how the command begins, such as `npm run roll`.
 */
export function documentedCommands(program: string): DocumentedCommand[] {
  const all = DOCUMENTS.flatMap((document) =>
    commandsOf(document).map((text) => ({ document, ...readCommandLine(text) })),
  );
  const length = program.split(' ').length;
  return all
    .filter(({ words }) => words.slice(0, length).join(' ') === program)
    .map(({ document, text, words, environment }) => {
      const [first, ...others] = words.slice(length);
      const args = first === undefined || first === '--' ? others : [first, ...others];
      return { document, text, environment, args: args.map((word) => PLACEHOLDERS[word] ?? word) };
    });
}

/** A command in words. A redirection, `&` and npm's own `-s` are gone. */
export function readCommandLine(text: string): {
  readonly text: string;
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
} {
  const bare = text.replace(/ [<>]\s*\S+$/, '').replace(/ &$/, '');
  const all = [...bare.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, plain]) => single ?? double ?? plain ?? '',
  );
  const first = all.findIndex((word) => !/^[A-Z_]+=/.test(word));
  const words = all.slice(first);
  return {
    text,
    words: words[0] === 'npm' && words[1] === '-s' ? ['npm', ...words.slice(2)] : words,
    environment: Object.fromEntries(
      all.slice(0, first).map((word) => {
        const at = word.indexOf('=');
        return [word.slice(0, at), word.slice(at + 1)];
      }),
    ),
  };
}
