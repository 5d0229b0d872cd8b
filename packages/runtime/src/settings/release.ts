/** The release of this program: the version in the `package.json` of the repository, to which a test holds it. */
export const RELEASE = '0.1.0';
