'use strict';
// Reads the report page as a person would, and works its filters.  test/t/report.pl
// puts it at the end of a page, behind window.errors, which collects what goes
// wrong from the first line on; what was read is left in <pre id="read">.
(async () => {
	const cells = row => [...row.children].map(cell => cell.dataset.value ?? cell.textContent);
	const table = caption => {
		const found = [...document.querySelectorAll('table')].find(t => t.caption && t.caption.textContent === caption);
		return found ? [...found.tBodies[0].rows].map(cells) : null;
	};
	const tables = () => Object.fromEntries([...document.querySelectorAll('table')].map(t => [t.caption.textContent, table(t.caption.textContent)]));
	const numbers = () => [...document.querySelectorAll('.number')].map(n => ({ title: n.querySelector('h2').textContent, value: n.querySelector('.big').dataset.value ?? null, text: n.textContent }));
	const look = () => ({
		about: document.getElementById('about').textContent,
		questions: [...document.querySelectorAll('main h2')].map(h => h.textContent),
		numbers: numbers(), tables: tables(), hash: location.hash,
		charts: document.querySelectorAll('.chart svg').length,
		charted: [...document.querySelectorAll('.chart')].map(n => [...n.querySelectorAll('text')].map(t => t.textContent)),
		// What stands in a sentence, by the question it answers; points of the day that runs.
		amounts: Object.fromEntries([...document.querySelectorAll('main section')].flatMap(s => { const amount = s.querySelector('p strong[data-value]'); return amount ? [[s.querySelector('h2').textContent, amount.dataset.value]] : []; })),
		running: [...document.querySelectorAll('main section')].filter(s => s.getAttribute('aria-label') === 'What does a run cost?').flatMap(s => [...s.querySelectorAll('.chart path[fill-opacity="0.45"]')]).length,
		hints: [...document.querySelectorAll('.note')].map(n => n.textContent),
		// What is wider than the page makes a reader scroll sideways.
		scrolled: [...document.querySelectorAll('.scroll')].filter(n => n.checkVisibility() && n.scrollWidth > n.clientWidth).map(n => n.querySelector('caption').textContent),
		undefinedNumbers: [...document.querySelectorAll('th.n > button:not([data-def])')].map(n => n.closest('table').caption.textContent + ': ' + n.textContent),
		tooWide: document.documentElement.scrollWidth > document.documentElement.clientWidth ? [...document.querySelectorAll('main *')].filter(n => n.getBoundingClientRect().right > document.documentElement.clientWidth + 1).slice(0, 3).map(n => n.outerHTML.slice(0, 200)) : [],
	});
	const choose = (filter, text) => {
		const select = document.getElementById(`filter-${filter}`);
		const option = [...select.options].find(o => o.textContent === text);
		if (!option) throw new Error(`no ${text} among ${filter}`);
		select.value = option.value;
		select.dispatchEvent(new Event('change', { bubbles: true }));
	};
	const result = { meta: JSON.parse(document.getElementById('data').textContent).meta, title: document.title };
	try {
		await document.fonts.ready;
		result.first = look();
		result.filters = Object.fromEntries([...document.querySelectorAll('#filters select')].map(s => [s.id, [...s.options].map(o => o.textContent)]));
		for (const [name, choices] of Object.entries(window.wanted || {})) {
			for (const [filter, text] of Object.entries(choices)) choose(filter, text);
			result[name] = look();
		}
		if (window.wanted) {
			// The address brings the same back, and a reader who goes back too.
			for (const filter of ['team', 'customer']) choose(filter, 'All');
			choose('period', 'Last 30 days');
			const names = Object.keys(window.wanted), last = names[names.length - 1];
			location.hash = result[last].hash;
			await new Promise(done => setTimeout(done, 50));
			result.again = look();

			// A definition, by the keyboard; a table, sorted by its second column.
			const term = document.querySelector('[data-def]');
			term.focus();
			result.definition = { text: document.getElementById('definition').textContent, isShown: !document.getElementById('definition').hidden, of: term.dataset.def };
			term.blur();
			result.definition.isGone = document.getElementById('definition').hidden;
			const head = [...document.querySelectorAll('table')].find(t => t.caption.textContent === 'Cost by Model').tHead.rows[0].cells[1];
			head.querySelector('button').click();
			result.sorted = { rows: table('Cost by Model'), says: head.getAttribute('aria-sort') };
			// A choice leaves the order as it is; a step back is the choice before.
			await new Promise(done => setTimeout(done, 1100));
			choose('period', 'Last 7 days');
			result.stillSorted = { says: [...document.querySelectorAll('table')].find(t => t.caption.textContent === 'Cost by Model').tHead.rows[0].cells[1].getAttribute('aria-sort'), hash: location.hash };
			history.back();
			await new Promise(done => setTimeout(done, 300));
			result.back = location.hash;
			location.hash = '#team=%3Dnobody';
			await new Promise(done => setTimeout(done, 50));
			result.unknown = document.getElementById('about').textContent;
			location.hash = result.back;
			await new Promise(done => setTimeout(done, 50));
			let copied = '';
			document.addEventListener('copy', () => { copied = String(document.activeElement.value ?? document.getSelection()); });
			Object.defineProperty(navigator, 'clipboard', { value: { writeText: async text => { copied = text; } }, configurable: true });
			[...document.querySelectorAll('table')].find(t => t.caption.textContent === 'Cost by Model').parentElement.parentElement.querySelector('.tools button').click();
			result.copied = copied;
		}
		result.prices = [...document.querySelectorAll('table')].filter(t => t.caption.textContent === 'Prices').flatMap(t => [...t.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent)));
		result.links = [...document.querySelectorAll('main a')].map(a => a.getAttribute('href'));
		result.body = document.body.innerText;
		result.scripts = document.scripts.length;
		// What the page's own lines did not make.
		result.strange = [...document.querySelectorAll('main img, main iframe, main object, main script')].length;
		if (window.axe) {
			const found = await axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] });
			result.axe = found.violations.map(v => `${v.impact}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map(n => n.html.slice(0, 150)).join(' | ')}`);
			result.axePasses = found.passes.length;
		}
	} catch (error) {
		window.errors.push(String(error && error.stack || error));
	}
	result.errors = window.errors;
	const pre = document.createElement('pre');
	pre.id = 'read';
	pre.textContent = encodeURIComponent(JSON.stringify(result));
	document.body.append(pre);
})();
