// Asks each source of dashboards/evidence through Evidence's own connector, on the
// server of PGHOST etc., and each query of its pages over what the sources answer.
// Evidence itself asks those of DuckDB; they are written so that both can.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import pg from 'pg';

const { getRunner } = createRequire(import.meta.url)('@evidence-dev/postgres');
const folder = new URL('../evidence/', import.meta.url);
const read = (name) => fs.readFileSync(new URL(name, folder), 'utf8');
const settings = { host: process.env.PGHOST, port: Number(process.env.PGPORT ?? 5432), database: process.env.PGDATABASE, user: process.env.PGUSER, password: process.env.PGPASSWORD ?? '' };
const ask = await getRunner(settings);
const client = new pg.Client();
await client.connect();
const failed = [];
const sources = {};

for (const file of fs.readdirSync(new URL('sources/cost_ledger/', folder)).filter((name) => name.endsWith('.sql'))) {
  const sql = read(`sources/cost_ledger/${file}`);
  const answer = await ask(sql, file);
  let rows = 0;
  for await (const batch of answer.rows()) rows += batch.length;
  if (rows === 0) failed.push(`${file}: no rows`);
  failed.push(...answer.columnTypes.filter((column) => !['number', 'string', 'date', 'boolean'].includes(column.evidenceType)).map((column) => `${file}: ${column.name} is ${column.evidenceType}`));
  sources[file.replace('.sql', '')] = sql;
}

let asked = 0;
for (const page of fs.readdirSync(new URL('pages/', folder))) {
  const text = read(`pages/${page}`);
  const drawn = [...text.matchAll(/data=\{(\w+)\}/g)].map((found) => found[1]);
  const queries = Object.fromEntries([...text.matchAll(/```sql (\w+)\n([\s\S]*?)```/g)].map((found) => [found[1], found[2]]));
  failed.push(...drawn.filter((name) => !queries[name]).map((name) => `${page}: no query ${name}`));
  for (const [name, sql] of Object.entries(queries)) {
    asked += 1;
    const over = sql.replaceAll(/cost_ledger\.(\w+)/g, (whole, source) => `(${sources[source] ?? `no source ${source}`}) AS ${source}`);
    const answer = await client.query(over).catch((error) => failed.push(`${page}: ${name}: ${error.message}`));
    if (answer?.rows?.length === 0) failed.push(`${page}: ${name}: no rows`);
    const shown = [...text.matchAll(new RegExp(`data=\\{${name}\\}([^>]*)>`, 'g'))].flatMap((found) => [...found[1].matchAll(/\b(?:x|y|column)=(\w+)|'(\w+)'(?=[,\]])/g)].map((part) => part[1] ?? part[2]));
    failed.push(...shown.filter((column) => !answer?.fields?.some((field) => field.name === column)).map((column) => `${page}: ${name} has no ${column}`));
  }
}
await client.end();
console.log(`Evidence: ${Object.keys(sources).length} sources, ${asked} queries of pages`);
failed.forEach((line) => console.log(line));
process.exit(failed.length ? 1 : 0);
