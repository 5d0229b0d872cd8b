/** What a release puts in the place of this name when it is bundled: its version with the commit. It exists nowhere else. */
declare const TRADEWIND_RELEASE: string;

/**
 * The release of this program: the version in the `package.json` of the repository, to which a test holds it. In a release
 * the commit follows, because during a roll two commits of one version run side by side.
 */
export const RELEASE: string =
  typeof TRADEWIND_RELEASE === 'undefined' ? '0.1.0' : TRADEWIND_RELEASE;
