'use strict';
// The report page: draws the document that report.sql wrote.  Rule: whatever the
// ledger's users named (teams, models, runs, …) enters the page as text, never as
// HTML, and as a link only if it begins with http.
(() => {
const data = JSON.parse(document.getElementById('data').textContent);
const { meta } = data;
const currency = data.ledger.currency || 'USD';
const zone = data.ledger.time_zone;

//
// Elements
//

// el('p.sub', { title: … }, child, …): children are elements or text.
function el(kind, attributes, ...children) {
	const [tag, ...classes] = kind.split('.');
	const node = document.createElement(tag);
	if (classes.length) node.className = classes.join(' ');
	for (const [name, value] of Object.entries(attributes || {})) {
		if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
		else if (value === true) node.setAttribute(name, '');
		else if (value != null && value !== false) node.setAttribute(name, value);
	}
	node.append(...children.flat().filter(child => child != null && child !== false));
	return node;
}

// Names are of any script and direction, and break after what joins their parts.
const nameOf = text => el('bdi', {}, String(text).split(/(?<=[_/.:-])/).flatMap((part, i) => i ? [el('wbr'), part] : [part]));

function linkOf(url, text) {
	return /^https?:\/\//i.test(url || '') ? el('a', { href: url, rel: 'noopener noreferrer', target: '_blank' }, nameOf(text)) : nameOf(text);
}

// What the catalog says of a column, on hover and focus.
function defined(text, column) {
	const meaning = data.definitions[column];
	return meaning ? el('button.def', { type: 'button', 'data-def': column }, text) : text;
}

//
// Formats
//

const locale = undefined; // the reader's
const formats = new Map();
function format(kind, options, value) {
	const key = JSON.stringify(options);
	if (!formats.has(key)) formats.set(key, kind === 'date' ? new Intl.DateTimeFormat(locale, options) : new Intl.NumberFormat(locale, options));
	return formats.get(key).format(value);
}
const moneyDigits = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits;

// As many decimals as the size needs: 1,204 | 239.96 | 0.043 | 0.0000012.
function money(value) {
	if (value == null) return '—';
	const size = Math.abs(value);
	const options = { style: 'currency', currency, currencyDisplay: 'narrowSymbol' };
	if (size === 0) Object.assign(options, { minimumFractionDigits: 0, maximumFractionDigits: 0 });
	else if (size >= 10000) Object.assign(options, { minimumFractionDigits: 0, maximumFractionDigits: 0 });
	else if (size >= 1) Object.assign(options, { minimumFractionDigits: moneyDigits, maximumFractionDigits: moneyDigits });
	else Object.assign(options, { minimumFractionDigits: size >= 0.01 ? moneyDigits : 0, maximumFractionDigits: Math.min(20, Math.max(moneyDigits, 1 - Math.floor(Math.log10(size)))) });
	return format('number', options, value);
}
const axisMoney = value => format('number', { style: 'currency', currency, currencyDisplay: 'narrowSymbol', notation: Math.abs(value) >= 10000 ? 'compact' : 'standard', minimumFractionDigits: 0, maximumSignificantDigits: 4 }, value);
const count = value => value == null ? '—' : format('number', { maximumFractionDigits: 2 }, value);
const large = value => value == null ? '—' : format('number', { notation: 'compact', maximumSignificantDigits: 3 }, value);
// What is ten times as much and more is told in times.
const percent = (value, signed) => value == null ? '—' : signed && value >= 9 ? `× ${large(value + 1)}` : format('number', { style: 'percent', maximumFractionDigits: Math.abs(value) < 0.1 ? 1 : 0, signDisplay: signed ? 'exceptZero' : 'auto' }, value);
const asDate = day => new Date(`${day}T00:00:00Z`);
const day = (value, options) => format('date', { timeZone: 'UTC', ...(options || { month: 'short', day: 'numeric' }) }, asDate(value));
const monthName = (value, long) => day(value, long ? { month: 'long' } : { month: 'short', year: 'numeric' });
const instant = at => format('date', { dateStyle: 'medium', timeStyle: 'short', ...(zone ? { timeZone: zone } : {}) }, new Date(at));
const addDays = (value, n) => new Date(asDate(value).getTime() + n * 864e5).toISOString().slice(0, 10);
const ratioOf = (part, whole) => part == null || !whole ? null : part / whole;

//
// What is chosen: a period, a team, a customer.  Kept in the address.
//

const periods = data.periods || [];
const periodNames = {
	days7: 'Last 7 days', days30: 'Last 30 days', month: `${monthName(meta.today, true)} to date`,
	last_month: monthName((periods[3] || [])[1] || meta.today, true),
	all: `Last ${Math.round((asDate(meta.today) - asDate(meta.first_day < meta.since ? meta.since : meta.first_day)) / 864e5) + 1} days`,
};
const lists = { team: [], customer: [], feature: [], task_type: [], operation: [], model: [], ...(data.lists || {}) };
const chosen = { period: 1, team: null, customer: null };

// A place of a list in words; in the address, names begin with = .
const worded = value => value === null ? '(unallocated)' : typeof value === 'string' ? value : `all ${count(value.rest)} others`;
const coded = value => value === null ? 'none' : typeof value === 'string' ? `=${value}` : 'rest';
const wordOf = (list, place) => place in lists[list] ? worded(lists[list][place]) : 'others';

function readAddress() {
	const hash = new URLSearchParams(location.hash.slice(1));
	const period = periods.findIndex(p => p[0] === hash.get('period'));
	chosen.period = period < 0 || period > 4 ? 1 : period;
	for (const list of ['team', 'customer']) {
		const place = lists[list].findIndex(value => coded(value) === hash.get(list));
		chosen[list] = place < 0 ? null : place;
	}
}

function writeAddress() {
	const hash = new URLSearchParams();
	if (chosen.period !== 1) hash.set('period', periods[chosen.period][0]);
	for (const list of ['team', 'customer']) if (chosen[list] != null) hash.set(list, coded(lists[list][chosen[list]]));
	history.replaceState(null, '', `#${hash}`);
	draw();
}

// Rows [p, t, c, …] of the scope that is chosen, for a period of it.
const isScope = (t, c) => t === chosen.team && c === chosen.customer;
const rowOf = (rows, period = chosen.period) => rows.find(row => row[0] === period && isScope(row[1], row[2]));
const rowsOf = (rows, period = chosen.period) => rows.filter(row => row[0] === period && isScope(row[1], row[2]));
// Rows [x, t, c, …] of any x.
const seriesOf = rows => rows.filter(row => isScope(row[1], row[2]));
const isFiltered = () => chosen.team != null || chosen.customer != null;

// Of very many runs the file has the latest.
const runWords = () => periods[chosen.period][1] < data.runs_from && meta.since < data.runs_from ? `; single runs from ${day(data.runs_from)} on` : '';

function scopeWords() {
	const words = ['team', 'customer'].filter(list => chosen[list] != null).map(list => `${list} ${wordOf(list, chosen[list])}`);
	return words.join(', ') || (meta.sees_all ? 'all teams' : `what ${meta.role} may see`);
}
const periodWords = () => {
	const [, first, last] = periods[chosen.period];
	return `${day(first < meta.since ? meta.since : first)} to ${day(last)}`;
};

function filters() {
	const choose = (label, key, options) => el('label', {}, label,
		el('select', { id: `filter-${key}`, onchange: event => { chosen[key] = event.target.value === '' ? null : Number(event.target.value); writeAddress(); } },
			options.map(([value, text]) => el('option', { value, selected: String(value) === String(chosen[key] ?? '') }, text))));
	const places = list => [['', 'All'], ...lists[list].map((value, place) => [place, worded(value)])];
	document.getElementById('filters').replaceChildren(
		choose('Team', 'team', places('team')),
		choose('Customer', 'customer', places('customer')),
		choose('Period', 'period', [0, 1, 2, 3, 4].map(p => [p, periodNames[periods[p][0]]])));
}

//
// Blocks: a question, what is drawn, and in one line the unit, the period and
// where the threshold is.
//

let blocks;
function block(question, sub, ...children) {
	const node = el('section', { 'aria-label': question }, el('h2', {}, question), sub && el('p.sub', {}, sub), ...children);
	blocks.push(node);
	return node;
}
const wide = node => (node.classList.add('wide'), node);
const hint = text => el('p.note', {}, text);

//
// Tables: sorted by any column, copied as CSV.  A column is
// { head, def, of: row => value, text: value => shown, node: row => element,
//   isNumber, drop }: of those with drop 2, then 1, narrow pages show none.
//

function csvOf(columns, rows) {
	// A text that a spreadsheet would take for a formula is none.
	const cell = value => {
		const text = value == null ? '' : typeof value === 'number' ? String(value) : String(value).replace(/^[=+\-@\t\r]/, "'$&");
		return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
	};
	return [columns.map(column => cell(column.head)), ...rows.map(row => columns.map(column => cell(column.of(row))))].map(line => line.join(',')).join('\r\n') + '\r\n';
}

async function copy(text, button) {
	let done = true;
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		// From disk, a page may have no clipboard.
		const area = el('textarea', { 'aria-label': 'CSV' });
		area.value = text;
		document.body.append(area);
		area.select();
		done = document.execCommand('copy');
		area.remove();
	}
	button.textContent = done ? 'copied' : 'not copied';
	setTimeout(() => { button.textContent = 'Copy as CSV'; }, 2000);
}

function table(caption, columns, rows, { sorted = null, isDown = true } = {}) {
	const shown = columns.filter(column => !column.isBar);
	const body = el('tbody');
	const dropped = column => column.drop ? `.drop${column.drop}` : '';
	let by = sorted, down = isDown;
	const order = (a, b) => {
		const [x, y] = [by.of(a), by.of(b)];
		if (x == null || y == null) return (x == null) - (y == null);
		return (typeof x === 'number' ? x - y : String(x).localeCompare(String(y))) * (down ? -1 : 1);
	};
	const inOrder = () => by ? [...rows].sort(order) : rows;
	const fill = () => {
		body.replaceChildren(...inOrder().map(row => el('tr', {}, columns.map(column => {
			const value = column.of(row);
			const inside = column.node ? column.node(row) : column.text ? column.text(value) : value == null ? '—' : nameOf(value);
			return el(`td${column.isNumber ? '.n' : column.isBar ? '.bar' : '.name'}${dropped(column)}`, { 'data-value': column.isNumber ? value : null }, inside);
		}))));
		for (const [i, column] of columns.entries()) if (!column.isBar) heads[i].setAttribute('aria-sort', column !== by ? 'none' : down ? 'descending' : 'ascending');
	};
	const heads = columns.map(column => column.isBar
		? el(`th${dropped(column)}`, {}, el('span.hidden', {}, column.head))
		: el(`th${column.isNumber ? '.n' : ''}${dropped(column)}`, { scope: 'col' },
			el('button', { type: 'button', 'data-def': column.def && data.definitions[column.def] ? column.def : null,
				onclick: () => { down = by === column ? !down : !!column.isNumber; by = column; fill(); } }, column.head)));
	fill();
	const button = el('button', { type: 'button', onclick: event => copy(csvOf(shown, inOrder()), event.target) }, 'Copy as CSV');
	return el('div', {}, el('div.scroll', {}, el('table', {}, el('caption.hidden', {}, caption), el('thead', {}, el('tr', {}, heads)), body)), el('div.tools', {}, button));
}

const column = {
	name: (head, of, more) => ({ head, of, ...more }),
	money: (head, of, more) => ({ head, of, text: money, isNumber: true, ...more }),
	count: (head, of, more) => ({ head, of, text: count, isNumber: true, ...more }),
	percent: (head, of, more) => ({ head, of, text: value => percent(value), isNumber: true, ...more }),
	change: (head, of, more) => ({ head, of, text: value => percent(value, true), isNumber: true, ...more }),
	bar: (of, most, more) => ({ head: 'as a bar', of, isBar: true, node: row => bar(of(row), most), ...more }),
};

// Bars keep their order also where one is a thousand times the others: the scale
// is linear unless asked for otherwise.
function bar(value, most, { isLog, least, kind = '', limit } = {}) {
	const at = v => v == null || !(most > 0) ? 0 : isLog ? Math.max(0, Math.log(v / least * 1.2) / Math.log(most / least * 1.2)) : Math.max(0, v / most);
	const track = el('span.track', { 'aria-hidden': 'true' });
	const add = (v, of) => { const i = el(`i${of}`); i.style.inlineSize = `${Math.min(100, 100 * at(v)).toFixed(2)}%`; track.append(i); };
	if (value > 0) add(value, kind);
	if (limit != null) add(limit, '.limit');
	return track;
}

//
// Charts
//

let charts = [];
const paint = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
// Text of charts, as large as the page's small text is on this screen.
const fontSize = () => Math.round(0.8 * parseFloat(getComputedStyle(document.documentElement).fontSize));

function chart(label, options, asTable, isOpen) {
	const holder = el('div.chart', { role: 'img', 'aria-label': label });
	charts.push([holder, options]);
	return [holder, el('details', { open: isOpen }, el('summary', {}, 'The same as a table'), asTable)];
}

function drawCharts() {
	for (const entry of charts) {
		const [holder, options] = entry;
		const drawn = echarts.init(holder, null, { renderer: 'svg' });
		entry[2] = drawn;
		drawn.setOption({ animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, fontSize: fontSize(), color: paint('grey') }, aria: { enabled: false }, ...options(holder.clientWidth) });
	}
}

