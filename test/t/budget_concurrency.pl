# Sixteen clients on the same budgets: exactly as much is granted as fits, all
# that is granted is in the balances, no client is left in a deadlock, and
# nothing stays held when clients die.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = $ENV{COST_LEDGER_CLIENTS} || 16;
my $transactions = $ENV{COST_LEDGER_TRANSACTIONS} || 60;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'max_connections = 200');
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION cost_ledger;
    SELECT cost_ledger.create_ledger();
    SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2020-01-01');
});
my $dir = PostgreSQL::Test::Utils::tempdir();

sub script
{
    my ($name, $text) = @_;
    append_to_file("$dir/$name", $text);
    return "$dir/$name";
}

sub value { return $node->safe_psql('postgres', $_[0]) }

sub bench
{
    my ($name, @arguments) = @_;
    my ($out, $err) = run_command([ 'pgbench', '-n', '-c', $clients, '-j', 2, '-t', $transactions, '--random-seed=6', @arguments, $node->connstr('postgres') ]);
    like($out, qr{number of transactions actually processed: (\d+)/\1\b}, "$name: every transaction ended");
    # deadlocks and other errors of clients are named there
    unlike($err, qr/aborted|ERROR/, "$name: no client failed");
}

# One budget, one amount: floor(L / a) grants.
my $limit = 3 * int($clients * $transactions / 9) + 2;
value("SELECT cost_ledger.set_budget('one', '{\"team\": \"one\"}', 'total', $limit)");
bench('one budget', '-f', script('one', q{
\set n random(1, 9000000000000)
SELECT decision FROM cost_ledger.reserve('one' || :client_id || '-' || :n, '{"team": "one"}', 3);
}));
is(value(q{SELECT count(*) FROM cost_ledger_internal.hold WHERE hold_key LIKE 'one%'}), int($limit / 3), 'exactly floor(L / a) were granted');
is(value(q{SELECT sum(held) FROM cost_ledger_internal.budget_balance}), 3 * int($limit / 3), 'and are held');

# Three budgets that overlap, calls with holds and without, more and less than
# reserved, released and forgotten, and refresh() at the same time.
value(q{SELECT cost_ledger.set_budget('team', '{"team": "x"}', 'total', 900)});
value(q{SELECT cost_ledger.set_budget('each user', '{}', 'month', 150, each_of => 'user_id')});
value(q{SELECT cost_ledger.set_budget('window', '{"feature": "f"}', 'rolling', 700, period_length => '1 hour')});
my @mixed = ('-f', script('settle', q{
\set n random(1, 9000000000000)
\set a random(1, 5)
\set u random(0, 9)
SELECT decision FROM cost_ledger.reserve('s' || :client_id || '-' || :n, jsonb_build_object('team', 'x', 'feature', 'f', 'user_id', 'u' || :u), :a);
INSERT INTO cost_ledger.call (provider, model, input_tokens, team, feature, user_id, hold_id)
    SELECT 'openai', 'm', :a * 800000, 'x', 'f', 'u' || :u, hold_id FROM cost_ledger_internal.hold WHERE hold_key = 's' || :client_id || '-' || :n;
}) . '@6', '-f', script('release', q{
\set n random(1, 9000000000000)
\set u random(0, 9)
SELECT decision FROM cost_ledger.reserve('r' || :client_id || '-' || :n, jsonb_build_object('user_id', 'u' || :u, 'feature', 'f'), 4);
SELECT cost_ledger.release('r' || :client_id || '-' || :n);
}) . '@3', '-f', script('forget', q{
\set n random(1, 9000000000000)
SELECT decision FROM cost_ledger.reserve('f' || :client_id || '-' || :n, '{"team": "x", "user_id": "u1"}', 2, ttl => '50 milliseconds');
}) . '@2', '-f', script('plain', q{
INSERT INTO cost_ledger.call (provider, model, input_tokens, team, user_id) VALUES ('openai', 'm', 1000000, 'plain', 'p' || :client_id);
}) . '@2', '-f', script('refresh', q{
CALL cost_ledger.refresh();
}) . '@1', '-f', script('both', q{
\set n random(1, 9000000000000)
\set u random(0, 9)
\set v random(0, 9)
SELECT decision FROM cost_ledger.reserve('b' || :client_id || '-' || :n, jsonb_build_object('user_id', 'u' || :u), 1);
BEGIN;
SELECT decision FROM cost_ledger.reserve('v' || :client_id || '-' || :n, jsonb_build_object('user_id', 'u' || :v), 1);
INSERT INTO cost_ledger.call (provider, model, input_tokens, user_id, hold_id)
    SELECT 'openai', 'm', 800000, 'u' || :u, hold_id FROM cost_ledger_internal.hold WHERE hold_key = 'b' || :client_id || '-' || :n;
COMMIT;
SELECT cost_ledger.release('v' || :client_id || '-' || :n);
}) . '@3');
bench('mixed', @mixed);

my $over = q{
    SELECT count(*) FROM (
        SELECT s.budget_id, s.entity, sum(s.posted) + sum(s.held) - coalesce((
            SELECT sum(l.amount) FROM cost_ledger_internal.hold_line l
            WHERE l.budget_id = s.budget_id AND l.entity = s.entity AND l.expires_at = '-infinity'), 0) AS used
        FROM cost_ledger_internal.budget_balance s GROUP BY 1, 2) s
    JOIN cost_ledger.budget_version v USING (budget_id)
    WHERE s.used > v.limit_amount AND s.entity NOT LIKE 'p%'};
is(value($over), 0, 'nothing was overspent');
is(value('SELECT count(*) FROM cost_ledger.check_balances()'), 0, 'balances are the ledger and the open holds');
cmp_ok(value(q{SELECT count(*) FROM cost_ledger_internal.hold WHERE state = 'settled'}), '>', 50, 'calls were settled');

# Clients die in the middle of it.
my $pid = fork();
if ($pid == 0)
{
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';
    exec 'pgbench', '-n', '-c', $clients, '-j', 2, '-T', 60, @mixed, $node->connstr('postgres');
    exit 1;
}
sleep 2;
kill 'KILL', $pid;
waitpid $pid, 0;
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'});
is(value($over), 0, 'killed clients: nothing was overspent');
is(value('SELECT count(*) FROM cost_ledger.check_balances()'), 0, 'killed clients: balances are the ledger and the open holds');

# What they held is over when its time is.
value(q{UPDATE cost_ledger_internal.hold SET expires_at = now() WHERE state = 'open'; UPDATE cost_ledger_internal.hold_line SET expires_at = now() WHERE expires_at > now()});
value('SELECT cost_ledger.check_budgets()');
is(value('SELECT sum(held) FROM cost_ledger_internal.budget_balance'), 0, 'nothing stays held');
is(value('SELECT count(*) FROM cost_ledger_internal.hold_line'), 0, 'by nobody');
$node->safe_psql('postgres', 'CALL cost_ledger.refresh()');
is(value(q{SELECT sum(posted) FROM cost_ledger_internal.budget_balance s JOIN cost_ledger.budget b USING (budget_id) WHERE b.name = 'each user'}),
    value(q{SELECT sum(cost) FROM cost_ledger.call WHERE user_id IS NOT NULL}), 'all users together have spent what the ledger says');

done_testing();
