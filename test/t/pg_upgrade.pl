# pg_upgrade takes a ledger to another cluster: reports say the same before and
# after, calls go on being recorded, the jobs wait for post_restore(), and from
# then on every call is in the rollups and the budgets, once.
#
# From the PostgreSQL in the folder COST_LEDGER_UPGRADE_FROM (as
# /usr/lib/postgresql/15), which has the extension too; without it from the
# tested version to itself, which is another cluster all the same.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# pg_upgrade asks for like clusters: what versions disagree on is said.
my @initdb = (extra => [ '--data-checksums', '--encoding', 'UTF8', '--locale', 'C' ]);
my $from = $ENV{COST_LEDGER_UPGRADE_FROM};
my $old = PostgreSQL::Test::Cluster->new('old', $from ? (install_path => $from) : ());
$old->init(@initdb);
$old->append_conf('postgresql.conf', "max_prepared_transactions = 10\n");
$old->start;

sub psql { my ($node, $sql) = @_; return $node->safe_psql('ledger', $sql) }

my $calls = 0;
my $sum = 0;

# Each call costs as many millionths as it has tokens; every one is in all
# rollups.  Calls of the third of May and after.
sub calls
{
    my ($number, $tokens) = @_;
    $calls += $number;
    $sum += $number * $tokens;
    return qq{INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature, customer, run_id, session_id, user_id)
        SELECT timestamptz '2026-05-03Z' + i * interval '5 hours', 'openai', 'm', $tokens, 'team' || i % 3, 'feature' || i % 2,
               'customer' || i % 7, 'run' || i % 4, 'session' || i % 6, 'user' || i % 5
        FROM generate_series(1, $number) AS i;};
}

# ---------------------------------------------------------------------------
# A ledger with something of everything.

$old->safe_psql('postgres', 'CREATE DATABASE ledger');
psql($old, q{
    CREATE EXTENSION cost_ledger;
    SELECT cost_ledger.create_ledger(time_zone => 'Asia/Kolkata', currency => 'EUR');
    SELECT cost_ledger.create_partitions('2026-05-01', '2026-06-30');
    SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2026-01-01', currency => 'EUR');
    SELECT cost_ledger.set_price('openai', 'turbo', '{"input_tokens": 3, "output_tokens": 12}', '2026-01-01', currency => 'EUR');
    SELECT cost_ledger.set_price('openai', 'turbo', '{"input_tokens": 2, "output_tokens": 8}', '2026-05-06', currency => 'EUR');
    -- depends on the day of the month, and on who runs the jobs
    UPDATE cost_ledger.alert_rule SET is_active = false WHERE kind <> 'needs_post_restore';
    SELECT cost_ledger.set_budget('team', '{"team": "budgeted"}', 'total', 10);
    SELECT cost_ledger.set_budget('each', '{}', 'total', 1000, each_of => 'user_id');
});
psql($old, calls(100, 1));
# a price that changes in between: 6 before and 4 after at 30, then 20 millionths
psql($old, q{
    INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens, output_tokens, reported_cost, team, run_id, session_id, user_id)
        SELECT timestamptz '2026-05-05Z' + i * interval '4 hours', 'e' || i, 'openai', 'turbo', 6, 1, 0.00003, 'turbo', 'run1', 'session1', 'user1'
        FROM generate_series(0, 9) AS i});
$calls += 10;
$sum += 6 * 30 + 4 * 20;
# one without a price, which it gets later, and one that never does
psql($old, q{
    INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens, run_id, session_id, user_id) VALUES
        ('2026-05-07Z', 'u1', 'openai', 'late', 50, 'run2', 'session2', 'user2'),
        ('2026-05-07Z', 'u2', 'openai', 'unknown', 50, 'run2', 'session2', 'user2')});
$calls += 2;
psql($old, 'CALL cost_ledger.refresh()');
psql($old, q{
    SELECT cost_ledger.set_price('openai', 'late', '{"input_tokens": 2}', '2026-01-01', currency => 'EUR');
    SELECT count(*) FROM cost_ledger.rerate('2026-05-01', '2026-06-01', '{"model": "late"}', dry_run => false, reason => 'a test')});