function axes(width, x, y) {
	const label = { color: paint('grey'), fontSize: fontSize(), hideOverlap: true };
	return {
		grid: { left: 8, right: 14, top: 22 + fontSize(), bottom: 6, containLabel: true },
		xAxis: { type: 'category', axisTick: { show: false }, axisLine: { lineStyle: { color: paint('hair') } }, ...x, axisLabel: { ...label, ...x.axisLabel } },
		yAxis: { type: 'value', splitLine: { lineStyle: { color: paint('hair') } }, ...y, axisLabel: { ...label, ...y.axisLabel } },
		legend: { top: 0, left: 0, itemGap: 16, itemWidth: 14, itemHeight: 8, textStyle: { color: paint('grey'), fontSize: fontSize() }, icon: 'roundRect' },
		tooltip: { trigger: 'axis', confine: true, backgroundColor: paint('card'), borderColor: paint('hair'), textStyle: { color: paint('ink') } },
	};
}

// Names are the ledger's own here too: elements, not HTML.
const tip = (title, lines) => el('div', {}, el('strong', {}, title), lines.map(([name, text]) => el('div', {}, `${name}: ${text}`)));

// A dotted line, named above its left end; the legend stands above the axes.
const threshold = (value, label) => ({
	yAxis: value, lineStyle: { color: paint('line'), type: 'dotted', width: 1.5 },
	label: { show: true, position: 'insideStartTop', fontSize: fontSize(), color: paint('ink'), backgroundColor: paint('card'), padding: [1, 4], formatter: () => label, distance: 3 },
});

