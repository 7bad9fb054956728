/** The release, as packages and `merlon version` name it. */
export const VERSION = '0.1.0';