$sum += 100;
# it had 6 and 1 at the first price, and should have had 106 and 1
psql($old, q{SELECT cost_ledger.correct_call('e0', '{"input_tokens": 106, "output_tokens": 1}', 'a test')});
$sum += 300;
# spent 8 of 10: an alert; 1 of the rest is held
psql($old, q{INSERT INTO cost_ledger.call (provider, model, input_tokens, team, run_id, session_id, user_id) VALUES ('openai', 'm', 8000000, 'budgeted', 'run3', 'session3', 'user3')});
$calls++;
$sum += 8000000;
is(psql($old, q{SELECT decision FROM cost_ledger.reserve('held', '{"team": "budgeted", "user_id": "user3"}', 1, ttl => '1 day')}), 'allow', 'a hold');
# a transaction that is open when the rollups are refreshed for the last time,
# and calls after that: what the new cluster has to bring in
psql($old, 'BEGIN;' . calls(7, 10) . "PREPARE TRANSACTION 'late'");
psql($old, 'CALL cost_ledger.run_jobs()');
psql($old, calls(50, 1000));
psql($old, "COMMIT PREPARED 'late'");
psql($old, q{SELECT cost_ledger.correct_call('e1', '{"input_tokens": 16, "output_tokens": 1}', 'a test')});
$sum += 30;
my $tail = 7 + 50 + 1;

my $alerts = q{SELECT coalesce(b.name, r.name), a.entity, a.threshold, a.occurrence FROM cost_ledger.alert a
    LEFT JOIN cost_ledger.budget b USING (budget_id) LEFT JOIN cost_ledger.alert_rule r USING (rule_id) ORDER BY a.alert_id};
is(psql($old, $alerts), 'team||0.7|1', 'an alert');
is(psql($old, 'SELECT count(*) FROM cost_ledger_internal.unconsumed_call'), $tail, 'calls that are not in the rollups');

# ---------------------------------------------------------------------------
# What is asked at every step: whether all live views have every call and cost.

sub ledger_is
{
    my ($node, $what) = @_;
    is(psql($node, q{SELECT count(*) FILTER (WHERE corrects IS NULL), trim_scale(sum(cost) * 1000000) FROM cost_ledger.call}), "$calls|$sum", "$what: the calls");
    # Every call above has a run and a session.  Minutes go after two days, hours
    # after five weeks; the views of calls have only those that are not in the
    # rollups, those of runs and sessions by day, of the dearest, of sub-agents and of parts of the input no calls, or not all.
    for my $view (split /\n/, psql($node, q{SELECT relname FROM pg_class WHERE relnamespace = 'cost_ledger_internal'::regnamespace
        AND relkind = 'v' AND relname LIKE 'live\_%' AND relname <> ALL ('{live_minute,live_hour,live_cube_hour,live_run_day,live_run_tree,live_dear_run_tree,live_session_day,live_without_run_day,live_subrun_month,live_input_part_month}') AND relname NOT LIKE 'live\_call%' ORDER BY 1}))
    {
        my $all = $view =~ /total/ ? " WHERE label = 'all'" : '';
        is(psql($node, qq{SELECT sum(calls), trim_scale(sum(cost) * 1000000) FROM cost_ledger_internal.$view$all}), "$calls|$sum", "$what: $view");
    }
    is(psql($node, 'SELECT (SELECT count(*) FROM cost_ledger.check_rollups()), (SELECT count(*) FROM cost_ledger.check_balances())'), '0|0',
        "$what: rollups and balances are right");
}

# Every table and view there is, but of those which show the clock, the cluster
# or statistics only the columns that do not.
my %columns = (
    'cost_ledger.budget_status' => 'name, entity, version, limit_amount, spent, held, remaining, used_ratio, threshold, level, unpriced_calls',
    'cost_ledger_internal.budget_standing' => 'budget_id, entity, version, limit_amount, spent, held, unpriced_calls',
    'cost_ledger.spend_now' => 'label, value, today_calls, today_cost',
    'cost_ledger.partition_status' => 'partition, starts_at, ends_at, is_default, has_rows',
    'cost_ledger.rollup_status' => 'unconsumed_rows, oldest_recorded_at',
    'cost_ledger.job_status' => 'name, last_error',
);

