/** What the readers of a rule's parts need to know of the rule and the object around them. */
import type { ParseOptions } from './options.ts';
import type { Direction } from '../policy.ts';
import type { Scope } from '../selector.ts';

/** What reading ports needs to know of the rule around them. */
export interface PortScope {
  readonly direction: Direction;
  readonly isDeny: boolean;
  readonly isHost: boolean;
  /** Of a policy with a namespace. */
  readonly isNamespaced: boolean;
  readonly options: ParseOptions;
}

/** What peers take from the object and the configuration. */
export interface PeerScope extends Scope {
  readonly nodeSelectorLabels?: boolean | undefined;
  readonly cloudGroupProviders?: readonly string[] | undefined;
}