// The top of an axis: one value far beyond the others is marked, not drawn to scale.
function topOf(values, limits) {
	const sorted = values.filter(value => value != null).sort((a, b) => a - b);
	if (!sorted.length) return { top: Math.max(...limits, 1), beyond: Infinity };
	const usual = sorted[Math.floor((sorted.length - 1) * 0.95)], most = sorted[sorted.length - 1];
	const isFar = most > 3 * usual && usual > 0;
	const top = Math.max(isFar ? usual * 1.5 : most * 1.08, ...limits.map(limit => limit * 1.15));
	return { top, beyond: isFar && most > top ? top : Infinity };
}
const niceTop = top => { const unit = 10 ** Math.floor(Math.log10(top)); return [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map(n => n * unit).find(n => n >= top * 0.999) || top; };

const limitOf = number => (data.thresholds || []).find(t => t[0] === number && t[3]);
const runUrl = (id, url) => url || (meta.run_link ? meta.run_link.replaceAll('{run_id}', encodeURIComponent(id)) : null);

//
// The four numbers
//

function number(title, def, value, raw, ...lines) {
	const node = el('section.number', { 'aria-label': title }, el('h2', {}, defined(title, def)), el('p.big', { 'data-value': raw }, value), ...lines.map(line => el('p.sub', {}, line)));
	blocks.push(node);
}

const weeks = () => {
	// A week is compared with one that is whole.
	const firstWhole = addDays(meta.since, (8 - (asDate(meta.since).getUTCDay() || 7)) % 7);
	const rows = seriesOf(data.weeks).map(([week, , , cost, same]) => ({ week, cost, same, isWhole: addDays(week, 7) <= meta.today }));
	for (const [i, row] of rows.entries()) {
		const last = i && addDays(rows[i - 1].week, 7) === row.week && rows[i - 1].week >= firstWhole ? rows[i - 1] : null;
		row.before = last && (row.isWhole ? last.cost : last.same);
		row.ratio = row.before > 0 && row.cost != null ? (row.cost - row.before) / row.before : null;
	}
	return rows;
};

function fourNumbers() {
	const run = rowOf(data.run_totals, 0);
	if (run && run[6] != null) {
		const [, , , , priced, , mean, p95, most, without] = run;
		const isBent = priced > 1 && without > 0 && mean > 1.5 * without;
		number('Cost per run, 7 days', 'cost_per_run_by_day.mean_cost', money(mean), mean, `p95 ${money(p95)}, of ${count(priced)} runs`,
			isBent && el('span.watch', {}, `${money(without)} without the largest run, ${money(most)}`));
	} else {
		const total = rowOf(data.totals, 0);
		number('Cost per call, 7 days', 'cost_by_day.cost', money(total && ratioOf(total[4], total[3] - total[5])), null,
			run ? 'no run has a price' : 'no runs: send run_id with calls, and this is what a task costs');
	}

	const month = data.users[data.users.length - 1];
	const monthText = month && monthName(month[0], true);
	if (isFiltered()) number('Cost per user and month', 'cost_per_user_by_month.mean_cost', '—', null, 'users are not kept by team or customer');
	else if (!month) number('Cost per user and month', 'cost_per_user_by_month.mean_cost', '—', null, 'no users: send user_id with calls');
	else {
		const [, users, mean, p95, most] = month;
		const without = users > 1 ? (mean * users - most) / (users - 1) : null;
		number(`Cost per user, ${monthText}`, 'cost_per_user_by_month.mean_cost', money(mean), mean, `p95 ${money(p95)}, of ${count(users)} users`,
			without > 0 && mean > 1.5 * without && el('span.watch', {}, `${money(without)} without the dearest, ${money(most)}`));
	}

	const spent = rowOf(data.totals, 2), forecast = data.forecasts.find(f => isScope(f[0], f[1])), last = rowOf(data.totals, 3);
	const same = data.last_month.find(row => isScope(row[0], row[1]));
	const grows = forecast && forecast[3] != null && last && last[4] > 0 ? forecast[3] / last[4] - 1 : null;
	number('Month to date', 'cost_by_day.cost', money(spent ? spent[4] : 0), spent ? spent[4] : 0,
		forecast && forecast[3] != null ? el(`span${grows > 0.2 ? '.wrong' : ''}`, {}, `forecast ${money(forecast[3])}`, grows != null ? `, ${percent(grows, true)} on ${monthName(periods[3][1], true)}` : '')
			: forecast ? 'no forecast yet' : 'no forecast for this choice',
		same && same[2] != null && `${money(same[2])} at this point of ${monthName(periods[3][1], true)}`);

	const rows = weeks(), whole = rows.filter(row => row.isWhole).pop(), running = rows.find(row => !row.isWhole);
	const words = ratio => ratio > 0.2 ? el('span.wrong', {}, ' review') : ratio > 0.15 ? el('span.watch', {}, ' investigate') : '';
	number('Week over week', 'week_over_week.change_ratio', whole && whole.ratio != null ? percent(whole.ratio, true) : '—', whole && whole.ratio,
		whole && whole.ratio != null ? el('span', {}, `week of ${day(whole.week)}`, words(whole.ratio)) : 'wants two whole weeks',
		running && running.ratio != null && el('span', {}, `running week ${percent(running.ratio, true)} on the same point of the last`, words(running.ratio)));
}

//
// The four panels
//

function runPanel() {
	const [, first, last] = periods[chosen.period];
	const rows = seriesOf(data.run_days).filter(row => row[0] >= first && row[0] <= last);
	if (!rows.some(row => row[4] != null)) {
		block('What does a run cost?', null, hint(rows.length ? 'No run of this choice has a price.'
			: isFiltered() ? 'No runs of this choice.' : 'No calls of this period have a run_id. Send it with the calls of one task, and this shows what a task costs, on average and at the dear end.'));
		return;
	}
	const all = [];
	for (let d = rows[0][0]; d <= rows[rows.length - 1][0]; d = addDays(d, 1)) all.push(rows.find(row => row[0] === d) || [d, null, null, 0, null, null, null]);
	const limit = limitOf('cost_per_run');
	const budget = !limit && (data.budgets || []).find(b => b[2] === 'cost' && b[3] === 'total' && b[1]);
	const line = limit ? [limit[1], `review at ${money(limit[1])}`] : budget ? [budget[4], `budget ${money(budget[4])}`] : null;
	const { top, beyond } = topOf(rows.flatMap(row => [row[4], row[5]]), line ? [line[0]] : []);
	const out = all.flatMap((row, i) => [4, 5].filter(k => row[k] > beyond).map(k => [i, row[k], k === 4 ? 'mean' : 'p95', row]));
	const columns = [column.name('Day', row => row[0]), column.count('Runs', row => row[3], { def: 'cost_per_run_by_day.runs', drop: 1 }),
		column.money('Mean', row => row[4], { def: 'cost_per_run_by_day.mean_cost' }), column.money('p95', row => row[5], { def: 'cost_per_run_by_day.p95_cost' }),
		column.money('Largest', row => row[6], { def: 'cost_per_run_by_day.max_cost' })];
	const largest = out.length ? data.dearest.filter(run => run[13].includes(chosen.period) && (chosen.team == null || run[1] === chosen.team) && (chosen.customer == null || run[2] === chosen.customer))[0] : null;
	block('What does a run cost?', `${currency} per task with its sub-agents, by the day it began${isFiltered() ? runWords() : ''}; ${line ? `dotted: ${line[1]}` : 'no threshold is on (report_threshold)'}`,
		...chart(`Line chart of the mean and 95th percentile cost of a run, by day, ${periodWords()}`, width => ({
			...axes(width, { data: all.map(row => day(row[0])), boundaryGap: all.length === 1 }, { max: niceTop(top), axisLabel: { formatter: axisMoney } }),
			tooltip: { ...axes(width, {}, {}).tooltip, formatter: points => { const row = all[points[0].dataIndex]; return tip(day(row[0]), [['mean', money(row[4])], ['p95', money(row[5])], ['largest', money(row[6])], ['runs', count(row[3])]]); } },
			series: [['p95', 5], ['mean', 4]].map(([name, k]) => ({
				name, type: 'line', data: all.map(row => row[k] > beyond ? niceTop(top) : row[k]), showSymbol: all.length < 3, connectNulls: true, lineStyle: { width: 1.8 }, itemStyle: { color: paint(name) }, clip: true,
				markLine: k === 4 && line ? { silent: true, symbol: 'none', data: [threshold(...line)] } : undefined,
				markPoint: { silent: true, symbol: 'triangle', symbolSize: 9, itemStyle: { color: paint(name) },
					data: out.filter(o => o[2] === name).slice(-3).map(o => ({ coord: [o[0], niceTop(top)], value: money(o[1]) })),
					label: { show: true, position: 'left', distance: 5, fontSize: fontSize(), color: paint('ink'), backgroundColor: paint('card'), formatter: o => o.value } },
			})),
		}), table('Cost per run by day', columns, all, { sorted: columns[0] })),
		out.length ? el('p.sub', {}, '▲ beyond the scale: ', out.slice(-2).flatMap(([, value, name, row], i) => [i ? '; ' : '', `${name} of ${day(row[0])} ${money(value)}`]),
			largest && [', the largest run ', linkOf(runUrl(largest[0], largest[12]), largest[0]), ` ${money(largest[4])}`]) : null);
}

function userPanel() {
	const rows = data.users;
	if (isFiltered() || !rows.length) {
		block('What does a user cost in a month?', null, hint(isFiltered() ? 'Users are not kept by team or customer: choose all of both to see them.'
			: 'No calls have a user_id. Send it with calls, and this shows what a user costs against what a plan earns.'));
		return;
	}
	const latest = rows[rows.length - 1][0];
	const priced = data.plans.filter(plan => plan[0] === latest && plan[2] > 0);
	const limit = limitOf('p95_cost_per_user_month');
	const most = Math.max(...rows.flatMap(row => [row[2], row[3]]).filter(value => value != null), 0);
	// The lines that matter are near what users cost.
	const lines = [...(limit ? [[limit[1], `review at ${money(limit[1])}`]] : []), ...priced.filter(plan => plan[2] <= 2 * most).map(plan => [plan[2], `plan ${plan[1] ?? '(none)'} ${money(plan[2])}`])].slice(0, 2);
	const top = Math.max(most * 1.05, ...lines.map(line => line[0] * 1.15)) || 1;
	const columns = [column.name('Month', row => row[0], { node: row => monthName(row[0]) }), column.count('Users', row => row[1], { def: 'cost_per_user_by_month.users' }),
		column.money('Mean', row => row[2], { def: 'cost_per_user_by_month.mean_cost' }), column.money('p95', row => row[3], { def: 'cost_per_user_by_month.p95_cost' }),
		column.money('Dearest', row => row[4], { def: 'cost_per_user_by_month.max_cost' })];
	block('What does a user cost in a month?', `${currency} per user and month${lines.length ? `; dotted: ${lines.map(line => line[1]).join(', ')}` : ''}; the lighter month runs`,
		...chart('Bar chart of the mean and 95th percentile cost of a user, by month', width => ({
			...axes(width, { data: rows.map(row => row[5] ? monthName(row[0]) : `${day(row[0], { month: 'short' })} so far`) }, { max: niceTop(top), axisLabel: { formatter: axisMoney } }),
			tooltip: { ...axes(width, {}, {}).tooltip, formatter: points => { const row = rows[points[0].dataIndex]; return tip(monthName(row[0]), [['mean', money(row[2])], ['p95', money(row[3])], ['dearest', money(row[4])], ['users', count(row[1])]]); } },
			series: [['mean', 2], ['p95', 3]].map(([name, k]) => ({
				name, type: 'bar', barMaxWidth: 34, itemStyle: { color: paint(name) }, data: rows.map(row => ({ value: row[k], itemStyle: row[5] ? {} : { opacity: 0.45 } })),
				markLine: k === 2 && lines.length ? { silent: true, symbol: 'none', data: lines.map(line => threshold(...line)) } : undefined,
			})),
		}), table('Cost per user by month', columns, rows)));
}

function taskPanel() {
	const runs = new Map(rowsOf(data.run_tasks).map(row => [row[3], row]));
	const rows = rowsOf(data.parts.task_type || []).map(([, , , place, calls, cost, , , , priced]) => {
		const run = runs.get(place);
		return run && run[5] != null ? { place, unit: 'run', mean: run[5], p95: run[6], n: run[4], cost } : { place, unit: 'call', mean: ratioOf(cost, priced), p95: null, n: calls, cost };
	}).filter(row => row.mean != null).sort((a, b) => b.mean - a.mean);
	if (!rows.length) {
		block('What does each kind of task cost?', null, hint('No priced calls in this choice.'));
		return;
	}
	const limit = limitOf('mean_cost_per_run_of_task_type');
	const most = Math.max(rows[0].mean, limit ? limit[1] : 0), least = rows[rows.length - 1].mean || most / 1e6;
	let isLog = false;
	const columns = [column.name('Task', row => wordOf('task_type', row.place), { def: 'cost_by_task_type.task_type' }), column.name('per', row => row.unit),
		column.money('Mean', row => row.mean, { def: 'cost_by_task_type.mean_cost_per_run' }), column.money('p95', row => row.p95, { def: 'cost_by_task_type.p95_cost_per_run', drop: 2 }),
		{ head: 'as a bar', isBar: true, of: row => row.mean, node: row => bar(row.mean, most, { isLog, least, limit: limit && limit[1] }) },
		column.count('Times', row => row.n, { drop: 1 }), column.money('Cost', row => row.cost, { def: 'cost_by_task_type.cost', drop: 2 })];
	const holder = el('div');
	const fill = () => holder.replaceChildren(table('Cost by kind of task', columns, rows, { sorted: columns[2] }));
	fill();
	block('What does each kind of task cost?', `${currency} per whole run, or per call where there is no run; ${periodWords()}${runWords()}${limit ? `; dotted: review at ${money(limit[1])}` : ''}`,
		rows[0].mean > 30 * least ? el('label.tick', {}, el('input', { type: 'checkbox', onchange: event => { isLog = event.target.checked; fill(); } }), ' logarithmic bars') : null, holder);
}

function weekPanel() {
	const rows = weeks().filter(row => row.ratio != null);
	if (!rows.length) {
		block('Where is it going?', null, hint('Two whole weeks of calls are needed to compare them.'));
		return;
	}
	const limits = (data.thresholds || []).filter(t => t[0] === 'week_over_week' && t[3]).map(t => t[1]);
	const lines = limits.length ? limits : [0.15, 0.2];
	const sizes = rows.map(row => Math.abs(row.ratio));
	const { top, beyond } = topOf(sizes, [Math.max(...lines)]);
	const low = Math.min(0, ...rows.map(row => Math.max(row.ratio, -top)));
	const step = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].find(n => (top - low) / n <= 7) || top;
	const [end, start] = [Math.ceil(top / step) * step, Math.floor(low / step) * step];
	// Named beside the plot; so close that the names would meet, by the highest.
	const areClose = lines.length > 1 && (Math.max(...lines) - Math.min(...lines)) / (end - start) < 0.08;
	const labelOf = l => areClose ? (l === Math.max(...lines) ? lines.map(n => percent(n)).join(', ') : '') : percent(l);
	const columns = [column.name('Week of', row => row.week), column.money('Cost', row => row.cost, { def: 'week_over_week.cost' }), column.money('Before', row => row.before, { def: 'week_over_week.previous_cost' }),
		column.change('Change', row => row.ratio, { def: 'week_over_week.change_ratio' }), column.name('Note', row => row.isWhole ? '' : 'runs: against the same point of the last')];
	block('Where is it going?', `change of cost, week over week; dotted: ${lines.map(l => percent(l)).join(' and ')}; the lighter week runs and is compared with the same point of the last`,
		...chart('Bar chart of the change of cost, week over week', width => ({
			...axes(width, { data: rows.map(row => day(row.week)), axisLine: { onZero: false, lineStyle: { color: paint('hair') } } },
				{ max: end, min: start, interval: step, axisLabel: { formatter: v => percent(v) } }),
			legend: undefined, grid: { left: 8, right: (areClose ? 5 : 3) * fontSize() + 6, top: 24, bottom: 6, containLabel: true },
			tooltip: { ...axes(width, {}, {}).tooltip, formatter: points => { const row = rows[points[0].dataIndex]; return tip(`week of ${day(row.week)}`, [['change', percent(row.ratio, true)], ['cost', money(row.cost)], ['before', money(row.before)]]); } },
			series: [{
				type: 'bar', name: 'change', barMaxWidth: 34,
				data: rows.map(row => ({ value: Math.min(row.ratio, end), itemStyle: { color: paint(row.ratio > Math.max(...lines) ? 'red' : 'mean'), opacity: row.isWhole ? 1 : 0.45 },
					label: row.ratio > Math.min(beyond, end) ? { show: true, position: 'top', distance: 2, opacity: 1, fontSize: fontSize(), color: paint('ink'), formatter: () => `▲ ${percent(row.ratio, true)}` } : undefined })),
				markLine: { silent: true, symbol: 'none', data: lines.map(l => ({ ...threshold(l, ''), label: { show: true, position: 'end', fontSize: fontSize(), color: paint('ink'), formatter: () => labelOf(l) } })) },
			}],
		}), table('Cost by week', columns, rows, { sorted: columns[0] }), true));
}

