/** Writes the table of layers into docs/architecture.md, between its heading and the next one. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './graph.ts';
import { layersAsMarkdown } from './layers.ts';

const file = join(ROOT, 'docs/architecture.md');
const text = readFileSync(file, 'utf8');
writeFileSync(file, text.replace(/\| layer \| folder \|[\s\S]*?\n(?!\|)/, `${layersAsMarkdown()}\n`));
