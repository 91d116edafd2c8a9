// Holds what Metabase imports to the schemas of its representation format, and to
// itself: what is referred to is there.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { validateSchema } from '@metabase/representations';

const folder = fileURLToPath(new URL('../metabase/serialization/', import.meta.url));
const { results, passed } = validateSchema({ folder });
const failed = results.filter((result) => result.status === 'fail').map((result) => `${result.file}: ${JSON.stringify(result.errors)}`);
const texts = fs.readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.yaml')).map((name) => fs.readFileSync(path.join(folder, name), 'utf8'));
const ids = texts.map((text) => text.match(/^entity_id: "(.*)"$/m)?.[1]);
if (new Set(ids).size !== ids.length) failed.push('an id twice');
for (const text of texts) for (const [, id] of text.matchAll(/\b(?:card_id|collection_id): "(.*)"/g)) if (!ids.includes(id)) failed.push(`nothing is ${id}`);
if (passed !== texts.length) failed.push(`${passed} of ${texts.length} files are looked at`);
console.log(`Metabase: ${passed} files, as its schemas have them`);
failed.forEach((line) => console.log(line));
process.exit(failed.length ? 1 : 0);
