# No statement of the jobs, of settlement or of a report compares each with each,
# whatever the statistics say: an analyzed ledger has one row in many a table, and
# none of a day that has begun since.  And no report that reads little looks to the
# planner as if it read much, or it would be compiled for longer than it runs.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use JSON::PP;

my $most = 10_000_000;
my $node = PostgreSQL::Test::Cluster->new('plans');
$node->init;
$node->start;
plan(skip_all => 'auto_explain is not installed') if $node->psql('postgres', q{LOAD 'auto_explain'}) != 0;

$node->safe_psql('postgres', 'CREATE DATABASE ledger');

# What is compared in a plan: of each nested loop the rows that come to it, times
# those that are looked at for each.
sub pairs
{
	my ($plan, $found) = @_;
	my @parts = @{ $plan->{Plans} // [] };
	if ($plan->{'Node Type'} eq 'Nested Loop')
	{
		my ($outer, $inner) = grep { ($_->{'Parent Relationship'} // '') =~ /^(Outer|Inner)$/ } @parts;
		my $looked_at = ($inner->{'Actual Rows'} // 0)
			+ ($inner->{'Rows Removed by Filter'} // 0) + ($plan->{'Rows Removed by Join Filter'} // 0) / (($plan->{'Actual Loops'} || 1) * ($outer->{'Actual Rows'} || 1));
		push @$found, ($inner->{'Actual Loops'} // 0) * $looked_at;
	}
	pairs($_, $found) foreach @parts;
	return $found;
}

# The largest nested loop of a statement and all that it runs.  What is over in less
# than 100 ms has compared fewer than that.
sub largest
{
	my ($sql, $database) = @_;
	my ($stdout, $stderr);
	my $settings = join ';', q{LOAD 'auto_explain'}, 'SET client_min_messages = log', 'SET auto_explain.log_nested_statements = on',
		'SET auto_explain.log_analyze = on', 'SET auto_explain.log_timing = off', 'SET auto_explain.log_format = json', 'SET auto_explain.log_min_duration = 100';
	$node->psql($database // 'ledger', "$settings;\n$sql", stdout => \$stdout, stderr => \$stderr, on_error_die => 1);
	my @plans = map { s/\A.*?^\{/{/ms; s/^\}.*/}/msr } grep { /^\{/m } split /^(?:psql:\S+ )?LOG:  duration: /m, $stderr;
	my @largest = (0, '');
	foreach my $text (@plans)
	{
		my $explained = JSON::PP->new->decode($text);
		foreach my $pairs (@{ pairs($explained->{Plan}, []) })
		{
			@largest = ($pairs, $explained->{'Query Text'}) if $pairs > $largest[0];
		}
	}
	return @largest;
}

sub is_linear
{
	my ($sql, $name) = @_;
	my ($pairs, $query) = largest($sql);
	cmp_ok($pairs, '<=', $most, "$name: no nested loop of more than $most pairs") or diag(substr($query, 0, 2000));
}

# What the planner expects of a query.
sub expected
{
	my ($sql) = @_;
	return JSON::PP->new->decode($node->safe_psql('ledger', "EXPLAIN (FORMAT JSON) $sql"))->[0]{Plan};
}

# The measure is one: a loop that is too large is seen as such.
my ($pairs) = largest('SELECT count(*) FROM generate_series(1, 4000) a, generate_series(1, 4000) b WHERE a < b', 'postgres');
cmp_ok($pairs, '>', $most, 'a nested loop of 16,000,000 pairs is found');

$node->safe_psql('ledger', <<'SQL');
CREATE EXTENSION cost_ledger;
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.create_partitions(now() - interval '2 months', now());
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1}', now() - interval '1 year');
CREATE PROCEDURE record_calls(lo integer, hi integer) LANGUAGE sql AS $$
    INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, reported_cost, team, feature, customer, user_id, session_id, run_id, parent_run_id, input_parts)
    SELECT now() - i * interval '190 seconds', 'p', CASE WHEN i % 3 = 0 THEN 'unknown' ELSE 'm' END, 1000, 0.001, 'team-' || i % 12, 'feature-' || i % 7, 'customer-' || i % 40,
           'user-' || i % 900, 'session-' || i / 20, 'run-' || i / 5, CASE WHEN i % 2 = 0 THEN 'run-' || i / 10 END,
           CASE WHEN i % 3 > 0 THEN '{"history": 700, "new_input": 100}'::jsonb END
    FROM generate_series(lo, hi) AS i
$$;
CALL record_calls(1, 12000);
VACUUM ANALYZE;
SQL

is_linear(q{CALL cost_ledger.refresh()}, 'refresh() of a first backlog');
$node->safe_psql('ledger', 'VACUUM ANALYZE');
is_linear(q{SELECT cost_ledger.set_budget('each team', '{}', 'month', 10, each_of => 'team')}, 'set_budget() for each team');
is_linear(q{SELECT cost_ledger.set_budget('each user', '{}', 'day', 10, each_of => 'user_id')}, 'set_budget() for each user');
is_linear(q{SELECT cost_ledger.set_budget('rolling', '{}', 'rolling', 10, period_length => '40 days')}, 'set_budget() of a rolling window');
$node->safe_psql('ledger', 'CALL record_calls(1, 12000); VACUUM ANALYZE');
is_linear(q{SELECT * FROM cost_ledger.budget_status}, 'budget_status with a backlog');
is_linear(q{SELECT * FROM cost_ledger_internal.signal_budget_forecast}, 'what will be exceeded, with a backlog');
is_linear(q{CALL cost_ledger.run_jobs()}, 'run_jobs() with a backlog and budgets');
is_linear(q{CALL cost_ledger.run_jobs()}, 'run_jobs() with nothing new');
is_linear(q{SELECT * FROM cost_ledger.check_balances()}, 'check_balances()');
is_linear(q{SELECT count(*) FROM cost_ledger.rerate(now() - interval '40 days', now() - interval '39 days', dry_run => false, reason => 'plans')}, 'rerate()');
is_linear(q{
    INSERT INTO cost_ledger.call (provider, model, input_tokens, team, hold_id)
    SELECT 'p', 'm', 1000, 'team-' || i % 12, gen_random_uuid() FROM generate_series(1, 2000) AS i}, 'settlement of 2,000 holds at once');
$node->safe_psql('ledger', q{CALL record_calls(1, 3000); VACUUM ANALYZE});

# Every public view, with calls that are in the rollups and calls that are not; and
# the functions that reports are.
foreach my $view (split /\n/, $node->safe_psql('ledger', q{SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'cost_ledger'::regnamespace AND c.relkind = 'v' ORDER BY 1}))
{
	is_linear("SELECT * FROM cost_ledger.$view", $view);
}
is_linear("SELECT * FROM $_", $_)
	foreach q{cost_ledger.drill('day')}, q{cost_ledger.drill('user', '{"team": "team-1"}', now() - interval '2 days')}, q{cost_ledger.drill('call', '{"run_id": "run-7"}')},
	q{cost_ledger.spend_rate()}, q{cost_ledger.budget_velocity()}, q{cost_ledger.billed_meters(now() - interval '30 days', now())},
	q{cost_ledger.what_if(now() - interval '30 days', now())}, q{cost_ledger.find_calls('{"run_id": "run-7"}')}, q{cost_ledger.find_calls('{"user_id": "user-7"}')},
	q{cost_ledger.feature_cost_sample('feature-1', now() - interval '30 days', now())}, q{cost_ledger.feature_cost_sample('feature-1', now() - interval '30 days', now(), 'task')},
	q{cost_ledger.cost_histogram()}, q{cost_ledger.batch_saving('{}', now() - interval '30 days', now())}, q{cost_ledger.tier_down('{}', now() - interval '30 days', now())},
	q{cost_ledger.self_hosting_crossover(1000, 1e9)};

# A day with many runs and trees that the statistics have not seen.
$node->safe_psql('ledger', <<'SQL');
ALTER TABLE cost_ledger_internal.rollup_run SET (autovacuum_enabled = off);
ALTER TABLE cost_ledger_internal.rollup_run_tree SET (autovacuum_enabled = off);
CREATE PROCEDURE record_runs(lo integer, hi integer) LANGUAGE sql AS $$
    INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id, parent_run_id, task_type)
    SELECT date_trunc('month', now()) - interval '10 days', 'p', 'm', 1000, 'new-' || i, CASE WHEN i % 2 = 0 THEN 'new-' || i + 1 END, 'task-' || i % 3
    FROM generate_series(lo, hi) AS i
$$;
DELETE FROM cost_ledger_internal.rollup_run WHERE started_on = (date_trunc('month', now()) - interval '10 days')::date;
DELETE FROM cost_ledger_internal.rollup_run_tree WHERE started_on = (date_trunc('month', now()) - interval '10 days')::date;
VACUUM ANALYZE cost_ledger_internal.rollup_run, cost_ledger_internal.rollup_run_tree;
CALL record_runs(1, 12000);
CALL cost_ledger.refresh();
CALL record_runs(1, 10);
SQL
is_linear(q{CALL cost_ledger.refresh()}, 'refresh() of a day that statistics do not know');

# As if there were 200 times as many calls, runs and sessions.
$node->safe_psql('ledger', <<'SQL');
VACUUM ANALYZE;
UPDATE pg_class SET reltuples = reltuples * 200
    WHERE oid IN (SELECT relid FROM pg_partition_tree('cost_ledger.call')) OR relnamespace = 'cost_ledger_internal'::regnamespace AND relname ~ '^rollup_(run|run_tree|session)$';
SQL
cmp_ok(expected('SELECT * FROM cost_ledger_internal.rollup_run')->{'Plan Rows'}, '>', 400_000, 'the planner expects a large ledger');
foreach my $view (split /\n/, $node->safe_psql('ledger', q{SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'cost_ledger'::regnamespace AND c.relkind = 'v' ORDER BY 1}))
{
	my $plan = expected("SELECT * FROM cost_ledger.$view");
	# A row for each call, run or session; and one reads calls for what no rollup has.
	next if $plan->{'Plan Rows'} > 100_000 || $view eq 'request_chain';
	cmp_ok($plan->{'Total Cost'}, '<', 100_000, "$view is not compiled");
}

$node->stop;
done_testing();