//
// Tables below
//

function dearestRuns() {
	const rows = data.dearest.filter(run => run[13].includes(chosen.period) && (chosen.team == null || run[1] === chosen.team) && (chosen.customer == null || run[2] === chosen.customer)).slice(0, 10);
	if (!rows.length) return;
	const most = rows[0][4], others = rows.length > 1 ? rows[1][4] : most;
	const columns = [column.name('Run', run => run[0], { def: 'most_expensive_run.run_id', node: run => linkOf(runUrl(run[0], run[12]), run[0]) }),
		column.name('Began', run => new Date(run[3] * 1000).toISOString(), { node: run => instant(run[3] * 1000), drop: 2 }),
		column.name('Team', run => run[9] ?? '(unallocated)', { drop: 1 }), column.name('Task', run => run[8] ?? '(unallocated)'), column.name('Customer', run => run[11] ?? '(unallocated)', { drop: 2 }),
		column.count('Calls', run => run[6], { def: 'most_expensive_run.calls', drop: 2 }), column.count('Runs', run => run[7], { def: 'most_expensive_run.runs', drop: 2 }),
		column.money('Cost', run => run[4], { def: 'most_expensive_run.cost' }), column.bar(run => run[4], most, { drop: 1 })];
	const isCell = chosen.team != null && chosen.customer != null && rows.length < 10;
	wide(block('Which ten tasks were dearest?', `whole runs with their sub-agents that began in this period, ${periodWords()}${runWords()}; ${rows.some(run => runUrl(run[0], run[12])) ? 'each leads to its trace' : 'calls bring no trace_url'}`,
		table('The dearest tasks', columns, rows, { sorted: columns[7] }),
		most > 20 * others ? el('p.sub', {}, `The first alone is ${count(Math.round(most / others))} times the second.`) : null,
		isCell ? el('p.sub', {}, 'Of a team and a customer together, at least the three dearest are in this file.') : null));
}