sub relations
{
    my ($node) = @_;
    return split /\n/, psql($node, q{SELECT c.oid::regclass FROM pg_class c
        WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND c.relkind IN ('r', 'p', 'v') AND c.relname NOT LIKE 'signal\_%' ORDER BY 1});
}

sub reports
{
    my ($node) = @_;
    my %report;
    for my $relation (relations($node))
    {
        my $columns = $columns{$relation} // '*';
        $report{$relation} = psql($node, "SELECT t FROM (SELECT $columns FROM $relation) t ORDER BY t::text");
    }
    return \%report;
}

ledger_is($old, 'before');
my $before = reports($old);
cmp_ok(scalar(grep { $_ ne '' } values %$before), '>', 30, 'reports have content');
my $version = psql($old, "SELECT extversion FROM pg_extension WHERE extname = 'cost_ledger'");
my $next_xid = psql($old, 'SELECT pg_snapshot_xmax(pg_current_snapshot())');
my $cluster = 'SELECT system_identifier FROM pg_control_system()';
my $old_cluster = psql($old, $cluster);
my $old_server = psql($old, 'SHOW server_version_num');
$old->stop;

# ---------------------------------------------------------------------------
# pg_upgrade

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(@initdb);
# It leaves a script in its folder.
chdir PostgreSQL::Test::Utils::tempdir() or die;
my $said;
# As who upgrades may have it set, though nothing of it is dropped.
$ENV{PGOPTIONS} = '-c cost_ledger.allow_drop=on';
unless (ok(IPC::Run::run([ 'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir,
        '-b', $old->config_data('--bindir'), '-B', $new->config_data('--bindir'),
        '-s', $new->host, '-p', $old->port, '-P', $new->port ], '<', \undef, '>', \$said, '2>&1'), 'pg_upgrade'))
{
    # It names the files that say why, which are gone when this test has ended.
    diag($said);
    for my $file (glob $new->data_dir . '/pg_upgrade_output.d/*/{*.txt,log/*.log}')
    {
        my @errors = grep { $file =~ /\.txt$/ || /^pg_\w+: error:|ERROR:|FATAL:/ } split /\n/, slurp_file($file);
        diag("$file:\n" . join "\n", @errors) if @errors;
    }
    done_testing();
    exit 1;
}
delete $ENV{PGOPTIONS};
$new->start;

my $new_server = psql($new, 'SHOW server_version_num');
cmp_ok($new_server, $from ? '>' : '==', $old_server, "from $old_server to $new_server");
isnt(psql($new, $cluster), $old_cluster, 'into another cluster');
is(psql($new, "SELECT extversion FROM pg_extension WHERE extname = 'cost_ledger'"), $version, 'the extension has the version it had');
cmp_ok(psql($new, 'SELECT pg_snapshot_xmax(pg_current_snapshot())'), '>=', $next_xid, 'transaction ids go on');
my $after = reports($new);
is_deeply([ sort keys %$after ], [ sort keys %$before ], 'every table and view is there');
is($after->{$_}, $before->{$_}, "the same as before: $_") for sort keys %$before;
ledger_is($new, 'upgraded');

# ---------------------------------------------------------------------------
# Until post_restore(): calls are recorded, jobs wait.

is(psql($new, 'SELECT needs_post_restore FROM cost_ledger.rollup_status'), 't', 'it waits for post_restore()');
my (undef, undef, $error) = $new->psql('ledger', "\\set VERBOSITY verbose\nCALL cost_ledger.refresh()");
like($error, qr/ERROR:  55000: .*the ledger was restored/, 'refresh() is refused');
like($error, qr/HINT:  .*SELECT cost_ledger\.post_restore\(\);/, 'and says what to do');
psql($new, calls(5, 1));
is(psql($new, 'SELECT count(*) FROM cost_ledger.call WHERE recorded_xid IS NULL'), 5, 'calls are recorded, without a number');
ledger_is($new, 'then calls are recorded');
psql($new, 'CALL cost_ledger.run_jobs()');
like(psql($new, q{SELECT last_error FROM cost_ledger.job_status WHERE name = 'refresh'}), qr/the ledger was restored/, 'the jobs say it too');
is(psql($new, $alerts), "team||0.7|1\nrestored and not at home||1|1", 'and an alert');

