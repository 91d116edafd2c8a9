# Two public price lists, whole: every rate of LiteLLM's comes back out as it
# went in and moves the cost of a call; genai-prices' models are found and
# priced as an independent program does it.
#
# The files are not ours to ship.  They are looked for in COST_LEDGER_DATA, or
# beside the source tree.

use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $data = $ENV{COST_LEDGER_DATA} || "$root/../shared/data";
my $litellm = "$data/litellm_prices.json";
my $genai = "$data/genai_prices.json";

foreach my $file ($litellm, $genai)
{
	plan skip_all => "no $file: set COST_LEDGER_DATA to the folder of the price lists"
	  unless -r $file;
}

my $node = PostgreSQL::Test::Cluster->new('prices');
$node->init;
$node->start;

# psql reads the files, so that the server needs no right to.
$node->safe_psql('postgres', qq{
	CREATE EXTENSION cost_ledger;
	SELECT cost_ledger.create_ledger();
	\\set doc `cat "$litellm"`
	CREATE TABLE litellm AS SELECT :'doc'::jsonb AS doc;
	\\set doc `cat "$genai"`
	CREATE TABLE genai AS SELECT :'doc'::jsonb AS doc;
});

sub query { return $node->safe_psql('postgres', $_[0]); }

#
# LiteLLM
#
my $began = time;
note('what the list does: ' . query(q{
	CREATE TABLE diff AS SELECT r.* FROM litellm, cost_ledger.import_prices(doc, 'litellm', valid_from => '2026-08-01') r;
	SELECT string_agg(format('%s %s', outcome, n), ', ') FROM (SELECT outcome, count(*) AS n FROM diff GROUP BY 1) AS c}));
note(sprintf('imported in %d s', time - $began));
is(query('SELECT count(*) FROM diff WHERE outcome <> $$new$$'), '0', 'a first import is all new: nothing unknown, nothing held');

# What the document has, counted without our grammar: every number under a key
# that speaks of cost, and every factor.
query(q{
	CREATE TABLE stated AS
	WITH RECURSIVE walk AS (
		SELECT e.key AS entry, '{}'::text[] AS path, e.value
		FROM litellm, jsonb_each(doc) AS e
		WHERE e.key NOT IN ('sample_spec', 'fallback_generalizations')
		UNION ALL
		SELECT w.entry, w.path || c.key, c.value
		FROM walk w, LATERAL (
			SELECT o.key, o.value FROM jsonb_each(CASE WHEN jsonb_typeof(w.value) = 'object' THEN w.value END) AS o
			UNION ALL
			SELECT (a.n - 1)::text, a.value FROM jsonb_array_elements(CASE WHEN jsonb_typeof(w.value) = 'array' THEN w.value END) WITH ORDINALITY AS a (value, n)) AS c
	)
	SELECT entry, path, value::numeric AS number,
	       path[1] = 'provider_specific_entry' OR path[1] ~ 'multiplier' AS is_multiplier
	FROM walk
	WHERE jsonb_typeof(value) = 'number' AND path[1] <> 'metadata'
	  AND NOT path && '{range,max_results_range}'
	  AND (array_to_string(path, '.') ~ 'cost|multiplier|provider_specific_entry');
	CREATE TABLE returned AS SELECT cost_ledger.export_prices('litellm', '2026-08-01') AS doc;
});
is(query('SELECT count(DISTINCT entry) > 2800, count(*) FILTER (WHERE NOT is_multiplier), count(*) FILTER (WHERE is_multiplier) FROM stated'),
	't|8881|50', 'the document has 8,881 rates and 50 multipliers');