function whoPays() {
	const of = (list, at, other) => {
		const rows = data.totals.filter(row => row[0] === chosen.period && row[at] != null && row[other === 'team' ? 1 : 2] === chosen[other] && (chosen[list] == null || row[at] === chosen[list]));
		const total = rows.reduce((sum, row) => sum + (row[4] || 0), 0);
		const most = Math.max(...rows.map(row => row[4] || 0));
		const columns = [column.name(list === 'team' ? 'Team' : 'Customer', row => wordOf(list, row[at])), column.count('Calls', row => row[3], { def: 'chargeback_by_month.calls', drop: 1 }),
			column.money('Cost', row => row[4], { def: 'chargeback_by_month.cost' }), column.percent('Share', row => ratioOf(row[4], total), { def: 'chargeback_by_month.share' }), column.bar(row => row[4], most, { drop: 1 })];
		return table(`Cost by ${list}`, columns, rows, { sorted: columns[2] });
	};
	block('Who pays?', `cost by team, ${periodWords()}, ${currency}`, of('team', 1, 'customer'));
	block('For whom is it?', `cost by customer, ${periodWords()}, ${currency}`, of('customer', 2, 'team'));
}

function whatItEarns() {
	const months = [periods[2][1], periods[3][1]];
	const month = chosen.period === 3 ? months[1] : months[0];
	const rows = data.margins.filter(row => row[1] === month);
	if (!data.margins.length) {
		wide(block('What does it earn?', null, hint('No revenue is recorded. INSERT INTO cost_ledger.revenue (earned_on, feature, customer, amount), and this shows the margin of each feature and customer.')));
		return;
	}
	const columns = head => [column.name(head, row => row[2] ?? '(unallocated)'), column.money('Revenue', row => row[3], { def: 'margin_by_feature.revenue', drop: 1 }), column.money('Cost', row => row[4], { def: 'margin_by_feature.cost' }),
		{ ...column.money('Margin', row => row[5], { def: 'margin_by_feature.margin' }), drop: 2 },
		{ ...column.percent('of revenue', row => row[6], { def: 'margin_by_feature.margin_ratio' }), node: row => el(`span${row[7] ? '.wrong' : ''}`, {}, percent(row[6])) }];
	for (const [label, head] of [['feature', 'Feature'], ['customer', 'Customer']]) {
		const own = rows.filter(row => row[0] === label && (label !== 'customer' || chosen.customer == null || row[2] === lists.customer[chosen.customer]));
		const isKnown = chosen.team == null && (label === 'customer' || chosen.customer == null);
		const cs = columns(head);
		block(label === 'feature' ? 'What does each feature earn?' : 'What does each customer earn us?', isKnown && `revenue less cost, ${monthName(month)}${month === months[0] ? ' to date' : ''}; red: cost above 30 % of revenue`,
			!isKnown ? hint(`Revenue is not known by ${chosen.team != null ? 'team' : 'customer and feature together'} here: choose all to see it.`)
				: own.length ? table(`Margin by ${label}`, cs, own, { sorted: cs[2] }) : hint(`No ${label} has calls or revenue in ${monthName(month)}.`));
	}
}

