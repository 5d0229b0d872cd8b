/** The variables of a process, each of which looks unset to its reader. */
type Environment = Readonly<Record<string, string | undefined>>;

/** The names of the variables that `read` asks for, where none is set. */
export function variablesRead(read: (environment: Environment) => unknown): string[] {
  const names = new Set<string>();
  const environment = new Proxy<Environment>(
    {},
    {
      get(_target, name) {
        names.add(String(name));
        return undefined;
      },
    },
  );
  read(environment);
  return [...names];
}
