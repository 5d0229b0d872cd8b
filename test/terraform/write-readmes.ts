import { readFileSync, writeFileSync } from 'node:fs';
import { modulePaths, readModule, TERRAFORM_ROOT } from './hcl.ts';
import { interfaceText, withInterface } from './module-readme.ts';

for (const path of modulePaths().filter((one) => !one.startsWith('examples/'))) {
  const file = `${TERRAFORM_ROOT}${path}/README.md`;
  const text = interfaceText(await readModule(path));
  writeFileSync(file, withInterface(readFileSync(file, 'utf8'), text));
}
