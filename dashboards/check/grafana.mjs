// Holds the dashboards to Grafana's own types (npm's @grafana/schema), of the first
// Grafana that they are for and of a new one: each becomes an object literal of
// TypeScript, in which a field, an option or a value that Grafana does not know is an
// error; and so is one that is missing, but for options that came later, which have
// defaults.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = path.join(here, '../grafana');
const packages = path.join(here, 'node_modules');
const versions = [
  { version: 10, root: path.join(packages, '@grafana/schema'), types: 'dist/esm/raw', dashboard: 'dashboard_types.gen', panel: (name) => `${name}PanelCfg_types.gen`, index: 'dist/index.d.ts' },
  { version: 13, root: path.join(packages, 'grafana-schema-13'), types: 'dist/types/raw', dashboard: 'types.gen', panel: () => 'types.gen', index: 'dist/types/index.d.ts' },
];
const panels = { timeseries: 'TimeSeries', barchart: 'BarChart', bargauge: 'BarGauge', stat: 'Stat', table: 'Table' };
// Panels whose columns have options of their own.
const custom = ['timeseries', 'barchart', 'table'];

// What JSON has of a type: texts for enumerations.
const types = ({ version, root, types: raw, dashboard, panel }) => `
import type * as d from '${root}/${raw}/dashboard/x/${dashboard}';
${Object.entries(panels).map(([type, name]) => `import type * as ${type} from '${root}/${raw}/composable/${type}/panelcfg/x/${panel(name)}';`).join('\n')}
type Json<T> = unknown extends T ? T : T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T : T extends (infer U)[] ? Json<U>[] : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
type Property<C> = { [K in keyof C & string]-?: { id: \`custom.\${K}\`; value: Json<C[K]> } }[keyof C & string]
  | { [K in keyof d.FieldConfig & string]-?: { id: K; value: Json<d.FieldConfig[K]> } }[keyof d.FieldConfig & string];
type Source = { type: 'grafana-postgresql-datasource'; uid: '\${datasource}' };
// Of the PostgreSQL data source and of the transformation there are no types on npm.
type Target = { refId: string; datasource: Source; editorMode: 'code'; rawQuery: true; format: 'table' | 'time_series'; rawSql: string };
type Transformation = { id: 'configFromData'; options: { configRefId: string; applyTo: { id: 'byRegexp'; options: string }; mappings: { fieldName: string; handlerKey: 'unit' | 'min' | 'max' | 'decimals' }[] } };
type Drawn<T extends string, O, C> = Json<Omit<d.Panel, 'type' | 'options' | 'fieldConfig' | 'targets' | 'transformations' | 'datasource'>> & {
  type: T; datasource: Source; options: ${version === 10 ? 'Json<O>' : 'Json<Partial<O>>'}; targets: Target[]; transformations: Transformation[];
  fieldConfig: { defaults: Json<Omit<d.FieldConfig, 'custom'>> & { custom?: Json<Partial<C>> }; overrides: { matcher: { id: 'byName' | 'byRegexp'; options: string }; properties: Property<C>[] }[] } };
type AnyPanel = ${Object.keys(panels).map((type) => `Drawn<'${type}', ${type}.Options, ${custom.includes(type) ? `${type}.FieldConfig` : '{}'}>`).join(' | ')} | Json<d.RowPanel>;
type Annotation = Json<Omit<d.AnnotationQuery, 'target' | 'datasource'>> & { datasource: { type: 'grafana'; uid: '-- Grafana --' } | Source; target?: Target };
export type Made = Json<Omit<d.Dashboard, 'panels' | 'annotations'>> & { panels: AnyPanel[]; annotations: { list: Annotation[] } };
`;

const names = fs.readdirSync(folder).filter((name) => name.endsWith('.json'));
const failed = [];
for (const version of versions) {
  const files = { '/types.ts': types(version) };
  for (const name of names) files[`/${name.replace('.json', '.ts')}`] = `import type { Made } from './types';\nexport const made: Made = ${fs.readFileSync(path.join(folder, name), 'utf8')};\n`;
  const options = { strict: true, noEmit: true, skipLibCheck: true, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, target: ts.ScriptTarget.ES2022, types: [],
    paths: { '@grafana/schema': [path.join(version.root, version.index)] } };
  const host = ts.createCompilerHost(options);
  for (const name of ['readFile', 'fileExists', 'getSourceFile']) {
    const usual = host[name].bind(host);
    host[name] = (file, ...more) => (file in files ? { readFile: () => files[file], fileExists: () => true, getSourceFile: () => ts.createSourceFile(file, files[file], ts.ScriptTarget.ES2022, true) }[name]() : usual(file, ...more));
  }
  const found = ts.getPreEmitDiagnostics(ts.createProgram(Object.keys(files), options, host));
  for (const error of found) {
    const at = error.file?.getLineAndCharacterOfPosition(error.start);
    failed.push(`Grafana ${version.version}: ${error.file?.fileName ?? ''}:${at?.line ?? 0}: ${ts.flattenDiagnosticMessageText(error.messageText, '\n')}`);
  }
}
console.log(`Grafana: ${names.length} dashboards, as Grafana ${versions.map((one) => one.version).join(' and ')} type them`);
failed.forEach((line) => console.log(line));
process.exit(failed.length ? 1 : 0);