# The hold that was open is settled, by a call of half of it: 8.5 of 10.
is(psql($new, q{SELECT spent, held FROM cost_ledger.budget_status WHERE name = 'team'}), '8|1', 'what was held is held');
psql($new, q{INSERT INTO cost_ledger.call (provider, model, input_tokens, team, run_id, session_id, user_id, hold_id)
    SELECT 'openai', 'm', 500000, 'budgeted', 'run3', 'session3', 'user3', h.hold_id FROM cost_ledger_internal.hold h WHERE h.hold_key = 'held'});
$calls++;
$sum += 500000;
is(psql($new, q{SELECT h.state, trim_scale(h.cost), h.is_late FROM cost_ledger_internal.hold h WHERE h.hold_key = 'held'}), 'settled|0.5|f', 'the hold is settled');
is(psql($new, q{SELECT trim_scale(spent), trim_scale(held) FROM cost_ledger.budget_status WHERE name = 'team'}), '8.5|0', 'and posted');
ledger_is($new, 'then the hold is settled');

# Events that were recorded in the old cluster are known.
my $replay = q{INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens, output_tokens, reported_cost, team, run_id, session_id, user_id)
    VALUES (now(), 'e2', 'openai', 'turbo', %d, 1, 0.00003, 'turbo', 'run1', 'session1', 'user1') RETURNING call_id};
sub replays
{
    my ($what) = @_;
    is(psql($new, sprintf $replay, 6), '', "$what: an event that was recorded before records nothing");
    my (undef, undef, $said) = $new->psql('ledger', "\\set VERBOSITY verbose\n" . sprintf $replay, 7);
    like($said, qr/ERROR:  LC003: /, "$what: and with another payload is refused");
}
replays('before post_restore()');

# ---------------------------------------------------------------------------
# post_restore(), and on

is(psql($new, 'SELECT cost_ledger.post_restore()'), $tail + 5 + 1, 'post_restore() brings in what was not in yet');
sub consumed_is
{
    my ($what) = @_;
    is(psql($new, 'SELECT sum(calls), trim_scale(sum(cost) * 1000000), (SELECT count(*) FROM cost_ledger_internal.unconsumed_call) FROM cost_ledger_internal.rollup_day'),
        "$calls|$sum|0", "$what: all are in the rollups, once");
    ledger_is($new, $what);
}
consumed_is('post_restore()');
is(psql($new, 'SELECT needs_post_restore FROM cost_ledger.rollup_status'), 'f', 'it is at home');
is(psql($new, 'SELECT cost_ledger.post_restore()'), 0, 'another post_restore() finds nothing to do');
replays('after post_restore()');
psql($new, calls(9, 1));
cmp_ok(psql($new, 'SELECT max(recorded_xid::text::bigint) FROM cost_ledger.call'), '>', $next_xid, 'calls are numbered from above all before');
ledger_is($new, 'then calls are recorded');
# 9.5 of 10 with what is asked for; another 1 is refused
is(psql($new, q{
    SELECT decision FROM cost_ledger.reserve('more', '{"team": "budgeted", "user_id": "user3"}', 1);
    SELECT decision FROM cost_ledger.reserve('too much', '{"team": "budgeted", "user_id": "user3"}', 1)}), "throttle\nstop", 'budgets decide on');
psql($new, q{SELECT cost_ledger.release('more')});
psql($new, 'CALL cost_ledger.run_jobs()') for 1 .. 2;
consumed_is('refreshed');
is(psql($new, q{SELECT count(*) FROM cost_ledger.job_status WHERE is_failing}), 0, 'no job fails');
is(psql($new, $alerts), "team||0.7|1\nrestored and not at home||1|1\nteam||1|1", 'what was said is not said again, and what was refused is');
is(psql($new, q{SELECT count(*) FROM cost_ledger.alert a JOIN cost_ledger.alert_rule r USING (rule_id) WHERE r.kind = 'needs_post_restore' AND a.resolved_at IS NOT NULL}),
    1, 'and the alert of the upgrade is over');
psql($new, q{SELECT cost_ledger.correct_call('e3', '{"input_tokens": 16, "output_tokens": 1}', 'a test')});
$sum += 30;
psql($new, 'CALL cost_ledger.refresh()');
consumed_is('corrected');
$new->stop;

done_testing();
