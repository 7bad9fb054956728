/**
 * Domain types: what every part of merlon means by identity, policy, endpoint, node and device. Parsers live
 * beside the types they produce; past them a value is valid.
 */
export * from './endpoint-name.ts';
export * from './facts.ts';
export * from './findings.ts';
export * from './fqdn.ts';
export * from './identity.ts';
export * from './l7.ts';
export * from './labels.ts';
export * from './origin.ts';
export * from './policy.ts';
export * from './problem-kinds.ts';
export * from './policy-config.ts';
export * from './protocol.ts';
export * from './rows.ts';
export * from './selector.ts';