function plans() {
	const latest = data.users.length && data.users[data.users.length - 1][0];
	const rows = data.plans.filter(plan => plan[0] === latest);
	if (isFiltered() || !rows.some(row => row[2] != null)) return;
	const columns = [column.name('Plan', row => row[1] ?? '(unallocated)'), column.count('Users', row => row[3], { def: 'cost_per_user_by_plan.users' }), column.money('A user pays', row => row[2], { def: 'cost_per_user_by_plan.price' }),
		column.money('costs, mean', row => row[4], { def: 'cost_per_user_by_plan.mean_cost' }), column.money('p95', row => row[5], { def: 'cost_per_user_by_plan.p95_cost', drop: 1 }),
		column.count('Users above', row => row[6], { def: 'cost_per_user_by_plan.users_above_price', drop: 2 }), column.money('Margin', row => row[7], { def: 'cost_per_user_by_plan.margin' })];
	wide(block('Do plans pay for their users?', `price of a plan against what its users cost, ${monthName(latest)}`, table('Plans', columns, rows)));
}

function whatChanged() {
	const rows = [];
	for (const [list, words] of [['feature', 'feature'], ['model', 'model'], ['task_type', 'task']]) {
		const before = new Map(rowsOf(data.parts[list] || [], 6).map(row => [row[3], row]));
		const after = new Map(rowsOf(data.parts[list] || [], 5).map(row => [row[3], row]));
		for (const place of new Set([...before.keys(), ...after.keys()])) {
			const [a, b] = [after.get(place), before.get(place)];
			const [cost, old] = [a ? a[5] ?? 0 : 0, b ? b[5] ?? 0 : 0];
			rows.push({ label: words, value: wordOf(list, place), cost, old, change: cost - old, calls: a && b && b[4] ? a[4] / b[4] - 1 : null,
				perCall: a && b && a[9] && b[9] && b[5] > 0 ? (a[5] / a[9]) / (b[5] / b[9]) - 1 : null });
		}
	}
	const top = rows.filter(row => row.change !== 0).sort((a, b) => Math.abs(b.change) - Math.abs(a.change)).slice(0, 10);
	const prices = data.prices || [];
	if (!top.length && !prices.length) return;
	const columns = [column.name('Label', row => row.label), column.name('Value', row => row.value), column.money('Cost', row => row.cost), column.money('Before', row => row.old, { drop: 1 }),
		{ head: 'Change', of: row => row.change, isNumber: true, text: value => (value > 0 ? '+' : '') + money(value) }, column.change('Calls', row => row.calls, { drop: 2 }), column.change('Cost per call', row => row.perCall, { drop: 2 })];
	const [, first, last] = periods[5];
	const priceColumns = [column.name('Since', row => row[6], { node: row => day(row[6]) }), column.name('Model', row => `${row[0]} / ${row[1]}`), column.name('Meter', row => row[2]), column.count('per', row => row[4], { drop: 2 }),
		{ head: 'Price', of: row => row[3], isNumber: true, text: value => count(value) }, { head: 'Before', of: row => row[7], isNumber: true, text: value => count(value) }, column.change('Change', row => ratioOf(row[3] - row[7], row[7]))];
	wide(block('What changed since last week?', `the ten largest changes, ${day(first)} to ${day(last)} against the seven days before, ${currency}`, top.length ? table('Changes', columns, top, { sorted: null }) : hint('Nothing.'),
		prices.length ? el('div', {}, el('h3', {}, `Prices that changed since ${day(meta.first_day)}`), table('Prices', priceColumns, prices.slice(0, 12))) : null));
}

