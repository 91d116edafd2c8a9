# docs/usage.md is true: the same call is the same however it is written, and
# each meter of each mode of LiteLLM's list comes from an object on the page and
# is priced by what the list says.
#
# The list is not ours to ship.  It is looked for in COST_LEDGER_DATA, or beside
# the source tree; without it the first part runs alone.

use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $data = $ENV{COST_LEDGER_DATA} || "$root/../shared/data";
my $litellm = "$data/litellm_prices.json";
my $page = slurp_file("$root/docs/usage.md");

sub section
{
	my ($heading) = @_;
	$page =~ /^### \Q$heading\E\n(.*?)(?=^#)/ms or die "docs/usage.md has no \"$heading\"";
	return $1;
}

my $node = PostgreSQL::Test::Cluster->new('usage_docs');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION cost_ledger; SELECT cost_ledger.create_ledger()');

sub query { return $node->safe_psql('postgres', $_[0]); }
sub quote { return "'" . ($_[0] =~ s/'/''/gr) . "'"; }

my @same = section('The same call, many times') =~ /^(\{.*\})$/mg;
cmp_ok(scalar(@same), '>', 20, 'the same call is there many times');
my $called = quote('{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}');
is(query(join(' UNION ALL ', map {
		"SELECT " . quote($_) . " WHERE cost_ledger.normalize_usage(" . quote($_) . ") <> $called OR cost_ledger.usage_status(" . quote($_) . ") <> 'final'"
	} @same)), '', 'and is the same each time');

my @formats = map { /`(\w+)`/g } map { (split /\|/)[1] } grep { /^\| `/ } $page =~ /^## Formats\n(.*?)^### What only/ms ? split(/\n/, $1) : ();
my (undef, undef, $unknown) = $node->psql('postgres', q{SELECT cost_ledger.normalize_usage('{}', 'no such format')});
my @known = $unknown =~ /Known formats are (.*)\.$/m ? split(/, | and /, $1) : ();
is(join(' ', sort @formats), join(' ', sort @known), 'every format has a row, and every row is a format');

SKIP:
{
	skip "no $litellm: set COST_LEDGER_DATA to the folder of the price lists", 3 unless -r $litellm;

	# What each mode's objects give.
	my @objects;
	foreach my $row (grep { /^\|/ } split /\n/, section('What price lists call it'))
	{
		my (undef, $modes, $object) = split /\s*\|\s*/, $row;
		next unless $object =~ /^`(\{.*\})`$/;
		push @objects, map { '(' . quote($_) . ', ' . quote($1) . '::jsonb)' } split /, /, $modes;
	}
	$node->safe_psql('postgres', qq{
		\\set doc `cat "$litellm"`
		CREATE TABLE litellm AS SELECT e.key AS entry, coalesce(e.value ->> 'mode', 'chat') AS mode, e.value
			FROM jsonb_each(:'doc'::jsonb) AS e WHERE e.key NOT IN ('sample_spec', 'fallback_generalizations')});
	query(q{CREATE TABLE object AS SELECT mode, usage, cost_ledger.normalize_usage(usage, NULL, 'any') AS counts
		FROM (VALUES } . join(', ', @objects) . q{) AS v (mode, usage)});
	is(query(q{SELECT usage FROM object WHERE cost_ledger.usage_status(usage, NULL, 'any') <> 'final'}), '', 'the objects of the page are final');

	# One entry for each meter of a mode: whose own rate of class standard it is.
	query(q{
		CREATE TABLE wanted AS
		SELECT DISTINCT ON (l.mode, r.key) l.mode, r.key AS meter, l.entry
		FROM litellm l, cost_ledger_internal.litellm_lines(l.entry, l.value) x, jsonb_each(x.rates) AS r
		WHERE x.kind = 'price' AND x.service_class = 'standard'
		ORDER BY l.mode, r.key, l.entry;
		CREATE TABLE met AS
		SELECT DISTINCT ON (w.mode, w.meter) w.*, o.usage, o.counts
		FROM wanted w
		LEFT JOIN object o ON o.mode IN (w.mode, 'any') AND (o.counts ? w.meter
			-- the list has many ranges of results; the page one
			OR w.meter ~ '^search_units_\d+_to_\d+_results$' AND o.counts ? 'search_units_1_to_10_results')
		ORDER BY w.mode, w.meter, o.usage;
	});
	note(query(q{SELECT format('%s modes, %s meters of theirs', count(DISTINCT mode), count(*)) FROM wanted}));
	is(query('SELECT mode, meter, entry FROM met WHERE usage IS NULL'), '', 'each meter of each mode comes from an object on the page');

	query(q{
		SELECT count(*) FROM cost_ledger.import_prices((SELECT jsonb_object_agg(entry, value) FROM litellm WHERE entry IN (SELECT entry FROM wanted)), 'litellm', valid_from => '2026-08-01');
		CREATE TABLE priced AS
		SELECT m.mode, m.meter, m.entry, bool_or(x.amount IS NOT NULL) AS has_rate
		FROM met m
		JOIN litellm l USING (entry),
		     cost_ledger_internal.litellm_entries(jsonb_build_object(m.entry, l.value)) AS e,
		     cost_ledger.explain_cost('2026-08-02', e.provider, e.model,
		         CASE WHEN m.counts ? m.meter THEN m.counts ELSE jsonb_build_object(m.meter, 1) END) AS x
		WHERE x.meter = m.meter
		GROUP BY m.mode, m.meter, m.entry;
	});
	is(query('SELECT mode, meter, entry FROM met EXCEPT SELECT mode, meter, entry FROM priced WHERE has_rate ORDER BY 1, 2'), '', 'and is priced by its entry');
}

$node->stop;
done_testing();
