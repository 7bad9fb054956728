/**
 * Removes what killed runs left on the machine: topologies whose owner is gone. Prints one line for each;
 * prints nothing when there is nothing. Needs root.
 */
import { sweepLab } from '#lab';

for (const name of await sweepLab()) console.log(name);
