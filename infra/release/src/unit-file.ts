/** What a systemd unit says. */
export interface UnitFile {
  /** The values of a key, in order; a value that is empty stands for itself. */
  values(section: string, key: string): readonly string[];
  /** The only value of a key. Throws when there is none, or more than one. */
  value(section: string, key: string): string;
  /** The variables of all `Environment=` lines. A line holds one, without quotes. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Reads a unit of ours: no continued lines, no quotes, no specifiers. */
export function readUnitFile(text: string): UnitFile {
  const settings = new Map<string, string[]>();
  let section = '';
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const header = /^\[(\w+)\]$/.exec(line);
    if (header !== null) {
      section = header[1] as string;
      continue;
    }
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) throw new Error(`not a setting: ${line}`);
    const name = `${section}.${key}`;
    settings.set(name, [...(settings.get(name) ?? []), value]);
  }
  const values = (of: string, key: string): readonly string[] => settings.get(`${of}.${key}`) ?? [];
  return {
    values,
    value(of, key) {
      const found = values(of, key);
      if (found.length !== 1) throw new Error(`${of}.${key} has ${found.length} values`);
      return found[0] as string;
    },
    environment: Object.fromEntries(
      values('Service', 'Environment').map((entry) => {
        const at = entry.indexOf('=');
        return [entry.slice(0, at), entry.slice(at + 1)];
      }),
    ),
  };
}