function modelsAndOperations() {
	const mix = (list, head, def) => {
		const rows = rowsOf(data.parts[list] || []);
		const total = rows.reduce((sum, row) => sum + (row[5] || 0), 0), most = Math.max(...rows.map(row => row[5] || 0)), calls = rows.reduce((sum, row) => sum + row[4], 0);
		const columns = [column.name(head, row => wordOf(list, row[3])), column.money('Cost', row => row[5], { def: `${def}.cost` }), column.percent('Share', row => ratioOf(row[5], total), { def: `${def}.share` }),
			column.percent('of calls', row => ratioOf(row[4], calls), { drop: 1 }), column.money('per call', row => ratioOf(row[5], row[9]), { drop: 2 }), column.bar(row => row[5], most, { drop: 1 })];
		return table(`Cost by ${head}`, columns, rows, { sorted: columns[1] });
	};
	block('Which models does it go to?', `cost by model, ${periodWords()}`, mix('model', 'Model', 'cost_by_model'));
	block('How much is not the work itself?', `retries, fallbacks, evals beside the work: cost by operation, ${periodWords()}`, mix('operation', 'Operation', 'cost_by_operation'));
	const rows = rowsOf(data.parts.feature || []).filter(row => row[7] > 0);
	const total = rowOf(data.totals);
	const columns = [column.name('Feature', row => wordOf('feature', row[3])), { head: 'Input tokens', of: row => row[7], isNumber: true, text: large, def: 'cache_hit_by_feature.input_tokens' },
		column.percent('from cache', row => ratioOf(row[8], row[7]), { def: 'cache_hit_by_feature.cache_hit_ratio' }), { head: 'as a bar', isBar: true, of: row => row[8], node: row => bar(ratioOf(row[8], row[7]), 1), drop: 1 },
		column.percent('7 days', row => cacheOf(5, row[3]), { node: row => el(`span${cacheOf(5, row[3]) < 0.7 * cacheOf(6, row[3]) ? '.watch' : ''}`, {}, percent(cacheOf(5, row[3]))) }), column.percent('before', row => cacheOf(6, row[3]))];
	const cacheOf = (p, place) => { const row = rowsOf(data.parts.feature || [], p).find(r => r[3] === place); return row ? ratioOf(row[8], row[7]) : null; };
	block('Do the caches work?', `input tokens read from the prompt cache, ${periodWords()}${total && total[10] ? `; answers from your own cache spared ${money(total[10])}` : ''}`,
		rows.length ? table('Prompt cache by feature', columns, rows, { sorted: columns[1] }) : hint('No input tokens in this choice.'));
}

function budgetsAndAlerts() {
	const budgets = data.budgets || [], alerts = data.alerts || [];
	const amount = (value, row) => row[2] === 'cost' ? money(value) : count(value);
	const columns = [column.name('Budget', row => row[0]), column.name('of', row => row[1] || '', { drop: 1 }), column.name('Period', row => row[3], { drop: 2 }),
		{ head: 'Spent', of: row => row[5], isNumber: true, node: row => amount(row[5], row), def: 'budget_status.spent' }, { head: 'Limit', of: row => row[4], isNumber: true, node: row => amount(row[4], row), def: 'budget_status.limit_amount' },
		{ head: 'Used', of: row => row[6], isNumber: true, def: 'budget_status.used_ratio', node: row => el(`span${row[6] >= 1 ? '.wrong' : row[6] >= 0.8 ? '.watch' : ''}`, {}, percent(row[6])) },
		{ head: 'Forecast', of: row => row[8], isNumber: true, def: 'budget_status.forecast', drop: 2, node: row => row[8] == null ? '—' : el(`span${row[8] > row[4] ? '.watch' : ''}`, {}, amount(row[8], row)) }];
	block('Do we stay within budgets?', budgets.length ? 'the nearest to their limit, or beyond it; of a budget for each of something, the first five' : null,
		budgets.length ? table('Budgets', columns, budgets) : hint("No budget is set: SELECT cost_ledger.set_budget('all calls', '{}', 'month', 1000);"));
	const alertColumns = [column.name('At', row => new Date(row[0]).toISOString(), { node: row => instant(row[0]) }), column.name('What', row => row[1]), column.name('of', row => row[2] || '', { drop: 1 }),
		{ ...column.name('Severity', row => row[3]), node: row => el(`span${row[3] === 'page' && !row[7] ? '.wrong' : ''}`, {}, row[7] ? `${row[3]}, over` : row[3]) }];
	block('What should somebody look at?', alerts.length ? 'alerts that nobody has acknowledged, the 20 latest' : null, alerts.length ? table('Alerts', alertColumns, alerts) : hint('Nothing: every alert is acknowledged.'));
}

function spendNow() {
	const now = (data.now || [])[0];
	if (!now || isFiltered()) return;
	const [, fast, hour, today, before, ratio] = now;
	const line = (term, def, ...said) => el('p', {}, defined(term, def), ' ', ...said);
	block('What is being spent now?', `${currency}, when this page was made`,
		line('in the last 5 minutes', 'spend_now.rate_5m', `${money(fast)} an hour`), line('in the last hour', 'spend_now.rate_1h', `${money(hour)} an hour`),
		line('today', 'spend_now.today_cost', money(today), before != null ? `, ${money(before)} at this time a week ago` : '', ratio != null ? ` (${percent(ratio, true)})` : ''));
}

