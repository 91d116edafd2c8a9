# Two traces of production traffic, loaded as calls and priced: their totals
# are what an independent program computes from the files, in every report.
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
my $azure = "$data/azure_llm_inference_2023_code.csv";
my $mooncake = "$data/mooncake_conversation.jsonl";

foreach my $file ($azure, $mooncake)
{
	plan skip_all => "no $file: set COST_LEDGER_DATA to the folder of the traces"
	  unless -r $file;
}

my $node = PostgreSQL::Test::Cluster->new('traces');
$node->init;
$node->start;
$node->safe_psql('postgres',
	'CREATE EXTENSION cost_ledger; SELECT cost_ledger.create_ledger();');

$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'postgres';
my @load = ("$root/script/load-trace", '--azure', $azure, '--mooncake', $mooncake);

# Says what is missing, and leaves nothing behind.
command_checks_all(
	\@load, 1,
	[qr/^$/],
	[ qr/no price for model "gpt-4-turbo" of "openai" at 2023-11-16.*: no such name/,
	  qr/nothing was loaded.*\n.*load_seed_prices/ ],
	'without a price the load is refused');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cost_ledger.call'),
	'0', 'and has loaded nothing');

$node->safe_psql('postgres', 'SELECT cost_ledger.load_seed_prices()');

# Who sums for the first time and who for the second sees the same.
my $totals = q{
	SELECT feature, count(*), sum(input_tokens), coalesce(sum(cache_read_tokens), 0), sum(output_tokens),
	       trim_scale(sum(cost)), count(DISTINCT run_id), trim_scale(max(cost)),
	       count(*) FILTER (WHERE pricing <> 'priced')
	FROM cost_ledger.call
	GROUP BY feature
	ORDER BY feature};
command_like(\@load, qr/loaded now: 8819 calls.*loaded now: 12031 calls/s,
	'both traces are loaded');
my $loaded = $node->safe_psql('postgres', $totals);
note($loaded);
command_like(\@load, qr/loaded now: 0 calls.*loaded now: 0 calls/s,
	'loading them again loads nothing');
is($node->safe_psql('postgres', $totals), $loaded, 'and changes nothing');

my %total;
foreach my $line (split /\n/, $loaded)
{
	my ($feature, @values) = split /\|/, $line;
	$total{$feature} = \@values;
}
is($total{code_completion}[0], 8819, 'calls of the Azure trace');
is($total{chat}[0], 12031, 'calls of the Mooncake trace');

# From the files, in another language, with other data structures.
my $recompute = <<'PYTHON';
import csv, json, sys
from decimal import Decimal, getcontext
getcontext().prec = 60

def show(feature, rows):
    costs = [r[3] for r in rows]
    print(feature, len(rows), sum(r[0] for r in rows), sum(r[1] for r in rows), sum(r[2] for r in rows),
          format(sum(costs).normalize(), 'f'), len({r[4] for r in rows} - {None}), format(max(costs).normalize(), 'f'), 0, sep='|')

million = Decimal(1000000)
seen = set()
rows = []
for line in open(sys.argv[2]):
    call = json.loads(line)
    cached = 0
    for block in call['hash_ids']:
        if block not in seen:
            break
        cached += 512
    seen.update(call['hash_ids'])
    fresh, cached, output = call['input_length'], min(cached, call['input_length']), call['output_length']
    cost = ((fresh - cached) * Decimal('3') + cached * Decimal('0.30') + output * Decimal('15')) / million
    rows.append((fresh, cached, output, cost, call['hash_ids'][1] if len(call['hash_ids']) > 1 else None))
show('chat', rows)

rows = []
for call in csv.DictReader(open(sys.argv[1])):
    context, generated = int(call['ContextTokens']), int(call['GeneratedTokens'])
    rows.append((context, 0, generated, (context * Decimal('10') + generated * Decimal('30')) / million, None))
show('code_completion', rows)
PYTHON

SKIP:
{
	my ($stdout, $stderr);
	my $has_python = eval { IPC::Run::run([ 'python3', '-c', 'import decimal' ], '>', \$stdout, '2>', \$stderr) };
	skip 'no python3 to recompute the totals with', 2 unless $has_python;

	ok(IPC::Run::run([ 'python3', '-c', $recompute, $azure, $mooncake ], '>', \$stdout, '2>', \$stderr),
		'totals are recomputed from the files')
	  or diag($stderr);
	chomp $stdout;
	is($loaded, $stdout, 'calls, tokens, cache reads, costs and runs are those of the files, to the last digit');
}

# Whatever way the calls are grouped, nothing is lost and nothing comes twice.
my $whole = $node->safe_psql('postgres', 'SELECT trim_scale(sum(cost)) FROM cost_ledger.call');
foreach my $report (
	[ 'chargeback_by_month' => 'sum(cost)' ],
	[ 'margin_by_feature' => 'sum(cost)' ],
	[ 'cost_by_task_type' => 'sum(cost)' ],
	[ 'cost_per_run_by_day' => 'sum(cost) + sum(cost_without_run)' ],
	[ 'cost_per_user_by_month' => 'coalesce(sum(cost), 0) + sum(cost_without_user)' ])
{
	my ($view, $sum) = @$report;
	is($node->safe_psql('postgres', "SELECT trim_scale($sum) FROM cost_ledger.$view"),
		$whole, "$view adds up to the whole cost");
}
is( $node->safe_psql('postgres', 'SELECT trim_scale(sum(cost)), count(*) FROM cost_ledger.run'),
	"$total{chat}[4]|$total{chat}[5]",
	'runs are the conversations of the Mooncake trace');
is( $node->safe_psql('postgres', q{
		SELECT team, month, calls, trim_scale(cost) FROM cost_ledger.chargeback_by_month ORDER BY team}),
	"developer_tools|2023-11-01|8819|$total{code_completion}[4]\nsupport|2025-10-01|12031|$total{chat}[4]",
	'each trace is charged to its team, in its month');

$node->stop;
done_testing();
