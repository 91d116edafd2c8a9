// Builds dashboards/evidence as its users do, against the server of PGHOST etc., and
// compares what its pages were given with what PostgreSQL says to the same queries,
// and what a browser shows of them, where there is one.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createRequire } from 'node:module';
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

const project = fileURLToPath(new URL('../evidence/', import.meta.url));
const { tableFromIPC } = createRequire(path.join(project, 'package.json'))('apache-arrow');
const read = (name) => fs.readFileSync(path.join(project, name), 'utf8');
const failed = [];
const source = (key) => `EVIDENCE_SOURCE__cost_ledger__${key}`;
const env = { ...process.env, [source('host')]: process.env.PGHOST, [source('port')]: process.env.PGPORT ?? '5432', [source('database')]: process.env.PGDATABASE, [source('user')]: process.env.PGUSER,
  [source('password')]: process.env.PGPASSWORD ?? 'none', SEND_ANONYMOUS_USAGE_STATS: 'no' };
for (const step of ['sources', 'build']) {
  const made = spawnSync('npm', ['run', '--silent', step], { cwd: project, env, encoding: 'utf8', timeout: 900000 });
  if (made.status !== 0 || !/Done!|Build complete/.test(made.stdout)) {
    console.log(`Evidence: ${step} failed\n${made.stdout}\n${made.stderr}`);
    process.exit(1);
  }
}

const client = new pg.Client();
await client.connect();
const sources = Object.fromEntries(fs.readdirSync(path.join(project, 'sources/cost_ledger')).filter((name) => name.endsWith('.sql')).map((name) => [name.replace('.sql', ''), read(`sources/cost_ledger/${name}`)]));
const page = read('pages/index.md');
const queries = Object.fromEntries([...page.matchAll(/```sql (\w+)\n([\s\S]*?)```/g)].map((found) => [found[1], found[2]]));
const given = fs.readdirSync(path.join(project, 'build/api'), { recursive: true }).filter((name) => name.endsWith('all-queries.json'));
const hashes = JSON.parse(read(`build/api/${given[0]}`));
const plain = (value) => (value === null || value === undefined ? '' : value instanceof Date ? value.toISOString() : typeof value === 'bigint' ? Number(value) : value);
const same = (one, other) => one === other || (typeof one === 'number' && typeof other === 'number' && Math.abs(one - other) <= 1e-9 * Math.max(1, Math.abs(one)));
for (const name of [...page.matchAll(/data=\{(\w+)\}/g)].map((found) => found[1])) if (!queries[name]) failed.push(`no query ${name}`);
let numbers = 0;
for (const [name, sql] of Object.entries(queries)) {
  const over = sql.replaceAll(/cost_ledger\.(\w+)/g, (whole, table) => `(${sources[table] ?? `no source ${table}`}) AS ${table}`);
  const told = (await client.query(over)).rows;
  const shown = tableFromIPC(fs.readFileSync(path.join(project, `build/api/prerendered_queries/${hashes[`${name}_data`]}.arrow`))).toArray().map((row) => row.toJSON());
  if (told.length === 0 || shown.length !== told.length) failed.push(`${name}: ${shown.length} rows, and ${told.length} in SQL`);
  told.forEach((row, n) => Object.entries(row).forEach(([column, value]) => {
    numbers += 1;
    if (!same(plain(value), plain(shown[n]?.[column]))) failed.push(`${name}, row ${n}: ${column} is ${plain(shown[n]?.[column])}, and ${plain(value)} in SQL`);
  }));
  const drawn = [...page.matchAll(new RegExp(`data=\\{${name}\\}([\\s\\S]*?)(?:/>|</(?:DataTable|BarChart)>)`, 'g'))].flatMap((found) => [...found[1].matchAll(/\b(?:x|y|column|id)=(\w+)|'(\w+)'(?=[,\]])/g)].map((part) => part[1] ?? part[2]));
  failed.push(...drawn.filter((column) => told[0] && !(column in told[0]) && !/^\d/.test(column)).map((column) => `${name} has no ${column}`));
}
const dearest = (await client.query('SELECT run_id, cost FROM cost_ledger.most_expensive_run WHERE NOT is_complete ORDER BY rank LIMIT 10')).rows;
await client.end();

// What is drawn, by whoever has Chromium.
let seen = 'no browser to look at it';
if (spawnSync('chromium', ['--version']).status === 0) {
  const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.wasm': 'application/wasm', '.svg': 'image/svg+xml' };
  const server = http.createServer((request, response) => {
    const file = path.join(project, 'build', path.normalize(decodeURIComponent(request.url.split('?')[0])).replace(/\/$/, '/index.html'));
    fs.readFile(file, (error, data) => (error ? response.writeHead(404).end() : response.writeHead(200, { 'Content-Type': types[path.extname(file)] ?? 'application/octet-stream' }).end(data)));
  });
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  const dom = await new Promise((done) => {
    execFile('chromium', ['--headless', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=30000', '--dump-dom', `http://127.0.0.1:${server.address().port}/`], { maxBuffer: 1e8, timeout: 120000 }, (error, stdout) => done(stdout));
  });
  server.close();
  const text = dom.replaceAll(/<script[\s\S]*?<\/script>/g, '').replaceAll(/<[^>]+>/g, ' ').replaceAll(/\s+/g, ' ');
  for (const run of dearest) if (!text.includes(`${run.run_id} `) || !text.includes(Number(run.cost).toFixed(2))) failed.push(`the page does not show ${run.run_id}: ${run.cost}`);
  if (/Error in|error-boundary|Query Failed/i.test(text)) failed.push(`the page shows an error: ${text.slice(0, 2000)}`);
  if ((dom.match(/<canvas|<svg[^>]*echarts/g) ?? []).length < 4 && !/_echarts_instance_/.test(dom)) failed.push('the page draws no charts');
  seen = `a browser shows the ${dearest.length} dearest runs`;
}
console.log(`Evidence: built, ${Object.keys(queries).length} queries with ${numbers} values as SQL has them; ${seen}`);
failed.slice(0, 20).forEach((line) => console.log(line));
process.exit(failed.length ? 1 : 0);
