import type { HclBlock, HclModule } from './hcl.ts';

/** Stand around the part of a README that is made from the code. */
const BEGIN = '<!-- made from the code: npx node test/terraform/write-readmes.ts -->';
const END = '<!-- end -->';

/** The inputs and outputs of a module as Markdown, as its README holds them. */
export function interfaceText({ variables, outputs }: HclModule): string {
  const inputs = Object.entries(variables).sort(byName);
  const results = Object.entries(outputs).sort(byName);
  return [
    BEGIN,
    '## Inputs',
    '',
    '| name | type | default | description |',
    '|---|---|---|---|',
    ...inputs.map(
      ([name, block]) =>
        `| \`${name}\` | ${typeText(block)} | ${defaultText(block)} | ${cell(block.description)} |`,
    ),
    '',
    '## Outputs',
    '',
    '| name | description |',
    '|---|---|',
    ...results.map(([name, block]) => `| \`${name}\` | ${cell(block.description)} |`),
    END,
  ].join('\n');
}

/** `readme` with the part between the marks replaced. Throws when it has no marks. */
export function withInterface(readme: string, text: string): string {
  const from = readme.indexOf(BEGIN);
  const to = readme.indexOf(END);
  if (from < 0 || to < from) throw new Error(`the README lacks the marks ${BEGIN} and ${END}`);
  return readme.slice(0, from) + text + readme.slice(to + END.length);
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

function typeText({ type }: HclBlock): string {
  const text = String(type).replace(/^\$\{|\}$/g, '');
  return /^[a-z]+(\([a-z]+\))?$/.test(text)
    ? `\`${text}\``
    : `\`${text.slice(0, text.indexOf('('))}\``;
}

function defaultText(block: HclBlock): string {
  if (!('default' in block)) return 'required';
  return `\`${JSON.stringify(block.default)}\``;
}

function cell(text: unknown): string {
  return String(text).replace(/\|/g, '\\|');
}
