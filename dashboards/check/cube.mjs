// Compiles the model with Cube's own compiler, asks each measure by each dimension
// and the cubes by week, on the server of PGHOST etc., and compares the sums with SQL's.
// Cube's native part, which npm does not carry, is left out: it would render templates,
// of which the model has none, and plan queries, which the compiler does as well.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import pg from 'pg';

const { prepareCompiler, PostgresQuery } = createRequire(import.meta.url)('@cubejs-backend/schema-compiler');
const folder = new URL('../cube/model/', import.meta.url);
const files = fs.readdirSync(folder).map((fileName) => ({ fileName, content: fs.readFileSync(new URL(fileName, folder), 'utf8') }));
process.env.CUBEJS_TESSERACT_SQL_PLANNER = 'false';
console.warn = () => {};
const compilers = prepareCompiler({ localPath: () => '.', dataSchemaFiles: async () => files }, { adapter: 'postgres', nativeInstance: { newJinjaEngine: () => ({}) } });
await compilers.compiler.compile();
const { cubeEvaluator } = compilers;
const client = new pg.Client();
await client.connect();

async function ask(query) {
  const [sql, parameters] = new PostgresQuery(compilers, { timezone: 'UTC', ...query }).buildSqlAndParams();
  try {
    return (await client.query(sql, parameters)).rows;
  } catch (error) {
    throw new Error(`${JSON.stringify(query)}: ${error.message}\n${sql}`);
  }
}

let asked = 0;
const failed = [];
for (const cube of cubeEvaluator.cubeNames()) {
  const { measures, dimensions } = cubeEvaluator.cubeFromPath(cube);
  const all = Object.keys(measures).map((name) => `${cube}.${name}`);
  for (const [name, dimension] of Object.entries(dimensions)) {
    const query = dimension.type === 'time' ? { measures: all, timeDimensions: [{ dimension: `${cube}.${name}`, granularity: 'week' }] } : { measures: all, dimensions: [`${cube}.${name}`] };
    const rows = await ask(query);
    asked += 1;
    if (rows.length === 0) failed.push(`${cube} by ${name}: no rows`);
  }
  const whole = (await ask({ measures: [`${cube}.cost`] }))[0];
  const table = cubeEvaluator.cubeFromPath(cube).sqlTable?.() ?? cubeEvaluator.cubeFromPath(cube).sql();
  const told = (await client.query(`SELECT sum(cost) AS cost FROM ${table}`)).rows[0].cost;
  const made = Object.values(whole)[0];
  if (made !== told) failed.push(`${cube}: cost is ${made}, and ${told} in SQL`);
}
await client.end();
console.log(`Cube: ${asked} queries of ${cubeEvaluator.cubeNames().length} cubes`);
failed.forEach((line) => console.log(line));
process.exit(failed.length ? 1 : 0);
