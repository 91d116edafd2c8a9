'use strict';
// The report page: draws the document that report.sql wrote.  Rule: whatever the
// ledger's users named (teams, models, runs, …) enters the page as text, never as
// HTML, and as a link only if it begins with http.
(() => {
const data = JSON.parse(document.getElementById('data').textContent);
const { meta } = data;
const currency = data.ledger.currency || 'USD';
// The ledger's zone, by a name that the browser knows; else times are the reader's.
const zone = [data.ledger.time_zone, (data.ledger.time_zone || '').replace(/^posix\//, '')].find(name => {
	try { return name && new Intl.DateTimeFormat('en', { timeZone: name }); } catch { return false; }
});

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

// What nobody sees in a name, and what would turn the direction of what follows.
const visible = text => String(text).replace(/[\u0000-\u001f\u007f-\u009f\u200b\u2028-\u202e\u2060-\u206f\ufeff]/g, c => `\u27e8${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}\u27e9`);

// Names are of any script and direction.  They break after what joins their parts,
// elsewhere only where a part is long; of very long ones the beginning is shown.
function nameOf(text) {
	const shown = visible(text), isLong = shown.length > 60;
	const parts = shown.split(/(?<=[\s_/.:-])/).map(part => part.length > 18 ? part : el('span.whole', {}, part));
	return el(isLong ? 'bdi.long' : 'bdi', { title: isLong ? shown : null }, parts.flatMap((part, i) => i ? [el('wbr'), part] : [part]));
}

const isLink = url => /^https?:\/\//i.test(url || '');
function linkOf(url, text) {
	return isLink(url) ? el('a', { href: url, rel: 'noopener noreferrer', target: '_blank' }, nameOf(text)) : nameOf(text);
}

// What a number means, on hover and focus: what the catalog says of a column, or
// how it is reckoned from such.
const meaningOf = def => data.definitions[def] || def;
const defined = (text, def) => el('button.def', { type: 'button', 'data-def': def }, text);

//
// Formats
//

const locale = undefined; // the reader's
const formats = new Map();
function format(kind, options, value) {
	const key = JSON.stringify(options);
	if (!formats.has(key)) formats.set(key, kind === 'date' ? new Intl.DateTimeFormat(locale, { calendar: 'gregory', ...options }) : new Intl.NumberFormat(locale, options));
	const text = formats.get(key).format(value);
	// Digits and months of the other direction turn nothing but themselves.
	return /[\u0590-\u08ff]/.test(text) ? `\u2068${text}\u2069` : text;
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
	else options.minimumFractionDigits = options.maximumFractionDigits = Math.min(20, Math.max(moneyDigits, 1 - Math.floor(Math.log10(size))));
	return format('number', options, value);
}
// A price has the digits that were set, in a currency that may be another one.
const price = (value, of) => value == null ? '—' : format('number', { style: 'currency', currency: of || currency, currencyDisplay: 'narrowSymbol', minimumFractionDigits: 0, maximumFractionDigits: 20 }, value);
const axisMoney = value => format('number', { style: 'currency', currency, currencyDisplay: 'narrowSymbol', notation: Math.abs(value) >= 10000 ? 'compact' : 'standard', minimumFractionDigits: 0, maximumSignificantDigits: 4 }, value);
const count = value => value == null ? '—' : format('number', { maximumFractionDigits: 2 }, value);
const counted = (n, word) => `${count(n)} ${word}${n === 1 ? '' : 's'}`;
const large = value => value == null ? '—' : format('number', { notation: 'compact', maximumSignificantDigits: 3 }, value);
// What is ten times as much and more is told in times, what is next to nothing as less than the least.
function percent(value, signed) {
	if (value == null) return '—';
	if (signed && value >= 9) return `× ${large(value + 1)}`;
	const size = Math.abs(value), digits = size > 0 && size < 0.0995 ? 1 : 0;
	const options = { style: 'percent', minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: signed ? 'exceptZero' : 'auto' };
	return size > 0 && size < 0.0005 ? (signed ? `≈ ${format('number', { style: 'percent' }, 0)}` : `< ${format('number', options, 0.001)}`) : format('number', options, value);
}
const asDate = day => new Date(`${day}T00:00:00Z`);
// With its year, where that is not this one.
const day = (value, options) => format('date', { timeZone: 'UTC', ...(options || { month: 'short', day: 'numeric', ...(value.slice(0, 4) === meta.today.slice(0, 4) ? {} : { year: 'numeric' }) }) }, asDate(value));
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
	all: `Last ${counted(Math.round((asDate(meta.today) - asDate(meta.first_day < meta.since ? meta.since : meta.first_day)) / 864e5) + 1, 'day')}`,
};
const lists = { team: [], customer: [], feature: [], task_type: [], operation: [], model: [], ...(data.lists || {}) };
const chosen = { period: 1, team: null, customer: null };

// A place of a list in words; in the address, names begin with = .
const worded = value => value === null ? '(unallocated)' : typeof value === 'string' ? value : value.rest === 1 ? '1 other' : `all ${count(value.rest)} others`;
const coded = value => value === null ? 'none' : typeof value === 'string' ? `=${value}` : 'rest';
const wordOf = (list, place) => place in lists[list] ? worded(lists[list][place]) : 'others';

// What a link chooses and this page has not: it says so.
let missing = [];
function readAddress() {
	const hash = new URLSearchParams(location.hash.slice(1));
	missing = [];
	const period = periods.findIndex(p => p[0] === hash.get('period'));
	chosen.period = period < 0 || period > 4 ? 1 : period;
	for (const list of ['team', 'customer']) {
		const place = lists[list].findIndex(value => coded(value) === hash.get(list));
		chosen[list] = place < 0 ? null : place;
		if (place < 0 && hash.get(list)) missing.push(`${list} ${hash.get(list).replace(/^=/, '')}`);
	}
}

// What a reader leaves is one step back; choices in quick succession are one step.
let chosenAt = 0;
function writeAddress() {
	const hash = new URLSearchParams();
	if (chosen.period !== 1) hash.set('period', periods[chosen.period][0]);
	for (const list of ['team', 'customer']) if (chosen[list] != null) hash.set(list, coded(lists[list][chosen[list]]));
	history[Date.now() - chosenAt < 1000 ? 'replaceState' : 'pushState'](null, '', `#${hash}`);
	chosenAt = Date.now();
	missing = [];
	draw();
}

// How tables are sorted and what is unfolded outlasts a choice and a reload.
const kept = { sorted: {}, open: {}, isLog: false };
try { Object.assign(kept, JSON.parse(sessionStorage.getItem('cost_ledger'))); } catch { /* a browser may keep nothing */ }
function keep() {
	try { sessionStorage.setItem('cost_ledger', JSON.stringify(kept)); } catch { /* for this page only, then */ }
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
	const words = ['team', 'customer'].filter(list => chosen[list] != null).flatMap((list, i) => [`${i ? ', ' : ''}${list} `, nameOf(wordOf(list, chosen[list]))]);
	return words.length ? words : [meta.sees_all ? 'all teams' : 'what ', !meta.sees_all && nameOf(meta.role), !meta.sees_all && ' may see'].filter(Boolean);
}
const periodWords = () => {
	const [, first, last] = periods[chosen.period];
	const from = day(first < meta.since ? meta.since : first);
	return from === day(last) ? from : `${from} to ${day(last)}`;
};

function filters() {
	const choose = (label, key, options) => el('label', {}, label,
		el('select', { id: `filter-${key}`, onchange: event => { chosen[key] = event.target.value === '' ? null : Number(event.target.value); writeAddress(); } },
			options.map(([value, text]) => el('option', { value, selected: String(value) === String(chosen[key] ?? '') }, text))));
	const brief = text => { const shown = [...visible(text)]; return shown.length > 60 ? `${shown.slice(0, 57).join('')}…` : shown.join(''); };
	const places = list => [['', 'All'], ...lists[list].map((value, place) => [place, brief(worded(value))])];
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
// Where there is nothing to draw: what to do, in as little room as it needs.
const hinted = (question, text) => { const node = block(question, null, hint(text)); node.classList.add('brief'); return node; };

//
// Tables: sorted by any column, copied as CSV.  A column is
// { head, def, of: row => value, text: value => shown, node: row => element,
//   isNumber, unit, drop }.
//

function csvOf(columns, rows) {
	// A text that a spreadsheet would take for a formula is none.
	const cell = value => {
		const text = value == null ? '' : typeof value === 'number' ? String(Number(value.toPrecision(15))) : String(value).replace(/^[=+\-@\t\r\n]/, "'$&");
		return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
	};
	return [columns.map(column => cell(column.unit ? `${column.head} (${column.unit})` : column.head)), ...rows.map(row => columns.map(column => cell(column.of(row))))].map(line => line.join(',')).join('\r\n') + '\r\n';
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
	const was = kept.sorted[caption], isKept = was && shown.some(column => column.head === was[0]);
	let by = isKept ? shown.find(column => column.head === was[0]) : sorted, down = isKept ? was[1] : isDown;
	const order = (a, b) => {
		const [x, y] = [by.of(a), by.of(b)];
		if (x == null || y == null) return (x == null) - (y == null);
		return (typeof x === 'number' ? x - y : String(x).localeCompare(String(y), locale, { numeric: true })) * (down ? -1 : 1);
	};
	const inOrder = () => by ? [...rows].sort(order) : rows;
	const fill = () => {
		body.replaceChildren(...inOrder().map(row => el('tr', {}, columns.map(column => {
			const value = column.of(row);
			const inside = column.node ? column.node(row) : column.text ? column.text(value) : value == null ? '—' : nameOf(value);
			return el(`td${column.isNumber ? '.n' : column.isBar ? '.bar' : column.isShort ? '.short' : '.name'}${dropped(column)}`, { 'data-value': column.isNumber || column.isShort ? value : null }, inside);
		}))));
		for (const [i, column] of columns.entries()) if (!column.isBar) heads[i].setAttribute('aria-sort', column !== by ? 'none' : down ? 'descending' : 'ascending');
	};
	const heads = columns.map(column => column.isBar
		? el(`th${dropped(column)}`, { scope: 'col' }, el('span.hidden', {}, column.head))
		: el(`th${column.isNumber ? '.n' : ''}${dropped(column)}`, { scope: 'col' },
			el('button', { type: 'button', 'data-def': column.def,
				onclick: () => { down = by === column ? !down : !!column.isNumber; by = column; kept.sorted[caption] = [column.head, down]; keep(); fill(); fit(); } }, column.head)));
	fill();
	const button = el('button', { type: 'button', onclick: event => copy(csvOf(shown, inOrder()), event.target) }, 'Copy as CSV');
	return el('div', {}, el('div.scroll', {}, el('table', {}, el('caption.hidden', {}, caption), el('thead', {}, el('tr', {}, heads)), body)), el('div.tools', {}, button));
}

// Where a table is wider than its place, columns go: those with drop 2, then 1.
// What is still too wide is moved sideways, by keys too.
function fit() {
	for (const scroll of document.querySelectorAll('.scroll')) {
		scroll.classList.remove('fit1', 'fit2');
		scroll.removeAttribute('tabindex');
		for (const level of ['fit1', 'fit2']) if (scroll.scrollWidth > scroll.clientWidth) scroll.classList.add(level);
		if (scroll.scrollWidth > scroll.clientWidth) scroll.tabIndex = 0;
	}
}

const column = {
	name: (head, of, more) => ({ head, of, ...more }),
	short: (head, of, more) => ({ head, of, isShort: true, ...more }),
	date: (head, of, more) => ({ head, of, isShort: true, node: row => day(of(row)), ...more }),
	money: (head, of, more) => ({ head, of, text: money, isNumber: true, unit: currency, ...more }),
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
	return [holder, el('details', { open: kept.open[label.split(',')[0]] ?? isOpen, ontoggle: event => { kept.open[label.split(',')[0]] = event.target.open; keep(); fit(); } }, el('summary', {}, 'The same as a table'), asTable)];
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
	const isNarrow = width < 380, legendHeight = 22 + fontSize(); // there the legend goes below
	return {
		grid: { left: 8, right: 14, top: isNarrow ? 14 : legendHeight, bottom: isNarrow ? legendHeight : 6, containLabel: true },
		xAxis: { type: 'category', axisTick: { show: false }, axisLine: { lineStyle: { color: paint('hair') } }, ...x, axisLabel: { ...label, ...x.axisLabel } },
		yAxis: { type: 'value', splitLine: { lineStyle: { color: paint('hair') } }, ...y, axisLabel: { ...label, ...y.axisLabel } },
		legend: { [isNarrow ? 'bottom' : 'top']: 0, left: 0, itemGap: 16, itemWidth: 14, itemHeight: 8, textStyle: { color: paint('grey'), fontSize: fontSize() }, icon: 'roundRect' },
		tooltip: { trigger: 'axis', confine: true, backgroundColor: paint('card'), borderColor: paint('hair'), textStyle: { color: paint('ink') } },
	};
}

// Names are the ledger's own here too: elements, not HTML.
const tip = (title, lines) => el('div', {}, el('strong', {}, title), lines.map(([name, text]) => el('div', {}, `${name}: ${text}`)));

// A dotted line, named above its left end; the legend stands above the axes.
const threshold = (value, label) => ({
	yAxis: value, lineStyle: { color: paint('line'), type: 'dotted', width: 1.5 },
	label: { show: label !== '', position: 'insideStartTop', fontSize: fontSize(), color: paint('ink'), backgroundColor: paint('card'), padding: [1, 4], formatter: () => label, distance: 3 },
});

// The top of an axis, of series beside each other: one value far beyond the others
// of its series, and beyond the lines, is marked, not drawn to scale.  The others
// are what is not among the largest 5 in a hundred, nor the largest.
function topOf(series, lines, times = 3) {
	const known = series.map(values => values.filter(value => value != null).sort((a, b) => a - b)).filter(values => values.length);
	const usualOf = (sorted, n = sorted.length) => n > 1 ? sorted[Math.min(Math.floor((n - 1) * 0.95), n - 2)] : lines.length ? 0 : sorted[0];
	const usual = Math.max(0, ...known.map(values => usualOf(values)), ...lines), most = Math.max(0, ...known.flat());
	const isFar = usual > 0 && most > times * usual;
	const top = Math.max(isFar ? usual * 1.5 : most * 1.08, ...lines.map(line => line * 1.15));
	return { top: top || 1, beyond: isFar ? top : Infinity };
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

// From where on a week's change is too much: to look into, to review.
function weekLines() {
	const lines = (data.thresholds || []).filter(t => t[0] === 'week_over_week' && t[3]).map(t => t[1]).sort((a, b) => a - b);
	return lines.length ? lines : [0.15, 0.2];
}
const noWeeks = rows => rows.filter(row => row.isWhole).length < 2 ? 'two whole weeks of calls are needed' : rows.every(row => !row.cost) ? 'no week cost anything' : 'the week before cost nothing';

function fourNumbers() {
	const run = rowOf(data.run_totals, 0);
	if (run && run[6] != null) {
		const [, , , , priced, , mean, p95, most, without] = run;
		const isBent = priced > 1 && without > 0 && mean > 1.5 * without;
		number('Cost per run, 7 days', 'cost_per_run_by_day.mean_cost', money(mean), mean, el('span', {}, defined('p95', 'cost_per_run_by_day.p95_cost'), ` ${money(p95)}, of ${counted(priced, 'run')}`),
			isBent && el('span.watch', {}, `${money(without)} without the largest run, ${money(most)}`));
	} else {
		const total = rowOf(data.totals, 0), priced = rowsOf(data.parts.model || [], 0).reduce((sum, row) => sum + row[9], 0);
		number('Cost per call, 7 days', 'Cost of the calls of these days, over how many of them have a price.', money(total && ratioOf(total[4], priced)), null,
			run ? 'no run has a price' : isFiltered() ? 'no runs of this choice in 7 days' : 'no runs: send run_id with calls, and this is what a task costs');
	}

	const month = data.users[data.users.length - 1];
	const monthText = month && monthName(month[0], true);
	if (isFiltered()) number('Cost per user and month', 'cost_per_user_by_month.mean_cost', '—', null, 'users are not kept by team or customer');
	else if (!month) number('Cost per user and month', 'cost_per_user_by_month.mean_cost', '—', null, 'no users: send user_id with calls');
	else {
		const [, users, mean, p95, most] = month;
		const without = users > 1 ? (mean * users - most) / (users - 1) : null;
		number(`Cost per user, ${monthText}`, 'cost_per_user_by_month.mean_cost', money(mean), mean, mean == null ? 'no call of a user has a price' : el('span', {}, defined('p95', 'cost_per_user_by_month.p95_cost'), ` ${money(p95)}, of ${counted(users, 'user')}`),
			without > 0 && mean > 1.5 * without && el('span.watch', {}, `${money(without)} without the dearest, ${money(most)}`));
	}

	const spent = rowOf(data.totals, 2), forecast = data.forecasts.find(f => isScope(f[0], f[1])), last = rowOf(data.totals, 3);
	const same = data.last_month.find(row => isScope(row[0], row[1]));
	const grows = forecast && forecast[3] != null && last && last[4] > 0 ? forecast[3] / last[4] - 1 : null;
	const isUnknown = spent && spent[4] == null;
	number('Month to date', 'cost_by_day.cost', money(spent ? spent[4] : 0), spent ? spent[4] : 0,
		isUnknown ? 'no call of this month has a price'
			: forecast && forecast[3] != null ? el(`span${grows > Math.max(...weekLines()) ? '.wrong' : ''}`, {}, defined('forecast', 'Where the month will end, by what was spent so far and on which days; see project_spend().'), ` ${money(forecast[3])}`, grows != null ? `, ${percent(grows, true)} on ${monthName(periods[3][1], true)}` : '')
				: forecast ? 'no forecast yet' : 'no forecast for this choice',
		same && same[2] != null && `${money(same[2])} at this point of ${monthName(periods[3][1], true)}`);

	const rows = weeks(), whole = rows.filter(row => row.isWhole).pop(), running = rows.find(row => !row.isWhole);
	const [first, ...others] = weekLines();
	const words = ratio => others.length && ratio > Math.max(...others) ? el('span.wrong', {}, ' review') : ratio > first ? el(others.length ? 'span.watch' : 'span.wrong', {}, others.length ? ' investigate' : ' review') : '';
	number('Week over week', 'week_over_week.change_ratio', whole && whole.ratio != null ? percent(whole.ratio, true) : '—', whole && whole.ratio,
		whole && whole.ratio != null ? el('span', {}, `week of ${day(whole.week)}`, words(whole.ratio)) : noWeeks(rows),
		running && running.ratio != null && el('span', {}, `running week ${percent(running.ratio, true)} on the same point of the last`, words(running.ratio)));
}

//
// The four panels
//

function runPanel() {
	const [, first, last] = periods[chosen.period];
	const rows = seriesOf(data.run_days).filter(row => row[0] >= first && row[0] <= last);
	if (!rows.some(row => row[4] != null)) {
		hinted('What does a run cost?', (rows.length ? 'No run of this choice has a price.'
			: isFiltered() ? 'No runs of this choice.' : 'No calls of this period have a run_id. Send it with the calls of one task, and this shows what a task costs, on average and at the dear end.'));
		return;
	}
	const all = [];
	for (let d = rows[0][0]; d <= rows[rows.length - 1][0]; d = addDays(d, 1)) all.push(rows.find(row => row[0] === d) || [d, null, null, 0, null, null, null]);
	const limit = limitOf('cost_per_run');
	const budget = !limit && (data.budgets || []).find(b => b[2] === 'cost' && b[3] === 'total' && b[1]);
	const line = limit ? [limit[1], `review at ${money(limit[1])}`] : budget ? [budget[4], `budget ${money(budget[4])}`] : null;
	const { top, beyond } = topOf([4, 5].map(k => rows.map(row => row[k])), line ? [line[0]] : []);
	const out = all.flatMap((row, i) => [4, 5].filter(k => row[k] > beyond).map(k => [i, row[k], k === 4 ? 'mean' : 'p95', row]));
	const columns = [column.date('Day', row => row[0]), column.count('Runs', row => row[3], { def: 'cost_per_run_by_day.runs', drop: 1 }),
		column.money('Mean', row => row[4], { def: 'cost_per_run_by_day.mean_cost' }), column.money('p95', row => row[5], { def: 'cost_per_run_by_day.p95_cost' }),
		column.money('Largest', row => row[6], { def: 'cost_per_run_by_day.max_cost' })];
	const largest = out.length ? data.dearest.filter(run => run[13].includes(chosen.period) && (chosen.team == null || run[1] === chosen.team) && (chosen.customer == null || run[2] === chosen.customer))[0] : null;
	const isRunning = row => row[0] === meta.today;
	block('What does a run cost?', `${currency} per task with its sub-agents, by the day it began${isFiltered() ? runWords() : ''}${all.some(isRunning) ? '; the lighter day runs' : ''}; ${line ? `dotted: ${line[1]}` : 'no threshold is on (report_threshold)'}`,
		...chart(`Line chart of the mean and 95th percentile cost of a run, by day ${periodWords()}`, width => ({
			...axes(width, { data: all.map(row => day(row[0])), boundaryGap: all.length === 1 }, { max: niceTop(top), axisLabel: { formatter: axisMoney } }),
			tooltip: { ...axes(width, {}, {}).tooltip, formatter: points => { const row = all[points[0].dataIndex]; return tip(isRunning(row) ? `${day(row[0])} so far` : day(row[0]), [['mean', money(row[4])], ['p95', money(row[5])], ['largest', money(row[6])], ['runs', count(row[3])]]); } },
			series: [['p95', 5], ['mean', 4]].map(([name, k]) => ({
				name, type: 'line', data: all.map(row => ({ value: row[k] > beyond ? niceTop(top) : row[k], ...(isRunning(row) ? { symbol: 'circle', symbolSize: 9, itemStyle: { opacity: 0.45 } } : { symbol: all.length < 3 ? 'circle' : 'none' }) })), showSymbol: true, connectNulls: true, lineStyle: { width: 1.8 }, itemStyle: { color: paint(name) }, clip: true,
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
		hinted('What does a user cost in a month?', (isFiltered() ? 'Users are not kept by team or customer: choose all of both to see them.'
			: 'No calls have a user_id. Send it with calls, and this shows what a user costs against what a plan earns.'));
		return;
	}
	const latest = rows[rows.length - 1][0];
	const priced = data.plans.filter(plan => plan[0] === latest && plan[2] > 0);
	const limit = limitOf('p95_cost_per_user_month');
	if (rows.every(row => row[2] == null)) {
		hinted('What does a user cost in a month?', 'No call of a user has a price.');
		return;
	}
	const usual = topOf([2, 3].map(k => rows.map(row => row[k])), limit ? [limit[1]] : [], 10);
	const most = Math.min(usual.top, Math.max(...rows.flatMap(row => [row[2], row[3]])));
	// The lines that matter are near what users cost.
	const lines = [...(limit ? [[limit[1], `review at ${money(limit[1])}`]] : []), ...priced.filter(plan => plan[2] <= 2 * most).map(plan => [plan[2], `plan ${plan[1] ?? '(none)'} ${money(plan[2])}`])].slice(0, 2);
	const { top, beyond } = topOf([2, 3].map(k => rows.map(row => row[k])), lines.map(line => line[0]), 10);
	// Of two lines so close that the names would meet, the higher has both.
	const [high, low] = [...lines].sort((a, b) => b[0] - a[0]);
	const nameOfLine = line => low && (high[0] - low[0]) / niceTop(top) < 0.12 ? (line === high ? `${high[1]}, ${low[1]}` : '') : line[1];
	const out = rows.flatMap(row => [2, 3].filter(k => row[k] > beyond).map(k => [row, row[k], k === 2 ? 'mean' : 'p95']));
	const columns = [column.date('Month', row => row[0], { node: row => monthName(row[0]) }), column.count('Users', row => row[1], { def: 'cost_per_user_by_month.users' }),
		column.money('Mean', row => row[2], { def: 'cost_per_user_by_month.mean_cost' }), column.money('p95', row => row[3], { def: 'cost_per_user_by_month.p95_cost' }),
		column.money('Dearest', row => row[4], { def: 'cost_per_user_by_month.max_cost' })];
	block('What does a user cost in a month?', `${currency} per user and month${lines.length ? `; dotted: ${lines.map(line => line[1]).join(', ')}` : ''}${rows[rows.length - 1][5] ? '' : '; the lighter month runs'}`,
		...chart('Bar chart of the mean and 95th percentile cost of a user, by month', width => ({
			...axes(width, { data: rows.map(row => row[5] ? monthName(row[0]) : `${day(row[0], { month: 'short' })} so far`) }, { max: niceTop(top), axisLabel: { formatter: axisMoney } }),
			tooltip: { ...axes(width, {}, {}).tooltip, formatter: points => { const row = rows[points[0].dataIndex]; return tip(monthName(row[0]), [['mean', money(row[2])], ['p95', money(row[3])], ['dearest', money(row[4])], ['users', count(row[1])]]); } },
			series: [['mean', 2], ['p95', 3]].map(([name, k]) => ({
				name, type: 'bar', barMaxWidth: 34, itemStyle: { color: paint(name) }, data: rows.map(row => ({ value: row[k] > beyond ? niceTop(top) : row[k], itemStyle: row[5] ? {} : { opacity: 0.45 },
					label: row[k] > beyond ? { show: true, position: 'insideTop', distance: 4, opacity: 1, rotate: 90, align: 'right', verticalAlign: 'middle', fontSize: fontSize(), color: paint('ink'), backgroundColor: paint('card'), padding: [1, 3], formatter: () => `${money(row[k])} ▲` } : undefined })),
				markLine: k === 2 && lines.length ? { silent: true, symbol: 'none', data: lines.map(line => threshold(line[0], nameOfLine(line))) } : undefined,
			})),
		}), table('Cost per user by month', columns, rows)),
		out.length ? el('p.sub', {}, '▲ beyond the scale: ', out.map(([row, value, name], i) => `${i ? '; ' : ''}${name} of ${monthName(row[0])} ${money(value)}`)) : null);
}

function taskPanel() {
	const runs = new Map(rowsOf(data.run_tasks).map(row => [row[3], row]));
	const rows = rowsOf(data.parts.task_type || []).map(([, , , place, calls, cost, , , , priced]) => {
		const run = runs.get(place);
		return run && run[5] != null ? { place, unit: 'run', mean: run[5], p95: run[6], n: run[4], cost } : { place, unit: 'call', mean: ratioOf(cost, priced), p95: null, n: calls, cost };
	}).filter(row => row.mean != null).sort((a, b) => b.mean - a.mean);
	if (!rows.length) {
		hinted('What does each kind of task cost?', 'No call of this choice has a price.');
		return;
	}
	const limit = limitOf('mean_cost_per_run_of_task_type');
	const most = Math.max(rows[0].mean, limit ? limit[1] : 0), least = rows[rows.length - 1].mean || most / 1e6;
	let { isLog } = kept;
	const columns = [column.name('Task', row => wordOf('task_type', row.place), { def: 'cost_by_task_type.task_type' }), column.short('per', row => row.unit, { def: 'run: a whole run with its sub-agents; call: one call, where calls of this kind have no run_id.' }),
		column.money('Mean', row => row.mean, { def: 'cost_by_task_type.mean_cost_per_run' }), column.money('p95', row => row.p95, { def: 'cost_by_task_type.p95_cost_per_run', drop: 2 }),
		{ head: 'as a bar', isBar: true, of: row => row.mean, node: row => bar(row.mean, most, { isLog, least, limit: limit && limit[1] }), drop: 1 },
		column.count('Times', row => row.n, { def: 'Whole runs that began in this period, or calls where they have no run.', drop: 2 }), column.money('Cost', row => row.cost, { def: 'cost_by_task_type.cost', drop: 2 })];
	const holder = el('div');
	const fill = () => holder.replaceChildren(table('Cost by kind of task', columns, rows, { sorted: columns[2] }));
	fill();
	block('What does each kind of task cost?', `${currency} per whole run, or per call where there is no run; ${periodWords()}${runWords()}${limit ? `; dotted: review at ${money(limit[1])}` : ''}`,
		rows[0].mean > 30 * least ? el('label.tick', {}, el('input', { type: 'checkbox', checked: isLog, onchange: event => { isLog = kept.isLog = event.target.checked; keep(); fill(); fit(); } }), ' logarithmic bars') : null, holder);
}

function weekPanel() {
	const rows = weeks().filter(row => row.ratio != null);
	if (!rows.length) {
		hinted('Where is it going?', `There is no change to show: ${noWeeks(weeks())}.`);
		return;
	}
	const lines = weekLines();
	const { top, beyond } = topOf([rows.map(row => row.ratio)], lines);
	const low = Math.min(0, ...rows.map(row => row.ratio));
	const step = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].find(n => (top - low) / n <= 7) || top;
	const [end, start] = [Math.ceil(top / step) * step, Math.floor(low / step) * step];
	// Named beside the plot; so close that the names would meet, by the highest.
	const areClose = lines.length > 1 && (Math.max(...lines) - Math.min(...lines)) / (end - start) < 0.08;
	const labelOf = l => areClose ? (l === Math.max(...lines) ? lines.map(n => percent(n)).join(', ') : '') : percent(l);
	const columns = [column.date('Week of', row => row.week), column.money('Cost', row => row.cost, { def: 'week_over_week.cost' }), column.money('Before', row => row.before, { def: 'week_over_week.previous_cost' }),
		column.change('Change', row => row.ratio, { def: 'week_over_week.change_ratio' }), column.short('State', row => row.isWhole ? 'whole' : 'runs', { drop: 2 })];
	block('Where is it going?', `change of cost, week over week; dotted: ${lines.map(l => percent(l)).join(' and ')}; the lighter week runs and is compared with the same point of the last`,
		...chart('Bar chart of the change of cost, week over week', width => ({
			...axes(width, { data: rows.map(row => day(row.week)), axisLine: { onZero: false, lineStyle: { color: paint('hair') } } },
				{ max: end, min: start, interval: step, axisLabel: { formatter: v => format('number', { style: 'percent', maximumFractionDigits: 1 }, v) } }),
			legend: undefined, grid: { left: 8, right: (areClose ? 5 : 3) * fontSize() + 6, top: 24, bottom: 6, containLabel: true },
			tooltip: { ...axes(width, {}, {}).tooltip, formatter: points => { const row = rows[points[0].dataIndex]; return tip(`week of ${day(row.week)}`, [['change', percent(row.ratio, true)], ['cost', money(row.cost)], ['before', money(row.before)]]); } },
			series: [{
				type: 'bar', name: 'change', barMaxWidth: 34,
				data: rows.map(row => ({ value: Math.min(row.ratio, end), itemStyle: { color: paint(row.ratio > Math.max(...lines) ? 'red' : row.ratio > Math.min(...lines) ? 'amber' : 'mean'), opacity: row.isWhole ? 1 : 0.45 },
					label: row.ratio > Math.min(beyond, end) ? { show: true, position: 'top', distance: 2, opacity: 1, fontSize: fontSize(), color: paint('ink'), formatter: () => `▲ ${percent(row.ratio, true)}` } : undefined })),
				markLine: { silent: true, symbol: 'none', data: lines.map(l => ({ ...threshold(l, ''), label: { show: true, position: 'end', fontSize: fontSize(), color: paint('ink'), formatter: () => labelOf(l) } })) },
			}],
		}), table('Cost by week', columns, rows, { sorted: columns[0] }), rows.length <= 10));
}

//
// Tables below
//

function dearestRuns() {
	const rows = data.dearest.filter(run => run[13].includes(chosen.period) && (chosen.team == null || run[1] === chosen.team) && (chosen.customer == null || run[2] === chosen.customer)).slice(0, 10);
	if (!rows.length || !(rows[0][4] > 0)) {
		if (seriesOf(data.run_days).length) wide(hinted('Which ten tasks were dearest?', rows.length ? 'No task of this choice cost anything.' : `No task with a price began in this period${runWords()}.`));
		return;
	}
	const most = rows[0][4], others = rows.length > 1 ? rows[1][4] : most;
	const columns = [column.name('Run', run => run[0], { def: 'most_expensive_run.run_id', node: run => linkOf(runUrl(run[0], run[12]), run[0]) }),
		column.date('Began', run => new Date(run[3] * 1000).toISOString(), { node: run => instant(run[3] * 1000), drop: 2 }),
		column.name('Team', run => run[9] ?? '(unallocated)', { drop: 2 }), column.name('Task', run => run[8] ?? '(unallocated)', { drop: 1 }), column.name('Customer', run => run[11] ?? '(unallocated)', { drop: 2 }),
		column.count('Calls', run => run[6], { def: 'most_expensive_run.calls', drop: 2 }), column.count('Runs', run => run[7], { def: 'most_expensive_run.runs', drop: 2 }),
		column.money('Cost', run => run[4], { def: 'most_expensive_run.cost' }), column.bar(run => run[4], most, { drop: 2 })];
	const traces = rows.filter(run => isLink(runUrl(run[0], run[12]))).length;
	const isCell = chosen.team != null && chosen.customer != null && rows.length < 10;
	wide(block('Which ten tasks were dearest?', `whole runs with their sub-agents that began in this period, ${periodWords()}${runWords()}; ${traces === rows.length ? 'each leads to its trace' : traces ? `${count(traces)} of them lead to their traces` : 'calls bring no trace_url'}`,
		table('The dearest tasks', columns, rows, { sorted: columns[7] }),
		most > 20 * others ? el('p.sub', {}, `The first alone is ${large(most / others)} times the second.`) : null,
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
		wide(hinted('What does it earn?', 'No revenue is recorded. INSERT INTO cost_ledger.revenue (earned_on, feature, customer, amount), and this shows the margin of each feature and customer.'));
		return;
	}
	const columns = head => [column.name(head, row => row[2] ?? '(unallocated)'), column.money('Revenue', row => row[3], { def: 'margin_by_feature.revenue', drop: 1 }), column.money('Cost', row => row[4], { def: 'margin_by_feature.cost' }),
		{ ...column.money('Margin', row => row[5], { def: 'margin_by_feature.margin' }), drop: 2 },
		{ ...column.percent('Margin ratio', row => row[6], { def: 'margin_by_feature.margin_ratio' }), node: row => el(`span${row[7] ? '.wrong' : ''}`, {}, percent(row[6])) }];
	for (const [label, head] of [['feature', 'Feature'], ['customer', 'Customer']]) {
		const own = rows.filter(row => row[0] === label && (label !== 'customer' || chosen.customer == null || row[2] === lists.customer[chosen.customer]));
		const isRest = label === 'customer' && chosen.customer != null && typeof (lists.customer[chosen.customer] ?? '') === 'object';
		const isKnown = chosen.team == null && (label === 'customer' || chosen.customer == null);
		const cs = columns(head);
		block(label === 'feature' ? 'What does each feature earn?' : 'What does each customer earn us?', isKnown && `revenue less cost, ${monthName(month)}${month === months[0] ? ' to date' : ''}; red: cost above ${percent(0.3)} of revenue`,
			!isKnown || isRest ? hint(isRest ? 'What all other customers together earn is not in this file: choose one of them, or all.' : `Revenue is not known by ${chosen.team != null ? 'team' : 'customer and feature together'} here: choose all to see it.`)
				: own.length ? table(`Margin by ${label}`, cs, own, { sorted: cs[2] }) : hint(`No ${label} has calls or revenue in ${monthName(month)}.`));
	}
}

function plans() {
	const latest = data.users.length && data.users[data.users.length - 1][0];
	const rows = data.plans.filter(plan => plan[0] === latest);
	if (isFiltered() || !rows.some(row => row[2] != null)) return;
	const columns = [column.name('Plan', row => row[1] ?? '(unallocated)'), column.count('Users', row => row[3], { def: 'cost_per_user_by_plan.users', drop: 1 }), column.money('Price', row => row[2], { def: 'cost_per_user_by_plan.price' }),
		column.money('Mean cost', row => row[4], { def: 'cost_per_user_by_plan.mean_cost' }), column.money('p95 cost', row => row[5], { def: 'cost_per_user_by_plan.p95_cost', drop: 1 }),
		column.count('Users above price', row => row[6], { def: 'cost_per_user_by_plan.users_above_price', drop: 2 }), column.money('Margin', row => row[7], { def: 'cost_per_user_by_plan.margin' })];
	wide(block('Do plans pay for their users?', `${currency} per user and month: the price of a plan against what its users cost, ${monthName(latest)}`, table('Plans', columns, rows)));
}

function whatChanged() {
	const rows = [];
	for (const [list, words] of [['feature', 'feature'], ['model', 'model'], ['task_type', 'task']]) {
		const before = new Map(rowsOf(data.parts[list] || [], 6).map(row => [row[3], row]));
		const after = new Map(rowsOf(data.parts[list] || [], 5).map(row => [row[3], row]));
		for (const place of new Set([...before.keys(), ...after.keys()])) {
			const [a, b] = [after.get(place), before.get(place)];
			// What has no price has no change that is known.
			const [cost, old] = [a ? a[5] : 0, b ? b[5] : 0];
			rows.push({ label: words, value: wordOf(list, place), cost, old, change: cost == null || old == null ? null : cost - old, calls: a && b && b[4] ? a[4] / b[4] - 1 : null,
				perCall: a && b && a[9] && b[9] && b[5] > 0 ? (a[5] / a[9]) / (b[5] / b[9]) - 1 : null });
		}
	}
	const top = rows.filter(row => row.change).sort((a, b) => Math.abs(b.change) - Math.abs(a.change)).slice(0, 10);
	const prices = data.prices || [];
	if (!top.length && !prices.length) return;
	const columns = [column.short('Label', row => row.label), column.name('Value', row => row.value), column.money('Cost', row => row.cost, { def: 'cost_by_day.cost', drop: 1 }),
		column.money('Before', row => row.old, { def: 'Cost of the seven days before.', drop: 2 }),
		column.money('Change', row => row.change, { def: 'Cost less the cost before.', text: value => (value > 0 ? '+' : '') + money(value) }),
		column.change('Calls', row => row.calls, { def: 'Change of the number of calls.', drop: 2 }), column.change('Cost per call', row => row.perCall, { def: 'Change of the cost of a call that has a price.', drop: 2 })];
	const [, first, last] = periods[5];
	const priceColumns = [column.date('Since', row => row[6]), column.name('Model', row => `${row[0]} / ${row[1]}`), column.name('Meter', row => row[2]),
		{ head: 'Price', of: row => row[3], isNumber: true, node: row => price(row[3], row[5]), def: 'Price of as many of the meter as per says.' }, column.count('per', row => row[4], { def: 'Of how many the price is.', drop: 2 }),
		{ head: 'Before', of: row => row[7], isNumber: true, node: row => price(row[7], row[5]), def: 'The price until then, of as many.', drop: 1 }, column.change('Change', row => ratioOf(row[3] - row[7], row[7]), { def: 'Price over the price before, less one.' })];
	wide(block('What changed since last week?', top.length ? `the ten largest changes of cost, ${currency}, ${day(first)} to ${day(last)} against the seven days before` : null, top.length ? table('Changes', columns, top, { sorted: null }) : hint(`Nothing cost more or less, ${day(first)} to ${day(last)}, than in the seven days before.`),
		prices.length ? el('div', {}, el('h3', {}, `Prices that changed since ${day(meta.first_day)}${prices.length > 12 ? `, the 12 latest of ${count(prices.length)}` : ''}`), table('Prices', priceColumns, prices.slice(0, 12))) : null));
}

function modelsAndOperations() {
	const mix = (list, head, def) => {
		const rows = rowsOf(data.parts[list] || []);
		const total = rows.reduce((sum, row) => sum + (row[5] || 0), 0), most = Math.max(...rows.map(row => row[5] || 0)), calls = rows.reduce((sum, row) => sum + row[4], 0);
		const columns = [column.name(head, row => wordOf(list, row[3])), column.money('Cost', row => row[5], { def: `${def}.cost` }), column.percent('Share', row => ratioOf(row[5], total), { def: `${def}.share` }),
			column.percent('Share of calls', row => ratioOf(row[4], calls), { def: 'Its calls, over all calls of this choice.', drop: 2 }), column.money('Cost per call', row => ratioOf(row[5], row[9]), { def: 'Cost, over the calls that have a price.', drop: 2 }), column.bar(row => row[5], most, { drop: 1 })];
		return table(`Cost by ${head}`, columns, rows, { sorted: columns[1] });
	};
	block('Which models does it go to?', `cost by model, ${periodWords()}, ${currency}`, mix('model', 'Model', 'cost_by_model'));
	block('How much is not the work itself?', `retries, fallbacks, evals beside the work: cost by operation, ${periodWords()}, ${currency}`, mix('operation', 'Operation', 'cost_by_operation'));
	const rows = rowsOf(data.parts.feature || []).filter(row => row[7] > 0);
	const total = rowOf(data.totals);
	const columns = [column.name('Feature', row => wordOf('feature', row[3])), { head: 'Input tokens', of: row => row[7], isNumber: true, text: large, def: 'cache_hit_by_feature.input_tokens', drop: 1 },
		column.percent('from cache', row => ratioOf(row[8], row[7]), { def: 'cache_hit_by_feature.cache_hit_ratio' }), { head: 'as a bar', isBar: true, of: row => row[8], node: row => bar(ratioOf(row[8], row[7]), 1), drop: 2 },
		column.percent('Last 7 days', row => cacheOf(5, row[3]), { def: 'The same of the last seven whole days; amber where it is less than 0.7 of what it was before.', node: row => el(`span${cacheOf(5, row[3]) < 0.7 * cacheOf(6, row[3]) ? '.watch' : ''}`, {}, percent(cacheOf(5, row[3]))) }), column.percent('7 before', row => cacheOf(6, row[3]), { def: 'The same of the seven days before those.', drop: 1 }),
		column.money('Saved', row => row[10], { def: 'cost_by_day.prompt_cache_saving', drop: 2 })];
	const cacheOf = (p, place) => { const row = rowsOf(data.parts.feature || [], p).find(r => r[3] === place); return row ? ratioOf(row[8], row[7]) : null; };
	const said = [total && total[11] != null && ['Prompt caches ', defined(total[11] < 0 ? 'cost more than they saved, by' : 'saved', 'cost_by_day.prompt_cache_saving'), ' ', el('strong', { 'data-value': total[11] }, money(Math.abs(total[11])))],
		total && total[10] && ['your own cache ', defined('spared', 'cost_by_day.avoided_cost'), ' ', money(total[10])]].filter(Boolean);
	wide(block('Do the caches work?', `input tokens read from the prompt cache, ${periodWords()}, ${currency}`,
		said.length ? el('p', {}, said.flatMap((part, i) => i ? ['; ', ...part] : part), '.') : null,
		rows.length ? table('Prompt cache by feature', columns, rows, { sorted: columns[1] }) : hint('No input tokens in this choice.')));
}

// The threshold of an alert, in the unit of its kind.
const thresholdOf = (kind, value) => value == null ? '—'
	: ['run_cost', 'user_month_cost', 'task_type_cost', 'day_cost'].includes(kind) ? money(value)
		: kind === 'spend_rate' ? `${money(value)} an hour`
			: ['threshold', 'seeded', 'week_over_week', 'budget_forecast'].includes(kind) ? percent(value)
				: ['velocity', 'spend_vs_usual', 'run_cost_spread'].includes(kind) ? `× ${count(value)}`
					: ['stale_job', 'job_outage', 'rollup_lag'].includes(kind) ? `${count(value)} s` : count(value);

function budgetsAndAlerts() {
	const budgets = data.budgets || [], alerts = data.alerts || [];
	const amount = (value, metric) => value == null ? '—' : metric === 'cost' ? money(value) : `${large(value)} ${metric.replaceAll('_', ' ')}`;
	// What a budget asks for at this point: nothing, to warn, or to hold calls back.
	const kindOf = row => row[6] >= 1 ? '.wrong' : row[7] !== 'ok' ? '.watch' : '';
	const named = (name, of) => of ? el('span', {}, nameOf(name), ': ', nameOf(of)) : nameOf(name);
	const columns = [column.name('Budget', row => row[1] ? `${row[0]}: ${row[1]}` : row[0], { node: row => named(row[0], row[1]) }), column.short('Period', row => row[3], { drop: 2 }),
		{ head: 'Spent', of: row => row[5], isNumber: true, node: row => amount(row[5], row[2]), def: 'budget_status.spent', drop: 1 }, { head: 'Limit', of: row => row[4], isNumber: true, node: row => amount(row[4], row[2]), def: 'budget_status.limit_amount' },
		{ head: 'Used', of: row => row[6], isNumber: true, def: 'budget_status.used_ratio', node: row => el(`span${kindOf(row)}`, {}, percent(row[6])) },
		{ head: 'Forecast', of: row => row[8], isNumber: true, def: 'budget_status.forecast', drop: 2, node: row => row[8] == null ? '—' : el(`span${row[8] > row[4] ? '.watch' : ''}`, {}, amount(row[8], row[2])) }];
	if (budgets.length) block('Do we stay within budgets?', `${currency}; the nearest to their limit, or beyond it; of a budget for each of something, the first five; red: all is used`, table('Budgets', columns, budgets));
	else hinted('Do we stay within budgets?', "No budget is set: SELECT cost_ledger.set_budget('all calls', '{}', 'month', 1000);");
	const alertColumns = [column.date('At', row => new Date(row[0]).toISOString(), { node: row => instant(row[0]), drop: 1 }), column.name('What', row => row[2] ? `${row[1]}: ${row[2]}` : row[1], { node: row => named(row[1], row[2]) }),
		{ head: 'From', of: row => row[5], isNumber: true, def: 'unacknowledged_alert.threshold', drop: 2, node: row => thresholdOf(row[6], row[5]) },
		{ ...column.name('Severity', row => row[3], { def: 'unacknowledged_alert.severity' }), node: row => el(`span${row[3] === 'page' && !row[7] ? '.wrong' : ''}`, {}, row[7] ? `${row[3]}, over` : row[3]) }];
	const deaf = (data.jobs || []).filter(job => job[0] === 'check_budgets' || job[0] === 'check_rules');
	if (alerts.length) block('What should somebody look at?', 'alerts that nobody has acknowledged, the 20 latest', table('Alerts', alertColumns, alerts));
	else hinted('What should somebody look at?', deaf.length ? `No alert is open, but nothing looks for any: ${deaf.map(job => job[0]).join(' and ')} ${deaf.length > 1 ? 'do' : 'does'} not run (SELECT cost_ledger.schedule_jobs();).` : 'Nothing: no alert is open.');
}

// Terms and what they say, beside each other.
const facts = (kind, rows) => el(`dl.${kind}`, {}, rows.map(([term, def, said, wrong]) => el('div', {}, el('dt', {}, def ? defined(term, def) : term), el(`dd${wrong ? `.${wrong}` : ''}`, {}, said))));

function spendNow() {
	const now = (data.now || [])[0];
	if (!now || isFiltered()) return;
	const [, fast, hour, today, before, ratio] = now;
	wide(block('What is being spent now?', `${currency}, when this page was made`, facts('row', [
		['in the last 5 minutes', 'spend_now.rate_5m', `${money(fast)} an hour`], ['in the last hour', 'spend_now.rate_1h', `${money(hour)} an hour`],
		['today', 'spend_now.today_cost', money(today)],
		['at this time a week ago', 'spend_now.previous_cost', `${money(before)}${ratio != null ? ` (today ${percent(ratio, true)})` : ''}`]])));
}

function dataQuality() {
	const total = rowOf(data.totals), rows = [];
	if (total) rows.push(['calls in this choice', 'cost_by_day.calls', count(total[3])], ['without a full price', 'cost_by_day.unpriced_calls', count(total[5])], ['failed', 'cost_by_day.failed_calls', `${count(total[6])} (${percent(ratioOf(total[6], total[3]))})`]);
	if (meta.later_calls > 0) rows.push(['dated later than today, and in no number here', null, counted(meta.later_calls, 'call'), 'wrong']);
	const rollups = data.rollups;
	if (rollups) {
		rows.push(['not in the rollups yet, and in these numbers all the same', 'rollup_status.unconsumed_rows', count(rollups.unconsumed_rows)]);
		if (rollups.quarantined_calls > 0) rows.push(['in quarantine, and in no number here', 'rollup_status.quarantined_calls', count(rollups.quarantined_calls), 'wrong']);
		if (rollups.lag_seconds > 600) rows.push(['the rollups are behind by', 'rollup_status.lag_seconds', `${counted(Math.round(rollups.lag_seconds / 60), 'minute')}: is the job running? (job_status)`, 'wrong']);
		if (rollups.needs_post_restore) rows.push(['the ledger was restored', 'rollup_status.needs_post_restore', 'SELECT cost_ledger.post_restore();', 'wrong']);
	}
	for (const problem of data.problems || []) rows.push([problem[0], null, [problem[1], problem[3]].filter(Boolean).join(': '), 'wrong']);
	const late = (data.jobs || []).filter(job => job[1] || job[2]);
	if (late.length) rows.push(['jobs that do not run, or fail', null, `${count(late.length)}: ${late.slice(0, 3).map(job => job[0]).join(', ')}${late.length > 3 ? ', …' : ''} (job_status; SELECT cost_ledger.schedule_jobs();)`, 'watch']);
	wide(block('How good are these numbers?', `calls, ${periodWords()}, as the ledger knows them`, facts('list', rows),
		meta.sees_all ? null : hint(`Made as ${visible(meta.role)}, which may see only some calls: all numbers are of those. Lines of others, rollups and jobs are not shown, and times are those of your own zone.`)));
}

function bands() {
	if (data.rollups && (data.rollups.lag_seconds > 600 || data.rollups.needs_post_restore)) {
		const node = wide(block(data.rollups.needs_post_restore ? 'The ledger was restored' : 'The rollups are behind', null, el('p', {}, data.rollups.needs_post_restore ? 'Its jobs wait for ' : 'Numbers are right, but reports get slow. Does the job run? ',
			el('code', {}, data.rollups.needs_post_restore ? 'SELECT cost_ledger.post_restore();' : 'SELECT cost_ledger.schedule_jobs();'))));
		node.classList.add('band');
	}
	const unpriced = data.unpriced || [];
	if (!unpriced.length || isFiltered() && !((rowOf(data.totals, 4) || [])[5] > 0)) return;
	const quote = text => `'${text.replaceAll("'", "''")}'`;
	const calls = unpriced.reduce((sum, row) => sum + row[2], 0);
	const node = wide(block(calls === 1 ? '1 call has no full price' : `${count(calls)} calls have no full price${isFiltered() ? ', of all teams and customers' : ''}`, `what ${calls === 1 ? 'it costs' : 'they cost'} is missing from every number here; this mends it${unpriced.length > 3 ? ' (the three models that most of them are of; unpriced_call has all)' : ''}:`,
		el('pre', { tabindex: 0 }, unpriced.slice(0, 3).map(([provider, model, n, since]) => `SELECT cost_ledger.set_price(${quote(provider)}, ${quote(model)}, '{"input_tokens": …, "output_tokens": …}', '${since}');  /* ${counted(n, 'call')} */\n`).join('')
			+ `SELECT count(*) FROM cost_ledger.rerate('${meta.first_day}', now(), dry_run => false, reason => 'the prices came late');`)));
	node.classList.add('band');
}

//
// The page
//

function emptyPage() {
	document.getElementById('filters').remove();
	wide(block(meta.sees_all ? 'There are no calls here yet' : 'There are no calls here that you may see', null,
		meta.later_calls > 0 && hint(`${counted(meta.later_calls, 'call')} ${meta.later_calls === 1 ? 'is' : 'are'} dated later than today: is a clock wrong?`),
		hint(meta.sees_all ? 'Record one, and this page has something to say:' : `Made as ${visible(meta.role)}. Ask the ledger's owner for grant_reader() or grant_team_reader().`),
		meta.sees_all && el('pre', { tabindex: 0 }, "INSERT INTO cost_ledger.call (provider, model, input_tokens, output_tokens, team, feature, run_id, user_id)\n    VALUES ('anthropic', 'claude-sonnet-4-5', 5800, 600, 'search', 'answers', 'run-1', 'user-1');")));
}

function age() {
	const seconds = Math.max(0, (Date.now() - meta.made_at) / 1000);
	const text = seconds < 90 ? 'just now' : seconds < 5400 ? `${counted(Math.round(seconds / 60), 'minute')} ago` : seconds < 129600 ? `${counted(Math.round(seconds / 3600), 'hour')} ago` : `${counted(Math.round(seconds / 86400), 'day')} ago`;
	const node = document.getElementById('age');
	node.textContent = text;
	node.className = seconds > (meta.refresh_seconds ? 3 * meta.refresh_seconds : 172800) ? 'watch' : '';
}

function draw() {
	for (const [, , drawn] of charts) if (drawn) drawn.dispose();
	charts = [];
	blocks = [];
	const total = data.totals && rowOf(data.totals);
	document.getElementById('about').replaceChildren(`${instant(meta.made_at)}, ${zone || 'your own time'}, `, el('span', { id: 'age', 'aria-live': 'off' }), ...meta.is_empty ? [] : [' · ', ...scopeWords(), ` · ${currency} · ${counted(total ? total[3] : 0, 'call')}, ${periodWords()}`],
		total && total[5] > 0 ? `, ${count(total[5])} without a full price` : '', ...missing.map(of => el('span.watch', {}, ' · not on this page: ', nameOf(of))));
	age();
	if (meta.is_empty) emptyPage();
	else for (const part of [bands, fourNumbers, runPanel, userPanel, taskPanel, weekPanel, dearestRuns, whoPays, whatItEarns, plans, whatChanged, modelsAndOperations, spendNow, budgetsAndAlerts, dataQuality]) part();
	document.getElementById('main').replaceChildren(...blocks);
	fit();
	drawCharts();
}

// What a number means appears beside it, for a pointer and for a keyboard.
const bubble = document.getElementById('definition');
function define(event) {
	const target = event.target.closest && event.target.closest('[data-def]');
	if (!target) return;
	bubble.textContent = meaningOf(target.dataset.def);
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
document.getElementById('foot').textContent = `cost_ledger ${meta.version}. Costs are the ledger's own, exact; p95 within ${format('number', { style: 'percent' }, 0.01)}. Days, weeks and months are those of ${data.ledger.time_zone || "the ledger's zone"}. Underlined words and heads of columns tell what they mean.`;
if (!meta.is_empty) {
	readAddress();
	filters();
	addEventListener('hashchange', () => { readAddress(); filters(); draw(); });
}
draw();
let waiting;
addEventListener('resize', () => { clearTimeout(waiting); waiting = setTimeout(() => { fit(); for (const [holder, options, drawn] of charts) { drawn.resize(); drawn.setOption(options(holder.clientWidth)); } }, 100); });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
// Half of a sheet of A4, and text as small as a sheet has it.
addEventListener('beforeprint', () => {
	for (const [holder, , drawn] of charts) {
		drawn.resize({ width: 424, height: 240 });
		drawn.getZr().flush();
		holder.querySelector('svg').setAttribute('viewBox', '0 0 424 240');
	}
});
addEventListener('afterprint', draw);
setInterval(age, 15000);
if (meta.refresh_seconds) setTimeout(() => location.reload(), meta.refresh_seconds * 1000);
})();