is(query(q{
	SELECT count(*) FILTER (WHERE NOT is_multiplier), count(*) FILTER (WHERE is_multiplier)
	FROM stated s, returned r
	WHERE (r.doc -> s.entry #>> s.path)::numeric = s.number}),
	'8881|50', 'all of them come back, equal as decimals');
is(query(q{
	SELECT count(*) FROM (SELECT key, value FROM litellm, jsonb_each(doc) WHERE key NOT IN ('sample_spec', 'fallback_generalizations')
	                      EXCEPT SELECT key, value FROM returned, jsonb_each(doc)) AS lost}),
	'0', 'and every entry is what it was');
is(query(q{
	SELECT count(*) > 0, max(scale(number)) FROM stated WHERE scale(number) > 15}), 't|23', 'some have up to 23 decimals');

# A line that is none of the document's would be invented.  Those there are: a
# search of no stated size, an image whose pixels are in the model's name, and
# regions also found by their name.
is(query(q{
	SELECT count(*) FROM (
		SELECT provider, model, service_class, meter, over_tokens, is_inclusive, unit_price, per FROM cost_ledger.price_list WHERE region = '' AND meter <> 'web_search_requests'
		EXCEPT
		SELECT c.provider, c.model, x.service_class, m.meter, coalesce((x.rate ->> 'over')::bigint, 0), coalesce((x.rate ->> 'inclusive')::boolean, false), m.price, (x.rate ->> 'per')::bigint
		FROM litellm, jsonb_each(doc) AS e, cost_ledger_internal.litellm_rates(e.key, e.value) x, cost_ledger_internal.price_source s, cost_ledger_internal.price_origin o, cost_ledger_internal.price p, cost_ledger_internal.rate_card c,
		     regexp_match(e.key, '([0-9]+)-x-([0-9]+)/') AS size,
		     LATERAL (VALUES (x.meter, x.price), (CASE WHEN x.meter = 'input_pixels' THEN 'output_images' END, x.price * size[1]::numeric * size[2]::numeric)) AS m (meter, price)
		WHERE e.key NOT IN ('sample_spec', 'fallback_generalizations') AND x.kind = 'price' AND s.entry = e.key AND o.source_id = s.source_id AND p.price_id = o.price_id AND c.card_id = p.card_id) AS invented}),
	'0', 'no line is of anything else');

is(query(q{SELECT count(*) FROM litellm, cost_ledger.import_prices(doc, 'litellm')}), '0', 'the same document again: no difference');
is(query(q{SELECT count(*) = count(DISTINCT card_id) FROM cost_ledger_internal.price}), 't', 'and no new version');

# Every rate and multiplier moves the cost of a call made for it: as many units
# of its meter as its tier takes, against none of them.
is(query(q{
	INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('DBU', '2026-08-01', 0.07);
	CREATE TABLE moved AS
	SELECT e.key AS entry, x.path, x.price, x.kind, u.service_class, u.region,
	       cost_ledger.cost_at('2026-09-01', c.provider, c.model, u.usage, u.service_class, u.region) AS with_it,
	       -- the same tokens, but none of this meter's kind; of a multiplier, the same call elsewhere
	       cost_ledger.cost_at('2026-09-01', c.provider, c.model, u.without, CASE WHEN x.kind = 'price' THEN u.service_class ELSE 'standard' END,
	                           CASE WHEN x.kind = 'price' THEN u.region END) AS without_it,
	       x.price / (x.rate ->> 'per')::numeric * CASE WHEN x.currency = 'DBU' THEN 0.07 ELSE 1 END * u.units AS own_part
	FROM litellm, jsonb_each(doc) AS e,
	     LATERAL cost_ledger_internal.litellm_rates(e.key, e.value) x,
	     LATERAL (SELECT k.provider, k.model
	              FROM cost_ledger_internal.price_source s JOIN cost_ledger_internal.price_origin o USING (source_id) JOIN cost_ledger_internal.price p USING (price_id) JOIN cost_ledger_internal.rate_card k USING (card_id)
	              WHERE s.entry = e.key AND k.region = '' LIMIT 1) AS c,
	     LATERAL (SELECT (coalesce((x.rate ->> 'over')::bigint, 0) + 1000) AS units) AS n,
	     LATERAL (SELECT CASE WHEN x.kind = 'price' THEN x.service_class ELSE coalesce(nullif(x.service_class, ''), 'standard') END AS service_class, nullif(x.region, '') AS region,
	                     CASE WHEN x.meter = 'requests' THEN 1 ELSE n.units END AS units,
	                     CASE WHEN x.kind = 'multiplier' OR x.meter ~ '^(input|cache)_.*tokens$' OR x.meter = 'input_tokens'
	                          THEN jsonb_build_object('input_tokens', n.units) || CASE WHEN x.meter ~ 'cache_read_(audio|image|video)' THEN jsonb_build_object('cache_read_tokens', n.units, replace(x.meter, 'cache_read_', 'input_'), n.units)
	                                                                                  WHEN x.meter ~ 'cache_write_(audio|image|video)' THEN jsonb_build_object('cache_write_tokens', n.units, replace(x.meter, 'cache_write_', 'input_'), n.units)
	                                                                                  ELSE '{}' END
	                               || CASE WHEN x.kind = 'price' THEN jsonb_build_object(x.meter, n.units) ELSE '{}' END
	                          WHEN x.meter ~ '^output_.*tokens$|^reasoning_tokens$'
	                          THEN jsonb_build_object('input_tokens', n.units, 'cache_read_tokens', 0, 'output_tokens', n.units, x.meter, n.units)
	                          WHEN x.meter = 'requests' THEN jsonb_build_object('input_tokens', 0)
	                          ELSE jsonb_build_object('input_tokens', CASE WHEN x.rate ? 'over' THEN n.units ELSE 0 END, x.meter, n.units) END AS usage,
	                     CASE WHEN x.kind = 'multiplier' THEN jsonb_build_object('input_tokens', n.units)
	                          WHEN x.meter ~ '^output_.*tokens$|^reasoning_tokens$' THEN jsonb_build_object('input_tokens', n.units, 'output_tokens', 0)
	                          WHEN x.meter ~ '^(input|cache)_.*tokens$' OR x.meter = 'input_tokens' THEN jsonb_build_object('input_tokens', 0)
	                          ELSE jsonb_build_object('input_tokens', CASE WHEN x.rate ? 'over' THEN n.units ELSE 0 END) END AS without) AS u
	WHERE e.key NOT IN ('sample_spec', 'fallback_generalizations');
	SELECT count(*) FILTER (WHERE kind = 'price'), count(*) FILTER (WHERE kind = 'multiplier') FROM moved}),
	'8881|50', 'a call was made for every rate and multiplier');
is(query(q{SELECT count(*) FROM moved WHERE kind = 'multiplier' AND with_it <= without_it}), '0', 'every multiplier raises its cost');
is(query(q{
	SELECT count(*) FROM moved
	WHERE kind = 'price' AND path[array_upper(path, 1)] <> 'input_cost_per_request'
	  AND with_it - coalesce(without_it, 0) IS DISTINCT FROM own_part}),
	'0', 'every rate adds to the cost of its call what it says, exactly')
  or diag(query(q{SELECT string_agg(m::text, E'\n') FROM (SELECT * FROM moved WHERE kind = 'price' AND with_it - coalesce(without_it, 0) IS DISTINCT FROM own_part LIMIT 20) AS m}));
is(query(q{SELECT count(*), count(*) FILTER (WHERE with_it = price) FROM moved WHERE path = '{input_cost_per_request}'}), '4|4', 'a price per request is the cost of a call of nothing');
note('distinct keys moved: ' . query(q{SELECT count(DISTINCT path[array_upper(path, 1)]) FROM moved}));

#
# Our own form
#
query(q{CREATE TABLE own AS SELECT cost_ledger.export_prices() AS doc});
query(q{SELECT cost_ledger.drop_ledger(i_mean_it => true)});
query(q{SELECT cost_ledger.create_ledger()});
query(q{SELECT count(*) FROM own, cost_ledger.import_prices(doc, 'cost_ledger')});
is(query(q{SELECT doc = cost_ledger.export_prices() FROM own}), 't', 'the whole list leaves in our own form and comes back the same');

#
# genai-prices
#
query(q{SELECT cost_ledger.drop_ledger(i_mean_it => true)});
query(q{SELECT cost_ledger.create_ledger()});
$began = time;
note('what the list does: ' . query(q{
	DROP TABLE diff;
	CREATE TABLE diff AS SELECT r.* FROM genai, cost_ledger.import_prices(doc, 'genai-prices') r;
	SELECT string_agg(format('%s %s', outcome, n), ', ') FROM (SELECT outcome, count(*) AS n FROM diff GROUP BY 1) AS c}));
note(sprintf('imported in %d s', time - $began));
is(query(q{SELECT count(*) FROM diff WHERE outcome IN ('held', 'unknown')}), '0', 'nothing held, nothing unknown');
is(query(q{SELECT count(*) FROM genai, cost_ledger.import_prices(doc, 'genai-prices')}), '0', 'the same document again: no difference');

# By the rules of genai-prices, in another language: which model a name is, and
# what a usage costs at a time.
my $recompute = <<'PYTHON';
import json, re, sys
from datetime import datetime, date, time
from decimal import Decimal, getcontext
getcontext().prec = 60

providers = json.load(open(sys.argv[1]), parse_float=Decimal)
by_id = {p['id']: p for p in providers}

def holds(rule, name):
    (word, value), = rule.items()
    if word == 'or': return any(holds(r, name) for r in value)
    if word == 'and': return all(holds(r, name) for r in value)
    return {'equals': lambda: name == value, 'starts_with': lambda: name.startswith(value), 'ends_with': lambda: name.endswith(value),
            'contains': lambda: value in name, 'regex': lambda: bool(re.search(value, name))}[word]()

def find(provider, name):
    for p in [provider] + (by_id[provider].get('fallback_model_providers') or []):
        for m in by_id[p]['models']:
            if holds(m['match'], name): return p, m

def words(rule):
    (word, value), = rule.items()
    if word in ('or', 'and'):
        for r in value: yield from words(r)
    elif word != 'regex': yield value

def prices_at(model, at):
    if isinstance(model['prices'], dict): return model['prices']
    for c in reversed(model['prices']):
        k = c.get('constraint') or {}
        if 'start_date' in k and at.date() < date.fromisoformat(k['start_date']): continue
        if 'start_time' in k and not time.fromisoformat(k['start_time'][:8]) <= at.time() < time.fromisoformat(k['end_time'][:8]): continue
        return c['prices']
    return model['prices'][0]['prices']

def cost(model, at, i, r, o):
    prices = prices_at(model, at)
    def rate(key):
        v = prices.get(key)
        if isinstance(v, dict):
            best = v['base']
            for t in v['tiers']:
                if i > t['start']: best = t['price']
            return Decimal(best)
        return None if v is None else Decimal(v)
    a, b, c = rate('input_mtok'), rate('cache_read_mtok'), rate('output_mtok')
    if prices == {}: a = c = Decimal(0)
    if a is None or c is None: return None
    return ((i - r) * a + r * (a if b is None else b) + o * c) / 1000000 + Decimal(prices.get('requests_kcount', 0)) / 1000

times = [datetime(2025, 6, 9, 23, 59, 59), datetime(2025, 6, 10, 0, 30), datetime(2026, 3, 13, 16, 29, 59), datetime(2026, 10, 1, 16, 30)]
for p in providers:
    names = {w + s for m in p['models'] for w in words(m['match']) for s in ('', '-x')}
    for name in sorted(names):
        found = find(p['id'], name)
        # Names that are cards of their own come before any rule, as do upper-case ones, which genai-prices never finds.
        if found is None or name != name.lower(): continue
        for n, at in enumerate(times):
            c = cost(found[1], at, (1000, 200000, 200001, 300000)[n], 700, 500)
            print(p['id'], name, found[0], found[1]['id'], at.isoformat() + 'Z', (1000, 200000, 200001, 300000)[n], '' if c is None else format(c.normalize(), 'f'), sep='\t')
PYTHON

SKIP:
{
	my ($stdout, $stderr);
	my $has_python = eval { IPC::Run::run([ 'python3', '-c', 'import decimal' ], '>', \$stdout, '2>', \$stderr) };
	skip 'no python3 to look up models and compute costs with', 3 unless $has_python;

	ok(IPC::Run::run([ 'python3', '-c', $recompute, $genai ], '>', "$PostgreSQL::Test::Utils::tmp_check/expected.tsv", '2>', \$stderr),
		'costs are recomputed from the file')
	  or diag($stderr);
	query(qq{
		CREATE TABLE expected (provider text, name text, to_provider text, to_model text, at timestamptz, input bigint, cost numeric);
		\\copy expected FROM '$PostgreSQL::Test::Utils::tmp_check/expected.tsv' (NULL '')
		CREATE TABLE found AS
		SELECT DISTINCT ON (e.provider, e.name) e.provider, e.name, e.to_provider, e.to_model, r.priced_provider, r.priced_model
		FROM (SELECT DISTINCT provider, name, to_provider, to_model FROM expected) AS e
		LEFT JOIN LATERAL (SELECT * FROM cost_ledger.resolve_model(e.provider, e.name) r WHERE r.is_used) AS r ON true;
	});
	note(query('SELECT count(*) FROM found') . ' names looked up');
	is(query('SELECT count(*) FROM found WHERE (to_provider, to_model) IS DISTINCT FROM (priced_provider, priced_model)'),
		'0', 'every name is the model that it is to genai-prices')
	  or diag(query(q{SELECT string_agg(f::text, E'\n') FROM (SELECT * FROM found WHERE (to_provider, to_model) IS DISTINCT FROM (priced_provider, priced_model) LIMIT 20) AS f}));
	note(query('SELECT count(*) FROM expected WHERE cost IS NOT NULL') . ' costs compared');
	is(query(q{
		SELECT count(*) FROM expected e
		WHERE e.cost IS NOT NULL
		  AND e.cost IS DISTINCT FROM cost_ledger.cost_at(e.at, e.provider, e.name, jsonb_build_object('input_tokens', e.input, 'cache_read_tokens', 700, 'output_tokens', 500))}),
		'0', 'and costs what it costs there: tiers, dates and hours of the day included')
	  or diag(query(q{SELECT string_agg(e::text, E'\n') FROM (SELECT e.*, cost_ledger.cost_at(e.at, e.provider, e.name, jsonb_build_object('input_tokens', e.input, 'cache_read_tokens', 700, 'output_tokens', 500)) AS ours FROM expected e WHERE e.cost IS NOT NULL AND e.cost IS DISTINCT FROM cost_ledger.cost_at(e.at, e.provider, e.name, jsonb_build_object('input_tokens', e.input, 'cache_read_tokens', 700, 'output_tokens', 500)) LIMIT 20) AS e}));
}

$node->stop;
done_testing();