function dataQuality() {
	const total = rowOf(data.totals), lines = [];
	if (total) lines.push(['calls in this choice', count(total[3])], ['without a full price', count(total[5])], ['failed', `${count(total[6])} (${percent(ratioOf(total[6], total[3]))})`]);
	const rollups = data.rollups;
	if (rollups) {
		lines.push(['not in the rollups yet, and in these numbers all the same', count(rollups.unconsumed_rows)]);
		if (rollups.quarantined_calls > 0) lines.push(['in quarantine, and in no number here', count(rollups.quarantined_calls), 'wrong']);
		if (rollups.lag_seconds > 600) lines.push(['the rollups are behind by', `${count(Math.round(rollups.lag_seconds / 60))} minutes: is the job running? (job_status)`, 'wrong']);
		if (rollups.needs_post_restore) lines.push(['the ledger was restored', 'SELECT cost_ledger.post_restore();', 'wrong']);
	}
	for (const problem of data.problems || []) lines.push([problem[0], `${problem[1] || ''} ${problem[3] || ''}`, 'wrong']);
	const late = (data.jobs || []).filter(job => job[1] || job[2]);
	if (late.length) lines.push(['jobs that do not run, or fail', `${count(late.length)}, ${late.slice(0, 3).map(job => job[0]).join(', ')}${late.length > 3 ? ', …' : ''} (job_status; SELECT cost_ledger.schedule_jobs();)`, 'watch']);
	wide(block('How good are these numbers?', 'as the ledger knows it', el('div', {}, lines.map(([what, value, kind]) => el('p', {}, `${what}: `, el(`span${kind ? `.${kind}` : ''}`, {}, value)))),
		meta.sees_all ? null : hint(`Made as ${meta.role}, which may see only some calls: all numbers are of those, and thresholds, rollups and jobs are not shown.`)));
}

function bands() {
	if (data.rollups && (data.rollups.lag_seconds > 600 || data.rollups.needs_post_restore)) {
		const node = wide(block('The rollups are behind', null, el('p', {}, data.rollups.needs_post_restore ? 'The ledger was restored and waits for ' : 'Numbers are right, but reports get slow. Does the job run? ',
			el('code', {}, data.rollups.needs_post_restore ? 'SELECT cost_ledger.post_restore();' : 'SELECT cost_ledger.schedule_jobs();'))));
		node.classList.add('band');
	}
	const unpriced = data.unpriced || [];
	if (!unpriced.length) return;
	const quote = text => `'${text.replaceAll("'", "''")}'`;
	const calls = unpriced.reduce((sum, row) => sum + row[2], 0);
	const node = wide(block(`${count(calls)} calls have no full price`, 'what they cost is missing from every number here; this mends it:',
		el('pre', { tabindex: 0 }, unpriced.slice(0, 3).map(([provider, model, n, since]) => `SELECT cost_ledger.set_price(${quote(provider)}, ${quote(model)}, '{"input_tokens": …, "output_tokens": …}', '${since}');  -- ${n} calls\n`).join('')
			+ `SELECT count(*) FROM cost_ledger.rerate('${meta.first_day}', now(), dry_run => false, reason => 'the prices came late');`)));
	node.classList.add('band');
}

//
// The page
//

function emptyPage() {
	document.getElementById('filters').remove();
	wide(block('There are no calls here yet', null,
		hint(meta.sees_all ? 'Record one, and this page has something to say:' : `Nothing that ${meta.role} may see. Ask the ledger's owner for grant_reader() or grant_team_reader().`),
		meta.sees_all && el('pre', { tabindex: 0 }, "INSERT INTO cost_ledger.call (provider, model, input_tokens, output_tokens, team, feature, run_id, user_id)\n    VALUES ('anthropic', 'claude-sonnet-4-5', 5800, 600, 'search', 'answers', 'run-1', 'user-1');")));
}

function age() {
	const seconds = Math.max(0, (Date.now() - meta.made_at) / 1000);
	const text = seconds < 90 ? 'just now' : seconds < 5400 ? `${Math.round(seconds / 60)} minutes ago` : seconds < 129600 ? `${Math.round(seconds / 3600)} hours ago` : `${Math.round(seconds / 86400)} days ago`;
	const node = document.getElementById('age');
	node.textContent = text;
	node.className = seconds > (meta.refresh_seconds ? 3 * meta.refresh_seconds : 172800) ? 'watch' : '';
}

function draw() {
	for (const [, , drawn] of charts) if (drawn) drawn.dispose();
	charts = [];
	blocks = [];
	const total = data.totals && rowOf(data.totals);
	document.getElementById('about').replaceChildren(`${instant(meta.made_at)}${zone ? `, ${zone}` : ''}, `, el('span', { id: 'age' }), meta.is_empty ? '' : ` · ${scopeWords()} · ${currency} · ${count(total ? total[3] : 0)} calls, ${periodWords()}`,
		total && total[5] > 0 ? `, ${count(total[5])} without a full price` : '');
	age();
	if (meta.is_empty) emptyPage();
	else for (const part of [bands, fourNumbers, runPanel, userPanel, taskPanel, weekPanel, dearestRuns, whoPays, whatItEarns, plans, whatChanged, modelsAndOperations, spendNow, budgetsAndAlerts, dataQuality]) part();
	document.getElementById('main').replaceChildren(...blocks);
	drawCharts();
}

// What a number means appears beside it, for a pointer and for a keyboard.
const bubble = document.getElementById('definition');
function define(event) {
	const target = event.target.closest && event.target.closest('[data-def]');
	if (!target) return;
	bubble.textContent = data.definitions[target.dataset.def];
	bubble.hidden = false;
	target.setAttribute('aria-describedby', 'definition');
	const place = target.getBoundingClientRect(), own = bubble.getBoundingClientRect();
	bubble.style.left = `${Math.max(6, Math.min(place.left, document.documentElement.clientWidth - own.width - 6)) + scrollX}px`;
	bubble.style.top = `${(place.bottom + own.height + 8 > innerHeight ? place.top - own.height - 6 : place.bottom + 6) + scrollY}px`;
}
function undefine(event) {
	const target = event.target.closest && event.target.closest('[data-def]');
	if (target) target.removeAttribute('aria-describedby');
	bubble.hidden = true;
}
for (const kind of ['mouseover', 'focusin']) document.addEventListener(kind, define);
for (const kind of ['mouseout', 'focusout']) document.addEventListener(kind, undefine);
document.addEventListener('keydown', event => { if (event.key === 'Escape') bubble.hidden = true; });

document.title = meta.title;
document.getElementById('title').textContent = meta.title;
document.getElementById('foot').textContent = `cost_ledger ${meta.version}. Costs are the ledger's own, exact; p95 within 1 %. Days, weeks and months are those of ${zone || "the ledger's zone"}. Underlined words tell what they mean.`;
if (!meta.is_empty) {
	readAddress();
	filters();
	addEventListener('hashchange', () => { readAddress(); filters(); draw(); });
}
draw();
let waiting;
addEventListener('resize', () => { clearTimeout(waiting); waiting = setTimeout(() => { for (const [, , drawn] of charts) drawn.resize(); }, 100); });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
// Half of a sheet of A4, and text as small as a sheet has it.
addEventListener('beforeprint', () => {
	for (const [holder, , drawn] of charts) {
		drawn.resize({ width: 416, height: 266 });
		drawn.getZr().flush();
		holder.querySelector('svg').setAttribute('viewBox', '0 0 416 266');
	}
});
addEventListener('afterprint', draw);
setInterval(age, 15000);
if (meta.refresh_seconds) setTimeout(() => location.reload(), meta.refresh_seconds * 1000);
})();
