/**
 * The agent's local API: `merlon.sock` speaks HTTP with JSON and JSON lines under `/v1/`. In: one object that
 * implements `Parts`. Out: the JSON of `views.ts`. Nothing here knows tables or the datapath; the CLI's half
 * is `#api/client`, which imports none of the server.
 */
export { type EventQuery, type FlowQuery, type OneEventQuery, type Parts } from './parts.ts';
export { errorView } from './error-view.ts';
export { type ApiServer, serveApi } from './server.ts';
export * from './views.ts';
